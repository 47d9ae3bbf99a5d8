"""One executor per step type."""

from __future__ import annotations

from local_runtime.steps.base import StepExecutor
from local_runtime.steps.callback import CallbackExecutor
from local_runtime.steps.condition import ConditionExecutor
from local_runtime.steps.fail import FailExecutor

EXECUTORS: dict[str, StepExecutor] = {
    executor.step_type: executor for executor in (ConditionExecutor(), FailExecutor(), CallbackExecutor())
}
