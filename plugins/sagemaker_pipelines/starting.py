"""The logical start: which start of which task a request to SageMaker belongs to."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

from sagemaker_pipelines.definition import Parameter, step_graph
from sagemaker_pipelines.deployment import deployment_id
from sagemaker_pipelines.exceptions import IntervalError, ParameterError
from sagemaker_pipelines.intervals import is_interval_driven, run_interval
from sagemaker_pipelines.records import StartRecord, Witness

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.types import Logger

    from sagemaker_pipelines.hooks.pipeline import SageMakerPipelineHook

# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_StartPipelineExecution.html
MAX_DISPLAY_NAME = 82
MAX_DESCRIPTION = 3072
# Clocks of workers and of AWS differ; the description decides, this only bounds the search.
CLOCK_SKEW = timedelta(minutes=15)
# What may follow is for people, and for later versions of this package.
_DESCRIPTION = re.compile(
    r"Airflow dag_id=(?P<dag_id>[\w.-]+) run_id=(?P<run_id>.+) task_id=(?P<task_id>[\w.-]+) "
    r"map_index=(?P<map_index>-?\d+) generation=(?P<generation>[0-9a-f]{32})"
    r"(?: deployment=(?P<deployment>[\w-]+))?(?: .*)?",
    re.DOTALL,
)


@dataclass(frozen=True, kw_only=True)
class LogicalStart:
    """One intended start of one task.

    :param dag_id: the DAG.
    :param run_id: the DAG run.
    :param task_id: the task.
    :param map_index: index of a mapped task, else -1.
    :param generation: random id; automatic retries keep it, a user's clear makes a new one. It keeps two
        deployments in one account, a reset database and a re-created run apart.
    :param deployment: id of the Airflow that starts it, for the orphan sweep; None where it is not known.
    :param interval: what stretch of time it is about, ISO 8601; None for a run that was not made for one.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    generation: str
    deployment: str | None = field(default=None, compare=False)
    interval: str | None = field(default=None, compare=False)

    @classmethod
    def new(cls, context: Context) -> LogicalStart:
        """Return a new logical start of the running task."""
        ti = context["ti"]
        return cls(
            dag_id=ti.dag_id,
            run_id=ti.run_id,
            task_id=ti.task_id,
            map_index=-1 if ti.map_index is None else ti.map_index,
            generation=secrets.token_hex(16),
            deployment=deployment_id(context),
            interval=_interval(context),
        )

    @classmethod
    def parse(cls, description: str | None) -> Self | None:
        """Return the start that an execution's description tells of; None where it is no :attr:`description`.

        :param description: the PipelineExecutionDescription.
        """
        match = _DESCRIPTION.fullmatch(description or "")
        if match is None:
            return None
        values: dict[str, Any] = {**match.groupdict(), "map_index": int(match["map_index"])}
        return cls(**values)

    @property
    def token(self) -> str:
        """The ClientRequestToken: equal for every try of this start, different for any other."""
        parts = (self.dag_id, self.run_id, self.task_id, str(self.map_index), self.generation)
        # Lengths keep ("a", "bc") and ("ab", "c") apart.
        text = "".join(f"{len(part)}:{part}" for part in parts)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def description(self) -> str:
        """The PipelineExecutionDescription: tells whoever looks in SageMaker where it comes from."""
        text = (
            f"Airflow dag_id={self.dag_id} run_id={self.run_id} task_id={self.task_id} "
            f"map_index={self.map_index} generation={self.generation}"
        )
        for name in ("deployment", "interval"):
            if (value := getattr(self, name)) is not None:
                text += f" {name}={value}"
        return text

    @property
    def display_name(self) -> str:
        """The PipelineExecutionDisplayName: the run's kind and interval, else the run's id."""
        if self.interval is None:
            return display_name_of(self.run_id)
        kind = self.run_id.partition("__")[0]
        return display_name_of(f"{kind} {self.interval.replace('/', ' to ')}")


