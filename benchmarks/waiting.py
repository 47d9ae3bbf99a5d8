"""Wait for 200 executions at once, with our trigger and with the provider's, and for 1,000 with ours."""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.airflow_caller import calls, connection
from sagemaker_local_runtime.settings import Settings
from sagemaker_local_runtime.testing import RuntimeProcess

EXECUTIONS = int(os.environ.get("BENCH_EXECUTIONS", "200"))
MANY = 1000
INTERVAL = 30
# The triggers create their clients during the warm-up. The next minute shows what mere waiting costs; then
# the executions end one after the other.
WARM_UP = 45.0
FIRST_END, LAST_END = 105.0, 155.0


def main() -> None:
    """Print calls a minute, the delay from an execution's end to its event, and the loop's CPU time."""
    print(f"waiting for {EXECUTIONS} executions at once, polled at least every {INTERVAL} s")
    provider = _measure("provider", EXECUTIONS)
    ours = _measure("ours", EXECUTIONS)
    ratio = provider["calls_a_minute"] / max(ours["calls_a_minute"], 1)
    print(f"  ours makes 1/{ratio:.1f} of the calls (goal: 1/20)")
    print(f"waiting for {MANY} executions at once (goals: 10 s, 30 calls a minute)")
    _measure("ours", MANY)


def _measure(kind: str, executions: int) -> dict[str, float]:
    """Print and return the figures for one kind of trigger, which gets its own runtime and process."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder) / "runtime", port=0, max_concurrent_executions=executions)
        runtime = RuntimeProcess(settings)
        try:
            queue = runtime.client("sqs").create_queue(QueueName="hold")["QueueUrl"]
            hold = {"Name": "Hold", "Type": "Callback", "SqsQueueUrl": queue, "Arguments": {}}
            runtime.create_pipeline({"Version": "2020-12-01", "Steps": [hold]}, "waiting")
            arns = [runtime.start("waiting") for _ in range(executions)]
            tokens = {arn: _token(runtime, arn) for arn in arns}
            figures = _watch(kind, runtime, tokens, Path(folder))
        finally:
            runtime.close()
    print(
        f"  {kind:<9} {figures['calls_a_minute']:7.0f} calls/min   noticed after "
        f"{figures['median']:.1f} s (median), {figures['p95']:.1f} s (p95)   CPU {figures['cpu']:.1f} s "
        f"of {figures['seconds']:.0f} s   {figures['noticed']:.0f} of {executions} noticed"
    )
    return figures


def _token(runtime: RuntimeProcess, arn: str) -> str:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        step = runtime.steps(arn).get("Hold", {})
        if token := step.get("Metadata", {}).get("Callback", {}).get("CallbackToken"):
            return str(token)
        time.sleep(0.05)
    raise TimeoutError(f"{arn} has not started to wait for its callback")


def _watch(kind: str, runtime: RuntimeProcess, tokens: dict[str, str], folder: Path) -> dict[str, float]:
    """End the executions one by one while a process with the triggers watches them."""
    figures = folder / "figures.json"
    with (folder / "triggers.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.waiting", kind, str(figures), *tokens],
            env=_environment(runtime, folder),
            stdout=log,
            stderr=log,
        )
    while not _calls(runtime):
        if process.poll() is not None:
            raise RuntimeError((folder / "triggers.log").read_text())
        time.sleep(0.1)
    began = time.monotonic()
    time.sleep(WARM_UP)
    before, counted = _calls(runtime), time.monotonic()
    time.sleep(FIRST_END - WARM_UP)
    waited = time.monotonic() - counted
    made = _calls(runtime) - before
    ends = {}
    for number, (arn, token) in enumerate(tokens.items()):
        due = FIRST_END + (LAST_END - FIRST_END) * number / len(tokens)
        time.sleep(max(0.0, began + due - time.monotonic()))
        runtime.client("sagemaker").send_pipeline_execution_step_success(CallbackToken=token)
        ends[arn] = time.time()
    process.wait(timeout=LAST_END + 4 * INTERVAL)
    answer = json.loads(figures.read_text())
    delays = [noticed - ends[arn] for arn, noticed in answer["noticed"].items()]
    return {
        "calls_a_minute": made * 60 / waited,
        "median": statistics.median(delays),
        "p95": statistics.quantiles(delays, n=20)[-1],
        "cpu": answer["cpu"],
        "seconds": answer["seconds"],
        "noticed": float(len(delays)),
    }


def _calls(runtime: RuntimeProcess) -> int:
    return sum(calls(runtime, "triggerer").values())


def _environment(runtime: RuntimeProcess, folder: Path) -> dict[str, str]:
    return os.environ | {
        "AIRFLOW_HOME": str(folder / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW_CONN_AWS_DEFAULT": connection(runtime, "triggerer"),
    }


def watch(kind: str, path: str, arns: list[str]) -> None:
    """Run one trigger per execution in one loop, and write to a file when each of them fired."""
    began, cpu = time.monotonic(), time.process_time()
    noticed = asyncio.run(_run([_trigger(kind, arn) for arn in arns], arns))
    figures = {"cpu": time.process_time() - cpu, "seconds": time.monotonic() - began}
    Path(path).write_text(json.dumps({"noticed": noticed, **figures}))


def _trigger(kind: str, arn: str) -> Any:
    if kind == "ours":
        from sagemaker_pipelines.triggers.pipeline import SageMakerPipelineExecutionTrigger

        return SageMakerPipelineExecutionTrigger(pipeline_execution_arn=arn, waiter_delay=INTERVAL)
    from airflow.providers.amazon.aws.triggers.sagemaker import SageMakerPipelineTrigger

    return SageMakerPipelineTrigger(
        waiter_type=SageMakerPipelineTrigger.Type.COMPLETE,
        pipeline_execution_arn=arn,
        waiter_delay=INTERVAL,
        waiter_max_attempts=1000,
        aws_conn_id="aws_default",
    )


async def _run(triggers: list[Any], arns: list[str]) -> dict[str, float]:
    # The pool of threads for asyncio and asgiref is as large as in a triggerer.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(min(32, (os.cpu_count() or 1) + 4)))
    noticed: dict[str, float] = {}

    async def first_event(trigger: Any, arn: str) -> None:
        async for event in trigger.run():
            if event.payload.get("event", "ended") == "ended":
                noticed[arn] = time.time()
            return

    await asyncio.gather(*map(first_event, triggers, arns), return_exceptions=True)
    return noticed


if __name__ == "__main__":
    if len(sys.argv) > 1:
        watch(sys.argv[1], sys.argv[2], sys.argv[3:])
    else:
        main()
