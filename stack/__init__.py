"""The whole of it on one machine: Airflow and the local runtime as processes."""
