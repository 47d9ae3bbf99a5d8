"""What this package reports to Airflow's metrics and traces; docs/measures.md lists the names.

Without ``[metrics] statsd_on`` or ``otel_on``, and without ``[traces] otel_on``, nothing is sent. What varies
without bound, such as the pipeline's name, is a tag. Plain StatsD has no tags, so what has few values, such
as an outcome, is the last part of a name.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

from airflow.providers.common.compat.sdk import Stats
from opentelemetry import trace

from sagemaker_pipelines.aws.steps import Step
from sagemaker_pipelines.states import FAILED

log = logging.getLogger(__name__)
_PREFIX = "sagemaker_pipelines"


def count(name: str, pipeline: str, amount: int = 1) -> None:
    """Add to a counter.

    :param name: its name, without the prefix ``sagemaker_pipelines``.
    :param pipeline: the pipeline's name, its ARN, or the ARN of one of its executions.
    :param amount: how much to add, default 1.
    """
    _report(Stats.incr, name, pipeline, amount)


def duration(name: str, pipeline: str, seconds: float) -> None:
    """Report how long something took.

    :param name: the timer's name, without the prefix ``sagemaker_pipelines``.
    :param pipeline: see :func:`count`.
    :param seconds: the duration.
    """
    _report(Stats.timing, name, pipeline, timedelta(seconds=seconds))


def gauge(name: str, pipeline: str, value: float) -> None:
    """Report a current value.

    :param name: the gauge's name, without the prefix ``sagemaker_pipelines``.
    :param pipeline: see :func:`count`.
    :param value: the value.
    """
    _report(Stats.gauge, name, pipeline, value)


def wait_ended(pipeline_execution_arn: str, outcome: str) -> None:
    """Count a wait by its outcome.

    :param pipeline_execution_arn: the execution.
    :param outcome: ``rejected``, ``timed_out``, or the execution's status as AWS writes it.
    """
    count(f"waits.{re.sub('(?<=[a-z])(?=[A-Z])', '_', outcome).lower()}", pipeline_execution_arn)


def trace_steps(pipeline_execution_arn: str, steps: Iterable[Step]) -> None:
    """Add a span for each step that has ended, below the span of the running task.

    :param pipeline_execution_arn: the execution.
    :param steps: its steps.
    """
    tracer = trace.get_tracer(__name__)
    for step in steps:
        if step.started is None or step.ended is None:
            continue
        known = {"attempts": step.attempts, "type": step.type, "job_arn": step.arn}
        attributes = {
            "execution_arn": pipeline_execution_arn,
            "status": step.status,
            "cache_hit": step.is_cache_hit,
            **{name: value for name, value in known.items() if value is not None},
        }
        span = tracer.start_span(
            f"sagemaker_step.{step.name}",
            start_time=_nanoseconds(step.started),
            attributes={f"{_PREFIX}.{name}": value for name, value in attributes.items()},
        )
        if step.status == FAILED:
            span.set_status(trace.StatusCode.ERROR, step.reason)
        span.end(_nanoseconds(step.ended))


def _tags(pipeline: str) -> dict[str, str]:
    name = pipeline.partition("/execution/")[0].rpartition("/")[2]
    return {"pipeline_name": name}


def _nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000) * 1_000


def _report(send: Callable[..., Any], name: str, pipeline: str, value: object) -> None:
    try:
        send(f"{_PREFIX}.{name}", value, tags=_tags(pipeline))
    except Exception as error:
        # A backend that does not work must not fail a task or a trigger.
        log.warning("Cannot report the measure %s.%s: %s", _PREFIX, name, error)
