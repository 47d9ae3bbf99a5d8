"""One executor for each step type."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from sagemaker_local_runtime.engine.steps import endpoint, quality_check, tuning
from sagemaker_local_runtime.engine.steps.base import StepExecutor
from sagemaker_local_runtime.engine.steps.callback import CallbackExecutor
from sagemaker_local_runtime.engine.steps.cleanup import CleanupExecutor
from sagemaker_local_runtime.engine.steps.condition import ConditionExecutor
from sagemaker_local_runtime.engine.steps.endpoint import EndpointConfigExecutor, EndpointExecutor
from sagemaker_local_runtime.engine.steps.fail import FailExecutor
from sagemaker_local_runtime.engine.steps.for_each import ForEachExecutor
from sagemaker_local_runtime.engine.steps.function import LambdaExecutor
from sagemaker_local_runtime.engine.steps.job import JobExecutor, job_problems
from sagemaker_local_runtime.engine.steps.model import ModelExecutor
from sagemaker_local_runtime.engine.steps.quality_check import QualityCheckExecutor
from sagemaker_local_runtime.engine.steps.register_model import RegisterModelExecutor
from sagemaker_local_runtime.engine.steps.stub import StubExecutor
from sagemaker_local_runtime.engine.steps.tuning import TuningExecutor
from sagemaker_local_runtime.jobs.kinds import KINDS
from sagemaker_pipelines.definition.document import STEP_TYPES

_ALL: list[StepExecutor] = [
    CallbackExecutor(),
    CleanupExecutor(),
    ConditionExecutor(),
    EndpointConfigExecutor(),
    EndpointExecutor(),
    FailExecutor(),
    ForEachExecutor(),
    LambdaExecutor(),
    ModelExecutor(),
    QualityCheckExecutor(),
    RegisterModelExecutor(),
    TuningExecutor(),
    *(JobExecutor(kind) for kind in KINDS.values()),
]
EXECUTORS = {executor.step_type: executor for executor in _ALL}
#: By the type of a step, what yields the problems that can be seen before it is resolved.
PROBLEMS: Mapping[str, Callable[[Mapping[str, Any]], Iterator[str]]] = {
    "EndpointConfig": endpoint.config_problems,
    "QualityCheck": quality_check.problems,
    "Tuning": tuning.problems,
    **{kind.step_type: partial(job_problems, kind) for kind in KINDS.values()},
}
#: The types of steps for which a stub may be declared.
NOT_EXECUTED = STEP_TYPES - EXECUTORS.keys()
_STUB = StubExecutor()


def executor_of(kind: str) -> StepExecutor:
    """Return what executes the steps of a type; for one that is not executed, what calls its stub."""
    return EXECUTORS.get(kind, _STUB)
