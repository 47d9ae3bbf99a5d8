"""Names, and a definition with a gate, for the tests of the Airflow package."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

BUCKET = "artifacts"
ROLE = "arn:aws:iam::123456789012:role/SageMaker"
PIPELINE_ARN = "arn:aws:sagemaker:us-east-1:123456789012:pipeline/dev-gated"
ARN = f"{PIPELINE_ARN}/execution/abcdefgh1234"
JOB_ARN = "arn:aws:sagemaker:us-east-1:123456789012:processing-job/job-1"
SCRIPT = "print('evaluate')\n"


def write_envelope(folder: Path, script: str, image: str, define: Callable[[str], dict[str, Any]]) -> Path:
    """Write a compiled envelope with one asset, and return its path.

    :param define: makes the definition of the asset's hash.
    """
    digest = hashlib.sha256(script.encode()).hexdigest()
    asset = folder / "assets" / digest / "evaluate.py"
    asset.parent.mkdir(parents=True)
    asset.write_text(script)
    path = folder / "gated.json"
    path.write_text(
        json.dumps(
            {
                "envelope_version": 1,
                "name": "gated",
                "description": "Evaluate and gate.",
                "definition": define(digest),
                "images": {"sklearn": {"us-east-1": image}},
                "assets": [{"name": asset.name, "path": f"assets/{digest}/{asset.name}", "sha256": digest}],
                "placeholders": ["artifact_bucket", "image:sklearn", "name_prefix", "role_arn"],
            }
        )
    )
    return path


def gated_definition() -> dict[str, Any]:
    """A Processing step that writes a report, and a gate that reads it."""
    return {
        "Version": "2020-12-01",
        "Metadata": {},
        "Parameters": [
            {"Name": "InputData", "Type": "String", "DefaultValue": "s3://${artifact_bucket}/data.csv"},
            {"Name": "MseThreshold", "Type": "Float", "DefaultValue": 6.0},
            {"Name": "Count", "Type": "Integer", "DefaultValue": 1},
        ],
        "Steps": [
            {
                "Name": "Evaluate",
                "Type": "Processing",
                "Arguments": {
                    "AppSpecification": {"ImageUri": "${image:sklearn}"},
                    "ProcessingResources": {
                        "ClusterConfig": {
                            "InstanceType": "ml.m5.xlarge",
                            "InstanceCount": {"Get": "Parameters.Count"},
                            "VolumeSizeInGB": 30,
                        }
                    },
                    "ProcessingOutputConfig": {
                        "Outputs": [
                            {
                                "OutputName": "evaluation",
                                "S3Output": {
                                    "S3Uri": "s3://${artifact_bucket}/${name_prefix}gated/evaluation",
                                    "LocalPath": "/opt/ml/processing/evaluation",
                                    "S3UploadMode": "EndOfJob",
                                },
                            }
                        ]
                    },
                    "RoleArn": "${role_arn}",
                },
                "PropertyFiles": [
                    {"PropertyFileName": "Report", "OutputName": "evaluation", "FilePath": "evaluation.json"}
                ],
            },
            {
                "Name": "Gate",
                "Type": "Condition",
                "Arguments": {
                    "Conditions": [
                        {
                            "Type": "LessThanOrEqualTo",
                            "LeftValue": {
                                "Std:JsonGet": {
                                    "PropertyFile": {"Get": "Steps.Evaluate.PropertyFiles.Report"},
                                    "Path": "regression_metrics.mse.value",
                                }
                            },
                            "RightValue": {"Get": "Parameters.MseThreshold"},
                        }
                    ],
                    "IfSteps": [],
                    "ElseSteps": [
                        {"Name": "Reject", "Type": "Fail", "Arguments": {"ErrorMessage": "MSE too high"}}
                    ],
                },
            },
        ],
    }


class TaskInstance:
    """The part of a task instance that operators use.

    :param wait: the state of the task ``wait`` of the same run.
    :param watches: the execution that this task has named.
    """

    dag_id = "train"
    run_id = "manual__2026-11-23T07:00:00+00:00"
    task_id = "start_pipeline"
    map_index = -1
    max_tries = 2

    def __init__(self, *, wait: str | None = None, watches: str | None = None) -> None:
        self.pushed: dict[str, Any] = {}
        self.states = {self.task_id: "running", "wait": wait}
        self.watches = watches

    def get_task_states(self, dag_id: str, run_ids: list[str]) -> dict[str, dict[str, str | None]]:
        assert (dag_id, run_ids) == (self.dag_id, [self.run_id])
        return {self.run_id: self.states}

    def xcom_pull(self, *, task_ids: str, dag_id: str, run_id: str, key: str, map_indexes: Any = None) -> Any:
        return self.watches if (task_ids, key) == ("wait", "pipeline_execution_arn") else None

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


class TaskStateStore:
    """Airflow's task state store, which outlives tries and clears."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}

    def get(self, key: str, default: Any = None) -> Any:
        return json.loads(self.kept[key]) if key in self.kept else default

    def set(self, key: str, value: Any, *, retention: Any = None) -> None:
        self.retention = retention
        self.kept[key] = json.dumps(value)


class DagRun:
    """The part of a DAG run that operators use."""

    run_type = "manual"
    conf = None

    def __init__(self, clear_number: int = 0) -> None:
        self.clear_number = clear_number


def context_of(
    store: TaskStateStore, *, max_tries: int = 2, clear_number: int = 0, ti: TaskInstance | None = None
) -> Any:
    """The context of one try."""
    ti = ti or TaskInstance()
    ti.max_tries = max_tries
    return {"ti": ti, "task_state_store": store, "dag_run": DagRun(clear_number)}


class AirflowOfRuns(TaskInstance):
    """A task instance of an Airflow that has at most one DAG run, as a task may ask it about that run.

    :param tasks: the states of its tasks; ``<task id>_<map index>`` names a mapped one.
    :param xcoms: the execution, or the executions by map index, that each task id has pushed.
    """

    task_id = "sweep"

    def __init__(
        self,
        dag_id: str = "",
        run_id: str = "",
        state: str = "",
        tasks: dict[str, str | None] | None = None,
        xcoms: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.run = (dag_id, run_id)
        self.state = state
        self.tasks = tasks or {}
        self.xcoms = xcoms or {}

    def get_dr_count(self, dag_id: str, run_ids: list[str], states: list[str] | None = None) -> int:
        known = [(dag_id, run_id) == self.run for run_id in run_ids]
        return sum(known) if states is None or self.state in states else 0

    def get_task_states(self, dag_id: str, run_ids: list[str]) -> dict[str, dict[str, str | None]]:
        return {self.run[1]: self.tasks} if (dag_id, run_ids) == (self.run[0], [self.run[1]]) else {}

    def xcom_pull(self, *, task_ids: str, dag_id: str, run_id: str, key: str, map_indexes: Any = None) -> Any:
        assert key == "pipeline_execution_arn"
        pushed = self.xcoms.get(task_ids, []) if (dag_id, run_id) == self.run else []
        if map_indexes is None:
            return pushed
        return pushed[map_indexes] if isinstance(pushed, list) and map_indexes < len(pushed) else None
