"""The mirrors of DESIGN's rule on them, each case through a real scheduler, triggerer and API server."""

from __future__ import annotations

import re

import pytest

from tests.e2e.crash.harness import TRIGGERER
from tests.e2e.mirrors.conftest import MirrorStack

pytestmark = pytest.mark.thorough

NOT_ASKED = {"Work": "success", "Ask": "success", "Hold": "skipped"}
ASKED = NOT_ASKED | {"Hold": "success"}
BROKEN = {"Work": "failed", "Ask": "upstream_failed", "Hold": "upstream_failed"}


def test_a_step_that_fails_is_not_red_if_the_retry_of_the_wait_resumes_it(mirrors: MirrorStack) -> None:
    run_id = mirrors.start_run(Mode="once")
    assert mirrors.ended("mirrored", run_id) == "success"
    assert mirrors.task("mirrored", run_id, "wait_for_pipeline")["try_number"] >= 2
    assert mirrors.mirrors("mirrored", run_id) == NOT_ASKED
    assert mirrors.task("mirrored", run_id, "steps.Work")["try_number"] == 1


def test_failed_for_good_is_red_with_the_cause_and_the_run_fails(mirrors: MirrorStack) -> None:
    run_id = mirrors.start_run(Mode="fail")
    assert mirrors.ended("mirrored", run_id) == "failed"
    assert mirrors.mirrors("mirrored", run_id) == BROKEN
    assert "the work broke" in mirrors.api.log("mirrored", run_id, "steps.Work")


def test_a_tolerated_failure_is_red_and_the_run_goes_on(mirrors: MirrorStack) -> None:
    run_id = mirrors.start_run("tolerant", Mode="fail")
    assert mirrors.ended("tolerant", run_id) == "success"
    # SageMaker itself runs the step for failures.
    assert mirrors.mirrors("tolerant", run_id) == BROKEN | {"Report": "success"}
    assert "a failure of this step is tolerated" in mirrors.api.log("tolerant", run_id, "steps.Work")


def test_what_somebody_stops_is_red(mirrors: MirrorStack) -> None:
    run_id = mirrors.start_run(Mode="sleep")
    arn = mirrors.arn("mirrored", run_id)
    mirrors.until_step(arn, "Work")
    mirrors.sagemaker.stop_pipeline_execution(PipelineExecutionArn=arn, ClientRequestToken=run_id * 8)
    assert mirrors.ended("mirrored", run_id) == "failed"
    assert mirrors.mirrors("mirrored", run_id)["Work"] == "failed"


def test_what_bills_more_than_the_form_allows_is_stopped(mirrors: MirrorStack) -> None:
    run_id = mirrors.start_run(Mode="sleep", MaxInstanceSeconds=2)
    arn = mirrors.arn("mirrored", run_id)
    assert mirrors.ended("mirrored", run_id) == "failed"
    described = mirrors.sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
    assert described["PipelineExecutionStatus"] in {"Stopping", "Stopped"}
    tries = mirrors.task("mirrored", run_id, "wait_for_pipeline")["try_number"]
    log = mirrors.api.log("mirrored", run_id, "wait_for_pipeline", tries)
    assert re.search(r"was stopped: \d+ instance-seconds were billed, and max_instance_seconds is 2\.", log)
    assert mirrors.mirrors("mirrored", run_id)["Work"] == "failed"


def test_a_cache_hit_names_its_source(mirrors: MirrorStack) -> None:
    first = mirrors.start_run(Marker="cached")
    assert mirrors.ended("mirrored", first) == "success"
    second = mirrors.start_run(Marker="cached")
    assert mirrors.ended("mirrored", second) == "success"
    assert mirrors.mirrors("mirrored", second) == NOT_ASKED
    step = mirrors.api.xcom("mirrored", second, "steps.Work", "step")
    assert step["is_cache_hit"] is True
    assert step["source"] == mirrors.arn("mirrored", first)


