"""QualityCheck steps for the tests."""

from __future__ import annotations

from typing import Any

from sagemaker_local_runtime.testing import LocalRuntime
from tests.runtime.engine.definitions import get

MODEL_MONITOR = "156813124566.dkr.ecr.us-east-1.amazonaws.com/sagemaker-model-monitor-analyzer"
FLAGS = [
    {"Name": name, "Type": "Boolean", "DefaultValue": False} for name in ("SkipCheck", "RegisterNewBaseline")
]
#: The parameters of the first execution, for which there is no baseline yet.
FIRST = {"SkipCheck": "true", "RegisterNewBaseline": "true"}
USED = ("BaselineUsedForDriftCheckStatistics", "BaselineUsedForDriftCheckConstraints")
CALCULATED = ("CalculatedBaselineStatistics", "CalculatedBaselineConstraints")
_FOLDER = "/opt/ml/processing/input/baseline_dataset_input"
_OUTPUT = "/opt/ml/processing/output"

# Reads and writes what an image of Model Monitor does, and starts much sooner.
_ANALYZER = """
import json, os, sys
path = os.environ.get("baseline_statistics")
report = {"baseline": open(path).read() if path else None}
for name in ("statistics", "constraints", "constraint_violations"):
    json.dump(report, open(os.path.join(os.environ["output_path"], name + ".json"), "w"))
open("/opt/ml/output/message", "w").write(sys.argv[1])
"""


def analyzer(runtime: LocalRuntime, message: str = "Completed: Job completed successfully.") -> str:
    """Return an own image that takes the place of Model Monitor's; its exit message decides the check."""
    return runtime.local_image("analyzer", process=["python3", "-c", _ANALYZER, message])


def supplied(runtime: LocalRuntime) -> dict[str, str]:
    """Return the members of a step that supply a baseline."""
    return {
        f"SuppliedBaseline{kind}": runtime.put(
            f"earlier/{kind.lower()}.json", f"the earlier {kind.lower()}".encode()
        )
        for kind in ("Statistics", "Constraints")
    }


def check_step(
    runtime: LocalRuntime, image: str | None = None, data: Any = None, **fields: Any
) -> dict[str, Any]:
    """Return the step that the SDK's QualityCheckStep makes of a DataQualityCheckConfig.

    :param image: an own image in place of Model Monitor's.
    :param data: the URI of the data set; None has no input.
    :param fields: more members of the step; ``environment`` has more variables of its job.
    """
    uri = {
        "Std:Join": {"On": "/", "Values": [f"s3://{runtime.bucket}", get("Execution.PipelineExecutionId")]}
    }
    output = {"S3Uri": uri, "LocalPath": _OUTPUT, "S3UploadMode": "EndOfJob"}
    source = {"S3Uri": data, "LocalPath": _FOLDER, "S3DataType": "S3Prefix", "S3InputMode": "File"}
    arguments = {
        "ProcessingResources": {
            "ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30}
        },
        "AppSpecification": {"ImageUri": image or MODEL_MONITOR},
        "RoleArn": runtime.role_arn,
        "ProcessingOutputConfig": {"Outputs": [{"OutputName": "quality_check_output", "S3Output": output}]},
        "Environment": {
            "dataset_format": '{"csv": {"header": true, "output_columns_position": "START"}}',
            "dataset_source": _FOLDER,
            "output_path": _OUTPUT,
            "publish_cloudwatch_metrics": "Disabled",
            **fields.pop("environment", {}),
        },
    }
    if data:
        arguments["ProcessingInputs"] = [{"InputName": "baseline_dataset_input", "S3Input": source}]
    return {
        "Name": "Check",
        "Type": "QualityCheck",
        "Arguments": arguments,
        "CheckType": "DATA_QUALITY",
        "ModelPackageGroupName": None,
        "SkipCheck": get("Parameters.SkipCheck"),
        "FailOnViolation": True,
        "RegisterNewBaseline": get("Parameters.RegisterNewBaseline"),
        "SuppliedBaselineStatistics": None,
        "SuppliedBaselineConstraints": None,
        **fields,
    }
