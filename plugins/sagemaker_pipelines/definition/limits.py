"""What SageMaker's API demands of a definition: names, required arguments, counts and lengths.

From the service model that botocore 1.43.117 ships; the shapes' names are given.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

#: PipelineDefinition: at most this many characters inline; a longer one goes by its S3 location.
MAX_INLINE_DEFINITION = 1_048_576

#: StepName
STEP_NAME = re.compile(r"[A-Za-z0-9\-_]{1,64}")

#: PipelineParameterName
PARAMETER_NAME = re.compile(r"[A-Za-z0-9\-_]{1,256}")

#: FailStepMetadata.ErrorMessage
MAX_ERROR_MESSAGE = 3072

#: The arguments that a job cannot be created without, by step type (``a|b``: one of them).
REQUIRED: Mapping[str, tuple[str, ...]] = {
    "Condition": ("Conditions",),
    "Fail": ("ErrorMessage",),
    "Model": ("ExecutionRoleArn", "PrimaryContainer|Containers"),
    "Processing": ("AppSpecification", "ProcessingResources", "RoleArn"),
    "RegisterModel": (
        "InferenceSpecification|SourceAlgorithmSpecification|SourceUri",
        "ModelPackageGroupName",
    ),
    "Training": ("AlgorithmSpecification", "OutputDataConfig", "RoleArn"),
    "Transform": ("ModelName", "TransformInput", "TransformOutput", "TransformResources"),
}

#: The most entries of an argument, by step type and path.
MAX_ENTRIES: Mapping[str, Mapping[str, int]] = {
    "Model": {"Containers": 15, "PrimaryContainer.Environment": 100, "Tags": 50},
    "Processing": {
        "AppSpecification.ContainerArguments": 100,
        "AppSpecification.ContainerEntrypoint": 100,
        "Environment": 100,
        "ProcessingInputs": 10,
        "ProcessingOutputConfig.Outputs": 10,
        "Tags": 50,
    },
    "RegisterModel": {"CustomerMetadataProperties": 50, "InferenceSpecification.Containers": 15},
    "Training": {"Environment": 100, "HyperParameters": 100, "InputDataConfig": 20, "Tags": 50},
    "Transform": {"Environment": 16, "Tags": 50},
}

#: The most characters of each text in an argument, by step type and path; numbers are refused there.
MAX_LENGTHS: Mapping[str, Mapping[str, int]] = {
    "Processing": {
        "AppSpecification.ContainerArguments": 256,
        "AppSpecification.ContainerEntrypoint": 256,
        "Environment": 256,
    },
    "RegisterModel": {"CustomerMetadataProperties": 256},
    "Training": {"Environment": 512, "HyperParameters": 2500},
    "Transform": {"Environment": 10240},
}
