"""Starts keep to the environment's ``max_executing``, through a real Airflow."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any

import pytest

from sagemaker_local_runtime.settings import Settings
from sagemaker_local_runtime.testing_client import Endpoint
from tests.e2e.project.conftest import MAX_EXECUTING, Airflow
from tests.waiting import RUN_SECONDS, until

pytestmark = pytest.mark.thorough

DAG, PIPELINE = "limited", "limited-hold"
WAITING = 3
ENDED = ("success", "failed")


class Limited:
    """Runs whose executions last until they are released."""

    def __init__(self, airflow: Airflow) -> None:
        self.airflow = airflow
        runtime = Settings(data_dir=airflow.settings.runtime_data_dir)
        self.endpoint = Endpoint(airflow.settings.runtime_url, runtime)
        self.sagemaker = self.endpoint.client("sagemaker", retries=3)
        queue = self.endpoint.client("sqs").create_queue(QueueName="limited")["QueueUrl"]
        hold = {"Name": "Hold", "Type": "Callback", "SqsQueueUrl": queue, "Arguments": {"why": "test"}}
        self.endpoint.create_pipeline({"Version": "2020-12-01", "Steps": [hold]}, PIPELINE)

    def start(self, run_id: str) -> dict[str, Any]:
        (task,) = self.airflow.api.task_instances(DAG, run_id)
        return task

    def is_put_off(self, run_id: str) -> bool:
        return bool(self.start(run_id)["state"] == "up_for_reschedule")

    def asked(self, run_id: str) -> int:
        """Return how often the run's start has found no room."""
        if not self.start(run_id)["try_number"]:
            return 0  # and no log
        return self.airflow.api.log(DAG, run_id, "start").count("Retrying in")

    def executing(self) -> list[str]:
        return [
            execution["PipelineExecutionArn"]
            for execution in self.airflow.executions(PIPELINE)
            if execution["PipelineExecutionStatus"] == "Executing"
        ]

    def release(self, arn: str) -> None:
        """Answer the execution's Callback step, so that it ends."""
        for step in self.endpoint.steps(arn).values():
            if token := step["Metadata"].get("Callback", {}).get("CallbackToken"):
                self.sagemaker.send_pipeline_execution_step_success(CallbackToken=token)

    def ended(self, run_ids: list[str]) -> bool:
        """Make room for one once there is none, and return whether all the runs have ended."""
        executing, started = self.executing(), self.airflow.executions(PIPELINE)
        if executing and (len(executing) >= MAX_EXECUTING or len(started) == len(run_ids)):
            self.release(executing[-1])
        return all(self.airflow.api.run(DAG, run_id)["state"] in ENDED for run_id in run_ids)

    def spans(self) -> list[tuple[datetime, datetime]]:
        """Return when each execution has begun and ended."""
        described = [
            self.sagemaker.describe_pipeline_execution(PipelineExecutionArn=item["PipelineExecutionArn"])
            for item in self.airflow.executions(PIPELINE)
        ]
        return [(execution["CreationTime"], execution["LastModifiedTime"]) for execution in described]


def test_starts_wait_without_a_try_while_the_environment_is_full(airflow: Airflow) -> None:
    limited = Limited(airflow)
    first = [airflow.api.trigger(DAG, {}, run_id=f"first-{n}") for n in range(MAX_EXECUTING)]
    until(lambda: len(limited.executing()) == MAX_EXECUTING, "the first executions")
    waiting = [airflow.api.trigger(DAG, {}, run_id=f"waiting-{n}") for n in range(WAITING)]
    until(lambda: all(limited.asked(run_id) >= 2 for run_id in waiting), "each to ask twice")
    assert len(airflow.executions(PIPELINE)) == MAX_EXECUTING
    for run_id in waiting:
        until(partial(limited.is_put_off, run_id), f"{run_id} to wait outside a worker")

    runs = [*first, *waiting]
    until(lambda: limited.ended(runs), "all to end", seconds=RUN_SECONDS)
    assert {airflow.finished(DAG, run_id).state for run_id in runs} == {"success"}
    assert {limited.start(run_id)["try_number"] for run_id in runs} == {1}
    spans = limited.spans()
    assert len(spans) == len(runs)
    # Starts that count at the same moment may all see the room that one execution has left, but no room of
    # one that has not ended.
    first_end = min(end for _, end in spans)
    assert sum(begun < first_end for begun, _ in spans) == MAX_EXECUTING
