"""Airflow assets that are updated by events of AWS: ``schedule=[s3_partition_asset(...)]``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import Asset, AssetWatcher

from sagemaker_pipelines.exceptions import UnknownStatusError
from sagemaker_pipelines.states import execution_phase
from sagemaker_pipelines.triggers.events import (
    S3ObjectCreatedTrigger,
    SageMakerPipelineExecutionEndedTrigger,
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
    watcher = AssetWatcher(name=f"sqs {queue.rpartition('/')[2]}", trigger=trigger)
    return Asset(name=name or uri_prefix, uri=uri_prefix, watchers=[watcher])


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
    watcher = AssetWatcher(name=f"sqs {queue.rpartition('/')[2]}", trigger=trigger)
    short = pipeline_name.rpartition("/")[2]
    return Asset(
        name=name or f"executions of {short}", uri=f"x-sagemaker-pipeline://{short}", watchers=[watcher]
    )


def _check_ended(status: str) -> None:
    try:
        ended = execution_phase(status).is_terminal
    except UnknownStatusError as error:
        raise ValueError(f"statuses has {status!r}: {error}") from error
    if not ended:
        raise ValueError(
            f"statuses has {status!r}; expected only statuses in which an execution has ended. Leave it out."
        )
