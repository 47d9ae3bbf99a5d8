"""As many tasks as the DAG ``condition`` has, which do nothing: what Airflow itself needs for them."""

from datetime import UTC, datetime

from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG, CronDataIntervalTimetable


def nothing() -> None:
    pass


with DAG(
    "empty",
    schedule=CronDataIntervalTimetable("@daily", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
):
    first, second = (PythonOperator(task_id=name, python_callable=nothing) for name in ("first", "second"))
    first >> second
