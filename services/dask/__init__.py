"""The service dask."""
