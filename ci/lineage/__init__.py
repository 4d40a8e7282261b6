"""Where a column comes from and who shows it: computed from the compiled SQL and the code, never written by hand."""
