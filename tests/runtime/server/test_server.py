"""The server: who answers what, and what it refuses."""

from __future__ import annotations

import gc
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import psutil
import pytest
from botocore.exceptions import ClientError

from sagemaker_local_runtime.exceptions import SettingsError
from sagemaker_local_runtime.server import LocalServer
from sagemaker_local_runtime.settings import Settings
from sagemaker_local_runtime.testing import LocalRuntime, RuntimeProcess
from tests.waiting import GENEROUS_SECONDS, until


def test_actions_that_nobody_answers_are_refused_by_name(local_runtime: LocalRuntime) -> None:
    with pytest.raises(ClientError, match=r"does not support SageMaker\.StartInferenceExperiment") as raised:
        local_runtime.client("sagemaker").start_inference_experiment(Name="e")
    assert raised.value.response["Error"]["Code"] == "UnknownOperationException"


def test_moto_answers_the_other_services_with_the_runtimes_account(local_runtime: LocalRuntime) -> None:
    assert local_runtime.client("sts").get_caller_identity()["Account"] == "123456789012"
    queue = local_runtime.client("sqs").create_queue(QueueName="q")["QueueUrl"]
    assert queue == f"{local_runtime.endpoint_url}/123456789012/q"


def test_another_account_is_every_services_account(tmp_path: Path) -> None:
    runtime = LocalRuntime(Settings(data_dir=tmp_path, port=0, account_id="210987654321"))
    try:
        assert runtime.client("sts").get_caller_identity()["Account"] == "210987654321"
        assert runtime.bucket in [b["Name"] for b in runtime.client("s3").list_buckets()["Buckets"]]
        group = runtime.client("sagemaker").create_model_package_group(ModelPackageGroupName="g")
        assert ":210987654321:" in group["ModelPackageGroupArn"]
    finally:
        runtime.close()


def test_experiments_are_passed_on_to_moto(local_runtime: LocalRuntime) -> None:
    local_runtime.client("sagemaker").create_experiment(ExperimentName="e")
    found = local_runtime.client("sagemaker").list_experiments()["ExperimentSummaries"]
    assert [experiment["ExperimentName"] for experiment in found] == ["e"]


def test_the_role_check_of_model_trainer_is_answered(local_runtime: LocalRuntime) -> None:
    results = local_runtime.client("iam").simulate_principal_policy(
        PolicySourceArn=local_runtime.role_arn, ActionNames=["s3:GetObject", "sagemaker:CreateTrainingJob"]
    )["EvaluationResults"]
    assert {r["EvalActionName"]: r["EvalDecision"] for r in results} == {
        "s3:GetObject": "allowed",
        "sagemaker:CreateTrainingJob": "allowed",
    }


def test_a_busy_port_is_said_with_the_cure(local_runtime: LocalRuntime, tmp_path: Path) -> None:
    port = int(local_runtime.endpoint_url.rpartition(":")[2])
    with pytest.raises(SettingsError, match=f"Cannot listen on .* port {port}.*choose another port"):
        LocalServer(Settings(data_dir=tmp_path / "other", port=port)).start()


def test_a_data_directory_serves_one_runtime_at_a_time(local_runtime: LocalRuntime) -> None:
    with pytest.raises(SettingsError, match="is used by another local runtime"):
        LocalServer(Settings(data_dir=local_runtime.settings.data_dir, port=0)).start()


def test_a_process_has_one_runtime_at_a_time(local_runtime: LocalRuntime, tmp_path: Path) -> None:
    """A second one used to empty the first one's S3 and IAM."""
    uri = local_runtime.put("kept", b"1")
    other = Settings(data_dir=tmp_path / "other", port=0)
    with pytest.raises(SettingsError, match=r"runs in this process already.*local_runtime_process"):
        LocalServer(other).start()
    assert local_runtime.get(uri) == b"1"
    local_runtime.close()
    LocalRuntime(other).close()


def test_health_names_the_process_and_its_data(local_runtime_process: RuntimeProcess) -> None:
    health = local_runtime_process._control("GET", "health")
    assert health["status"] == "ok"
    assert health["pid"] == local_runtime_process.pid
    assert health["data_dir"] == str(local_runtime_process.settings.data_dir)


def test_an_address_beyond_loopback_is_warned_about(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with LocalServer(Settings(data_dir=tmp_path, port=0, host="0.0.0.0")):
        assert "anyone who can reach this port can run programs" in caplog.text


def test_connections_are_kept_open(local_runtime: LocalRuntime) -> None:
    first = local_runtime.client("sagemaker").list_models()
    assert "connection" not in first["ResponseMetadata"]["HTTPHeaders"]


def test_motos_own_api_cannot_reset_what_is_on_disk(local_runtime: LocalRuntime) -> None:
    request = Request(f"{local_runtime.endpoint_url}/moto-api/reset", data=b"", method="POST")
    with pytest.raises(HTTPError, match="403"):
        urlopen(request, timeout=GENEROUS_SECONDS)


def test_servers_that_stopped_leave_no_thread_and_no_file(tmp_path: Path) -> None:
    process = psutil.Process()

    def serve(number: int) -> None:
        runtime = LocalRuntime(Settings(data_dir=tmp_path / str(number), port=0))
        runtime.put("k", b"x")
        runtime.client("sagemaker").list_pipelines()
        runtime.close()

    serve(0)
    gc.collect()
    before = process.num_threads(), process.num_fds()
    for number in range(1, 6):
        serve(number)
    gc.collect()
    until(lambda: process.num_threads() <= before[0], "the threads to end")
    until(lambda: process.num_fds() <= before[1] + 1, "the files to be closed")
