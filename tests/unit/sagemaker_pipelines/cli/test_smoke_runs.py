"""``smoke`` against the local runtime, with failures injected: nothing is left, or what is left is named."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from sagemaker_local_runtime.exceptions import ValidationError
from sagemaker_local_runtime.settings import Settings
from sagemaker_local_runtime.testing import LocalRuntime
from sagemaker_pipelines.aws import pacing
from sagemaker_pipelines.aws.answers import expected_answers
from sagemaker_pipelines.cli import app
from sagemaker_pipelines.cli.policy import AIRFLOW_POLICY, SMOKE_POLICY, statements
from sagemaker_pipelines.cli.smoke import removal
from tests.documents import blocks
from tests.waiting import GENEROUS_SECONDS, until

pytestmark = pytest.mark.thorough

ACCOUNT = "498765432109"
BUCKET = "acme-artifacts"
SETTINGS = {
    "name_prefix": "acme-",
    "artifact_bucket": BUCKET,
    "role_arn": f"arn:aws:iam::{ACCOUNT}:role/acme/Forecaster",
    "environment": "acme-laptop",
    "notification_target": f"arn:aws:sns:us-east-1:{ACCOUNT}:acme-alerts",
    "tags": {"owner": "zoe.acme"},
}
# What must not be in a report.
SECRETS = ("acme", ACCOUNT, "Forecaster", "zoe", "AKIAACMEACMEACMEACME", "hidden-key", "127.0.0.1")
#: The stage that fails, the action with the fault, and how often it fires.
FAULTS = [
    ("deploy", "CreatePipeline", "drop_after", 1),
    ("deploy", "s3:PutObject", "drop_after", 1),
    ("deploy", "UpdatePipeline", "error500", 1),
    ("start", "StartPipelineExecution", "drop_after", 1),
    ("start", "ListPipelineParametersForExecution", "throttle", 1),
    ("stop", "CreateProcessingJob", "capacity", None),
    ("resume", "RetryPipelineExecution", "drop_after", 1),
    # Once for what the job bills, which is not worth a failure.
    ("evaluate", "DescribeProcessingJob", "error500", 2),
    ("decide", "UpdateModelPackage", "drop_before", 1),
    ("survey", "ListEndpointConfigs", "error500", 1),
    ("missing", "DescribeTrainingJob", "drop_before", 1),
]
REMOVALS = [
    "DeletePipeline",
    "DeleteModelPackage",
    "DeleteModelPackageGroup",
    "DeleteProcessingJob",
    "ListProcessingJobs",
    "ListModelPackageGroups",
    "logs:DeleteLogStream",
    "s3:DeleteObjectVersion",
    "s3:ListBucketVersions",
]


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRuntime]:
    settings = Settings(data_dir=tmp_path_factory.mktemp("smoke"), port=0, account_id=ACCOUNT)
    runtime = LocalRuntime(settings)
    runtime.client("s3").create_bucket(Bucket=BUCKET)
    trust = {"Statement": [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}}]}
    runtime.client("iam").create_role(
        RoleName="Forecaster", Path="/acme/", AssumeRolePolicyDocument=json.dumps(trust)
    )
    runtime.client("sns").create_topic(Name="acme-alerts")
    yield runtime
    runtime.close()


@pytest.fixture(autouse=True)
def _account(runtime: LocalRuntime, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The connection of the command; a call that fails is not repeated by botocore."""
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", connection(runtime))
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr(pacing, "MIN_DELAY_SECONDS", 0.1)
    monkeypatch.setattr(removal, "PAUSE_SECONDS", 0.01)
    yield
    runtime.clear_faults()


def connection(runtime: LocalRuntime, **settings: Any) -> str:
    extra = {
        "region_name": "us-east-1",
        "endpoint_url": runtime.endpoint_url,
        "service_config": {"sagemaker": {**SETTINGS, **settings}},
    }
    login = {"login": "AKIAACMEACMEACMEACME", "password": "hidden-key"}
    return json.dumps({"conn_type": "aws", **login, "extra": extra})


def smoke(out: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["smoke", "--yes", "--out", str(out), *arguments])


def report_in(out: Path) -> dict[str, Any]:
    (path,) = out.glob("smoke-*.json")
    report: dict[str, Any] = json.loads(path.read_text())
    return report


