"""Run one execution: decide which step starts when, and how the execution ends."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sagemaker_local_runtime.engine.children import StepResult
from sagemaker_local_runtime.engine.graph import Graph, Node
from sagemaker_local_runtime.engine.parameters import typed_values
from sagemaker_local_runtime.engine.record import STEP_FAILURE, ExecutionRecord
from sagemaker_local_runtime.engine.selective import selected_names
from sagemaker_local_runtime.engine.services import Services
from sagemaker_local_runtime.engine.step_runner import StepRunner
from sagemaker_local_runtime.engine.steps.base import StepOutcome
from sagemaker_local_runtime.store import Document
from sagemaker_pipelines.definition import iter_steps
from sagemaker_pipelines.states import Phase, execution_phase, step_phase

logger = logging.getLogger(__name__)


class ExecutionRun:
    """Run one execution. Every step has a thread, and the thread of a step that ends starts the next steps.

    :param services: what its steps work with.
    :param execution: the execution's document.
    :param definition: the definition that it runs.
    :param on_end: called once, after the execution has its final status.
    """

    def __init__(
        self,
        services: Services,
        execution: Document,
        definition: Mapping[str, Any],
        on_end: Callable[[ExecutionRun], None],
    ) -> None:
        self.arn: str = execution["PipelineExecutionArn"]
        self.ended = threading.Event()
        self.finishing = False
        self._record = ExecutionRecord(services, self.arn)
        self._persist = services.account.store.persist
        self._on_end = on_end
        self._lock = threading.RLock()
        self._threads: dict[str, threading.Thread] = {}
        self._stops: dict[str, threading.Event] = {}
        self._halted = False  # no more steps are started
        self._stopping = False  # a client has stopped the execution
        self._graph = _graph(execution, definition)
        self._limit = _limit(execution)
        self._restore()
        self._runner = StepRunner(
            services,
            self._record,
            parameters=typed_values(definition, execution["_parameters"]),
            property_files={step["Name"]: step.get("PropertyFiles") or [] for step in iter_steps(definition)},
            properties=self._properties,
        )

    def _restore(self) -> None:
        """Load the steps that have already ended, in an earlier run or in a source execution."""
        documents = self._record.steps()
        self._statuses = {document["StepName"]: document["StepStatus"] for document in documents}
        self._properties = {d["StepName"]: d.get("_properties", {}) for d in documents}
        self._outcomes = {
            name: properties["Outcome"] == "True"
            for name, properties in self._properties.items()
            if "Outcome" in properties
        }

    def start(self) -> None:
        """Start the first steps in the background."""
        threading.Thread(target=self._begin, name=f"start {self.arn}", daemon=True).start()

    def stop(self) -> bool:
        """Stop the running steps and start no others; return False if it is already stopping or has ended."""
        with self._lock:
            if self._stopping or self.finishing or self.ended.is_set():
                return False
            # First, so that nothing has changed if it cannot be written.
            self._record.change_execution("Stopping")
            self._stopping = True
            self._attempt(self._halt)
            self._attempt(self._advance)
        return True

    def abandon(self, reason: str) -> None:
        """Mark everything that is still running as Failed and stop tracking it."""
        with self._lock:
            if self.ended.is_set():
                return
            self._halted = self.finishing = True
            for stop in self._stops.values():
                stop.set()
            for step in self._record.steps():
                if not step_phase(step["StepStatus"]).is_terminal:
                    self._record.change_step(
                        step["StepName"], "Failed", FailureReason=reason, EndTime=time.time()
                    )
            self._record.change_execution("Failed", FailureReason=reason)
            self.ended.set()

    def join(self, deadline: float) -> None:
        """Wait for the threads of the steps, at most until a time of the monotonic clock."""
        for thread in list(self._threads.values()):
            thread.join(max(0.0, deadline - time.monotonic()))

    def limit_steps(self, execution: Document) -> None:
        """Apply a changed ``ParallelismConfiguration``."""
        with self._lock:
            self._limit = _limit(execution)
            self._attempt(self._advance)

    def _begin(self) -> None:
        with self._fail_on_error():
            self._persist(self._advance)

    def _attempt(self, change: Callable[[], None]) -> None:
        """Make a change for a client; if the disk is full, the thread of a step makes it later."""
        try:
            change()
        except sqlite3.OperationalError as error:
            logger.warning("%s: %s", self.arn, error)

    def _advance(self) -> None:
        with self._lock:
            if self.ended.is_set():
                return
            ready = [] if self._halted else self._graph.plan(self._statuses, self._outcomes).ready
            for name in ready[: max(0, self._limit - len(self._stops))]:
                self._launch(self._graph.nodes[name])
            if not self._stops:
                self._finish()

    def _launch(self, node: Node) -> None:
        self._record.start_step(node.step)
        self._statuses[node.name] = "Starting"
        self._stops[node.name] = threading.Event()
        thread = threading.Thread(
            target=self._work,
            args=(node, self._stops[node.name]),
            name=f"{self.arn} {node.name}",
            daemon=True,
        )
        self._threads[node.name] = thread
        thread.start()

    def _work(self, node: Node, stop: threading.Event) -> None:
        try:
            started = self._begin_step(node.name, stop)
            result = self._runner.run(node, stop) if started else StepResult(StepOutcome(status="Stopped"))
        except Exception as error:
            if not self.ended.is_set():
                logger.exception("Step %s of %s failed inside the engine", node.name, self.arn)
            reason = f"InternalServerError: {type(error).__name__}: {error}"
            result = StepResult(StepOutcome(status="Failed", failure_reason=reason))
        with self._fail_on_error():
            self._persist(lambda: self._end_step(node, result))

    @contextmanager
    def _fail_on_error(self) -> Iterator[None]:
        """End the execution as Failed if the engine itself fails, so that nobody waits for it forever."""
        try:
            yield
        except Exception as error:
            if not self.ended.is_set():
                logger.exception("The engine failed in %s", self.arn)
                reason = f"InternalServerError: {type(error).__name__}: {error}"
                try:
                    self._persist(lambda: self.abandon(reason))
                finally:
                    self.ended.set()
                    self._on_end(self)

    def _begin_step(self, name: str, stop: threading.Event) -> bool:
        with self._lock:
            if not stop.is_set():
                self._change(name, "Executing", AttemptCount=1)
            return not stop.is_set()

    def _change(self, name: str, status: str, **fields: Any) -> None:
        with self._lock:
            if not self.ended.is_set():
                self._record.change_step(name, status, **fields)
                self._statuses[name] = status

    def _end_step(self, node: Node, result: StepResult) -> None:
        """Record the end of a step and start what follows; repeated until everything is written."""
        name, outcome = node.name, result.outcome
        with self._lock:
            self._threads.pop(name, None)
            if self.ended.is_set():
                return
            self._change(name, outcome.status, **result.document())
            if outcome.status == "Succeeded" or outcome.properties:
                self._properties[name] = outcome.properties
            if "Outcome" in outcome.properties:
                self._outcomes[name] = outcome.properties["Outcome"] == "True"
            if name in self._stops:
                self._stops.pop(name).set()  # releases whatever is waiting for it
            if node.step["Type"] == "Fail":
                self._halt()
            self._advance()

    def _halt(self) -> None:
        self._halted = True
        running = [name for name, stop in self._stops.items() if not stop.is_set()]
        for name in running:
            self._stops[name].set()  # first, so that a full disk cannot keep anything running
        for name in running:
            self._change(name, "Stopping")

    def _finish(self) -> None:
        self.finishing = True  # before a client can see the final status
        status = self._final_status()
        reason = STEP_FAILURE if execution_phase(status) is Phase.FAILED else None
        self._record.change_execution(status, FailureReason=reason)
        self.ended.set()
        self._on_end(self)

    def _final_status(self) -> str:
        if self._stopping:
            return "Stopped"
        if self._halted:
            return "Failed"
        own = {name: self._statuses[name] for name in self._graph.nodes if name in self._statuses}
        bad = {name: status for name, status in own.items() if step_phase(status) is not Phase.SUCCEEDED}
        unhandled = {status for name, status in bad.items() if not self._graph.handled(name, own)}
        if unhandled:
            return "Failed" if "Failed" in unhandled else "Stopped"
        return "CompletedWithFailures" if bad else "Succeeded"


def _graph(execution: Document, definition: Mapping[str, Any]) -> Graph:
    graph = Graph(definition)
    config = execution.get("SelectiveExecutionConfig")
    return graph.restricted_to(selected_names(config)) if config else graph


def _limit(execution: Document) -> int:
    configured = (execution.get("ParallelismConfiguration") or {}).get("MaxParallelExecutionSteps")
    return int(configured) if configured else 2**31
