"""Environments by connection and one settings file."""

from __future__ import annotations

from pathlib import Path

import pytest

from sagemaker_pipelines.exceptions import SettingsError
from sagemaker_pipelines.settings import PipelineSettings

ARABIC_ONE = "\N{ARABIC-INDIC DIGIT ONE}"
FILE = """
[defaults]
tags = { team = "ml" }
name_prefix = "dev-"

[connections.aws_prod]
artifact_bucket = "ml-prod"
name_prefix = "prod-"
role_arn = "arn:aws:iam::111122223333:role/SageMaker"
subnet_ids = ["subnet-1"]
security_group_ids = ["sg-1"]
"""


@pytest.fixture
def settings_file(tmp_path: Path) -> Path:
    path = tmp_path / "settings.toml"
    path.write_text(FILE)
    return path


def test_the_connections_section_wins_over_the_defaults(settings_file: Path) -> None:
    settings = PipelineSettings.load({}, connection_id="aws_prod", file=settings_file)
    assert settings.name_prefix == "prod-"
    assert settings.tags == {"team": "ml"}
    assert settings.vpc_config == {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]}


def test_another_connection_takes_the_defaults_only(settings_file: Path) -> None:
    settings = PipelineSettings.load({}, connection_id="aws_dev", file=settings_file)
    assert (settings.name_prefix, settings.artifact_bucket, settings.vpc_config) == ("dev-", None, None)


def test_the_connections_extra_wins_over_the_file(settings_file: Path) -> None:
    extra = {"artifact_bucket": "other", "endpoint_url": "http://127.0.0.1:4566"}
    settings = PipelineSettings.load(extra, connection_id="aws_prod", file=settings_file)
    assert settings.artifact_bucket == "other"
    assert settings.role_arn == "arn:aws:iam::111122223333:role/SageMaker"


def test_only_what_is_set_fills_placeholders() -> None:
    settings = PipelineSettings.load({"artifact_bucket": "ml-dev"}, connection_id=None, file=None)
    assert settings.placeholder_values == {"artifact_bucket": "ml-dev", "name_prefix": ""}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("artifact_bucket", "s3://ml-prod"),
        ("role_arn", "SageMaker"),
        ("name_prefix", "dev"),
        ("name_prefix", "-"),
        ("kms_key_id", ""),
        ("role_arn", "arn:aws:iam::" + ARABIC_ONE * 12 + ":role/SageMaker"),
        ("security_group_ids", "sg-1"),
        ("subnet_ids", [1]),
        ("tags", {"team": 1}),
        ("notification_target", "someone@example.com"),
        ("studio_domain_id", "domain"),
        ("max_executing", 0),
    ],
)
def test_a_malformed_setting_is_named_with_its_value_and_what_was_expected(name: str, value: object) -> None:
    with pytest.raises(SettingsError, match=f"'aws_prod'.*{name} is .*expected"):
        PipelineSettings.load({name: value}, connection_id="aws_prod", file=None)


def test_an_unknown_setting_is_refused_with_the_known_ones() -> None:
    with pytest.raises(SettingsError, match="unknown setting 'bucket'; expected one of artifact_bucket"):
        PipelineSettings.load({"bucket": "ml-prod"}, connection_id="aws_prod", file=None)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[default]\n", "unknown section 'default'"),
        ("name_prefix = \n", "Cannot read the settings file"),
        ("[defaults]\nbucket = 'x'\n", r"\[defaults\]: unknown setting 'bucket'"),
        ("defaults = 'x'\n", r"\[defaults\] is 'x' \(str\); expected a table"),
        ("connections = 'x'\n", r"\[connections\] is 'x' \(str\); expected a table"),
        ("[[connections]]\nname_prefix = 'x-'\n", r"\[connections\] is \[.*\(list\); expected a table"),
        ("[connections]\naws_prod = 'x'\n", r"\[connections.aws_prod\] is 'x' \(str\); expected a table"),
        pytest.param("a = " + "[" * 100_000, "Cannot read the settings file", id="nested too deeply"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(content)
    with pytest.raises(SettingsError, match=message) as caught:
        PipelineSettings.load({}, connection_id="aws_prod", file=path)
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_utf_8_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_bytes('name_prefix = "dév-"'.encode("latin-1"))
    with pytest.raises(SettingsError, match="Cannot read the settings file"):
        PipelineSettings.load({}, connection_id="aws_prod", file=path)


@pytest.mark.parametrize("extra", ["artifact_bucket", ["artifact_bucket"], None])
def test_an_extra_that_is_not_an_object_is_an_error(extra: object) -> None:
    with pytest.raises(SettingsError, match=r"'aws_prod', service_config.sagemaker is .*expected a table"):
        PipelineSettings.load(extra, connection_id="aws_prod", file=None)


@pytest.mark.parametrize(
    ("extra", "missing"),
    [
        ({"security_group_ids": ["sg-1"]}, "subnet_ids"),
        ({"subnet_ids": ["subnet-1"]}, "security_group_ids"),
    ],
)
def test_one_half_of_a_vpc_is_refused(extra: dict[str, list[str]], missing: str) -> None:
    with pytest.raises(SettingsError, match=f"'aws_dev'.* Set {missing} too"):
        PipelineSettings.load(extra, connection_id="aws_dev", file=None)


def test_the_halves_of_a_vpc_may_come_from_different_places(settings_file: Path) -> None:
    extra = {"subnet_ids": ["subnet-2"]}
    settings = PipelineSettings.load(extra, connection_id="aws_prod", file=settings_file)
    assert settings.vpc_config == {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-2"]}
    with pytest.raises(SettingsError, match="Set subnet_ids too"):
        PipelineSettings.load({"subnet_ids": []}, connection_id="aws_prod", file=settings_file)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="settings_file"):
        PipelineSettings.load({}, connection_id=None, file=tmp_path / "none.toml")
