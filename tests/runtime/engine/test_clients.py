"""The AWS CLI and the Amazon provider drive executions as they do on AWS."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sagemaker_local_runtime.testing import LocalRuntime
from tests.runtime.engine.definitions import pipeline
from tests.runtime.engine.doubles import token
from tests.runtime.engine.test_over_http import GATE
from tests.waiting import GENEROUS_SECONDS, until

AWS = Path(sys.executable).with_name("aws")


def cli(runtime: LocalRuntime, *arguments: str) -> Any:
    """Run ``aws sagemaker ...`` and return its JSON."""
    result = subprocess.run(
        [AWS, "sagemaker", *arguments, "--output", "json"],
        env={**os.environ, **runtime.environment},
        capture_output=True,
        text=True,
        timeout=GENEROUS_SECONDS,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout) if result.stdout.strip() else {}


@pytest.mark.thorough
def test_the_aws_cli_creates_starts_describes_and_deletes(
    local_runtime: LocalRuntime, tmp_path: Path
) -> None:
    path = tmp_path / "definition.json"
    path.write_text(json.dumps(GATE))
    cli(
        local_runtime,
        *("create-pipeline", "--pipeline-name", "gate", "--role-arn", local_runtime.role_arn),
        *("--pipeline-definition", f"file://{path}", "--client-request-token", token()),
    )
    started = cli(
        local_runtime,
        *("start-pipeline-execution", "--pipeline-name", "gate"),
        *("--pipeline-parameters", "Name=Threshold,Value=3.0"),
    )
    arn = started["PipelineExecutionArn"]
    local_runtime.wait(arn)
    described = cli(local_runtime, "describe-pipeline-execution", "--pipeline-execution-arn", arn)
    assert described["PipelineExecutionStatus"] == "Failed"
    steps = cli(local_runtime, "list-pipeline-execution-steps", "--pipeline-execution-arn", arn)
    reasons = [step.get("FailureReason") for step in steps["PipelineExecutionSteps"]]
    assert reasons == ["MSE > 3.0", None]
    cli(local_runtime, "delete-pipeline", "--pipeline-name", "gate", "--client-request-token", token())
    assert cli(local_runtime, "list-pipelines")["PipelineSummaries"] == []


@pytest.fixture
def hook(local_runtime: LocalRuntime, monkeypatch: pytest.MonkeyPatch) -> Any:
    from airflow.providers.amazon.aws.hooks.sagemaker import SageMakerHook

    extra = {"region_name": "us-east-1", "endpoint_url": local_runtime.endpoint_url}
    connection = {"conn_type": "aws", "login": "test", "password": "test", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_RUNTIME", json.dumps(connection))
    untyped: Any = SageMakerHook
    return untyped(aws_conn_id="runtime")


def test_the_providers_hook_starts_and_describes(local_runtime: LocalRuntime, hook: Any) -> None:
    name = local_runtime.create_pipeline(GATE)
    arn = hook.start_pipeline(name, display_name="from-airflow", pipeline_params={"Threshold": "5.0"})
    local_runtime.wait(arn)
    described = hook.describe_pipeline_exec(arn, verbose=True)
    assert described["PipelineExecutionStatus"] == "Succeeded"
    assert described["PipelineExecutionDisplayName"] == "from-airflow"


def test_the_providers_hook_recognises_an_execution_that_is_not_running(
    local_runtime: LocalRuntime, hook: Any
) -> None:
    """It tells it by SageMaker's text, ``Only pipelines with 'Executing' status can be stopped``."""
    arn = local_runtime.start(local_runtime.create_pipeline(GATE))
    local_runtime.wait(arn)
    assert hook.stop_pipeline(arn) == "Succeeded"
    with pytest.raises(ClientError, match="Only pipelines with 'Executing' status can be stopped"):
        hook.stop_pipeline(arn, fail_if_not_running=True)


def test_the_providers_hook_stops_a_callback_only_with_its_answer(
    local_runtime: LocalRuntime, hook: Any
) -> None:
    sqs = local_runtime.client("sqs")
    queue = sqs.create_queue(QueueName="questions")["QueueUrl"]

    def received() -> Any:
        return sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=10).get("Messages")

    ask = {"Name": "Ask", "Type": "Callback", "Arguments": {}, "SqsQueueUrl": queue, "OutputParameters": []}
    arn = local_runtime.start(local_runtime.create_pipeline(pipeline(ask)))
    (first,) = until(received, "the question")
    assert hook.stop_pipeline(arn) == "Stopping"
    (second,) = until(received, "the question of the stop")
    assert json.loads(second["Body"])["status"] == "Stopping"
    local_runtime.client("sagemaker").send_pipeline_execution_step_failure(
        CallbackToken=json.loads(first["Body"])["token"], FailureReason="stopped"
    )
    assert local_runtime.wait(arn)["PipelineExecutionStatus"] == "Stopped"
