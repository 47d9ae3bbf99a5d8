from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from sagemaker_pipelines.definition import iter_steps, lint, with_job_settings
from sagemaker_pipelines.definition.job_settings import KMS_KEYS, TAGGED, VPC_CONFIGS
from sagemaker_pipelines.definition.step_shapes import CALLS
from sagemaker_pipelines.exceptions import DefinitionError
from tests.unit.definition.samples import MODEL

# Members that have nothing to do with a job's own outputs, volumes and network.
NOT_OF_JOBS = {
    # Temporary results of a query that an input is read from.
    "ProcessingInputs.DatasetDefinition.AthenaDatasetDefinition.KmsKeyId",
    "ProcessingInputs.DatasetDefinition.RedshiftDatasetDefinition.KmsKeyId",
    # Endpoints have the network of their model.
    "ProductionVariants.CoreDumpConfig.KmsKeyId",
    "ShadowProductionVariants.CoreDumpConfig.KmsKeyId",
    "VpcConfig",
}
VPC = {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]}


def _arguments(definition: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(step for step in iter_steps(definition) if step["Name"] == name)["Arguments"]
    return found


def test_every_job_gets_key_network_and_tags_also_in_a_branch(definition: dict[str, Any]) -> None:
    changed = with_job_settings(definition, kms_key_id="key", vpc_config=VPC, tags={"team": "ml"})
    train, report = _arguments(changed, "Train"), _arguments(changed, "Report")
    assert train["OutputDataConfig"]["KmsKeyId"] == "key"
    assert train["ResourceConfig"]["VolumeKmsKeyId"] == "key"
    assert train["VpcConfig"] == VPC
    assert report["ProcessingOutputConfig"]["KmsKeyId"] == "key"
    assert report["ProcessingResources"]["ClusterConfig"]["VolumeKmsKeyId"] == "key"
    assert report["NetworkConfig"] == {"VpcConfig": VPC}
    assert _arguments(changed, "Create")["VpcConfig"] == VPC
    assert _arguments(changed, "Create")["Tags"] == [{"Key": "team", "Value": "ml"}]
    assert lint(changed, MODEL) == []


def test_the_definition_itself_stays_as_it_was(definition: dict[str, Any]) -> None:
    before = copy.deepcopy(definition)
    with_job_settings(definition, kms_key_id="key", vpc_config=VPC, tags={"team": "ml"})
    assert definition == before


def test_without_settings_nothing_changes(definition: dict[str, Any]) -> None:
    assert with_job_settings(definition) == definition


def test_what_a_step_says_itself_wins(definition: dict[str, Any]) -> None:
    train = _arguments(definition, "Train")
    train["OutputDataConfig"]["KmsKeyId"] = "own"
    train["VpcConfig"] = {"Subnets": ["own"]}
    train["Tags"] = [{"Key": "team", "Value": "own"}]
    tags = [{"Key": "team", "Value": "ml"}, {"Key": "cost", "Value": "7"}]
    changed = _arguments(with_job_settings(definition, kms_key_id="key", vpc_config=VPC, tags=tags), "Train")
    assert changed["OutputDataConfig"]["KmsKeyId"] == "own"
    assert changed["VpcConfig"] == {"Subnets": ["own"]}
    assert changed["Tags"] == [{"Key": "team", "Value": "own"}, {"Key": "cost", "Value": "7"}]


@pytest.mark.parametrize("kind", ["RegisterModel", "Condition", "Fail"])
def test_a_step_whose_call_takes_no_tags_gets_none(kind: str) -> None:
    """CreateModelPackage refuses tags for a version in a group: it has its group's."""
    definition = {"Steps": [{"Name": "S", "Type": kind, "Arguments": {}}]}
    assert with_job_settings(definition, tags={"team": "ml"}, kms_key_id="key", vpc_config=VPC) == definition


def members(shape: Any, path: str = "") -> Iterator[str]:
    """Yield the paths of all members of a request."""
    if shape.type_name == "list":
        yield from members(shape.member, path)
    for name, member in getattr(shape, "members", {}).items():
        yield f"{path}{name}"
        yield from members(member, f"{path}{name}.")


@pytest.mark.parametrize("kind", sorted(CALLS.keys() - {"RegisterModel"}))
def test_every_member_for_a_key_a_network_or_tags_is_known(kind: str) -> None:
    """A new one of SageMaker's fails this test, instead of staying without the setting."""
    paths = set(members(MODEL.operation_model(CALLS[kind].operation).input_shape))
    keys = {path for path in paths if path.endswith("KmsKeyId")}
    networks = {path for path in paths if path.endswith("VpcConfig")}
    assert set(KMS_KEYS.get(kind, ())) <= keys
    assert set(VPC_CONFIGS.get(kind, ())) <= networks
    assert (keys - {*KMS_KEYS.get(kind, ())}) | (networks - {*VPC_CONFIGS.get(kind, ())}) <= NOT_OF_JOBS
    assert (kind in TAGGED) == ("Tags" in paths)


def settled(kind: str, **arguments: Any) -> dict[str, Any]:
    definition = {"Steps": [{"Name": "S", "Type": kind, "Arguments": arguments}]}
    return _arguments(with_job_settings(definition, kms_key_id="key", vpc_config=VPC), "S")


def test_each_definition_of_a_tuning_job_gets_key_and_network() -> None:
    of_sdk = {"OutputDataConfig": {}, "HyperParameterTuningResourceConfig": {"VolumeKmsKeyId": "own"}}
    changed = settled(
        "Tuning", TrainingJobDefinitions=[{"OutputDataConfig": {}, "ResourceConfig": {}}, of_sdk]
    )
    plain, of_sdk = changed["TrainingJobDefinitions"]
    assert plain == {
        "OutputDataConfig": {"KmsKeyId": "key"},
        "ResourceConfig": {"VolumeKmsKeyId": "key"},
        "VpcConfig": VPC,
    }
    assert of_sdk["HyperParameterTuningResourceConfig"] == {"VolumeKmsKeyId": "own"}
    assert of_sdk["VpcConfig"] == VPC
    assert of_sdk["VpcConfig"] is not plain["VpcConfig"]
    changed = settled("Tuning", TrainingJobDefinition={"HyperParameterTuningResourceConfig": {}})
    assert changed["TrainingJobDefinition"] == {
        "HyperParameterTuningResourceConfig": {"VolumeKmsKeyId": "key"},
        "VpcConfig": VPC,
    }


@pytest.mark.parametrize("config", [{}, {"AutoMLJobConfig": {"SecurityConfig": {}}}])
def test_an_automl_job_gets_key_and_network(config: dict[str, Any]) -> None:
    changed = settled("AutoML", OutputDataConfig={}, **config)
    assert changed == {
        "OutputDataConfig": {"KmsKeyId": "key"},
        "AutoMLJobConfig": {"SecurityConfig": {"VolumeKmsKeyId": "key", "VpcConfig": VPC}},
    }


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"kms_key_id": "key"}, "kms_key_id"),
        ({"vpc_config": VPC}, "security_group_ids and subnet_ids"),
        ({"kms_key_id": "key", "vpc_config": VPC}, "kms_key_id, security_group_ids and subnet_ids"),
    ],
)
def test_a_job_that_cannot_have_the_settings_is_refused_by_name(settings: dict[str, Any], named: str) -> None:
    definition = {"Steps": [{"Name": "Agent", "Type": "Job", "Arguments": {"JobConfigDocument": "{}"}}]}
    with pytest.raises(DefinitionError, match=f"Job step 'Agent' .*{named}"):
        with_job_settings(definition, **settings)
    assert "Tags" in _arguments(with_job_settings(definition, tags={"team": "ml"}), "Agent")