def _interval(context: Context) -> str | None:
    if getattr(context.get("dag_run"), "run_type", None) is None:
        return None
    try:
        return str(run_interval(context)) if is_interval_driven(context) else None
    except IntervalError:
        # The start does not depend on it; a task that does has failed with this error already.
        return None


def display_name_of(run_id: str) -> str:
    """Return a valid PipelineExecutionDisplayName for a run: 1 to 82 of ``[a-zA-Z0-9-]``.

    :param run_id: the DAG run's id, any text.
    """
    name = re.sub(r"[^a-zA-Z0-9]+", "-", run_id).strip("-")
    if name and len(name) <= MAX_DISPLAY_NAME:
        return name
    digest = hashlib.sha256(run_id.encode()).hexdigest()[:8]
    head = name[: MAX_DISPLAY_NAME - len(digest) - 1].rstrip("-")
    return f"{head}-{digest}" if head else f"run-{digest}"


def execution_request(
    start: LogicalStart,
    *,
    pipeline_name: str,
    pipeline_params: Mapping[str, str],
    display_name: str,
    pipeline_version_id: int | None = None,
    selected_steps: Sequence[str] | None = None,
    source_execution_arn: str | None = None,
    max_parallel_execution_steps: int | None = None,
    description: str | None = None,
) -> dict[str, Any]:
    """Return the arguments of StartPipelineExecution, as JSON types, so that they can be sent again verbatim.

    :param start: gives the token and the description.
    :param pipeline_params: the checked values.
    :param description: what people are told besides.
    :raises ParameterError: the description is too long.
    """
    request: dict[str, Any] = {
        "PipelineName": pipeline_name,
        "PipelineExecutionDisplayName": display_name,
        "PipelineExecutionDescription": _description(start, description),
        "ClientRequestToken": start.token,
    }
    if pipeline_params:
        request["PipelineParameters"] = [
            {"Name": name, "Value": value} for name, value in sorted(pipeline_params.items())
        ]
    if pipeline_version_id is not None:
        request["PipelineVersionId"] = pipeline_version_id
    if selected_steps:
        source = {"SourcePipelineExecutionArn": source_execution_arn} if source_execution_arn else {}
        steps = [{"StepName": name} for name in selected_steps]
        request["SelectiveExecutionConfig"] = {"SelectedSteps": steps, **source}
    if max_parallel_execution_steps is not None:
        request["ParallelismConfiguration"] = {"MaxParallelExecutionSteps": max_parallel_execution_steps}
    return request


def effective_parameters(parameters: Iterable[Parameter], request: Mapping[str, Any]) -> dict[str, str]:
    """Return with which values an execution runs, by name.

    :param parameters: of the version that is executed.
    :param request: the arguments of StartPipelineExecution.
    """
    sent = {item["Name"]: item["Value"] for item in request.get("PipelineParameters", ())}
    return {parameter.name: str(sent.get(parameter.name, parameter.default)) for parameter in parameters}


def resume_request(
    start: LogicalStart, pipeline_execution_arn: str, *, description: str | None = None
) -> dict[str, Any]:
    """Return the arguments of RetryPipelineExecution, for a run that resumes an earlier run's execution."""
    return {
        "PipelineExecutionArn": pipeline_execution_arn,
        "PipelineExecutionDescription": _description(start, description),
        "ClientRequestToken": start.token,
    }


def _description(start: LogicalStart, text: str | None) -> str:
    description = f"{start.description} {' '.join((text or '').split())}".strip()
    if len(description) > MAX_DESCRIPTION:
        raise ParameterError(
            f"The description is {len(description)} characters long with what tells the start, and SageMaker "
            f"takes {MAX_DESCRIPTION}: shorten {(text or '')[:50]!r}..."
        )
    return description


