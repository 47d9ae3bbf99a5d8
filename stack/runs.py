"""Follow DAG runs on a running stack, and print each change as it happens."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from sagemaker_pipelines.aws.view import Progress
from sagemaker_pipelines.exceptions import AirflowRequestError
from stack.exceptions import RunFailedError, StackError, StartTimeoutError
from stack.lifecycle import ALL_PROCESSES, Stack

DAGS_SECONDS = 300.0
RUN_SECONDS = 600.0
POLL_SECONDS = 0.5
LOG_LINES = 15
_ENDED = ("success", "failed")
_COLOURS = {
    "success": "green",
    "failed": "red",
    "upstream_failed": "red",
    "running": "cyan",
    "awaiting_input": "yellow",
    "skipped": "magenta",
}


@dataclass(frozen=True, kw_only=True)
class FollowedRun:
    """A DAG run that has ended, or that was followed to a state of one of its tasks.

    :param run_id: the run.
    :param state: ``"success"``, or ``"running"`` while it goes on.
    :param tasks: the state of each task.
    :param execution_arn: the execution that its start task started; None if it started none.
    """

    run_id: str
    state: str
    tasks: dict[str, str]
    execution_arn: str | None


class Demonstration:
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
        self._runs = Runs(stack, progress)
        self._client = stack.settings.target.sagemaker


class Runs:
    """The DAG runs of a demonstration.

    :param stack: the stack, which is up.
    :param progress: prints the lines while the runs go on.
    """

    def __init__(self, stack: Stack, progress: Progress) -> None:
        self._stack = stack
        self._api = stack.api
        self._progress = progress
        self._client = stack.settings.target.sagemaker

    def unpause(self, *dag_ids: str) -> None:
        """Let these DAGs run, once the DAG processor has read their files.

        :raises StackError: a file cannot be imported, or the files are not read in time.
        """
        deadline = time.monotonic() + DAGS_SECONDS
        while not set(dag_ids) <= self._api.dag_ids():
            for error in self._api.import_errors():
                raise StackError(f"{error['filename']} does not import:\n{error['stack_trace']}")
            self._stack.processes.require_alive(ALL_PROCESSES)
            if time.monotonic() > deadline:
                log = self._stack.processes.log_path("airflow-dag-processor")
                raise StartTimeoutError(
                    f"Airflow has not read {' and '.join(dag_ids)} from {self._stack.settings.dags_folder} "
                    f"within {DAGS_SECONDS:.0f} s. See {log}."
                )
            time.sleep(POLL_SECONDS)
        for dag_id in dag_ids:
            self._api.unpause(dag_id)

    def follow(
        self, dag_id: str, run_id: str, *, label: str = "", until: tuple[str, str] | None = None
    ) -> FollowedRun:
        """Print the changes of a run until it has ended, or until a task has a state.

        :param dag_id: the DAG.
        :param run_id: the run.
        :param label: what its lines begin with instead of the DAG's id, if there are several runs of it.
        :param until: the task and its state; the run may go on then.
        :raises RunFailedError: it failed; the message has the ends of the logs of the failed tasks.
        """
        deadline = time.monotonic() + RUN_SECONDS
        arns: dict[str, str] = {}
        while True:
            state = self._api.run(dag_id, run_id)["state"]
            instances = self._api.task_instances(dag_id, run_id)
            tasks = {task["task_id"]: task["state"] or "none" for task in instances}
            self._print_tasks(label or dag_id, tasks)
            for task_id, task_state in tasks.items():
                if task_id.endswith("start_pipeline") and task_state == "success" and task_id not in arns:
                    arns[task_id] = self._api.xcom(dag_id, run_id, task_id)
            for arn in arns.values():
                self._progress.steps(f"{label} {arn.split('/')[1]}".strip(), self._client.list_steps(arn))
            if state in _ENDED or (until and tasks.get(until[0]) == until[1]):
                break
            self._stack.processes.require_alive(ALL_PROCESSES)
            if time.monotonic() > deadline:
                raise RunFailedError(f"{dag_id} {run_id} is still {state} after {RUN_SECONDS:.0f} s: {tasks}")
            time.sleep(POLL_SECONDS)
        if state == "failed":
            raise RunFailedError(self._cause(dag_id, run_id, instances))
        return FollowedRun(run_id=run_id, state=state, tasks=tasks, execution_arn=arns.get("start_pipeline"))

    def _print_tasks(self, group: str, tasks: dict[str, str]) -> None:
        for task_id, state in tasks.items():
            # The mirrors show what the lines of the steps show.
            if state not in ("none", "scheduled", "queued") and ".steps." not in f".{task_id}":
                self._progress.state(group, task_id, state, shown=coloured(state))

    def _cause(self, dag_id: str, run_id: str, instances: list[dict[str, Any]]) -> str:
        """Return the failed tasks and the ends of their logs."""
        failed = {task["task_id"]: task["try_number"] for task in instances if task["state"] == "failed"}
        lines = [f"{dag_id} {run_id} failed in {', '.join(failed) or 'no task'}"]
        for task_id, try_number in failed.items():
            with contextlib.suppress(AirflowRequestError):
                log = self._api.log(dag_id, run_id, task_id, try_number)
                lines += ["", f"--- {task_id}", *log.splitlines()[-LOG_LINES:]]
        return "\n".join(lines)


def coloured(state: str) -> str:
    """Return the state of a task in its colour, as rich's markup."""
    colour = _COLOURS.get(state)
    return f"[{colour}]{state}[/]" if colour else state
