"""One executor for each step type."""

from __future__ import annotations

from local_runtime.engine.steps.base import StepExecutor
from local_runtime.engine.steps.callback import CallbackExecutor
from local_runtime.engine.steps.condition import ConditionExecutor
from local_runtime.engine.steps.fail import FailExecutor
from local_runtime.engine.steps.job import JobExecutor
from local_runtime.engine.steps.model import ModelExecutor
from local_runtime.engine.steps.register_model import RegisterModelExecutor
from local_runtime.jobs.kinds import KINDS

_ALL: list[StepExecutor] = [
    CallbackExecutor(),
    ConditionExecutor(),
    FailExecutor(),
    ModelExecutor(),
    RegisterModelExecutor(),
    *(JobExecutor(kind) for kind in KINDS.values()),
]
EXECUTORS = {executor.step_type: executor for executor in _ALL}
