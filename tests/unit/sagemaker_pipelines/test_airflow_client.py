"""The client of Airflow's REST API, against an Airflow that answers what a test says."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
import pytest

from sagemaker_pipelines.airflow_client import AirflowClient
from sagemaker_pipelines.exceptions import AirflowRequestError

BACKFILL = {"id": 7, "dag_id": "train", "from_date": "2026-01-01", "to_date": "2026-01-30"}
RUN = {"dag_id": "train", "dag_run_id": "backfill__1+00:00", "queued_at": "2026-01-05T00:00:00Z"}


class Answers:
    """What is asked, in order, and the answers."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.asked: list[httpx.Request] = []
        self._answers = list(answers)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def client(monkeypatch: pytest.MonkeyPatch, answers: Answers, **options: Any) -> AirflowClient:
    made = httpx.Client(transport=httpx.MockTransport(answers))
    monkeypatch.setattr(httpx, "Client", lambda **_: made)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    return AirflowClient("http://airflow:8080/", **options)


def ok(document: Any) -> httpx.Response:
    return httpx.Response(200, json=document)


def test_a_user_is_logged_in_and_the_token_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = Answers(ok({"access_token": "t0ken"}), ok(BACKFILL))
    assert client(monkeypatch, answers, username="ann", password="pw").backfill(7) == BACKFILL
    assert json.loads(answers.asked[0].content) == {"username": "ann", "password": "pw"}
    assert answers.asked[1].headers["Authorization"] == "Bearer t0ken"
    assert answers.asked[1].url.path == "/api/v2/backfills/7"


BUSY = httpx.Response(503, json={"detail": "Database is locked."})
SLOW = httpx.ReadTimeout("timed out")


@pytest.mark.parametrize("first", [BUSY, httpx.Response(500), SLOW])
def test_an_airflow_that_is_busy_is_asked_again(monkeypatch: pytest.MonkeyPatch, first: Any) -> None:
    answers = Answers(first, ok(BACKFILL))
    assert client(monkeypatch, answers).backfill(7) == BACKFILL
    assert len(answers.asked) == 2


def test_an_airflow_that_stays_busy_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AirflowRequestError, match=r"has not answered GET .* within 30 s"):
        client(monkeypatch, Answers(*[SLOW] * 8)).backfill(7)


