"""How the XComs of one run become its executions."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any, NamedTuple

import pytest

from sagemaker_pipelines.page.runs import executions


class Row(NamedTuple):
    task_id: str
    key: str
    value: Any
    map_index: int = -1


def stored(task_id: str, key: str, value: Any, map_index: int = -1) -> Row:
    return Row(task_id, key, json.dumps(value), map_index)


def test_a_gate_belongs_to_the_execution_that_it_names() -> None:
    found = executions(
        [
            stored("a.branch", "gate", {"value": 1, "pipeline_execution_arn": "arn:a"}),
            stored("a.wait", "execution", {"pipeline_execution_arn": "arn:a"}),
            stored("b.branch", "gate", {"value": 2, "pipeline_execution_arn": "arn:b"}),
            stored("b.wait", "execution", {"pipeline_execution_arn": "arn:b"}),
        ]
    )
    assert [(each["task_id"], each["gate"]["value"]) for each in found] == [("a.wait", 1), ("b.wait", 2)]


def test_values_of_older_versions_belong_together_by_their_group() -> None:
    found = executions(
        [
            stored("a.branch", "metric", 1.5),
            stored("a.branch", "threshold", 6.0),
            stored("a.wait", "billable_seconds", 10),
            stored("b.wait", "billable_seconds", 20),
        ]
    )
    assert [each["execution"] for each in found] == [{"instance_seconds": 10}, {"instance_seconds": 20}]
    assert [each["gate"] and each["gate"]["value"] for each in found] == [1.5, None]


def test_each_mapped_task_has_an_execution_of_its_own() -> None:
    rows = [stored("start", "execution", {"pipeline_execution_arn": f"arn:{i}"}, i) for i in range(3)]
    assert [each["map_index"] for each in executions(rows)] == [0, 1, 2]


def test_a_gate_without_an_execution_is_shown() -> None:
    """The start may be in another DAG."""
    (found,) = executions([stored("branch", "gate", {"value": 3, "pipeline_execution_arn": "arn:x"})])
    assert (found["execution"], found["gate"]["value"]) == ({}, 3)


def test_the_steps_of_mirrors_stand_in_until_there_is_a_record() -> None:
    steps = [stored(f"steps.{name}", "step", {"name": name}) for name in ("A", "B")]
    (found,) = executions(steps)
    assert [step["name"] for step in found["execution"]["steps"]] == ["A", "B"]
    (found,) = executions([*steps, stored("wait", "execution", {"status": "Succeeded"})])
    assert found["execution"] == {"status": "Succeeded"}


def test_links_belong_to_their_execution_and_an_empty_one_is_none() -> None:
    urls = {"Execution": "https://studio", "Log": "https://failed-log", "StepLog": "https://step-log"}
    found = executions(
        [
            stored("a.steps.Train", "step", {"name": "Train"}),
            stored("a.steps.Train", "_link_SageMakerStepLogLink", urls["StepLog"]),
            stored("a.wait", "_link_SageMakerFailedStepLogLink", urls["Log"]),
            stored("a.wait", "_link_SageMakerPipelineExecutionLink", urls["Execution"]),
            stored("a.wait", "execution", {"status": "Failed"}),
            stored("b.wait", "_link_SageMakerPipelineExecutionLink", ""),
            stored("b.wait", "execution", {"status": "Succeeded"}),
        ]
    )
    assert [each["links"] for each in found] == [
        {
            "execution": "https://studio",
            "cause": "https://failed-log",
            "steps": {"Train": "https://step-log"},
        },
        {"steps": {}},
    ]


def test_what_a_custom_xcom_backend_keeps_elsewhere_is_said_and_not_fetched() -> None:
    (found,) = executions([Row("wait", "execution", "s3://bucket/xcom/1.json")])
    assert found["execution"] == {"stored_elsewhere": True}


@pytest.mark.thorough
def test_only_the_api_server_loads_the_routes() -> None:
    code = "import sys, sagemaker_pipelines_plugin; print('sagemaker_pipelines.page.routes' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split()[-1] == "False"
