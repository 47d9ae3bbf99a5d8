"""A cluster that loses part by part while runs are in flight: every run ends rightly, with one execution."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import boto3
import pytest

from sagemaker_pipelines.exceptions import AirflowRequestError
from tests.distributed.cluster import Cluster
from tests.distributed.conftest import FULL, Say
from tests.distributed.containers import missing

MISSING = missing()
pytestmark = [
    pytest.mark.thorough,
    pytest.mark.skipif(
        bool(MISSING),
        reason=f"LEFT OUT, because {', '.join(MISSING)} is missing: the cluster that loses part by part "
        "(Debian: apt-get install postgresql redis-server)",
    ),
]

RUNS = 30 if FULL else 20
TRAIN, SCORE = "abalone_train", "abalone_score"
RUN_SECONDS = 1500.0
# What is killed, and what is started in its place; a part that has a peer is not waited for.
LOSSES = {
    "worker-1": "worker-3",
    "triggerer-1": "triggerer-3",
    # With a second scheduler nobody replaces the first.
    "scheduler-1": None if FULL else "scheduler-1",
    "redis": "redis",
    "api-server": "api-server",
    **({"postgres": "postgres"} if FULL else {}),
}


class Watch:
    """What the test sees of the cluster's runs and executions."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.api = cluster.api
        self.sagemaker = boto3.client(
            "sagemaker",
            region_name="us-east-1",
            endpoint_url=cluster.url("local-runtime"),
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        self.burst: list[str] = []

    def trigger(self, runs: int = 1) -> None:
        """Add runs to the burst."""
        for _ in range(runs):
            run_id = f"burst_{len(self.burst):02d}"
            self.api.trigger(TRAIN, {"ModelApprovalStatus": "Approved"}, run_id=run_id)
            self.burst.append(run_id)

    def until(self, ready: Callable[[], Any], what: str) -> Any:
        """Return the first true answer; what ends by itself meanwhile is started again."""
        deadline = time.monotonic() + RUN_SECONDS
        while True:
            try:
                if answer := ready():
                    return answer
            except AirflowRequestError as error:
                # The API server may be one of those that had to be started again.
                what = f"{what} ({error})"[:2000]
            assert time.monotonic() < deadline, f"waited {RUN_SECONDS:.0f} s for {what}"
            self.cluster.revive()
            time.sleep(1)

    def executions(self, pipeline: str) -> list[dict[str, Any]]:
        pages = self.sagemaker.get_paginator("list_pipeline_executions")
        try:
            found = [page["PipelineExecutionSummaries"] for page in pages.paginate(PipelineName=pipeline)]
        except self.sagemaker.exceptions.ResourceNotFound:
            return []
        return [execution for page in found for execution in page]

    def in_flight(self) -> str:
        """Wait for an execution that runs, and say what a kill will hit: at least one DAG run."""

        def work() -> str:
            found = [*self.executions("abalone"), *self.executions("scoring")]
            executing = [e["PipelineExecutionStatus"] for e in found].count("Executing")
            runs = [run["state"] for dag_id in (TRAIN, SCORE) for run in self.api.runs(dag_id)]
            unended = len(runs) - runs.count("success") - runs.count("failed")
            if not unended:
                # The machine is faster than the kills.
                self.trigger()
            return f"{executing} executions ran in {unended} DAG runs" if executing else ""

        return str(self.until(work, "an execution to run"))

    def goes_on(self) -> None:
        """Wait until a few more tasks have succeeded."""

        def succeeded() -> int:
            path = "/dags/~/dagRuns/~/taskInstances"
            return int(self.api.call("GET", path, state="success", limit=1)["total_entries"])

        def goes_on() -> bool:
            if {run["state"] for run in self.api.runs(TRAIN)} <= {"success", "failed"}:
                self.trigger()
            return succeeded() >= before + 3

        before: int = self.until(succeeded, "a task to succeed")
        self.until(goes_on, "three more tasks to succeed")

    def states(self, dag_id: str) -> dict[str, str]:
        """Wait until all runs of a DAG have ended and return their states by run id."""

        def ended() -> dict[str, str]:
            states = {run["dag_run_id"]: run["state"] for run in self.api.runs(dag_id)}
            over = len(states) >= len(self.burst) and set(states.values()) <= {"success", "failed"}
            return states if over else {}

        found: dict[str, str] = self.until(ended, f"the runs of {dag_id} to end")
        return found

    def arns(self, dag_id: str, run_ids: list[str]) -> list[str]:
        """Return the execution that each run says it has started."""
        return [str(self.api.xcom(dag_id, run_id, "start_pipeline")) for run_id in run_ids]

    def retried(self, dag_id: str, run_ids: list[str]) -> Counter[str]:
        """Return how many tries each task needed beyond its first, over all runs."""
        tries: Counter[str] = Counter()
        for run_id in run_ids:
            for task in self.api.task_instances(dag_id, run_id):
                tries[task["task_id"]] += max(task["try_number"] - 1, 0)
        return +tries


@pytest.fixture(scope="module")
def watch(cluster: Cluster, say: Say) -> Watch:
    """The cluster after its losses: a burst was started, and each part killed while executions ran."""
    watch = Watch(cluster)
    watch.until(lambda: {TRAIN, SCORE} <= cluster.api.dag_ids(), "the DAG files to be read")
    for dag_id in (TRAIN, SCORE):
        cluster.api.unpause(dag_id)
    watch.trigger(RUNS)
    say(f"{RUNS} runs of {TRAIN} triggered")

    for part, replacement in LOSSES.items():
        work = watch.in_flight()
        say(f"killed {part} ({cluster.kill(part)} processes) while {work}")
        if replacement == part:
            cluster.start(replacement)
            say(f"{replacement} is healthy again")
        elif replacement:
            cluster.launch(replacement)
        watch.goes_on()
        say("three more tasks have succeeded")
    return watch


@pytest.mark.parametrize(("dag_id", "pipeline"), [(TRAIN, "abalone"), (SCORE, "scoring")])
def test_every_run_succeeds_with_exactly_one_execution(
    watch: Watch, say: Say, dag_id: str, pipeline: str
) -> None:
    states = watch.states(dag_id)
    found = watch.executions(pipeline)
    statuses = Counter(execution["PipelineExecutionStatus"] for execution in found)
    say(f"{dag_id}: runs {dict(Counter(states.values()))}, executions of {pipeline} {dict(statuses)}")
    say(f"{dag_id}: further tries {dict(watch.retried(dag_id, list(states))) or 'none'}")

    assert set(states.values()) == {"success"}, states
    assert len(states) == len(watch.burst)
    assert set(watch.burst) == states.keys() or dag_id == SCORE
    arns = watch.arns(dag_id, list(states))
    assert sorted(arns) == sorted(execution["PipelineExecutionArn"] for execution in found)
    assert statuses == {"Succeeded": len(watch.burst)}


def test_the_mirrors_and_the_page_show_every_run(watch: Watch, say: Say) -> None:
    states = watch.states(TRAIN)
    tasks = [task for run_id in states for task in watch.api.task_instances(TRAIN, run_id)]
    mirrors = Counter(task["state"] for task in tasks if task["task_id"].startswith("steps."))
    shown = {run["run_id"]: run["executions"] for run in watch.cluster.page(f"dags/{TRAIN}/runs")["runs"]}
    say(f"mirrors of {TRAIN}: {dict(mirrors)}; the page shows {len(shown)} runs")
    assert set(mirrors) <= {"success", "skipped"}
    assert mirrors["success"] >= len(watch.burst)
    assert {run_id: len(executions) for run_id, executions in shown.items()} == dict.fromkeys(states, 1)
    recorded = [executions[0]["execution"]["pipeline_execution_arn"] for executions in shown.values()]
    assert sorted(recorded) == sorted(watch.arns(TRAIN, list(states)))


def test_every_host_that_is_left_is_healthy(watch: Watch, say: Say) -> None:
    for host in watch.cluster.hosts:
        watch.cluster.wait_healthy(host)
    ended = dict(watch.cluster.ended) or "nothing"
    say(f"healthy: {', '.join(watch.cluster.hosts)}; ended by itself: {ended}")
