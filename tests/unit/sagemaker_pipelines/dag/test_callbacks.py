"""A DAG for Callback steps: what it consists of, and what is refused in the DAG file."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, cast

import pytest
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk.definitions._internal.contextmanager import DagContext

from sagemaker_pipelines import sagemaker_callback_dag


def test_every_end_of_the_work_leads_to_the_answer_and_a_failure_stops_the_rest() -> None:
    with sagemaker_callback_dag("check", queue="checks") as dag:
        EmptyOperator(task_id="read") >> [EmptyOperator(task_id="count"), EmptyOperator(task_id="compare")]
    answer, watch = map(cast("Any", dag.get_task), ("answer_callback", "watch_callback"))
    assert answer.upstream_task_ids == {"count", "compare"}
    assert answer.is_teardown
    assert answer.on_failure_fail_dagrun
    assert dag.fail_fast
    assert watch.other_task_ids == ["read", "count", "compare"]


def test_a_second_dag_receives_the_messages_one_run_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    push = DagContext.push

    def remember(dag: Any) -> None:
        made.append(dag)
        push(dag)

    monkeypatch.setattr(DagContext, "push", remember)

    def notify(context: Any) -> None:
        """Never called here."""

    with sagemaker_callback_dag(
        "check",
        queue="https://sqs.eu-west-1.amazonaws.com/1/checks",
        aws_conn_id="aws_ml",
        default_args={"on_failure_callback": notify},
        visibility_timeout=60,
    ):
        EmptyOperator(task_id="count")
    receiver, _ = made
    assert (receiver.dag_id, receiver.max_active_runs) == ("check_callbacks", 1)
    (asset,) = receiver.get_task("select_events").assets
    assert asset.name == "callbacks in checks"
    _, arguments = asset.watchers[0].trigger.serialize()
    assert (arguments["aws_conn_id"], arguments["visibility_timeout"]) == ("aws_ml", 60)
    triggering = receiver.get_task("trigger_run").partial_kwargs
    assert triggering["trigger_dag_id"] == "check"
    assert triggering["on_failure_callback"][1:] == [notify]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"timeout": timedelta(0)}, "timeout of check is 0:00:00; expected more than 0"),
        ({"dag_options": {"dagrun_timeout": timedelta(1)}}, "Use timeout= instead"),
        ({"queue": ""}, "queue is empty"),
        ({}, "The DAG check has no task"),
    ],
)
def test_what_would_never_answer_is_refused_in_the_dag_file(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said), sagemaker_callback_dag("check", **{"queue": "q"} | arguments):
        pass
