"""Publish the record of an execution: to XCom, the log, Airflow's metrics and traces, and OpenLineage."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from sagemaker_pipelines import measures
from sagemaker_pipelines.aws.client import SageMakerClient
from sagemaker_pipelines.aws.record import ExecutionRecord, execution_record
from sagemaker_pipelines.exceptions import FailureCause
from sagemaker_pipelines.task.killing import KillMixin
from sagemaker_pipelines.task.records import WaitRecord

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import Context

    from sagemaker_pipelines.airflow_internals import RuntimeTaskInstanceProtocol

#: XCom key of the record of the execution.
XCOM_EXECUTION = "execution"


class ExecutionRecordMixin(KillMixin):
    """Let a task publish the record of the execution that it has waited for."""

    # The record in XCom, once it is pushed.
    _pushed: dict[str, Any] | None = None

    @property
    def client(self) -> SageMakerClient:
        """The client that calls AWS."""
        return self.pipeline_hook.client

    def publish(
        self,
        context: Context,
        pipeline_execution_arn: str,
        *,
        rejected: bool = False,
        cause: FailureCause | None = None,
    ) -> None:
        """Push the record of the execution, and log it; a wait does not fail if it cannot be read."""
        try:
            known = WaitRecord.load(context)
            record = execution_record(
                self.client,
                pipeline_execution_arn,
                rejected=rejected,
                resumes=known.resumes if known is not None else None,
                cause=cause,
                earlier=known.earlier if known is not None else {},
            )
        except (ClientError, BotoCoreError) as error:
            self.log.warning("Cannot read the record of %s: %s", pipeline_execution_arn, error)
            return
        for line in record.lines():
            self.log.info("%s", line)
        self._measure(context, record)
        self._pushed = self.pipeline_hook.masked(record.as_dict())
        context["ti"].xcom_push(key=XCOM_EXECUTION, value=self._pushed)

    def get_openlineage_facets_on_complete(
        self, task_instance: RuntimeTaskInstanceProtocol
    ) -> OperatorLineage[Any, Any] | None:
        """Return the lineage of the execution, and emit a child run for each of its steps.

        OpenLineage's listener calls it, also if the task failed. It does not call AWS.

        :param task_instance: the task.
        :return: None if the task has not waited for an execution, or could not read its record.
        """
        if self._pushed is None:
            return None
        # Its provider is optional, and is there if this is called.
        from sagemaker_pipelines.lineage import execution_lineage

        return execution_lineage(task_instance, self._pushed)

    def _measure(self, context: Context, record: ExecutionRecord) -> None:
        """Report the duration, what was billed since the last attempt reported it, and the steps."""
        arn = record.pipeline_execution_arn
        measures.trace_steps(arn, record.steps)
        if record.started is not None and record.ended is not None:
            began, ended = map(datetime.fromisoformat, (record.started, record.ended))
            measures.duration("executions.duration", arn, (ended - began).total_seconds())
        wait = WaitRecord.load(context)
        if wait is not None and record.instance_seconds is not None:
            billed = round(record.instance_seconds)
            measures.count("instance_seconds", arn, max(0, billed - wait.reported_instance_seconds))
            wait.save(context, reported_instance_seconds=max(billed, wait.reported_instance_seconds))
