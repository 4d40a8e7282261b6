"""The shop: a customer database with real sales, to collect from."""
