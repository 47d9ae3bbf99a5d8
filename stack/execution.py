"""What one pipeline execution did, read through the AWS APIs alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from sagemaker_pipelines.definition import Gate, Parameter, gate_of

RUNNING = frozenset({"Executing", "Stopping"})


@dataclass(frozen=True, kw_only=True)
class StepView:
    """One step of an execution.

    :param name: the step's name in the definition.
    :param type: its kind of metadata, such as ``"ProcessingJob"``; empty until the step has some.
    :param status: SageMaker's step status.
    :param seconds: how long it ran, or has run up to now; None before its start.
    :param detail: the failure reason, a Fail step's message or a Condition's outcome; may be empty.
    :param arn: its job's or resource's ARN; may be empty.
    """

    name: str
    type: str
    status: str
    seconds: float | None
    detail: str
    arn: str


@dataclass(frozen=True, kw_only=True)
class Metric:
    """The gate's comparison.

    :param value: the metric in the evaluation report.
    :param threshold: what this execution compared it with.
    :param uri: the report in S3.
    """

    value: float
    threshold: float
    uri: str


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

    :param sagemaker: a boto3 SageMaker client.
    :param s3: a boto3 S3 client.
    """

    def __init__(self, sagemaker: Any, s3: Any) -> None:
        self._sagemaker = sagemaker
        self._s3 = s3

    def status(self, arn: str) -> str:
        """Return the execution's status."""
        answer = self._sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
        return str(answer["PipelineExecutionStatus"])

    def steps(self, arn: str) -> list[StepView]:
        """Return all steps that have begun, in the order of their starts."""
        pages = self._sagemaker.get_paginator("list_pipeline_execution_steps").paginate(
            PipelineExecutionArn=arn, SortOrder="Ascending"
        )
        return [_step_view(step) for page in pages for step in page["PipelineExecutionSteps"]]

    def gate(self, arn: str) -> Gate:
        """Return the gate of the definition that this execution ran."""
        return gate_of(self._definition(arn))

    def metric(self, arn: str) -> Metric:
        """Return the metric that the report in S3 holds, and the threshold of this execution."""
        gate = self.gate(arn)
        uri = self._report_uri(arn, gate)
        value: Any = json.loads(self.read(uri))
        for key in gate.json_path.split("."):
            value = value[key]
        return Metric(value=float(value), threshold=self._threshold(arn, gate), uri=uri)

    def predictions(self, arn: str) -> Predictions | None:
        """Return what the execution's batch transform wrote, or None if it ran none."""
        jobs = [step.arn for step in self.steps(arn) if step.type == "TransformJob" and step.arn]
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
        """Return the parameter values of the execution, defaults included."""
        pages = self._sagemaker.get_paginator("list_pipeline_parameters_for_execution").paginate(
            PipelineExecutionArn=arn
        )
        given = {p["Name"]: p["Value"] for page in pages for p in page["PipelineParameters"]}
        declared = self._definition(arn).get("Parameters", [])
        return {p["Name"]: str(p.get("DefaultValue", "")) for p in declared} | given

    def _definition(self, arn: str) -> dict[str, Any]:
        answer = self._sagemaker.describe_pipeline_definition_for_execution(PipelineExecutionArn=arn)
        definition: dict[str, Any] = json.loads(answer["PipelineDefinition"])
        return definition

    def _report_uri(self, arn: str, gate: Gate) -> str:
        (job_arn,) = [step.arn for step in self.steps(arn) if step.name == gate.report_step]
        job = self._sagemaker.describe_processing_job(ProcessingJobName=job_arn.rpartition("/")[2])
        outputs = {o["OutputName"]: o["S3Output"]["S3Uri"] for o in job["ProcessingOutputConfig"]["Outputs"]}
        return f"{outputs[gate.output_name].rstrip('/')}/{gate.file_path}"

    def _threshold(self, arn: str, gate: Gate) -> float:
        if isinstance(gate.threshold, Parameter):
            return float(self.parameters(arn)[gate.threshold.name])
        return float(gate.threshold)


def _step_view(step: Mapping[str, Any]) -> StepView:
    metadata: Mapping[str, Any] = step.get("Metadata") or {}
    kind = next(iter(metadata), "")
    content: Mapping[str, Any] = metadata.get(kind) or {}
    detail = content.get("ErrorMessage") or step.get("FailureReason") or ""
    if kind == "Condition" and content.get("Outcome"):
        detail = f"outcome: {content['Outcome']}"
    return StepView(
        name=step["StepName"],
        type=kind,
        status=step["StepStatus"],
        seconds=_seconds(step),
        detail=detail,
        arn=content.get("Arn", ""),
    )


def _seconds(step: Mapping[str, Any]) -> float | None:
    if "StartTime" not in step:
        return None
    end: datetime = step.get("EndTime") or datetime.now(UTC)
    return float((end - step["StartTime"]).total_seconds())


def _split(uri: str) -> tuple[str, str]:
    parts = urlsplit(uri)
    if parts.scheme != "s3" or not parts.netloc:
        raise ValueError(f"{uri!r} is not an S3 URI; expected s3://bucket/key")
    return parts.netloc, parts.path.lstrip("/")
