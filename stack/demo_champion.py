"""``make demo-champion``: three generations of a model, of which two become champion, through a real Airflow.

The gate measures each model on a part of its own data. By these numbers, the model that was trained on all
rows is the worst of the three; on the same labelled holdout it is the best.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from rich.console import Console
from rich.markup import escape

from sagemaker_pipelines.aws.champion import read_model_package
from sagemaker_pipelines.aws.comparison import Comparison
from sagemaker_pipelines.aws.evidence import Evidence
from sagemaker_pipelines.aws.view import Progress, gate_lines, show, steps_lines, title
from stack.airflow_env import shell_environment
from stack.demo import PAGE, SCORE, started
from stack.exceptions import RunFailedError, StackError
from stack.lifecycle import ALL_PROCESSES, Stack
from stack.notifications import receive
from stack.predictions import predictions_lines, predictions_of
from stack.runs import Demonstration, FollowedRun, coloured
from stack.settings import StackSettings

DAG, QUESTION = "abalone_challenger", "approve_model"
BRANCHES = (QUESTION, "trigger_scoring", "notify_champion_stays")
_RECORDED = ("decided_by", "decided_at", "reason", "dag_id", "run_id", "champion_arn")


@dataclass(frozen=True, kw_only=True)
class Generation:
    """A model of the demonstration.

    :param name: its name, which is also the id of its run.
    :param day: the partition that it is trained on; None for all rows.
    :param approve: why the demonstration approves it; None if it is not expected to ask.
    """

    name: str
    day: str | None = None
    approve: str | None = None

    @property
    def rows(self) -> str:
        """What it is trained on, in words."""
        return f"the rows of {self.day}" if self.day else "all rows"


GENERATIONS = (
    Generation(name="first", day="2026-01-25", approve="there is no champion yet"),
    Generation(name="worse", day="2026-01-01"),
    Generation(name="better", approve="lower error on the same rows"),
)


class ChampionDemo(Demonstration):
    """The demonstration, on a stack that has no champion."""

    def run(self) -> None:
        """Train each generation, answer the questions, and print the summary.

        :raises RunFailedError: a run or a command failed, or a run did not ask as expected.
        """
        self._runs.unpause(DAG, SCORE)
        for generation in GENERATIONS:
            self._train(generation)
        ended = {each: self._follow(each) for each in GENERATIONS}
        scored = [
            self._score(each) for each, run in ended.items() if run.tasks["trigger_scoring"] == "success"
        ]
        messages = receive(self._stack.settings)
        for generation, run in ended.items():
            self._summarise(generation, run, messages)
        for run in scored:
            self._summarise_scoring(run)
        url = self._stack.settings.airflow_url
        lines = [f"Airflow's UI: {url}/dags/{DAG}", f"All executions: {url}{PAGE}"]
        show(self._console, lines)

    def _train(self, generation: Generation) -> None:
        """Run the DAG until it ends or asks, and answer."""
        conf = {}
        if generation.day is not None:
            settings = self._stack.settings
            data = f"s3://{settings.bucket}/{settings.name_prefix}abalone/data/train"
            conf["InputData"] = f"{data}/dt={generation.day}/"
        self._api.trigger(DAG, conf, run_id=generation.name)
        self._progress.line(f"{DAG} triggered: {generation.name}, trained on {generation.rows}")
        run = self._follow(generation, until=(QUESTION, "awaiting_input"))
        asks = run.tasks[QUESTION] == "awaiting_input"
        if asks != (generation.approve is not None):
            raise RunFailedError(
                f"The run {generation.name} of {DAG} {'asks' if asks else 'does not ask'} for an approval, "
                f"contrary to what this demonstration expects: {self._comparison(generation).reason}"
            )
        if generation.approve is not None:
            self.approve(generation, generation.approve)

    def approve(self, generation: Generation, reason: str) -> None:
        """Approve a model that waits for a decision, as in a shell after ``python -m stack env``."""
        arguments = ["approve", self._comparison(generation).challenger.arn, "--reason", reason]
        self._progress.line(escape(shlex.join(["sagemaker-pipelines", *arguments])))
        done = subprocess.run(
            [sys.executable, "-m", "sagemaker_pipelines", *arguments],
            env={**os.environ, **shell_environment(self._stack.settings)},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RunFailedError(f"sagemaker-pipelines approve failed: {done.stderr}")

    def _follow(self, generation: Generation, until: tuple[str, str] | None = None) -> FollowedRun:
        return self._runs.follow(DAG, generation.name, label=generation.name, until=until)

    def _score(self, generation: Generation) -> FollowedRun:
        run_id = self._api.xcom(DAG, generation.name, "trigger_scoring", "trigger_run_id")
        return self._runs.follow(SCORE, run_id, label=f"{generation.name} {SCORE}")

    def _comparison(self, generation: Generation) -> Comparison:
        task = "compare_with_champion.compare_models"
        return Comparison.from_document(self._api.xcom(DAG, generation.name, task, "comparison"))

    def _summarise(
        self, generation: Generation, run: FollowedRun, messages: Sequence[Mapping[str, str]]
    ) -> None:
        """Print what was measured, compared and decided."""
        lines = ["", f"[bold]{generation.name}: trained on {generation.rows}[/]"]
        if arn := run.execution_arn:
            lines.append(title(arn, self._client.execution_status(arn)))
            lines += [f"{line} (on its own test rows)" for line in gate_lines(self._client, arn)]
        compared = self._comparison(generation)
        evidence = Evidence(
            model_package_arn=compared.challenger.arn,
            champion_arn=compared.champion.arn if compared.champion else None,
            comparison=compared,
        )
        lines += map(escape, [*_table([evidence.columns, *evidence.rows()]), *evidence.notes()])
        lines.append("branch: " + ", ".join(f"{name} {coloured(run.tasks[name])}" for name in BRANCHES))
        about = [each["Subject"] for each in messages if f"/runs/{run.run_id}/" in each["Message"]]
        lines += [f"notified: {escape(subject)}" for subject in about]
        show(self._console, [*lines, *self._decision_lines(evidence.model_package_arn)])

    def _decision_lines(self, model_package_arn: str) -> Iterator[str]:
        package = read_model_package(self._client, model_package_arn)
        if package.record_uri is None:
            yield f"{package} stays {package.status}"
            return
        record = json.loads(self._client.read_object(package.record_uri))
        yield f"{package} is {package.status}: {package.record_uri}"
        yield from map(escape, _table([(name, str(record[name] or "none")) for name in _RECORDED]))

    def _summarise_scoring(self, run: FollowedRun) -> None:
        lines = [""]
        if arn := run.execution_arn:
            heading = title(arn, self._client.execution_status(arn))
            lines += steps_lines(heading, self._client.list_steps(arn))
            lines += self._predictions(arn)
        chosen = self._api.xcom(SCORE, run.run_id, "choose_inputs")
        show(self._console, [*lines, escape(chosen["reason"])])

    def _predictions(self, arn: str) -> Iterator[str]:
        if predictions := predictions_of(self._client, arn):
            yield from predictions_lines(predictions)


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield rows as lines, each column as wide as its longest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  " + "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()


def demo_champion(
    settings: StackSettings,
    console: Console,
    demo: Callable[[Stack, Console, Progress], ChampionDemo] = ChampionDemo,
) -> None:
    """Run the demonstration on a new stack, which is stopped afterwards.

    :param settings: the stack, in whose folder the new one gets the folder ``champion``; what an earlier
        demonstration has left there is deleted, because its champion would not be the first one.
    :param console: where to print.
    :param demo: makes the demonstration.
    :raises StackError: the stack of an earlier demonstration is running.
    """
    began = time.monotonic()
    settings = replace(settings, state_dir=settings.state_dir / "champion")
    progress = Progress(console)
    stack = Stack(settings, report=progress.line)
    if any(stack.processes.running(name) for name in ALL_PROCESSES):
        raise StackError(
            f"A stack is running in {settings.state_dir}, where this demonstration starts with an empty one. "
            f"Stop it with `STACK_STATE_DIR={settings.state_dir} make down`."
        )
    if settings.state_dir.exists():
        shutil.rmtree(settings.state_dir)
    with started(stack):
        demo(stack, console, progress).run()
    console.print(
        f"This took {time.monotonic() - began:.0f} s. The stack is stopped. "
        f"`STACK_STATE_DIR={settings.state_dir} make up` starts it again, with the runs above.",
        soft_wrap=True,
        highlight=False,
    )
