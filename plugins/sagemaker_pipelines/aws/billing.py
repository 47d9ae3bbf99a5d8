"""Compute what the jobs of an execution bill."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sagemaker_pipelines.aws.client import SageMakerClient
from sagemaker_pipelines.aws.steps import Step


@dataclass(frozen=True, kw_only=True)
class StepBilling:
    """What one step's job bills.

    :param step_name: the step.
    :param job_type: ``Processing``, ``Training`` or ``Transform``.
    :param instance_type: such as ``ml.m5.xlarge``.
    :param instance_count: the number of instances.
    :param seconds: billable seconds of each instance; 0 if nothing was run.
    :param source: where the seconds come from, such as ``BillableTimeInSeconds``, ``start to end`` or
        ``cache hit``.
    :param saving: the share of a training job's time that managed spot training did not bill, 0 to 1.
    """

    step_name: str
    job_type: str
    instance_type: str
    instance_count: int
    seconds: float
    source: str
    saving: float = 0.0

    @property
    def instance_seconds(self) -> float:
        """Seconds times instances."""
        return self.seconds * self.instance_count

    def __str__(self) -> str:
        """Return it as a log line."""
        spot = f", {self.saving:.0%} saved by spot" if self.saving > 0 else ""
        return (
            f"{self.step_name}: {self.instance_seconds:.0f} s = {self.seconds:.0f} s x {self.instance_count} "
            f"{self.instance_type} ({self.job_type}, {self.source}{spot})"
        )


def billable_steps(client: SageMakerClient, pipeline_execution_arn: str) -> list[StepBilling]:
    """Return what each step with a job bills, in the order of the steps.

    SageMaker reports the billable time of a training job; a processing or transform job bills from its start
    to its end. Jobs that failed or were stopped bill, too. A step whose job comes from another execution,
    through the cache or a selective execution, bills nothing. The jobs of a step's earlier attempts are not
    counted, because SageMaker names only the last one.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeTrainingJob.html

    :param client: calls AWS, to list the steps and to describe each job.
    :param pipeline_execution_arn: the execution.
    """
    execution = client.describe_execution(pipeline_execution_arn)
    steps = client.list_steps(pipeline_execution_arn)
    return [_billing(client, execution, step) for step in steps if step.type in _DESCRIBE and step.arn]


def _billing(client: SageMakerClient, execution: Mapping[str, Any], step: Step) -> StepBilling:
    job_type = str(step.type)
    operation, key, resources = _DESCRIBE[job_type]
    job = getattr(client.sagemaker, operation)(**{key: step.job_name})
    cluster: Mapping[str, Any] = job
    for part in resources:
        cluster = cluster.get(part, {})
    seconds, source = _seconds(job)
    began = job.get("CreationTime")
    if step.is_cache_hit or (began is not None and began < execution["CreationTime"]):
        seconds, source = 0.0, "cache hit" if step.is_cache_hit else "of another execution"
    trained = job.get("TrainingTimeInSeconds")
    return StepBilling(
        step_name=step.name,
        job_type=job_type,
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
