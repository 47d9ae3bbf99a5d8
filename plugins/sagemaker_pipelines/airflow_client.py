"""A client of Airflow's public REST API: health, DAGs, runs, XComs, logs and backfills."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import httpx

from sagemaker_pipelines.exceptions import AirflowRequestError
from sagemaker_pipelines.messages import cut

_PAGE = 100
_TIMEOUT_SECONDS = 30
# Airflow on SQLite answers 500 or 503 while its database is locked; a gateway answers 502 and 504 while it
# restarts. A POST is sent again only by those who can tell what an earlier one created.
_TRANSIENT = frozenset({500, 502, 503, 504})
_ATTEMPTS = 8
# What a task has in these states was pushed by its newest attempt.
_HAS_BEGUN = frozenset({"deferred", "failed", "running", "success", "up_for_reschedule", "up_for_retry"})
_MAX_DETAIL = 500  # How much of a refusal an error shows, in characters.
_BACKFILL_SECONDS = 120.0
_LOG_IN = ". Pass --username and --password, or --token, of a user who may do that."
_CURES = {401: _LOG_IN, 403: _LOG_IN, 404: ". Check the id, and --airflow-url."}
_EXPECTED_URL = "expected one such as http://localhost:8080. Set it with --airflow-url."


class AirflowClient:
    """A client of ``/api/v2``.

    https://airflow.apache.org/docs/apache-airflow/stable/stable-rest-api-ref.html

    :param url: Airflow's address as in ``[api] base_url``.
    :param token: a bearer token; None gets one for ``username``, or sends none if there is no user.
    :param username: the user for ``POST /auth/token``; None does not log in.
    :param password: the password of ``username``.
    :raises AirflowRequestError: the URL is invalid, or the login was refused.
    """

    def __init__(
        self, url: str, *, token: str | None = None, username: str | None = None, password: str | None = None
    ) -> None:
        self.url = url.rstrip("/")
        # A proxy for the internet cannot reach an Airflow on loopback.
        on_loopback = _host(self.url) in {"127.0.0.1", "localhost", "::1"}
        self._client = httpx.Client(timeout=_TIMEOUT_SECONDS, trust_env=not on_loopback)
        if token is not None:
            self._client.headers["Authorization"] = f"Bearer {token}"
        elif username is not None:
            self.log_in(username, password or "")

    def log_in(self, username: str, password: str) -> None:
        """Get a token for a user, and send it from now on.

        :raises AirflowRequestError: the login was refused.
        """
        body = {"username": username, "password": password}
        token = self._request("POST", f"{self.url}/auth/token", json=body).get("access_token")
        self._client.headers["Authorization"] = f"Bearer {token}"

    def health(self) -> dict[str, Any] | None:
        """Return the health of Airflow's components, or None while nothing answers."""
        try:
            return self.call("GET", "/monitor/health")
        except AirflowRequestError:
            return None

    def import_errors(self) -> list[dict[str, Any]]:
        """Return the import errors of the DAG files."""
        return list(self._items("/importErrors", "import_errors"))

    def dag_ids(self) -> set[str]:
        """Return the ids of all DAGs, including paused ones."""
        return {dag["dag_id"] for dag in self._items("/dags", "dags")}

    def pause(self, dag_id: str) -> None:
        """Keep the scheduler from starting runs of a DAG."""
        self.call("PATCH", f"/dags/{quote(dag_id)}", json={"is_paused": True})

    def unpause(self, dag_id: str) -> None:
        """Let the scheduler start runs of a DAG."""
        self.call("PATCH", f"/dags/{quote(dag_id)}", json={"is_paused": False})

    def trigger(self, dag_id: str, conf: Mapping[str, Any], *, run_id: str | None = None) -> str:
        """Start a manual run without a logical date, and return its run id."""
        created = run_id or f"manual__{datetime.now(UTC).isoformat()}_{secrets.token_hex(4)}"
        body = {"logical_date": None, "conf": dict(conf), "dag_run_id": created}
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                self.call("POST", f"/dags/{quote(dag_id)}/dagRuns", json=body)
                break
            except AirflowRequestError as error:
                if error.status == httpx.codes.CONFLICT and attempt > 1:
                    break  # An earlier attempt created the run, although Airflow answered with an error.
                if error.status not in _TRANSIENT or attempt == _ATTEMPTS:
                    raise
                time.sleep(0.5 * attempt)
        return created

    def run(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """Return one DAG run."""
        return self.call("GET", _run_path(dag_id, run_id))

    def runs(self, dag_id: str) -> list[dict[str, Any]]:
        """Return the newest runs of a DAG, at most 100, newest first."""
        path = f"/dags/{quote(dag_id)}/dagRuns"
        return list(self.call("GET", path, order_by="-run_after", limit=_PAGE)["dag_runs"])

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Return the task instances of a run."""
        return list(self._items(f"{_run_path(dag_id, run_id)}/taskInstances", "task_instances"))

    def xcom(
        self, dag_id: str, run_id: str, task_id: str, key: str = "return_value", *, map_index: int = -1
    ) -> Any:
        """Return what a task pushed under a key, or None if it pushed nothing."""
        path = f"{_run_path(dag_id, run_id)}/taskInstances/{quote(task_id)}/xcomEntries/{quote(key)}"
        try:
            return self.call("GET", path, deserialize=True, map_index=map_index)["value"]
        except AirflowRequestError as error:
            if error.status == 404:
                return None
            raise

    def log(self, dag_id: str, run_id: str, task_id: str, try_number: int = 1) -> str:
        """Return the text of the log of one attempt."""
        path = f"{_run_path(dag_id, run_id)}/taskInstances/{quote(task_id)}/logs/{try_number}"
        content = self.call("GET", path, full_content=True)["content"]
        return "\n".join(part for line in content for part in _log_lines(line))

    def create_backfill(self, dag_id: str, first: str, last: str, **options: Any) -> dict[str, Any]:
        """Create a backfill and return it.

        Airflow 3.3.2 on SQLite answers 503 if its scheduler writes at the same moment, and deletes the runs
        that it has created so far; a scheduler that has already picked one up dies. So the DAG is paused
        meanwhile. Airflow answers 409 until it has noticed the end of the DAG's previous backfill, for which
        it looks every 30 s.

        :param first: the first logical date, ISO 8601.
        :param last: the last logical date.
        :param options: more members of the body of ``POST /backfills``.
        """
        body = {"dag_id": dag_id, "from_date": first, "to_date": last, **options}
        self.pause(dag_id)
        deadline = time.monotonic() + _BACKFILL_SECONDS
        try:
            while True:
                try:
                    return self.call("POST", "/backfills", json=body)
                except AirflowRequestError as error:
                    if error.status not in {409, 503} or time.monotonic() > deadline:
                        raise
                time.sleep(1)
        finally:
            self.unpause(dag_id)

    def backfill(self, backfill_id: int) -> dict[str, Any]:
        """Return one backfill."""
        return self.call("GET", f"/backfills/{backfill_id}")

    def cancel_backfill(self, backfill_id: int) -> bool:
        """Let a backfill start no more runs; return False if it had already ended."""
        try:
            self.call("PUT", f"/backfills/{backfill_id}/cancel")
        except AirflowRequestError as error:
            if error.status != 409:
                raise
            return False
        return True

    def backfill_runs(self, backfill: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the backfill runs on the dates of a backfill, by date.

        Airflow does not say which backfill a run belongs to. A DAG has at most one at a time, so a queued or
        running run belongs to the active one; a run that has ended may belong to an earlier one.

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
        self.call("PATCH", _run_path(dag_id, run_id), json={"state": "failed"})

    def xcoms(self, run: Mapping[str, Any], keys: frozenset[str]) -> dict[str, Any]:
        """Return what a run's tasks have pushed first under these keys.

        A task that was cleared keeps its values until it runs again; they belong to an earlier execution.
        Later values belong to what follows a training, such as the comparison with the champion.
        """
        of_run, values = (run["dag_id"], run["dag_run_id"]), dict[str, Any]()
        began = {task["task_id"] for task in self.task_instances(*of_run) if task["state"] in _HAS_BEGUN}
        entries = self._items(f"{_run_path(*of_run)}/taskInstances/~/xcomEntries", "xcom_entries")
        for entry in sorted(entries, key=lambda entry: str(entry["timestamp"])):
            task_id, key = entry["task_id"], entry["key"]
            if task_id in began and key in keys and key not in values and entry["map_index"] < 0:
                values[key] = self.xcom(*of_run, task_id, key)
        return values

    def _items(self, path: str, key: str, **query: Any) -> Iterator[dict[str, Any]]:
        offset = 0
        while True:
            answer = self.call("GET", path, **query, limit=_PAGE, offset=offset)
            yield from answer[key]
            offset += _PAGE
            if offset >= answer["total_entries"]:
                return

    def call(self, method: str, path: str, *, json: Any = None, **query: Any) -> dict[str, Any]:
        """Return the answer to one request; an answer without a body is an empty dictionary.

        :param method: the HTTP method.
        :param path: the path below ``/api/v2``.
        :param json: the body.
        :param query: the parameters of the query.
        :raises AirflowRequestError: Airflow does not answer, or refuses the request.
        """
        return self._request(method, f"{self.url}/api/v2{path}", json=json, params=query or None)

    def _request(self, method: str, url: str, **arguments: Any) -> dict[str, Any]:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                answer = self._client.request(method, url, **arguments)
            except httpx.ReadTimeout as error:
                if method != "POST" and attempt < _ATTEMPTS:
                    continue
                # As with a gateway's timeout, nobody knows whether the request had an effect.
                raise AirflowRequestError(
                    f"Airflow has not answered {method} {url} within {_TIMEOUT_SECONDS} s. Try again later.",
                    httpx.codes.GATEWAY_TIMEOUT,
                ) from error
            except httpx.HTTPError as error:
                raise AirflowRequestError(
                    f"Airflow does not answer at {url}: {error!r}. Set its address with --airflow-url."
                ) from error
            if method == "POST" or answer.status_code not in _TRANSIENT or attempt == _ATTEMPTS:
                break
            time.sleep(0.5 * attempt)
        if answer.is_error:
            text = f"Airflow answered {answer.status_code} to {method} {url}: {_detail(answer)}"
            raise AirflowRequestError(f"{text}{_CURES.get(answer.status_code, '')}", answer.status_code)
        if answer.status_code == httpx.codes.NO_CONTENT:
            return {}
        try:
            body = answer.json()
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise AirflowRequestError(
                f"{url} answered with {answer.text[:80]!r}, which is not an answer of Airflow's API. Set "
                "Airflow's address with --airflow-url."
            )
        return body


def _host(url: str) -> str:
    """Return the host of Airflow's address.

    :raises AirflowRequestError: it is not an address.
    """
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise AirflowRequestError(f"Airflow's address is {url!r} ({error}); {_EXPECTED_URL}") from error
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise AirflowRequestError(f"Airflow's address is {url!r}; {_EXPECTED_URL}")
    return parsed.host


def _run_path(dag_id: str, run_id: str) -> str:
    return f"/dags/{quote(dag_id)}/dagRuns/{quote(run_id, safe='')}"


def _log_lines(line: Any) -> Iterator[str]:
    """Yield the message of a log line, and those of its exceptions."""
    if not isinstance(line, dict):
        line = {"event": line}
    if not (event := str(line.get("event", ""))).startswith("::"):
        yield event
    for error in line.get("error_detail") or ():
        yield f"{error['exc_type']}: {error['exc_value']}"


def _detail(answer: httpx.Response) -> str:
    try:
        detail = answer.json().get("detail", answer.text)
    except (ValueError, AttributeError):
        detail = answer.text
    return cut(str(detail), _MAX_DETAIL)
