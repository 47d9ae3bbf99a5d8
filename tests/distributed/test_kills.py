"""A cluster that loses part by part while runs are in flight: every run ends rightly, with one execution."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from stack.exceptions import AirflowApiError
from tests.distributed.cluster import NEEDED, Cluster

MISSING = sorted(name for name, path in NEEDED.items() if not path)
pytestmark = [
    pytest.mark.distributed,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
]

BURST = int(os.environ.get("DISTRIBUTED_RUNS", "20"))
RUN_SECONDS = 1500


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    # Not pytest's folder: PostgreSQL's user must be able to enter it.
    folder = Path(tempfile.mkdtemp(prefix="cluster-"))
    folder.chmod(0o755)
    cluster = Cluster(folder)
    try:
        cluster.up()
        yield cluster
    finally:
        cluster.down()
        if not os.environ.get("DISTRIBUTED_KEEP"):
            shutil.rmtree(folder, ignore_errors=True)


def sagemaker(cluster: Cluster) -> Any:
    return boto3.client(
        "sagemaker",
        region_name="us-east-1",
        endpoint_url=f"http://127.0.0.1:{cluster.ports['local-runtime']}",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def executions(cluster: Cluster, pipeline: str) -> list[dict[str, Any]]:
    pages = sagemaker(cluster).get_paginator("list_pipeline_executions").paginate(PipelineName=pipeline)
    return [found for page in pages for found in page["PipelineExecutionSummaries"]]


def in_flight(cluster: Cluster) -> int:
    """Wait until executions run and return how many: a kill must hit work."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            statuses = Counter(e["PipelineExecutionStatus"] for e in executions(cluster, "abalone"))
        except sagemaker(cluster).exceptions.ResourceNotFound:
            statuses = Counter()
        if statuses["Executing"]:
            return statuses["Executing"]
        time.sleep(0.5)
    raise AssertionError("no execution is in flight any more: the burst is too small for the kills")


def ended(cluster: Cluster, dag_id: str, count: int) -> dict[str, str]:
    """Wait until so many runs of a DAG have ended and return their states."""
    deadline = time.monotonic() + RUN_SECONDS
    while True:
        try:
            states = {run["dag_run_id"]: run["state"] for run in cluster.api.runs(dag_id)}
        except AirflowApiError:
            states = {}
        if len(states) >= count and set(states.values()) <= {"success", "failed"}:
            return states
        assert time.monotonic() < deadline, f"{dag_id}: {Counter(states.values())} of {count}"
        time.sleep(2)


def test_every_run_of_a_burst_survives_the_loss_of_each_part(cluster: Cluster, capsys: Any) -> None:
    began = time.monotonic()

    def say(text: str) -> None:
        with capsys.disabled():
            print(f"{time.monotonic() - began:6.1f} s  {text}", flush=True)

    deadline = time.monotonic() + 120
    while not {"abalone_train", "abalone_score"} <= cluster.api.dag_ids():
        assert time.monotonic() < deadline, cluster.api.import_errors()
        time.sleep(1)
    for dag_id in ("abalone_train", "abalone_score"):
        cluster.api.unpause(dag_id)
    scheduled = {run["dag_run_id"] for run in cluster.api.runs("abalone_train")}
    burst = [f"burst_{number:02d}" for number in range(BURST)]
    for run_id in burst:
        cluster.api.trigger("abalone_train", {"ModelApprovalStatus": "Approved"}, run_id=run_id)
    say(f"{BURST} runs of abalone_train triggered")

    for part, service, replacement in (
        ("worker-1", "worker", "worker-3"),
        ("triggerer-1", "triggerer", "triggerer-3"),
        ("scheduler", "scheduler", "scheduler"),
        ("redis", "redis", "redis"),
        ("api-server", "api-server", "api-server"),
    ):
        running = in_flight(cluster)
        processes = cluster.kill(part)
        say(f"killed {part} ({processes} processes) while {running} executions ran")
        cluster.start(service, replacement)
        say(f"{replacement} is healthy")
    cluster.log_in()

    states = ended(cluster, "abalone_train", BURST)
    # The scheduled run awaits approval and scores nothing.
    scored = ended(cluster, "abalone_score", BURST)
    trained = executions(cluster, "abalone")
    statuses = Counter(found["PipelineExecutionStatus"] for found in trained)
    say(f"runs: {dict(Counter(states.values()))}, scoring runs: {dict(Counter(scored.values()))}")
    say(f"executions of abalone: {len(trained)} ({dict(statuses)})")
    tries = Counter(
        (task["task_id"], task["try_number"])
        for run_id in states
        for task in cluster.api.task_instances("abalone_train", run_id)
        if task["try_number"] > 1
    )
    say(f"tasks with more than one try: {dict(tries) or 'none'}")

    assert set(burst) | scheduled <= states.keys()
    assert set(states.values()) == {"success"}, states
    assert set(scored.values()) == {"success"}, scored
    arns = {run_id: cluster.api.xcom("abalone_train", run_id, "start_pipeline") for run_id in states}
    assert len(set(arns.values())) == len(states)
    assert sorted(found["PipelineExecutionArn"] for found in trained) == sorted(arns.values())
    assert statuses == {"Succeeded": len(states)}
    assert len(executions(cluster, "scoring")) == len(scored) == BURST
