"""The actions on hyperparameter tuning jobs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sagemaker_local_runtime.api.paging import arranged, page, pick, select
from sagemaker_local_runtime.api.registry import Request, Response, action
from sagemaker_local_runtime.runtime import Runtime
from sagemaker_local_runtime.tuning.summaries import final_value

_NAME, _STATUS = "HyperParameterTuningJobName", "HyperParameterTuningJobStatus"
_SUMMARY = (
    _NAME,
    "HyperParameterTuningJobArn",
    _STATUS,
    "CreationTime",
    "HyperParameterTuningEndTime",
    "LastModifiedTime",
    "TrainingJobStatusCounters",
    "ObjectiveStatusCounters",
)


@action("CreateHyperParameterTuningJob")
def create_hyper_parameter_tuning_job(runtime: Runtime, request: Request) -> Response:
    """Start a tuning job and return its ARN immediately."""
    return {"HyperParameterTuningJobArn": runtime.tuning.create(request)}


@action("DescribeHyperParameterTuningJob")
def describe_hyper_parameter_tuning_job(runtime: Runtime, request: Request) -> Response:
    """Describe a tuning job with its counters and its best training job."""
    return runtime.tuning.describe(request[_NAME])


@action("StopHyperParameterTuningJob")
def stop_hyper_parameter_tuning_job(runtime: Runtime, request: Request) -> Response:
    """Stop a tuning job and its training jobs."""
    runtime.tuning.stop(request[_NAME])
    return {}


@action("DeleteHyperParameterTuningJob")
def delete_hyper_parameter_tuning_job(runtime: Runtime, request: Request) -> Response:
    """Delete the record of an ended tuning job."""
    runtime.tuning.delete(request[_NAME])
    return {}


@action("ListHyperParameterTuningJobs")
def list_hyper_parameter_tuning_jobs(runtime: Runtime, request: Request) -> Response:
    """List tuning jobs, newest first by default."""
    items = select(runtime.tuning.list(), request, name=_NAME, status=_STATUS)
    found, following = page(items, request, key=_NAME)
    return {"HyperParameterTuningJobSummaries": [_summary(job) for job in found], **following}


@action("ListTrainingJobsForHyperParameterTuningJob")
def list_training_jobs_for_hyper_parameter_tuning_job(runtime: Runtime, request: Request) -> Response:
    """List the training jobs of a tuning job; by their objective metric, those without one are left out."""
    jobs = runtime.tuning.training_jobs(request[_NAME])
    wanted, by = request.get("StatusEquals"), request.get("SortBy", "Name")
    jobs = [job for job in jobs if wanted in (None, job["TrainingJobStatus"])]
    if by == "FinalObjectiveMetricValue":
        jobs = [job for job in jobs if final_value(job) is not None]
    items = arranged(jobs, request, _ORDERS[by], order="Ascending")
    found, following = page(items, request, key="TrainingJobName")
    return {"TrainingJobSummaries": found, **following}


_ORDERS: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
    "Name": lambda job: job["TrainingJobName"],
    "CreationTime": lambda job: job["CreationTime"],
    "Status": lambda job: (job["TrainingJobStatus"], job["CreationTime"]),
    "FinalObjectiveMetricValue": final_value,
}


def _summary(job: Mapping[str, Any]) -> dict[str, Any]:
    config = job["HyperParameterTuningJobConfig"]
    return {
        **pick(job, _SUMMARY),
        "Strategy": config["Strategy"],
        "ResourceLimits": config["ResourceLimits"],
    }
