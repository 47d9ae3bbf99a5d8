"""Every name of Airflow that this package uses although Airflow does not promise to keep it.

Look here first when a new version of Airflow breaks something. Each name says why it is needed and what would
replace it; ``tests/unit/sagemaker_pipelines/test_airflow_internals.py`` refuses such names anywhere else.

Two class attributes of operators are undocumented too, and can only stand in the operators themselves.
``overwrite_rtif_after_execution`` shows the effective parameters among the rendered fields; without it they
are still in XCom and in the log. ``inherits_from_skipmixin`` tells the scheduler that the task may skip
others; ``airflow.sdk.BaseBranchOperator`` sets it too, but the branch has the base class of AWS operators.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

# What a start keeps must outlive the retention of the task state store, as a run can be cleared at any time.
# Airflow's own example takes it from here; it would be replaced by its name in airflow.sdk.
from airflow.sdk.execution_time.context import NEVER_EXPIRE as NEVER_EXPIRE

# A trigger's on_kill asks whether its task is still deferred. A trigger has no method for that, and the
# Amazon provider's own triggers (triggers/emr.py, 9.39) ask this class method. It would be replaced by a
# method of BaseTrigger, or by an on_kill that Airflow calls for kills only.
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance as RuntimeTaskInstance

# Airflow tells a producer when the events of a message are stored, so that no message is deleted too early.
# Only the trigger's side (BaseEventTrigger.create_shared_stream_producer) is in a documented module, and it
# returns this class. Both would be replaced by their names in airflow.triggers.base.
from airflow.triggers.shared_stream import AdvanceItem as AdvanceItem
from airflow.triggers.shared_stream import SharedStreamProducer as SharedStreamProducer

if TYPE_CHECKING:
    # The types of a task's log, which is structlog's and not the standard library's, and of a running task
    # instance. They would be replaced by names in airflow.sdk; its TaskInstance is missing in the stub that
    # type checkers read.
    from airflow.sdk.types import Logger as Logger
    from airflow.sdk.types import RuntimeTaskInstanceProtocol as RuntimeTaskInstanceProtocol


class PacedSensorMixin:
    """Let a sensor decide how long to sleep between two looks; mixed in before the sensor's base class."""

    def seconds_to_next_poke(self) -> float:
        """Return how long to sleep, in seconds."""
        raise NotImplementedError

    # BaseSensorOperator offers a fixed interval or exponential backoff, and a wait needs neither. It would be
    # replaced by a public method with the same effect.
    def _get_next_poke_interval(self, *args: Any) -> float:
        return self.seconds_to_next_poke()
