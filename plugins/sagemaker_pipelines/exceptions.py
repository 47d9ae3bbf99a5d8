"""Errors of the SageMaker pipelines package.

::

    SageMakerPipelinesError
    ├── DefinitionError            a compiled definition cannot be read or used
    │   ├── InvalidDefinitionError the linter found problems; each names its step and the cure
    │   ├── PlaceholderError       a placeholder has no value, or an unusable one
    │   ├── MissingCodeError       S3 does not have the code that steps of the definition name
    │   └── GateError              no gate can be read from the definition
    ├── ParameterError             a pipeline parameter cannot be sent as it was given
    ├── SettingsError              an environment's settings are malformed or incomplete
    ├── AccessError                AWS could not be called for a long time; the message names the cure
    ├── EnvironmentConflictError   what would be deployed belongs to another environment
    ├── PromotionError             another environment must not get this definition or model package
    ├── UpsertError                other writers kept changing the pipeline while it was deployed
    ├── NoTaskStateStoreError      Airflow has no store where a task could keep what its next attempt needs
    ├── MissingDataError           S3 objects that an execution would read do not exist
    ├── IntervalError              a run has no valid interval, or it does not select a single partition
    ├── UnknownStatusError         AWS returned a status that is not in the table
    ├── UnreadableMessageError     a message in a queue is not a known event
    ├── AirflowRequestError        Airflow's REST API refused a request, or did not answer
    ├── ScheduleError              a schedule of EventBridge Scheduler cannot be created as requested
    ├── ModelPackageError          a model package does not exist, or its approval status does not fit
    │   └── SupersededError        the champion has changed since the package was compared with it
    ├── ExecutionError             an execution did not end well
    │   ├── ExecutionFailedError   it failed; the causes name step, reason and log
    │   ├── ExecutionRunningError  its outcome was requested before it had ended
    │   └── ExecutionStoppedError  somebody stopped it
    └── EvaluationError            the gate's metric or threshold cannot be read

Every error keeps its constructor's arguments in ``args``, so that it survives pickling between
Airflow's processes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sagemaker_pipelines.failures import FailureCause as FailureCause

# How many problems of a definition a message lists at most.
MAX_PROBLEMS = 50


class SageMakerPipelinesError(Exception):
    """The base class of all errors of this package."""


class DefinitionError(SageMakerPipelinesError):
    """A compiled definition cannot be read or used."""


class InvalidDefinitionError(DefinitionError):
    """The linter found problems in a definition.

    :param name: what was checked: a pipeline's name or a path.
    :param problems: the problems as text; each names its step and the cure.
    """

    def __init__(self, name: str, problems: Sequence[str]) -> None:
        super().__init__(name, tuple(problems))
        self.name = name
        self.problems = tuple(problems)

    def __str__(self) -> str:
        count = len(self.problems)
        listed = "".join(f"\n  - {problem}" for problem in self.problems[:MAX_PROBLEMS])
        rest = f"\n  - and {count - MAX_PROBLEMS:,} more" if count > MAX_PROBLEMS else ""
        return f"{self.name}: {count} problem{'s' if count != 1 else ''} in the definition:{listed}{rest}"


class PlaceholderError(DefinitionError):
    """A placeholder of the definition has no value, or one that cannot be used."""


class MissingCodeError(DefinitionError):
    """S3 does not have the code that steps of a definition name; nothing was deployed.

    :param missing: the step that needs it, by the S3 URI of the code.
    """

    def __init__(self, missing: Mapping[str, str]) -> None:
        super().__init__(dict(missing))
        self.missing = dict(missing)

    def __str__(self) -> str:
        listed = ", ".join(f"{uri} (step {step})" for uri, step in self.missing.items())
        return (
            f"The definition names code that S3 does not have: {listed}. Nothing was deployed. Upload it, "
            "correct the URI, or compile the pipeline, so that its code is uploaded with it."
        )


class GateError(DefinitionError):
    """No gate can be read from the definition."""


class ParameterError(SageMakerPipelinesError):
    """A pipeline parameter is unknown, missing, or has a value that does not fit.

    :param message: everything that is wrong, with the values seen and the cure.
    """


class SettingsError(SageMakerPipelinesError):
    """An environment's settings are malformed, or one that is needed is missing."""


class AccessError(SageMakerPipelinesError):
    """AWS could not be called for a long time; the message names the reason and the cure."""


class EnvironmentConflictError(SageMakerPipelinesError):
    """What would be deployed belongs to another environment; nothing was changed.

    :param what: the pipeline, or the prefix of a bucket.
    :param owner: the environment that owns it.
    :param environment: the environment that tried to deploy it.
    """

    def __str__(self) -> str:
        what, owner, environment = self.args
        name = owner.partition("@")[0]
        return (
            f"{what} belongs to the environment {owner!r}, but this is {environment!r}. "
            "Nothing was changed. Give each environment its own name_prefix. If both are the same "
            "environment, because its Airflow database was created again or two Airflows share it, use the "
            f'setting environment = "{name}" (below service_config.sagemaker in the extra of the connection, '
            "or in the settings file)."
        )


class PromotionError(SageMakerPipelinesError):
    """Another environment must not get this definition or model package; nothing was changed there."""


