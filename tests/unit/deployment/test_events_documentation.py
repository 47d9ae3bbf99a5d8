"""docs/events.md and docs/eventbridge.md: their code, commands and policies."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG
from typer.testing import CliRunner

import sagemaker_pipelines
from sagemaker_local_runtime.settings import Settings
from sagemaker_local_runtime.testing import LocalRuntime, RuntimeProcess, local_runtime
from sagemaker_pipelines import Partitions, s3_partition_asset, sagemaker_pipeline_dag
from sagemaker_pipelines.cli import app
from stack.settings import ROOT
from tests.documents import blocks
from tests.iam import statements

__all__ = ["local_runtime"]

DOCS = ROOT / "docs"
EVENTBRIDGE = (DOCS / "eventbridge.md").read_text()


def test_the_documented_dag_is_the_tested_one() -> None:
    shown, one_call, approved, drift = blocks("events.md", "python")
    assert shown == (DOCS / "examples" / "new_data.py").read_text()
    data = s3_partition_asset("abalone-data", uri_prefix="s3://example-ml-artifacts/abalone/data/train/")
    names: dict[str, Any] = {
        "__file__": str(ROOT / "dags" / "example.py"),
        "DAG": DAG,
        "DATA": data,
        "SelectNewEventsOperator": sagemaker_pipelines.SelectNewEventsOperator,
        "model_package_asset": sagemaker_pipelines.model_package_asset,
        "Path": Path,
        "Partitions": Partitions,
        "sagemaker_pipeline_dag": sagemaker_pipeline_dag,
    }
    dag = eval(compile(one_call.strip(), "events.md", "eval"), names)
    assert "select_events" in dag.task_ids
    exec(compile(approved, "events.md", "exec"), names)
    assert names["events"].assets == [names["APPROVED"]]
    assert drift == (DOCS / "examples" / "drift.py").read_text()
    assert max(len(example.splitlines()) for example in (shown, drift)) < 40


@pytest.mark.thorough
def test_the_commands_set_up_the_queues_the_notification_and_the_rule(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, port=0, region="eu-west-1", account_id="111122223333")
    runtime = RuntimeProcess(settings)
    try:
        s3 = runtime.client("s3")
        location: Any = {"LocationConstraint": settings.region}
        s3.create_bucket(Bucket="example-ml-artifacts", CreateBucketConfiguration=location)
        programs = f"{ROOT / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"
        environment = os.environ | runtime.environment | {"PATH": programs}
        script = "\n".join(["set -eu", *blocks("events.md", "sh")])
        subprocess.run(["bash", "-c", script], cwd=ROOT, env=environment, check=True)
        configured = s3.get_bucket_notification_configuration(Bucket="example-ml-artifacts")
        (queue,) = configured["QueueConfigurations"]
        (target,) = runtime.client("events").list_targets_by_rule(Rule="executions")["Targets"]
        arns = {target["Arn"], queue["QueueArn"]}
        assert {arn.rpartition(":")[2] for arn in arns} == {"abalone-data", "abalone-executions"}
    finally:
        runtime.close()


def test_the_commands_run_as_they_are_written(
    local_runtime: LocalRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    extra = {"region_name": "us-east-1", "endpoint_url": local_runtime.endpoint_url}
    connection = {"conn_type": "aws", "login": "test", "password": "test", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))
    parameters = [{"Name": "MseThreshold", "Type": "Float", "DefaultValue": 6.0}]
    steps = [{"Name": "Refuse", "Type": "Fail", "Arguments": {"ErrorMessage": "no"}}]
    definition = {"Version": "2020-12-01", "Parameters": parameters, "Steps": steps}
    local_runtime.create_pipeline(definition, "dev-abalone")
    (block,) = blocks("eventbridge.md", "sh")
    commands = [shlex.split(line) for line in block.splitlines()]
    assert len(commands) == 5
    for program, *arguments in commands:
        assert program == "sagemaker-pipelines"
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, (arguments, result.output)


def test_every_option_of_put_is_documented() -> None:
    help_text = CliRunner().invoke(app, ["schedule", "put", "--help"], env={"COLUMNS": "200"}).output
    options = set(re.findall(r"--[a-z][a-z-]+", re.sub(r"\x1b\[[0-9;]*m", "", help_text)))
    assert options - {"--help"} <= set(re.findall(r"--[a-z][a-z-]+", EVENTBRIDGE))


def test_the_documents_of_the_queue_take_what_the_example_watches(local_runtime: LocalRuntime) -> None:
    policy = json.loads((DOCS / "events" / "queue-policy.json").read_text())
    allowed = {statement["Resource"] for statement in policy["Statement"]}
    receiving, _ = statements("airflow-events")
    assert set(receiving["Resource"]) == allowed
    notification = json.loads((DOCS / "events" / "notification.json").read_text())
    (configured,) = notification["QueueConfigurations"]
    assert configured["QueueArn"] in allowed
    sqs = local_runtime.client("sqs")
    url = sqs.create_queue(QueueName="abalone-data")["QueueUrl"]
    configured["QueueArn"] = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])[
        "Attributes"
    ]["QueueArn"]
    s3 = local_runtime.client("s3")
    s3.put_bucket_notification_configuration(
        Bucket=local_runtime.bucket, NotificationConfiguration=notification
    )
    local_runtime.put("abalone/data/train/dt=2026-01-02/part.csv", b"")
    local_runtime.put("abalone/data/train/dt=2026-01-02/_SUCCESS", b"")
    bodies = []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        bodies += [json.loads(message["Body"]) for message in messages]
    assert [body["Records"][0]["s3"]["object"]["key"] for body in bodies if "Records" in body] == [
        "abalone%2Fdata%2Ftrain%2Fdt%3D2026-01-02%2F_SUCCESS"
    ]


def test_the_scheduler_role_is_passed_to_the_scheduler_alone() -> None:
    (passing,) = [s for s in statements("scheduler-user") if s["Action"] == ["iam:PassRole"]]
    assert passing["Condition"] == {"StringEquals": {"iam:PassedToService": "scheduler.amazonaws.com"}}
    (starting, keeping) = statements("scheduler-role")
    pipeline = "arn:aws:sagemaker:eu-west-1:111122223333:pipeline/dev-abalone"
    assert fnmatchcase(pipeline, starting["Resource"][0])
    assert keeping["Resource"][0] in EVENTBRIDGE
