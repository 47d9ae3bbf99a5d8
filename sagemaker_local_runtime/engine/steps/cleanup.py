"""Cleanup steps: delete what earlier steps have written to S3.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CleanupStepMetadata.html, and the SDK 3.27 in
``sagemaker/mlops/workflow/cleanup_step.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from sagemaker_local_runtime.engine.steps.base import StepOutcome, StepRun
from sagemaker_local_runtime.exceptions import ValidationError
from sagemaker_local_runtime.services.storage import Storage

_MAX_MESSAGE = 2048


class CleanupExecutor:
    """Deletes the outputs of each source step; one that cannot be deleted fails the step after the others."""

    step_type = "Cleanup"

    def run(self, step_run: StepRun) -> StepOutcome:
        """Delete the outputs, and tell which steps were cleaned, which failed and which have no outputs."""
        cleaned: list[str] = []
        skipped: list[str] = []
        failed: list[dict[str, str]] = []
        for source in step_run.arguments["Resources"]["S3"]:
            name = source["StepName"]
            properties = step_run.properties.get(name)
            if not properties or not _outputs(properties):
                skipped.append(name)
                continue
            try:
                for uri in _objects(step_run.services.storage, source, properties):
                    step_run.services.storage.delete(uri)
                cleaned.append(name)
            except (ClientError, ValidationError) as error:
                message = str(error)[:_MAX_MESSAGE]
                failed.append({"StepName": name, "ErrorCode": "ClientError", "ErrorMessage": message})
        metadata = {"CleanedSteps": cleaned, "FailedSteps": failed, "SkippedSteps": skipped}
        reasons = " ".join(f"{entry['StepName']}: {entry['ErrorMessage']}" for entry in failed)
        return StepOutcome(
            status="Failed" if failed else "Succeeded",
            metadata={"Cleanup": metadata},
            failure_reason=f"ClientError: {reasons}" if failed else None,
        )


def _objects(storage: Storage, source: Mapping[str, Any], properties: Mapping[str, Any]) -> list[str]:
    """Return the objects to delete.

    :raises ValidationError: the step has a VPC, or an object is not below its outputs.
    """
    if "VpcConfig" in properties or "VpcConfig" in properties.get("NetworkConfig", {}):
        raise ValidationError(
            "A step with a VpcConfig cannot be cleaned up. Remove it from the Cleanup step."
        )
    outputs, uris = _outputs(properties), source.get("S3Uris")
    if uris is None:
        if "TrainingJobArn" not in properties:
            raise ValidationError(
                "Only a Training step needs no S3Uris. Name the objects to delete in S3Uris."
            )
        return storage.list(outputs[0])
    outside = [uri for uri in uris if not any(uri.startswith(output) for output in outputs)]
    if outside:
        raise ValidationError(
            f"{', '.join(outside)} is not below the outputs of the step, which are {', '.join(outputs)}. "
            "Correct S3Uris."
        )
    return list(uris)


def _outputs(properties: Mapping[str, Any]) -> list[str]:
    """Return the folders, each with a slash at its end, to which a job has written."""
    found = []
    if "TrainingJobArn" in properties:
        root = properties["OutputDataConfig"]["S3OutputPath"].rstrip("/")
        found = [f"{root}/{properties['TrainingJobName']}"]
    elif "ProcessingJobArn" in properties:
        outputs = properties.get("ProcessingOutputConfig", {}).get("Outputs", ())
        found = [output["S3Output"]["S3Uri"] for output in outputs if "S3Output" in output]
    elif "TransformJobArn" in properties:
        found = [properties["TransformOutput"]["S3OutputPath"]]
    return [f"{uri.rstrip('/')}/" for uri in found]
