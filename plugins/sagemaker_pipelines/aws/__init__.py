"""AWS without Airflow: the calls, and what their answers mean."""
