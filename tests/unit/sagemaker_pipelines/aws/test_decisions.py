"""A decision is written once, whatever is lost on the way, and never over somebody else's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError

from sagemaker_local_runtime.settings import Settings
from sagemaker_local_runtime.testing import LocalRuntime
from sagemaker_pipelines.aws.champion import model_package_to_score_with
from sagemaker_pipelines.aws.client import SageMakerClient
from sagemaker_pipelines.aws.decisions import MAX_SUMMARY, Decision, record_decision
from sagemaker_pipelines.aws.evidence import Evidence
from sagemaker_pipelines.exceptions import ModelPackageError, SettingsError, SupersededError
from sagemaker_pipelines.hooks.pipeline import SageMakerPipelineHook
from tests.unit.sagemaker_pipelines.registry import Group, comparison, connection_to

GATE = {"metric": "mse", "value": 4.9, "threshold": 6.0, "passed": True}


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRuntime]:
    runtime = LocalRuntime(Settings(data_dir=tmp_path_factory.mktemp("runtime"), port=0))
    yield runtime
    runtime.close()


@pytest.fixture(scope="module")
def client(runtime: LocalRuntime) -> Iterator[SageMakerClient]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_CONN_AWS_DEFAULT", connection_to(runtime))
        yield SageMakerPipelineHook().client


@pytest.fixture
def group(runtime: LocalRuntime) -> Iterator[Group]:
    yield Group(runtime)
    runtime.clear_faults()


def decision(arn: str, *, approved: bool = True, champion: str | None = None, **members: Any) -> Decision:
    evidence = Evidence(model_package_arn=arn, champion_arn=champion, gate=GATE)
    return Decision(approved=approved, decided_by="Ada (ada)", evidence=evidence, **members)


def test_a_decision_is_in_the_registry_and_whole_in_s3(client: SageMakerClient, group: Group) -> None:
    champion, arn = group.register("Approved"), group.register()
    evidence = Evidence(
        model_package_arn=arn, champion_arn=champion, gate=GATE, comparison=comparison(arn, champion)
    )
    made = replace(decision(arn, reason="two\nlines", dag_id="train", run_id="manual__1"), evidence=evidence)
    assert record_decision(client, made)
    package = group.describe(arn)
    assert package["ModelApprovalStatus"] == "Approved"
    ((uri, record),) = group.records().items()
    assert package["ApprovalDescription"] == (
        f"Approved by Ada (ada) at {made.decided_at}: mse 4.9, champion 5.2, difference -0.3 [-0.4, -0.2] at "
        f"95%; reason: two lines; run train manual__1; record {uri}; decision {made.decision_id}"
    )
    assert record["comparison"] == evidence.comparison.as_document()  # type: ignore[union-attr]
    assert (record["reason"], record["gate"], record["run_id"]) == ("two\nlines", GATE, "manual__1")
    assert (record["decision_id"], record["champion_arn"]) == (made.decision_id, champion)


@pytest.mark.parametrize(
    "action",
    [
        "UpdateModelPackage",
        pytest.param("s3:PutObject", marks=pytest.mark.thorough),
        pytest.param("DescribeModelPackage", marks=pytest.mark.thorough),
    ],
)
@pytest.mark.parametrize("kind", ["drop_before", "drop_after"])
@pytest.mark.parametrize("approved", [True, pytest.param(False, marks=pytest.mark.thorough)])
def test_a_decision_is_written_once_if_a_call_is_lost(
    client: SageMakerClient, group: Group, action: str, kind: str, approved: bool
) -> None:
    arn = group.register()
    made = decision(arn, approved=approved)
    before = group.updates()
    group.runtime.add_fault(action, kind, count=1)
    with pytest.raises(BotoCoreError):
        record_decision(client, made)
    landed = (action, kind) == ("UpdateModelPackage", "drop_after")
    assert group.status(arn) == (made.status if landed else "PendingManualApproval")
    assert record_decision(client, made) is not landed
    assert record_decision(client, made) is False
    assert group.status(arn) == made.status
    assert len(group.records()) == 1
    # The call that was dropped before anything happened is counted, too.
    dropped = (action, kind) == ("UpdateModelPackage", "drop_before")
    assert group.updates() - before == 1 + dropped


def test_two_open_decisions_of_one_group_do_not_both_win(client: SageMakerClient, group: Group) -> None:
    champion, one, other = group.register("Approved"), group.register(), group.register()
    record_decision(client, decision(one, champion=champion))
    with pytest.raises(SupersededError, match=f"the champion is {one} now.*Clear the comparison"):
        record_decision(client, decision(other, champion=champion))
    assert group.status(other) == "PendingManualApproval"
    # A rejection depends on no champion.
    assert record_decision(client, decision(other, champion=champion, approved=False))


def test_a_first_model_is_superseded_by_another_first_model(client: SageMakerClient, group: Group) -> None:
    group.register("Approved")
    arn = group.register()
    with pytest.raises(SupersededError, match="comparison with none"):
        record_decision(client, decision(arn, champion=None))


def test_a_package_that_is_older_than_the_champion_is_not_approved(
    client: SageMakerClient, group: Group
) -> None:
    """It would be Approved, and the newer one would stay the champion."""
    older, newer = group.register(), group.register("Approved")
    with pytest.raises(SupersededError, match=f"the champion is {newer} now, which is newer"):
        record_decision(client, decision(older, champion=newer))
    assert (group.status(older), group.records()) == ("PendingManualApproval", {})
    # The cure that the message names.
    record_decision(client, decision(newer, approved=False), replace=True)
    assert record_decision(client, decision(older))


def test_a_decision_made_elsewhere_is_not_overwritten(client: SageMakerClient, group: Group) -> None:
    arn = group.register()
    group.set_status(arn, "Rejected", "bias report is missing")
    with pytest.raises(ModelPackageError, match=r"is Rejected \(bias report is missing\).*--replace"):
        record_decision(client, decision(arn))
    assert record_decision(client, decision(arn), replace=True)
    assert group.status(arn) == "Approved"


def test_a_decision_that_was_changed_elsewhere_is_not_written_again(
    client: SageMakerClient, group: Group
) -> None:
    arn = group.register()
    made = decision(arn)
    record_decision(client, made)
    # Studio changes the status, and leaves the description as it is.
    group.set_status(arn, "Rejected")
    with pytest.raises(ModelPackageError, match="cannot become Approved: it is Rejected"):
        record_decision(client, made)


def test_a_deleted_package_is_refused_by_name(client: SageMakerClient, group: Group) -> None:
    arn = group.register()
    group.sagemaker.delete_model_package(ModelPackageName=arn)
    with pytest.raises(ModelPackageError, match=f"{arn} does not exist"):
        record_decision(client, decision(arn))


def test_a_package_without_a_group_is_refused(client: SageMakerClient, group: Group) -> None:
    arn = group.sagemaker.create_model_package(ModelPackageName=f"{group.name}-alone")["ModelPackageArn"]
    with pytest.raises(ModelPackageError, match="belongs to no model package group"):
        record_decision(client, decision(arn))


def test_nothing_is_written_without_a_bucket_for_the_record(
    client: SageMakerClient, group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    arn = group.register()
    monkeypatch.setitem(client.account.__dict__, "settings", replace(client.settings, artifact_bucket=None))
    with pytest.raises(SettingsError, match="artifact_bucket is missing"):
        record_decision(client, decision(arn))
    assert group.status(arn) == "PendingManualApproval"


@pytest.mark.parametrize("size", [0, 100, 700, 5_000])
def test_the_summary_is_bounded_and_always_ends_with_record_and_id(size: int) -> None:
    made = decision("arn", reason="x\n" * size, run_id="r" * size, dag_id="d")
    text = made.summary("s3://bucket/key")
    assert len(text) <= MAX_SUMMARY
    assert "\n" not in text
    assert text.endswith(f"; record s3://bucket/key; decision {made.decision_id}")
    assert ("(cut: " in text) is (size > 400)


def test_scoring_takes_the_champion_and_says_why(client: SageMakerClient, group: Group) -> None:
    arn = group.register()
    with pytest.raises(ModelPackageError, match="no Approved model package"):
        model_package_to_score_with(client, group.name)
    record_decision(client, decision(arn))
    chosen = model_package_to_score_with(client, group.name)
    assert chosen.arn == arn
    assert f"{arn}, the champion (newest Approved package) of {group.name}. Approved by Ada" in chosen.reason
    newer = group.register("Approved")
    assert f"instead of the champion {newer}" in model_package_to_score_with(client, group.name, arn).reason


@pytest.mark.parametrize("status", ["Rejected", "PendingManualApproval"])
def test_scoring_refuses_by_name_a_package_that_is_not_approved(
    client: SageMakerClient, group: Group, status: str
) -> None:
    champion, arn = group.register("Approved"), group.register(status)
    with pytest.raises(ModelPackageError, match=f"{arn} is {status}.*the champion, which is {champion}"):
        model_package_to_score_with(client, group.name, arn)


def test_scoring_refuses_by_name_a_package_that_was_deleted(client: SageMakerClient, group: Group) -> None:
    group.register("Approved")
    arn = group.register("Approved")
    group.sagemaker.delete_model_package(ModelPackageName=arn)
    with pytest.raises(
        ModelPackageError, match=f"{arn} does not exist; expected one that is still registered"
    ):
        model_package_to_score_with(client, group.name, arn)
