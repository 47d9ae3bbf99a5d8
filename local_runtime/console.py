"""The output of ``python -m local_runtime run``: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.table import Table

from local_runtime.progress import StepState, Verdict, failure_of
from sagemaker_pipelines.states import Phase, step_phase

_STYLES = {
    Phase.SUCCEEDED: "green",
    Phase.FAILED: "red",
    Phase.STOPPED: "yellow",
    Phase.RUNNING: "cyan",
}
_SIGNS = {
    "LessThanOrEqualTo": "<=",
    "LessThan": "<",
    "GreaterThanOrEqualTo": ">=",
    "GreaterThan": ">",
    "Equals": "==",
}


class StepDisplay:
    """Show steps as they change.

    :param console: where they are shown.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._shown: dict[str, str] = {}

    @contextmanager
    def showing(self) -> Iterator[StepDisplay]:
        """Show the steps inside the block; on a terminal, the table is redrawn in place."""
        if not self._console.is_terminal:
            yield self
            return
        with Live(console=self._console, refresh_per_second=8) as live:
            self._live = live
            yield self

    def update(self, steps: list[StepState]) -> None:
        """Show the current steps; without a terminal, print a line for each step that changed."""
        if self._live is not None:
            self._live.update(steps_table(steps))
            return
        for step in steps:
            if self._shown.get(step.name) != step.status:
                self._shown[step.name] = step.status
                line = f"{step.name:<28} {step.status:<10} {step.seconds:6.1f} s"
                self._console.print(line, highlight=False, soft_wrap=True)


def steps_table(steps: list[StepState]) -> Table:
    """Return a table of the steps with their status and seconds."""
    table = Table(box=None, pad_edge=False)
    table.add_column("step")
    table.add_column("status")
    table.add_column("seconds", justify="right")
    for step in steps:
        status = f"[{_STYLES[step_phase(step.status)]}]{step.status}[/]"
        table.add_row(step.name, status, f"{step.seconds:.1f}")
    return table


def verdict_line(verdict: Verdict) -> str:
    """Return one line with the metric and its threshold."""
    sign = _SIGNS.get(verdict.operator, verdict.operator)
    outcome = "passed" if verdict.passed else "rejected"
    return f"metric {verdict.metric:.4f}, wanted {sign} {verdict.threshold:g}: {outcome}"


def failure_lines(step: StepState, tail: list[str]) -> list[str]:
    """Return lines that say why a step failed, with the last lines of its job."""
    return [f"{step.name}: {failure_of(step)}", *(f"  | {line}" for line in tail)]