def test_what_a_selective_execution_leaves_out_is_skipped(mirrors: MirrorStack) -> None:
    first = mirrors.start_run()
    assert mirrors.ended("mirrored", first) == "success"
    source = mirrors.arn("mirrored", first)
    run_id = mirrors.start_run("selective", Source=source)
    assert mirrors.ended("selective", run_id) == "success"
    assert mirrors.mirrors("selective", run_id) == NOT_ASKED | {"Work": "skipped"}


def test_a_mirror_that_is_cleared_reads_the_same_execution_again(mirrors: MirrorStack) -> None:
    run_id = mirrors.start_run()
    assert mirrors.ended("mirrored", run_id) == "success"
    arn = mirrors.arn("mirrored", run_id)
    mirrors.clear("mirrored", run_id, "steps.Work")
    mirrors.until(lambda: mirrors.task("mirrored", run_id, "steps.Work")["try_number"] == 2, "the clear")
    assert mirrors.ended("mirrored", run_id) == "success"
    assert mirrors.mirrors("mirrored", run_id) == NOT_ASKED
    assert mirrors.arn("mirrored", run_id) == arn


def test_a_clear_of_the_start_shows_the_new_execution(mirrors: MirrorStack) -> None:
    run_id = mirrors.start_run()
    assert mirrors.ended("mirrored", run_id) == "success"
    before = mirrors.api.xcom("mirrored", run_id, "steps.Work", "step")["arn"]
    body = {"dry_run": False, "dag_run_id": run_id, "task_ids": ["start_pipeline"], "only_failed": False}
    body |= {"include_downstream": True, "reset_dag_runs": True}
    mirrors.api.call("POST", "/dags/mirrored/clearTaskInstances", json=body)
    mirrors.until(lambda: mirrors.task("mirrored", run_id, "start_pipeline")["try_number"] == 2, "the clear")
    assert mirrors.ended("mirrored", run_id) == "success"
    assert mirrors.mirrors("mirrored", run_id) == NOT_ASKED
    after = mirrors.api.xcom("mirrored", run_id, "steps.Work", "step")
    # The second execution takes the result of the first from the cache.
    assert (after["arn"], after["is_cache_hit"]) == (before, True)


def test_a_triggerer_that_is_killed_loses_no_mirror(mirrors: MirrorStack) -> None:
    run_id = mirrors.start_run(Ask="yes")
    arn = mirrors.arn("mirrored", run_id)
    mirrors.until_step(arn, "Hold")
    mirrors.until_task("mirrored", run_id, "steps.Hold", "deferred")
    mirrors.kill(TRIGGERER)
    mirrors.start(TRIGGERER)
    mirrors.release(arn)
    assert mirrors.ended("mirrored", run_id) == "success"
    assert mirrors.mirrors("mirrored", run_id) == ASKED


def test_marking_the_run_failed_ends_the_mirrors_and_stops_the_execution(mirrors: MirrorStack) -> None:
    run_id = mirrors.start_run(Mode="sleep")
    arn = mirrors.arn("mirrored", run_id)
    mirrors.until_step(arn, "Work")
    mirrors.until(lambda: mirrors.is_watched(run_id), "the triggerer to watch the execution")
    mirrors.patch(f"/dags/mirrored/dagRuns/{run_id}", {"state": "failed"})
    mirrors.until_step(arn, "Work", "Stopped")
    assert mirrors.mirrors("mirrored", run_id)["Work"] == "failed"


def test_each_date_of_a_backfill_has_its_own_steps(mirrors: MirrorStack) -> None:
    conf = {"dag_run_conf": {"Marker": "backfill"}, "max_active_runs": 5}
    backfill = mirrors.api.create_backfill("mirrored", "2026-02-01T00:00:00Z", "2026-02-05T00:00:00Z", **conf)

    def ended() -> bool:
        runs = mirrors.api.backfill_runs(backfill)
        return len(runs) == 5 and all(run["state"] in ("success", "failed") for run in runs)

    mirrors.until(ended, "the backfill to end")
    runs = mirrors.api.backfill_runs(backfill)
    assert {run["state"] for run in runs} == {"success"}
    assert all(mirrors.mirrors("mirrored", run["dag_run_id"]) == NOT_ASKED for run in runs)
    assert len({mirrors.arn("mirrored", run["dag_run_id"]) for run in runs}) == 5
