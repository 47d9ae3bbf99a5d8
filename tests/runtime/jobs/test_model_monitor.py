"""The image of Model Monitor as a processing job."""

from __future__ import annotations

import json

import pytest

from tests.runtime.jobs.conftest import BUCKET, ROLE, JobRuntime, s3_input
from tests.runtime.quality_checks import MODEL_MONITOR

FOLDER, OUTPUT = "/opt/ml/processing/input/rows", "/opt/ml/processing/output"


@pytest.mark.thorough
def test_the_image_analyzes_all_files_of_a_folder(either_isolation: JobRuntime) -> None:
    runtime = either_isolation
    runtime.storage.write_bytes(f"s3://{BUCKET}/rows/2026/a.csv", b"1,a\n2,b\n")
    runtime.storage.write_bytes(f"s3://{BUCKET}/rows/2027/b.csv", b"4,b\n")
    target = {"S3Uri": f"s3://{BUCKET}/check", "LocalPath": OUTPUT, "S3UploadMode": "EndOfJob"}
    runtime.jobs.create(
        "processing",
        {
            "ProcessingJobName": "check",
            "RoleArn": ROLE,
            "AppSpecification": {"ImageUri": MODEL_MONITOR},
            "ProcessingInputs": [s3_input("rows", f"s3://{BUCKET}/rows", FOLDER)],
            "ProcessingOutputConfig": {"Outputs": [{"OutputName": "check", "S3Output": target}]},
            "ProcessingResources": {
                "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}
            },
            "Environment": {
                "dataset_format": '{"csv": {"header": false}}',
                "dataset_source": FOLDER,
                "output_path": OUTPUT,
            },
        },
    )
    job = runtime.jobs.wait("processing", "check")
    assert job["ExitMessage"] == "Completed: Job completed successfully with no violations.", job
    statistics = json.loads(runtime.storage.read_bytes(f"s3://{BUCKET}/check/statistics.json"))
    assert statistics["dataset"] == {"item_count": 3}
    assert statistics["features"][0]["numerical_statistics"]["sum"] == 7.0
