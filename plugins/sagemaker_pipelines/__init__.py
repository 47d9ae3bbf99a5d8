"""Run Amazon SageMaker Pipelines from Apache Airflow."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sagemaker_pipelines.compatibility import require_airflow

if TYPE_CHECKING:
    from sagemaker_pipelines.aws.champion import model_package_to_score_with
    from sagemaker_pipelines.aws.gate import read_gate
    from sagemaker_pipelines.aws.model_packages import newest_approved_model_package
    from sagemaker_pipelines.dag.approving import Approval
    from sagemaker_pipelines.dag.assets import (
        model_monitor_asset,
        model_package_asset,
        pipeline_callback_asset,
        pipeline_execution_asset,
        s3_partition_asset,
    )
    from sagemaker_pipelines.dag.callbacks import sagemaker_callback_dag
    from sagemaker_pipelines.dag.champion import Champion
    from sagemaker_pipelines.dag.declaration import (
        sagemaker_pipeline_dag,
        sagemaker_pipeline_task_group,
        sagemaker_pipeline_tasks,
    )
    from sagemaker_pipelines.dag.forms import form_params, form_values
    from sagemaker_pipelines.data.events import triggering_events
    from sagemaker_pipelines.data.intervals import RunInterval, run_interval
    from sagemaker_pipelines.data.partitions import Partitions
    from sagemaker_pipelines.definition import Envelope
    from sagemaker_pipelines.hooks.pipeline import SageMakerPipelineHook
    from sagemaker_pipelines.links.pipeline import SageMakerFailedStepLogLink, SageMakerPipelineExecutionLink
    from sagemaker_pipelines.notifications.sns import SageMakerSnsNotifier
    from sagemaker_pipelines.operators.approval import SageMakerApproveModelPackageOperator
    from sagemaker_pipelines.operators.evaluation import SageMakerMetricBranchOperator
    from sagemaker_pipelines.operators.events import SelectNewEventsOperator
    from sagemaker_pipelines.operators.notification import NotifyOperator
    from sagemaker_pipelines.operators.partitions import SageMakerSelectPartitionsOperator
    from sagemaker_pipelines.operators.pipeline import SageMakerStartPipelineExecutionOperator
    from sagemaker_pipelines.operators.promotion import SageMakerPromoteOperator
    from sagemaker_pipelines.operators.sweep import SageMakerSweepOperator
    from sagemaker_pipelines.operators.trigger_dag_run import TriggerDagRunOnceOperator
    from sagemaker_pipelines.operators.upsert import SageMakerUpsertPipelineOperator
    from sagemaker_pipelines.sensors.pipeline import SageMakerPipelineExecutionSensor
    from sagemaker_pipelines.task.values import form_value, task_value
    from sagemaker_pipelines.triggers.pipeline import SageMakerPipelineExecutionTrigger

require_airflow()

# Importing one name must not import Airflow for `definition`, nor boto3 for `form_params`.
_MODULES = {
    "Approval": "dag.approving",
    "Champion": "dag.champion",
    "Envelope": "definition",
    "NotifyOperator": "operators.notification",
    "Partitions": "data.partitions",
    "RunInterval": "data.intervals",
    "SageMakerApproveModelPackageOperator": "operators.approval",
    "SageMakerFailedStepLogLink": "links.pipeline",
    "SageMakerMetricBranchOperator": "operators.evaluation",
    "SageMakerPipelineExecutionLink": "links.pipeline",
    "SageMakerPipelineExecutionSensor": "sensors.pipeline",
    "SageMakerPipelineExecutionTrigger": "triggers.pipeline",
    "SageMakerPipelineHook": "hooks.pipeline",
    "SageMakerPromoteOperator": "operators.promotion",
    "SageMakerSelectPartitionsOperator": "operators.partitions",
    "SageMakerSnsNotifier": "notifications.sns",
    "SageMakerStartPipelineExecutionOperator": "operators.pipeline",
    "SageMakerSweepOperator": "operators.sweep",
    "SageMakerUpsertPipelineOperator": "operators.upsert",
    "SelectNewEventsOperator": "operators.events",
    "TriggerDagRunOnceOperator": "operators.trigger_dag_run",
    "newest_approved_model_package": "aws.model_packages",
    "model_monitor_asset": "dag.assets",
    "model_package_asset": "dag.assets",
    "model_package_to_score_with": "aws.champion",
    "read_gate": "aws.gate",
    "form_params": "dag.forms",
    "form_value": "task.values",
    "form_values": "dag.forms",
    "pipeline_callback_asset": "dag.assets",
    "pipeline_execution_asset": "dag.assets",
    "run_interval": "data.intervals",
    "s3_partition_asset": "dag.assets",
    "sagemaker_callback_dag": "dag.callbacks",
    "sagemaker_pipeline_dag": "dag.declaration",
    "sagemaker_pipeline_task_group": "dag.declaration",
    "sagemaker_pipeline_tasks": "dag.declaration",
    "task_value": "task.values",
    "triggering_events": "data.events",
}
__all__ = [
    "Approval",
    "Champion",
    "Envelope",
    "NotifyOperator",
    "Partitions",
    "RunInterval",
    "SageMakerApproveModelPackageOperator",
    "SageMakerFailedStepLogLink",
    "SageMakerMetricBranchOperator",
    "SageMakerPipelineExecutionLink",
    "SageMakerPipelineExecutionSensor",
    "SageMakerPipelineExecutionTrigger",
    "SageMakerPipelineHook",
    "SageMakerPromoteOperator",
    "SageMakerSelectPartitionsOperator",
    "SageMakerSnsNotifier",
    "SageMakerStartPipelineExecutionOperator",
    "SageMakerSweepOperator",
    "SageMakerUpsertPipelineOperator",
    "SelectNewEventsOperator",
    "TriggerDagRunOnceOperator",
    "form_params",
    "form_value",
    "form_values",
    "model_monitor_asset",
    "model_package_asset",
    "model_package_to_score_with",
    "newest_approved_model_package",
    "pipeline_callback_asset",
    "pipeline_execution_asset",
    "read_gate",
    "run_interval",
    "s3_partition_asset",
    "sagemaker_callback_dag",
    "sagemaker_pipeline_dag",
    "sagemaker_pipeline_task_group",
    "sagemaker_pipeline_tasks",
    "task_value",
    "triggering_events",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
