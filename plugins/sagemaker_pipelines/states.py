"""The only table of SageMaker statuses, shared by the synchronous, sensor and deferrable paths.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribePipelineExecution.html
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from sagemaker_pipelines.exceptions import UnknownStatusError


class Phase(StrEnum):
    """What a status means for a wait. Only ``SUCCEEDED`` is success."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"

    @property
    def is_terminal(self) -> bool:
        """Whether the execution or step has ended."""
        return self is not Phase.RUNNING


#: Statuses that other modules use by name.
EXECUTING, STOPPING, STOPPED = "Executing", "Stopping", "Stopped"
SUCCEEDED, FAILED, COMPLETED_WITH_FAILURES = "Succeeded", "Failed", "CompletedWithFailures"
EXECUTION_PHASES: Mapping[str, Phase] = MappingProxyType(
    {
        "Executing": Phase.RUNNING,
        "Stopping": Phase.RUNNING,
        "Stopped": Phase.STOPPED,
        "Failed": Phase.FAILED,
        "Succeeded": Phase.SUCCEEDED,
        "CompletedWithFailures": Phase.FAILED,
    }
)
#: The statuses of an execution that somebody has asked SageMaker to stop.
STOPPED_STATUSES = frozenset({STOPPING, STOPPED})
STEP_PHASES: Mapping[str, Phase] = MappingProxyType(
    {
        "Starting": Phase.RUNNING,
        "Executing": Phase.RUNNING,
        "Stopping": Phase.RUNNING,
        "Stopped": Phase.STOPPED,
        "Failed": Phase.FAILED,
        "Succeeded": Phase.SUCCEEDED,
    }
)

#: Every ModelApprovalStatus.
APPROVED, REJECTED, PENDING = "Approved", "Rejected", "PendingManualApproval"
APPROVAL_STATUSES = (APPROVED, REJECTED, PENDING)


def execution_phase(status: str) -> Phase:
    """Return what a PipelineExecutionStatus means.

    :param status: the status, as AWS writes it.
    :raises UnknownStatusError: the status is not in the table; it must never pass as success.
    """
    return _phase(EXECUTION_PHASES, "pipeline execution", status)


def is_end(status: str) -> bool:
    """Return whether a status ends a wait; an unknown one does, so that it is reported as an error."""
    try:
        return execution_phase(status).is_terminal
    except UnknownStatusError:
        return True


def step_phase(status: str) -> Phase:
    """Return what a StepStatus means.

    :param status: the status, as AWS writes it.
    :raises UnknownStatusError: the status is not in the table.
    """
    return _phase(STEP_PHASES, "step", status)


def _phase(table: Mapping[str, Phase], what: str, status: str) -> Phase:
    try:
        return table[status]
    except KeyError:
        raise UnknownStatusError(what, status, sorted(table)) from None
