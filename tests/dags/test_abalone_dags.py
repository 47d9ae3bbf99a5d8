"""The DAG files, without a connection, a region or the SDK."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jinja2
import pytest

from sagemaker_pipelines.definition import Envelope
from stack.settings import ROOT
from tests.waiting import GENEROUS_SECONDS

DAGS = ROOT / "dags"
XCOMS: dict[tuple[str, str], Any] = {
    ("upsert_pipeline", "return_value"): {"pipeline_name": "abalone", "pipeline_version_id": 7},
    ("select_inputs", "return_value"): {"InputData": "", "OutputPrefix": "", "result_uri": ""},
    ("start_pipeline", "return_value"): "arn:aws:sagemaker:us-east-1:1:pipeline/abalone/execution/e1",
    ("wait_for_pipeline", "execution"): {"cause": {"reason": "Execution failed due to MSE > 3.0"}},
    ("branch_on_mse", "gate"): {
        "metric": "mse",
        "value": 4.5,
        "threshold": 3.0,
        "model_package_arn": "arn:aws:sagemaker:us-east-1:1:model-package/abalone/1",
    },
    ("choose_inputs", "return_value"): {"ModelPackageArn": "arn", "OutputPrefix": "s3://b/p"},
}


@pytest.fixture(scope="module")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a process finds that has no AWS settings and cannot import the SDK."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "AIRFLOW"))}
    env |= {
        "AIRFLOW_HOME": str(tmp_path_factory.mktemp("airflow")),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "PYTHONPATH": str(ROOT / "plugins"),
        "HOME": str(tmp_path_factory.mktemp("home")),
    }
    command = [sys.executable, str(Path(__file__).with_name("parse.py")), str(DAGS)]
    done = subprocess.run(command, env=env, cwd="/", capture_output=True, text=True, timeout=GENEROUS_SECONDS)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_every_dag_parses_without_connection_region_or_sdk(parsed: dict[str, Any]) -> None:
    assert parsed["import_errors"] == {}
    assert (
        set(parsed["dags"])
        == {path.stem for path in DAGS.glob("*.py")}
        == {"abalone_train", "abalone_challenger", "abalone_tuned", "abalone_score", "sagemaker_sweep"}
    )


def test_the_training_dag_goes_from_upsert_to_the_branches(parsed: dict[str, Any]) -> None:
    assert parsed["dags"]["abalone_train"]["downstream"] == {
        "upsert_pipeline": ["start_pipeline"],
        "select_inputs": ["start_pipeline"],
        "start_pipeline": ["steps.AbaloneProcess", "wait_for_pipeline"],
        "wait_for_pipeline": ["branch_on_mse"],
        "branch_on_mse": ["notify_awaiting_approval", "notify_rejected", "trigger_scoring"],
        "notify_awaiting_approval": [],
        "notify_rejected": [],
        "trigger_scoring": [],
        "steps.AbaloneProcess": [
            "steps.AbaloneEval",
            "steps.AbaloneRegisterModel",
            "steps.AbaloneTrain",
            "steps.AbaloneTransform",
        ],
        "steps.AbaloneTrain": ["steps.AbaloneCreateModel", "steps.AbaloneEval", "steps.AbaloneRegisterModel"],
        "steps.AbaloneEval": ["steps.AbaloneMSECond", "steps.AbaloneRegisterModel"],
        "steps.AbaloneMSECond": ["steps.AbaloneMSEFail", "steps.AbaloneRegisterCond"],
        "steps.AbaloneRegisterCond": [
            "steps.AbaloneCreateModel",
            "steps.AbaloneRegisterModel",
            "steps.AbaloneTransform",
        ],
        "steps.AbaloneCreateModel": ["steps.AbaloneTransform"],
        "steps.AbaloneRegisterModel": ["steps.steps_ended"],
        "steps.AbaloneTransform": ["steps.steps_ended"],
        "steps.AbaloneMSEFail": ["steps.steps_ended"],
        "steps.steps_ended": [],
    }


def test_training_runs_daily_by_data_interval_without_catchup(parsed: dict[str, Any]) -> None:
    train = parsed["dags"]["abalone_train"]
    assert train["timetable"] == "CronDataIntervalTimetable"
    assert train["catchup"] is False


@pytest.mark.parametrize(
    ("dag_id", "definition", "of_the_run"),
    [
        (
            "abalone_train",
            "abalone",
            ["IntervalEnd", "IntervalStart", "RegisterInBackfill"],
        ),
        ("abalone_score", "scoring", []),
    ],
)
def test_the_form_has_the_definitions_parameters_and_the_runs(
    parsed: dict[str, Any], dag_id: str, definition: str, of_the_run: list[str]
) -> None:
    declared = Envelope.load(DAGS / "definitions" / f"{definition}.json").parameters
    of_each_run = ["MaxCost", "MaxInstanceSeconds", "PipelineVersionId"]
    names = [*of_each_run, *of_the_run, *(p.name for p in declared)]
    assert sorted(parsed["dags"][dag_id]["params"]) == sorted(names)


def test_the_threshold_field_is_a_number_and_the_approval_status_an_enum(parsed: dict[str, Any]) -> None:
    form = parsed["dags"]["abalone_train"]["params"]
    assert form["MseThreshold"]["type"] == "number"
    assert form["MseThreshold"]["default"] == 6.0
    assert form["ModelApprovalStatus"]["enum"] == ["PendingManualApproval", "Approved", "Rejected"]
    assert form["InputData"]["default"] is None


@pytest.mark.parametrize("dag_id", ["abalone_train", "abalone_score"])
def test_every_field_is_described(parsed: dict[str, Any], dag_id: str) -> None:
    fields = parsed["dags"][dag_id]["params"]
    assert [name for name, field in fields.items() if not field["description"]] == []


class TaskInstance:
    """A task instance of a manual run: it can pull what the tasks before it have pushed."""

    log_url = "http://airflow/log"
    task_id = "some_task"

    def xcom_pull(self, task_ids: str, key: str = "return_value", **_: Any) -> Any:
        return XCOMS[task_ids, key]


def context(dag: Any) -> Any:
    """Return the context of a manual run: no logical date, hence no ds, ts or data_interval_*."""
    params = {name: param.value for name, param in dag.params.items()}
    run = type("DagRun", (), {"run_id": "manual__1", "conf": {}})
    return {"dag": dag, "ti": TaskInstance(), "params": params, "run_id": "manual__1", "dag_run": run}


@pytest.mark.parametrize("dag_id", ["abalone_train", "abalone_score"])
def test_every_template_renders_for_a_run_without_a_logical_date(dag_id: str) -> None:
    from airflow.dag_processing.dagbag import DagBag

    dag = DagBag(DAGS).dags[dag_id]
    values = context(dag)
    strict = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)
    rendered = {}
    for task in dag.tasks:
        for field in task.template_fields:
            rendered[task.task_id, field] = task.render_template(getattr(task, field), values, strict)
        if notifier := getattr(task, "notifier", None):
            given = {"values": rendered[task.task_id, "values"]}
            for field in ("subject", "message"):
                text = strict.from_string(getattr(notifier, field)).render(values | given)
                rendered[task.task_id, f"notifier.{field}"] = text
    assert rendered["start_pipeline", "pipeline_name"] == "abalone"
    assert "{{" not in str(rendered)
    if dag_id == "abalone_train":
        assert rendered["trigger_scoring", "trigger_run_id"] == "abalone_train__e1"
        message = rendered["notify_rejected", "notifier.message"]
        assert message.startswith("abalone rejected: MSE 4.5, threshold 3. Execution failed due to MSE > 3.0")
