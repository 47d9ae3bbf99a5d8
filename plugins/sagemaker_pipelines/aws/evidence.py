"""What a decision about a model package is based on: the gate, the comparison, and the champion."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from sagemaker_pipelines.aws.comparison import Comparison
from sagemaker_pipelines.aws.steps import known_members

# What Markdown would not show as it is.
_MARKUP = re.compile(r"([\\`*_\[\]<>|~#])")


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What is known about a model package that waits for a decision.

    :param model_package_arn: the package.
    :param champion_arn: the champion that it would replace; None if the group has no Approved package.
    :param gate: what the branch pushed to XCom; None if it pushed nothing.
    :param comparison: the comparison with the champion; None if nothing was compared.
    :param pipeline_execution_arn: the execution that registered the package.
    """

    model_package_arn: str
    champion_arn: str | None = None
    gate: Mapping[str, Any] | None = None
    comparison: Comparison | None = None
    pipeline_execution_arn: str | None = None

    columns: ClassVar[tuple[str, ...]] = ("", "challenger", "champion")

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Return what :meth:`as_document` returned, which a later version may have extended.

        :raises EvaluationError: its comparison cannot be read.
        """
        compared = document.get("comparison")
        comparison = Comparison.from_document(compared) if compared else None
        return cls(**{**known_members(cls, document), "comparison": comparison})

    @property
    def passed(self) -> bool:
        """The verdict of the comparison, or of the gate if nothing was compared."""
        if self.comparison is not None:
            return self.comparison.wins
        return bool(self.gate and self.gate.get("passed"))

    @property
    def model_package(self) -> str:
        """The package's group and version."""
        return _version(self.model_package_arn)

    @property
    def fingerprint(self) -> str:
        """The same text for the same evidence."""
        return hashlib.sha256(json.dumps(self.as_document(), sort_keys=True).encode()).hexdigest()

    def as_document(self) -> dict[str, Any]:
        """Return it as JSON types."""
        return {
            "model_package_arn": self.model_package_arn,
            "champion_arn": self.champion_arn,
            "pipeline_execution_arn": self.pipeline_execution_arn,
            "gate": dict(self.gate) if self.gate else None,
            "comparison": self.comparison.as_document() if self.comparison else None,
        }

    def lines(self) -> list[str]:
        """Return the rows of the table as text, one line each."""
        return [
            f"{label}: {value}" + (f" (champion: {champion})" if champion else "")
            for label, value, champion in self.rows()
        ]

    def in_one_line(self) -> str:
        """Return the numbers as one short line; empty if there are none."""
        found = self.comparison
        if found is None:
            gate = self.gate
            return f"{gate['metric']} {gate['value']:.6g}, threshold {gate['threshold']:g}" if gate else ""
        text = f"{found.metric} {found.challenger.value:.6g}"
        if found.champion is None:
            return f"{text}, threshold {found.threshold:g}, no champion"
        text += f", champion {found.champion.value:.6g}"
        if found.difference is None:
            return text
        return f"{text}, difference {found.difference:.4g}{_interval(found)}"

    def notes(self) -> list[str]:
        """Return what the table does not say, one sentence each."""
        found, notes = self.comparison, list[str]()
        if found is None:
            if not self.gate:
                notes.append("Nothing was measured.")
            return notes
        if found.difference is not None:
            better = "larger" if found.larger_is_better else "smaller"
            notes.append(
                f"Difference {found.difference:.4g}{_interval(found)} on {found.rows:,} rows; {better} is "
                f"better, and the margin is {found.margin:g}."
            )
        notes.append(f"The challenger {'wins' if found.wins else 'does not win'}: {found.reason}")
        return notes

    def rows(self) -> Iterator[tuple[str, str, str]]:
        """Yield the rows of the table that people decide by."""
        yield "model package", self.model_package, _version(self.champion_arn)
        found = self.comparison
        if found is not None:
            champion = found.champion.value if found.champion else None
            yield found.metric, _number(found.challenger.value), _number(champion)
            yield "threshold", f"{found.threshold:g}", ""
            for part in found.slices:
                label = f"{found.metric}, {part.name} ({part.rows:,} rows)"
                yield label, _number(part.challenger), _number(part.champion)
        elif self.gate:
            yield str(self.gate["metric"]), _number(self.gate["value"]), ""
            yield "threshold", f"{self.gate['threshold']:g}", ""

    def markdown(self, page: str) -> str:
        """Return the text of a question, in which nothing that a name contains is markup.

        :param page: the URL of the page that shows this run and earlier ones.
        """
        head, *rows = [self.columns, *self.rows()]
        lines = ["| " + " | ".join(map(_plain, cells)) + " |" for cells in (head, *rows)]
        lines.insert(1, "|" + "---|" * len(head))
        links = [f"[How this run and earlier ones did]({page})", f"Execution: {self.pipeline_execution_arn}"]
        return "\n\n".join(["\n".join(lines), *map(_plain, self.notes()), *links])


def _plain(text: str) -> str:
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))


def _version(arn: str | None) -> str:
    return arn.rpartition(":model-package/")[2] if arn else "none"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def _interval(found: Comparison) -> str:
    if found.interval is None:
        return ""
    low, high = found.interval
    at = f" at {found.confidence:.0%}" if found.confidence is not None else ""
    return f" [{low:.4g}, {high:.4g}]{at}"
