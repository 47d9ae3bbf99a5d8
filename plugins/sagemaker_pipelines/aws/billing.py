"""Compute what the jobs of an execution bill."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from sagemaker_pipelines.aws.client import SageMakerClient
from sagemaker_pipelines.aws.job_data import job_data
from sagemaker_pipelines.aws.steps import Bill, Step


def with_bills(client: SageMakerClient, execution: Mapping[str, Any], steps: Iterable[Step]) -> list[Step]:
    """Return the steps, each one that has a job with what the job bills, reads and writes.

    SageMaker reports the billable time of a training job; a processing or transform job bills from its start
    to its end. Jobs that failed or were stopped bill, too. A step whose job comes from another execution,
    through the cache or a selective execution, bills nothing. The jobs of a step's earlier attempts are not
    counted, because SageMaker names only the last one.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeTrainingJob.html

    :param client: calls AWS, to describe each job.
    :param execution: DescribePipelineExecution's answer.
    :param steps: the execution's steps.
    """
    found = []
    for step in steps:
        if step.type in _DESCRIBE and step.arn:
            job = _described(client, step)
            inputs, outputs = job_data(job)
            step = replace(step, bill=_bill(execution, step, job), inputs=inputs, outputs=outputs)
        found.append(step)
    return found


def instance_seconds(steps: Iterable[Step]) -> float:
    """Return what the jobs of steps bill together."""
    return round(sum(step.bill.instance_seconds for step in steps if step.bill is not None), 3)


def _described(client: SageMakerClient, step: Step) -> Mapping[str, Any]:
    operation, key, _ = _DESCRIBE[str(step.type)]
    job: Mapping[str, Any] = getattr(client.sagemaker, operation)(**{key: step.job_name})
    return job


def _bill(execution: Mapping[str, Any], step: Step, job: Mapping[str, Any]) -> Bill:
    _, _, resources = _DESCRIBE[str(step.type)]
    cluster: Mapping[str, Any] = job
    for part in resources:
        cluster = cluster.get(part, {})
    seconds, source = _seconds(job)
    began = job.get("CreationTime")
    if step.is_cache_hit or (began is not None and began < execution["CreationTime"]):
        seconds, source = 0.0, "cache hit" if step.is_cache_hit else "of another execution"
    trained = job.get("TrainingTimeInSeconds")
    return Bill(
        instance_type=str(cluster.get("InstanceType", "")),
        instance_count=int(cluster.get("InstanceCount") or 1),
        seconds=seconds,
        source=source,
        saving=1 - seconds / trained if trained and source == "BillableTimeInSeconds" else 0.0,
    )


def _seconds(job: Mapping[str, Any]) -> tuple[float, str]:
    if "BillableTimeInSeconds" in job:
        return float(job["BillableTimeInSeconds"]), "BillableTimeInSeconds"
    start: datetime | None = job.get("ProcessingStartTime") or job.get("TransformStartTime")
    end: datetime | None = job.get("ProcessingEndTime") or job.get("TransformEndTime")
    if start is None or end is None:
        return 0.0, "not started"
    return (end - start).total_seconds(), "start to end"


# By job type: the operation, the parameter that names the job, and the path to its instances.
_DESCRIBE = {
    "Processing": (
        "describe_processing_job",
        "ProcessingJobName",
        ("ProcessingResources", "ClusterConfig"),
    ),
    "Training": ("describe_training_job", "TrainingJobName", ("ResourceConfig",)),
    "Transform": ("describe_transform_job", "TransformJobName", ("TransformResources",)),
}
