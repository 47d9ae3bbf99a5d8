"""docs/coming_from.md: what it shows side by side runs, before and after."""

from __future__ import annotations

import json
import shlex
import shutil
import warnings
from pathlib import Path
from typing import Any

import boto3
import pytest
from airflow.sdk import DAG
from typer.testing import CliRunner

from sagemaker_local_runtime.testing import LocalRuntime, local_runtime
from sagemaker_pipelines.cli import app
from sagemaker_pipelines.definition import Envelope
from stack.settings import ROOT
from tests.documents import blocks

__all__ = ["local_runtime"]

PAGE = ROOT / "docs" / "coming_from.md"
CHURN = ROOT / "tests" / "projects" / "sdk_v2" / "churn.json"
(WALK, SDK, SDK_SCRIPT, SDK_DAG, PROVIDER, OPERATORS, EVENTBRIDGE, SCHEDULED) = blocks(
    "coming_from.md", "python"
)


def run(code: str, **names: Any) -> dict[str, Any]:
    exec(compile(code, PAGE.name, "exec"), names)
    return names


@pytest.fixture
def dag_file(tmp_path: Path) -> str:
    """The path of a DAG file in a project that has the definition."""
    (tmp_path / "dags" / "definitions").mkdir(parents=True)
    shutil.copy(CHURN, tmp_path / "dags" / "definitions")
    return str(tmp_path / "dags" / "churn_dag.py")


@pytest.mark.parametrize("code", [WALK, SDK_DAG, SCHEDULED], ids=["walk", "SDK", "EventBridge"])
def test_each_dag_file_has_the_whole_dag(code: str, dag_file: str) -> None:
    dag = run(code, __file__=dag_file)["dag"]
    assert {"upsert_pipeline", "start_pipeline", "wait_for_pipeline", "branch_on_auc"} <= set(dag.task_ids)


def test_the_schedule_is_the_same_before_and_after(dag_file: str) -> None:
    """03:00 in Berlin on Mondays, which AWS and Airflow write differently."""
    timetable = run(SCHEDULED, __file__=dag_file)["dag"].timetable
    assert (timetable.expression, timetable.timezone) == ("0 3 * * MON", "Europe/Berlin")
    assert "cron(0 3 ? * MON *)" in EVENTBRIDGE
    assert "Europe/Berlin" in EVENTBRIDGE


def test_the_provider_s_operators_and_ours_make_dags_of_the_same_form() -> None:
    before, after = run(PROVIDER)["dag"], run(OPERATORS)["dag"]
    assert isinstance(before, DAG)
    edges = [{t.task_id: t.downstream_task_ids for t in dag.tasks} for dag in (before, after)]
    assert edges[0] == edges[1] == {"start": {"wait"}, "wait": set()}
    sent: list[Any] = [dag.get_task("start") for dag in (before, after)]
    assert [start.pipeline_params for start in sent] == [{"AucThreshold": "0.8"}, {"AucThreshold": 0.8}]


def test_the_schedule_of_eventbridge_starts_the_pipeline(local_runtime: LocalRuntime) -> None:
    step = {"Name": "Refuse", "Type": "Fail", "Arguments": {"ErrorMessage": "no"}}
    parameter = {"Name": "AucThreshold", "Type": "Float", "DefaultValue": 0.5}
    name = local_runtime.create_pipeline(
        {"Version": "2020-12-01", "Parameters": [parameter], "Steps": [step]}
    )
    sagemaker = local_runtime.client("sagemaker")
    arn = sagemaker.describe_pipeline(PipelineName=name)["PipelineArn"]
    run(
        EVENTBRIDGE,
        scheduler=local_runtime.client("scheduler"),
        pipeline_arn=arn,
        role=local_runtime.role_arn,
    )
    assert len(local_runtime.move_clock(7 * 86_400)) == 1
    (started,) = sagemaker.list_pipeline_executions(PipelineName=name)["PipelineExecutionSummaries"]
    values = sagemaker.list_pipeline_parameters_for_execution(
        PipelineExecutionArn=started["PipelineExecutionArn"]
    )["PipelineParameters"]
    assert values == [{"Name": "AucThreshold", "Value": "0.8"}]


@pytest.mark.thorough
def test_the_sdk_s_script_runs_and_its_successor_writes_the_same_definition(
    local_runtime: LocalRuntime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in local_runtime.environment.items():
        monkeypatch.setenv(name, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from sagemaker.core.telemetry import telemetry_logging
        from sagemaker.core.workflow.conditions import ConditionGreaterThan
        from sagemaker.core.workflow.parameters import ParameterFloat
        from sagemaker.core.workflow.pipeline_context import PipelineSession
        from sagemaker.mlops.workflow.condition_step import ConditionStep
        from sagemaker.mlops.workflow.pipeline import Pipeline

    monkeypatch.setattr(telemetry_logging, "_send_telemetry_request", lambda *_, **__: None)
    session = PipelineSession(
        boto_session=boto3.Session(region_name="us-east-1"),
        sagemaker_client=boto3.client("sagemaker"),
        default_bucket=local_runtime.bucket,
    )
    threshold = ParameterFloat("Threshold", 0.5)
    step = ConditionStep(
        "Check", conditions=[ConditionGreaterThan(threshold, 0.7)], if_steps=[], else_steps=[]
    )
    pipeline = Pipeline("churn", parameters=[threshold], steps=[step], sagemaker_session=session)
    execution = run(SDK, pipeline=pipeline, role=local_runtime.role_arn)["execution"]
    assert execution.describe()["PipelineExecutionStatus"] == "Succeeded"
    (tmp_path / "dags" / "definitions").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    run(SDK_SCRIPT, pipeline=pipeline)
    deployed = local_runtime.client("sagemaker").describe_pipeline(PipelineName="churn")
    assert Envelope.load("dags/definitions/churn.json").definition == json.loads(
        deployed["PipelineDefinition"]
    )


def test_the_command_adopts_a_deployed_pipeline(
    local_runtime: LocalRuntime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extra = {"region_name": "us-east-1", "endpoint_url": local_runtime.endpoint_url}
    connection = {"conn_type": "aws", "login": "test", "password": "test", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))
    monkeypatch.chdir(tmp_path)
    step = {"Name": "Refuse", "Type": "Fail", "Arguments": {"ErrorMessage": "no"}}
    local_runtime.create_pipeline({"Version": "2020-12-01", "Steps": [step]}, "churn")
    (command,) = [block for block in blocks("coming_from.md", "sh") if " adopt " in block]
    program, *arguments = shlex.split(command)
    assert program == "sagemaker-pipelines"
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert Envelope.load("dags/definitions/churn.json").definition["Steps"] == [step]
    assert Path("dags/churn_dag.py").exists()
