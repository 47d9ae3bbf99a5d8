"""Put the runs into Airflow's database: ``python -m tests.e2e.page.seeding``, in Airflow's environment."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from tests.e2e.page.records import SeededRun, seeded_runs


def seed() -> None:
    """Insert runs, task instances and XComs, as a scheduler and its workers leave them."""
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import insert

    instances: list[dict[str, Any]] = []
    pushed: list[dict[str, Any]] = []
    with create_session() as session:
        for run in seeded_runs():
            stored = _dag_run(DagRun, run)
            session.add(stored)
            session.flush()
            place = {"dag_id": run.dag_id, "run_id": run.run_id, "map_index": -1}
            done = {**place, "state": run.task_state, "pool": "default_pool"}
            instances += [{**done, "task_id": task_id} for task_id in {task_id for task_id, _ in run.xcoms}]
            for (task_id, key), value in run.xcoms.items():
                row = {**place, "dag_run_id": stored.id, "task_id": task_id, "key": key}
                pushed.append({**row, "value": json.dumps(value)})
        session.execute(insert(TaskInstance), instances)
        session.execute(insert(XComModel), pushed)


def _dag_run(kind: Any, run: SeededRun) -> Any:
    end = run.start + timedelta(days=1)
    stored = kind(
        dag_id=run.dag_id,
        run_id=run.run_id,
        run_type="scheduled",
        state=run.state,
        logical_date=run.start,
        data_interval=(run.start, end),
        run_after=end,
        start_date=end,
    )
    stored.end_date = end + timedelta(minutes=5) if run.state in ("success", "failed") else None
    return stored


if __name__ == "__main__":
    seed()
