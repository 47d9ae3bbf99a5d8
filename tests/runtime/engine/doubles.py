"""A runtime whose jobs are fakes that the tests steer; engine, store and API handlers are the real ones."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from sagemaker_local_runtime.account import Account
from sagemaker_local_runtime.api import executions, pipelines, tags
from sagemaker_local_runtime.api.registry import ACTIONS
from sagemaker_local_runtime.engine.execution import ExecutionService
from sagemaker_local_runtime.engine.services import Services
from sagemaker_local_runtime.engine.steps.base import StepOutcome, StepRun
from sagemaker_local_runtime.images.catalog import Catalog
from sagemaker_local_runtime.images.environments import Environments
from sagemaker_local_runtime.images.preparation import Preparation
from sagemaker_local_runtime.settings import Settings
from tests.waiting import GENEROUS_SECONDS

assert executions
assert pipelines
assert tags

Behaviour = Callable[[StepRun], StepOutcome]


class FakeJobs:
    """Executes Processing steps by calling the behaviour that a test set for the step's name."""

    step_type = "Processing"

    def __init__(self) -> None:
        self.behaviours: dict[str, Behaviour] = {}
        self.runs: list[StepRun] = []
        self.active = 0
        self.most_active = 0
        self._lock = threading.Lock()

    def run(self, step_run: StepRun) -> StepOutcome:
        with self._lock:
            self.runs.append(step_run)
            self.active += 1
            self.most_active = max(self.most_active, self.active)
        try:
            behaviour = self.behaviours.get(step_run.name, succeed)
            return behaviour(step_run)
        finally:
            with self._lock:
                self.active -= 1

    def order(self) -> list[str]:
        return [run.name for run in self.runs]


def succeed(step_run: StepRun) -> StepOutcome:
    arn = f"arn:aws:sagemaker:us-east-1:123456789012:processing-job/{step_run.job_name}"
    properties = {"ProcessingJobArn": arn, **step_run.arguments}
    return StepOutcome(status="Succeeded", metadata={"ProcessingJob": {"Arn": arn}}, properties=properties)


def fail(step_run: StepRun) -> StepOutcome:
    return StepOutcome(status="Failed", failure_reason=f"AlgorithmError: {step_run.name} broke")


def until_stopped(step_run: StepRun) -> StepOutcome:
    assert step_run.stop.wait(GENEROUS_SECONDS), "nobody stopped the step"
    return StepOutcome(status="Stopped")


class Events:
    """Keeps what the engine publishes."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str | None, str]] = []

    def execution_changed(self, execution: dict[str, Any], previous: str | None) -> None:
        self.seen.append(("execution", previous, execution["PipelineExecutionStatus"]))

    def step_changed(self, execution: dict[str, Any], step: dict[str, Any], previous: str | None) -> None:
        self.seen.append((step["StepName"], previous, step["StepStatus"]))


class Objects:
    """The S3 objects that property files are read from."""

    def __init__(self) -> None:
        self.content: dict[str, bytes] = {}

    def read_bytes(self, uri: str) -> bytes:
        return self.content[uri]


class Engine:
    """Calls the action handlers as the server does."""

    def __init__(self, data_dir: Path, limit: int = 20, endpoint_url: str = "http://127.0.0.1:9") -> None:
        self.events = Events()
        self.objects = Objects()
        settings = Settings(data_dir=data_dir, max_concurrent_executions=limit)
        account = Account(settings, endpoint_url)
        nothing: Any = None
        events: Any = self.events
        storage: Any = self.objects
        preparation = Preparation(Catalog(), Environments(data_dir / "environments"))
        stubs: Any = SimpleNamespace(types=())
        jobs: Any = SimpleNamespace(preparation=preparation)
        services = Services(
            account=account,
            jobs=jobs,
            tuning=nothing,
            functions=nothing,
            endpoints=nothing,
            stubs=stubs,
            models=nothing,
            storage=storage,
            events=events,
        )
        self.runtime: Any = SimpleNamespace(
            account=account, executions=ExecutionService(services), stubs=stubs
        )

    def call(self, name: str, **request: Any) -> dict[str, Any]:
        return ACTIONS[name](self.runtime, request)

    def create(self, definition: dict[str, Any], name: str = "demo", **request: Any) -> str:
        answer = self.call(
            "CreatePipeline",
            PipelineName=name,
            PipelineDefinition=json.dumps(definition),
            ClientRequestToken=token(),
            RoleArn="arn:aws:iam::123456789012:role/r",
            **request,
        )
        return str(answer["PipelineArn"])

    def start(self, name: str = "demo", **request: Any) -> str:
        request = {"ClientRequestToken": token(), **request}
        return str(self.call("StartPipelineExecution", PipelineName=name, **request)["PipelineExecutionArn"])

    def ended(self, arn: str, timeout: float = GENEROUS_SECONDS) -> dict[str, Any]:
        assert self.runtime.executions.wait(arn, timeout), f"{arn} did not end: {self.steps(arn)}"
        return self.describe(arn)

    def describe(self, arn: str) -> dict[str, Any]:
        return self.call("DescribePipelineExecution", PipelineExecutionArn=arn)

    def steps(self, arn: str) -> dict[str, dict[str, Any]]:
        answer = self.call("ListPipelineExecutionSteps", PipelineExecutionArn=arn, SortOrder="Ascending")
        return {step["StepName"]: step for step in answer["PipelineExecutionSteps"]}

    def statuses(self, arn: str) -> dict[str, str]:
        return {name: step["StepStatus"] for name, step in self.steps(arn).items()}


def token() -> str:
    return uuid.uuid4().hex
