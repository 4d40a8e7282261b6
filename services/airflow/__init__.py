"""The service airflow."""
