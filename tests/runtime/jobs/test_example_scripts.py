"""Scripts in the style of AWS's abalone example run unmodified, in a whole pipeline.

They hard-code /opt/ml, download their input themselves with boto3 and unpickle the model of an old image.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sagemaker_local_runtime.settings import Settings
from sagemaker_local_runtime.testing import LocalRuntime
from tests.runtime.jobs.conftest import SKLEARN, XGBOOST, s3_input

PREPROCESS = """
import argparse
import os
import pathlib

import boto3
import numpy as np
import pandas as pd

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--input-data", type=str, required=True)
    args = parser.parse_args()

    base_dir = "/opt/ml/processing"
    pathlib.Path(f"{base_dir}/data").mkdir(parents=True, exist_ok=True)
    bucket = args.input_data.split("/")[2]
    key = "/".join(args.input_data.split("/")[3:])
    fn = f"{base_dir}/data/raw-dataset.csv"
    boto3.resource("s3").Bucket(bucket).download_file(key, fn)
    df = pd.read_csv(fn, header=None)
    os.unlink(fn)

    rows = df.to_numpy()
    train, validation, test = np.split(rows, [int(0.7 * len(rows)), int(0.85 * len(rows))])
    for name, part in (("train", train), ("validation", validation), ("test", test)):
        pd.DataFrame(part).to_csv(f"{base_dir}/{name}/{name}.csv", header=False, index=False)
"""
EVALUATE = """
import json
import pathlib
import pickle
import tarfile

import numpy as np
import pandas as pd
import xgboost

if __name__ == "__main__":
    with tarfile.open("/opt/ml/processing/model/model.tar.gz") as tar:
        tar.extractall(path=".")
    model = pickle.load(open("xgboost-model", "rb"))
    df = pd.read_csv("/opt/ml/processing/test/test.csv", header=None)
    y_test = df.iloc[:, 0].to_numpy()
    df.drop(df.columns[0], axis=1, inplace=True)
    predictions = model.predict(xgboost.DMatrix(df.values))
    mse = float(np.mean((y_test - predictions) ** 2))
    report = {"regression_metrics": {"mse": {"value": mse}}}
    output_dir = "/opt/ml/processing/evaluation"
    pathlib.Path(output_dir).mkdir(parents=True, exist_ok=True)
    with open(f"{output_dir}/evaluation.json", "w") as f:
        f.write(json.dumps(report))
