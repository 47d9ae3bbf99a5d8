"""Long backfills, in one Airflow."""
