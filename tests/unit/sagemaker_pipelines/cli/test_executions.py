"""The commands for pipelines and their executions, over HTTP."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from sagemaker_local_runtime.testing import LocalRuntime, local_runtime
from sagemaker_pipelines.cli import app
from tests.waiting import GENEROUS_SECONDS

__all__ = ["local_runtime"]

BUCKET = "cli"
SCRIPT = """
import sys, time
print("counted", sys.argv[1], flush=True)
time.sleep(float(sys.argv[1]))
sys.exit(int(sys.argv[2]))
"""
COUNT = {
    "Name": "Count",
    "Type": "Processing",
    "Arguments": {
        "RoleArn": "arn:aws:iam::123456789012:role/Role",
        "AppSpecification": {
            "ImageUri": "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.9-0",
            "ContainerEntrypoint": ["python3", "-c", SCRIPT],
            "ContainerArguments": [{"Get": "Parameters.Seconds"}, {"Get": "Parameters.Code"}],
        },
        "ProcessingResources": {
            "ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1}
        },
    },
}
REFUSE = {"Name": "Refuse", "Type": "Fail", "DependsOn": ["Count"], "Arguments": {"ErrorMessage": "too many"}}
PARAMETERS = [
    {"Name": "Seconds", "Type": "String", "DefaultValue": "0"},
    {"Name": "Code", "Type": "String", "DefaultValue": "0", "EnumValues": ["0", "3"]},
]


@pytest.fixture
def runtime(local_runtime: LocalRuntime, monkeypatch: pytest.MonkeyPatch) -> LocalRuntime:
    extra = {
        "region_name": "us-east-1",
        "endpoint_url": local_runtime.endpoint_url,
        "service_config": {
            "sagemaker": {
                "name_prefix": "dev-",
                "artifact_bucket": BUCKET,
                "role_arn": "arn:aws:iam::123456789012:role/Role",
            }
        },
    }
    connection = {"conn_type": "aws", "login": "test", "password": "test", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))
    local_runtime.create_pipeline(
        {"Version": "2020-12-01", "Parameters": PARAMETERS, "Steps": [COUNT]}, "dev-count"
    )
    return local_runtime


@pytest.fixture
def envelope(tmp_path: Path) -> Path:
    path = tmp_path / "refuse.json"
    document = {
        "envelope_version": 1,
        "name": "refuse",
        "description": "Count, then refuse.",
        "definition": {"Version": "2020-12-01", "Parameters": PARAMETERS, "Steps": [COUNT, REFUSE]},
        "images": {},
        "assets": [],
        "placeholders": [],
    }
    path.write_text(json.dumps(document))
    return path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def told(*arguments: str, code: int = 0) -> Any:
    result = run(*arguments, "--json")
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def started(*arguments: str) -> str:
    return str(told("start", "dev-count", *arguments)["pipeline_execution_arn"])


def test_an_execution_is_started_waited_for_and_shown(runtime: LocalRuntime) -> None:
    outcome = told("start", "dev-count", "--param", "Seconds=0.1", "--wait")
    assert (outcome["status"], outcome["rejected"]) == ("Succeeded", False)
    arn = outcome["pipeline_execution_arn"]
    shown = told("status", arn)
    assert [(step["name"], step["status"]) for step in shown["steps"]] == [("Count", "Succeeded")]
    assert shown["instance_seconds"] > 0
    assert "Count" in run("status", arn).stdout
    assert "counted 0.1" in run("logs", arn, "--step", "Count").stdout
    assert json.loads(run("logs", arn, "--json").stdout)["message"] == "counted 0.1"
    assert told("list", "dev-count")[0]["PipelineExecutionArn"] == arn
    assert "dev-count" in run("list").stdout


@pytest.mark.parametrize("target", ["dev_count", "pipeline_src/count/pipeline.py"])
@pytest.mark.parametrize("command", ["show", "start"])
def test_what_is_neither_a_definition_nor_a_name_exits_with_2(command: str, target: str) -> None:
    result = run(command, target)
    assert result.exit_code == 2
    assert f"'{target}'; expected the path of a compiled definition" in result.stderr


@pytest.mark.thorough
def test_the_log_is_followed_to_the_end(runtime: LocalRuntime) -> None:
    arn = started("--param", "Seconds=1")
    assert run("logs", arn, "--follow").stdout.count("counted 1") == 1


@pytest.mark.thorough
def test_the_same_token_is_one_execution(runtime: LocalRuntime) -> None:
    assert started("--token", "nightly-2026-11-23") == started("--token", "nightly-2026-11-23")
    assert started() != started()


def test_a_failed_execution_exits_with_1_and_can_be_resumed(runtime: LocalRuntime) -> None:
    result = run("start", "dev-count", "--param", "Code=3", "--wait", "--json")
    assert result.exit_code == 1
    assert "Count" in result.stderr
    arn = json.loads(result.stdout)["pipeline_execution_arn"]
    described = runtime.client("sagemaker").describe_pipeline_execution
    before = described(PipelineExecutionArn=arn)["PipelineExecutionDescription"]
    assert run("retry", arn, "--wait", "--json").exit_code == 1
    after = described(PipelineExecutionArn=arn)["PipelineExecutionDescription"]
    assert re.fullmatch(rf"Resumed by \S+ on \S+\. Before: {re.escape(before)}", after)
    assert told("status", arn)["steps"][0]["status"] == "Failed"


@pytest.mark.thorough
def test_a_stopped_execution_exits_with_4(runtime: LocalRuntime) -> None:
    arn = started("--param", "Seconds=3600")
    assert told("stop", arn)["status"] in {"Stopping", "Stopped"}
    assert run("wait", arn).exit_code == 4


@pytest.mark.thorough
def test_a_wait_that_takes_too_long_exits_with_5_and_stops_nothing(runtime: LocalRuntime) -> None:
    arn = started("--param", "Seconds=3600")
    assert run("wait", arn, "--timeout", "0.5").exit_code == 5
    assert told("status", arn)["status"] == "Executing"
    run("stop", arn)


@pytest.mark.thorough
@pytest.mark.parametrize(("option", "status"), [([], "Executing"), (["--stop-on-interrupt"], "Stopping")])
def test_an_interrupted_wait_exits_with_130_and_stops_if_asked(
    runtime: LocalRuntime, option: list[str], status: str
) -> None:
    arn = started("--param", "Seconds=3600")
    command = [sys.executable, "-m", "sagemaker_pipelines", "wait", arn, *option]
    # A shell lets what it starts in the background ignore Ctrl-C, this test run perhaps.
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stderr is not None
    try:
        while "Step Count" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=GENEROUS_SECONDS) == 130
    finally:
        process.kill()
    assert told("status", arn)["status"] in {status, "Stopped" if option else status}
    run("stop", arn)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["start", "dev-count", "--param", "Code=many"], 2, "Code"),
        (["start", "dev-count", "--param", "Rows=1"], 2, "Rows"),
        (["start", "dev-count", "--param", "Code"], 2, "expected NAME=VALUE"),
        (["start", "dev-count", "--from-step", "Count"], 2, "--source-execution-arn"),
        (["start", "dev-nothing"], 1, "dev-nothing"),
        (["status", "arn:aws:sagemaker:us-east-1:1:pipeline/x/execution/abcdefghijkl"], 1, "Error"),
        (["show", "nothing.json"], 1, "nothing.json"),
        (["upsert", "nothing.json"], 2, "does not exist"),
    ],
)
def test_what_cannot_be_done_is_told_before_anything_starts(
    runtime: LocalRuntime, arguments: list[str], code: int, message: str
) -> None:
    before = told("list", "dev-count")
    result = run(*arguments)
    assert (result.exit_code, message in result.stderr) == (code, True), result.output
    assert told("list", "dev-count") == before


def test_a_definition_is_upserted_shown_and_started_by_its_file(
    runtime: LocalRuntime, envelope: Path
) -> None:
    runtime.client("s3").create_bucket(Bucket=BUCKET)
    first = told("upsert", str(envelope))
    assert (first["pipeline_name"], first["changed"]) == ("dev-refuse", True)
    assert told("upsert", str(envelope))["changed"] is False
    assert told("show", str(envelope))["steps"] == {"Count": [], "Refuse": ["Count"]}
    assert told("show", "dev-refuse")["steps"] == {"Count": [], "Refuse": ["Count"]}
    drawn = run("show", str(envelope)).stdout
    assert "Parameters" in drawn
    assert "Graph" in drawn
    result = run("start", str(envelope), "--wait")
    assert result.exit_code == 1
    assert "too many" in result.stderr


@pytest.mark.thorough
def test_a_plain_definition_is_deployed_shown_and_started_like_a_compiled_one(
    runtime: LocalRuntime, tmp_path: Path
) -> None:
    path = tmp_path / "plain_count.json"
    definition = {"Version": "2020-12-01", "Parameters": PARAMETERS, "Steps": [COUNT, REFUSE]}
    path.write_text(json.dumps(definition))
    path.with_name("plain_count.parameters.toml").write_text('[Seconds]\npattern = "[0-9.]+"\n')
    assert told("upsert", str(path))["pipeline_name"] == "dev-plain-count"
    assert told("upsert", str(path))["changed"] is False
    assert told("show", str(path))["steps"] == {"Count": [], "Refuse": ["Count"]}
    refused = run("start", str(path), "-p", "Seconds=soon")
    assert (refused.exit_code, "expected text that matches [0-9.]+" in refused.stderr) == (2, True)
    result = run("start", str(path), "-p", "Seconds=0.1", "--wait", "--json")
    assert "dev-plain-count" in json.loads(result.stdout)["pipeline_execution_arn"]
    assert "too many" in result.stderr


def test_the_default_of_a_secret_is_masked(envelope: Path) -> None:
    document = json.loads(envelope.read_text())
    secret = {"Name": "DbPassword", "Type": "String", "DefaultValue": "hunter2"}
    document["definition"]["Parameters"] = [*PARAMETERS, secret]
    envelope.write_text(json.dumps(document))
    assert told("show", str(envelope))["parameters"][-1]["default"] == "***"
    assert "hunter2" not in run("show", str(envelope)).stdout


@pytest.mark.thorough
def test_without_airflow_plain_credentials_do_and_nothing_is_left_behind(
    runtime: LocalRuntime, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    settings = tmp_path / "settings.toml"
    settings.write_text('[defaults]\nname_prefix = "dev-"\n')
    env = {key: value for key, value in os.environ.items() if not key.startswith(("AIRFLOW", "AWS"))}
    env |= {"HOME": str(home), "AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any"}
    command = [sys.executable, "-m", "sagemaker_pipelines", "--endpoint-url", runtime.endpoint_url]
    command += ["--settings", str(settings), "list", "--region", "us-east-1", "--json"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=GENEROUS_SECONDS)
    assert done.returncode == 0, done.stderr
    assert "dev-count" in {item["PipelineName"] for item in json.loads(done.stdout)}
    assert list(home.iterdir()) == []


def test_help_imports_neither_boto3_nor_airflows_configuration() -> None:
    code = (
        "import sys; from typer.testing import CliRunner; from sagemaker_pipelines.cli import app; "
        "CliRunner().invoke(app, ['--help']); "
        "print([name for name in ('boto3', 'airflow.configuration', 'rich.progress') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
