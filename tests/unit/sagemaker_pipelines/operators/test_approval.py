"""A person's answer is in the registry before anything follows, once, whatever crashes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.providers.standard.operators import hitl
from airflow.sdk import DAG, BaseOperator
from airflow.sdk.exceptions import TaskAwaitingInput
from botocore.exceptions import BotoCoreError
from sagemaker_pipelines_plugin import SageMakerPipelinesPlugin

from sagemaker_local_runtime.settings import Settings
from sagemaker_local_runtime.testing import LocalRuntime
from sagemaker_pipelines.hooks.pipeline import SageMakerPipelineHook
from sagemaker_pipelines.links.page import RUN_ROUTE
from sagemaker_pipelines.operators.approval import SageMakerApproveModelPackageOperator
from tests.unit.sagemaker_pipelines.registry import Group, comparison, connection_to
from tests.unit.sagemaker_pipelines.samples import ARN, TaskInstance, TaskStateStore, context_of

GATE = {"metric": "mse", "value": 4.9, "threshold": 6.0, "passed": True}
ANSWERED_AT = datetime(2026, 11, 27, 4, 5, 6, 789, tzinfo=UTC)


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRuntime]:
    runtime = LocalRuntime(Settings(data_dir=tmp_path_factory.mktemp("runtime"), port=0))
    yield runtime
    runtime.close()


@pytest.fixture(scope="module")
def hook(runtime: LocalRuntime) -> Iterator[SageMakerPipelineHook]:
    """The hook of every attempt, because making its clients takes longer than the calls."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_CONN_AWS_DEFAULT", connection_to(runtime))
        yield SageMakerPipelineHook()


@pytest.fixture
def group(
    runtime: LocalRuntime, hook: SageMakerPipelineHook, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Group]:
    # A class attribute of this name is found before the hook that an operator would make.
    monkeypatch.setattr(SageMakerApproveModelPackageOperator, "hook", hook)
    yield Group(runtime)
    runtime.clear_faults()


class Asked(TaskInstance):
    """A task instance that asks."""

    task_id = "approve_model"
    id = "0198"


