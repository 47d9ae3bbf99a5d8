"""Lineage as OpenLineage's listener asks for it, written to a file by the provider's own transport."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.openlineage.api import core
from airflow.providers.openlineage.plugins.adapter import OpenLineageAdapter
from attrs import fields
from jsonschema import Draft202012Validator
from openlineage.client.serde import Serde

from sagemaker_pipelines.aws.record import ExecutionRecord
from sagemaker_pipelines.aws.steps import Bill, Step
from sagemaker_pipelines.lineage import (
    ExecutionRunFacet,
    GateRunFacet,
    StepRunFacet,
    execution_lineage,
    gate_lineage,
)
from tests.unit.sagemaker_pipelines.samples import ARN, JOB_ARN, DagRun, TaskStateStore, context_of
from tests.unit.sagemaker_pipelines.sensors.test_pipeline import BROKEN, SUCCEEDED, ended, sensor
from tests.unit.sagemaker_pipelines.test_measures import Billed

SCHEMA = json.loads((Path(__file__).parents[3] / "docs" / "lineage.schema.json").read_text())
START = datetime(2026, 11, 23, 7, tzinfo=UTC)
PACKAGE = "arn:aws:sagemaker:us-east-1:123456789012:model-package/dev-gated/3"
BILL = Bill(instance_type="ml.m5.xlarge", instance_count=1, seconds=30, source="start to end")


def step(name: str, status: str = "Succeeded", **fields: Any) -> Step:
    end = START + timedelta(seconds=30)
    return Step(name=name, status=status, attempts=1, started=START, ended=end, **fields)


STEPS = (
    step(
        "Prepare",
        type="Processing",
        inputs=("s3://raw/rows/",),
        outputs=("s3://b/train",),
        arn=JOB_ARN,
        bill=BILL,
    ),
    step("Train", inputs=("s3://b/train/",), outputs=("s3://b/model.tar.gz",)),
    step("Register", type="RegisterModel", arn=PACKAGE),
    step("Score", "Failed", inputs=("s3://raw/new",), outputs=("s3://b/predictions",), reason="no space"),
    step("Other", "Stopped", outputs=("s3://b/other",)),
    Step(name="Never", status="Starting"),
)
RECORD = ExecutionRecord(
    pipeline_execution_arn=ARN,
    status="Failed",
    pipeline_version_id=7,
    definition_hash="abc",
    steps=STEPS,
    instance_seconds=30.0,
)


class Run(DagRun):
    logical_date = START
    run_after = START


class Task:
    """A task instance as the listener has it."""

    dag_id, task_id, run_id, try_number, map_index = "train", "wait_for_pipeline", "manual", 1, -1
    dag_run = Run()

    def get_template_context(self) -> dict[str, Any]:
        return {"dag_run": self.dag_run}


TASK: Any = Task()


@pytest.fixture
def emitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the provider writes the events."""
    path = tmp_path / "events.jsonl"
    transport = {"type": "file", "log_file_path": str(path), "append": True}
    monkeypatch.setenv("AIRFLOW__OPENLINEAGE__TRANSPORT", json.dumps(transport))
    monkeypatch.setenv("AIRFLOW__OPENLINEAGE__NAMESPACE", "tests")
    listener = type("Listener", (), {"adapter": OpenLineageAdapter()})()
    monkeypatch.setattr(core, "is_openlineage_active", lambda: True)
    monkeypatch.setattr(core, "get_openlineage_listener", lambda: listener)
    return path


