"""What mirrors of the steps cost, and how soon a DAG run shows what SageMaker has done."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from sagemaker_local_runtime.images.ports import free_port
from sagemaker_local_runtime.settings import Settings
from sagemaker_local_runtime.testing_client import Endpoint
from stack.lifecycle import Stack
from stack.settings import StackSettings

EXECUTIONS = int(os.environ.get("BENCH_MIRRORED", "20"))
# Starts, upserts and the triggers' first looks are over by then.
SETTLE_SECONDS = 30.0
COUNTED_SECONDS = 60.0
PAUSE_SECONDS = 1.5
TIMEOUT_SECONDS = 600.0
STEPS = ("First", "Second")
GOAL_BRANCH_SECONDS = 5
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.9-0"
T = TypeVar("T")


class Bench:
    """A stack with the DAGs ``mirrored`` and ``plain``.

    :param stack: Airflow and the local runtime, which are up.
    """

    def __init__(self, stack: Stack) -> None:
        settings = stack.settings
        self.api = stack.api
        self.endpoint = Endpoint(settings.runtime_url, Settings(data_dir=settings.runtime_data_dir))
        self.sagemaker = self.endpoint.client("sagemaker")
        self._count = 0

    def start(self, dag_id: str, count: int) -> dict[str, str]:
        """Start runs, and return each one's execution once it waits for its first callback."""
        self._count += 1
        run_ids = [self.api.trigger(dag_id, {}, run_id=f"run-{self._count}-{n}") for n in range(count)]
        return {run_id: self._waiting(dag_id, run_id) for run_id in run_ids}

    def _waiting(self, dag_id: str, run_id: str) -> str:
        arn = str(_until(lambda: self.api.xcom(dag_id, run_id, "start_pipeline"), f"{run_id} to start"))
        _until(lambda: self._token(arn, STEPS[0]), f"{arn} to wait for a callback")
        return arn

    def _token(self, arn: str, step: str) -> str | None:
        found: dict[str, Any] = self.endpoint.steps(arn).get(step, {})
        return str(found["Metadata"]["Callback"].get("CallbackToken") or "") if found else None

    def answer(self, arn: str, step: str) -> None:
        """End a Callback step."""
        token = _until(lambda: self._token(arn, step), f"{step} of {arn}")
        self.sagemaker.send_pipeline_execution_step_success(CallbackToken=token)

    def finish(self, dag_id: str, runs: dict[str, str]) -> None:
        """Answer the steps of all runs, and wait until the runs have ended."""
        for step in STEPS:
            for arn in runs.values():
                self.answer(arn, step)
                time.sleep(PAUSE_SECONDS)
        for run_id in runs:
            state = _until(partial(self._end, dag_id, run_id), f"{run_id} to end")
            if state != "success":
                raise SystemExit(f"{dag_id} {run_id} ended as {state}")

    def _end(self, dag_id: str, run_id: str) -> str | None:
        state = str(self.api.run(dag_id, run_id)["state"])
        return state if state in {"success", "failed"} else None

    def calls_a_minute(self) -> float:
        """Return how often AWS is asked while all the steps run and nothing ends."""
        time.sleep(SETTLE_SECONDS)
        before, began = self._calls(), time.monotonic()
        time.sleep(COUNTED_SECONDS)
        return (self._calls() - before) * 60 / (time.monotonic() - began)

    def _calls(self) -> int:
        return sum(self.endpoint._control("GET", "calls")["counts"].values())

    def tasks(self, dag_id: str, run_id: str) -> dict[str, dict[str, Any]]:
        """Return the task instances of a run by task id."""
        return {task["task_id"]: task for task in self.api.task_instances(dag_id, run_id)}

    def mirror_delays(self, runs: dict[str, str]) -> list[float]:
        """Return the seconds from each step's end to its mirror's end."""
        delays = []
        for run_id, arn in runs.items():
            tasks, steps = self.tasks("mirrored", run_id), self.endpoint.steps(arn)
            delays += [_seconds(steps[name]["EndTime"], tasks[f"steps.{name}"]["end_date"]) for name in STEPS]
        return delays

    def branch_delays(self, dag_id: str, runs: dict[str, str]) -> list[float]:
        """Return the seconds from each execution's end to its branch's end."""
        delays = []
        for run_id, arn in runs.items():
            ended = self.sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)["LastModifiedTime"]
            [branch] = [
                task for name, task in self.tasks(dag_id, run_id).items() if name.startswith("branch")
            ]
            delays.append(_seconds(ended, branch["end_date"]))
        return delays

    def mirrors_on_workers(self, runs: dict[str, str]) -> int:
        """Return how many mirrors have run on a worker."""
        tasks = [task for run_id in runs for task in self.tasks("mirrored", run_id).values()]
        return sum(task["task_id"].startswith("steps.") and bool(task["hostname"]) for task in tasks)


