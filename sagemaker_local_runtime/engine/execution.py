"""Start, stop, retry and update executions, and recover them after a crash."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from typing import Any

from sagemaker_local_runtime.engine.graph import Graph
from sagemaker_local_runtime.engine.pipelines import definition_of, find_pipeline, version_of
from sagemaker_local_runtime.engine.record import EXECUTION, STEP, ExecutionRecord
from sagemaker_local_runtime.engine.run import ExecutionRun
from sagemaker_local_runtime.engine.selective import selected_names
from sagemaker_local_runtime.engine.services import Services
from sagemaker_local_runtime.engine.starts import START_TOKEN, Starts
from sagemaker_local_runtime.exceptions import (
    AwsError,
    ResourceLimitError,
    ResourceNotFoundError,
    ValidationError,
)
from sagemaker_local_runtime.services.experiments import Experiments
from sagemaker_local_runtime.store import Document, Store
from sagemaker_pipelines.states import STOPPED_STATUSES, Phase, execution_phase, step_phase

logger = logging.getLogger(__name__)

INTERRUPTED = (
    "The local runtime ended while this was running. RetryPipelineExecution reruns what has not succeeded."
)
_SHUTDOWN_SECONDS = 10


class ExecutionService:
    """The executions of one runtime.

    Locks are acquired in this order: a run's own, this service's, the store's.

    :param services: what executions and their steps work with.
    """

    def __init__(self, services: Services) -> None:
        self.callbacks = services.callbacks
        self._services = services
        self._store = services.account.store
        self._starts = Starts(services)
        self._lock = threading.RLock()
        self._runs: dict[str, ExecutionRun] = {}
        self._closed = False

    def find(self, arn: str) -> Document:
        """Return the document of an execution.

        :raises ResourceNotFoundError: there is none.
        """
        document = self._store.get(EXECUTION, arn)
        if document is None:
            raise ResourceNotFoundError(f"Pipeline execution '{arn}' does not exist.")
        return document

    def running(self, pipeline_arn: str) -> list[str]:
        """Return the ARNs of a pipeline's executions that have not ended."""
        with self._lock:
            return [
                arn
                for arn, run in self._runs.items()
                if arn.startswith(f"{pipeline_arn}/") and not run.finishing
            ]

    def wait(self, arn: str, timeout: float | None = None) -> bool:
        """Wait until an execution has ended; return False if it has not after the timeout in seconds."""
        with self._lock:
            run = self._runs.get(arn)
        return run is None or run.ended.wait(timeout)

    def start(self, request: Mapping[str, Any]) -> str:
        """Start an execution and return its ARN; a repeated ``ClientRequestToken`` returns the first ARN.

        :param request: the request of ``StartPipelineExecution``.
        :raises AwsError: the pipeline, version, parameters, selection, token or quota do not allow it.
        """
        pipeline = find_pipeline(self._services.account, request["PipelineName"])
        known = self._starts.find_started(pipeline, request)
        if not known:
            # Outside of the lock, because it may build environments.
            self._services.jobs.preparation.prepare(self._starts.images(pipeline, request))
        with self._lock:
            known = self._starts.find_started(pipeline, request)
            if known:
                return known
            start = self._starts.prepare(pipeline, request)
            self._check_quota()
            self._starts.write(start, request)
            Experiments(self._services.account).ensure(start.execution.get("PipelineExperimentConfig") or {})
            ExecutionRecord(self._services, start.execution["PipelineExecutionArn"]).publish_start()
            self._run(start.execution, start.definition)
        return str(start.execution["PipelineExecutionArn"])

    def stop(self, arn: str, token: str) -> None:
        """Stop an execution; a repeated token has no effect.

        :raises ValidationError: it is not executing.
        """
        execution = self.find(arn)
        if token in execution.get("_stop_tokens", ()):
            return
        with self._lock:
            run = self._runs.get(arn)
        if run is None or not run.stop():
            status = self.find(arn)["PipelineExecutionStatus"]
            raise ValidationError(
                f"Cannot stop pipeline execution '{arn}' with status '{status}'. "
                "Only pipelines with 'Executing' status can be stopped."
            )
        self._store.update(EXECUTION, arn, _stop_tokens=[*execution.get("_stop_tokens", ()), token])

    def retry(self, arn: str, token: str, parallelism: Mapping[str, Any] | None = None) -> None:
        """Rerun the unsuccessful steps of a Failed or Stopped execution; a repeated token has no effect.

        :raises ValidationError: it is neither Failed nor Stopped.
        """
        with self._lock:
            execution = self.find(arn)
            tokens = execution.get("_retry_tokens", [])
            if token in tokens:
                return
            status = execution["PipelineExecutionStatus"]
            if status not in ("Failed", "Stopped"):
                raise ValidationError(
                    f"Cannot retry pipeline execution '{arn}' with status '{status}'. "
                    "Only pipelines with 'Failed' or 'Stopped' status can be retried."
                )
            self._check_quota()
            definition = definition_of(version_of(self._store, execution))
            changes = {"ParallelismConfiguration": dict(parallelism)} if parallelism else {}
            record = ExecutionRecord(self._services, arn)
            with self._store.transaction():
                self._forget_unfinished(execution, definition)
                execution = record.change_execution(
                    "Executing", FailureReason=None, _retry_tokens=[*tokens, token], **changes
                )
            self._run(execution, definition)

    def update(self, arn: str, changes: Mapping[str, Any]) -> None:
        """Set the display name, description or parallelism of an execution."""
        self.find(arn)
        execution = self._store.update(EXECUTION, arn, LastModifiedTime=time.time(), **changes)
        with self._lock:
            run = self._runs.get(arn)
        if run is not None and "ParallelismConfiguration" in changes:
            run.limit_steps(execution)

    def recover(self) -> None:
        """Mark what an earlier process left running as failed or stopped; called before the first request."""
        for execution in self._store.list(EXECUTION):
            status = execution["PipelineExecutionStatus"]
            if execution_phase(status).is_terminal:
                continue
            record = ExecutionRecord(self._services, execution["PipelineExecutionArn"])
            final = "Stopped" if status in STOPPED_STATUSES else "Failed"
            for step in record.steps():
                if not step_phase(step["StepStatus"]).is_terminal:
                    record.change_step(
                        step["StepName"], final, FailureReason=INTERRUPTED, EndTime=time.time()
                    )
            record.change_execution(final, FailureReason=INTERRUPTED)
            logger.warning("%s was running when the local runtime ended; it is now %s", record.arn, final)

    def shutdown(self) -> None:
        """Mark running executions as Failed and end their threads, within ten seconds."""
        with self._lock:
            self._closed = True
            runs = list(self._runs.values())
        self.callbacks.close()
        for run in runs:
            try:
                run.abandon(INTERRUPTED)
            except Exception:  # recover() will mark it
                logger.exception("%s could not be marked as Failed", run.arn)
        deadline = time.monotonic() + _SHUTDOWN_SECONDS
        for run in runs:
            run.join(deadline)

    def _check_quota(self) -> None:
        if self._closed:
            raise AwsError("The runtime is shutting down.", code="ServiceUnavailable", status=503)
        limit = self._services.account.settings.max_concurrent_executions
        used = sum(not run.finishing for run in self._runs.values())
        if used >= limit:
            raise ResourceLimitError(
                "The account-level service limit 'Maximum number of concurrent pipeline executions' is "
                f"{limit} Executions, with current utilization of {used} Executions and a request "
                "delta of 1 Executions. Wait for executions to end, or start the runtime with a higher limit."
            )

    def _run(self, execution: Document, definition: Mapping[str, Any]) -> None:
        arn = execution["PipelineExecutionArn"]
        self._runs[arn] = ExecutionRun(self._services, execution, definition, self._ended)
        self._runs[arn].start()

    def _ended(self, run: ExecutionRun) -> None:
        with self._lock:
            if self._runs.get(run.arn) is run:  # a retry may already have put its own run there
                del self._runs[run.arn]

    def _forget_unfinished(self, execution: Document, definition: Mapping[str, Any]) -> None:
        """Remove the steps that a retry reruns: the unsuccessful ones and all that follow them."""
        record = ExecutionRecord(self._services, execution["PipelineExecutionArn"])
        succeeded = {
            step["StepName"] for step in record.steps() if step_phase(step["StepStatus"]) is Phase.SUCCEEDED
        }
        graph = Graph(definition)
        config = execution.get("SelectiveExecutionConfig")
        if config:
            graph = graph.restricted_to(selected_names(config))
        kept: set[str] = set()
        for name, node in graph.nodes.items():
            if name in succeeded and node.upstream <= kept:
                kept.add(name)
            else:
                record.forget_step(name)
        for step in record.steps():
            parent = graph.nodes.get(step.get("IterationContext", {}).get("ParentStepName", ""))
            # A ForEach step that runs again skips its children that have succeeded with the same item.
            if parent and not (step["StepName"] in succeeded and parent.upstream <= kept):
                record.forget_step(step["StepName"])


def delete_executions(store: Store, pipeline_arn: str) -> None:
    """Remove the executions of a pipeline with everything that belongs to them."""
    with store.transaction():
        for execution in store.list(EXECUTION, parent=pipeline_arn):
            store.delete_children(STEP, execution["PipelineExecutionArn"])
        for kind in (EXECUTION, START_TOKEN, "step-cache"):
            store.delete_children(kind, pipeline_arn)
