"""What one pipeline execution did, read through the AWS APIs alone."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from local_runtime.deployment import Target
from local_runtime.progress import StepState, Verdict, failure_of, steps_of, verdict_of
from sagemaker_pipelines.definition import gate_of


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """The output of a batch transform.

    :param uri: the file in S3, or the prefix of several.
    :param values: one prediction per row.
    """

    uri: str
    values: list[float]


class ExecutionReader:
    """Read executions of one account.

    :param target: the endpoint.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._sagemaker = target.client("sagemaker")
        self._s3 = target.client("s3")

    def status(self, arn: str) -> str:
        """Return the execution's status."""
        answer = self._sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
        return str(answer["PipelineExecutionStatus"])

    def steps(self, arn: str) -> list[StepState]:
        """Return all steps that have begun, in the order of their starts."""
        return steps_of(self._sagemaker, arn)

    def rejection_steps(self, arn: str) -> set[str]:
        """Return the Fail steps that reject a model, by the definition that this execution ran."""
        return set(gate_of(self._definition(arn)).rejection_steps)

    def verdict(self, arn: str) -> Verdict | None:
        """Return the metric in S3 beside the threshold of this execution; None without a report."""
        return verdict_of(self._target, arn, self._definition(arn))

    def predictions(self, arn: str) -> Predictions | None:
        """Return what the execution's batch transform wrote, or None if it ran none."""
        jobs = [resource_of(step) for step in self.steps(arn) if "TransformJob" in step.metadata]
        if not jobs:
            return None
        job = self._sagemaker.describe_transform_job(TransformJobName=jobs[-1].rpartition("/")[2])
        prefix = job["TransformOutput"]["S3OutputPath"].rstrip("/")
        outputs = [uri for uri in self.list(f"{prefix}/") if uri.endswith(".out")]
        if not outputs:
            return None
        values = [float(line) for uri in outputs for line in self.read(uri).split()]
        return Predictions(uri=outputs[0] if len(outputs) == 1 else f"{prefix}/", values=values)

    def read(self, uri: str) -> bytes:
        """Return an object's content."""
        bucket, key = _split(uri)
        body: bytes = self._s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        return body

    def list(self, prefix: str) -> list[str]:
        """Return the URIs below a prefix."""
        bucket, key = _split(prefix)
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key)
        return [f"s3://{bucket}/{entry['Key']}" for page in pages for entry in page.get("Contents", [])]

    def parameters(self, arn: str) -> dict[str, str]:
        """Return the parameter values of the execution."""
        pages = self._sagemaker.get_paginator("list_pipeline_parameters_for_execution").paginate(
            PipelineExecutionArn=arn
        )
        return {item["Name"]: item["Value"] for page in pages for item in page["PipelineParameters"]}

    def _definition(self, arn: str) -> dict[str, Any]:
        answer = self._sagemaker.describe_pipeline_definition_for_execution(PipelineExecutionArn=arn)
        definition: dict[str, Any] = json.loads(answer["PipelineDefinition"])
        return definition


def resource_of(step: StepState) -> str:
    """Return the ARN of the job or resource that a step made; empty if it made none."""
    return next((str(content["Arn"]) for content in step.metadata.values() if content.get("Arn")), "")


def detail_of(step: StepState) -> str:
    """Return why a step failed, or a Condition's outcome; else nothing."""
    if step.status == "Failed":
        return failure_of(step)
    outcome = (step.metadata.get("Condition") or {}).get("Outcome")
    return f"outcome: {outcome}" if outcome else ""


def _split(uri: str) -> tuple[str, str]:
    parts = urlsplit(uri)
    if parts.scheme != "s3" or not parts.netloc:
        raise ValueError(f"{uri!r} is not an S3 URI; expected s3://bucket/key")
    return parts.netloc, parts.path.lstrip("/")
