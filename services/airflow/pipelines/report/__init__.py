"""The weekly sales report: figures, chart, mail."""
