"""Events, in one Airflow."""
