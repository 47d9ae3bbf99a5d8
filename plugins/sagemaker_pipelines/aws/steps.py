"""The steps of an execution, as SageMaker lists them.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_PipelineExecutionStep.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import Any, Self

from sagemaker_pipelines.messages import cut
from sagemaker_pipelines.states import Phase, step_phase

MAX_REASON = 3072
MAX_DESCRIPTION = 200
# https://docs.aws.amazon.com/sagemaker/latest/dg/logging-cloudwatch.html
_LOG_GROUPS = {
    "Processing": "/aws/sagemaker/ProcessingJobs",
    "QualityCheck": "/aws/sagemaker/ProcessingJobs",
    "ClarifyCheck": "/aws/sagemaker/ProcessingJobs",
    "Training": "/aws/sagemaker/TrainingJobs",
    "Transform": "/aws/sagemaker/TransformJobs",
    # Its training jobs, whose names are its own with a number and a suffix: name-001-1a2b3c4d.
    "Tuning": "/aws/sagemaker/TrainingJobs",
}


@dataclass(frozen=True, kw_only=True)
class Bill:
    """What the job of a step bills.

    :param instance_type: such as ``ml.m5.xlarge``.
    :param instance_count: the number of instances.
    :param seconds: billable seconds of each instance; 0 if nothing was run.
    :param source: where the seconds come from, such as ``BillableTimeInSeconds``, ``start to end`` or
        ``cache hit``.
    :param saving: the share of a training job's time that managed spot training did not bill, 0 to 1.
    :param saved_instance_seconds: what spot training or the cache saved.
    :param earlier_instance_seconds: the most that the step's earlier attempts billed, whose jobs SageMaker no
        longer names.
    :param price_per_hour: the price of one instance for an hour; None if it is unknown.
    :param price_date: the day on which it held, ISO 8601.
    :param currency: such as ``USD``.
    """

    instance_type: str
    instance_count: int
    seconds: float
    source: str
    saving: float = 0.0
    saved_instance_seconds: float = 0.0
    earlier_instance_seconds: float = 0.0
    price_per_hour: float | None = None
    price_date: str | None = None
    currency: str | None = None

    @property
    def instance_seconds(self) -> float:
        """Seconds times instances."""
        return round(self.seconds * self.instance_count, 3)

    @property
    def cost(self) -> float | None:
        """What the instance-seconds cost; None if the price is unknown."""
        return self.cost_of(self.instance_seconds)

    def cost_of(self, instance_seconds: float) -> float | None:
        """Return what some instance-seconds cost here; None if the price is unknown."""
        if instance_seconds == 0:
            return 0.0
        return (
            None if self.price_per_hour is None else round(instance_seconds * self.price_per_hour / 3600, 6)
        )

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON types; of the newer members, those without their default."""
        optional = {f.name for f in fields(self) if getattr(self, f.name) == f.default} - {"saving"}
        own = {name: value for name, value in asdict(self).items() if name not in optional}
        return {**own, "instance_seconds": self.instance_seconds, "cost": self.cost}

    def __str__(self) -> str:
        notes = [self.source]
        if self.saving > 0:
            notes.append(f"{self.saving:.0%} saved by spot")
        elif self.saved_instance_seconds > 0:
            notes.append(f"{self.saved_instance_seconds:.0f} saved")
        if self.earlier_instance_seconds > 0:
            notes.append(f"and at most {self.earlier_instance_seconds:.0f} by earlier attempts")
        cost = money(self.cost, self.currency) if self.instance_seconds else None
        return (
            f"{self.instance_seconds:.0f} instance-seconds = {self.seconds:.0f} s x {self.instance_count} "
            f"{self.instance_type} ({', '.join(notes)}){'' if cost is None else f', {cost}'}"
        )


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of an execution.

    :param name: its name in the definition.
    :param type: its type, if the answer shows it; None for a step that has not created a job yet.
    :param status: its StepStatus, as AWS writes it.
    :param started: when it began.
    :param ended: when it ended.
    :param attempts: how often it was attempted.
    :param arn: the ARN of what it created: a job, a model, a model package.
    :param reason: why it failed: the message of a Fail step, or the FailureReason of any other step.
    :param outcome: the outcome of a Condition step: ``True`` or ``False``, as AWS writes it.
    :param description: its StepDescription.
    :param is_cache_hit: whether its result comes from the cache.
    :param is_taken_over: whether a selective execution took its result from another execution.
    :param source: the execution that the result comes from, if it is a cache hit or was taken over.
    :param bill: what its job bills; None if it has no job, or if this was not read.
    :param inputs: the S3 URIs that its job reads, if this was read.
    :param outputs: the S3 URIs that its job writes.
    :param output_parameters: the outputs of a Lambda or Callback step, as AWS writes them; they stay out of
        records.
    """

    name: str
    status: str
    type: str | None = None
    started: datetime | None = None
    ended: datetime | None = None
    attempts: int = 0
    arn: str | None = None
    reason: str | None = None
    outcome: str | None = None
    description: str | None = None
    is_cache_hit: bool = False
    is_taken_over: bool = False
    source: str | None = None
    bill: Bill | None = None
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    output_parameters: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, answer: Mapping[str, Any]) -> Self:
        """Read a step from an answer of ListPipelineExecutionSteps."""
        # The metadata has one member, named after what the step created or did.
        kind: str | None = next(iter(answer.get("Metadata", {})), None)
        metadata: Mapping[str, Any] = answer["Metadata"][kind] if kind else {}
        result = answer.get("CacheHitResult") or answer.get("SelectiveExecutionResult") or {}
        return cls(
            name=str(answer["StepName"]),
            status=str(answer["StepStatus"]),
            type=kind and (kind.removesuffix("Job") or kind),
            started=answer.get("StartTime"),
            ended=answer.get("EndTime"),
            attempts=int(answer.get("AttemptCount") or 0),
            arn=metadata.get("Arn") or metadata.get("CheckJobArn") or None,
            reason=(kind == "Fail" and metadata.get("ErrorMessage")) or answer.get("FailureReason") or None,
            outcome=metadata.get("Outcome"),
            description=cut(answer.get("StepDescription") or "", MAX_DESCRIPTION) or None,
            is_cache_hit="CacheHitResult" in answer,
            is_taken_over="SelectiveExecutionResult" in answer,
            source=result.get("SourcePipelineExecutionArn"),
            output_parameters={each["Name"]: each["Value"] for each in metadata.get("OutputParameters", ())},
        )

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        """Return what :meth:`as_dict` returned; members that are not known are ignored."""
        own: dict[str, Any] = known_members(cls, value)
        for name in {"started", "ended"} & own.keys():
            own[name] = datetime.fromisoformat(own[name])
        if "bill" in own:
            own["bill"] = Bill(**known_members(Bill, own["bill"]))
        for name in {"inputs", "outputs"} & own.keys():
            own[name] = tuple(own[name])
        return cls(**own)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON types, without its output parameters and the members that have their default."""
        found = {f.name: v for f in fields(self) if (v := getattr(self, f.name)) != f.default}
        del found["output_parameters"]
        for name in {"started", "ended"} & found.keys():
            found[name] = found[name].isoformat()
        for name in {"inputs", "outputs"} & found.keys():
            found[name] = list(found[name])
        if self.seconds is not None:
            found["seconds"] = self.seconds
        if self.bill is not None:
            found["bill"] = self.bill.as_dict()
        return found

    @property
    def phase(self) -> Phase:
        """The meaning of its status.

        :raises UnknownStatusError: the status is not in the table.
        """
        return step_phase(self.status)

    @property
    def seconds(self) -> float | None:
        """How long it took; None while it is running, or if AWS gives no times."""
        if self.started is None or self.ended is None:
            return None
        return round((self.ended - self.started).total_seconds(), 3)

    @property
    def is_fail_step(self) -> bool:
        """Whether it is a Fail step, by which the pipeline itself decides that it fails."""
        return self.type == "Fail"

    @property
    def job_name(self) -> str | None:
        """The name of its job; the names of the job's log streams begin with it."""
        return self.arn.rpartition("/")[2] if self.arn else None

    @property
    def log_group(self) -> str | None:
        """The CloudWatch log group of its job or endpoint; None if it has none."""
        if self.type == "Endpoint" and self.arn:
            # An ARN has the endpoint's name in lower case; a name with capitals has another group.
            return f"/aws/sagemaker/Endpoints/{self.job_name}"
        return _LOG_GROUPS.get(self.type or "") if self.arn else None

    @property
    def log_stream_filter(self) -> dict[str, str]:
        """The arguments of DescribeLogStreams that find its streams in its group; an endpoint has all."""
        separator = "-" if self.type == "Tuning" else "/"
        return {} if self.type == "Endpoint" else {"logStreamNamePrefix": f"{self.job_name}{separator}"}

    def __str__(self) -> str:
        """Return it as a log line."""
        text = f"Step {self.name}: {self.status}"
        if self.seconds is not None:
            text += f" after {self.seconds:.1f} s"
        if self.description:
            text += f" ({self.description})"
        if self.is_cache_hit:
            text += f" (cache hit from {self.source})"
        if self.attempts > 1:
            text += f" (attempt {self.attempts})"
        if self.bill is not None:
            text += f", billable: {self.bill}"
        return f"{text}: {cut(self.reason, MAX_REASON)}" if self.reason else text


def money(cost: float | None, currency: str | None) -> str | None:
    """Return an amount as text with two significant digits at least; None if it is unknown."""
    if not cost:
        return None if cost is None else "0"
    return f"{cost:.2f} {currency}" if cost >= 0.1 else f"{cost:.2g} {currency}"


def known_members(kind: type[Any], value: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members of a mapping that a dataclass has."""
    return {each.name: value[each.name] for each in fields(kind) if each.name in value}


class StepLog:
    """Report what has changed between two polls of an execution's steps."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[str, int]] = {}

    def changes(self, steps: Iterable[Step]) -> list[Step]:
        """Return each step that began, changed its status or was attempted again since the last poll."""
        changed = [step for step in steps if self._seen.get(step.name) != (step.status, step.attempts)]
        self._seen |= {step.name: (step.status, step.attempts) for step in changed}
        return changed


def failed_steps(steps: Iterable[Step]) -> list[Step]:
    """Return the failed steps, ordered by their end: the first failure often causes the later ones."""
    failed = [step for step in steps if step.phase is Phase.FAILED]
    return sorted(failed, key=lambda step: (step.ended is None, step.ended))
