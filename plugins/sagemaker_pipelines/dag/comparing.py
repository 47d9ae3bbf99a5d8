"""The tasks that compare a new model with the champion of its group."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from airflow.sdk import TaskGroup

from sagemaker_pipelines.dag.champion import OWN_PARAMETERS, RULE_PARAMETERS, ComparisonPlan
from sagemaker_pipelines.dag.mirroring import draw_steps
from sagemaker_pipelines.dag.results import ComparedExecution
from sagemaker_pipelines.operators.comparison import (
    XCOM_MODELS,
    SageMakerCheckChampionOperator,
    SageMakerCompareModelsOperator,
    SageMakerFindChampionOperator,
)
from sagemaker_pipelines.operators.evaluation import XCOM_GATE, SageMakerMetricBranchOperator
from sagemaker_pipelines.operators.pipeline import SageMakerStartPipelineExecutionOperator
from sagemaker_pipelines.operators.upsert import SageMakerUpsertPipelineOperator
from sagemaker_pipelines.sensors.pipeline import SageMakerPipelineExecutionSensor
from sagemaker_pipelines.task.values import task_value

GROUP = "compare_with_champion"


@dataclass(frozen=True)
class ComparisonTasks:
    """The tasks of the group ``compare_with_champion``.

    :param find: ``find_champion``, its first task.
    :param compare: ``compare_models``, its last task, which pushes the XCom ``comparison``; its ``won`` and
        ``lost`` are the ids of the tasks to follow.
    """

    find: SageMakerFindChampionOperator
    compare: SageMakerCompareModelsOperator


@dataclass(frozen=True)
class ComparisonDrawing:
    """Create the tasks of a comparison, in the task group or DAG of the training's tasks.

    :param plan: what is compared.
    :param timeout: how long to wait for the comparison's execution at most.
    :param bounds: bounds on what it bills, the arguments of start and wait.
    :param mirror_steps: whether to draw its steps as tasks.
    """

    plan: ComparisonPlan
    timeout: timedelta
    bounds: Mapping[str, Any]
    mirror_steps: bool

    def check(self) -> SageMakerCheckChampionOperator:
        """Return the task that checks champion and holdout before anything is started."""
        return SageMakerCheckChampionOperator(task_id="check_champion", **self._location)

    def follow(self, branch: SageMakerMetricBranchOperator) -> ComparisonTasks:
        """Return the tasks that compare the model that a branch accepted."""
        with TaskGroup(GROUP, tooltip="Compare the new model with the champion on the same rows"):
            gate = task_value(branch.task_id, key=XCOM_GATE)
            find = SageMakerFindChampionOperator(
                task_id="find_champion",
                challenger=task_value(branch.task_id, "model_package_arn", key=XCOM_GATE),
                **self._location,
            )
            upsert, wait = self._execution(find)
            compared: Any = ComparedExecution(find.task_id, wait.task_id)
            compare = SageMakerCompareModelsOperator(
                task_id="compare_models",
                gate=gate,
                pipeline_execution_arn=compared,
                larger_is_better=self.plan.larger_is_better,
                margin=self.plan.champion.margin,
                trigger_rule="none_failed_min_one_success",
            )
        branch >> find >> [upsert, compare]
        wait >> compare
        find.compare, find.without_champion = [upsert.task_id], [compare.task_id]
        return ComparisonTasks(find, compare)

    def _execution(
        self, find: SageMakerFindChampionOperator
    ) -> tuple[SageMakerUpsertPipelineOperator, SageMakerPipelineExecutionSensor]:
        """Return the first and the last task of the comparison's execution."""
        # Not by the fields of the DAG's form, which belong to the definition that trains.
        models = {
            name: task_value(find.task_id, name, key=XCOM_MODELS)
            for name in OWN_PARAMETERS
            if name not in RULE_PARAMETERS
        }
        upsert = SageMakerUpsertPipelineOperator(task_id="upsert_pipeline", definition=self.plan.path)
        start = SageMakerStartPipelineExecutionOperator(
            task_id="start_pipeline",
            pipeline_name=task_value(upsert.task_id, "pipeline_name"),
            pipeline_version_id=task_value(upsert.task_id, "pipeline_version_id", otherwise=None),
            definition=self.plan.path,
            pipeline_params={**models, **self.plan.rule},
            **self.bounds,
        )
        wait = SageMakerPipelineExecutionSensor(
            task_id="wait_for_pipeline",
            pipeline_exec_arn=task_value(start.task_id),
            deferrable=True,
            timeout=self.timeout.total_seconds(),
            **self.bounds,
        )
        upsert >> start >> wait
        if self.mirror_steps:
            draw_steps(self.plan.envelope.definition, start, wait)
        return upsert, wait

    @property
    def _location(self) -> dict[str, Any]:
        champion = self.plan.champion
        return {"model_package_group_name": champion.group, "holdout": champion.holdout}
