"""docs/deployment.md and docs/aws_account.md: what they tell to configure, and their commands."""

from __future__ import annotations

import base64
import configparser
import json
import re
import subprocess
from pathlib import Path

import pytest
from airflow.configuration import conf

from sagemaker_pipelines.aws.prices import Prices
from sagemaker_pipelines.hooks.pipeline import SageMakerPipelineHook
from sagemaker_pipelines.settings import PipelineSettings
from stack.settings import ROOT
from tests.compose import read_env_file, services
from tests.documents import blocks
from tests.iam import POLICIES, statements
from tests.waiting import GENEROUS_SECONDS

TEXT = (ROOT / "docs" / "deployment.md").read_text()


def test_the_command_for_the_secrets_writes_an_env_that_compose_takes(tmp_path: Path) -> None:
    (command,) = blocks("deployment.md", "sh")
    subprocess.run(["bash", "-c", command], cwd=tmp_path, check=True, timeout=GENEROUS_SECONDS)
    values = read_env_file(tmp_path / ".env")
    assert values.keys() == read_env_file(ROOT / ".env.example").keys()
    assert len(base64.urlsafe_b64decode(values["AIRFLOW_FERNET_KEY"])) == 32
    assert (
        services(values)["scheduler"].environment["AIRFLOW__CORE__FERNET_KEY"] == values["AIRFLOW_FERNET_KEY"]
    )
    assert (tmp_path / ".env").stat().st_mode & 0o077 == 0


def test_every_secret_stands_in_a_url_as_it_is(tmp_path: Path) -> None:
    """The broker's and the database's URLs take the passwords without quoting."""
    (command,) = blocks("deployment.md", "sh")
    subprocess.run(["bash", "-c", command], cwd=tmp_path, check=True, timeout=GENEROUS_SECONDS)
    for name, value in read_env_file(tmp_path / ".env").items():
        assert name == "AIRFLOW_FERNET_KEY" or re.fullmatch(r"[\w-]{43}", value)


def test_the_example_of_another_account_is_a_valid_connection() -> None:
    (example,) = blocks("deployment.md", "json")
    extra = json.loads(example)
    assert PipelineSettings.load(
        extra["service_config"]["sagemaker"], connection_id="aws_default", file=None
    ).role_arn
    (assume,), (trust,) = statements("airflow-assume-role"), statements("airflow-trust")
    assert assume["Resource"] == [extra["role_arn"]]
    assert trust["Condition"]["StringEquals"]["sts:ExternalId"] == extra["assume_role_kwargs"]["ExternalId"]


def test_every_policy_is_linked() -> None:
    assert {path.name for path in POLICIES.glob("*.json")} == set(re.findall(r"\]\(iam/([^)]+)\)", TEXT))


def test_the_option_of_airflow_names_the_settings_file(monkeypatch: pytest.MonkeyPatch) -> None:
    parser = configparser.ConfigParser()
    parser.read_string(*blocks("deployment.md", "ini"))
    ((section, option),) = [(name, key) for name in parser.sections() for key in parser[name]]
    example = str(ROOT / "docs" / "settings.example.toml")
    monkeypatch.setenv(f"AIRFLOW__{section.upper()}__{option.upper()}", example)
    monkeypatch.setenv("AIRFLOW_CONN_AWS_PROD", '{"conn_type": "aws"}')
    assert SageMakerPipelineHook(aws_conn_id="aws_prod").settings.artifact_bucket


def test_the_options_of_metrics_are_airflows() -> None:
    parser = configparser.ConfigParser()
    parser.read_string(*blocks("measures.md", "ini"))
    for option in parser["metrics"]:
        assert conf.get_default_value("metrics", option) is not None, option


def test_the_price_that_is_written_by_hand_is_found(tmp_path: Path) -> None:
    (tmp_path / "prices.toml").write_text(*blocks("billing.md", "toml"))
    price = Prices.load(tmp_path / "prices.toml").find("eu-west-1", "ml.m5.xlarge", "Training")
    assert price is not None
    assert (price.price_per_hour, price.source) == (0.2, "our contract")


def test_the_connection_for_an_account_has_valid_settings() -> None:
    """The page's command, as a shell runs it."""
    (command,) = blocks("aws_account.md", "bash")
    shown = subprocess.run(
        ["bash", "-c", f'{command}\nprintf %s "$AIRFLOW_CONN_AWS_DEFAULT"'],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    settings = json.loads(shown)["extra"]["service_config"]["sagemaker"]
    assert PipelineSettings.load(settings, connection_id="aws_default", file=None).name_prefix == "dev-"


def test_every_make_target_and_setting_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"make ([a-z-]+)", TEXT)) <= targets
    table = TEXT.partition("| setting | effect |")[2].partition("\n\n")[0]
    named = set(re.findall(r"`([a-z_]+)`", "".join(row.split("|")[1] for row in table.splitlines() if row)))
    assert named == set(PipelineSettings.__dataclass_fields__)
