"""The children of ForEach steps: one for each step of the body and each item."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from sagemaker_local_runtime.engine.graph import TERMINAL, Node
from sagemaker_local_runtime.engine.record import ExecutionRecord
from sagemaker_local_runtime.engine.steps.base import Iteration, StepOutcome

_log = logging.getLogger(__name__)
# IterationContext.Item
_MAX_ITEM = 12_800


@dataclass(frozen=True)
class StepResult:
    """How a step ended.

    :param outcome: the last attempt's outcome, or the cached one.
    :param fields: additional fields of the step's document.
    """

    outcome: StepOutcome
    fields: dict[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """Return the fields of the step's document that its end changes, apart from the status."""
        outcome = self.outcome
        return {
            "EndTime": time.time(),
            "FailureReason": outcome.failure_reason,
            "_properties": outcome.properties or None,
            **({"Metadata": outcome.metadata} if outcome.metadata else {}),
            **({"StepDescription": outcome.description} if outcome.description else {}),
            **self.fields,
        }


@dataclass(frozen=True)
class Child:
    """A step in the body of a ForEach step, for one item.

    :param record: the documents of the execution.
    :param parent: the name of the ForEach step.
    :param node: the step in the body.
    :param iteration: the item.
    """

    record: ExecutionRecord
    parent: str
    node: Node
    iteration: Iteration

    def run(self, run: Callable[[Node], StepResult], stop: threading.Event) -> StepOutcome:
        """Run the child to its end, unless a retry of the execution finds that it has already succeeded.

        :param run: runs a step.
        :param stop: set to start nothing.
        """
        # SageMaker forms the names of children so.
        name = f"{self.node.name}-{self.iteration.index}"
        context = {"ParentStepName": self.parent, "Index": self.iteration.index, "Item": self._item()}
        before = self.record.step(name)
        if before and before["StepStatus"] == "Succeeded" and before.get("IterationContext") == context:
            return StepOutcome(status="Succeeded", properties=before.get("_properties", {}))
        if stop.is_set():
            return StepOutcome(status="Stopped")
        child = replace(self.node, step={**self.node.step, "Name": name})
        self.record.start_step(child.step, IterationContext=context)
        try:
            self.record.change_step(name, "Executing", AttemptCount=1)
            result = run(child)
        except Exception as error:
            _log.exception("Child step %s failed inside the engine", name)
            reason = f"InternalServerError: {type(error).__name__}: {error}"
            result = StepResult(StepOutcome(status="Failed", failure_reason=reason))
        self.record.persist(lambda: self._end(name, result))
        return result.outcome

    def _end(self, name: str, result: StepResult) -> None:
        document = self.record.step(name)
        # The execution may have been given up, and its steps marked as failed.
        if document is not None and document["StepStatus"] not in TERMINAL:
            self.record.change_step(name, result.outcome.status, **result.document())

    def _item(self) -> str:
        item = self.iteration.item
        return (item if isinstance(item, str) else json.dumps(item))[:_MAX_ITEM]
