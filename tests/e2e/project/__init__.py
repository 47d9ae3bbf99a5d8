"""The abalone DAGs in one Airflow."""
