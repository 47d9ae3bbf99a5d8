"""The development stack: Airflow and the local runtime as processes on one machine."""
