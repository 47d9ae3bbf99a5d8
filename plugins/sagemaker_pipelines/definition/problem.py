"""One finding of the linter."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """Something that is wrong with a definition.

    :param step: name of the step, or None where the definition as a whole is meant.
    :param message: what is wrong, with the value seen.
    :param fix: what to do, as an imperative.
    """

    step: str | None
    message: str
    fix: str

    def __str__(self) -> str:
        place = f"step {self.step}: " if self.step else ""
        return f"{place}{self.message}; {self.fix}."
