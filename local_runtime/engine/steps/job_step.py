"""What the three job steps share: name the job, start it, wait, tell how it ended."""

from __future__ import annotations

from typing import Any

from local_runtime.engine.pipelines import find_pipeline
from local_runtime.engine.steps.base import StepOutcome, StepRun
from local_runtime.jobs.kinds import JobKind
from local_runtime.validation import validate

# How a job's FailureReason begins, and the exception type that retry policies match.
# https://docs.aws.amazon.com/sagemaker/latest/dg/pipelines-retry-policy.html
_FAILURE_TYPES = {
    "InternalServerError": "SageMaker.JOB_INTERNAL_ERROR",
    "CapacityError": "SageMaker.CAPACITY_ERROR",
    "ResourceLimitExceeded": "SageMaker.RESOURCE_LIMIT",
}
_LONGEST_NAME = 63


def run_job_step(step_run: StepRun, kind: JobKind) -> StepOutcome:
    """Run a step's job to its end.

    :param step_run: the step; its arguments are the Create request.
    :param kind: which kind of job.
    :raises AwsError: the job is refused.
    """
    jobs = step_run.services.jobs
    name = own_name(step_run, kind.name_field)
    arguments = step_run.arguments if kind.kind == "transform" else with_role(step_run, "RoleArn")
    arn = jobs.create(
        kind.kind,
        validate(f"Create{kind.prefix}", {**arguments, kind.name_field: name}),
        pipeline_execution_arn=step_run.execution["PipelineExecutionArn"],
        step_name=step_run.name,
    )
    metadata = {kind.prefix: {"Arn": arn}}
    # A job that is not recorded would go on although its step has failed.
    step_run.services.account.store.persist(lambda: step_run.record(metadata))
    job = jobs.wait(kind.kind, name, step_run.stop)
    return _outcome(job, kind, metadata, stopped=step_run.stop.is_set())


def own_name(step_run: StepRun, field: str) -> str:
    """Return the name of the attempt's job or resource.

    A definition with custom prefixes names the job itself; the attempt's random part makes it unique.
    """
    prefix = step_run.arguments.get(field)
    if not prefix:
        return step_run.job_name
    unique = f"{step_run.execution_id}-{step_run.job_name.rpartition('-')[2]}"
    return f"{str(prefix)[: _LONGEST_NAME - len(unique) - 1]}-{unique}"


def with_role(step_run: StepRun, field: str) -> dict[str, Any]:
    """Return a step's arguments, with the pipeline's role where they name none.

    https://docs.aws.amazon.com/sagemaker/latest/dg/build-and-manage-access.html

    :param field: the argument that names the role.
    """
    if step_run.arguments.get(field):
        return step_run.arguments
    pipeline = find_pipeline(step_run.services.account, step_run.execution["PipelineArn"])
    return {**step_run.arguments, field: pipeline["RoleArn"]}


def _outcome(job: dict[str, Any], kind: JobKind, metadata: dict[str, Any], *, stopped: bool) -> StepOutcome:
    status = job[kind.status_field]
    if status == "Completed":
        return StepOutcome(status="Succeeded", metadata=metadata, properties=job)
    if status == "Stopped" and stopped:
        return StepOutcome(status="Stopped", metadata=metadata, properties=job)
    ended = f"The job ended as {_ended_as(job, status)}."
    reason = job.get("FailureReason") or job.get("ExitMessage") or ended
    return StepOutcome(
        status="Failed",
        metadata=metadata,
        properties=job,
        failure_reason=f"ClientError: {reason}",
        failure_type=_FAILURE_TYPES.get(reason.partition(":")[0]),
    )


def _ended_as(job: dict[str, Any], status: str) -> str:
    secondary = job.get("SecondaryStatus", status)
    return status if secondary == status else f"{status} ({secondary})"
