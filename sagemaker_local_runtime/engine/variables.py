"""The execution variables of a definition."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any


def execution_variables(execution: Mapping[str, Any], name: str) -> dict[str, str]:
    """Return the execution variables that ``{"Get": "Execution.<name>"}`` can read.

    :param execution: the execution's document.
    :param name: the name of the job that reads them.
    """
    return {
        "StartDateTime": timestamp(execution["CreationTime"]),
        "CurrentDateTime": timestamp(time.time()),
        # SageMaker gives it in lower case.
        "PipelineName": execution["PipelineArn"].rpartition("/")[2].lower(),
        "PipelineArn": execution["PipelineArn"],
        "PipelineExecutionId": execution["PipelineExecutionArn"].rpartition("/")[2],
        "PipelineExecutionArn": execution["PipelineExecutionArn"],
        "TrainingJobName": name,
        "ProcessingJobName": name,
    }


def timestamp(seconds: float) -> str:
    """Return a time as execution variables show it: ``2026-11-23T07:00:00.000Z``."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
