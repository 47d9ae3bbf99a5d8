"""The task that asks for an approval, and what is refused when the DAG is parsed."""

from __future__ import annotations

import runpy
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.serialization.serialized_objects import DagSerialization

from sagemaker_pipelines import Approval, sagemaker_pipeline_dag
from stack.settings import ROOT
from tests.dags.test_champion import GROUP, champion
from tests.dags.test_declaration import ABALONE, CORE, SCORING, task_ids
from tests.documents import blocks

ADA = {"id": "ada", "name": "Ada"}


def made(definition: Path = ABALONE, **arguments: Any) -> Any:
    asked = Approval(assigned_users=[ADA], timeout=timedelta(days=2))
    given: dict[str, Any] = {"approval": asked, "scoring_dag": "score"}
    return sagemaker_pipeline_dag("made", definition=definition, **given | arguments)


def test_an_approval_stands_between_the_gate_and_the_scoring() -> None:
    dag = made()
    assert task_ids(dag) == CORE | {"branch_on_mse", "notify_rejected", "approve_model", "trigger_scoring"}
    branch, approve = dag.get_task("branch_on_mse"), dag.get_task("approve_model")
    assert branch.downstream_task_ids == {"notify_rejected", "approve_model"}
    # A model that was approved in the meantime passes through the approval, too, which asks nothing then.
    assert branch.accepted == branch.awaiting_approval == ["approve_model"]
    assert dag.get_task("trigger_scoring").upstream_task_ids == {"approve_model"}
    assert (approve.assigned_users, approve.response_timeout) == ([ADA], timedelta(days=2))
    assert not approve.automatic
    assert DagSerialization.from_dict(DagSerialization.to_dict(dag)).get_task("approve_model")


def test_a_person_is_asked_only_about_a_model_that_wins() -> None:
    dag = made(champion=champion())
    branch, compare = dag.get_task("branch_on_mse"), dag.get_task(f"{GROUP}.compare_models")
    assert branch.awaiting_approval == [f"{GROUP}.find_champion"]
    assert (compare.won, compare.lost) == (["approve_model"], ["notify_champion_stays"])
    approve = dag.get_task("approve_model")
    assert approve.upstream_task_ids == {"branch_on_mse", compare.task_id}
    assert approve.comparison.task_id == compare.task_id
    assert "notify_awaiting_approval" not in dag.task_ids


@pytest.mark.parametrize("arguments", [{}, {"champion": champion(), "approval": None}])
def test_a_backfill_asks_and_compares_only_if_its_form_says_so(arguments: Any) -> None:
    dag = made(**arguments)
    asked = dag.params.dump()
    assert asked["RegisterInBackfill"] is False
    follow = dag.get_task("branch_on_mse").follow_in_backfill
    assert follow.resolve({"params": asked}) is False
    assert follow.resolve({"params": asked | {"RegisterInBackfill": True}}) is True


def test_the_rule_decides_about_a_model_that_loses_too() -> None:
    dag = made(champion=champion(), approval="automatic")
    compare = dag.get_task(f"{GROUP}.compare_models")
    assert (compare.won, compare.lost) == (["approve_model"], ["notify_champion_stays", "approve_model"])
    assert dag.get_task("approve_model").automatic


def test_models_are_registered_as_pending_whatever_the_form_says() -> None:
    dag = made()
    field = dag.params.get_param("ModelApprovalStatus")
    assert field.schema["enum"] == ["PendingManualApproval"]
    resolved = dag.get_task("start_pipeline").pipeline_params["ModelApprovalStatus"]
    assert resolved.resolve({"params": {}}) == "PendingManualApproval"
    with pytest.raises(ValueError, match="ModelApprovalStatus is 'Approved'; expected PendingManualApproval"):
        made(pipeline_params={"ModelApprovalStatus": "Approved"})


def test_the_question_is_announced_by_the_dag_s_notifier_or_by_its_own() -> None:
    sent: list[Any] = []
    assert [type(each).__name__ for each in made().get_task("approve_model").notifiers] == [
        "SageMakerSnsNotifier"
    ]
    own = made(approval=Approval(notifiers=[sent.append]))
    assert own.get_task("approve_model").notifiers == [sent.append]
    assert made(notifier=None).get_task("approve_model").notifiers == []


@pytest.mark.parametrize("approval", [True, "manual", {"timeout": 1}])
def test_an_approval_that_is_neither_a_question_nor_the_rule_is_refused(approval: object) -> None:
    with pytest.raises(ValueError, match=r"approval is .*expected Approval\(\.\.\.\).*'automatic'"):
        made(approval=approval)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"assigned_users": ["ada"]}, "assigned_users has 'ada'; expected a user with id and name"),
        ({"assigned_users": [{"id": "ada"}]}, "expected a user with id and name"),
        ({"timeout": timedelta(0)}, "expected a timedelta above 0"),
        ({"timeout": 60}, "timeout of the approval is 60; expected a timedelta"),
    ],
)
def test_a_question_that_cannot_be_asked_is_refused(arguments: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Approval(**arguments)


def test_a_definition_without_a_model_or_a_gate_has_nothing_to_approve() -> None:
    with pytest.raises(ValueError, match="no RegisterModel step"):
        made(SCORING)
    with pytest.raises(ValueError, match="approval need a gate"):
        made(gate=False, scoring_dag=None)


def test_the_documented_dag_is_the_tested_one() -> None:
    shown, alone, _in_slack = blocks("approval.md", "python")
    assert shown == (ROOT / "docs" / "examples" / "approval.py").read_text()
    assert len(shown.splitlines()) < 40
    names: dict[str, Any] = {}
    exec(compile(alone, "approval.md", "exec"), names)
    approve = names["dag"].get_task("approve")
    assert list(approve.params) == ["reason"]


def example(name: str, folder: Path) -> Any:
    """Return the DAG of docs/examples, as if it were in dags/."""
    (folder / "definitions").symlink_to(ROOT / "dags" / "definitions")
    path = shutil.copy(ROOT / "docs" / "examples" / f"{name}.py", folder)
    return runpy.run_path(str(path))["dag"]


def test_only_a_model_that_was_approved_is_promoted_after_a_drift(tmp_path: Path) -> None:
    dag = example("drift", tmp_path)
    promote = dag.get_task("promote")
    assert (promote.upstream_task_ids, promote.trigger_rule) == ({"approve_model"}, "all_success")
    assert dag.get_task("approve_model").upstream_task_ids == {"branch_on_mse", f"{GROUP}.compare_models"}
    assert DagSerialization.from_dict(DagSerialization.to_dict(dag)).max_active_runs == 1


def test_every_call_of_the_scoring_in_production_is_made_there(tmp_path: Path) -> None:
    dag = example("score_approved", tmp_path)
    connections = {getattr(task, "aws_conn_id", "aws_production") for task in dag.tasks}
    mirrors = {
        task.start_trigger_args.trigger_kwargs["aws_conn_id"]
        for task in dag.tasks
        if getattr(task, "start_from_trigger", False)
    }
    assert connections == mirrors == {"aws_production"}
    # Missing predictions fail the run.
    assert dag.get_task("wait_for_pipeline").rejection_steps == []
