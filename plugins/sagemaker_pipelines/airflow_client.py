"""Ask an Airflow for its backfills, over the public REST API."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from sagemaker_pipelines.exceptions import AirflowRequestError
from sagemaker_pipelines.messages import cut

if TYPE_CHECKING:
    import httpx

_PAGE = 100
_TIMEOUT_SECONDS = 30.0
# Airflow on SQLite answers 500 or 503 while its database is locked; a gateway has 502 and 504 while it
# restarts. What is sent here may be sent twice.
_TRANSIENT = frozenset({500, 502, 503, 504})
_ATTEMPTS = 8
# How much of a refusal is told, characters.
_MAX_DETAIL = 500
_LOG_IN = ". Give --username and --password, or --token, of somebody who may do that."
_CURES = {401: _LOG_IN, 403: _LOG_IN, 404: ". Check the id, and --airflow-url."}
_EXPECTED_URL = "expected one such as http://localhost:8080: give it with --airflow-url."


class AirflowClient:
    """A client of ``/api/v2``: backfills, their runs, and what the runs' tasks pushed.

    https://airflow.apache.org/docs/apache-airflow/stable/stable-rest-api-ref.html

    :param url: Airflow's address as in ``[api] base_url``.
    :param token: a bearer token; None asks for one with ``username`` and ``password``, and goes without
        where there are none.
    :param username: with ``password``, what ``POST /auth/token`` takes.
    :param password: see ``username``.
    :raises AirflowRequestError: the URL is none, or the login was refused.
    """

    def __init__(
        self, url: str, *, token: str | None = None, username: str | None = None, password: str | None = None
    ) -> None:
        import httpx

        self.url = url.rstrip("/")
        # A proxy for the internet cannot reach an Airflow on loopback.
        on_loopback = _host(self.url) in {"127.0.0.1", "localhost", "::1"}
        self._client = httpx.Client(timeout=_TIMEOUT_SECONDS, trust_env=not on_loopback)
        if token is None and username is not None:
            body = {"username": username, "password": password or ""}
            token = self._call("POST", f"{self.url}/auth/token", json=body).get("access_token")
        if token is not None:
            self._client.headers["Authorization"] = f"Bearer {token}"

    def backfill(self, backfill_id: int) -> dict[str, Any]:
        """Return one backfill."""
        return self._api("GET", f"/backfills/{backfill_id}")

    def cancel_backfill(self, backfill_id: int) -> bool:
        """Let a backfill start no more runs; return False where it had ended already."""
        try:
            self._api("PUT", f"/backfills/{backfill_id}/cancel")
        except AirflowRequestError as error:
            if error.status != 409:
                raise
            return False
        return True

    def backfill_runs(self, backfill: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the runs of a backfill's dates that belong to a backfill, by date.

        Airflow tells no backfill of a run. As a DAG has at most one at a time, a run that is queued or
        runs is this one's while it is active; one that has ended may be of an earlier backfill.

        :param backfill: as :meth:`backfill` returned it.
        """
        found = self._items(
            f"/dags/{quote(backfill['dag_id'])}/dagRuns",
            "dag_runs",
            run_type="backfill",
            logical_date_gte=backfill["from_date"],
            logical_date_lte=backfill["to_date"],
        )
        return sorted(found, key=lambda run: (run["logical_date"] or "", run["dag_run_id"]))

    def fail_run(self, dag_id: str, run_id: str) -> None:
        """Mark a run failed: Airflow kills its tasks, whose ``on_kill`` stops their executions."""
        self._api("PATCH", f"{_run_path(dag_id, run_id)}", json={"state": "failed"})

    def xcoms(self, run: Mapping[str, Any], keys: frozenset[str]) -> dict[str, Any]:
        """Return what a run's tasks have pushed under these keys since the run was queued.

        What is older was pushed before the run was cleared, and tells of an earlier execution.
        """
        path = f"{_run_path(run['dag_id'], run['dag_run_id'])}/taskInstances"
        queued = datetime.fromisoformat(run["queued_at"]) if run.get("queued_at") else None
        values: dict[str, Any] = {}
        for entry in self._items(f"{path}/~/xcomEntries", "xcom_entries"):
            if entry["key"] not in keys or entry["map_index"] >= 0:
                continue
            if queued is not None and datetime.fromisoformat(entry["timestamp"]) < queued:
                continue
            one = f"{path}/{quote(entry['task_id'])}/xcomEntries/{quote(entry['key'])}"
            values[entry["key"]] = self._api("GET", one, params={"deserialize": True})["value"]
        return values

    def _items(self, path: str, key: str, **query: Any) -> Iterator[dict[str, Any]]:
        offset = 0
        while True:
            answer = self._api("GET", path, params={**query, "limit": _PAGE, "offset": offset})
            yield from answer[key]
            offset += _PAGE
            if offset >= answer["total_entries"]:
                return

    def _api(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        return self._call(method, f"{self.url}/api/v2{path}", **arguments)

    def _call(self, method: str, url: str, **arguments: Any) -> dict[str, Any]:
        import httpx

        for attempt in range(1, _ATTEMPTS + 1):
            try:
                answer = self._client.request(method, url, **arguments)
            except httpx.HTTPError as error:
                raise AirflowRequestError(
                    f"Airflow does not answer at {url}: {error!r}. Give its address with --airflow-url."
                ) from error
            if answer.status_code not in _TRANSIENT or attempt == _ATTEMPTS:
                break
            time.sleep(0.5 * attempt)
        if answer.is_error:
            text = f"Airflow answered {answer.status_code} to {method} {url}: {_detail(answer)}"
            raise AirflowRequestError(f"{text}{_CURES.get(answer.status_code, '')}", answer.status_code)
        try:
            body = answer.json()
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise AirflowRequestError(
                f"{url} answered with {answer.text[:80]!r}, which is not an answer of Airflow's API. Give "
                "Airflow's address with --airflow-url."
            )
        return body


def _host(url: str) -> str:
    """Return the host of Airflow's address.

    :raises AirflowRequestError: it is not an address.
    """
    import httpx

    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise AirflowRequestError(f"Airflow's address is {url!r} ({error}); {_EXPECTED_URL}") from error
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise AirflowRequestError(f"Airflow's address is {url!r}; {_EXPECTED_URL}")
    return parsed.host


def _run_path(dag_id: str, run_id: str) -> str:
    return f"/dags/{quote(dag_id)}/dagRuns/{quote(run_id, safe='')}"


def _detail(answer: httpx.Response) -> str:
    try:
        detail = answer.json().get("detail", answer.text)
    except (ValueError, AttributeError):
        detail = answer.text
    return cut(str(detail), _MAX_DETAIL)