class Approval:
    """The attempts of one approval task, in an Airflow that keeps only its task state store.

    :param package: the ARN that it asks about.
    :param arguments: more arguments of the operator.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, package: str, **arguments: Any) -> None:
        self.arguments = {"model_package_arn": package, "gate": GATE, **arguments}
        self.store = TaskStateStore()
        self.questions: list[dict[str, Any]] = []
        self.skipped: list[str] = []
        self.ti = Asked()
        monkeypatch.setattr(hitl, "upsert_hitl_detail", lambda **asked: self.questions.append(asked))

    def _attempt(self) -> tuple[SageMakerApproveModelPackageOperator, Any]:
        with DAG("train"):
            task = SageMakerApproveModelPackageOperator(
                task_id="approve_model", pipeline_execution_arn=ARN, **self.arguments
            )
            task >> BaseOperator(task_id="score")
        self.ti = Asked()
        self.skipped = []

        def skip(*, ti: Any, tasks: Any) -> None:
            self.skipped = [each.task_id for each in tasks]

        task.skip = skip  # type: ignore[method-assign, assignment]
        context = context_of(self.store, ti=self.ti)
        return task, {**context, "task": task, "task_instance": self.ti}

    def run(self) -> Any:
        """Run an attempt until it asks (then None) or ends."""
        task, context = self._attempt()
        try:
            return task.execute(context)
        except TaskAwaitingInput:
            return None

    def resume(self, event: dict[str, Any]) -> Any:
        """Resume the attempt that waits."""
        task, context = self._attempt()
        return task.execute_complete(context, event)

    def answer(self, option: str, reason: object = None) -> Any:
        """Answer as Ada."""
        return self.resume(
            {
                "chosen_options": [option],
                "params_input": {} if reason is None else {"reason": reason},
                "responded_at": ANSWERED_AT,
                "responded_by_user": {"id": "ada", "name": "Ada"},
            }
        )

    @property
    def decision(self) -> dict[str, Any]:
        """What was pushed to XCom."""
        pushed: dict[str, Any] = self.ti.pushed["decision"]
        return pushed


@pytest.mark.parametrize(
    ("option", "status", "skipped"), [("Approve", "Approved", []), ("Reject", "Rejected", ["score"])]
)
def test_an_answer_is_written_with_who_when_why_and_the_numbers(
    group: Group, monkeypatch: pytest.MonkeyPatch, option: str, status: str, skipped: list[str]
) -> None:
    package = group.register()
    approval = Approval(monkeypatch, package)
    assert approval.run() is None
    assert group.status(package) == "PendingManualApproval"
    approval.answer(option, "looks\nright")
    described = group.describe(package)
    assert (described["ModelApprovalStatus"], approval.skipped) == (status, skipped)
    assert described["ApprovalDescription"].startswith(
        f"{status} by Ada (ada) at 2026-11-27T04:05:06+00:00: mse 4.9, threshold 6; reason: looks right; "
        f"run train {TaskInstance.run_id}; record s3://"
    )
    (record,) = group.records().values()
    assert (record["reason"], record["gate"]) == ("looks\nright", GATE)
    assert record["pipeline_execution_arn"] == ARN
    assert approval.decision == {
        "model_package_arn": package,
        "status": status,
        "description": described["ApprovalDescription"],
        "decision_id": record["decision_id"],
    }


def test_the_question_is_a_table_whose_names_are_not_markup(
    group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    champion, package = group.register("Approved"), group.register()
    document = comparison(package, champion, slice_name="sex=[F](http://x)|M").as_document()
    approval = Approval(
        monkeypatch,
        package,
        comparison=document,
        assigned_users=[{"id": "ada", "name": "Ada"}],
        response_timeout=timedelta(days=2),
    )
    approval.run()
    (question,) = approval.questions
    assert question["subject"].startswith(f"Approve {group.name}/2? mse 4.9, champion 5.2, difference -0.3")
    lines = question["body"].splitlines()
    assert lines[:4] == [
        "|  | challenger | champion |",
        "|---|---|---|",
        f"| model package | {group.name}/2 | {group.name}/1 |",
        "| mse | 4.9 | 5.2 |",
    ]
    assert r"| mse, sex=\[F\](http://x)\|M (120 rows) | 4.8 | 5 |" in lines
    assert f"/plugin/{RUN_ROUTE})" in question["body"]
    assert question["assigned_users"] == [{"id": "ada", "name": "Ada"}]
    assert list(question["params"]) == ["reason"]
    assert RUN_ROUTE in {
        view["url_route"]
        for view in SageMakerPipelinesPlugin.external_views
        if view["destination"] == "dag_run"
    }


def test_notifiers_get_the_question_and_the_link_to_answer_it(
    group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []
    approval = Approval(monkeypatch, group.register(), notifiers=[told.append])
    approval.run()
    ((values),) = [context["values"] for context in told]
    assert values["subject"] == f"Approve {group.name}/1? mse 4.9, threshold 6"
    assert values["text"].splitlines() == [
        f"model package: {group.name}/1 (champion: none)",
        "mse: 4.9",
        "threshold: 6",
    ]
    assert values["link"].endswith("/tasks/approve_model/required_actions?map_index=-1")


@pytest.mark.parametrize("kind", ["drop_before", "drop_after"])
def test_an_answer_survives_a_crash_and_is_not_asked_for_again(
    group: Group, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    package = group.register()
    approval = Approval(monkeypatch, package)
    approval.run()
    group.runtime.add_fault("UpdateModelPackage", kind, count=1)
    before = group.updates()
    with pytest.raises(BotoCoreError):
        approval.answer("Approve")
    # Airflow forgets the answer: the next attempt starts from the beginning.
    assert approval.run()["chosen_options"] == ["Approve"]
    assert (len(approval.questions), group.status(package)) == (1, "Approved")
    assert group.describe(package)["ApprovalDescription"].startswith("Approved by Ada (ada) at 2026-11-27T04")
    assert group.updates() - before == (2 if kind == "drop_before" else 1)
    assert len(group.records()) == 1


def test_a_crash_before_the_answer_is_stored_asks_again_and_writes_once(
    group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = group.register()
    approval = Approval(monkeypatch, package)
    approval.run()
    approval.run()
    approval.answer("Approve")
    assert (len(approval.questions), len(group.records())) == (2, 1)


@pytest.mark.parametrize("option", ["Approve", "Reject"])
def test_a_clear_after_the_decision_follows_it_without_asking(
    group: Group, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    approval = Approval(monkeypatch, group.register())
    approval.run()
    approval.answer(option)
    first, updates = approval.decision, group.updates()
    assert approval.run()["chosen_options"] == [option]
    assert (approval.decision, group.updates(), len(approval.questions)) == (first, updates, 1)


@pytest.mark.parametrize("description", ["", "withdrawn in Studio"])
def test_a_package_that_was_set_back_to_pending_is_asked_about_again(
    group: Group, monkeypatch: pytest.MonkeyPatch, description: str
) -> None:
    package = group.register()
    approval = Approval(monkeypatch, package)
    approval.run()
    approval.answer("Reject")
    group.set_status(package, "PendingManualApproval", description)
    assert approval.run() is None
    approval.answer("Approve")
    assert (group.status(package), len(group.records())) == ("Approved", 2)


@pytest.mark.parametrize(("status", "skipped"), [("Approved", []), ("Rejected", ["score"])])
def test_a_decision_made_elsewhere_is_followed_without_asking(
    group: Group, monkeypatch: pytest.MonkeyPatch, status: str, skipped: list[str]
) -> None:
    package = group.register()
    group.set_status(package, status, "in Studio")
    approval = Approval(monkeypatch, package)
    approval.run()
    assert (approval.questions, approval.skipped, group.records()) == ([], skipped, {})
    assert approval.decision["description"] == "in Studio"
    assert approval.decision["decision_id"] is None


def test_an_answer_against_a_decision_made_elsewhere_is_refused(
    group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = group.register()
    approval = Approval(monkeypatch, package)
    approval.run()
    group.set_status(package, "Rejected", "in Studio")
    with pytest.raises(AirflowFailException, match=r"cannot become Approved: it is Rejected \(in Studio\)"):
        approval.answer("Approve")


def test_numbers_of_another_package_are_not_shown(group: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    champion, other, package = group.register("Approved"), group.register(), group.register()
    approval = Approval(monkeypatch, package, comparison=comparison(other, champion).as_document())
    with pytest.raises(AirflowFailException, match=f"The comparison is about {other}, but {package} waits"):
        approval.run()
    assert group.status(package) == "PendingManualApproval"


def test_an_approval_is_superseded_when_the_champion_changes(
    group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    champion, other, package = group.register("Approved"), group.register(), group.register()
    approval = Approval(monkeypatch, package, comparison=comparison(package, champion).as_document())
    approval.run()
    group.set_status(other, "Approved")
    with pytest.raises(AirflowFailException, match=f"the champion is {other} now.*Clear the comparison"):
        approval.answer("Approve")
    assert group.status(package) == "PendingManualApproval"
    # The comparison is cleared: the numbers are new, and so is the question.
    approval.arguments["comparison"] = comparison(package, other).as_document()
    assert approval.run() is None
    approval.answer("Reject")
    assert group.status(package) == "Rejected"


def test_numbers_that_changed_while_it_waited_are_not_what_was_approved(
    group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = group.register()
    approval = Approval(monkeypatch, package)
    approval.run()
    approval.arguments["gate"] = {**GATE, "value": 5.9}
    with pytest.raises(AirflowFailException, match=r"numbers of .* have changed since approve_model asked"):
        approval.answer("Approve")
    assert group.status(package) == "PendingManualApproval"


def test_no_answer_in_time_leaves_the_package_pending_and_skips_what_follows(
    group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = group.register()
    approval = Approval(monkeypatch, package, response_timeout=timedelta(minutes=5))
    approval.run()
    approval.resume({"error": "timeout", "error_type": "timeout"})
    assert (approval.skipped, group.records()) == (["score"], {})
    assert group.status(package) == "PendingManualApproval"
    # A clear asks again.
    assert approval.run() is None
    approval.answer("Approve")
    assert (len(approval.questions), approval.skipped) == (2, [])
    assert (group.status(package), len(group.records())) == ("Approved", 1)


def test_a_default_answer_is_refused(group: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"defaults is \['Approve'\]; expected none"):
        Approval(monkeypatch, group.register(), defaults="Approve").run()


def test_an_answer_by_timeout_is_none(group: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    package = group.register()
    approval = Approval(monkeypatch, package)
    approval.run()
    nobody: dict[str, Any] = {"responded_at": ANSWERED_AT, "responded_by_user": None, "params_input": {}}
    approval.resume({**nobody, "chosen_options": ["Approve"], "timedout": True})
    assert (approval.skipped, group.status(package)) == (["score"], "PendingManualApproval")


@pytest.mark.parametrize(("reason", "stored"), [({"ticket": 7}, "{'ticket': 7}"), ("x" * 5000, "xxx")])
def test_a_reason_that_airflow_has_not_checked_is_recorded_as_a_short_text(
    group: Group, monkeypatch: pytest.MonkeyPatch, reason: object, stored: str
) -> None:
    approval = Approval(monkeypatch, group.register())
    approval.run()
    approval.answer("Approve", reason)
    (record,) = group.records().values()
    assert record["reason"].startswith(stored)


def test_a_package_that_another_tool_has_approved_is_followed_when_nobody_answers(
    group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = group.register()
    approval = Approval(monkeypatch, package, response_timeout=timedelta(minutes=5))
    approval.run()
    group.set_status(package, "Approved", "in Studio")
    approval.resume({"error": "timeout", "error_type": "timeout"})
    assert (approval.skipped, approval.decision["description"]) == ([], "in Studio")


@pytest.mark.parametrize(("passed", "status"), [(True, "Approved"), (False, "Rejected")])
def test_the_rule_decides_by_the_verdict_and_asks_nobody(
    group: Group, monkeypatch: pytest.MonkeyPatch, passed: bool, status: str
) -> None:
    package = group.register()
    approval = Approval(monkeypatch, package, automatic=True, gate={**GATE, "passed": passed})
    approval.run()
    assert (approval.questions, group.status(package)) == ([], status)
    assert f"{status} by the rule of the DAG at" in approval.decision["description"]


def test_the_rule_follows_the_comparison_rather_than_the_gate(
    group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    champion, package = group.register("Approved"), group.register()
    document = {**comparison(package, champion).as_document(), "wins": False}
    Approval(monkeypatch, package, automatic=True, comparison=document).run()
    assert group.status(package) == "Rejected"


def test_a_deleted_package_fails_by_name(group: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    package = group.register()
    group.sagemaker.delete_model_package(ModelPackageName=package)
    with pytest.raises(AirflowFailException, match=f"{package} does not exist"):
        Approval(monkeypatch, package).run()
