"""The input and the result of a step executor."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from sagemaker_local_runtime.engine.graph import Graph, Node
from sagemaker_local_runtime.engine.pipelines import find_pipeline
from sagemaker_local_runtime.engine.services import Services

#: The longest name of a job or a model.
MAX_NAME = 63


@dataclass(frozen=True, kw_only=True)
class Iteration:
    """One item of a ForEach step.

    :param index: counts the items from 0.
    :param item: the item.
    :param outputs: the properties of the steps of this iteration that have succeeded, by name in the body.
    """

    index: int
    item: Any
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Body:
    """The body of a ForEach step.

    :param graph: its steps.
    :param run: runs the child of one step in one iteration to its end.
    """

    graph: Graph
    run: Callable[[Node, Iteration], StepOutcome]


@dataclass(frozen=True, kw_only=True)
class StepRun:
    """One attempt to run a step.

    :param services: what steps work with.
    :param execution: the document of the execution (``PipelineExecutionArn``, ``PipelineArn``, ...).
    :param step: the step with resolved expressions; a Condition step without its branches.
    :param arguments: its ``Arguments``, resolved.
    :param stop: set to end the step early; the executor then stops its work and returns Stopped.
    :param record: stores step metadata immediately, for clients and for a restarted runtime to see.
    :param job_name: a new name for the job or resource of this attempt, in the form that SageMaker uses
        (``pipelines-<execution id>-<step>-<random>``); ``Execution.TrainingJobName`` resolves to it.
    :param body: the body of a ForEach step; None for other steps.
    :param properties: the properties of the steps that have ended, by step name.
    """

    services: Services
    execution: dict[str, Any]
    step: dict[str, Any]
    arguments: dict[str, Any]
    stop: threading.Event
    record: Callable[[dict[str, Any]], None]
    job_name: str = field(default_factory=lambda: f"pipelines-{secrets.token_hex(11)}")
    body: Body | None = None
    properties: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The step's name in the definition."""
        return str(self.step["Name"])

    @property
    def execution_id(self) -> str:
        """The last part of the execution's ARN."""
        return str(self.execution["PipelineExecutionArn"]).rpartition("/")[2]

    def resource_name(self, field: str, *, longest: int = MAX_NAME) -> str:
        """Return the name of the attempt's job or resource.

        A definition with custom prefixes names the resource itself; the random part of the attempt's name
        makes it unique.

        :param field: the argument that may hold a prefix.
        :param longest: the longest name that is allowed; a short one begins with the step's name.
        """
        prefix = self.arguments.get(field)
        if not prefix and len(self.job_name) <= longest:
            return self.job_name
        unique = f"{self.execution_id}-{self.job_name.rpartition('-')[2]}"
        given = str(prefix or self.name.replace("_", "-"))
        return f"{given[: longest - len(unique) - 1].strip('-')}-{unique}".lstrip("-")

    def with_role(self, field: str) -> dict[str, Any]:
        """Return the step's arguments, with the pipeline's role where they name none.

        https://docs.aws.amazon.com/sagemaker/latest/dg/build-and-manage-access.html

        :param field: the argument that names the role.
        """
        if self.arguments.get(field):
            return self.arguments
        return {**self.arguments, field: self.pipeline_role()}

    def pipeline_role(self) -> str:
        """Return the ARN of the pipeline's role."""
        return str(find_pipeline(self.services.account, self.execution["PipelineArn"])["RoleArn"])


@dataclass(frozen=True, kw_only=True)
class StepOutcome:
    """How an attempt ended.

    :param status: the step's status.
    :param metadata: the ``Metadata`` in ``ListPipelineExecutionSteps``.
    :param properties: the Describe answer of the job or resource, to which ``{"Get": "Steps.<name>.<path>"}``
        refers.
    :param failure_reason: why it failed.
    :param failure_type: the exception type that retry policies match, such as
        ``"SageMaker.JOB_INTERNAL_ERROR"``; None matches none.
    :param description: the StepDescription, instead of that of the definition.
    """

    status: Literal["Succeeded", "Failed", "Stopped"]
    metadata: dict[str, Any] = field(default_factory=dict)
    properties: dict[str, Any] = field(default_factory=dict)
    failure_reason: str | None = None
    failure_type: str | None = None
    description: str | None = None


class StepExecutor(Protocol):
    """Executes every step of one type."""

    step_type: str

    def run(self, step_run: StepRun) -> StepOutcome:
        """Run one attempt to its end; raise AwsError if a request is refused."""
        ...
