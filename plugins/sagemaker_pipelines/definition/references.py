"""Find what the expressions of a definition refer to: steps, parameters, execution variables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

#: ``Steps.AbaloneEval.PropertyFiles.EvaluationReport``, ``Steps.Lambda.OutputParameters['x']``
_GET = re.compile(r"(?P<kind>[A-Za-z]+)(?:\.(?P<name>[A-Za-z0-9_-]+)(?P<rest>.*))?", re.DOTALL)
#: ``.FinalMetricDataList['validation:rmse'].Value``
_TRAINING_METRIC = re.compile(
    r"""\.FinalMetricDataList\[(?P<quote>['"])(?P<name>[^'"]+)(?P=quote)\]\.Value"""
)
#: ``TrainingJobSummaries`` begins with the best training job.
_TUNING_METRIC = re.compile(
    r"\.(?:BestTrainingJob|TrainingJobSummaries\[0\])\.FinalHyperParameterTuningJobObjectiveMetric\.Value"
)
#: ``.OutputParameters['accuracy']``
_OUTPUT = re.compile(r"""\.OutputParameters\[(?P<quote>['"])(?P<name>[^'"]+)(?P=quote)\]""")


@dataclass(frozen=True)
class Reference:
    """One ``{"Get": ...}`` of a definition.

    :param kind: its first part: ``Steps``, ``Parameters``, ``Execution`` or another namespace.
    :param name: its second part: the name of the step, parameter or variable.
    :param rest: the text after the name, with its leading dot or bracket; may be empty.
    :param text: the whole expression.
    """

    kind: str
    name: str
    rest: str
    text: str

    @property
    def property_file(self) -> str | None:
        """The name of the property file that is read, or None."""
        head, _, name = self.rest.rpartition(".PropertyFiles.")
        return name if not head and name != self.rest else None

    @property
    def training_metric(self) -> str | None:
        """The name of the training job's metric that is read, or None."""
        match = _TRAINING_METRIC.fullmatch(self.rest) if self.kind == "Steps" else None
        return match["name"] if match else None

    @property
    def output_parameter(self) -> str | None:
        """The name of the output of a Lambda or Callback step that is read, or None."""
        match = _OUTPUT.fullmatch(self.rest) if self.kind == "Steps" else None
        return match["name"] if match else None

    @property
    def is_tuning_metric(self) -> bool:
        """Whether it reads the objective metric of a tuning job's best training job."""
        return self.kind == "Steps" and _TUNING_METRIC.fullmatch(self.rest) is not None


def parse_reference(text: str) -> Reference:
    """Parse the value of a ``Get``.

    :param text: for example ``Steps.AbaloneTrain.ModelArtifacts.S3ModelArtifacts``.
    """
    match = _GET.fullmatch(text)
    if match is None:
        return Reference("", "", "", text)
    return Reference(match["kind"], match["name"] or "", match["rest"] or "", text)


def references(value: Any) -> Iterator[Reference]:
    """Yield every reference in a value, at any depth, in the order of the document."""
    if isinstance(value, dict):
        target = value.get("Get")
        if len(value) == 1 and isinstance(target, str):
            yield parse_reference(target)
            return
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def is_expression(value: Any) -> bool:
    """Return whether a value is ``{"Get": "..."}`` or a function call such as ``{"Std:Join": ...}``."""
    if not isinstance(value, dict) or len(value) != 1:
        return False
    [(key, body)] = value.items()
    return isinstance(body, str) if key == "Get" else str(key).startswith("Std:")


def calls(function: str, value: Any) -> bool:
    """Return whether a value calls a function such as ``Std:JsonGet``, at any depth."""
    if isinstance(value, dict):
        return function in value or any(calls(function, item) for item in value.values())
    return isinstance(value, list) and any(calls(function, item) for item in value)
