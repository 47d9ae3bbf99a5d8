"""What AWS refuses when a pipeline is created is refused over HTTP, with AWS's error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from typer.testing import CliRunner

from sagemaker_local_runtime import cli
from sagemaker_local_runtime.settings import Settings
from sagemaker_local_runtime.testing import LocalRuntime
from tests.runtime.engine.definitions import get, pipeline, processing

MISSPELT = pipeline(processing("Work", Enviroment={"STAGE": "dev"}))
NOT_BELOW_ML = pipeline(
    processing(
        "Work",
        ProcessingInputs=[
            {
                "InputName": "data",
                "S3Input": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/k", "LocalPath": "/data"},
            }
        ],
    )
)
NOT_A_LIST = pipeline(
    processing(
        "Work", NetworkConfig={"VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": get("Parameters.Net")}}
    ),
    parameters=[{"Name": "Net", "Type": "String", "DefaultValue": "subnet-1"}],
)


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        (MISSPELT, "step Work: Unknown Argument member 'Enviroment' of a Processing step; use 'Environment'"),
        (NOT_BELOW_ML, "step Work: Invalid path '/data' of ProcessingInput 'data'"),
        (NOT_A_LIST, "step Work: NetworkConfig.VpcConfig.Subnets is"),
    ],
)
def test_create_and_update_refuse_with_a_validation_exception(
    local_runtime: LocalRuntime, definition: dict[str, Any], message: str
) -> None:
    sagemaker = local_runtime.client("sagemaker")
    with pytest.raises(ClientError) as created:
        local_runtime.create_pipeline(definition)
    name = local_runtime.create_pipeline(pipeline(processing("Work")))
    with pytest.raises(ClientError) as updated:
        sagemaker.update_pipeline(PipelineName=name, PipelineDefinition=json.dumps(definition))
    for refused in (created.value, updated.value):
        assert refused.response["Error"]["Code"] == "ValidationException"
        text = refused.response["Error"]["Message"]
        assert text.startswith(f"Unable to parse pipeline definition. {message}")
    assert len(sagemaker.list_pipeline_versions(PipelineName=name)["PipelineVersionSummaries"]) == 1


def test_an_answer_has_some_of_many_problems(local_runtime: LocalRuntime) -> None:
    """A definition of 1 MiB can hold half a million of them."""
    arguments = {"AppSpecification": {"ImageUri": "image"}, "Environment": {f"N{n}": n for n in range(90)}}
    with pytest.raises(ClientError) as refused:
        local_runtime.create_pipeline(pipeline(processing("Work", **arguments)))
    text = refused.value.response["Error"]["Message"]
    assert text.count("step Work: Environment[") == 20
    assert text.endswith("There are 70 more problems.")


def test_an_allowed_argument_is_accepted(tmp_path: Path) -> None:
    """The runtime's botocore may be older than the AWS that a pipeline is written for."""
    settings = Settings(data_dir=tmp_path / "runtime", port=0, allowed_arguments=("Processing.Enviroment",))
    runtime = LocalRuntime(settings)
    try:
        assert runtime.create_pipeline(MISSPELT)
    finally:
        runtime.close()


def test_the_command_line_takes_the_names_of_allowed_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Settings] = []
    monkeypatch.setattr(cli, "serve_until_signal", seen.append)
    options = ["--allow-argument", "Training.A", "--allow-argument", "Training.B"]
    assert CliRunner().invoke(cli.app, options).exit_code == 0
    assert seen[0].allowed_arguments == ("Training.A", "Training.B")
