"""``make demo``: train, branch on the metric, and score, through a real Airflow."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError
from rich.console import Console
from rich.markup import escape

from sagemaker_pipelines.aws.view import Progress, gate_lines, show, steps_lines, title
from sagemaker_pipelines.exceptions import AirflowRequestError
from stack.exceptions import RunFailedError, StackError, StartTimeoutError
from stack.lifecycle import ALL_PROCESSES, Stack
from stack.notifications import receive
from stack.predictions import predictions_lines, predictions_of
from stack.settings import StackSettings

TRAIN, SCORE = "abalone_train", "abalone_score"
# The page's route below Airflow's address, which the plugin registers.
PAGE = "/plugin/sagemaker-pipelines"
BRANCHES = ("trigger_scoring", "notify_rejected", "notify_awaiting_approval")
DAGS_SECONDS = 60.0
RUN_SECONDS = 600.0
POLL_SECONDS = 0.3
LOG_LINES = 15
_COLOURS = {
    "success": "green",
    "failed": "red",
    "upstream_failed": "red",
    "running": "cyan",
    "skipped": "magenta",
}


@dataclass(frozen=True, kw_only=True)
class FollowedRun:
    """A DAG run that has ended.

    :param run_id: the run.
    :param state: ``"success"`` or ``"failed"``.
    :param tasks: the state of each task.
    :param execution_arn: the execution that its start task started; None if it started none.
    """

    run_id: str
    state: str
    tasks: dict[str, str]
    execution_arn: str | None


class Demo:
    """A demonstration on a stack that is up.

    :param stack: the stack.
    :param console: where to print.
    :param progress: prints the lines while the runs go on.
    """

    def __init__(self, stack: Stack, console: Console, progress: Progress) -> None:
        self._stack = stack
        self._api = stack.api
        self._console = console
        self._progress = progress
        self._client = stack.settings.target.sagemaker

    def run(self, *, threshold: float) -> None:
        """Run the training DAG and what it triggers, and print the summary.

        :param threshold: the gate's MseThreshold.
        :raises RunFailedError: a run failed; the message has the ends of the logs of the failed tasks.
        """
        self._await_dags()
        for dag_id in (TRAIN, SCORE):
            self._api.unpause(dag_id)
        conf = {"ModelApprovalStatus": "Approved", "MseThreshold": threshold}
        run_id = self._api.trigger(TRAIN, conf)
        self._progress.line(f"{TRAIN} triggered: {run_id}")
        train = self._follow(TRAIN, run_id)
        score = None
        if train.tasks.get("trigger_scoring") == "success":
            score = self._follow(SCORE, self._api.xcom(TRAIN, run_id, "trigger_scoring", "trigger_run_id"))
        self._summarise(train, score)

    def _await_dags(self) -> None:
        """Wait until the DAG processor has read both files; raise their import errors."""
        deadline = time.monotonic() + DAGS_SECONDS
        while not {TRAIN, SCORE} <= self._api.dag_ids():
            for error in self._api.import_errors():
                raise StackError(f"{error['filename']} does not import:\n{error['stack_trace']}")
            self._stack.processes.require_alive(ALL_PROCESSES)
            if time.monotonic() > deadline:
                log = self._stack.processes.log_path("airflow-dag-processor")
                raise StartTimeoutError(
                    f"Airflow has not read {TRAIN} and {SCORE} from {self._stack.settings.dags_folder} "
                    f"within {DAGS_SECONDS:.0f} s. See {log}."
                )
            time.sleep(POLL_SECONDS)

    def _follow(self, dag_id: str, run_id: str) -> FollowedRun:
        """Print the changes of a run until it has ended."""
        deadline = time.monotonic() + RUN_SECONDS
        arn: str | None = None
        while True:
            state = self._api.run(dag_id, run_id)["state"]
            instances = self._api.task_instances(dag_id, run_id)
            tasks = {task["task_id"]: task["state"] or "none" for task in instances}
            for task_id, task_state in tasks.items():
                # The mirrors show what the lines of the steps below show.
                if task_state not in ("none", "scheduled", "queued") and not task_id.startswith("steps."):
                    self._progress.state(dag_id, task_id, task_state, shown=_coloured(task_state))
            if arn is None and tasks.get("start_pipeline") == "success":
                arn = self._api.xcom(dag_id, run_id, "start_pipeline")
            if arn:
                self._progress.steps(arn.split("/")[1], self._client.list_steps(arn))
            if state in ("success", "failed"):
                break
            self._stack.processes.require_alive(ALL_PROCESSES)
            if time.monotonic() > deadline:
                raise RunFailedError(f"{dag_id} {run_id} is still {state} after {RUN_SECONDS:.0f} s: {tasks}")
            time.sleep(POLL_SECONDS)
        if state == "failed":
            raise RunFailedError(self._cause(dag_id, run_id, instances))
        return FollowedRun(run_id=run_id, state=state, tasks=tasks, execution_arn=arn)

    def _cause(self, dag_id: str, run_id: str, instances: list[dict[str, Any]]) -> str:
        """Return the failed tasks and the ends of their logs."""
        failed = {task["task_id"]: task["try_number"] for task in instances if task["state"] == "failed"}
        lines = [f"{dag_id} {run_id} failed in {', '.join(failed) or 'no task'}"]
        for task_id, try_number in failed.items():
            with contextlib.suppress(AirflowRequestError):
                log = self._api.log(dag_id, run_id, task_id, try_number)
                lines += ["", f"--- {task_id}", *log.splitlines()[-LOG_LINES:]]
        return "\n".join(lines)

    def _summarise(self, train: FollowedRun, score: FollowedRun | None) -> None:
        lines = [""]
        for run in filter(None, (train, score)):
            if arn := run.execution_arn:
                heading = title(arn, self._client.execution_status(arn))
                lines += [*steps_lines(heading, self._client.list_steps(arn)), ""]
        if train.execution_arn:
            lines += gate_lines(self._client, train.execution_arn)
        lines.append("branch: " + ", ".join(f"{n} {_coloured(train.tasks.get(n, 'none'))}" for n in BRANCHES))
        lines += self._notifications(train.run_id)
        if (
            score
            and score.execution_arn
            and (predictions := predictions_of(self._client, score.execution_arn))
        ):
            lines += predictions_lines(predictions)
        url = self._stack.settings.airflow_url
        lines.append(f"Airflow's UI: {url}/dags/{TRAIN}/runs/{train.run_id}")
        lines.append(f"All executions: {url}{PAGE}")
        show(self._console, lines)

    def _notifications(self, run_id: str) -> Iterator[str]:
        """Yield the notifications of one run; those of other runs are removed from the queue too."""
        for message in receive(self._stack.settings):
            if run_id in message["Message"]:
                yield f"notified: {escape(message['Subject'])}"
                yield from (f"  {escape(line)}" for line in message["Message"].splitlines() if line)


def _coloured(state: str) -> str:
    colour = _COLOURS.get(state)
    return f"[{colour}]{state}[/]" if colour else state


def demo(settings: StackSettings, console: Console, *, threshold: float) -> None:
    """Run the demonstration on the running stack, or on one that is started for it and stopped afterwards.

    :param settings: the stack to use or start.
    :param console: where to print.
    :param threshold: the gate's MseThreshold.
    """
    progress = Progress(console)
    stack = Stack.of(settings, report=progress.line)
    borrowed = stack.is_up()
    stack.up()
    try:
        Demo(stack, console, progress).run(threshold=threshold)
    except (AirflowRequestError, BotoCoreError) as error:
        # If a process does not answer because it died, its log says more.
        stack.processes.require_alive(ALL_PROCESSES)
        raise StackError(str(error)) from error
    finally:
        if not borrowed:
            stack.down()
    if not borrowed:
        console.print("The stack is stopped. `make up` starts it again, with the runs above.")
