"""The upsert of functions: what is written, and what is not."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.stub import Stubber

from sagemaker_local_runtime.settings import Settings
from sagemaker_local_runtime.testing import LocalRuntime
from sagemaker_pipelines.aws.client import SageMakerClient
from sagemaker_pipelines.aws.upsert import upsert_pipeline
from sagemaker_pipelines.definition import Envelope
from sagemaker_pipelines.definition.envelope import Asset
from sagemaker_pipelines.definition.functions import Function
from sagemaker_pipelines.exceptions import (
    DefinitionError,
    EnvironmentConflictError,
    PlaceholderError,
    UpsertError,
)
from sagemaker_pipelines.hooks.pipeline import SageMakerPipelineHook

ARN = "arn:aws:lambda:${region}:${account_id}:function:${name_prefix}double"
SETTINGS = {"Handler": "double.run", "Role": "${role_arn}", "Runtime": "python3.12", "Timeout": 9}
WRITES = ("CreateFunction", "UpdateFunctionCode", "UpdateFunctionConfiguration")


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRuntime]:
    runtime = LocalRuntime(Settings(data_dir=tmp_path_factory.mktemp("runtime"), port=0))
    yield runtime
    runtime.close()


@pytest.fixture
def client(runtime: LocalRuntime, monkeypatch: pytest.MonkeyPatch) -> Iterator[SageMakerClient]:
    sagemaker = {"artifact_bucket": runtime.bucket, "role_arn": runtime.role_arn, "name_prefix": "dev-"}
    extra = {
        "region_name": "us-east-1",
        "endpoint_url": runtime.endpoint_url,
        "service_config": {"sagemaker": {**sagemaker, "environment": "team-dev"}},
    }
    connection = {"conn_type": "aws", "login": "test", "password": "test", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_TEST", json.dumps(connection))
    yield SageMakerPipelineHook(aws_conn_id="aws_test").client
    for function in runtime.client("lambda").list_functions()["Functions"]:
        runtime.client("lambda").delete_function(FunctionName=function["FunctionName"])


def envelope(folder: Path, factor: int = 2, **settings: Any) -> Envelope:
    """A definition with one function, and its code."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        source = f"def run(event, context):\n    return {{'result': {factor} * event['value']}}\n"
        target.writestr(zipfile.ZipInfo("double.py"), source)
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()
    path = f"assets/{digest}/double.zip"
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_bytes(buffer.getvalue())
    step = {
        "Name": "Double",
        "Type": "Lambda",
        "FunctionArn": ARN,
        "Arguments": {"value": 21},
        "OutputParameters": [{"OutputName": "result", "OutputType": "Integer"}],
    }
    return Envelope(
        name="doubling",
        description="Double a number.",
        definition={"Version": "2020-12-01", "Steps": [step]},
        images={},
        assets=(Asset("double.zip", path, digest),),
        placeholders=("account_id", "name_prefix", "region", "role_arn"),
        root=folder,
        functions=(Function("double", path, {**SETTINGS, **settings}),),
    )


def deployed(runtime: LocalRuntime) -> dict[str, Any]:
    answer = runtime.client("lambda").get_function(FunctionName="dev-double")
    configuration: dict[str, Any] = answer["Configuration"]
    return configuration


def written(runtime: LocalRuntime, before: Mapping[str, int]) -> dict[str, int]:
    """Return how often each write to Lambda was called since then."""
    counts = {
        name: runtime.calls().get(f"lambda:{name}", 0) - before.get(f"lambda:{name}", 0) for name in WRITES
    }
    return {name: count for name, count in counts.items() if count}


def test_a_function_is_created_before_its_pipeline_and_an_equal_one_is_not_written_again(
    runtime: LocalRuntime, client: SageMakerClient, tmp_path: Path
) -> None:
    before = runtime.calls()
    assert upsert_pipeline(client, envelope(tmp_path)).changed
    assert written(runtime, before) == {"CreateFunction": 1}
    assert deployed(runtime)["Role"] == runtime.role_arn
    assert deployed(runtime)["Timeout"] == 9
    assert deployed(runtime)["Description"] == "Called by pipelines. [environment: team-dev]"
    arn = runtime.start("dev-doubling")
    assert runtime.wait(arn)["PipelineExecutionStatus"] == "Succeeded"
    assert runtime.steps(arn)["Double"]["Metadata"]["Lambda"]["OutputParameters"] == [
        {"Name": "result", "Value": "42"}
    ]
    before = runtime.calls()
    assert not upsert_pipeline(client, envelope(tmp_path)).changed
    assert written(runtime, before) == {}
    assert runtime.calls()["lambda:GetFunction"] - before["lambda:GetFunction"] == 1


