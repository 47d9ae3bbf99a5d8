from __future__ import annotations

import copy
from typing import Any

import pytest

from sagemaker_pipelines.definition import iter_steps, lint, with_job_settings
from tests.unit.definition.samples import MODEL

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
