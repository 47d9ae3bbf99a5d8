from __future__ import annotations

from typing import Any

import botocore.session

#: SageMaker's model, which costs a third of a second to read.
MODEL = botocore.session.get_session().get_service_model("sagemaker")

ROLE = "arn:aws:iam::123456789012:role/Role"


def sound_definition() -> dict[str, Any]:
    """A small sound definition: train, report, and a gate with both branches."""
    return {
        "Version": "2020-12-01",
        "Metadata": {},
        "Parameters": [
            {"Name": "Threshold", "Type": "Float", "DefaultValue": 6.0},
            {"Name": "Data", "Type": "String", "DefaultValue": "s3://${artifact_bucket}/data"},
        ],
        "Steps": [
            {
                "Name": "Train",
                "Type": "Training",
                "Arguments": {
                    "AlgorithmSpecification": {
                        "TrainingImage": "${image:xgboost}",
                        "TrainingInputMode": "File",
                    },
                    "OutputDataConfig": {"S3OutputPath": {"Get": "Parameters.Data"}},
                    "ResourceConfig": {"InstanceType": "ml.m5.large"},
                    "RoleArn": "${role_arn}",
                },
            },
            {
                "Name": "Report",
                "Type": "Processing",
                "Arguments": {
                    "AppSpecification": {"ImageUri": "${image:xgboost}"},
                    "ProcessingInputs": [
                        {
                            "InputName": "model",
                            "S3Input": {
                                "S3Uri": {"Get": "Steps.Train.ModelArtifacts.S3ModelArtifacts"},
                                "S3DataType": "S3Prefix",
                            },
                        }
                    ],
                    "ProcessingOutputConfig": {"Outputs": [{"OutputName": "report"}]},
                    "ProcessingResources": {
                        "ClusterConfig": {
                            "InstanceCount": 1,
                            "InstanceType": "ml.m5.large",
                            "VolumeSizeInGB": 30,
                        }
                    },
                    "RoleArn": "${role_arn}",
                },
                "PropertyFiles": [
                    {"PropertyFileName": "File", "OutputName": "report", "FilePath": "report.json"}
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
                                    "PropertyFile": {"Get": "Steps.Report.PropertyFiles.File"},
                                    "Path": "metrics.mse",
                                }
                            },
                            "RightValue": {"Get": "Parameters.Threshold"},
                        }
                    ],
                    "IfSteps": [
                        {
                            "Name": "Create",
                            "Type": "Model",
                            "Arguments": {
                                "ExecutionRoleArn": "${role_arn}",
                                "PrimaryContainer": {"Image": "i"},
                            },
                        }
                    ],
                    "ElseSteps": [
                        {
                            "Name": "Reject",
                            "Type": "Fail",
                            "Arguments": {
                                "ErrorMessage": {
                                    "Std:Join": {
                                        "On": " ",
                                        "Values": ["over", {"Get": "Parameters.Threshold"}],
                                    }
                                }
                            },
                        }
                    ],
                },
            },
        ],
    }


def training(**changes: Any) -> dict[str, Any]:
    """A sound Training step with other arguments."""
    arguments = {
        "AlgorithmSpecification": {"TrainingImage": "image", "TrainingInputMode": "File"},
        "Environment": {"STAGE": "dev"},
        "HyperParameters": {"eta": "0.2"},
        "InputDataConfig": [
            {
                "ChannelName": "train",
                "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://bucket/train"}},
            }
        ],
        "OutputDataConfig": {"S3OutputPath": "s3://bucket/model"},
        "ResourceConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.xlarge", "VolumeSizeInGB": 30},
        "RoleArn": ROLE,
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        "VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]},
    }
    return {"Name": "Train", "Type": "Training", "Arguments": {**arguments, **changes}}


def processing(**changes: Any) -> dict[str, Any]:
    """A sound Processing step with other arguments."""
    arguments = {
        "AppSpecification": {"ImageUri": "image", "ContainerEntrypoint": ["python3", "x.py"]},
        "ProcessingResources": {
            "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.xlarge", "VolumeSizeInGB": 30}
        },
        "RoleArn": ROLE,
    }
    return {"Name": "Process", "Type": "Processing", "Arguments": {**arguments, **changes}}


def definition_of(*steps: dict[str, Any]) -> dict[str, Any]:
    """A definition with a parameter of each of three types."""
    parameters = [
        {"Name": "Text", "Type": "String", "DefaultValue": "a"},
        {"Name": "Count", "Type": "Integer", "DefaultValue": 1},
        {"Name": "Ratio", "Type": "Float", "DefaultValue": 0.5},
    ]
    return {"Version": "2020-12-01", "Parameters": parameters, "Steps": list(steps)}