def test_only_what_differs_is_written_and_the_difference_is_logged_before(
    runtime: LocalRuntime,
    client: SageMakerClient,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    variables = {"MODE": "a", "PASSWORD": "hunter2"}
    upsert_pipeline(client, envelope(tmp_path, Environment={"Variables": variables}))
    version = upsert_pipeline(client, envelope(tmp_path, 3)).pipeline_version_id
    assert deployed(runtime)["Environment"] == {"Variables": {}}
    before = runtime.calls()
    capsys.readouterr()
    result = upsert_pipeline(client, envelope(tmp_path, 4))
    assert (result.changed, result.pipeline_version_id) == (True, version)
    assert written(runtime, before) == {"UpdateFunctionCode": 1}
    before = runtime.calls()
    variables = {"MODE": "b", "PASSWORD": "hunter3"}
    assert upsert_pipeline(client, envelope(tmp_path, 4, Environment={"Variables": variables})).changed
    assert written(runtime, before) == {"UpdateFunctionConfiguration": 1}
    # Where the connection's logger writes depends on how Airflow was imported.
    shown = caplog.text + "".join(capsys.readouterr())
    assert '+  "CodeSha256": ' in shown
    assert '+      "MODE": "b"' in shown
    assert shown.index("function dev-double changes:") < shown.index("Updated function dev-double")
    assert "hunter" not in shown


def test_a_function_of_another_environment_is_not_changed(
    runtime: LocalRuntime, client: SageMakerClient, tmp_path: Path
) -> None:
    upsert_pipeline(client, envelope(tmp_path))
    runtime.client("lambda").update_function_configuration(
        FunctionName="dev-double", Description="Called by pipelines. [environment: other]"
    )
    before = runtime.calls()
    with pytest.raises(EnvironmentConflictError, match=r"Lambda function 'dev-double'.*other"):
        upsert_pipeline(client, envelope(tmp_path, 5))
    assert written(runtime, before) == {}


def test_a_function_that_something_else_deployed_is_marked_once_it_is_changed(
    runtime: LocalRuntime, client: SageMakerClient, tmp_path: Path
) -> None:
    upsert_pipeline(client, envelope(tmp_path))
    update = runtime.client("lambda").update_function_configuration
    update(FunctionName="dev-double", Description="Theirs.")
    assert not upsert_pipeline(client, envelope(tmp_path)).changed
    assert upsert_pipeline(client, envelope(tmp_path, 6)).changed
    assert deployed(runtime)["Description"] == "Called by pipelines. [environment: team-dev]"


def test_an_upsert_that_meets_another_one_looks_again(
    runtime: LocalRuntime, client: SageMakerClient, tmp_path: Path
) -> None:
    other = SageMakerPipelineHook(aws_conn_id="aws_test").client

    def overtake(**_: Any) -> None:
        upsert_pipeline(other, envelope(tmp_path, 8))

    client.functions.meta.events.register_first("before-call.lambda.CreateFunction", overtake)
    upsert_pipeline(client, envelope(tmp_path, 7))
    digest = base64.b64encode(bytes.fromhex(envelope(tmp_path, 7).assets[0].sha256)).decode()
    assert deployed(runtime)["CodeSha256"] == digest


def test_a_prefix_that_makes_an_impossible_name_is_refused(
    runtime: LocalRuntime, client: SageMakerClient, tmp_path: Path
) -> None:
    long = replace(envelope(tmp_path), functions=(Function("d" * 61, "x", SETTINGS),))
    with pytest.raises(PlaceholderError, match=r"name_prefix is 'dev-', .*expected at most 64 letters"):
        upsert_pipeline(client, long)


def test_code_that_is_no_asset_is_refused(
    runtime: LocalRuntime, client: SageMakerClient, tmp_path: Path
) -> None:
    with pytest.raises(
        DefinitionError, match=r"'dev-double' is 'assets/.*zip', expected the path of an asset"
    ):
        upsert_pipeline(client, replace(envelope(tmp_path), assets=()))


def test_a_function_that_lambda_cannot_run_fails_the_upsert(
    runtime: LocalRuntime, client: SageMakerClient, tmp_path: Path
) -> None:
    upsert_pipeline(client, envelope(tmp_path))
    before = deployed(runtime)
    with Stubber(client.functions) as stubber:
        stubber.add_response("get_function", {"Configuration": {**before, "CodeSha256": "other"}})
        stubber.add_response("update_function_code", {})
        failed = {"LastUpdateStatus": "Failed", "LastUpdateStatusReason": "The role has no trust"}
        stubber.add_response("get_function", {"Configuration": failed})
        with pytest.raises(UpsertError, match=r"'dev-double' cannot run: The role has no trust\. Correct"):
            upsert_pipeline(client, envelope(tmp_path))


@pytest.mark.parametrize(
    "state", [{"State": "Pending"}, {"LastUpdateStatus": "InProgress"}, {"LastUpdateStatus": "Failed"}]
)
def test_a_function_that_could_not_run_is_not_up_to_date(
    runtime: LocalRuntime, client: SageMakerClient, tmp_path: Path, state: dict[str, str]
) -> None:
    upsert_pipeline(client, envelope(tmp_path))
    before = {**deployed(runtime), "State": "Active", "LastUpdateStatus": "Successful"}
    failed = {"State": "Active", "LastUpdateStatus": "Failed", "LastUpdateStatusReason": "No trust"}
    with Stubber(client.functions) as stubber:
        stubber.add_response("get_function", {"Configuration": {**before, **state}})
        if "Failed" in state.values():
            stubber.add_response("update_function_configuration", {})
        else:
            stubber.add_response("get_function", {"Configuration": before})
        stubber.add_response("get_function", {"Configuration": failed})
        with pytest.raises(UpsertError, match=r"'dev-double' cannot run: No trust\. Correct"):
            upsert_pipeline(client, envelope(tmp_path))
        # Somebody has corrected the role.
        stubber.add_response("get_function", {"Configuration": {**before, **failed}})
        stubber.add_response("update_function_configuration", {})
        stubber.add_response("get_function", {"Configuration": before})
        assert upsert_pipeline(client, envelope(tmp_path)).changed
