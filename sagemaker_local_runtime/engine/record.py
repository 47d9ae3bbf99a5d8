"""The documents of one execution, and the events that its changes cause."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from sagemaker_local_runtime.engine.services import Services
from sagemaker_local_runtime.store import Document

EXECUTION = "execution"
STEP = "execution-step"

STEP_FAILURE = "Step failure: One or multiple steps failed."

_MAX_REASON = 1024


def step_key(execution_arn: str, name: str) -> str:
    """Return the store's key of one step of one execution."""
    return f"{execution_arn}/{name}"


class ExecutionRecord:
    """Read and write the documents of one execution; every change of a status is published as an event.

    :param services: the store and the event publisher are used.
    :param arn: the execution.
    """

    def __init__(self, services: Services, arn: str) -> None:
        self._store = services.account.store
        self._events = services.events
        self.arn = arn

    def persist(self, change: Callable[[], None]) -> None:
        """Make a change that must not be lost, retrying until it is written."""
        self._store.persist(change)

    def execution(self) -> Document:
        """Return the execution's document."""
        document = self._store.get(EXECUTION, self.arn)
        assert document is not None, self.arn
        return document

    def steps(self) -> list[Document]:
        """Return the documents of the steps that have started, in the order in which they started."""
        return self._store.list(STEP, parent=self.arn)

    def change_execution(self, status: str, **fields: Any) -> Document:
        """Set the execution's status and other fields; a field set to None is removed."""
        with self._store.transaction():
            previous = self.execution()["PipelineExecutionStatus"]
            document = self._store.update(
                EXECUTION, self.arn, PipelineExecutionStatus=status, LastModifiedTime=time.time(), **fields
            )
        if status != previous:
            self._events.execution_changed(document, previous)
        return document

    def step(self, name: str) -> Document | None:
        """Return the document of a step, or None if it has not started."""
        return self._store.get(STEP, step_key(self.arn, name))

    def publish_start(self) -> None:
        """Publish the execution's initial status."""
        self._events.execution_changed(self.execution(), None)

    def start_step(self, step: Any, **fields: Any) -> None:
        """Store the document of a step that is starting, with additional fields."""
        body = {
            "StepName": step["Name"],
            "StartTime": time.time(),
            "StepStatus": "Starting",
            "Metadata": {},
            "_execution_arn": self.arn,
            "_type": step["Type"],
            **fields,
        }
        for field, source in (("StepDisplayName", "DisplayName"), ("StepDescription", "Description")):
            if step.get(source):
                body[field] = step[source]
        with self._store.transaction():
            self._store.delete(STEP, step_key(self.arn, step["Name"]))
            self._store.insert(STEP, step_key(self.arn, step["Name"]), body, parent=self.arn)
        self._events.step_changed(self.execution(), body, None)

    def reuse_step(self, document: Document) -> None:
        """Store the document of a step whose results come from another execution."""
        self._store.insert(STEP, step_key(self.arn, document["StepName"]), document, parent=self.arn)

    def change_step(self, name: str, status: str, **fields: Any) -> Document:
        """Set a step's status and other fields; a field set to None is removed."""
        key = step_key(self.arn, name)
        if fields.get("FailureReason"):
            fields["FailureReason"] = str(fields["FailureReason"])[:_MAX_REASON]
        with self._store.transaction():
            before = self._store.get(STEP, key)
            assert before is not None, key
            document = self._store.update(STEP, key, StepStatus=status, **fields)
        if status != before["StepStatus"]:
            self._events.step_changed(self.execution(), document, before["StepStatus"])
        return document

    def update_step(self, name: str, **fields: Any) -> None:
        """Set fields of a step without changing its status; ``Metadata`` is merged."""
        key = step_key(self.arn, name)
        with self._store.transaction():
            before = self._store.get(STEP, key) or {}
            if "Metadata" in fields:
                fields["Metadata"] = {**before.get("Metadata", {}), **fields["Metadata"]}
            self._store.update(STEP, key, **fields)

    def forget_step(self, name: str) -> None:
        """Remove a step's document, because a retry starts the step again."""
        self._store.delete(STEP, step_key(self.arn, name))
