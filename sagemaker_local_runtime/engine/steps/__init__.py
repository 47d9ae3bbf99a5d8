"""One executor for each step type."""

from __future__ import annotations

from sagemaker_local_runtime.engine.steps.base import StepExecutor
from sagemaker_local_runtime.engine.steps.callback import CallbackExecutor
from sagemaker_local_runtime.engine.steps.cleanup import CleanupExecutor
from sagemaker_local_runtime.engine.steps.condition import ConditionExecutor
from sagemaker_local_runtime.engine.steps.fail import FailExecutor
from sagemaker_local_runtime.engine.steps.for_each import ForEachExecutor
from sagemaker_local_runtime.engine.steps.function import LambdaExecutor
from sagemaker_local_runtime.engine.steps.job import JobExecutor
from sagemaker_local_runtime.engine.steps.model import ModelExecutor
from sagemaker_local_runtime.engine.steps.register_model import RegisterModelExecutor
from sagemaker_local_runtime.engine.steps.tuning import TuningExecutor
from sagemaker_local_runtime.jobs.kinds import KINDS

_ALL: list[StepExecutor] = [
    CallbackExecutor(),
    CleanupExecutor(),
    ConditionExecutor(),
    FailExecutor(),
    ForEachExecutor(),
    LambdaExecutor(),
    ModelExecutor(),
    RegisterModelExecutor(),
    TuningExecutor(),
    *(JobExecutor(kind) for kind in KINDS.values()),
]
EXECUTORS = {executor.step_type: executor for executor in _ALL}