@pytest.mark.parametrize("status", [200, 409])
def test_a_trigger_is_sent_again_for_the_same_run(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    answers = Answers(
        BUSY,
        SLOW,
        httpx.Response(status, json={"detail": "It exists."}),
    )
    run_id = client(monkeypatch, answers).trigger("train", {"a": 1})
    sent = [json.loads(request.content) for request in answers.asked]
    assert sent == [{"logical_date": None, "conf": {"a": 1}, "dag_run_id": run_id}] * 3


def test_a_run_that_existed_before_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = Answers(httpx.Response(409, json={"detail": "It exists."}))
    with pytest.raises(AirflowRequestError, match="409"):
        client(monkeypatch, answers).trigger("train", {}, run_id="mine")
    assert len(answers.asked) == 1


def test_a_backfill_is_created_again_while_the_dag_is_paused(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = [httpx.Response(status, json={"detail": "Not now"}) for status in (503, 409)]
    answers = Answers(ok({}), *refused, ok(BACKFILL), ok({}))
    made = client(monkeypatch, answers).create_backfill(
        "train", "2026-01-01", "2026-01-30", max_active_runs=2
    )
    assert made == BACKFILL
    asked = [(request.method, json.loads(request.content)) for request in answers.asked]
    assert asked[0] == ("PATCH", {"is_paused": True})
    assert [method for method, _ in asked[1:-1]] == ["POST"] * 3
    assert asked[1][1]["max_active_runs"] == 2
    assert asked[-1] == ("PATCH", {"is_paused": False})


def test_an_xcom_that_was_not_pushed_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = Answers(httpx.Response(404, json={"detail": "XCom entry not found"}))
    assert client(monkeypatch, answers).xcom("train", "r", "start", map_index=3) is None
    assert answers.asked[0].url.params["map_index"] == "3"


def test_a_refusal_names_the_request_and_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = Answers(httpx.Response(404, json={"detail": "Backfill not found"}))
    with pytest.raises(AirflowRequestError, match=r"404 to GET .*/backfills/7: Backfill not found") as caught:
        client(monkeypatch, answers).backfill(7)
    assert caught.value.status == 404


@pytest.mark.parametrize(("status", "cure"), [(401, "--token"), (403, "--token"), (404, "Check the id")])
def test_a_refusal_says_what_to_do(monkeypatch: pytest.MonkeyPatch, status: int, cure: str) -> None:
    answers = Answers(httpx.Response(status, json={"detail": "No"}))
    with pytest.raises(AirflowRequestError, match=cure):
        client(monkeypatch, answers).backfill(7)


@pytest.mark.parametrize("content", [b"<html>", b"[]", b"", b"\xff"])
def test_what_is_not_airflow_is_named(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    with pytest.raises(AirflowRequestError, match=r"not an answer of Airflow's API.*--airflow-url"):
        client(monkeypatch, Answers(httpx.Response(200, content=content))).backfill(7)


@pytest.mark.parametrize("url", ["airflow", "", "http://", "ftp://airflow", "http://a:b"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(AirflowRequestError, match="expected one such as http://localhost:8080"):
        AirflowClient(url)


def test_cancelling_a_backfill_that_has_ended_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = Answers(httpx.Response(409, json={"detail": "Backfill is already completed."}))
    assert client(monkeypatch, answers).cancel_backfill(7) is False


def test_the_runs_of_all_pages_come_by_date(monkeypatch: pytest.MonkeyPatch) -> None:
    def page(*days: int) -> httpx.Response:
        runs = [{"logical_date": f"2026-01-{day:02}", "dag_run_id": str(day)} for day in days]
        return ok({"dag_runs": runs, "total_entries": 101})

    answers = Answers(page(*range(30, 1, -1)), page(1))
    runs = client(monkeypatch, answers).backfill_runs(BACKFILL)
    assert [run["dag_run_id"] for run in runs] == [str(day) for day in range(1, 31)]
    assert [request.url.params["offset"] for request in answers.asked] == ["0", "100"]
    assert answers.asked[0].url.params["run_type"] == "backfill"


def tasks(**states: str | None) -> httpx.Response:
    """The task instances of a run, by their ids."""
    found = [{"task_id": task_id, "state": state} for task_id, state in states.items()]
    return ok({"task_instances": found, "total_entries": len(found)})


def test_what_a_task_pushed_before_it_was_cleared_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def entry(key: str, task_id: str) -> dict[str, Any]:
        return {"key": key, "task_id": task_id, "map_index": -1, "timestamp": "2026-01-05T01:00:00Z"}

    entries = [entry("metric", "branch"), entry("verdict", "wait"), entry("other", "wait")]
    answers = Answers(
        tasks(branch=None, wait="deferred"),
        ok({"xcom_entries": entries, "total_entries": 3}),
        ok({"value": "accepted"}),
    )
    found = client(monkeypatch, answers).xcoms(RUN, frozenset({"metric", "verdict"}))
    assert found == {"verdict": "accepted"}
    assert answers.asked[2].url.raw_path.startswith(b"/api/v2/dags/train/dagRuns/backfill__1%2B00%3A00/")


def test_what_follows_the_training_does_not_replace_its_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even after a clear of the comparison alone, which queues the run again."""

    def entry(task_id: str, hour: int) -> dict[str, Any]:
        pushed = f"2026-01-06T{hour:02}:00:00Z"
        return {"key": "execution", "task_id": task_id, "map_index": -1, "timestamp": pushed}

    entries = [entry("compare_with_champion.wait_for_pipeline", 3), entry("wait_for_pipeline", 2)]
    ended = tasks(**{"wait_for_pipeline": "success", "compare_with_champion.wait_for_pipeline": "success"})
    answers = Answers(ended, ok({"xcom_entries": entries, "total_entries": 2}), ok({"value": "record"}))
    cleared = {**RUN, "queued_at": "2026-01-06T02:30:00Z"}
    assert client(monkeypatch, answers).xcoms(cleared, frozenset({"execution"})) == {"execution": "record"}
    assert len(answers.asked) == 3
    assert b"/taskInstances/wait_for_pipeline/" in answers.asked[2].url.raw_path
