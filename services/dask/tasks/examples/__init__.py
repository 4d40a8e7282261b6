"""Examples to copy from: pandas and NumPy that run unchanged in one process and on a cluster."""
