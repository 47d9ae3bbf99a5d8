"""What a batch transform predicted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sagemaker_pipelines.aws.client import SageMakerClient


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """The output of a batch transform.

    :param uri: the file in S3, or the prefix of several.
    :param values: one prediction per row.
    """

    uri: str
    values: list[float]


def predictions_of(client: SageMakerClient, pipeline_execution_arn: str) -> Predictions | None:
    """Return what the execution's last batch transform wrote; None if it ran none."""
    steps = client.list_steps(pipeline_execution_arn)
    jobs = [step.job_name for step in steps if step.type == "Transform" and step.job_name]
    if not jobs:
        return None
    job = client.sagemaker.describe_transform_job(TransformJobName=jobs[-1])
    prefix = f"{job['TransformOutput']['S3OutputPath'].rstrip('/')}/"
    outputs = [uri for uri in client.data_objects(prefix) if uri.endswith(".out")]
    if not outputs:
        return None
    values = [float(line) for uri in outputs for line in client.read_object(uri).split()]
    return Predictions(uri=outputs[0] if len(outputs) == 1 else prefix, values=values)


def predictions_lines(predictions: Predictions, *, first: int = 5) -> Iterator[str]:
    """Yield how many predictions there are, where, and the first few."""
    shown = ", ".join(f"{value:.3f}" for value in predictions.values[:first])
    yield f"{len(predictions.values)} predictions in {predictions.uri}"
    yield f"the first {min(first, len(predictions.values))}: {shown}"
