"""Airflow assets that are updated by events of AWS: ``schedule=[s3_partition_asset(...)]``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import Asset, AssetWatcher

from sagemaker_pipelines.exceptions import UnknownStatusError
from sagemaker_pipelines.states import APPROVED, execution_phase
from sagemaker_pipelines.triggers.events import (
    S3ObjectCreatedTrigger,
    SageMakerCallbackMessageTrigger,
    SageMakerModelMonitorTrigger,
    SageMakerModelPackageTrigger,
    SageMakerPipelineExecutionEndedTrigger,
    SqsEventTrigger,
)


def s3_partition_asset(
    queue: str, *, uri_prefix: str, uri_suffix: str = "", name: str | None = None, **kwargs: Any
) -> Asset:
    """Return an Airflow asset that is updated by every object created below a prefix.

    :param queue: URL or name of the SQS queue that receives the bucket's notifications.
    :param uri_prefix: such as ``"s3://bucket/data/train/"``; it is also the asset's URI.
    :param uri_suffix: the required end of the object's URI; with ``"/_SUCCESS"``, a partition of many files
        causes a single event, when it is complete.
    :param name: the asset's name; None uses the prefix.
    :param kwargs: see :class:`~sagemaker_pipelines.triggers.events.SqsEventTrigger`.
    """
    trigger = S3ObjectCreatedTrigger(queue=queue, uri_prefix=uri_prefix, uri_suffix=uri_suffix, **kwargs)
    return _watched(trigger, name or uri_prefix, uri_prefix)


def pipeline_execution_asset(
    queue: str,
    *,
    pipeline_name: str,
    statuses: Sequence[str] = ("Succeeded",),
    include_own: bool = False,
    name: str | None = None,
    **kwargs: Any,
) -> Asset:
    """Return an Airflow asset that is updated whenever an execution of a pipeline ends.

    :param queue: URL or name of the SQS queue that an EventBridge rule sends to.
    :param pipeline_name: the pipeline's name or ARN.
    :param statuses: the statuses that update it; each has to be one in which an execution has ended.
    :param include_own: whether executions that Airflow started update it too.
    :param name: the asset's name; None uses the pipeline's name.
    :param kwargs: see :class:`~sagemaker_pipelines.triggers.events.SqsEventTrigger`.
    """
    for status in statuses:
        _check_ended(status)
    trigger = SageMakerPipelineExecutionEndedTrigger(
        queue=queue, pipeline_name=pipeline_name, statuses=statuses, include_own=include_own, **kwargs
    )
    short = pipeline_name.rpartition("/")[2]
    return _watched(trigger, name or f"executions of {short}", f"x-sagemaker-pipeline://{short}")


def pipeline_callback_asset(queue: str, *, name: str | None = None, **kwargs: Any) -> Asset:
    """Return an Airflow asset that is updated by every message of a Callback step.

    :param queue: URL or name of the SQS queue that the steps send to.
    :param name: the asset's name; None uses the queue's name.
    :param kwargs: see :class:`~sagemaker_pipelines.triggers.events.SqsEventTrigger`.
    """
    short = queue.rpartition("/")[2]
    trigger = SageMakerCallbackMessageTrigger(queue=queue, **kwargs)
    return _watched(trigger, name or f"callbacks in {short}", f"x-sagemaker-callback://{short}")


def model_package_asset(
    queue: str,
    *,
    model_package_group_name: str,
    approval_statuses: Sequence[str] = (APPROVED,),
    name: str | None = None,
    **kwargs: Any,
) -> Asset:
    """Return an Airflow asset that is updated whenever a model package of a group is approved, by any tool.

    :param queue: URL or name of the SQS queue that an EventBridge rule sends to.
    :param model_package_group_name: the group.
    :param approval_statuses: the ModelApprovalStatus values that update it.
    :param name: the asset's name; None uses the group's name.
    :param kwargs: see :class:`~sagemaker_pipelines.triggers.events.SqsEventTrigger`.
    """
    trigger = SageMakerModelPackageTrigger(
        queue=queue,
        model_package_group_name=model_package_group_name,
        approval_statuses=approval_statuses,
        **kwargs,
    )
    return _watched(
        trigger,
        name or f"model packages of {model_package_group_name}",
        f"x-sagemaker-model-package-group://{model_package_group_name}",
    )


def model_monitor_asset(
    queue: str,
    *,
    reports: str | None = None,
    alarm_name: str | None = None,
    name: str | None = None,
    **kwargs: Any,
) -> Asset:
    """Return an Airflow asset that is updated when the data of a model drift.

    :param queue: URL or name of the SQS queue that receives the notifications of the reports' bucket, or that
        an EventBridge rule for the alarm sends to.
    :param reports: the S3 prefix below which a monitoring schedule of SageMaker writes its reports, such as
        ``"s3://bucket/monitoring/"``; each ``constraint_violations.json`` with a violation is an event with
        its hour.
    :param alarm_name: a CloudWatch alarm on the schedule's metrics, which is an event when it goes off.
    :param name: the asset's name; None uses the prefix or the alarm's name.
    :param kwargs: see :class:`~sagemaker_pipelines.triggers.events.SqsEventTrigger`.
    """
    trigger = SageMakerModelMonitorTrigger(queue=queue, reports=reports, alarm_name=alarm_name, **kwargs)
    uri = reports or f"x-cloudwatch-alarm://{alarm_name}"
    return _watched(trigger, name or f"drift in {reports or alarm_name}", uri)


def _watched(trigger: SqsEventTrigger, name: str, uri: str) -> Asset:
    watcher = AssetWatcher(name=f"sqs {trigger.queue.rpartition('/')[2]}", trigger=trigger)
    return Asset(name=name, uri=uri, watchers=[watcher])


def _check_ended(status: str) -> None:
    try:
        ended = execution_phase(status).is_terminal
    except UnknownStatusError as error:
        raise ValueError(f"statuses has {status!r}: {error}") from error
    if not ended:
        raise ValueError(
            f"statuses has {status!r}; expected only statuses in which an execution has ended. Leave it out."
        )
