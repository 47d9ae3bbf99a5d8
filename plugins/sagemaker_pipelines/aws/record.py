"""The record of an execution: the one thing that links, notifications, reports and pages read.

The task that waits pushes it to XCom, also if the execution failed. It is JSON, and never larger than
``MAX_BYTES``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, Self, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from sagemaker_pipelines.aws.billing import Earlier, Total, with_bills
from sagemaker_pipelines.aws.client import SageMakerClient
from sagemaker_pipelines.aws.steps import Step, known_members
from sagemaker_pipelines.definition import definition_hash, iter_steps, parameters_of
from sagemaker_pipelines.exceptions import FailureCause, SageMakerPipelinesError
from sagemaker_pipelines.messages import cut
from sagemaker_pipelines.states import FAILED, is_end

VERSION = 1
MAX_BYTES = 16 * 1024
# Limits of its parts, with which a failure of some thirty steps fits in whole.
MAX_CAUSE = 2_000
MAX_TAIL = 3_000
MAX_STEP_REASON = 300
MAX_VALUE = 300
MAX_PARAMETERS = 4_000
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class ExecutionRecord:
    """What is known about an execution.

    :param pipeline_execution_arn: the execution.
    :param status: its PipelineExecutionStatus, as AWS writes it.
    :param display_name: its PipelineExecutionDisplayName.
    :param rejected: whether its gate rejected the model.
    :param resumes: how often the task that waits has resumed it; None if that is not known.
    :param started: when it was created, ISO 8601.
    :param ended: when it ended, ISO 8601; None while it is running.
    :param pipeline_version_id: the version of the pipeline that it runs; None if AWS does not say.
    :param definition_hash: the hash of its definition, as in the tag of the pipeline.
    :param parameters: the values that it runs with, sent or default, by name, with secrets masked and long
        values shortened; None if they could not be read.
    :param steps: the steps that have begun.
    :param instance_seconds: what its jobs bill together; None if this could not be read.
    :param instance_seconds_upper_bound: the same with the most that earlier attempts billed, whose jobs
        SageMaker no longer names.
    :param saved_instance_seconds: what managed spot training and the cache saved.
    :param cost: what the jobs cost; None if a price is unknown.
    :param cost_upper_bound: the same with earlier attempts.
    :param currency: the currency of the cost, such as ``USD``.
    :param price_date: the day of the oldest price in it, ISO 8601.
    :param cause: the step that failed first, or that rejected the model.
    :param parameters_left_out: how many parameters there was no room for.
    :param steps_left_out: how many steps there was no room for.
    :param version: the version of this form; a reader ignores members that it does not know.
    """

    pipeline_execution_arn: str
    status: str
    display_name: str | None = None
    rejected: bool = False
    resumes: int | None = None
    started: str | None = None
    ended: str | None = None
    pipeline_version_id: int | None = None
    definition_hash: str | None = None
    parameters: Mapping[str, str] | None = None
    steps: tuple[Step, ...] = ()
    instance_seconds: float | None = None
    instance_seconds_upper_bound: float | None = None
    saved_instance_seconds: float | None = None
    cost: float | None = None
    cost_upper_bound: float | None = None
    currency: str | None = None
    price_date: str | None = None
    cause: FailureCause | None = None
    parameters_left_out: int = 0
    steps_left_out: int = 0
    version: int = VERSION

    @classmethod
    def read(cls, value: Mapping[str, Any]) -> Self:
        """Return the record in an XCom; members that this version does not know are ignored."""
        known = known_members(cls, value)
        cause = value.get("cause")
        if cause is not None:
            tail = tuple(cause.get("log_tail", ()))
            known["cause"] = FailureCause(**{**known_members(FailureCause, cause), "log_tail": tail})
        known["steps"] = tuple(map(Step.from_dict, value.get("steps", ())))
        return cls(**known)

    def lines(self) -> list[str]:
        """Return the steps and what they bill, for a log."""
        lines = [str(step) for step in self.steps]
        if self.instance_seconds is not None:
            lines.append(f"Total billable: {Total.of(self.steps)}")
        return lines

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON types of at most ``MAX_BYTES``: steps that do not fit in are counted.

        Steps that failed are kept longest, and of the others the first ones. What the steps read and write
        takes the room that is left.
        """
        record = replace(self, steps=tuple(replace(step, inputs=(), outputs=()) for step in self.steps))
        while len(json.dumps(found := record._members()).encode()) > MAX_BYTES and record.steps:
            # In at most seven rounds, however many there are.
            steps = _most_important(record.steps, len(record.steps) * 3 // 4)
            record = replace(record, steps=steps, steps_left_out=len(self.steps) - len(steps))
        self._add_data(found["steps"], room=MAX_BYTES - len(json.dumps(found).encode()))
        return found

    def _add_data(self, shown: list[dict[str, Any]], *, room: int) -> None:
        """Add what the steps read and write, one step after the other, as long as there is room."""
        known = {step.name: step for step in self.steps}
        for step in shown:
            data = {
                name: list(uris)
                for name in ("inputs", "outputs")
                if (uris := getattr(known[step["name"]], name))
            }
            room -= len(json.dumps(data).encode())
            if room < 0:
                return
            step.update(data)

    def _members(self) -> dict[str, Any]:
        cause = self.cause and {**asdict(self.cause), "log_tail": list(self.cause.log_tail)}
        steps = [step.as_dict() for step in self.steps]
        return {
            **vars(self),
            "parameters": self.parameters and dict(self.parameters),
            "cause": cause,
            "steps": steps,
        }


def execution_record(
    client: SageMakerClient,
    pipeline_execution_arn: str,
    *,
    rejected: bool = False,
    resumes: int | None = None,
    cause: FailureCause | None = None,
    earlier: Earlier = MappingProxyType({}),
) -> ExecutionRecord:
    """Read everything about an execution; what cannot be read is left out, with a warning in the log.

    :param client: calls AWS.
    :param pipeline_execution_arn: the execution, which may still be running.
    :param rejected: whether its gate rejected the model.
    :param resumes: how often the task that waits has resumed it.
    :param cause: the step that failed first, or that rejected the model.
    :param earlier: see :func:`~sagemaker_pipelines.aws.billing.with_bills`.
    :raises ClientError: the execution itself or its steps cannot be read.
    """
    arn = pipeline_execution_arn
    described = client.describe_execution(arn)
    steps = client.list_steps(arn)
    status = str(described["PipelineExecutionStatus"])
    definition = _optional(client, "its definition", lambda: client.execution_definition(arn))
    parameters = _optional(client, "its parameters", lambda: client.execution_parameters(arn))
    billed = _optional(client, "what it bills", lambda: with_bills(client, described, steps, earlier))
    # AWS does not document whether it lists defaults, too.
    defaults = {
        each.name: str(each.default) for each in parameters_of(definition or {}) if each.default is not None
    }
    effective = {**defaults, **(parameters or {})}
    shown = _shown_parameters(client, effective)
    types = {step["Name"]: step["Type"] for step in iter_steps(definition)} if definition else {}
    shown_steps = tuple(_bounded(step, types.get(step.name)) for step in billed or steps)
    return ExecutionRecord(
        pipeline_execution_arn=arn,
        status=status,
        display_name=described.get("PipelineExecutionDisplayName"),
        rejected=rejected,
        resumes=resumes,
        started=_iso(described.get("CreationTime")),
        ended=_iso(described.get("LastModifiedTime")) if is_end(status) else None,
        pipeline_version_id=described.get("PipelineVersionId"),
        definition_hash=definition_hash(definition) if definition else None,
        parameters=None if parameters is None else shown,
        parameters_left_out=len(effective) - len(shown),
        steps=shown_steps,
        **({} if billed is None else _total(shown_steps)),
        cause=cause and _bounded_cause(cause),
    )


def _total(steps: Sequence[Step]) -> dict[str, Any]:
    return {name: value for name, value in asdict(Total.of(steps)).items() if name != "unpriced"}


def _bounded(step: Step, step_type: str | None) -> Step:
    reason = cut(step.reason, MAX_STEP_REASON) if step.reason else None
    return replace(step, type=step_type or step.type, reason=reason)


def _optional(client: SageMakerClient, what: str, read: Callable[[], T]) -> T | None:
    try:
        return read()
    except (ClientError, BotoCoreError, SageMakerPipelinesError, KeyError) as error:
        client.log.warning("The record of the execution lacks %s: %s", what, error)
        return None


def _shown_parameters(client: SageMakerClient, parameters: Mapping[str, str]) -> dict[str, str]:
    """Return the parameters that fit in, with secrets masked and long values shortened."""
    masked: Mapping[str, str] = client.account.masked(dict(parameters))
    shown: dict[str, str] = {}
    room = MAX_PARAMETERS
    for name, value in masked.items():
        short = cut(str(value), MAX_VALUE)
        room -= len(json.dumps({name: short}))
        if room < 0:
            break
        shown[name] = short
    return shown


def _bounded_cause(cause: FailureCause) -> FailureCause:
    """Return a cause that leaves room for the steps; of its log, the last lines are kept."""
    tail: list[str] = []
    room = MAX_TAIL
    for line in reversed(cause.log_tail):
        room -= len(json.dumps(line))
        if room < 0:
            break
        tail.insert(0, line)
    return replace(cause, reason=cut(cause.reason, MAX_CAUSE, size=_json_size), log_tail=tuple(tail))


def _json_size(text: str) -> int:
    return len(json.dumps(text))


def _most_important(steps: Sequence[Step], count: int) -> tuple[Step, ...]:
    ranked = sorted(range(len(steps)), key=lambda i: (steps[i].status != FAILED, i))
    return tuple(steps[i] for i in sorted(ranked[:count]))


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
