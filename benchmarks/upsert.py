"""Upsert the compiled abalone definition: calls and milliseconds of the first and of unchanged upserts."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.airflow_caller import calls, connection
from sagemaker_local_runtime.settings import Settings
from sagemaker_local_runtime.testing import RuntimeProcess
from sagemaker_pipelines.definition import Envelope
from stack.run import DEFINITION

ROUNDS = 20


def main() -> None:
    """Print calls by name, and how long an upsert takes."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("AIRFLOW_HOME", f"{folder}/airflow")
        os.environ.setdefault(
            "AIRFLOW__LOGGING__LOGGING_LEVEL", "ERROR"
        )  # hooks log their credentials' source
        runtime = RuntimeProcess(Settings(data_dir=Path(folder) / "runtime", port=0))
        try:
            os.environ["AIRFLOW_CONN_AWS_DEFAULT"] = connection(runtime, "upsert")
            print(f"the upsert of {DEFINITION.name} (goal when unchanged: two reads, one list, no write)")
            _print("first", *_upsert(runtime))
            unchanged = [_upsert(runtime) for _ in range(ROUNDS)]
            _print("unchanged", unchanged[0][0], statistics.median(seconds for _, seconds in unchanged))
        finally:
            runtime.close()


def _upsert(runtime: RuntimeProcess) -> tuple[dict[str, int], float]:
    """Return the calls and the seconds of one upsert, with a new hook as in a task."""
    from sagemaker_pipelines.aws.upsert import upsert_pipeline
    from sagemaker_pipelines.hooks.pipeline import SageMakerPipelineHook

    client = SageMakerPipelineHook(aws_conn_id="aws_default").client
    envelope = Envelope.load(DEFINITION)
    _ = client.sagemaker  # creating a client costs any operator the same
    before, began = calls(runtime, "upsert"), time.perf_counter()
    upsert_pipeline(client, envelope)
    seconds = time.perf_counter() - began
    after = calls(runtime, "upsert")
    return {name: n - before.get(name, 0) for name, n in after.items() if n > before.get(name, 0)}, seconds


def _print(name: str, counts: dict[str, int], seconds: float) -> None:
    listed = ", ".join(f"{call} {n}" for call, n in counts.items())
    print(f"  {name:<10} {1000 * seconds:6.0f} ms   {sum(counts.values())} calls: {listed}")


if __name__ == "__main__":
    main()
