"""The comparison of a new model, the challenger, with the champion on the same rows.

The last task of the group ``compare_with_champion`` pushes it to XCom, where a decision reads it. It is JSON,
and never larger than ``MAX_BYTES``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from sagemaker_pipelines.aws.client import SageMakerClient
from sagemaker_pipelines.aws.gate import read_gate, read_report
from sagemaker_pipelines.aws.outcome import execution_outcome
from sagemaker_pipelines.aws.steps import known_members
from sagemaker_pipelines.exceptions import EvaluationError
from sagemaker_pipelines.messages import cut

VERSION = 1
MAX_BYTES = 8 * 1024
MAX_SLICES = 20
MAX_NAME = 100
MAX_REASON = 400


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A model package with its metric.

    :param arn: ARN of the model package.
    :param value: its metric: on the rows of the comparison, or that of the gate if nothing was compared.
    """

    arn: str
    value: float


@dataclass(frozen=True, kw_only=True)
class Slice:
    """Both metrics on some of the rows.

    :param name: which rows, such as ``sex=F``.
    :param rows: how many they are.
    :param challenger: the challenger's metric; None if these rows have none, such as an AUC of one class.
    :param champion: the champion's metric; None if these rows have none.
    """

    name: str
    rows: int
    challenger: float | None
    champion: float | None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What is known about a challenger and the champion.

    A first model has no champion: then nothing was compared, the challenger's value is that of the gate, and
    what describes a comparison is None or empty.

    :param metric: what people call the metric, such as ``mse``.
    :param larger_is_better: whether the larger value is the better one.
    :param margin: by how much the challenger has to be better, in the metric's unit.
    :param threshold: the threshold of the gate that the challenger has passed.
    :param challenger: the new model.
    :param champion: the newest Approved model package of the group; None if there was none.
    :param difference: the challenger's value minus the champion's.
    :param interval: the confidence interval of the difference, from the lower to the upper end.
    :param confidence: the confidence level of the interval, such as 0.95.
    :param rows: the number of labelled rows that both models have scored.
    :param resamples: the number of resamples of the paired bootstrap.
    :param seed: the seed of its random numbers.
    :param slices: both metrics on parts of the rows, at most ``MAX_SLICES``.
    :param wins: whether the challenger wins.
    :param reason: why, in one line.
    :param execution_arn: the execution that compared them; None if nothing was compared.
    :param report_uri: S3 URI of the comparison's report, or of the gate's if nothing was compared.
    :param version: the version of this form; a reader ignores members that it does not know.
    """

    metric: str
    larger_is_better: bool
    margin: float
    threshold: float
    challenger: Contender
    wins: bool
    reason: str
    report_uri: str
    champion: Contender | None = None
    difference: float | None = None
    interval: tuple[float, float] | None = None
    confidence: float | None = None
    rows: int = 0
    resamples: int | None = None
    seed: int | None = None
    slices: tuple[Slice, ...] = ()
    execution_arn: str | None = None
    version: int = VERSION

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Return the comparison in an XCom; members that this version does not know are ignored.

        :raises EvaluationError: a member is missing, or does not have the type that it should have.
        """
        try:
            return cls(**_members(cls, document))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise EvaluationError(
                f"The comparison {cut(repr(document), MAX_REASON)} cannot be read "
                f"({type(error).__name__}: {error}); expected the members of its version {VERSION}. Correct "
                "what writes comparison.json, and clear the group compare_with_champion."
            ) from error

    def as_document(self) -> dict[str, Any]:
        """Return it as JSON types of at most ``MAX_BYTES``; slices that do not fit in are left out."""
        slices = tuple(replace(part, name=cut(part.name, MAX_NAME)) for part in self.slices[:MAX_SLICES])
        bounded = replace(
            self,
            metric=cut(self.metric, MAX_NAME),
            reason=cut(" ".join(self.reason.split()), MAX_REASON),
            report_uri=cut(self.report_uri, 1024),
            slices=slices,
        )
        document = {**asdict(bounded), "interval": self.interval and list(self.interval)}
        document["slices"] = list(document["slices"])
        while len(json.dumps(document).encode()) > MAX_BYTES and document["slices"]:
            document["slices"].pop()
        return document


def read_comparison(client: SageMakerClient, pipeline_execution_arn: str, *, threshold: float) -> Comparison:
    """Return what an execution of the comparison pipeline has found.

    The challenger wins if the execution's gate says so, and if the execution was not rejected.

    :param client: calls AWS.
    :param pipeline_execution_arn: the execution, which must have ended.
    :param threshold: the threshold of the gate that the challenger has passed.
    :raises EvaluationError: the report is missing, or is not that of a comparison.
    :raises ExecutionError: the execution did not end well.
    """
    rejected = execution_outcome(client, pipeline_execution_arn).rejected
    reading = read_gate(client, pipeline_execution_arn)
    report = read_report(client, reading.report_uri)
    members = dict(report) if isinstance(report, Mapping) else {}
    of_execution = {
        "version": VERSION,
        "threshold": threshold,
        "wins": reading.passed and not rejected,
        "reason": "",
        "execution_arn": pipeline_execution_arn,
        "report_uri": reading.report_uri,
    }
    found = Comparison.from_document({**members, **of_execution})
    return replace(found, reason=_reason(found, *_compared(found)))


def _compared(found: Comparison) -> tuple[Contender, float, tuple[float, float]]:
    if found.champion is None or found.difference is None or found.interval is None:
        raise EvaluationError(
            f"{found.report_uri} has the champion {found.champion}, the difference {found.difference} and "
            f"the interval {found.interval}; expected all three. Correct what writes it, and clear the group "
            "compare_with_champion."
        )
    return found.champion, found.difference, found.interval


def _reason(found: Comparison, champion: Contender, difference: float, interval: tuple[float, float]) -> str:
    gain = difference if found.larger_is_better else -difference
    if found.wins:
        verdict = f"better by {gain:g}, more than the margin {found.margin:g}"
    elif gain <= found.margin:
        verdict = f"not better by more than the margin {found.margin:g}"
    else:
        verdict = f"better by {gain:g}, which may be chance"
    low, high = interval
    return (
        f"{found.metric} {found.challenger.value:g}, champion {champion.value:g}, on {found.rows} rows: "
        f"{verdict}; interval of the difference {low:g} to {high:g}"
    )


def _members(cls: type[Comparison], document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a comparison, with its parts in their own types."""
    known = known_members(cls, document)
    champion = document.get("champion")
    interval = document.get("interval")
    return {
        **known,
        "margin": _finite(document["margin"]),
        "threshold": _finite(document["threshold"]),
        "challenger": _contender(document["challenger"]),
        "champion": None if champion is None else _contender(champion),
        "difference": None if document.get("difference") is None else _finite(document["difference"]),
        "interval": None if interval is None else _interval(interval),
        "slices": tuple(Slice(**known_members(Slice, part)) for part in document.get("slices", ())),
    }


def _contender(document: Mapping[str, Any]) -> Contender:
    return Contender(arn=str(document["arn"]), value=_finite(document["value"]))


def _interval(ends: Any) -> tuple[float, float]:
    low, high = map(_finite, ends)
    return low, high


def _finite(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is not a finite number")
    return float(value)