def events(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def names(datasets: Any) -> list[str]:
    return [f"{each.namespace}|{each.name}" for each in datasets]


def as_sent(facets: Any) -> dict[str, Any]:
    return {name: json.loads(Serde.to_json(facet)) for name, facet in facets.items()}


def check(facets: dict[str, Any]) -> None:
    """Check our facets against the schema that they name."""
    own = {name: facet for name, facet in facets.items() if name.startswith("sagemakerPipelines_")}
    assert own
    for facet in own.values():
        base, _, pointer = facet["_schemaURL"].partition("#")
        assert base == SCHEMA["$id"]
        kind = SCHEMA["$defs"][pointer.rpartition("/")[2]]
        Draft202012Validator(kind).validate(facet)
        assert set(facet) - {"_producer", "_schemaURL"} <= set(kind["properties"])


@pytest.mark.parametrize("facet", [ExecutionRunFacet, GateRunFacet, StepRunFacet])
def test_the_schema_has_the_members_of_each_facet(facet: type[Any]) -> None:
    members = {each.name for each in fields(facet)} - {"_producer", "_schemaURL"}
    assert set(SCHEMA["$defs"][facet.__name__]["properties"]) == members


def test_a_wait_read_what_no_step_wrote_and_wrote_what_succeeded(emitted: Path) -> None:
    lineage = execution_lineage(TASK, RECORD.as_dict())
    assert names(lineage.inputs) == ["s3://raw|rows", "s3://raw|new"]
    assert names(lineage.outputs) == ["s3://b|train", "s3://b|model.tar.gz"]
    facets = as_sent(lineage.run_facets)
    check(facets)
    facet = facets["sagemakerPipelines_execution"]
    assert (facet["status"], facet["modelPackageArn"], facet["modelVersion"]) == ("Failed", PACKAGE, 3)


def test_each_step_that_has_ended_is_a_child_run_of_the_task(emitted: Path) -> None:
    execution_lineage(TASK, RECORD.as_dict())
    found = events(emitted)
    assert [(event["job"]["name"].rpartition(".")[2], event["eventType"]) for event in found] == [
        ("Prepare", "START"),
        ("Prepare", "COMPLETE"),
        ("Train", "START"),
        ("Train", "COMPLETE"),
        ("Register", "START"),
        ("Register", "COMPLETE"),
        ("Score", "START"),
        ("Score", "FAIL"),
        ("Other", "START"),
        ("Other", "ABORT"),
    ]
    prepared, score = found[1], found[7]
    assert prepared["job"]["name"] == "train.wait_for_pipeline.Prepare"
    assert prepared["job"]["namespace"] == "tests"
    assert prepared["run"]["runId"] == found[0]["run"]["runId"]
    assert datetime.fromisoformat(prepared["eventTime"]) == START + timedelta(seconds=30)
    parent = prepared["run"]["facets"]["parent"]
    assert (parent["job"]["namespace"], parent["job"]["name"]) == ("tests", "train.wait_for_pipeline")
    expected = OpenLineageAdapter.build_task_instance_run_id("train", "wait_for_pipeline", 1, START, -1)
    assert parent["run"]["runId"] == expected
    assert parent["root"]["job"]["name"] == "train"
    for event in found:
        check(event["run"]["facets"])
    assert prepared["run"]["facets"]["sagemakerPipelines_step"]["instanceSeconds"] == 30.0
    assert score["run"]["facets"]["errorMessage"]["message"] == "no space"
    assert score["outputs"] == []


def test_the_same_step_is_the_same_run_again(emitted: Path) -> None:
    execution_lineage(TASK, RECORD.as_dict())
    first = events(emitted)
    emitted.unlink()
    execution_lineage(TASK, RECORD.as_dict())
    assert [event["run"]["runId"] for event in events(emitted)] == [event["run"]["runId"] for event in first]


@pytest.mark.parametrize("judgement", [SUCCEEDED, BROKEN])
def test_a_wait_has_lineage_without_a_call_also_if_it_failed(emitted: Path, judgement: Any) -> None:
    hook = Billed("Succeeded", judgement=judgement)
    hook.record = RECORD
    task = sensor(hook)
    assert task.get_openlineage_facets_on_complete(TASK) is None
    try:
        task.execute_complete(context_of(TaskStateStore()), ended())
    except type(BROKEN):
        assert judgement is BROKEN
    # Whatever would call AWS now raises.
    task.__dict__["hook"] = None
    lineage = task.get_openlineage_facets_on_complete(TASK)
    assert lineage is not None
    assert names(lineage.inputs) == ["s3://raw|rows", "s3://raw|new"]


def test_a_branch_read_the_report_and_tells_metric_verdict_and_model() -> None:
    gate = {
        "version": 1,
        "pipeline_execution_arn": ARN,
        "metric": "mse",
        "value": 4.9,
        "threshold": 6.0,
        "operator": "LessThanOrEqualTo",
        "passed": True,
        "report_uri": "s3://b/evaluation.json",
        "verdict": "accepted",
        "model_package_arn": PACKAGE,
    }
    lineage = gate_lineage(gate)
    assert names(lineage.inputs) == ["s3://b|evaluation.json"]
    facets = as_sent(lineage.run_facets)
    check(facets)
    assert facets["sagemakerPipelines_gate"]["modelVersion"] == 3
    # The metric of a training job.
    assert gate_lineage({**gate, "report_uri": JOB_ARN, "model_package_arn": None}).inputs == []