def steps_from(definition: Mapping[str, Any], step_name: str) -> list[str]:
    """Return a step and all that follows from it, in the order of the document.

    :param definition: the definition as parsed JSON.
    :param step_name: where to begin.
    :raises ParameterError: the definition has no such step.
    """
    graph = step_graph(definition)
    if step_name not in graph:
        raise ParameterError(f"from_step is {step_name!r}; expected one of {', '.join(graph)}.")
    selected = {step_name}
    while True:
        more = {name for name, needed in graph.items() if needed & selected} - selected
        if not more:
            return [name for name in graph if name in selected]
        selected |= more


class StartAttempt:
    """One try of a logical start: it sends the start's request, or finds what an earlier try started.

    The request is kept before the first call, so that every later try sends the same one, with the same
    token. As SageMaker may have forgotten the token by then, a later try first looks the execution up by
    its description.

    :param context: the running task's.
    :param hook: what to call AWS with.
    :param log: where to tell.
    :ivar record: the start, once it is prepared.
    :ivar is_retry: whether an earlier try belongs to the same start; after :meth:`send`, whether the
        execution is an earlier try's.
    :ivar replaced: the earlier start that a user's clear ended before it could end by itself.
    """

    def __init__(self, context: Context, hook: SageMakerPipelineHook, log: Logger) -> None:
        self._context = context
        self._hook = hook
        self._log = log
        self.record: StartRecord | None = None
        self.is_retry = False
        self.replaced: StartRecord | None = None

    def prepare(self, make_request: Callable[[LogicalStart], dict[str, Any]]) -> None:
        """Take up the earlier tries' start, or begin one.

        :param make_request: called for a new start only; what it returns is sent by all its tries.
        """
        witness = Witness.of(self._context)
        earlier = StartRecord.load(self._context)
        if earlier is not None and not earlier.was_cleared(witness):
            self.is_retry = True
            self.record = earlier.save(self._context, witness=witness, ended=False)
            return
        if earlier is not None and not earlier.ended:
            self.replaced = earlier
        start = LogicalStart.new(self._context)
        record = StartRecord(generation=start.generation, request=make_request(start), witness=witness)
        self.record = record.save(self._context)

    def send(self, before_call: Callable[[], None] = lambda: None) -> str:
        """Return the ARN of the start's one execution.

        :param before_call: called where an execution is to be begun, which it may refuse by raising.
        """
        record = self._prepared()
        if record.pipeline_execution_arn is not None:
            self._log.info("An earlier try has started %s", record.pipeline_execution_arn)
            return record.pipeline_execution_arn
        arn = self.find(record) if self.is_retry else None
        if arn is None:
            before_call()
            arn = self._call(record.request)
            # An earlier try, put off by a quota or cut off before its call, has left nothing to go on with.
            self.is_retry = False
        self.record = record.save(self._context, pipeline_execution_arn=arn)
        return arn

    def end(self) -> None:
        """Keep that this try has come to its end by itself."""
        self.record = self._prepared().save(self._context, ended=True)

    def find(self, record: StartRecord) -> str | None:
        """Return the ARN of what a start has begun, by its description; None where there is nothing."""
        request = record.request
        if "PipelineName" not in request:
            return None
        arn = self._hook.find_execution(
            request["PipelineName"],
            description=request["PipelineExecutionDescription"],
            created_after=datetime.fromisoformat(record.created_at) - CLOCK_SKEW,
        )
        if arn is not None:
            self._log.info("An earlier try has started %s, and was cut off before it knew", arn)
        return arn

    def _call(self, request: dict[str, Any]) -> str:
        if "PipelineName" in request:
            return self._hook.start_execution(request)
        arn = str(request["PipelineExecutionArn"])
        # First, so that the orphan sweep never sees it run under the run that has given it up.
        self._hook.describe_owner(arn, request.get("PipelineExecutionDescription"))
        self._hook.retry_execution(arn, token=request["ClientRequestToken"])
        return arn

    def _prepared(self) -> StartRecord:
        if self.record is None:
            raise RuntimeError("prepare() comes first")
        return self.record


def mark_ended(context: Context) -> None:
    """Keep that the start's try has come to its end by itself, where it went through the triggerer."""
    record = StartRecord.load(context)
    if record is not None:
        record.save(context, ended=True)
