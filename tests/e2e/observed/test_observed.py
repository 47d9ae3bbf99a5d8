"""Lineage and measures as a worker and a triggerer of a real Airflow send them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from sagemaker_local_runtime.images.ports import free_port
from sagemaker_pipelines.exceptions import AirflowRequestError
from stack.bootstrap import upload
from stack.lifecycle import Stack
from stack.settings import StackSettings
from tests.e2e.project.conftest import BAD_ROW, Airflow, Run
from tests.unit.sagemaker_pipelines.statsd_server import StatsdServer
from tests.waiting import PATIENT, RUN_SECONDS, until

pytestmark = pytest.mark.thorough

WAIT = "abalone_train.wait_for_pipeline"
TAG = "pipeline_name=abalone"


class Observed(Airflow):
    """An Airflow whose lineage goes to a file, and whose metrics go to a server of the test."""

    def __init__(self, stack: Stack, events: Path, statsd: StatsdServer) -> None:
        super().__init__(stack)
        self._events = events
        self.statsd = statsd

    def events(self, job: str, run: Run) -> list[dict[str, Any]]:
        """Return the events of a job, and of the steps below it, that belong to a DAG run."""
        found = [json.loads(line) for line in self._events.read_text().splitlines()]
        task = next(
            event["run"]["runId"]
            for event in found
            if event["job"]["name"] == job
            and event["run"]["facets"].get("airflow", {}).get("dagRun", {}).get("run_id") == run.run_id
        )
        return [event for event in found if task in (event["run"]["runId"], parent_of(event))]

    def until_event(self, job: str, run: Run, state: str) -> list[dict[str, Any]]:
        """Return the events of a job once it has ended: a listener may be slower than its task."""

        def ready() -> list[dict[str, Any]] | None:
            events = self.events(job, run)
            ended = any(event["job"]["name"] == job and event["eventType"] == state for event in events)
            return events if ended else None

        return until(ready, f"{job} {state}")


def parent_of(event: dict[str, Any]) -> str | None:
    parent = event["run"]["facets"].get("parent")
    return parent["run"]["runId"] if parent else None


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Observed]:
    folder = tmp_path_factory.mktemp("observed")
    events = folder / "events.jsonl"
    settings = StackSettings(state_dir=folder / "stack", airflow_port=free_port(), runtime_port=free_port())
    with StatsdServer() as statsd:
        transport = {"type": "file", "log_file_path": str(events), "append": True}
        env = {
            **PATIENT,
            **statsd.environment(),
            "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(transport),
            "AIRFLOW__OPENLINEAGE__NAMESPACE": "tests",
            "AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY": "1",
        }
        stack = Stack(settings, extra_env=env)
        stack.up()
        try:
            until(lambda: "abalone_train" in stack.api.dag_ids(), "the DAG files to be read")
            stack.api.unpause("abalone_train")
            stack.api.unpause("abalone_score")
            yield Observed(stack, events, statsd)
        finally:
            stack.down()


@pytest.fixture(scope="module")
def runs(observed: Observed) -> dict[str, Run]:
    """One run that is accepted, and one whose first step fails, side by side."""
    (bad,) = upload(observed.settings, {"bad/abalone.csv": BAD_ROW})
    confs = {"accepted": {"ModelApprovalStatus": "Approved"}, "failed": {"InputData": bad}}
    for name, conf in confs.items():
        observed.api.trigger("abalone_train", conf, run_id=name)
    return {
        name: until(partial(ended, observed, name), f"{name} to end", seconds=RUN_SECONDS) for name in confs
    }


def ended(observed: Observed, run_id: str) -> Run | None:
    """Return a run that has ended; None if it goes on, or if a busy Airflow has not answered."""
    try:
        return observed.finished("abalone_train", run_id)
    except AirflowRequestError:
        return None


def record(observed: Observed, run: Run) -> dict[str, Any]:
    return dict(observed.api.xcom(run.dag_id, run.run_id, "wait_for_pipeline", "execution"))


def datasets(event: dict[str, Any], side: str) -> set[str]:
    return {f"{each['namespace']}/{each['name']}" for each in event[side]}


def test_the_lineage_of_an_accepted_run_is_that_of_its_record(
    observed: Observed, runs: dict[str, Run]
) -> None:
    run = runs["accepted"]
    assert run.state == "success"
    events = observed.until_event(WAIT, run, "COMPLETE")
    steps = {step["name"]: step for step in record(observed, run)["steps"]}
    children = {
        event["job"]["name"].removeprefix(f"{WAIT}."): event
        for event in events
        if event["job"]["name"].startswith(f"{WAIT}.") and event["eventType"] == "COMPLETE"
    }
    assert set(children) == set(steps)
    for name, child in children.items():
        assert datasets(child, "outputs") == {uri.rstrip("/") for uri in steps[name].get("outputs", ())}
    (ended,) = [
        event for event in events if event["job"]["name"] == WAIT and event["eventType"] == "COMPLETE"
    ]
    (model,) = steps["AbaloneTrain"]["outputs"]
    assert model.endswith("model.tar.gz")
    assert {model, *steps["AbaloneTransform"]["outputs"]} <= datasets(ended, "outputs")
    (data,) = [uri for uri in steps["AbaloneProcess"]["inputs"] if uri.endswith(".csv")][:1]
    assert data in datasets(ended, "inputs")
    assert not datasets(ended, "inputs") & datasets(ended, "outputs")
    facet = ended["run"]["facets"]["sagemakerPipelines_execution"]
    assert facet["modelPackageArn"] == steps["AbaloneRegisterModel"]["arn"]
    assert facet["modelVersion"] == 1


def test_the_branch_tells_the_metric_and_the_model(observed: Observed, runs: dict[str, Run]) -> None:
    run = runs["accepted"]
    gate = observed.api.xcom(run.dag_id, run.run_id, "branch_on_mse", "gate")
    events = observed.until_event("abalone_train.branch_on_mse", run, "COMPLETE")
    (ended,) = [event for event in events if event["eventType"] == "COMPLETE"]
    facet = ended["run"]["facets"]["sagemakerPipelines_gate"]
    assert (facet["metric"], facet["value"], facet["verdict"]) == ("mse", gate["value"], "accepted")
    assert facet["modelPackageArn"] == gate["model_package_arn"]
    assert datasets(ended, "inputs") == {gate["report_uri"]}


def test_a_step_that_failed_is_a_failed_child_of_the_failed_task(
    observed: Observed, runs: dict[str, Run]
) -> None:
    run = runs["failed"]
    assert run.state == "failed"
    events = observed.until_event(WAIT, run, "FAIL")
    failed = next(event for event in events if event["job"]["name"] == f"{WAIT}.AbaloneProcess")
    assert parent_of(failed) in {event["run"]["runId"] for event in events if event["job"]["name"] == WAIT}
    ends = [event["eventType"] for event in events if event["job"]["name"] == f"{WAIT}.AbaloneProcess"]
    assert "FAIL" in ends


def test_workers_and_the_triggerer_send_their_measures(observed: Observed, runs: dict[str, Run]) -> None:
    statsd = observed.statsd
    for counted in ("starts", "waits.succeeded", "waits.failed", "verdicts.accepted", "poller.step_lists"):
        assert statsd.until(f"{counted},{TAG}:").endswith("|c")
    # The triggerer polls, and its delay follows from two polls.
    assert statsd.until(f"poller.calls,{TAG}:1|c")
    assert statsd.until(f"poller.delay,{TAG}:").endswith("|ms")
    value = observed.api.xcom("abalone_train", "accepted", "branch_on_mse", "gate")["value"]
    assert statsd.until(f"metric,{TAG}:{value}|g")
    seconds = round(record(observed, runs["accepted"])["instance_seconds"])
    assert statsd.until(f"instance_seconds,{TAG}:{seconds}|c")
    # The retries of the wait resume the execution that failed.
    assert statsd.until(f"resumes,{TAG}:1|c")
