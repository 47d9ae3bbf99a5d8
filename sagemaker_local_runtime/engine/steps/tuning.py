"""Tuning steps.

https://docs.aws.amazon.com/sagemaker/latest/dg/build-and-manage-steps-types.html#step-type-tuning
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from itertools import chain
from typing import Any

from sagemaker_local_runtime.engine.known import first_problem, known
from sagemaker_local_runtime.engine.steps.base import StepOutcome, StepRun
from sagemaker_local_runtime.engine.steps.job import failed
from sagemaker_local_runtime.jobs.training import TrainingProgram
from sagemaker_local_runtime.tuning.plan import checks
from sagemaker_local_runtime.tuning.strategies import check_installed
from sagemaker_local_runtime.tuning.summaries import best_first
from sagemaker_local_runtime.validation import validate

# "tuning step stores up to 50 top performing training jobs": get_top_model_s3_uri of the SDK's TuningStep.
_TOP = 50
#: The longest name of a tuning job.
_MAX_NAME = 32


class TuningExecutor:
    """Runs the tuning job that a step's arguments request."""

    step_type = "Tuning"

    def run(self, step_run: StepRun) -> StepOutcome:
        """Start the tuning job, wait until it has ended, and report how.

        :raises AwsError: the tuning job is refused.
        """
        tuning = step_run.services.tuning
        name = step_run.resource_name("HyperParameterTuningJobName", longest=_MAX_NAME)
        arn = tuning.create(
            validate("CreateHyperParameterTuningJob", _request(step_run, name)),
            pipeline_execution_arn=step_run.execution["PipelineExecutionArn"],
            step_name=step_run.name,
        )
        metadata = {"TuningJob": {"Arn": arn}}
        # A tuning job that is not recorded would go on although its step has failed.
        step_run.services.account.store.persist(lambda: step_run.record(metadata))
        job = tuning.wait(name, step_run.stop)
        status = job["HyperParameterTuningJobStatus"]
        if status == "Completed":
            return StepOutcome(status="Succeeded", metadata=metadata, properties=_properties(step_run, job))
        if status == "Stopped" and step_run.stop.is_set():
            return StepOutcome(status="Stopped", metadata=metadata, properties=job)
        reason = job.get("FailureReason") or f"The job ended as {status}."
        return failed(reason, metadata=metadata, properties=job)


def problems(step: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with a Tuning step, before it is resolved."""
    request = known(step["Arguments"])
    definition = request.get("TrainingJobDefinition")
    strategy = request["HyperParameterTuningJobConfig"]["Strategy"]
    return first_problem(
        chain(
            checks(request),
            [partial(check_installed, strategy)],
            TrainingProgram.checks(definition) if definition else (),
        )
    )


def _request(step_run: StepRun, name: str) -> dict[str, Any]:
    definition = step_run.arguments.get("TrainingJobDefinition")
    if isinstance(definition, dict) and not definition.get("RoleArn"):
        definition = {**definition, "RoleArn": step_run.pipeline_role()}
    given = {"TrainingJobDefinition": definition} if definition else {}
    return {**step_run.arguments, **given, "HyperParameterTuningJobName": name}


def _properties(step_run: StepRun, job: dict[str, Any]) -> dict[str, Any]:
    """Return what references can read: the description and the best training jobs, the best one first."""
    config = job["HyperParameterTuningJobConfig"]
    objective = (
        config.get("HyperParameterTuningJobObjective") or job["TrainingJobDefinition"]["TuningObjective"]
    )
    summaries = step_run.services.tuning.training_jobs(job["HyperParameterTuningJobName"])
    ordered = best_first(summaries, minimize=objective["Type"] == "Minimize")
    return {**job, "TrainingJobSummaries": ordered[:_TOP]}
