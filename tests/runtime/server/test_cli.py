"""``python -m sagemaker_local_runtime`` as a user runs it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sagemaker_local_runtime.testing import LocalRuntime
from tests.waiting import GENEROUS_SECONDS

DEFINITION = {
    "Version": "2020-12-01",
    "Parameters": [{"Name": "Limit", "Type": "Integer", "DefaultValue": 2}],
    "Steps": [
        {
            "Name": "Check",
            "Type": "Condition",
            "Arguments": {
                "Conditions": [
                    {"Type": "LessThanOrEqualTo", "LeftValue": 1, "RightValue": {"Get": "Parameters.Limit"}}
                ],
                "IfSteps": [],
                "ElseSteps": [
                    {
                        "Name": "Refuse",
                        "Type": "Fail",
                        "Arguments": {
                            "ErrorMessage": {
                                "Std:Join": {"On": " ", "Values": ["above", {"Get": "Parameters.Limit"}]}
                            }
                        },
                    }
                ],
            },
        }
    ],
}


@pytest.fixture
def envelope(tmp_path: Path) -> Path:
    document = {
        "envelope_version": 1,
        "name": "checked",
        "description": "d",
        "definition": DEFINITION,
        "images": {},
        "assets": [],
        "placeholders": [],
    }
    path = tmp_path / "checked.json"
    path.write_text(json.dumps(document))
    return path


def command(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sagemaker_local_runtime", *arguments],
        capture_output=True,
        text=True,
        timeout=GENEROUS_SECONDS,
        check=False,
        cwd=cwd,
    )


def test_a_run_shows_each_step_and_succeeds(envelope: Path, tmp_path: Path) -> None:
    done = command("run", str(envelope), "--data-dir", str(tmp_path / "data"))
    assert done.returncode == 0, done.stderr
    assert "Check" in done.stdout
    assert re.search(r"checked, execution \w+: Succeeded", done.stdout)


def test_a_fixture_executes_the_file_of_a_definition(envelope: Path, local_runtime: LocalRuntime) -> None:
    execution = local_runtime.execute(envelope, {"Limit": "0"})
    assert execution["PipelineExecutionStatus"] == "Failed"
    name = execution["PipelineArn"].rpartition("/")[2]
    assert name == "checked"


def test_a_failed_run_says_why_and_exits_with_1(envelope: Path, local_runtime: LocalRuntime) -> None:
    done = command("run", str(envelope), "--param", "Limit=0", "--endpoint-url", local_runtime.endpoint_url)
    assert done.returncode == 1, done.stderr
    assert re.search(r"checked, execution \w+: Failed", done.stdout)
    assert "step Refuse failed: above 0" in done.stdout


@pytest.mark.thorough
def test_a_plain_definition_runs_with_the_buckets_and_the_region_that_it_names(tmp_path: Path) -> None:
    code = "s3://their-code/v1/count.py"
    step = {
        "Name": "Count",
        "Type": "Processing",
        "Arguments": {
            "RoleArn": "arn:aws:iam::111122223333:role/Theirs",
            "AppSpecification": {
                "ImageUri": "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-scikit-learn:1.9-0",
                "ContainerEntrypoint": ["python3", "/opt/ml/processing/input/code/count.py"],
            },
            "ProcessingInputs": [
                {
                    "InputName": "code",
                    "S3Input": {
                        "S3Uri": code,
                        "LocalPath": "/opt/ml/processing/input/code",
                        "S3DataType": "S3Prefix",
                        "S3InputMode": "File",
                    },
                }
            ],
            "ProcessingOutputConfig": {
                "Outputs": [
                    {
                        "OutputName": "count",
                        "S3Output": {
                            "S3Uri": "s3://their-results/count",
                            "LocalPath": "/opt/ml/processing/count",
                            "S3UploadMode": "EndOfJob",
                        },
                    }
                ]
            },
            "ProcessingResources": {
                "ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1}
            },
        },
    }
    path, script = tmp_path / "their_count.json", tmp_path / "count.py"
    # As json.dump(pipeline.definition(), file) writes it.
    path.write_text(json.dumps(json.dumps({"Version": "2020-12-01", "Steps": [step]})))
    script.write_text("open('/opt/ml/processing/count/count.txt', 'w').write('3')\n")
    run = ("run", str(path), "--data-dir", str(tmp_path / "data"), "--region", "eu-west-1")
    refused = command(*run)
    assert refused.returncode == 2
    assert f"S3 does not have: {code} (step Count)" in refused.stderr
    done = command(*run, "--upload", f"{script}={code}", "--upload", f"{script}=copy.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"their-count, execution \w+: Succeeded", done.stdout)
    assert "another region" not in done.stderr


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--param", "Limit"], "--param 'Limit' has no '='"),
        (["--upload", "rows.csv"], "--upload 'rows.csv' has no '='; write --upload FILE=KEY"),
        (["--param", "Nope=1"], "Nope is not a parameter"),
        (["--param", "Limit=x"], "Limit"),
        (["--upload", "/nowhere=key"], "/nowhere"),
        (["--upload", f"{__file__}=s3://bucket"], "'s3://bucket', which has no key"),
        (["--endpoint-url", "http://127.0.0.1:9"], "Start it with `sagemaker-pipelines local up`"),
    ],
)
def test_what_the_user_can_mend_is_one_line_and_exit_2(
    envelope: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    done = command("run", str(envelope), "--data-dir", str(tmp_path / "data"), *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.thorough
@pytest.mark.parametrize(("option", "value"), [("--stub", "EMR=stubs.py:run"), ("--images", "images.toml")])
def test_an_option_that_a_running_runtime_cannot_have_is_refused(
    local_runtime: LocalRuntime, envelope: Path, option: str, value: str
) -> None:
    done = command("run", str(envelope), "--endpoint-url", local_runtime.endpoint_url, option, value)
    assert done.returncode == 2
    assert f"{option} would have no effect" in done.stderr
    assert not local_runtime.client("sagemaker").list_pipelines()["PipelineSummaries"]


def test_a_busy_port_is_one_line_and_exit_2(local_runtime: LocalRuntime, tmp_path: Path) -> None:
    port = local_runtime.endpoint_url.rpartition(":")[2]
    done = command("--port", port, "--data-dir", str(tmp_path / "data"))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "choose another port" in done.stderr


@pytest.mark.thorough
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_server_in_order(tmp_path: Path, number: int) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "sagemaker_local_runtime", "--port", "0", "--data-dir", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("Local runtime at http://127.0.0.1:")
    assert process.stdout.readline().startswith("Jobs: ")
    process.send_signal(number)
    _, errors = process.communicate(timeout=GENEROUS_SECONDS)
    assert process.returncode == 0
    assert "Traceback" not in errors


@pytest.mark.thorough
def test_stubs_are_declared_by_a_file_or_an_option_and_the_summary_names_them(tmp_path: Path) -> None:
    steps = [{"Name": "Query", "Type": "Athena", "Arguments": {}}]
    (tmp_path / "query.json").write_text(json.dumps({"Version": "2020-12-01", "Steps": steps}))
    (tmp_path / "own.py").write_text("def query(step):\n    return {}\n\n\ndef other(step):\n    return {}\n")
    run = ["run", "query.json", "--data-dir", "data"]
    refused = command(*run, cwd=tmp_path)
    assert refused.returncode == 2, refused.stdout
    assert "the local runtime does not execute steps of type Athena" in refused.stderr
    wrong = command(*run, "--stub", "Athena=own.py:missing", cwd=tmp_path)
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1), wrong.stderr
    assert "has no function 'missing' at its top level; it has other, query." in wrong.stderr

    (tmp_path / "stubs.toml").write_text('[stubs]\nAthena = "own.py:query"\n')
    for options, name in (([], "query"), (["--stub", "Athena=own.py:other"], "other")):
        done = command(*run, *options, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert f"Not executed: the stub own.py:{name} gave the outputs." in done.stdout
