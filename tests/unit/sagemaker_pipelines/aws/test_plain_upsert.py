"""Upsert of plain definitions: what stands in them is used, and nothing else is written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from sagemaker_local_runtime.settings import Settings
from sagemaker_local_runtime.testing import LocalRuntime
from sagemaker_pipelines.aws.client import SageMakerClient
from sagemaker_pipelines.aws.resources import check_code
from sagemaker_pipelines.aws.upsert import upsert_pipeline
from sagemaker_pipelines.definition import Envelope
from sagemaker_pipelines.definition.resources import code_uris
from sagemaker_pipelines.exceptions import MissingCodeError, SettingsError
from sagemaker_pipelines.hooks.pipeline import SageMakerPipelineHook
from stack.settings import ROOT

CHURN = ROOT / "tests" / "projects" / "sdk_v2" / "churn.json"
DEFINITION = json.loads(CHURN.read_text())
ROLE = DEFINITION["Steps"][0]["Arguments"]["RoleArn"]


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRuntime]:
    data_dir = tmp_path_factory.mktemp("runtime")
    runtime = LocalRuntime(Settings(data_dir=data_dir, port=0, region="eu-west-1", account_id="111122223333"))
    for uri in code_uris(DEFINITION):
        runtime.put(uri.partition(f"{runtime.bucket}/")[2], b"print()\n")
    yield runtime
    runtime.close()


def client(
    runtime: LocalRuntime, monkeypatch: pytest.MonkeyPatch, region: str = "eu-west-1", **settings: Any
) -> SageMakerClient:
    extra = {
        "region_name": region,
        "endpoint_url": runtime.endpoint_url,
        "service_config": {"sagemaker": settings},
    }
    connection = {"conn_type": "aws", "login": "test", "password": "test", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_TEST", json.dumps(connection))
    return SageMakerPipelineHook(aws_conn_id="aws_test").client


def written(tmp_path: Path, name: str, document: Any = DEFINITION) -> Envelope:
    path = tmp_path / f"{name}.json"
    path.write_text(json.dumps(document))
    return Envelope.load(path)


def test_it_needs_no_settings_and_uploads_nothing(
    runtime: LocalRuntime, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = runtime.calls().get("s3:PutObject", 0)
    result = upsert_pipeline(client(runtime, monkeypatch), written(tmp_path, "plain"))
    assert (result.created, result.pipeline_name) == (True, "plain")
    described = runtime.client("sagemaker").describe_pipeline(PipelineName="plain")
    assert json.loads(described["PipelineDefinition"]) == DEFINITION
    assert described["RoleArn"] == ROLE
    again = upsert_pipeline(client(runtime, monkeypatch), written(tmp_path, "plain"))
    assert again.changed is False
    assert runtime.calls().get("s3:PutObject", 0) == before


def test_an_equal_pipeline_that_something_else_deployed_stays_as_it_is(
    runtime: LocalRuntime, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sagemaker = runtime.client("sagemaker")
    body = {"PipelineDefinition": json.dumps(DEFINITION), "RoleArn": ROLE, "ClientRequestToken": "t" * 32}
    sagemaker.create_pipeline(PipelineName="theirs", PipelineDescription="Theirs.", **body)
    answer = sagemaker.describe_pipeline(PipelineName="theirs")
    document = {key: value for key, value in answer.items() if isinstance(value, str)}
    result = upsert_pipeline(client(runtime, monkeypatch), written(tmp_path, "theirs", document))
    assert result.changed is False
    assert sagemaker.describe_pipeline(PipelineName="theirs")["PipelineDescription"] == "Theirs."
    changed = DEFINITION | {"Metadata": {"owner": "us"}}
    document["PipelineDefinition"] = json.dumps(changed)
    assert upsert_pipeline(client(runtime, monkeypatch), written(tmp_path, "theirs", document)).changed
    # From now on it belongs to this environment.
    described = sagemaker.describe_pipeline(PipelineName="theirs")["PipelineDescription"]
    assert described == "Theirs. [environment: aws_test]"


def test_code_that_s3_does_not_have_is_named_before_anything_is_written(
    runtime: LocalRuntime, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (uri,) = [uri for uri in code_uris(DEFINITION) if uri.endswith("evaluate.py")]
    document = json.loads(json.dumps(DEFINITION).replace(uri, uri.replace("evaluate.py", "gone.py")))
    with pytest.raises(MissingCodeError, match=r"code/gone\.py \(step EvaluateChurn\)\. Nothing was"):
        upsert_pipeline(client(runtime, monkeypatch), written(tmp_path, "codeless", document))
    names = [p["PipelineName"] for p in runtime.client("sagemaker").list_pipelines()["PipelineSummaries"]]
    assert "codeless" not in names


def test_images_of_another_region_are_warned_about(
    runtime: LocalRuntime,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    upsert_pipeline(client(runtime, monkeypatch, region="us-east-2"), written(tmp_path, "far"))
    shown = caplog.text + "".join(capsys.readouterr())
    assert "deployed to us-east-2, whose jobs cannot pull images of another region: 141502667606." in shown
    caplog.clear()
    upsert_pipeline(client(runtime, monkeypatch), written(tmp_path, "near"))
    assert "another region" not in caplog.text + "".join(capsys.readouterr())


def test_a_definition_with_two_roles_needs_the_environment_s(
    runtime: LocalRuntime, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    document = json.loads(json.dumps(DEFINITION).replace(ROLE, f"{ROLE}2", 1))
    with pytest.raises(SettingsError, match="The setting role_arn is missing"):
        upsert_pipeline(client(runtime, monkeypatch), written(tmp_path, "two-roles", document))
    result = upsert_pipeline(
        client(runtime, monkeypatch, role_arn=ROLE), written(tmp_path, "two-roles", document)
    )
    assert result.created


def test_a_placeholder_for_the_bucket_needs_the_setting_and_claims_the_prefix(
    runtime: LocalRuntime, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    document = json.loads(json.dumps(DEFINITION).replace(runtime.bucket, "${artifact_bucket}"))
    with pytest.raises(SettingsError, match="The setting artifact_bucket is missing"):
        upsert_pipeline(client(runtime, monkeypatch), written(tmp_path, "filled", document))
    own = client(runtime, monkeypatch, artifact_bucket=runtime.bucket)
    upsert_pipeline(own, written(tmp_path, "filled", document))
    described = runtime.client("sagemaker").describe_pipeline(PipelineName="filled")
    assert json.loads(described["PipelineDefinition"]) == DEFINITION
    claim = runtime.get(f"s3://{runtime.bucket}/sagemaker-pipelines-environment.json")
    assert json.loads(claim) == {"environment": "aws_test"}


@pytest.mark.parametrize(("folder", "missing"), [("code", False), ("code/", False), ("cod", True)])
def test_a_folder_that_the_upsert_uploads_is_not_missing(
    runtime: LocalRuntime, monkeypatch: pytest.MonkeyPatch, folder: str, missing: bool
) -> None:
    source = {"InputName": "code", "S3Input": {"S3Uri": f"s3://{runtime.bucket}/new/{folder}"}}
    step = {"Name": "Prepare", "Type": "Processing", "Arguments": {"ProcessingInputs": [source]}}
    uploaded = {f"s3://{runtime.bucket}/new/code/main.py"}
    with pytest.raises(MissingCodeError) if missing else nullcontext():
        check_code(client(runtime, monkeypatch), {"Steps": [step]}, uploaded=uploaded)
