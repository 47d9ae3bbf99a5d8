"""What the page's routes answer, and to whom."""

from __future__ import annotations

import pytest

from tests.e2e.page.access import OUTSIDER
from tests.e2e.page.records import BRANCH, WAIT, seeded_runs
from tests.e2e.page.server import ADMIN, PageServer

pytestmark = [pytest.mark.thorough, pytest.mark.xdist_group("page")]
RUNS = "api/dags/train/runs"


def test_a_viewer_without_access_to_a_dag_neither_sees_nor_fetches_it(server: PageServer) -> None:
    with server.client(ADMIN) as admin, server.client(OUTSIDER) as outsider:
        assert admin.get("api/dags").json() == {"dag_ids": ["history", "train"]}
        assert outsider.get("api/dags").json() == {"dag_ids": ["history"]}
        assert outsider.get("api/dags/history/runs", params={"limit": 1}).is_success
        refused = [
            outsider.get(RUNS),
            outsider.get(RUNS, params={"run_id": "failed"}),
            outsider.get("api/dags/~/runs"),
            # What the browser holds from another viewer is not confirmed either.
            outsider.get(RUNS, headers={"if-none-match": admin.get(RUNS).headers["etag"]}),
            # Neither does a second DAG in the query mislead the check.
            outsider.get(RUNS, params={"dag_id": "history"}),
        ]
        assert [answer.status_code for answer in refused] == [403] * len(refused)
        assert "accepted" not in "".join(answer.text for answer in refused)


def test_nobody_reads_without_a_session(server: PageServer) -> None:
    with server.client(None) as nobody:
        assert [nobody.get(path).status_code for path in ("api/dags", RUNS)] == [401, 401]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_nothing_writes(server: PageServer, method: str) -> None:
    with server.client(ADMIN) as admin:
        assert admin.request(method, RUNS).status_code == 405
        assert admin.request(method, "api/dags").status_code == 405


def test_each_run_comes_with_what_its_tasks_pushed(server: PageServer) -> None:
    with server.client(ADMIN) as admin:
        answer = admin.get(RUNS).json()
    seeded = sorted(seeded_runs(), key=lambda run: run.start, reverse=True)
    assert [run["run_id"] for run in answer["runs"]] == [
        run.run_id for run in seeded if run.dag_id == "train"
    ]
    assert answer["more"] is False
    found = {run["run_id"]: run["executions"] for run in answer["runs"]}
    for run in seeded_runs():
        pushed = run.xcoms.get((WAIT, "execution"))
        if pushed and run.dag_id == "train" and run.task_state == "success":
            (execution,) = [one for one in found[run.run_id] if one["execution"] == pushed]
            assert execution["gate"] == run.xcoms.get((BRANCH, "gate"))
    assert found["no_execution"] == []
    # What their tasks have pushed belongs to the attempt before they were cleared.
    assert found["cleared"] == found["cleared_in_vain"] == []
    assert found["older_version"][0]["execution"] == {"instance_seconds": 33}
    assert found["older_version"][0]["gate"]["value"] == 3.75


def test_a_run_that_goes_on_shows_the_steps_that_its_mirrors_have_seen(server: PageServer) -> None:
    with server.client(ADMIN) as admin:
        (run,) = admin.get(RUNS, params={"run_id": "running"}).json()["runs"]
    (execution,) = run["executions"]
    assert [step["name"] for step in execution["execution"]["steps"]] == ["AbaloneProcess"]


def test_the_browser_gets_an_answer_once(server: PageServer) -> None:
    """Its cache keeps ended runs, and asks each time whether they still hold."""
    with server.client(ADMIN) as admin:
        first = admin.get("api/dags/history/runs")
        assert first.headers["cache-control"] == "private, no-cache"
        again = admin.get("api/dags/history/runs", headers={"if-none-match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert (
            admin.get("api/dags/history/runs", params={"offset": 100}).headers["etag"]
            != first.headers["etag"]
        )


def test_pages_of_a_long_history_follow_each_other(server: PageServer) -> None:
    with server.client(ADMIN) as admin:
        first, last = (
            admin.get("api/dags/history/runs", params={"offset": offset}).json() for offset in (0, 900)
        )
    assert [first["runs"][i]["run_id"] for i in (0, 99)] == ["run-999", "run-900"]
    assert (first["more"], last["more"]) == (True, False)
    assert last["runs"][-1]["run_id"] == "run-0"