def remains(runtime: LocalRuntime) -> list[str]:
    """Everything that the account has and a run may have created."""
    sagemaker, logs = runtime.client("sagemaker"), runtime.client("logs")
    groups = logs.describe_log_groups()["logGroups"]
    streams = [
        logs.describe_log_streams(logGroupName=group["logGroupName"])["logStreams"] for group in groups
    ]
    versions = runtime.client("s3").list_object_versions(Bucket=BUCKET)
    return [
        *(each["PipelineName"] for each in sagemaker.list_pipelines()["PipelineSummaries"]),
        *(each["ProcessingJobName"] for each in sagemaker.list_processing_jobs()["ProcessingJobSummaries"]),
        *(
            each["ModelPackageGroupName"]
            for each in sagemaker.list_model_package_groups()["ModelPackageGroupSummaryList"]
        ),
        *(stream["logStreamName"] for found in streams for stream in found),
        *(each["Key"] for each in versions.get("Versions", [])),
    ]


def states(report: dict[str, Any]) -> dict[str, str]:
    return {stage["name"]: stage["state"] for stage in report["stages"]}


def test_a_run_passes_and_leaves_nothing(runtime: LocalRuntime, tmp_path: Path) -> None:
    runtime._control("DELETE", "calls")
    result = smoke(tmp_path, "--json")
    assert result.exit_code == 0, result.output
    assert remains(runtime) == []
    report = report_in(tmp_path)
    assert json.loads(result.stdout) == report
    assert set(states(report).values()) == {"passed"}
    assert 0 < report["instance_seconds"] < report["instance_seconds_bound"] == 1800
    kinds = [each["kind"] for each in report["created"]]
    assert kinds.count("processing job and its log") == 2
    assert {each["problem"] for each in report["created"]} == {""}
    # The committed record is the one of this command; write it again with --answers.
    assert forms(report["answers"]) == forms(expected_answers())
    called = set(runtime._control("GET", "calls")["by_access_key"]["AKIAACMEACMEACMEACME"])
    allowed = {
        action for path in (AIRFLOW_POLICY, SMOKE_POLICY) for s in statements(path) for action in s["Action"]
    }
    read_by_the_doctor = {
        "iam:GetRole",
        "iam:SimulatePrincipalPolicy",
        "sns:ListSubscriptionsByTopic",
        "sts:GetCallerIdentity",
        "s3:ListBucket",
    }
    assert called - read_by_the_doctor <= allowed


def forms(answers: Any) -> Any:
    return {action: (answer["members"], sorted(answer["errors"])) for action, answer in answers.items()}


def test_neither_form_of_the_report_identifies_the_account(runtime: LocalRuntime, tmp_path: Path) -> None:
    runtime.add_fault("UpdateModelPackage", "error500")
    assert smoke(tmp_path).exit_code == 1
    for path in tmp_path.iterdir():
        text = path.read_text()
        assert not [word for word in SECRETS if word in text], path


@pytest.mark.parametrize(("stage", "action", "kind", "count"), FAULTS)
def test_a_failed_call_or_a_lost_answer_leaves_nothing(
    runtime: LocalRuntime, tmp_path: Path, stage: str, action: str, kind: str, count: int | None
) -> None:
    runtime.add_fault(action, kind, count=count)
    result = smoke(tmp_path)
    assert result.exit_code == 1, result.output
    report = report_in(tmp_path)
    assert [name for name, state in states(report).items() if state == "failed"] == [stage]
    assert report["created"]
    assert remains(runtime) == []
    assert {each["problem"] for each in report["created"]} == {""}


def leave(runtime: LocalRuntime, run_id: str) -> None:
    """Leave what a run leaves that is killed: a running job, a model package, an object."""
    sagemaker, name = runtime.client("sagemaker"), f"acme-smoke-{run_id}-check"
    step = {"Name": "Measure", "Type": "Processing", "Arguments": arguments(runtime)}
    runtime.create_pipeline({"Version": "2020-12-01", "Steps": [step]}, name)
    runtime.start(name)
    sagemaker.create_model_package_group(ModelPackageGroupName=name)
    sagemaker.create_model_package(ModelPackageGroupName=name)
    runtime.client("s3").put_object(Bucket=BUCKET, Key=f"acme-smoke-{run_id}-wait/seconds.txt", Body=b"600")
    until(lambda: [n for n in remains(runtime) if n.startswith("pipelines-") and "/" in n], "the job's log")


def arguments(runtime: LocalRuntime) -> dict[str, Any]:
    image = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.9-0"
    script = "import time; print('waiting', flush=True); time.sleep(600)"
    cluster = {"InstanceType": "ml.t3.medium", "InstanceCount": 1, "VolumeSizeInGB": 1}
    return {
        "RoleArn": runtime.role_arn,
        "AppSpecification": {"ImageUri": image, "ContainerEntrypoint": ["python3", "-c", script]},
        "ProcessingResources": {"ClusterConfig": cluster},
    }


