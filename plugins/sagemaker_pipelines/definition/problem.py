"""A problem that the linter has found."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """Something that is wrong with a definition.

    :param step: name of the step, or None for a problem of the definition as a whole.
    :param message: what is wrong, with the value seen.
    :param fix: what to do, as an imperative.
    :param name: the override that allows it, such as ``Training.Enviroment``; empty if there is none.
    :param certain: False if a SageMaker that is newer than the model may accept it.
    """

    step: str | None
    message: str
    fix: str
    name: str = ""
    certain: bool = True

    def __str__(self) -> str:
        place = f"step {self.step}: " if self.step else ""
        override = f" (override: {self.name})" if self.name else ""
        return f"{place}{self.message}; {self.fix}{override}."


def name_another(steps: Set[str]) -> str:
    """Return the fix for the name of a step that does not exist.

    :param steps: the names of the steps that may be named instead; there may be none.
    """
    return f"name one of {', '.join(sorted(steps))}, or remove it" if steps else "remove it"
