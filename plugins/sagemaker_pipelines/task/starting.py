"""One attempt of a logical start: it sends the request, or finds what an earlier attempt has begun."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowException
from botocore.exceptions import ClientError

from sagemaker_pipelines import measures
from sagemaker_pipelines.aws.errors import is_missing, is_transient
from sagemaker_pipelines.aws.stopping import stop_execution
from sagemaker_pipelines.exceptions import NoTaskStateStoreError, ParameterError
from sagemaker_pipelines.states import EXECUTING, STOPPED_STATUSES, Phase, execution_phase
from sagemaker_pipelines.task.logical_start import LogicalStart
from sagemaker_pipelines.task.records import StartRecord, Witness
from sagemaker_pipelines.task.requests import with_secrets, without_secrets
from sagemaker_pipelines.task.resuming import resume_execution, settled_status
from sagemaker_pipelines.task.sweeping import AirflowRuns

if TYPE_CHECKING:
    from airflow.sdk import Context

    from sagemaker_pipelines.airflow_internals import Logger
    from sagemaker_pipelines.aws.client import SageMakerClient

# The clocks of workers and of AWS differ. The generation decides; this only limits the search.
CLOCK_SKEW = timedelta(minutes=15)
_RESUMABLE = (Phase.FAILED, Phase.STOPPED)
# How long a start waits for the execution that it replaces to stop.
STOP_SECONDS = 20.0


class StartAttempt:
    """One attempt of a logical start: it sends the request, or finds what an earlier attempt has begun.

    The request is stored before the first call, so that every later attempt sends the same request with the
    same token. Only the values of secrets are not stored; they have to be given again. SageMaker may have
    forgotten the token by then, so a later attempt first looks for the execution by its generation.

    :param context: the running task's context.
    :param client: the client that calls AWS.
    :param log: where to log.
    :ivar record: the start, once it is prepared.
    :ivar is_retry: whether an earlier attempt belongs to the same start; after :meth:`send`, whether an
        earlier attempt began the execution.
    """

    def __init__(self, context: Context, client: SageMakerClient, log: Logger) -> None:
        self._context = context
        self._client = client
        self._log = log
        self._make_request: Callable[[LogicalStart], dict[str, Any]] | None = None
        self._sent: dict[str, Any] | None = None
        self.record: StartRecord | None = None
        self.is_retry = False

    def prepare(self, make_request: Callable[[LogicalStart], dict[str, Any]]) -> None:
        """Continue the start of the earlier attempts, or begin a new one.

        :param make_request: called for a new start; all its attempts send what it returns. A later attempt
            calls it again if it has to send secrets, whose values are not stored.
        :raises NoTaskStateStoreError: Airflow has no task state store for the request.
        """
        self._make_request = make_request
        if self._context.get("task_state_store") is None:
            raise NoTaskStateStoreError(self._context["ti"].task_id)
        witness = Witness.of(self._context)
        earlier = StartRecord.load(self._context)
        if earlier is not None and not earlier.ended:
            # Set before AWS is called: a kill during the call stops what the earlier attempts have begun.
            self.record, self.is_retry = earlier, True
        if earlier is not None and not earlier.was_cleared(
            witness, was_stopped=self._was_stopped, is_unwatched=self._is_unwatched
        ):
            self.is_retry = True
            self.record = earlier.save(self._context, witness=witness, ended=False, succeeded=False)
            return
        start = LogicalStart.new(self._context)
        request = make_request(start)
        if "PipelineExecutionArn" in request:
            if earlier is not None and earlier.resumes(request):
                # A clear does not begin another execution here: it continues the same one, as it does for a
                # wait.
                self.is_retry = True
                self.record = earlier.save(self._context, witness=witness, ended=False, succeeded=False)
                return
            self._check_resumable(request["PipelineExecutionArn"])
        record = StartRecord(
            generation=start.generation,
            request=without_secrets(request),
            witness=witness,
            replaced=earlier and earlier.left_to_stop(is_unwatched=self._is_unwatched),
        )
        self.record, self.is_retry = record.save(self._context), False

    def stop_replaced(self) -> None:
        """Stop what the start before a user's clear left running, before another one begins.

        The killed attempt normally does that itself. This is for an attempt that could not, because its
        trigger cannot distinguish a task that was cleared and waits again from one that was never cleared.

        :raises AirflowException: SageMaker did not confirm the stop in time. The next attempt asks again.
        """
        replaced = self._prepared().replaced
        if replaced is None:
            return
        arn = replaced.pipeline_execution_arn or replaced.request.get("PipelineExecutionArn")
        arn = arn or self.find(replaced)
        if arn is not None and self._is_left_running(arn):
            self._log.info("This start replaces %s", arn)
            stopped = stop_execution(self._client.sagemaker, arn, seconds=STOP_SECONDS, log=self._log)
            if not stopped and self._client.execution_status(arn) == EXECUTING:
                raise AirflowException(
                    f"{arn} is Executing and could not be stopped. This start replaces it, and begins "
                    "nothing while it is running. The next attempt stops it again; or stop it in SageMaker."
                )
        self.forget_replaced()

    def forget_replaced(self) -> None:
        """Record that nothing of the start before a user's clear is left to stop."""
        self.record = self._prepared().save(self._context, replaced=None)

    def send(self, before_call: Callable[[], None] = lambda: None) -> str:
        """Return the ARN of the start's one execution.

        :param before_call: called before an execution is begun; it may prevent that by raising.
        """
        record = self._prepared()
        if record.pipeline_execution_arn is not None:
            self._log.info("An earlier attempt started %s", record.pipeline_execution_arn)
            return record.pipeline_execution_arn
        arn = self.find(record) if self.is_retry else None
        if arn is None:
            before_call()
            arn = self._call(record)
        self.record = record.save(self._context, pipeline_execution_arn=arn)
        return arn

    def succeed(self) -> None:
        """Record that the start has succeeded: its execution has ended, or another task now watches it."""
        self.record = self._prepared().save(self._context, ended=True, succeeded=True)

    def find(self, record: StartRecord, *, sagemaker: Any = None) -> str | None:
        """Return the ARN of the execution that a start has begun, by its generation; None if there is none.

        :param sagemaker: the boto3 client to use; None uses the usual one.
        """
        if "PipelineName" not in record.request:
            return None
        arn = self._client.find_execution(
            record.request["PipelineName"],
            generation=record.generation,
            created_after=datetime.fromisoformat(record.created_at) - CLOCK_SKEW,
            sagemaker=sagemaker,
        )
        if arn is not None:
            self._log.info("An earlier attempt started %s, and ended before it saw the answer", arn)
        return arn

    def find_when_killed(self, sagemaker: Any) -> str | None:
        """Return the ARN of what this attempt or an earlier one has begun; None if neither began anything.

        A start is sent once more, with the same token, only if its call is already on its way. This runs in
        a signal handler, so it does not ask Airflow and does not use the usual client.

        :param sagemaker: a boto3 client of SageMaker.
        """
        arn = self._begun_when_killed(sagemaker)
        if arn is None:
            return None
        try:
            described = sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
        except ClientError as error:
            if is_transient(error):
                raise
            # Whoever may not look may still stop.
            return arn
        return arn if self._is_of_this_run(described) else None

    def _begun_when_killed(self, sagemaker: Any) -> str | None:
        if self.record is None:
            return None
        # Nothing is sent for a start while another execution has yet to be stopped for it.
        record = self.record.replaced or self.record
        if record.pipeline_execution_arn is not None:
            return record.pipeline_execution_arn
        if not (self._sent or self.is_retry or self.record.replaced):
            return None
        request = record.request
        if "PipelineName" not in request:
            return str(request["PipelineExecutionArn"])
        arn = self.find(record, sagemaker=sagemaker)
        if arn is None and self._sent:
            # The call is on its way: the token makes SageMaker answer both with the same execution.
            arn = str(sagemaker.start_pipeline_execution(**self._sent)["PipelineExecutionArn"])
        return arn

    def _was_stopped(self, record: StartRecord) -> bool:
        """Return whether Airflow killed an attempt of the start, which stops its execution."""
        arn = record.pipeline_execution_arn or self.find(record)
        if arn is None:
            return False
        return self._client.execution_status(arn) in STOPPED_STATUSES

    def _is_unwatched(self, arn: str) -> bool:
        """Return whether an execution was left running and no task of the run watches it.

        This is so if the start was cleared before the wait began, or if Airflow never heard of its success.
        """
        if not self._is_left_running(arn):
            return False
        return not AirflowRuns(self._context["ti"]).is_watched(LogicalStart.new(self._context), arn)

    def _is_left_running(self, arn: str) -> bool:
        """Return whether an execution is running, and nobody else has resumed it in the meantime."""
        try:
            described = self._client.describe_execution(arn)
        except ClientError as error:
            # It was deleted with its pipeline.
            if not is_missing(error):
                raise
            return False
        return described["PipelineExecutionStatus"] == EXECUTING and self._is_of_this_run(described)

    def _is_of_this_run(self, described: Mapping[str, Any]) -> bool:
        """Return whether an execution belongs to this run; whoever resumes it takes it over."""
        description = described.get("PipelineExecutionDescription", "")
        owner, ti = LogicalStart.parse(description), self._context["ti"]
        if owner is not None and (owner.dag_id, owner.run_id) == (ti.dag_id, ti.run_id):
            return True
        self._log.info("The execution no longer belongs to this run. Its description: %s", description[:300])
        return False

    def _check_resumable(self, arn: str) -> None:
        """Refuse what cannot be resumed, so that only an attempt of this start can have resumed it later."""
        status = settled_status(self._client, arn, self._log)
        if execution_phase(status) not in _RESUMABLE:
            raise _not_resumable(arn, status)

    def _call(self, record: StartRecord) -> str:
        request = with_secrets(record.request, self._request_now)
        # From here on, a kill sends it too.
        self._sent = request
        if "PipelineName" in request:
            arn = self._client.start_execution(request)
            measures.count("starts", arn)
            # The earlier attempt was postponed by a quota or ended before its call: it began nothing.
            self.is_retry = False
            return arn
        arn = str(request["PipelineExecutionArn"])
        described = self._client.describe_execution(arn)
        status = described["PipelineExecutionStatus"]
        if execution_phase(status) in _RESUMABLE:
            token = request["ClientRequestToken"]
            resume_execution(self._client, arn, token=token, description=self._owner(record, described))
        elif not (self.is_retry and self._is_of_this_run(described)):
            # No earlier attempt has resumed it: another run was faster.
            raise _not_resumable(arn, status)
        return arn

    def _request_now(self) -> dict[str, Any]:
        """Return the request that a new start would send."""
        if self._make_request is None:
            raise RuntimeError("prepare() comes first")
        return self._make_request(LogicalStart.new(self._context))

    def _owner(self, record: StartRecord, described: Mapping[str, Any]) -> str:
        """Return the description of the execution that this start resumes.

        The generation stays the same, because the start that began the execution finds it by that.
        """
        own = str(record.request["PipelineExecutionDescription"])
        known = LogicalStart.parse(described.get("PipelineExecutionDescription"))
        return own if known is None else own.replace(record.generation, known.generation, 1)

    def _prepared(self) -> StartRecord:
        if self.record is None:
            raise RuntimeError("prepare() comes first")
        return self.record


def _not_resumable(arn: str, status: str) -> ParameterError:
    return ParameterError(
        f"source_execution_arn is {arn}, which is {status}. Only an execution that is Failed or Stopped can "
        "be resumed. Choose another one, or run some of its steps again with selected_steps or from_step."
    )


def mark_succeeded(context: Context) -> None:
    """Record that a start that waited in the triggerer has succeeded."""
    record = StartRecord.load(context)
    if record is not None:
        record.save(context, ended=True, succeeded=True)
