"""Let a DAG work for the Callback steps of pipelines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG

from sagemaker_pipelines.dag.assets import pipeline_callback_asset
from sagemaker_pipelines.operators.callback import (
    SageMakerAnswerCallbackOperator,
    SageMakerTriggerCallbackRunOperator,
    SageMakerWatchCallbackOperator,
    answer_failure,
)
from sagemaker_pipelines.operators.events import SelectNewEventsOperator

WATCH, ANSWER = "watch_callback", "answer_callback"
RETRY_DELAY = timedelta(seconds=30)
# A run that ended by these would not answer.
_REFUSED = {"dagrun_timeout": "timeout=", "fail_fast": "nothing, as it is always on", "schedule": "queue="}


@contextmanager
def sagemaker_callback_dag(
    dag_id: str,
    *,
    queue: str,
    outputs: Mapping[str, Any] | None = None,
    timeout: timedelta = timedelta(hours=1),
    params: Mapping[str, Any] | None = None,
    retries: int = 2,
    default_args: Mapping[str, Any] | None = None,
    dag_options: Mapping[str, Any] | None = None,
    waiter_delay: float = 30,
    aws_conn_id: str | None = "aws_default",
    region_name: str | None = None,
    **queue_options: Any,
) -> Iterator[DAG]:
    """Make a DAG whose runs work for the Callback steps that send to a queue, and answer them.

    ::

        with sagemaker_callback_dag("check", queue="checks", outputs={"rows": task_value("count")}):
            count()

    The tasks that the body of the ``with`` creates get the arguments of the step as the run's conf. When all
    of them have ended, the step is answered: with the outputs, or with a failure if one of them failed, if
    the execution is being stopped, or after the timeout; the last two also stop them. A second DAG,
    ``<dag_id>_callbacks``, receives the messages and triggers the runs; unpause both.

    :param dag_id: the DAG's id.
    :param queue: URL or name of the SQS queue of the Callback steps; nothing else should receive from it.
    :param outputs: the outputs of the step, by name: a value, or a
        :func:`~sagemaker_pipelines.task.values.task_value`; texts, numbers and booleans.
    :param timeout: how long a run may take, from when it was triggered.
    :param params: the fields of the trigger form. A step whose arguments do not fit them fails.
    :param retries: the number of retries of each task.
    :param default_args: additional default_args for every task of both DAGs.
    :param dag_options: more arguments of the DAG that works.
    :param waiter_delay: the longest time between two polls of the execution, seconds, default 30.
    :param aws_conn_id: the Airflow connection for the queue and for SageMaker.
    :param region_name: the region; None uses the connection's.
    :param queue_options: see :class:`~sagemaker_pipelines.triggers.events.SqsEventTrigger`.
    :raises ValueError: an argument cannot be used, or the body creates no task.
    """
    _check(dag_id, timeout, dag_options or {})
    connection: dict[str, Any] = {"aws_conn_id": aws_conn_id, "region_name": region_name}
    options: dict[str, Any] = {"catchup": False, "default_args": {"retries": retries, **(default_args or {})}}
    _receive(dag_id, queue, {**queue_options, **connection}, options)
    with DAG(
        dag_id, schedule=None, params=dict(params or {}), fail_fast=True, **{**options, **(dag_options or {})}
    ) as dag:
        yield dag
        tasks = list(dag.tasks)
        if not tasks:
            raise ValueError(
                f"The DAG {dag_id} has no task; expected those that work for the Callback step. Create them "
                "in the body of the with statement."
            )
        common: dict[str, Any] = {"other_task_ids": [task.task_id for task in tasks], **connection}
        SageMakerWatchCallbackOperator(task_id=WATCH, timeout=timeout, waiter_delay=waiter_delay, **common)
        answer = SageMakerAnswerCallbackOperator(
            task_id=ANSWER, watch_task_id=WATCH, outputs=outputs, **common
        )
        [task for task in tasks if not task.downstream_task_ids] >> answer.as_teardown(
            on_failure_fail_dagrun=True
        )


def _receive(dag_id: str, queue: str, trigger: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    """Make the DAG that triggers a run for each message."""
    asset = pipeline_callback_asset(queue, **trigger)
    callback = options["default_args"].get("on_failure_callback") or []
    given = callback if isinstance(callback, list) else [callback]
    with DAG(
        f"{dag_id}_callbacks",
        description=f"Trigger {dag_id} for each Callback step that waits",
        schedule=[asset],
        max_active_runs=1,
        **options,
    ):
        events = SelectNewEventsOperator(task_id="select_events", assets=[asset])
        SageMakerTriggerCallbackRunOperator.partial(
            task_id="trigger_run",
            trigger_dag_id=dag_id,
            aws_conn_id=trigger["aws_conn_id"],
            region_name=trigger["region_name"],
            # Until a step whose arguments the form refuses is answered, the messages of others wait.
            retry_delay=RETRY_DELAY,
            on_failure_callback=[answer_failure, *given],
        ).expand(callback=events.output)


def _check(dag_id: str, timeout: timedelta, dag_options: Mapping[str, Any]) -> None:
    if timeout <= timedelta(0):
        raise ValueError(f"timeout of {dag_id} is {timeout}; expected more than 0. Correct it.")
    for name in sorted(_REFUSED.keys() & dag_options.keys()):
        raise ValueError(
            f"dag_options of {dag_id} has {name}={dag_options[name]!r}, which is refused: the Callback step "
            f"might never be answered. Use {_REFUSED[name]} instead."
        )
