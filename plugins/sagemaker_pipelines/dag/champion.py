"""What a DAG says about its champion, checked against its definition when the DAG is parsed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sagemaker_pipelines.aws.model_packages import PackagedModel
from sagemaker_pipelines.data.partitions import unknown_fields
from sagemaker_pipelines.definition import Envelope, Gate, check_parameters
from sagemaker_pipelines.exceptions import ParameterError

#: The parameters of the comparison pipeline that the DAG sets.
RULE_PARAMETERS = ("Metric", "LargerIsBetter", "Margin")
#: The metrics whose direction is known, whatever a gate says.
LARGER_IS_BETTER = frozenset({"accuracy", "auc", "f1", "precision", "r2", "recall"})
SMALLER_IS_BETTER = frozenset({"log_loss", "mae", "mse", "rmse"})
_MODEL = PackagedModel(arn="", image="", model_data_url="")
OWN_PARAMETERS = (
    "Holdout",
    *_MODEL.parameters("Challenger"),
    *_MODEL.parameters("Champion"),
    *RULE_PARAMETERS,
)


@dataclass(frozen=True, kw_only=True)
class Champion:
    """What a new model has to be better than: the newest Approved model package of its group.

    :param group: the model package group in which the definition registers its models, such as
        ``"{name_prefix}abalone"``; ``{name_prefix}`` comes from the environment.
    :param holdout: S3 URI of labelled rows that no model is trained on: CSV without a header, the label in
        the last column. It may have the fields ``{artifact_bucket}`` and ``{name_prefix}``.
    :param margin: by how much a challenger has to be better, in the metric's unit; default 0, which still
        requires that it is better, and not by chance.
    :param metric: the metric to compare; None means that of the definition's gate.
    :param definition: path of the comparison pipeline's definition; None means ``comparison.json`` in the
        folder of the DAG's definition.
    :param pipeline_params: more parameters of the comparison pipeline, such as ``{"Resamples": 5000}``.
    :raises ValueError: a value cannot be used; the message says what was expected.
    """

    group: str
    holdout: str
    margin: float = 0.0
    metric: str | None = None
    definition: str | Path | None = None
    pipeline_params: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what could not be compared."""
        is_number = isinstance(self.margin, int | float) and not isinstance(self.margin, bool)
        if not is_number or not math.isfinite(self.margin) or self.margin < 0:
            raise ValueError(
                f"The margin of the champion is {self.margin!r}; expected a number of at least 0: by how "
                "much a new model has to be better, in the metric's unit. Correct it."
            )
        if not self.holdout.startswith("s3://"):
            raise ValueError(
                f"The holdout of the champion is {self.holdout!r}; expected the S3 URI of labelled rows. "
                "Begin it with s3://."
            )
        for name, template in (("group", self.group), ("holdout", self.holdout)):
            if unknown := unknown_fields(template):
                raise ValueError(
                    f"The {name} of the champion, {template!r}, has the field {unknown[0]!r}; expected "
                    "name_prefix, or in the holdout also artifact_bucket. Correct the field."
                )


@dataclass(frozen=True, kw_only=True)
class ComparisonPlan:
    """How a definition's models are compared with their champion.

    :param champion: what the DAG says.
    :param envelope: the definition of the comparison pipeline.
    :param path: its path.
    :param metric: the metric that is compared.
    :param larger_is_better: whether its larger value is the better one.
    """

    champion: Champion
    envelope: Envelope
    path: Path
    metric: str
    larger_is_better: bool

    @property
    def rule(self) -> dict[str, object]:
        """The parameters of the comparison pipeline that decide who wins."""
        values = (self.metric, str(self.larger_is_better).lower(), self.champion.margin)
        return {**self.champion.pipeline_params, **dict(zip(RULE_PARAMETERS, values, strict=True))}


def plan_comparison(
    champion: Champion | None,
    definition: str | Path,
    envelope: Envelope,
    gate: Gate | None,
) -> ComparisonPlan | None:
    """Return how the models of a definition are compared with their champion; None if they are not.

    :param champion: what the DAG says.
    :param definition: path of the DAG's definition.
    :param envelope: the DAG's definition.
    :param gate: its gate, which says which metric is compared, and whether it should be large or small.
    :raises ValueError: the comparison pipeline does not have the metric or a parameter, a parameter cannot
        have its value, or the gate says that the worse value of the metric is the better one.
    """
    if champion is None or gate is None:
        return None
    if gate.operator == "Equals":
        raise ValueError(
            f"The gate {gate.condition_step!r} of the definition {envelope.name!r} compares with Equals, "
            "which does not say whether a larger or a smaller metric is better; expected less or greater "
            "than. Correct the condition, or leave out champion=."
        )
    path = Path(champion.definition or Path(definition).with_name("comparison.json"))
    comparison = _comparison(path, champion)
    metric = champion.metric or gate.label
    _check_metric(comparison, metric)
    _check_direction(envelope, gate, metric)
    return ComparisonPlan(
        champion=champion,
        envelope=comparison,
        path=path,
        metric=metric,
        larger_is_better=_larger_is_better(gate),
    )


def _comparison(path: Path, champion: Champion) -> Envelope:
    if not path.exists():
        raise ValueError(
            f"The definition of the comparison pipeline, {path}, does not exist. Copy dags/definitions/"
            "comparison.json and its assets there, or name another one: Champion(definition=...)."
        )
    envelope = Envelope.load(path)
    names = {parameter.name for parameter in envelope.parameters}
    if missing := sorted(set(OWN_PARAMETERS) - names):
        raise ValueError(
            f"The definition {path} has no parameter {', '.join(missing)}; expected those of "
            "pipeline_src/comparison. Add them, or name another definition: Champion(definition=...)."
        )
    free = [parameter for parameter in envelope.parameters if parameter.name not in OWN_PARAMETERS]
    try:
        check_parameters(free, champion.pipeline_params)
    except ParameterError as error:
        raise ValueError(
            f"Champion(pipeline_params=...) cannot be used for the comparison pipeline: {error} Correct it."
        ) from error
    return envelope


def _check_metric(comparison: Envelope, metric: str) -> None:
    (parameter,) = (each for each in comparison.parameters if each.name == "Metric")
    if parameter.enum_values and metric not in parameter.enum_values:
        raise ValueError(
            f"The metric {metric!r} is not one that the comparison pipeline computes; expected one of "
            f"{', '.join(map(str, parameter.enum_values))}. Name one of them with Champion(metric=...), or a "
            "pipeline of your own with Champion(definition=...)."
        )


def _larger_is_better(gate: Gate) -> bool:
    return gate.operator.startswith("Greater")


def _check_direction(envelope: Envelope, gate: Gate, metric: str) -> None:
    opposite = SMALLER_IS_BETTER if _larger_is_better(gate) else LARGER_IS_BETTER
    if metric in opposite:
        better = "smaller" if opposite is SMALLER_IS_BETTER else "larger"
        raise ValueError(
            f"The gate {gate.condition_step!r} of the definition {envelope.name!r} accepts a {gate.label} "
            f"that is {gate.sign(passed=True)} its threshold, but the {better} value of {metric}, the metric "
            "to compare, is the better one; expected a metric of the same direction, or the worse model "
            "would win. Name another one with Champion(metric=...), or correct the condition."
        )
