"""Describe the jobs of steps: their instances, and for how long they bill."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from operator import mul
from typing import Any

from sagemaker_pipelines.aws.client import SageMakerClient
from sagemaker_pipelines.aws.steps import Step

# By job type: the operation, the parameter that names the job, and the path to its instances.
_PROCESSING = ("describe_processing_job", "ProcessingJobName", ("ProcessingResources", "ClusterConfig"))
_DESCRIBE = {
    "Processing": _PROCESSING,
    "QualityCheck": _PROCESSING,
    "ClarifyCheck": _PROCESSING,
    "Training": ("describe_training_job", "TrainingJobName", ("ResourceConfig",)),
    "Transform": ("describe_transform_job", "TransformJobName", ("TransformResources",)),
    "Tuning": (
        "describe_hyper_parameter_tuning_job",
        "HyperParameterTuningJobName",
        ("ResourceConfig",),
    ),
}


def has_job(step: Step) -> bool:
    """Return whether a step has a job that bills."""
    return step.type in _DESCRIBE and step.arn is not None


def described_job(
    client: SageMakerClient, step: Step, ended: dict[str, Mapping[str, Any]] | None = None
) -> Mapping[str, Any]:
    """Return the answer of the Describe operation of a step's job.

    That of a tuning job also has the times, instances and data of its training jobs.

    :param client: calls AWS.
    :param step: a step with a job.
    :param ended: descriptions of ended training jobs by name, which need not be read again; it gets more.
    """
    operation, key, _ = _DESCRIBE[str(step.type)]
    job: Mapping[str, Any] = getattr(client.sagemaker, operation)(**{key: step.job_name})
    if step.type != "Tuning":
        return job
    return {**job, **_training_jobs(client, job, {} if ended is None else ended)}


def cluster_of(step: Step, job: Mapping[str, Any]) -> tuple[str, int]:
    """Return the type and count of a job's instances; several types are joined by ``+``.

    :param step: a step with a job.
    :param job: the answer of the job's Describe operation.
    """
    _, _, resources = _DESCRIBE[str(step.type)]
    cluster = job
    for part in resources:
        cluster = cluster.get(part, {})
    return _instances(cluster)


def _instances(cluster: Mapping[str, Any]) -> tuple[str, int]:
    # A heterogeneous cluster has groups; of several types, the price is not known.
    groups = cluster.get("InstanceGroups") or [cluster]
    types = {str(group.get("InstanceType", "")) for group in groups}
    return " + ".join(sorted(types)), sum(int(group.get("InstanceCount") or 1) for group in groups)


def billed_seconds(job: Mapping[str, Any]) -> tuple[float, str]:
    """Return for how many seconds each instance of a job bills, and what tells it.

    :param job: the answer of the job's Describe operation.
    """
    if "BillableTimeInSeconds" in job:
        return float(job["BillableTimeInSeconds"]), "BillableTimeInSeconds"
    start, end = (
        next((job[f"{kind}{moment}Time"] for kind in _DESCRIBE if job.get(f"{kind}{moment}Time")), None)
        for moment in ("Start", "End")
    )
    if start is None:
        return 0.0, "not started"
    if end is None:
        return max(0.0, (datetime.now(UTC) - start).total_seconds()), "start until now"
    return (end - start).total_seconds(), "start to end"


def _training_jobs(
    client: SageMakerClient, job: Mapping[str, Any], ended: dict[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Return what a training job's description has: of all training jobs the times, of the best the model."""
    name = job["HyperParameterTuningJobName"]
    best = job.get("BestTrainingJob", {}).get("TrainingJobName")
    summaries = client.pages(
        "list_training_jobs_for_hyper_parameter_tuning_job",
        "TrainingJobSummaries",
        HyperParameterTuningJobName=name,
    )
    found = []
    for training in (summary["TrainingJobName"] for summary in summaries):
        described = ended.get(training) or client.sagemaker.describe_training_job(TrainingJobName=training)
        if described.get("TrainingEndTime"):
            ended[training] = described
        found.append(described)
    clusters = [_instances(training["ResourceConfig"]) for training in found]
    instance, count = " + ".join(sorted({each for each, _ in clusters})), 1
    if len(set(clusters)) == 1:
        count = clusters[0][1]
    # Jobs of different clusters bill like one instance for all of their instance-seconds.
    weights = [own / count for _, own in clusters]
    seconds = [billed_seconds(training)[0] for training in found]
    trained = [
        training.get("TrainingTimeInSeconds", own) for training, own in zip(found, seconds, strict=True)
    ]
    return {
        "BillableTimeInSeconds": sum(map(mul, seconds, weights)),
        "TrainingTimeInSeconds": sum(map(mul, trained, weights)),
        "ResourceConfig": {"InstanceType": instance, "InstanceCount": count},
        "InputDataConfig": job.get("TrainingJobDefinition", {}).get("InputDataConfig", []),
        "ModelArtifacts": next(
            (t.get("ModelArtifacts", {}) for t in found if t.get("TrainingJobName") == best), {}
        ),
    }