class UpsertError(SageMakerPipelinesError):
    """A pipeline could not be deployed, because other writers kept changing it at the same time."""


class NoTaskStateStoreError(SageMakerPipelinesError):
    """Airflow has no store where a task could keep what its next attempt needs.

    :param task_id: the task.
    """

    def __str__(self) -> str:
        return (
            f"{self.args[0]} did nothing: its context has no task_state_store, without which a retry would "
            "do everything a second time. Run it as a task of Airflow 3.3 or newer; if your code calls "
            "execute() itself, pass a task_state_store in the context."
        )


class MissingDataError(SageMakerPipelinesError):
    """S3 objects that an execution would read do not exist.

    :param missing: the S3 URI of each parameter whose object is missing, by parameter name.
    """

    def __init__(self, missing: Mapping[str, str]) -> None:
        super().__init__(dict(missing))
        self.missing = dict(missing)

    def __str__(self) -> str:
        listed = ", ".join(f"{name} = {uri}" for name, uri in sorted(self.missing.items()))
        return (
            f"Nothing is stored in S3 at {listed}. Nothing was started. Upload the data, or pass the "
            "correct URI as the pipeline parameter."
        )


class IntervalError(SageMakerPipelinesError):
    """A run has no valid interval, or it does not select a single partition; the message names the cure."""


class UnknownStatusError(SageMakerPipelinesError):
    """AWS returned a status that is not in the table of states.

    :param what: the kind of thing with this status: a pipeline execution or a step.
    :param status: the status seen.
    :param known: the statuses in the table.
    """

    def __str__(self) -> str:
        what, status, known = self.args
        return (
            f"The {what} has the status {status!r}; expected one of {', '.join(known)}. "
            "It does not count as a success. Check it in SageMaker, and update this package."
        )


class ExecutionError(SageMakerPipelinesError):
    """A pipeline execution did not end well.

    :param pipeline_execution_arn: the execution.
    :param status: its PipelineExecutionStatus, as AWS writes it.
    """

    def __init__(self, pipeline_execution_arn: str, status: str, *rest: Any) -> None:
        super().__init__(pipeline_execution_arn, status, *rest)
        self.pipeline_execution_arn = pipeline_execution_arn
        self.status = status

    @property
    def first_cause(self) -> FailureCause | None:
        """The step that failed first; None if no step did."""
        return None


class ExecutionFailedError(ExecutionError):
    """A pipeline execution failed.

    :param pipeline_execution_arn: the execution.
    :param status: Failed or CompletedWithFailures.
    :param reason: the execution's own FailureReason, which rarely says more than that a step failed.
    :param causes: why each failed step failed, in the order in which they failed.
    """

    def __init__(
        self, pipeline_execution_arn: str, status: str, reason: str | None, causes: Sequence[FailureCause]
    ) -> None:
        super().__init__(pipeline_execution_arn, status, reason, list(causes))
        self.reason = reason
        self.causes = list(causes)

    @property
    def first_cause(self) -> FailureCause | None:
        """The step that failed first; None if no step did."""
        return self.causes[0] if self.causes else None

    @property
    def can_be_retried(self) -> bool:
        """Whether RetryPipelineExecution may help; a Fail step would only make the same decision again."""
        return self.status == "Failed" and not any(cause.is_fail_step for cause in self.causes)

    def __str__(self) -> str:
        causes = (
            "".join(f"\n{cause}" for cause in self.causes) or f"\n{self.reason or 'AWS gives no reason.'}"
        )
        return f"{self.pipeline_execution_arn} ended as {self.status}: {causes.lstrip()}"


class ExecutionRunningError(ExecutionError):
    """The outcome of a pipeline execution was requested before it had ended."""

    def __str__(self) -> str:
        return (
            f"{self.pipeline_execution_arn} is still {self.status}; expected an execution that has ended. "
            "Wait for it first, with the sensor."
        )


class ExecutionStoppedError(ExecutionError):
    """A pipeline execution was stopped by somebody other than the task that watches it."""

    def __str__(self) -> str:
        return (
            f"{self.pipeline_execution_arn} is Stopped: somebody stopped it. To resume it, clear the task "
            "that waits for it, or use `sagemaker-pipelines retry`. To run the pipeline again from the "
            "beginning, clear the task that starts it, or start a new execution."
        )


class EvaluationError(SageMakerPipelinesError):
    """The gate's metric or its threshold cannot be read, so nothing is accepted."""


class UnreadableMessageError(SageMakerPipelinesError):
    """A message in a queue is not a known event."""


class AirflowRequestError(SageMakerPipelinesError):
    """Airflow's REST API refused a request, or did not answer.

    :param message: the request and the answer.
    :param status: the HTTP status; None if there was no answer.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message, status)
        self.message = message
        self.status = status

    def __str__(self) -> str:
        return self.message


class ScheduleError(SageMakerPipelinesError):
    """A schedule of EventBridge Scheduler cannot be created as requested."""


class ModelPackageError(SageMakerPipelinesError):
    """A model package does not exist, or its approval status does not fit."""


class SupersededError(ModelPackageError):
    """The champion has changed since a model package was compared with it; nothing was written."""
