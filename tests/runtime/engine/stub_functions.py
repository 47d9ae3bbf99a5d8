"""Stubs of the tests, each called in a process of its own."""

from __future__ import annotations

import os
import time
from typing import Any


def run_emr(step: dict[str, Any]) -> dict[str, Any]:
    print("the stub saw", step["Arguments"]["StepConfig"]["HadoopJarStep"]["Args"])
    return {
        "ClusterId": "j-1",
        "Rows": {"count": 3},
        "Process": os.getpid(),
        "Execution": step["PipelineExecutionArn"],
        "Secret": os.environ.get("DATABASE_PASSWORD", "none"),
    }


def nothing(step: dict[str, Any]) -> None:
    """Give no outputs."""


def fail(step: dict[str, Any]) -> dict[str, Any]:
    raise ValueError("no such cluster")


def a_list(step: dict[str, Any]) -> Any:
    return [1]


def leave(step: dict[str, Any]) -> dict[str, Any]:
    os._exit(3)


def sleep(step: dict[str, Any]) -> dict[str, Any]:
    time.sleep(3600)
    return {}
