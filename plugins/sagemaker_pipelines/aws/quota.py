"""Count what executes, to stay below the account's quota of concurrent executions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sagemaker_pipelines.states import EXECUTION_PHASES, Phase

if TYPE_CHECKING:
    from sagemaker_pipelines.hooks.pipeline import SageMakerPipelineHook

#: An execution that began earlier is not counted: this bounds the pages that a count reads.
LOOK_BACK = timedelta(days=2)
_NEVER = datetime.min.replace(tzinfo=UTC)


def executing_count(hook: SageMakerPipelineHook, *, limit: int) -> int:
    """Return how many executions of the environment's pipelines execute or stop, at most ``limit``.

    All pipelines whose names begin with the environment's ``name_prefix`` are counted, whichever DAG or
    person started them; with an empty prefix that is every pipeline of the account and region. A pipeline
    without an execution in the last two days costs no call. Two starts at the same moment may both see
    room: the limit is exceeded by at most as many as start at once.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ListPipelineExecutions.html

    :param hook: what to ask AWS with.
    :param limit: where to stop counting.
    """
    since = datetime.now(UTC) - LOOK_BACK
    count = 0
    for name in _recent_pipelines(hook, since):
        for summary in hook.list_executions(name, CreatedAfter=since):
            count += EXECUTION_PHASES.get(summary["PipelineExecutionStatus"]) is Phase.RUNNING
            if count >= limit:
                return count
    return count


def _recent_pipelines(hook: SageMakerPipelineHook, since: datetime) -> list[str]:
    prefix = hook.settings.name_prefix
    # AWS takes no prefix that ends in a hyphen, as the environment's do.
    stem = prefix.rstrip("-")
    filters = {"PipelineNamePrefix": stem} if stem else {}
    pages = hook.conn.get_paginator("list_pipelines").paginate(**filters)
    return [
        str(summary["PipelineName"])
        for page in pages
        for summary in page["PipelineSummaries"]
        if summary["PipelineName"].startswith(prefix) and summary.get("LastExecutionTime", _NEVER) >= since
    ]
