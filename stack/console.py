"""What the reader sees: a line for each change while it runs, and a summary at the end."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.markup import escape

from local_runtime.progress import StepState, Verdict
from stack.execution import Predictions, detail_of

_COLOURS = {
    "Succeeded": "green",
    "success": "green",
    "Failed": "red",
    "failed": "red",
    "upstream_failed": "red",
    "Stopped": "yellow",
    "Executing": "cyan",
    "running": "cyan",
    "skipped": "magenta",
}


class Progress:
    """Print a line whenever the state of something changes.

    :param console: where to print.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.monotonic()
        self._states: dict[tuple[str, str], str] = {}

    def line(self, text: str) -> None:
        """Print one line after the seconds since the beginning."""
        seconds = time.monotonic() - self._began
        self._console.print(f"[dim]{seconds:6.1f} s[/]  {text}", highlight=False, soft_wrap=True)

    def state(self, group: str, name: str, state: str, *, note: str = "") -> None:
        """Print the state of a member of a group unless it was the last one printed for it."""
        if self._states.get((group, name)) == state:
            return
        self._states[group, name] = state
        self.line(f"{group:<24} {name:<24} {coloured(state)}{f'  [dim]{note}[/]' if note else ''}")

    def steps(self, pipeline: str, steps: Iterable[StepState]) -> None:
        """Print the changes of an execution's steps."""
        for step in steps:
            ended = step.status not in ("Starting", "Executing", "Stopping")
            note = f"{step.seconds:.1f} s" if ended else ""
            self.state(f"  {pipeline}", step.name, step.status, note=note)


def show(console: Console, lines: Iterable[str]) -> None:
    """Print lines as they are, however narrow the terminal."""
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)


def coloured(state: str) -> str:
    """Return the state in its colour."""
    colour = _COLOURS.get(state)
    return f"[{colour}]{state}[/]" if colour else state


def title_of(arn: str, status: str) -> str:
    """Return a short title for an execution: pipeline, id and status."""
    _, pipeline, _, execution_id = arn.rsplit(":", 1)[1].split("/")
    return f"{pipeline}, execution {execution_id}: {coloured(status)}"


def steps_lines(title: str, steps: Sequence[StepState]) -> list[str]:
    """Return a table of steps with status, seconds, and what there is to say about each."""
    width = max((len(step.name) for step in steps), default=0)
    lines = [f"[bold]{title}[/]"]
    for step in steps:
        seconds = f"{step.seconds:.1f} s"
        status = coloured(step.status) + " " * (10 - len(step.status))
        detail = f"  [dim]{escape(text)}[/]" if (text := detail_of(step)) else ""
        lines.append(f"  {step.name:<{width}}  {status} {seconds:>7}{detail}")
    return lines


def verdict_line(verdict: Verdict) -> str:
    """Return the gate's comparison in one line."""
    relation, word = ("<=", "[green]accepted[/]") if verdict.passed else (">", "[magenta]rejected[/]")
    return f"MSE {verdict.metric:.4f} {relation} threshold {verdict.threshold:g}: {word}"


def predictions_lines(predictions: Predictions, *, first: int = 5) -> list[str]:
    """Return how many predictions there are, where, and the first few."""
    shown = ", ".join(f"{value:.3f}" for value in predictions.values[:first])
    return [
        f"{len(predictions.values)} predictions in {predictions.uri}",
        f"the first {min(first, len(predictions.values))}: {shown}",
    ]