def main() -> None:
    """Print the delays, the calls and the workers."""
    with _bench() as bench:
        warm_up = bench.start("mirrored", 1)
        bench.finish("mirrored", warm_up)
        one = bench.start("mirrored", 1)
        time.sleep(SETTLE_SECONDS)
        bench.finish("mirrored", one)
        many = bench.start("mirrored", EXECUTIONS)
        with_mirrors = bench.calls_a_minute()
        bench.finish("mirrored", many)
        without = bench.start("plain", EXECUTIONS)
        calls = bench.calls_a_minute()
        bench.finish("plain", without)

        print(f"mirrors of the steps, on {os.cpu_count()} cores")
        _print("step's end to its mirror's end, 1 execution", bench.mirror_delays(one))
        _print(f"step's end to its mirror's end, {EXECUTIONS} executions", bench.mirror_delays(many))
        goal = f"goal: {GOAL_BRANCH_SECONDS} s"
        _print(f"execution's end to the branch's end ({goal})", bench.branch_delays("mirrored", one))
        _print(f"the same, {EXECUTIONS} executions", bench.branch_delays("mirrored", many))
        _print(f"the same, {EXECUTIONS} executions without mirrors", bench.branch_delays("plain", without))
        print(f"  {'mirrors that ran on a worker (goal: 0)':<62} {bench.mirrors_on_workers(many)}")
        shown = f"calls a minute, {EXECUTIONS} executions"
        print(f"  {shown:<62} {with_mirrors:.0f} with mirrors, {calls:.0f} without")


@contextmanager
def _bench() -> Iterator[Bench]:
    with tempfile.TemporaryDirectory() as folder:
        dags = Path(folder, "dags")
        dags.mkdir()
        shutil.copy(Path(__file__).parent / "dags" / "graph.py", dags)
        settings = StackSettings(
            state_dir=Path(folder, "stack"),
            airflow_port=free_port(),
            runtime_port=free_port(),
            dags_folder=dags,
            max_concurrent_executions=EXECUTIONS + 1,
        )
        queue = f"{settings.runtime_url}/{settings.account_id}/hold"
        (dags / "graph.json").write_text(json.dumps(_definition(queue)))
        stack = Stack(settings)
        stack.up()
        try:
            bench = Bench(stack)
            bench.endpoint.client("sqs").create_queue(QueueName="hold")
            _until(lambda: stack.api.dag_ids() or stack.api.import_errors(), "the DAG file to be read")
            if errors := stack.api.import_errors():
                raise SystemExit(errors[0]["stack_trace"])
            for dag_id in ("mirrored", "plain"):
                stack.api.unpause(dag_id)
            yield bench
        finally:
            stack.down()


def _definition(queue_url: str) -> dict[str, Any]:
    """Return a definition that writes its report, waits for two callbacks, and passes its gate."""
    folder = "/opt/ml/processing/output"
    report = {
        "Name": "Evaluate",
        "Type": "Processing",
        "Arguments": {
            "AppSpecification": {
                "ImageUri": IMAGE,
                "ContainerEntrypoint": ["bash", "-c", f"echo '{{\"mse\": 4.5}}' > {folder}/report.json"],
            },
            "ProcessingResources": {
                "ClusterConfig": {"InstanceType": "ml.m5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 1}
            },
            "ProcessingOutputConfig": {
                "Outputs": [
                    {
                        "OutputName": "report",
                        "S3Output": {
                            "S3Uri": {
                                "Std:Join": {
                                    "On": "/",
                                    "Values": [
                                        "s3://${artifact_bucket}/graph",
                                        {"Get": "Execution.PipelineExecutionId"},
                                    ],
                                }
                            },
                            "LocalPath": folder,
                            "S3UploadMode": "EndOfJob",
                        },
                    }
                ]
            },
            "RoleArn": "${role_arn}",
        },
        "PropertyFiles": [{"PropertyFileName": "Report", "OutputName": "report", "FilePath": "report.json"}],
    }
    holds = [
        {"Name": name, "Type": "Callback", "SqsQueueUrl": queue_url, "Arguments": {}, "DependsOn": [before]}
        for before, name in zip(("Evaluate", *STEPS), STEPS, strict=False)
    ]
    metric = {
        "Std:JsonGet": {
            "PropertyFile": {"Get": "Steps.Evaluate.PropertyFiles.Report"},
            "Path": "mse",
        }
    }
    limit = {"Type": "LessThanOrEqualTo", "LeftValue": metric, "RightValue": {"Get": "Parameters.Threshold"}}
    gate = {
        "Name": "Gate",
        "Type": "Condition",
        "DependsOn": [STEPS[-1]],
        "Arguments": {"Conditions": [limit], "IfSteps": [], "ElseSteps": []},
    }
    return {
        "Version": "2020-12-01",
        "Parameters": [{"Name": "Threshold", "Type": "Float", "DefaultValue": 6.0}],
        "Steps": [report, *holds, gate],
    }


def _until(ready: Callable[[], T | None], what: str) -> T:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        if found := ready():
            return found
        time.sleep(0.5)
    raise SystemExit(f"no result after {TIMEOUT_SECONDS:.0f} s, waiting for {what}")


def _seconds(begin: datetime, end: str) -> float:
    return (datetime.fromisoformat(end) - begin).total_seconds()


def _print(what: str, delays: list[float]) -> None:
    p95 = statistics.quantiles(delays, n=20)[-1] if len(delays) > 2 else max(delays)
    print(f"  {what:<62} {statistics.median(delays):.1f} s (median), {p95:.1f} s (p95)")


if __name__ == "__main__":
    main()
