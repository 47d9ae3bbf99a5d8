"""The steps of a definition as a task group that decides nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Asset, task_group
from airflow.serialization.decoders import smart_decode_trigger_kwargs
from airflow.serialization.serialized_objects import DagSerialization

from sagemaker_pipelines import sagemaker_pipeline_dag, sagemaker_pipeline_task_group
from sagemaker_pipelines.operators.mirror import SageMakerStepMirrorOperator
from sagemaker_pipelines.triggers.mirror import SageMakerStepMirrorTrigger

COND = {"Conditions": [{"Type": "Equals", "LeftValue": 1, "RightValue": 1}]}


def fail(name: str, **fields: Any) -> dict[str, Any]:
    return {"Name": name, "Type": "Fail", "Arguments": {"ErrorMessage": "no"}, **fields}


def condition(name: str, then: list[Any], otherwise: list[Any], **fields: Any) -> dict[str, Any]:
    arguments = {**COND, "IfSteps": then, "ElseSteps": otherwise}
    return {"Name": name, "Type": "Condition", "Arguments": arguments, **fields}


def definition_file(folder: Path, *steps: dict[str, Any]) -> Path:
    path = folder / "drawn.json"
    definition = {"Version": "2020-12-01", "Parameters": [], "Steps": list(steps)}
    document = {"envelope_version": 1, "name": "drawn", "description": "", "definition": definition}
    path.write_text(json.dumps({**document, "images": {}, "assets": [], "placeholders": []}))
    return path


def dag_of(path: Path, **options: Any) -> DAG:
    return sagemaker_pipeline_dag("drawn", definition=path, gate=False, **options)


def downstream(dag: DAG, task_id: str) -> set[str]:
    return {task.removeprefix("steps.") for task in dag.get_task(task_id).downstream_task_ids}


def test_each_step_is_drawn_after_the_steps_before_it(tmp_path: Path) -> None:
    both = fail("Both", DependsOn=["Left", "Right"], Description="After either branch.")
    dag = dag_of(definition_file(tmp_path, condition("Gate", [fail("Left")], [fail("Right")]), both))
    assert downstream(dag, "start_pipeline") == {"Gate", "wait_for_pipeline"}
    assert downstream(dag, "steps.Gate") == {"Left", "Right"}
    assert downstream(dag, "steps.Left") == downstream(dag, "steps.Right") == {"Both"}
    assert downstream(dag, "steps.Both") == {"steps_ended"}
    mirror = dag.get_task("steps.Both")
    # A skipped branch does not spread: the step itself says whether it ran.
    assert (mirror.trigger_rule, mirror.doc_md) == ("none_failed", "After either branch.")
    assert mirror.operator_name == "Fail step"


def test_the_wait_alone_feeds_what_follows_and_the_groups_only_leaf_always_succeeds(tmp_path: Path) -> None:
    dag = dag_of(definition_file(tmp_path, fail("A"), fail("B"), fail("C", DependsOn=["A"])))
    leaf = dag.get_task("steps.steps_ended")
    assert (type(leaf), leaf.trigger_rule, leaf.downstream_list) == (EmptyOperator, "all_done", [])
    assert {task.task_id for task in leaf.upstream_list} == {"steps.B", "steps.C"}
    assert leaf.on_failure_callback == leaf.on_success_callback == leaf.on_execute_callback == []
    assert dag.get_task("wait_for_pipeline").upstream_task_ids == {"start_pipeline"}
    assert {task.task_id for task in dag.leaves} == {"steps.steps_ended", "wait_for_pipeline"}


def test_what_the_dag_sets_for_its_tasks_does_not_reach_a_mirror(tmp_path: Path) -> None:
    arguments = {"depends_on_past": True, "wait_for_downstream": True, "priority_weight": 7, "pool": "small"}
    called = {
        f"on_{event}_callback": print for event in ("execute", "success", "failure", "skipped", "retry")
    }
    options = {"retries": 3, "default_args": {**arguments, **called, "outlets": [Asset("trained")]}}
    dag = dag_of(definition_file(tmp_path, fail("A")), **options)
    mirror = dag.get_task("steps.A")
    assert (mirror.retries, mirror.depends_on_past, mirror.on_failure_callback) == (0, False, [])
    assert (mirror.priority_weight, mirror.weight_rule, mirror.execution_timeout) == (0, "absolute", None)
    # A pool may count deferred tasks, and the wait needs its slot.
    assert (mirror.pool, mirror.pool_slots, dag.get_task("wait_for_pipeline").pool) == (
        "default_pool",
        1,
        "small",
    )
    leaf = dag.get_task("steps.steps_ended")
    for task in (mirror, leaf):
        assert [getattr(task, name) for name in ("outlets", *called)] == [[]] * 6
        assert (task.depends_on_past, task.wait_for_downstream) == (False, False)


def test_the_connection_that_the_dag_sets_for_its_tasks_reaches_a_mirror(tmp_path: Path) -> None:
    connection = {
        "aws_conn_id": "mine",
        "region_name": "eu-west-1",
        "verify": False,
        "botocore_config": {"read_timeout": 3},
    }
    mirror: Any = dag_of(definition_file(tmp_path, fail("A")), default_args=connection).get_task("steps.A")
    assert mirror.start_trigger_args.trigger_kwargs.items() >= connection.items()


def test_a_dag_that_fails_fast_has_no_mirrors(tmp_path: Path) -> None:
    dag = dag_of(definition_file(tmp_path, fail("A")), dag_options={"fail_fast": True})
    assert {task.task_id for task in dag.tasks} == {"upsert_pipeline", "start_pipeline", "wait_for_pipeline"}


def test_the_scheduler_defers_a_mirror_with_the_arguments_of_its_trigger(tmp_path: Path) -> None:
    serialized = DagSerialization.to_dict(dag_of(definition_file(tmp_path, fail("A"))))
    mirror: Any = DagSerialization.from_dict(serialized).get_task("steps.A")
    assert mirror.start_from_trigger is True
    # Its weight at the triggerer is less than that of any wait.
    assert mirror.priority_weight == 0
    arguments = mirror.start_trigger_args
    assert arguments is not None
    # The triggerer reads them so.
    kwargs = smart_decode_trigger_kwargs(arguments.trigger_kwargs)  # type: ignore[no-untyped-call]
    trigger = SageMakerStepMirrorTrigger(**kwargs)
    assert (trigger.step_name, trigger.start_task_id, trigger.wait_task_id) == (
        "A",
        "start_pipeline",
        "wait_for_pipeline",
    )
    assert trigger.serialize()[0] == arguments.trigger_cls


def test_a_foreach_is_one_mirror_that_counts_its_body(tmp_path: Path) -> None:
    each = {"Name": "Each", "Type": "ForEach", "Arguments": {"Items": ["a"], "ForEachBody": [fail("Fit")]}}
    dag = dag_of(definition_file(tmp_path, each))
    assert [task.task_id for task in dag.tasks if isinstance(task, SageMakerStepMirrorOperator)] == [
        "steps.Each"
    ]
    each_mirror: Any = dag.get_task("steps.Each")
    assert each_mirror.start_trigger_args.trigger_kwargs["body_steps"] == ["Fit"]


@pytest.mark.parametrize(("count", "drawn"), [(50, 51), (51, 0)])
def test_more_than_fifty_steps_are_not_drawn(tmp_path: Path, count: int, drawn: int) -> None:
    dag = dag_of(definition_file(tmp_path, *[fail(f"Step{i}") for i in range(count)]))
    assert sum(task.task_id.startswith("steps.") for task in dag.tasks) == drawn


def test_mirrors_can_be_left_out(tmp_path: Path) -> None:
    dag = dag_of(definition_file(tmp_path, fail("A")), mirror_steps=False)
    assert {task.task_id for task in dag.tasks} == {"upsert_pipeline", "start_pipeline", "wait_for_pipeline"}


def test_steps_of_any_name_get_ids_of_their_own(tmp_path: Path) -> None:
    names = ["a b", "a_b", "a.b", "steps_ended", "{{ x }}"]
    dag = dag_of(definition_file(tmp_path, *[fail(name) for name in names]))
    mirrors = [task for task in dag.tasks if isinstance(task, SageMakerStepMirrorOperator)]
    assert [task.step_name for task in mirrors] == [task.task_display_name for task in mirrors] == names
    assert len({task.task_id for task in dag.tasks}) == len(dag.tasks)


def test_the_mirrors_of_a_mapped_group_belong_to_its_start(tmp_path: Path) -> None:
    path = definition_file(tmp_path, fail("A"))
    with DAG("mapped", schedule=None) as dag:

        @task_group
        def each(number: int) -> None:
            sagemaker_pipeline_task_group("train", definition=path, gate=False)

        each.expand(number=[0, 1])
    mirror: Any = dag.get_task("each.train.steps.A")
    assert mirror.start_trigger_args.trigger_kwargs["start_task_id"] == "each.train.start_pipeline"
    assert dag.get_task("each.train.start_pipeline").downstream_task_ids >= {"each.train.steps.A"}
