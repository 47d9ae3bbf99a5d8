"""Whose an execution is, and whether a task still watches it."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import pytest

from sagemaker_pipelines.task.logical_start import LogicalStart
from sagemaker_pipelines.task.sweeping import (
    AirflowRuns,
    Finding,
    Judge,
    SweepReport,
    SweptExecution,
    SweptModel,
)
from tests.unit.sagemaker_pipelines.samples import ARN, AirflowOfRuns

OTHER = ARN.replace("abcdefgh1234", "another12345")
START = LogicalStart(
    dag_id="train", run_id="r1", task_id="start", map_index=-1, generation="0" * 32, airflow_id="here"
)
OLD = dataclasses.replace(START, airflow_id=None)


def judged(airflow: AirflowOfRuns, start: LogicalStart = START, **options: Any) -> tuple[Finding, str]:
    judge = Judge(AirflowRuns(airflow), **{"airflow_id": "here", **options})  # type: ignore[arg-type]
    return judge.judge(ARN, start)


@pytest.mark.parametrize(
    ("tasks", "xcoms"),
    [
        ({"start": "running"}, {}),
        ({"start": "deferred"}, {"start": ARN}),
        ({"start": "up_for_retry"}, {}),
        ({"start": "success", "wait": None}, {"start": ARN}),
        ({"start": "success", "wait": "scheduled"}, {"start": ARN}),
        ({"start": "success", "wait": "deferred", "after": None}, {"start": ARN, "wait": ARN}),
        ({"start": "success", "wait": "up_for_retry"}, {"start": ARN, "wait": ARN}),
        ({"start": "success", "wait_0": "success", "wait_1": "running"}, {"start": ARN, "wait": [ARN, ARN]}),
    ],
)
def test_while_a_task_waits_or_may_come_to_wait_it_is_watched(
    tasks: dict[str, str | None], xcoms: dict[str, Any]
) -> None:
    assert judged(AirflowOfRuns("train", "r1", "running", tasks, xcoms)) == (Finding.WATCHED, "")


@pytest.mark.parametrize(
    ("state", "tasks", "xcoms", "reason"),
    [
        ("success", {"start": "success", "wait": "success"}, {"start": ARN}, "has ended"),
        ("failed", {"start": "failed", "wait": "upstream_failed"}, {}, "has ended"),
        (
            "running",
            {"start": "success", "wait": "success", "after": "running"},
            {"start": ARN, "wait": ARN},
            "its wait wait has ended as success",
        ),
        ("running", {"start": "success", "wait": None}, {"start": OTHER}, "has since started .*another12345"),
        ("running", {"start": "success", "wait": "skipped"}, {"start": ARN}, "no task left"),
    ],
)
def test_what_no_task_can_watch_any_longer_is_an_orphan(
    state: str, tasks: dict[str, str | None], xcoms: dict[str, Any], reason: str
) -> None:
    finding, why = judged(AirflowOfRuns("train", "r1", state, tasks, xcoms))
    assert finding is Finding.ORPHAN
    assert re.search(reason, why)


def test_a_deleted_run_leaves_an_orphan_if_the_description_has_this_airflows_id() -> None:
    assert judged(AirflowOfRuns())[0] is Finding.ORPHAN


@pytest.mark.parametrize("airflow_id", ["elsewhere", None])
def test_the_same_run_in_another_airflow_is_foreign(airflow_id: str | None) -> None:
    """Scheduled runs have equal ids everywhere: an equal run here, with its own execution, is no proof."""
    start = dataclasses.replace(START, airflow_id=airflow_id)
    here = AirflowOfRuns("train", "r1", "success", {"start": "success"}, {"start": OTHER})
    assert judged(here, start)[0] is Finding.FOREIGN
    assert judged(AirflowOfRuns(), start)[0] is Finding.FOREIGN


def test_an_airflow_without_an_id_takes_nothing_for_its_own_without_the_xcom() -> None:
    assert judged(AirflowOfRuns(), OLD, airflow_id=None)[0] is Finding.FOREIGN


def test_a_start_of_an_earlier_version_is_ours_by_its_xcom() -> None:
    here = AirflowOfRuns("train", "r1", "success", {"start": "success"}, {"start": ARN})
    assert judged(here, OLD) == (Finding.ORPHAN, "its DAG run has ended")


def test_a_mapped_start_is_asked_by_its_own_index() -> None:
    mapped = dataclasses.replace(OLD, map_index=1)
    here = AirflowOfRuns("train", "r1", "success", {}, {"start": [OTHER, ARN]})
    assert judged(here, mapped)[0] is Finding.ORPHAN
    assert judged(here, dataclasses.replace(OLD, map_index=0))[0] is Finding.FOREIGN


@pytest.mark.parametrize("name", [ARN, "0" * 32])
def test_what_the_user_names_counts_as_ours_but_stays_watched_if_it_is(name: str) -> None:
    foreign = dataclasses.replace(START, airflow_id="elsewhere")
    assert judged(AirflowOfRuns(), foreign, adopted=[name])[0] is Finding.ORPHAN
    running = AirflowOfRuns("train", "r1", "running", {"start": "running"}, {})
    assert judged(running, foreign, adopted=[name])[0] is Finding.WATCHED


def test_the_report_of_nothing_is_one_line_of_zeros() -> None:
    assert SweepReport().as_text() == (
        "0 orphaned executions, 0 models left, 0 watched, 0 too young to judge, 0 of other Airflows, "
        "0 not started by Airflow"
    )


def test_the_report_says_what_was_found_and_what_was_done() -> None:
    found: dict[str, Any] = {"pipeline_execution_arn": ARN, "status": "Executing", "started_at": "2026-11-23"}
    model: dict[str, Any] = {"model_arn": "", "created_at": "2026-11-23", "pipeline_execution_arn": ARN}
    report = SweepReport(
        orphans=[
            SweptExecution(**found, reason="gone", start=dataclasses.asdict(START)),
            SweptExecution(**found, reason="named", stopped=True),
        ],
        models=[SweptModel(**model, model_name="m1", deleted=True), SweptModel(**model, model_name="m2")],
        problems=["x could not be stopped"],
    )
    assert report.as_text().splitlines()[1:] == [
        f"  orphan   Executing  2026-11-23  {ARN}",
        "           train / r1 / start: gone",
        f"  stopped  Executing  2026-11-23  {ARN}",
        "           named by the user: named",
        "  deleted  2026-11-23  m1",
        f"           of {ARN}",
        "  model    2026-11-23  m2",
        f"           of {ARN}",
        "  problem  x could not be stopped",
    ]
