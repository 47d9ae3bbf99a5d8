"""The local runtime executes the compiled pipeline with the example data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # pytest imports it itself, and warns if it is imported before
    from sagemaker_local_runtime.testing import LocalRuntime

pytest_plugins = ["sagemaker_local_runtime.testing"]

PROJECT = Path(__file__).parents[1]
DEFINITION = PROJECT / "dags" / "definitions" / "my-pipeline.json"
DATA = PROJECT / "data" / "my_pipeline.csv"


def test_an_accurate_model_is_registered(local_runtime: LocalRuntime) -> None:
    uri = local_runtime.put("train.csv", DATA.read_bytes())
    execution = local_runtime.execute(DEFINITION, {"InputData": uri})
    assert execution["PipelineExecutionStatus"] == "Succeeded"
    sagemaker = local_runtime.client("sagemaker")
    [package] = sagemaker.list_model_packages(ModelPackageGroupName="my-pipeline")["ModelPackageSummaryList"]
    assert package["ModelApprovalStatus"] == "PendingManualApproval"


def test_an_inaccurate_model_is_rejected(local_runtime: LocalRuntime) -> None:
    uri = local_runtime.put("train.csv", DATA.read_bytes())
    execution = local_runtime.execute(DEFINITION, {"InputData": uri, "MaxRmse": "0"})
    steps = local_runtime.steps(execution["PipelineExecutionArn"])
    assert "Register" not in steps
    assert steps["Reject"]["Metadata"]["Fail"]["ErrorMessage"].endswith("is above 0.0")