"""
OLD_XGBOOST = XGBOOST.replace("3.2-0", "1.0-1-cpu-py3")


def processing(
    runtime: LocalRuntime,
    name: str,
    image: str,
    script: str,
    inputs: list[dict[str, Any]],
    outputs: list[str],
    arguments: list[Any],
) -> dict[str, Any]:
    uri = runtime.put(f"code/{name}.py", script.encode())
    return {
        "Name": name,
        "Type": "Processing",
        "Arguments": {
            "RoleArn": runtime.role_arn,
            "AppSpecification": {
                "ImageUri": image,
                "ContainerEntrypoint": ["python3", f"/opt/ml/processing/input/code/{name}.py"],
                **({"ContainerArguments": arguments} if arguments else {}),
            },
            "ProcessingInputs": [*inputs, s3_input("code", uri, "/opt/ml/processing/input/code")],
            "ProcessingOutputConfig": {
                "Outputs": [
                    {
                        "OutputName": output,
                        "S3Output": {
                            "S3Uri": f"s3://{runtime.bucket}/{name}/{output}",
                            "LocalPath": f"/opt/ml/processing/{output}",
                            "S3UploadMode": "EndOfJob",
                        },
                    }
                    for output in outputs
                ]
            },
            "ProcessingResources": {
                "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.xlarge", "VolumeSizeInGB": 30}
            },
        },
    }


def output_of(step: str, name: str) -> dict[str, str]:
    return {"Get": f"Steps.{step}.ProcessingOutputConfig.Outputs['{name}'].S3Output.S3Uri"}


ARTIFACT = {"Get": "Steps.Train.ModelArtifacts.S3ModelArtifacts"}


def training(runtime: LocalRuntime) -> dict[str, Any]:
    return {
        "Name": "Train",
        "Type": "Training",
        "Arguments": {
            "AlgorithmSpecification": {"TrainingImage": OLD_XGBOOST, "TrainingInputMode": "File"},
            "HyperParameters": {"num_round": "20", "max_depth": "3", "objective": "reg:linear", "silent": "0"}
            | {"eta": "0.3"},
            "InputDataConfig": [
                {
                    "ChannelName": name,
                    "ContentType": "text/csv",
                    "DataSource": {
                        "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": output_of("preprocess", name)}
                    },
                }
                for name in ("train", "validation")
            ],
            "OutputDataConfig": {"S3OutputPath": f"s3://{runtime.bucket}/models"},
            "ResourceConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.xlarge", "VolumeSizeInGB": 30},
            "RoleArn": runtime.role_arn,
            "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        },
    }


def scoring(runtime: LocalRuntime) -> list[dict[str, Any]]:
    container = {"Image": OLD_XGBOOST, "ModelDataUrl": ARTIFACT}
    return [
        {
            "Name": "Register",
            "Type": "RegisterModel",
            "Arguments": {
                "ModelPackageGroupName": "examples",
                "ModelApprovalStatus": "Approved",
                "InferenceSpecification": {
                    "Containers": [container],
                    "SupportedContentTypes": ["text/csv"],
                    "SupportedResponseMIMETypes": ["text/csv"],
                },
            },
        },
        {
            "Name": "Create",
            "Type": "Model",
            "Arguments": {
                "ExecutionRoleArn": runtime.role_arn,
                "PrimaryContainer": {"ModelPackageName": {"Get": "Steps.Register.ModelPackageArn"}},
            },
        },
        {
            "Name": "Score",
            "Type": "Transform",
            "Arguments": {
                "ModelName": {"Get": "Steps.Create.ModelName"},
                "TransformInput": {
                    "ContentType": "text/csv",
                    "SplitType": "Line",
                    "DataSource": {
                        "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": output_of("preprocess", "test")}
                    },
                },
                "DataProcessing": {"InputFilter": "$[1:]", "OutputFilter": "$[0,-1]", "JoinSource": "Input"},
                "TransformOutput": {
                    "S3OutputPath": f"s3://{runtime.bucket}/scores",
                    "AssembleWith": "Line",
                    "Accept": "text/csv",
                },
                "TransformResources": {"InstanceCount": 1, "InstanceType": "ml.m5.xlarge"},
            },
        },
    ]


def definition(runtime: LocalRuntime, input_data: str) -> dict[str, Any]:
    evaluate_inputs = [
        s3_input("model", "", "/opt/ml/processing/model"),
        s3_input("test", "", "/opt/ml/processing/test"),
    ]
    evaluate_inputs[0]["S3Input"]["S3Uri"] = ARTIFACT
    evaluate_inputs[1]["S3Input"]["S3Uri"] = output_of("preprocess", "test")
    outputs = ["train", "validation", "test"]
    arguments = ["--input-data", {"Get": "Parameters.InputData"}]
    return {
        "Version": "2020-12-01",
        "Parameters": [{"Name": "InputData", "Type": "String", "DefaultValue": input_data}],
        "Steps": [
            processing(runtime, "preprocess", SKLEARN, PREPROCESS, [], outputs, arguments),
            training(runtime),
            processing(runtime, "evaluate", OLD_XGBOOST, EVALUATE, evaluate_inputs, ["evaluation"], []),
            *scoring(runtime),
        ],
    }


# Thorough, because the environment of an old image is fetched from the package index.
@pytest.mark.thorough
@pytest.mark.parametrize("isolation", ["namespace", "rewrite"])
def test_the_example_runs_unmodified_from_raw_data_to_scores(tmp_path: Path, isolation: str) -> None:
    random = np.random.default_rng(11)
    features = random.normal(size=(300, 4))
    labels = features @ [3.0, -1.0, 2.0, 0.0]
    lines = [",".join(map(str, row)) for row in np.column_stack([labels, features]).tolist()]
    runtime = LocalRuntime(Settings(data_dir=tmp_path / "runtime", port=0, isolation=isolation))
    try:
        uri = runtime.put("raw/data.csv", "\n".join(lines).encode())
        arn = runtime.start(runtime.create_pipeline(definition(runtime, uri)))
        execution = runtime.wait(arn)
        steps = runtime.steps(arn)
        assert execution["PipelineExecutionStatus"] == "Succeeded", steps
        report = json.loads(runtime.get(f"s3://{runtime.bucket}/evaluate/evaluation/evaluation.json"))
        scores = runtime.get(f"s3://{runtime.bucket}/scores/test.csv.out").decode().split()
        pairs = np.array([[float(field) for field in line.split(",")] for line in scores])
        assert len(pairs) == 45
        mse = float(np.mean((pairs[:, 0] - pairs[:, 1]) ** 2))
        assert report["regression_metrics"]["mse"]["value"] == pytest.approx(mse, rel=1e-4)
        sagemaker = runtime.client("sagemaker")
        assert steps["Register"]["Metadata"]["RegisterModel"]["Arn"].endswith("model-package/examples/1")
        job_arn = steps["Train"]["Metadata"]["TrainingJob"]["Arn"]
        tags = {tag["Key"]: tag["Value"] for tag in sagemaker.list_tags(ResourceArn=job_arn)["Tags"]}
        assert tags == {
            "sagemaker:pipeline-execution-arn": arn,
            "sagemaker:pipeline-step-name": "Train",
        }
    finally:
        runtime.close()
