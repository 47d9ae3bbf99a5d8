"""``make demo``: train, branch on the metric, and score, through a real Airflow."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from botocore.exceptions import BotoCoreError
from rich.console import Console
from rich.markup import escape

from sagemaker_pipelines.aws.view import Progress, gate_lines, show, steps_lines, title
from sagemaker_pipelines.exceptions import AirflowRequestError
from stack.exceptions import StackError
from stack.lifecycle import ALL_PROCESSES, Stack
from stack.notifications import receive
from stack.predictions import predictions_lines, predictions_of
from stack.runs import Demonstration, FollowedRun, coloured
from stack.settings import StackSettings

TRAIN, SCORE = "abalone_train", "abalone_score"
# The page's route below Airflow's address, which the plugin registers.
PAGE = "/plugin/sagemaker-pipelines"
BRANCHES = ("trigger_scoring", "notify_rejected", "notify_awaiting_approval")


class Demo(Demonstration):
    """The demonstration of training and scoring."""

    def run(self, *, threshold: float) -> None:
        """Run the training DAG and what it triggers, and print the summary.

        :param threshold: the gate's MseThreshold.
        :raises RunFailedError: a run failed; the message has the ends of the logs of the failed tasks.
        """
        self._runs.unpause(TRAIN, SCORE)
        conf = {"ModelApprovalStatus": "Approved", "MseThreshold": threshold}
        run_id = self._api.trigger(TRAIN, conf)
        self._progress.line(f"{TRAIN} triggered: {run_id}")
        train = self._runs.follow(TRAIN, run_id, until=("trigger_scoring", "success"))
        score = None
        if train.tasks.get("trigger_scoring") == "success":
            scoring_run = self._api.xcom(TRAIN, run_id, "trigger_scoring", "trigger_run_id")
            score = self._runs.follow(SCORE, scoring_run)
        # The mirrors of its steps may end after the scoring has begun.
        train = self._runs.follow(TRAIN, run_id)
        self._summarise(train, score)

    def _summarise(self, train: FollowedRun, score: FollowedRun | None) -> None:
        lines = [""]
        for run in filter(None, (train, score)):
            if arn := run.execution_arn:
                heading = title(arn, self._client.execution_status(arn))
                lines += [*steps_lines(heading, self._client.list_steps(arn)), ""]
        if train.execution_arn:
            lines += gate_lines(self._client, train.execution_arn)
        lines.append("branch: " + ", ".join(f"{n} {coloured(train.tasks.get(n, 'none'))}" for n in BRANCHES))
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


def demo(settings: StackSettings, console: Console, *, threshold: float) -> None:
    """Run the demonstration on the running stack, or on one that is started for it and stopped afterwards.

    :param settings: the stack to use or start.
    :param console: where to print.
    :param threshold: the gate's MseThreshold.
    """
    progress = Progress(console)
    stack = Stack.of(settings, report=progress.line)
    borrowed = stack.is_up()
    with started(stack, keep=borrowed):
        Demo(stack, console, progress).run(threshold=threshold)
    if not borrowed:
        console.print("The stack is stopped. `make up` starts it again, with the runs above.")


@contextlib.contextmanager
def started(stack: Stack, *, keep: bool = False) -> Iterator[None]:
    """Start a stack unless it is up, and stop it afterwards.

    :param stack: the stack.
    :param keep: whether to leave it running.
    :raises StackError: a process died, or does not answer.
    """
    stack.up()
    try:
        yield
    except (AirflowRequestError, BotoCoreError) as error:
        # If a process does not answer because it died, its log says more.
        stack.processes.require_alive(ALL_PROCESSES)
        raise StackError(str(error)) from error
    finally:
        if not keep:
            stack.down()
