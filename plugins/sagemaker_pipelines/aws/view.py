"""Show an execution on a terminal: each change of a step as it happens, and the end."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.markup import escape

from sagemaker_pipelines.aws.client import SageMakerClient
from sagemaker_pipelines.aws.gate import read_gate
from sagemaker_pipelines.aws.steps import Step
from sagemaker_pipelines.definition import gate_of
from sagemaker_pipelines.exceptions import EvaluationError, GateError, UnknownStatusError
from sagemaker_pipelines.states import EXECUTION_PHASES, STEP_PHASES, Phase

_COLOURS = {
    Phase.RUNNING: "cyan",
    Phase.SUCCEEDED: "green",
    Phase.FAILED: "red",
    Phase.STOPPED: "yellow",
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
        """Print one line, preceded by the seconds since the beginning."""
        self._console.print(
            f"[dim]{time.monotonic() - self._began:6.1f} s[/]  {text}", highlight=False, soft_wrap=True
        )

    def state(self, group: str, name: str, state: str, *, shown: str | None = None, note: str = "") -> None:
        """Print the state of a member of a group, unless it is the same as the last one printed.

        :param group: what it belongs to, such as a pipeline or a DAG.
        :param name: the step or the task.
        :param state: its state.
        :param shown: the state with markup; None colours it like a status of SageMaker.
        :param note: additional text.
        """
        if self._states.get((group, name)) == state:
            return
        self._states[group, name] = state
        dimmed = f"  [dim]{escape(note)}[/]" if note else ""
        self.line(f"{group:<24} {name:<24} {shown or coloured(state)}{dimmed}")

    def steps(self, pipeline_name: str, steps: Iterable[Step]) -> None:
        """Print the steps of an execution that have changed."""
        for step in steps:
            note = f"{step.seconds:.1f} s" if step.seconds is not None else ""
            self.state(f"  {pipeline_name}", step.name, step.status, note=note)


def show(console: Console, lines: Iterable[str]) -> None:
    """Print lines with markup without wrapping them, however narrow the terminal is."""
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)


def coloured(status: str) -> str:
    """Return a status of an execution or a step in its colour, as rich's markup."""
    phase = EXECUTION_PHASES.get(status) or STEP_PHASES.get(status)
    return f"[{_COLOURS[phase]}]{status}[/]" if phase else escape(status)


def title(pipeline_execution_arn: str, status: str) -> str:
    """Return a short title of an execution: pipeline, id and status."""
    _, pipeline, _, execution_id = pipeline_execution_arn.rpartition(":")[2].split("/")
    return f"{pipeline}, execution {execution_id}: {coloured(status)}"


def steps_lines(heading: str, steps: Sequence[Step]) -> list[str]:
    """Return a table of steps with their status, seconds, and a note if there is one.

    :param heading: the first line, with markup.
    :param steps: the steps, in the order of the table.
    """
    width = max((len(step.name) for step in steps), default=0)
    lines = [f"[bold]{heading}[/]"]
    for step in steps:
        seconds = "" if step.seconds is None else f"{step.seconds:.1f} s"
        status = coloured(step.status) + " " * (10 - len(step.status))
        detail = f"  [dim]{escape(text)}[/]" if (text := _detail(step)) else ""
        lines.append(f"  {step.name:<{width}}  {status} {seconds:>7}{detail}")
    return lines


def gate_lines(client: SageMakerClient, pipeline_execution_arn: str) -> list[str]:
    """Return the gate's comparison in one line; no line if there is no gate, or nothing to compare yet."""
    try:
        gate = gate_of(client.execution_definition(pipeline_execution_arn))
        reading = read_gate(client, pipeline_execution_arn)
    except (GateError, EvaluationError):
        return []
    verdict = "[green]accepted[/]" if reading.passed else "[magenta]rejected[/]"
    metric = f"{escape(reading.metric.upper())} {reading.value:.6g}"
    return [f"{metric} {gate.sign(reading.passed)} threshold {reading.threshold:g}: {verdict}"]


def _detail(step: Step) -> str:
    """Return why a step failed, the outcome of a Condition, or what the definition says about the step."""
    try:
        if step.phase is Phase.FAILED:
            return step.reason or ""
    except UnknownStatusError:
        return ""
    return f"outcome: {step.outcome}" if step.outcome else step.description or ""
