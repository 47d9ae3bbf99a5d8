"""Airflow's REST API, as much as the stack commands need."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import requests

from stack.exceptions import AirflowApiError

TIMEOUT_SECONDS = 30
BACKFILL_SECONDS = 120.0


class AirflowApi:
    """A client of ``/api/v2`` of an Airflow that asks for no login.

    :param url: Airflow's address, without a path.
    """

    def __init__(self, url: str) -> None:
        self._url = f"{url}/api/v2"
        self._session = requests.Session()
        self._session.trust_env = False  # loopback never goes through a proxy

    def health(self) -> dict[str, Any] | None:
        """Return the health of Airflow's parts, or None while nothing answers."""
        try:
            return self._call("GET", "/monitor/health")
        except AirflowApiError:
            return None

    def import_errors(self) -> list[dict[str, Any]]:
        """Return the errors of the DAG files."""
        return list(self._call("GET", "/importErrors")["import_errors"])

    def dag_ids(self) -> set[str]:
        """Return the DAGs that Airflow knows, paused ones too."""
        return {dag["dag_id"] for dag in self._call("GET", "/dags", limit=100)["dags"]}

    def unpause(self, dag_id: str) -> None:
        """Let the scheduler run a DAG."""
        self._call("PATCH", f"/dags/{dag_id}", json={"is_paused": False})

    def pause(self, dag_id: str) -> None:
        """Keep the scheduler from a DAG."""
        self._call("PATCH", f"/dags/{dag_id}", json={"is_paused": True})

    def create_backfill(self, dag_id: str, first: str, last: str, **options: Any) -> dict[str, Any]:
        """Create a backfill and return it.

        Airflow 3.3.2 on SQLite answers 503 where its scheduler writes at the same moment, and deletes the
        runs that it has made so far; a scheduler that has taken one up by then dies of it. So the DAG is
        paused meanwhile. A DAG has one backfill at a time, and a sweep of every 30 s sees its end: 409.

        :param first: the first logical date, ISO 8601.
        :param last: the last one.
        :param options: more of the body of ``POST /backfills``.
        """
        body = {"dag_id": dag_id, "from_date": first, "to_date": last, **options}
        self.pause(dag_id)
        deadline = time.monotonic() + BACKFILL_SECONDS
        try:
            while True:
                try:
                    return self._call("POST", "/backfills", json=body)
                except AirflowApiError as error:
                    if not any(f"answered {code} " in str(error) for code in (409, 503)):
                        raise
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(1)
        finally:
            self.unpause(dag_id)

    def trigger(self, dag_id: str, conf: dict[str, Any], *, run_id: str | None = None) -> str:
        """Start a manual run without a logical date and return its run id."""
        body: dict[str, Any] = {"logical_date": None, "conf": conf}
        if run_id:
            body["dag_run_id"] = run_id
        return str(self._call("POST", f"/dags/{dag_id}/dagRuns", json=body)["dag_run_id"])

    def run(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """Return one DAG run."""
        return self._call("GET", f"/dags/{dag_id}/dagRuns/{run_id}")

    def runs(self, dag_id: str) -> list[dict[str, Any]]:
        """Return the runs of a DAG, newest first."""
        found = self._call("GET", f"/dags/{dag_id}/dagRuns", order_by="-run_after", limit=100)
        return list(found["dag_runs"])

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Return the task instances of one run."""
        return list(self._call("GET", f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances")["task_instances"])

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value") -> Any:
        """Return what a task pushed, or None if it pushed nothing under this key."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}"
        try:
            return self._call("GET", path, deserialize=True)["value"]
        except AirflowApiError as error:
            if "404" in str(error):
                return None
            raise

    def log(self, dag_id: str, run_id: str, task_id: str, try_number: int = 1) -> str:
        """Return the text of one try's log."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{try_number}"
        content = self._call("GET", path, full_content=True)["content"]
        return "\n".join(part for line in content for part in _log_lines(line))

    def _call(self, method: str, path: str, *, json: Any = None, **query: Any) -> dict[str, Any]:
        try:
            answer = self._session.request(
                method, self._url + path, json=json, params=query, timeout=TIMEOUT_SECONDS
            )
        except requests.RequestException as error:
            raise AirflowApiError(f"Airflow does not answer at {self._url}: {error}") from error
        if answer.status_code >= 400:
            raise AirflowApiError(
                f"Airflow answered {answer.status_code} to {method} {path}: {_detail(answer)}"
            )
        body: dict[str, Any] = answer.json()
        return body


def _log_lines(line: Any) -> Iterator[str]:
    """Yield a log line's message, and what its exceptions say."""
    if not isinstance(line, dict):
        yield str(line)
        return
    if not str(line.get("event", "")).startswith("::"):
        yield str(line.get("event", ""))
    for error in line.get("error_detail") or ():
        yield f"{error['exc_type']}: {error['exc_value']}"


def _detail(answer: requests.Response) -> Any:
    try:
        return answer.json().get("detail", answer.text)
    except ValueError:
        return answer.text[:500]
