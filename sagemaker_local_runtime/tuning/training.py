"""The training jobs of one tuning job."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sagemaker_local_runtime.exceptions import ValidationError
from sagemaker_local_runtime.jobs import JobService
from sagemaker_local_runtime.tuning.plan import Plan
from sagemaker_local_runtime.tuning.summaries import objective_of
from sagemaker_local_runtime.tuning.tuner import Result
from sagemaker_local_runtime.validation import validate


def check_training(jobs: JobService, plan: Plan, tuning_job: str) -> None:
    """Refuse, before the tuning job exists, what every one of its training jobs would be refused for.

    :param jobs: would run them.
    :param plan: what the tuning job does.
    :param tuning_job: its name.
    :raises AwsError: the training jobs would be refused, or do not define the objective metric.
    """
    first = {item.name: item.at(0.0) for item in plan.ranges}
    request = plan.training_request(_training_name(tuning_job, 1), first)
    jobs.check("training", validate("CreateTrainingJob", request))
    algorithm = plan.definition["AlgorithmSpecification"]
    defined = {item["Name"] for item in algorithm.get("MetricDefinitions", ())}
    has_own_metrics = jobs.images.find(algorithm["TrainingImage"]).train_module is not None
    if not has_own_metrics and plan.metric not in defined:
        # https://github.com/aws/sagemaker-python-sdk/issues/3932
        raise ValidationError(
            "A metric is required for this hyperparameter tuning job objective. Provide a metric in the "
            "metric definitions."
        )


@dataclass(frozen=True, kw_only=True)
class TrainingJobs:
    """Run the training jobs of a tuning job.

    :param jobs: runs them.
    :param plan: what the tuning job does.
    :param tuning_job_arn: the tuning job.
    :param tags: the tags of its request.
    :param pipeline_execution_arn: the execution that it belongs to, or None.
    :param step_name: the step that it belongs to, or None.
    :param started: called with the name of each training job that was created.
    """

    jobs: JobService
    plan: Plan
    tuning_job_arn: str
    tags: list[Mapping[str, str]]
    pipeline_execution_arn: str | None
    step_name: str | None
    started: Callable[[str], None]

    def run(self, number: int, values: Mapping[str, str], halt: threading.Event) -> Result:
        """Run one training job to its end.

        :param number: counts the training jobs from 1.
        :param values: the hyperparameters that it tries.
        :param halt: stops it when it is set.
        :raises AwsError: it was refused.
        """
        name = _training_name(self.tuning_job_arn.rpartition("/")[2], number)
        request: dict[str, Any] = {**self.plan.training_request(name, values), "Tags": self.tags}
        self.jobs.create(
            "training",
            {**validate("CreateTrainingJob", request), "TuningJobArn": self.tuning_job_arn},
            pipeline_execution_arn=self.pipeline_execution_arn,
            step_name=self.step_name,
        )
        self.started(name)
        job = self.jobs.wait("training", name, halt)
        return Result(job["TrainingJobStatus"] == "Completed", objective_of(job, self.plan.metric))


def _training_name(tuning_job: str, number: int) -> str:
    """Return the name of a training job as SageMaker forms it: ``<tuning job>-001-1a2b3c4d``."""
    return f"{tuning_job}-{number:03d}-{secrets.token_hex(4)}"