@pytest.mark.parametrize("action", REMOVALS)
def test_what_cannot_be_removed_is_named_with_the_command_that_removes_it(
    runtime: LocalRuntime, tmp_path: Path, action: str
) -> None:
    leave(runtime, "1a2b3c4d")
    runtime.add_fault(action, "error500")
    result = smoke(tmp_path, "--remove", "1a2b3c4d")
    runtime.clear_faults()
    assert result.exit_code == 1, result.output
    assert "Remove it with: sagemaker-pipelines smoke --remove 1a2b3c4d\n" in result.stderr
    left = remains(runtime)
    assert left
    listing = action.partition(":")[2].startswith("List") or action.startswith("List")
    for name in left:
        # What could not be looked for has no names.
        assert listing or f" {name.partition('/')[0]}" in result.stderr, name
    result = smoke(tmp_path, "--remove", "1a2b3c4d")
    assert result.exit_code == 0, result.output
    assert remains(runtime) == []
    # It can be repeated.
    assert smoke(tmp_path, "--remove", "1a2b3c4d").exit_code == 0


def test_what_aws_refuses_to_remove_does_not_keep_the_rest(
    runtime: LocalRuntime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise ValidationError("Jobs of pipelines cannot be deleted.")

    leave(runtime, "1a2b3c4d")
    with monkeypatch.context() as patched:
        patched.setattr(runtime.runtime.jobs, "delete", refuse)
        result = smoke(tmp_path, "--remove", "1a2b3c4d")
    assert result.exit_code == 1
    (job,) = remains(runtime)
    assert f"Left: processing job and its log {job}: " in result.stderr
    assert "Jobs of pipelines cannot be deleted." in result.stderr
    assert "another attempt would not help" in result.stderr
    runtime.client("sagemaker").delete_processing_job(ProcessingJobName=job)


def test_nothing_is_created_without_consent_or_in_an_account_that_lacks_something(
    runtime: LocalRuntime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "settings.toml").write_text('[connections.aws_default]\nname_prefix = "acme-"\n')
    monkeypatch.chdir(tmp_path)
    # The option sets it for the process.
    monkeypatch.setenv("AIRFLOW__SAGEMAKER_PIPELINES__SETTINGS_FILE", "")
    (command,) = blocks("smoke.md", "shell")
    result = CliRunner().invoke(app, command.split()[1:], input="n\n")
    assert result.exit_code == 1
    assert "at most 1800 instance-seconds" in result.stderr
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", connection(runtime, artifact_bucket="acme-none"))
    result = smoke(tmp_path)
    assert result.exit_code == 1
    assert "acme-none does not exist" in result.stderr
    assert "Nothing was created." in result.stderr
    assert remains(runtime) == []
    assert [path.name for path in tmp_path.iterdir()] == ["settings.toml"]


@pytest.fixture
def process(runtime: LocalRuntime, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A run in a process of its own, whose first job waits."""
    command = [sys.executable, "-m", "sagemaker_pipelines", "smoke", "--yes", "--out", str(tmp_path)]
    # A shell in the background ignores SIGINT, and so would this process.
    default = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=default) as process:
        try:
            until(
                lambda: runtime.client("sagemaker").list_processing_jobs()["ProcessingJobSummaries"], "a job"
            )
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_end_the_run_and_remove_everything(
    runtime: LocalRuntime, tmp_path: Path, process: subprocess.Popen[str], number: signal.Signals
) -> None:
    process.send_signal(number)
    _, output = process.communicate(timeout=GENEROUS_SECONDS)
    assert process.returncode == 130, output
    assert remains(runtime) == []
    report = report_in(tmp_path)
    assert report["state"] == "interrupted"
    assert states(report)["remove"] == "passed"
    assert states(report)["survey"] == "not reached"
    assert "only expected" not in str(report["differences"])
    assert "sagemaker:UpdateModelPackage" in report["not_reached"]


def test_a_run_whose_output_nobody_reads_any_more_removes_everything(
    runtime: LocalRuntime, process: subprocess.Popen[str]
) -> None:
    assert process.stderr is not None
    process.stderr.close()
    assert process.wait(timeout=GENEROUS_SECONDS) != 0
    assert remains(runtime) == []


@pytest.mark.long
@pytest.mark.parametrize("kind", ["error500", "drop_before", "drop_after"])
@pytest.mark.parametrize("action", sorted(expected_answers()))
def test_a_fault_in_any_action_leaves_nothing(
    runtime: LocalRuntime, tmp_path: Path, action: str, kind: str
) -> None:
    names = {
        "s3:HeadObject": "s3:GetObject",
        "s3:ListObjectsV2": "s3:ListBucket",
        "s3:ListObjectVersions": "s3:ListBucketVersions",
        "s3:DeleteObject": "s3:DeleteObjectVersion",
    }
    runtime.add_fault(names.get(action, action), kind, count=1)
    smoke(tmp_path)
    assert remains(runtime) == []
