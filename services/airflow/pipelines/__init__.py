"""The pipelines: what Airflow runs, as plain functions; the DAG files only chain them."""
