"""One executor per step type."""

from __future__ import annotations

from local_runtime.steps.base import StepExecutor
from local_runtime.steps.callback import CallbackExecutor
from local_runtime.steps.condition import ConditionExecutor
from local_runtime.steps.fail import FailExecutor
from local_runtime.steps.model import ModelExecutor
from local_runtime.steps.processing import ProcessingExecutor
from local_runtime.steps.register_model import RegisterModelExecutor
from local_runtime.steps.training import TrainingExecutor
from local_runtime.steps.transform import TransformExecutor

EXECUTORS: dict[str, StepExecutor] = {
    executor.step_type: executor
    for executor in (
        CallbackExecutor(),
        ConditionExecutor(),
        FailExecutor(),
        ModelExecutor(),
        ProcessingExecutor(),
        RegisterModelExecutor(),
        TrainingExecutor(),
        TransformExecutor(),
    )
}
