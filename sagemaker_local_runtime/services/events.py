"""Publish the changes of executions, steps and model packages on the account's default event bus.

https://docs.aws.amazon.com/sagemaker/latest/dg/automating-sagemaker-with-eventbridge.html
"""

from __future__ import annotations

import json
import logging
import queue
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sagemaker_local_runtime.account import Account
from sagemaker_pipelines.states import execution_phase

logger = logging.getLogger(__name__)

EXECUTION_CHANGE = "SageMaker Model Building Pipeline Execution Status Change"
STEP_CHANGE = "SageMaker Model Building Pipeline Execution Step Status Change"
PACKAGE_CHANGE = "SageMaker Model Package State Change"
# The members of DescribeModelPackage's answer that AWS's example of the event shows, and what says why.
_PACKAGE_MEMBERS = (
    "ModelPackageName",
    "ModelPackageGroupName",
    "ModelPackageVersion",
    "ModelPackageArn",
    "ModelPackageDescription",
    "InferenceSpecification",
    "ModelPackageStatus",
    "ModelPackageStatusDetails",
    "CertifyForMarketplace",
    "ModelApprovalStatus",
    "ApprovalDescription",
    "MetadataProperties",
    "CustomerMetadataProperties",
    "ModelMetrics",
)
_MOST_ENTRIES = 10  # of one PutEvents call
_SHUTDOWN_SECONDS = 5.0

Entry = dict[str, Any]


class EventPublisher:
    """Put events on the bus, in order and from its own thread; errors never reach the caller.

    :param account: its client puts the events.
    """

    def __init__(self, account: Account) -> None:
        self._account = account
        self._queue: queue.SimpleQueue[Entry | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="events", daemon=True)
        self._thread.start()

    def execution_changed(self, execution: Mapping[str, Any], previous_status: str | None) -> None:
        """Publish the new status of an execution.

        :param execution: its document.
        :param previous_status: its previous status; None at the start.
        """
        detail = {
            "pipelineExecutionDisplayName": execution.get("PipelineExecutionDisplayName"),
            "pipelineExecutionDescription": execution.get("PipelineExecutionDescription"),
            "currentPipelineExecutionStatus": execution["PipelineExecutionStatus"],
            "previousPipelineExecutionStatus": previous_status,
            "executionStartTime": _time(execution.get("CreationTime")),
            "failureReason": execution.get("FailureReason"),
        }
        if execution_phase(execution["PipelineExecutionStatus"]).is_terminal:
            detail["executionEndTime"] = _time(execution.get("LastModifiedTime"))
        self._put_change(EXECUTION_CHANGE, execution, detail)

    def step_changed(
        self, execution: Mapping[str, Any], step: Mapping[str, Any], previous_status: str | None
    ) -> None:
        """Publish the new status of a step.

        :param execution: its execution's document.
        :param step: its document.
        :param previous_status: its previous status; None at the start.
        """
        detail = {
            "metadata": _lower_camel(step.get("Metadata") or {}),
            "stepStartTime": _time(step.get("StartTime")),
            "stepEndTime": _time(step.get("EndTime")),
            "stepName": step["StepName"],
            "stepType": step.get("_type"),
            "currentStepStatus": step["StepStatus"],
            "previousStepStatus": previous_status,
            "failureReason": step.get("FailureReason"),
            "cacheHitResult": _lower_camel(step.get("CacheHitResult")),
        }
        self._put_change(STEP_CHANGE, execution, detail)

    def package_changed(self, package: Mapping[str, Any]) -> None:
        """Publish the new approval status of a model package, or that it has been created.

        :param package: its document.
        """
        detail = {name: package.get(name) for name in _PACKAGE_MEMBERS}
        times = {name: _time(package.get(name)) for name in ("CreationTime", "LastModifiedTime")}
        self._put(PACKAGE_CHANGE, [package["ModelPackageArn"]], {**detail, **times})

    def shutdown(self) -> None:
        """Deliver the pending events and stop."""
        self._queue.put(None)
        self._thread.join(_SHUTDOWN_SECONDS)

    def _put_change(self, detail_type: str, execution: Mapping[str, Any], detail: dict[str, Any]) -> None:
        pipeline, arn = execution["PipelineArn"], execution["PipelineExecutionArn"]
        detail = {**detail, "pipelineArn": pipeline, "pipelineExecutionArn": arn}
        self._put(detail_type, [pipeline, arn], detail)

    def _put(self, detail_type: str, resources: list[str], detail: dict[str, Any]) -> None:
        self._queue.put(
            {
                "Source": "aws.sagemaker",
                "DetailType": detail_type,
                "Resources": resources,
                "Time": time.time(),
                "Detail": json.dumps({k: v for k, v in detail.items() if v is not None}),
            }
        )

    def _run(self) -> None:
        open_ = True
        while open_:
            batch = [self._queue.get()]
            while len(batch) < _MOST_ENTRIES and batch[-1] is not None and not self._queue.empty():
                batch.append(self._queue.get())
            open_ = batch[-1] is not None
            try:
                entries = [entry for entry in batch if entry is not None]
                if entries:
                    self._account.client("events").put_events(Entries=entries)
            except Exception:
                logger.exception("%d events could not be delivered", len(batch))


def _time(value: Any) -> str | None:
    return None if value is None else datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _lower_camel(value: Any) -> Any:
    """Return a structure with its members spelt as in events: ``ProcessingJob`` becomes ``processingJob``."""
    if isinstance(value, list):
        return [_lower_camel(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {name[:1].lower() + name[1:]: _lower_camel(item) for name, item in value.items()}
