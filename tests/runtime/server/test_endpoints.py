"""Endpoints: created, invoked, updated and deleted over HTTP."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import psutil
import pytest
from botocore.exceptions import ClientError

from sagemaker_local_runtime.hosting import server
from sagemaker_local_runtime.testing import LocalRuntime, RuntimeProcess
from stack.processes import runs
from tests.runtime.endpoints import IMAGE, SCRIPT, ask, create_config, create_model, serve, settled
from tests.runtime.functions import create_function
from tests.waiting import until

# Loads a model when the test allows it.
WAIT = """
import boto3
boto3.client("s3").get_waiter("object_exists").wait(
    Bucket="{bucket}", Key="go", WaiterConfig={{"Delay": 1, "MaxAttempts": 300}}
)
"""


def error_of(call: Any, **request: Any) -> dict[str, Any]:
    with pytest.raises(ClientError) as caught:
        call(**request)
    return dict(caught.value.response)


def answers(runtime: LocalRuntime, body: str) -> bool:
    """Return whether the endpoint answers; it does not while its process is started, or is slow."""
    try:
        return bool(ask(runtime, "e", body))
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("ServiceUnavailable", "ModelError"):
            raise
        return False


def test_an_endpoint_serves_its_model_until_it_is_deleted(local_runtime: LocalRuntime) -> None:
    sagemaker, runtime = local_runtime.client("sagemaker"), local_runtime.client("sagemaker-runtime")
    described = serve(local_runtime, "e")
    assert described["EndpointStatus"] == "InService"
    assert described["EndpointArn"].endswith(":endpoint/e")
    (variant,) = described["ProductionVariants"]
    assert (variant["VariantName"], variant["CurrentWeight"], variant["CurrentInstanceCount"]) == (
        "e",
        1.0,
        1,
    )
    assert variant["DeployedImages"][0]["SpecifiedImage"] == IMAGE

    answer = runtime.invoke_endpoint(
        EndpointName="e", Body=b"1,2", ContentType="text/csv", Accept="text/plain"
    )
    assert answer["Body"].read() == b"e text/csv 1,2"
    assert (answer["ContentType"], answer["InvokedProductionVariant"]) == ("text/plain", "e")
    (listed,) = sagemaker.list_endpoints(StatusEquals="InService", NameContains="E")["Endpoints"]
    assert listed["EndpointName"] == "e"
    assert local_runtime.calls()["sagemaker:InvokeEndpoint"] == 1

    sagemaker.delete_endpoint(EndpointName="e")
    until(lambda: not sagemaker.list_endpoints()["Endpoints"], "the end of the endpoint")
    missing = error_of(runtime.invoke_endpoint, EndpointName="e", Body=b"")["Error"]
    assert (missing["Code"], missing["Message"]) == (
        "ValidationError",
        "Endpoint e of account 123456789012 not found.",
    )
    assert (
        "Could not find endpoint"
        in error_of(sagemaker.describe_endpoint, EndpointName="e")["Error"]["Message"]
    )


@pytest.mark.thorough
def test_the_errors_of_a_model_are_those_of_aws(local_runtime: LocalRuntime) -> None:
    invoke = local_runtime.client("sagemaker-runtime").invoke_endpoint
    serve(local_runtime, "e")
    failed = error_of(invoke, EndpointName="e", Body="fail", ContentType="text/csv")
    assert failed["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert failed["Error"]["Code"] == "ModelError"
    assert failed["OriginalStatusCode"] == 500
    assert failed["OriginalMessage"] == "ValueError: no such customer"
    assert failed["Error"]["Message"] == (
        'Received server error (500) from primary with message "ValueError: no such customer".'
    )
    large = error_of(invoke, EndpointName="e", Body=b"x" * (server.MAX_BODY + 1))
    assert (large["Error"]["Code"], large["ResponseMetadata"]["HTTPStatusCode"]) == ("413", 413)
    assert ask(local_runtime, "e", "x" * (server.MAX_BODY - 100)).endswith("x")
    refused = error_of(invoke, EndpointName="e", Body="x", TargetModel="other")["Error"]
    assert (refused["Code"], "TargetModel" in refused["Message"]) == ("ValidationError", True)
    wrong = error_of(invoke, EndpointName="e", Body="x", TargetVariant="other")["Error"]
    assert "Variant other not found" in wrong["Message"]
    died = error_of(invoke, EndpointName="e", Body="die", ContentType="text/csv")
    assert died["Error"]["Code"] == "ServiceUnavailable"
    until(partial(answers, local_runtime, "x"), "the process that is started again")


@pytest.mark.thorough
def test_a_request_that_hangs_ends_the_process_which_is_started_again(
    local_runtime: LocalRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "ANSWER_SECONDS", 5.0)
    serve(local_runtime, "e")
    invoke = local_runtime.client("sagemaker-runtime").invoke_endpoint
    hanging = error_of(invoke, EndpointName="e", Body="sleep", ContentType="text/csv")
    assert hanging["OriginalStatusCode"] == 0
    assert "timed out while waiting for a response" in hanging["Error"]["Message"]
    until(partial(answers, local_runtime, "x"), "the process that is started again")
    group = "/aws/sagemaker/Endpoints/e"
    logs = local_runtime.client("logs").filter_log_events(logGroupName=group)["events"]
    assert any("in predict_fn" in event["message"] for event in logs), "where it hung"


@pytest.mark.thorough
def test_an_update_replaces_the_model_and_a_failed_one_does_not(local_runtime: LocalRuntime) -> None:
    sagemaker = local_runtime.client("sagemaker")
    serve(local_runtime, "a")
    script = SCRIPT.format(version="b", data_dir=str(local_runtime.settings.data_dir))
    waiting = WAIT.format(bucket=local_runtime.bucket) + script
    create_config(local_runtime, "b", create_model(local_runtime, "b", waiting))
    create_config(local_runtime, "c", create_model(local_runtime, "c", "raise RuntimeError('no weights')"))
    sagemaker.update_endpoint(EndpointName="a", EndpointConfigName="b")
    described = sagemaker.describe_endpoint(EndpointName="a")
    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("Updating", "a")
    assert described["PendingDeploymentSummary"]["EndpointConfigName"] == "b"
    for action in (sagemaker.update_endpoint, sagemaker.delete_endpoint):
        request = {"EndpointName": "a"} | (
            {"EndpointConfigName": "c"} if action == sagemaker.update_endpoint else {}
        )
        assert "Cannot update in-progress endpoint" in error_of(action, **request)["Error"]["Message"]
    assert ask(local_runtime, "a").startswith("a ")
    local_runtime.put("go", b"1")
    seen = set()

    def replaced() -> bool:
        seen.add(ask(local_runtime, "a").split()[0])
        return "b" in seen

    until(replaced, "the new model")
    assert seen <= {"a", "b"}, "it answered all the time"
    assert settled(local_runtime, "a")["EndpointConfigName"] == "b"

    sagemaker.update_endpoint(EndpointName="a", EndpointConfigName="c")
    described = settled(local_runtime, "a")
    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("InService", "b")
    assert "RuntimeError: no weights" in described["FailureReason"]
    assert ask(local_runtime, "a").startswith("b ")


@pytest.mark.thorough
def test_an_endpoint_that_cannot_load_its_model_fails(local_runtime: LocalRuntime) -> None:
    sagemaker = local_runtime.client("sagemaker")
    described = serve(local_runtime, "broken", "raise RuntimeError('no weights')")
    assert described["EndpointStatus"] == "Failed"
    assert described["FailureReason"] == (
        "The primary container for production variant broken did not pass the ping health check. Please "
        "check CloudWatch logs for this endpoint. The cause: RuntimeError: no weights"
    )
    request = {"EndpointName": "broken", "EndpointConfigName": "broken"}
    assert "already existing" in error_of(sagemaker.create_endpoint, **request)["Error"]["Message"]
    assert "can only be deleted" in error_of(sagemaker.update_endpoint, **request)["Error"]["Message"]
    sagemaker.delete_endpoint(EndpointName="broken")
    until(lambda: not sagemaker.list_endpoints()["Endpoints"], "the end of the endpoint")
    assert not list((local_runtime.settings.data_dir / "jobs" / "endpoint").iterdir())


@pytest.mark.thorough
def test_variants_share_the_requests_by_weight_and_containers_form_a_chain(
    local_runtime: LocalRuntime,
) -> None:
    sagemaker = local_runtime.client("sagemaker")
    create_model(local_runtime, "a")
    create_model(local_runtime, "b")
    containers = [sagemaker.describe_model(ModelName=name)["PrimaryContainer"] for name in ("a", "b")]
    sagemaker.create_model(ModelName="chain", Containers=containers, ExecutionRoleArn=local_runtime.role_arn)
    variants = [
        {
            "VariantName": name,
            "ModelName": name,
            "InitialVariantWeight": weight,
            "ServerlessConfig": serverless,
        }
        for name, weight, serverless in (
            ("a", 0.0, {"MemorySizeInMB": 1024, "MaxConcurrency": 1}),
            ("chain", 1.0, {"MemorySizeInMB": 1024, "MaxConcurrency": 1}),
        )
    ]
    sagemaker.create_endpoint_config(EndpointConfigName="both", ProductionVariants=variants)
    sagemaker.create_endpoint(EndpointName="both", EndpointConfigName="both")
    assert settled(local_runtime, "both")["EndpointStatus"] == "InService"
    assert {ask(local_runtime, "both") for _ in range(5)} == {"b text/csv a text/csv x"}
    assert ask(local_runtime, "both", TargetVariant="a") == "a text/csv x"


@pytest.mark.thorough
def test_a_function_asks_an_endpoint(local_runtime: LocalRuntime) -> None:
    serve(local_runtime, "e")
    source = """
