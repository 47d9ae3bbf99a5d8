"""Plain records of SageMaker go through to moto, with AWS's checks, errors and tags."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sagemaker_local_runtime.services.experiments import Experiments
from sagemaker_local_runtime.testing import LocalRuntime


@pytest.fixture
def sagemaker(local_runtime: LocalRuntime) -> Any:
    return local_runtime.client("sagemaker")


def error_of(call: Any, **request: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as raised:
        call(**request)
    error = raised.value.response["Error"]
    return error["Code"], error["Message"]


@pytest.mark.parametrize(
    ("action", "names"),
    [
        ("describe_experiment", {"ExperimentName": "none"}),
        ("delete_experiment", {"ExperimentName": "none"}),
        ("create_trial", {"TrialName": "first", "ExperimentName": "none"}),
        ("describe_trial", {"TrialName": "none"}),
        ("delete_trial", {"TrialName": "none"}),
        ("describe_trial_component", {"TrialComponentName": "none"}),
        ("update_trial_component", {"TrialComponentName": "none"}),
        ("delete_trial_component", {"TrialComponentName": "none"}),
        ("describe_model_card", {"ModelCardName": "none"}),
        ("delete_domain", {"DomainId": "d-none"}),
        ("describe_compilation_job", {"CompilationJobName": "none"}),
        ("describe_data_quality_job_definition", {"JobDefinitionName": "none"}),
    ],
)
def test_a_missing_record_is_not_found(sagemaker: Any, action: str, names: dict[str, str]) -> None:
    code, message = error_of(getattr(sagemaker, action), **names)
    assert code == "ResourceNotFound"
    assert "none" in message


def test_a_trial_component_is_created_changed_and_deleted(sagemaker: Any) -> None:
    sagemaker.create_experiment(ExperimentName="abalone")
    sagemaker.create_trial(TrialName="first", ExperimentName="abalone")
    sagemaker.create_trial_component(TrialComponentName="training")
    sagemaker.associate_trial_component(TrialName="first", TrialComponentName="training")
    sagemaker.update_trial_component(
        TrialComponentName="training", Parameters={"eta": {"NumberValue": 0.2}}, DisplayName="Train"
    )
    component = sagemaker.describe_trial_component(TrialComponentName="training")
    assert (component["DisplayName"], component["Parameters"]) == ("Train", {"eta": {"NumberValue": 0.2}})
    sagemaker.delete_trial_component(TrialComponentName="training")
    assert sagemaker.list_trial_components()["TrialComponentSummaries"] == []


def test_a_name_of_an_experiment_is_given_once(sagemaker: Any) -> None:
    for call, names in (
        (sagemaker.create_experiment, {"ExperimentName": "abalone"}),
        (sagemaker.create_trial, {"TrialName": "first", "ExperimentName": "abalone"}),
        (sagemaker.create_trial_component, {"TrialComponentName": "training"}),
    ):
        call(**names)
        code, message = error_of(call, **names)
        assert code == "ValidationException"
        assert "names must be unique" in message
        assert "already exists" in message


def test_of_clients_that_create_a_record_at_once_one_succeeds(
    sagemaker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    check, clients = Experiments.check_new, threading.Barrier(2)

    def slowly(self: Experiments, action: str, request: Mapping[str, Any]) -> None:
        check(self, action, request)
        with contextlib.suppress(threading.BrokenBarrierError):
            # Both have passed the check here, unless one waits for the other.
            clients.wait(1)

    monkeypatch.setattr(Experiments, "check_new", slowly)

    def create(_: int) -> str:
        try:
            sagemaker.create_trial_component(TrialComponentName="training")
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return "created"

    with ThreadPoolExecutor(2) as threads:
        assert sorted(threads.map(create, range(2))) == ["ValidationException", "created"]


def test_a_feature_group_without_an_offline_store_is_refused_by_name(sagemaker: Any) -> None:
    code, message = error_of(
        sagemaker.create_feature_group,
        FeatureGroupName="abalone",
        RecordIdentifierFeatureName="id",
        EventTimeFeatureName="time",
        FeatureDefinitions=[{"FeatureName": "id", "FeatureType": "Integral"}],
        OnlineStoreConfig={"EnableOnlineStore": True},
    )
    assert code == "ValidationException"
    assert "OfflineStoreConfig" in message


def test_a_model_card_has_versions(sagemaker: Any) -> None:
    card = {"ModelCardName": "abalone", "ModelCardStatus": "Draft"}
    sagemaker.create_model_card(Content=json.dumps({"model_overview": {}}), **card)
    sagemaker.update_model_card(ModelCardName="abalone", ModelCardStatus="Approved")
    assert sagemaker.describe_model_card(ModelCardName="abalone")["ModelCardStatus"] == "Approved"
    versions = sagemaker.list_model_card_versions(ModelCardName="abalone")
    assert [version["ModelCardVersion"] for version in versions["ModelCardVersionSummaryList"]] == [1, 2]


def test_a_feature_group_is_described(sagemaker: Any, local_runtime: LocalRuntime) -> None:
    sagemaker.create_feature_group(
        FeatureGroupName="abalone",
        RecordIdentifierFeatureName="id",
        EventTimeFeatureName="time",
        FeatureDefinitions=[
            {"FeatureName": "id", "FeatureType": "Integral"},
            {"FeatureName": "time", "FeatureType": "String"},
        ],
        OfflineStoreConfig={"S3StorageConfig": {"S3Uri": f"s3://{local_runtime.bucket}/features"}},
        RoleArn=local_runtime.role_arn,
    )
    group = sagemaker.describe_feature_group(FeatureGroupName="abalone")
    assert [feature["FeatureName"] for feature in group["FeatureDefinitions"]] == ["id", "time"]


def test_the_tags_of_a_new_record_replace_those_of_an_earlier_one(sagemaker: Any) -> None:
    def tags(*keys: str) -> list[str]:
        arn = sagemaker.create_experiment(
            ExperimentName="tagged", Tags=[{"Key": key, "Value": "x"} for key in keys]
        )["ExperimentArn"]
        found = sagemaker.list_tags(ResourceArn=arn)["Tags"]
        sagemaker.delete_experiment(ExperimentName="tagged")
        return [tag["Key"] for tag in found]

    assert tags("team", "cost") == ["team", "cost"]
    assert tags("team") == ["team"]


def test_a_request_is_checked_against_the_model_of_sagemaker(local_runtime: LocalRuntime) -> None:
    client = local_runtime.client("sagemaker")
    code, message = error_of(client.create_experiment, ExperimentName="not a name")
    assert code == "ValidationException"
    assert "at 'experimentName' failed to satisfy constraint" in message


def test_what_would_have_to_act_is_still_refused(sagemaker: Any) -> None:
    code, _ = error_of(sagemaker.start_inference_experiment, Name="e")
    assert code == "UnknownOperationException"
