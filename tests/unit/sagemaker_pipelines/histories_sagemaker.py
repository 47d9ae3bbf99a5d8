"""The SageMaker of the histories: an account in memory, whose calls are points where anything may happen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError, ReadTimeoutError

from sagemaker_pipelines.aws.outcome import ExecutionOutcome
from sagemaker_pipelines.aws.steps import Step
from sagemaker_pipelines.exceptions import ExecutionFailedError, ExecutionStoppedError, FailureCause
from sagemaker_pipelines.task.logical_start import LogicalStart
from tests.unit.sagemaker_pipelines.samples import PIPELINE_ARN, gated_definition
from tests.unit.sagemaker_pipelines.stand_in import StandIn

if TYPE_CHECKING:
    from tests.unit.sagemaker_pipelines.histories import World

#: What SageMaker may answer instead, by the name of the fault.
FAULTS = {
    "throttled": "ThrottlingException",
    "denied": "AccessDeniedException",
    "full": "ResourceLimitExceeded",
}
ANOTHER_RUN = "another-run"


class Violation(AssertionError):
    """Something happened that never may."""


@dataclass
class Execution:
    """One execution of the pipeline.

    :ivar may_stop: whether somebody has asked for its stop: a person, or Airflow by a kill of its task.
    :ivar by_given_up: whether a process that Airflow had given up has started or resumed it last.
    """

    arn: str
    description: str
    generation: str
    status: str = "Executing"
    may_stop: bool = False
    by_given_up: bool = False

    @property
    def is_elsewhere(self) -> bool:
        """Whether it belongs to another run, which has begun it or has resumed it last."""
        start = LogicalStart.parse(self.description)
        return start is not None and start.run_id == ANOTHER_RUN


def error_of(code: str, name: str) -> ClientError:
    """Return AWS's error of a call."""
    return ClientError({"Error": {"Code": code, "Message": "as the history wants it"}}, name)


