"""Upsert the compiled abalone definition: calls and milliseconds of the first one, and unchanged."""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from local_runtime.settings import Settings
from local_runtime.testing import RuntimeProcess
from sagemaker_pipelines.definition import Envelope
from stack.run import DEFINITION

ROUNDS = 20


def main() -> None:
    """Print calls by name, and how long an upsert takes."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("AIRFLOW_HOME", f"{folder}/airflow")
        os.environ.setdefault("AIRFLOW__LOGGING__LOGGING_LEVEL", "ERROR")  # hooks tell their credentials
        runtime = RuntimeProcess(Settings(data_dir=Path(folder) / "runtime", port=0))
        try:
            os.environ["AIRFLOW_CONN_AWS_DEFAULT"] = json.dumps(_connection(runtime))
            print(f"the upsert of {DEFINITION.name} (goal: unchanged, two reads, one list, no write)")
            _print("first", *_upsert(runtime))
            unchanged = [_upsert(runtime) for _ in range(ROUNDS)]
            _print("unchanged", unchanged[0][0], statistics.median(seconds for _, seconds in unchanged))
        finally:
            runtime.close()


def _upsert(runtime: RuntimeProcess) -> tuple[dict[str, int], float]:
    """Return the calls of one upsert by a hook of its own, as a task has, and its seconds."""
    from sagemaker_pipelines.aws.upsert import upsert_pipeline
    from sagemaker_pipelines.hooks.pipeline import SageMakerPipelineHook

    client = SageMakerPipelineHook(aws_conn_id="aws_default").client
    envelope = Envelope.load(DEFINITION)
    _ = client.sagemaker  # making a client is the same for any operator
    before, began = _calls(runtime), time.perf_counter()
    upsert_pipeline(client, envelope)
    seconds = time.perf_counter() - began
    after = _calls(runtime)
    return {name: n - before.get(name, 0) for name, n in after.items() if n > before.get(name, 0)}, seconds


def _print(name: str, calls: dict[str, int], seconds: float) -> None:
    listed = ", ".join(f"{call} {n}" for call, n in calls.items())
    print(f"  {name:<10} {1000 * seconds:6.0f} ms   {sum(calls.values())} calls: {listed}")


def _calls(runtime: RuntimeProcess) -> dict[str, int]:
    counts: dict[str, int] = runtime._control("GET", "calls")["by_access_key"].get("upsert", {})
    return counts


def _connection(runtime: RuntimeProcess) -> dict[str, Any]:
    account = {"artifact_bucket": runtime.bucket, "role_arn": runtime.role_arn}
    return {
        "conn_type": "aws",
        "login": "upsert",
        "password": "any",
        "extra": {
            "region_name": "us-east-1",
            "endpoint_url": runtime.endpoint_url,
            "service_config": {"sagemaker": account},
        },
    }


if __name__ == "__main__":
    main()