import boto3
def run(event, context):
    answer = boto3.client("sagemaker-runtime").invoke_endpoint(
        EndpointName="e", Body="smoke", ContentType="text/csv"
    )
    return answer["Body"].read().decode()
"""
    create_function(local_runtime, source, Timeout=300)
    answer = local_runtime.client("lambda").invoke(FunctionName="notify")
    assert json.loads(answer["Payload"].read()) == "e text/csv smoke"


@pytest.mark.thorough
def test_a_served_model_sees_neither_the_environment_nor_the_data_of_the_runtime(
    local_runtime: LocalRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_PASSWORD", "secret")
    serve(local_runtime, "e")
    seen = json.loads(ask(local_runtime, "e", "environment"))
    assert "DATABASE_PASSWORD" not in seen
    assert (seen["MODEL"], seen["AWS_ENDPOINT_URL"]) == ("e", local_runtime.endpoint_url)
    if local_runtime.runtime.jobs.isolation == "namespace":
        assert json.loads(ask(local_runtime, "e", "look")) == []


@pytest.mark.thorough
def test_a_restart_brings_back_what_was_served(local_runtime_process: RuntimeProcess) -> None:
    runtime = local_runtime_process
    serve(runtime, "a")
    served = psutil.Process(runtime.pid).children(recursive=True)
    assert served
    runtime.kill()
    until(lambda: not any(map(runs, served)), "the end of what the runtime served")
    runtime.start_process()
    sagemaker = runtime.client("sagemaker")
    assert sagemaker.describe_endpoint(EndpointName="a")["EndpointStatus"] in ("SystemUpdating", "InService")
    assert settled(runtime, "a")["EndpointConfigName"] == "a"
    assert ask(runtime, "a") == "a text/csv x"

    runtime.client("s3").delete_object(Bucket=runtime.bucket, Key="a/model.tar.gz")
    runtime.kill()
    runtime.start_process()
    described = settled(runtime, "a")
    assert described["EndpointStatus"] == "Failed"
    assert "did not pass the ping health check" in described["FailureReason"]