class SageMaker(StandIn):
    """The account, behind the hook's calls; a call may be throttled, or its answer lost."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.executions: dict[str, Execution] = {}
        self.tokens: dict[str, str] = {}
        self.resumed_by: dict[str, str] = {}
        self.asked_to_resume: set[str] = set()
        self.refuses_stops = False
        self.busy = 0

    @contextmanager
    def call(self, name: str) -> Iterator[None]:
        begins = name in ("start", "retry")
        fault = self.world.take_fault("lost", *(code for code in FAULTS if begins or code != "full"))
        if fault in FAULTS:
            raise error_of(FAULTS[fault], name)
        self.world.pause(f"before {name}")
        yield
        self.world.pause(f"after {name}")
        if fault == "lost":
            raise ReadTimeoutError(endpoint_url="https://sagemaker")

    def begin_elsewhere(self) -> str:
        """Return the ARN of an execution that a run before has begun, and that has failed."""
        arn, generation = f"{PIPELINE_ARN}/execution/elsewhere", "e" * 32
        start = LogicalStart(
            dag_id="train", run_id=ANOTHER_RUN, task_id="start", map_index=-1, generation=generation
        )
        self.executions[arn] = Execution(arn, start.description, generation, status="Failed")
        return arn

    def resume_elsewhere(self) -> None:
        """Let another run resume all that has failed or was stopped."""
        # A killed process does not live so long, and a resume or a stop follows its last look at once.
        about_to_act = ("after describe", "before stop")
        if any(process.killed or process.at in about_to_act for process in self.world.processes):
            return
        for item in self.executions.values():
            start = LogicalStart.parse(item.description)
            if start is not None and item.status in ("Failed", "Stopped"):
                item.description = replace(start, run_id=ANOTHER_RUN).description
                item.status, item.may_stop, item.by_given_up = "Executing", False, False

    def start_execution(self, request: dict[str, Any]) -> str:
        with self.call("start"):
            return self.start_now(request)

    def start_now(self, request: dict[str, Any]) -> str:
        token, description = request["ClientRequestToken"], request["PipelineExecutionDescription"]
        if token not in self.tokens:
            start = LogicalStart.parse(description)
            assert start is not None
            arn = f"{PIPELINE_ARN}/execution/{len(self.executions):012}"
            given_up = self.world.runs_given_up()
            self.executions[arn] = Execution(arn, description, start.generation, by_given_up=given_up)
            self.tokens[token] = arn
        return self.tokens[token]

    def find_execution(
        self, pipeline_name: str, *, generation: str, created_after: datetime, sagemaker: Any = None
    ) -> str | None:
        if sagemaker is not None:
            self.answer_a_kill("find")
            return self.find_now(generation)
        with self.call("find"):
            return self.find_now(generation)

    def find_now(self, generation: str) -> str | None:
        return next((arn for arn, item in self.executions.items() if generation in item.description), None)

    def describe_execution(self, pipeline_execution_arn: str) -> dict[str, Any]:
        with self.call("describe"):
            return self.describe_now(pipeline_execution_arn)

    def describe_now(self, pipeline_execution_arn: str) -> dict[str, str]:
        item = self.executions[pipeline_execution_arn]
        return {"PipelineExecutionStatus": item.status, "PipelineExecutionDescription": item.description}

    def list_steps(self, pipeline_execution_arn: str) -> list[Step]:
        return []

    def retry_execution(self, pipeline_execution_arn: str, *, token: str) -> None:
        with self.call("retry"):
            item = self.executions[pipeline_execution_arn]
            task_id = self.world.running.task.task_id if self.world.running else ""
            self.asked_to_resume.add(task_id)
            if token in self.tokens:
                if self.resumed_by[token] != task_id:
                    raise Violation(f"{task_id} resumes nothing: SageMaker has served {token} already")
                return
            if not (self.world.options.resume_on_retry or item.arn == self.world.source):
                raise Violation(f"{task_id} resumes {item}, and resume_on_retry is off")
            if item.status not in ("Failed", "Stopped"):
                raise error_of("ValidationException", "retry")
            self.tokens[token], self.resumed_by[token] = pipeline_execution_arn, task_id
            item.status, item.may_stop = "Executing", False
            item.by_given_up = self.world.runs_given_up()

    def describe_owner(self, pipeline_execution_arn: str, description: str | None) -> None:
        if description is not None:
            self.executions[pipeline_execution_arn].description = description

    def execution_outcome(
        self, pipeline_execution_arn: str, *, rejection_steps: Any = None, **_: Any
    ) -> ExecutionOutcome:
        status = self.executions[pipeline_execution_arn].status
        if status == "Succeeded":
            return ExecutionOutcome(pipeline_execution_arn=pipeline_execution_arn, status=status)
        if status == "Stopped":
            raise ExecutionStoppedError(pipeline_execution_arn, status)
        cause = FailureCause(step_name="Train", reason="exit code 1", is_fail_step=False)
        raise ExecutionFailedError(pipeline_execution_arn, status, None, [cause])

    def deployed_definition(self, *_: Any, **__: Any) -> dict[str, Any]:
        return gated_definition()

    def answer_a_kill(self, name: str) -> None:
        """Throttle some of the calls that a kill makes."""
        if self.busy:
            self.busy -= 1
            raise error_of("ThrottlingException", name)

    def kill_client(self) -> Any:
        return KillClient(self)

    @property
    def conn(self) -> Any:
        return Boto3Client(self)


class KillClient:
    """The boto3 client of on_kill; nothing else runs in the process meanwhile."""

    def __init__(self, sagemaker: SageMaker) -> None:
        self.sagemaker = sagemaker

    def start_pipeline_execution(self, **request: Any) -> dict[str, str]:
        self.sagemaker.answer_a_kill("start")
        if request["ClientRequestToken"] not in self.sagemaker.tokens:
            generation = LogicalStart.parse(request["PipelineExecutionDescription"])
            assert generation is not None
            sent = self.sagemaker.world.processes_that_sent(generation.generation)
            if not sent:
                raise Violation("a kill starts an execution that no try had begun to start")
        arn = self.sagemaker.start_now(request)
        self.sagemaker.executions[arn].may_stop = True
        return {"PipelineExecutionArn": arn}

    def stop_pipeline_execution(self, PipelineExecutionArn: str) -> None:
        self.sagemaker.answer_a_kill("stop")
        item = self.sagemaker.executions[PipelineExecutionArn]
        if item.status == "Executing":
            world = self.sagemaker.world
            is_killed = world.running is not None and world.running.killed
            is_ours = not item.is_elsewhere and (is_killed or world.owns_a_kill(item))
            if not (item.may_stop or is_ours):
                raise Violation(f"{item} is stopped, and nobody has asked for it")
            item.status = "Stopping"

    def describe_pipeline_execution(self, PipelineExecutionArn: str) -> dict[str, str]:
        return self.sagemaker.describe_now(PipelineExecutionArn)

    def list_pipeline_execution_steps(self, **_: Any) -> dict[str, Any]:
        return {"PipelineExecutionSteps": []}


class Boto3Client(KillClient):
    """The usual boto3 client, as far as it is called by itself."""

    def stop_pipeline_execution(self, PipelineExecutionArn: str) -> None:
        with self.sagemaker.call("stop"):
            if self.sagemaker.refuses_stops:
                raise error_of("ThrottlingException", "stop")
            super().stop_pipeline_execution(PipelineExecutionArn)
