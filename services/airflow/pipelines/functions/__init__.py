"""Functions that the warehouse runs: one a file, of the file's name, called in SQL as STAGING.SHOP.<NAME>."""
