"""Whole tasks of Airflow on workers of the Dask cluster: an executor beside the usual one, chosen task by task.

Airflow's scheduler has `scheduling.DaskExecutor`, which asks a `cluster` to run a task; a `worker` gives each task a
process of its own, under a `guard` that ends all that the task began.
"""
