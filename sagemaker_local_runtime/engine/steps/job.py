"""Processing, training and transform steps.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateProcessingJob.html
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTrainingJob.html
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTransformJob.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sagemaker_local_runtime.engine.known import first_problem, known
from sagemaker_local_runtime.engine.steps.base import StepOutcome, StepRun
from sagemaker_local_runtime.jobs.kinds import JobKind
from sagemaker_local_runtime.jobs.processing import ProcessingProgram
from sagemaker_local_runtime.jobs.program import JobProgram
from sagemaker_local_runtime.jobs.training import TrainingProgram
from sagemaker_local_runtime.jobs.transform import TransformProgram
from sagemaker_local_runtime.services.experiments import Experiments
from sagemaker_local_runtime.validation import validate

# How a job's FailureReason begins, and the exception type that retry policies match.
# https://docs.aws.amazon.com/sagemaker/latest/dg/pipelines-retry-policy.html
_FAILURE_TYPES = {
    "InternalServerError": "SageMaker.JOB_INTERNAL_ERROR",
    "CapacityError": "SageMaker.CAPACITY_ERROR",
    "ResourceLimitExceeded": "SageMaker.RESOURCE_LIMIT",
}


_PROGRAMS: Mapping[JobKind, type[JobProgram]] = {
    program.kind: program for program in (ProcessingProgram, TrainingProgram, TransformProgram)
}


class JobExecutor:
    """Runs the job that a step's arguments request.

    :param kind: the kind of job.
    """

    def __init__(self, kind: JobKind) -> None:
        self.step_type = kind.step_type
        self._kind = kind

    def run(self, step_run: StepRun) -> StepOutcome:
        """Start the job, wait until it has ended, and report how.

        :raises AwsError: the job is refused.
        """
        return run_job(step_run, self._kind, lambda arn: {self._kind.prefix: {"Arn": arn}})


def run_job(step_run: StepRun, kind: JobKind, metadata_of: Callable[[str], dict[str, Any]]) -> StepOutcome:
    """Start the job that a step's arguments request, wait until it has ended, and report how.

    :param kind: the kind of job.
    :param metadata_of: returns the step's metadata, given the ARN of the job.
    :raises AwsError: the job is refused.
    """
    jobs = step_run.services.jobs
    name = step_run.resource_name(kind.name_field)
    arguments = step_run.with_role("RoleArn") if kind.needs_role else step_run.arguments
    arguments = arguments | _experiment_config(step_run)
    arn = jobs.create(
        kind.kind,
        validate(f"Create{kind.prefix}", {**arguments, kind.name_field: name}),
        pipeline_execution_arn=step_run.execution["PipelineExecutionArn"],
        step_name=step_run.name,
    )
    metadata = metadata_of(arn)
    # A job that is not recorded would go on although its step has failed.
    step_run.services.account.store.persist(lambda: step_run.record(metadata))
    job = jobs.wait(kind.kind, name, step_run.stop)
    return _outcome(job, kind, metadata, stopped=step_run.stop.is_set())


def job_problems(kind: JobKind, step: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the request for a step's job, before it is resolved."""
    return first_problem(_PROGRAMS[kind].checks(known(step["Arguments"])))


def _experiment_config(step_run: StepRun) -> dict[str, Any]:
    """Return the argument that puts the job into the execution's trial, if the pipeline has an experiment."""
    names = step_run.execution.get("PipelineExperimentConfig")
    if not names:
        return {}
    # A restart of the local runtime forgets experiments.
    Experiments(step_run.services.account).ensure(names)
    own = step_run.arguments.get("ExperimentConfig") or {}
    return {"ExperimentConfig": {"TrialComponentDisplayName": step_run.name, **own, **names}}


def _outcome(job: dict[str, Any], kind: JobKind, metadata: dict[str, Any], *, stopped: bool) -> StepOutcome:
    status = job[kind.status_field]
    if status == "Completed":
        return StepOutcome(status="Succeeded", metadata=metadata, properties=job)
    if status == "Stopped" and stopped:
        return StepOutcome(status="Stopped", metadata=metadata, properties=job)
    ended = f"The job ended as {_ended_as(job, status)}."
    reason = job.get("FailureReason") or job.get("ExitMessage") or ended
    return failed(reason, metadata=metadata, properties=job)


def failed(reason: str, *, metadata: dict[str, Any], properties: dict[str, Any]) -> StepOutcome:
    """Return the outcome of a step whose job has failed.

    :param reason: the job's FailureReason.
    :param metadata: the step's metadata.
    :param properties: the job's Describe answer.
    """
    return StepOutcome(
        status="Failed",
        metadata=metadata,
        properties=properties,
        failure_reason=f"ClientError: {reason}",
        failure_type=_FAILURE_TYPES.get(reason.partition(":")[0]),
    )


def _ended_as(job: dict[str, Any], status: str) -> str:
    secondary = job.get("SecondaryStatus", status)
    return status if secondary == status else f"{status} ({secondary})"
