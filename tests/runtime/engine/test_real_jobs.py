"""Executions of real jobs: stop, kill -9, cache, and fifty at once."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.runtime.engine.definitions import pipeline
from tests.runtime.engine.doubles import token
from tests.runtime.engine.test_over_http import GATE, client, create, ended, serve

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.9-0"


def job(name: str, code: str, **fields: Any) -> dict[str, Any]:
    """Return a Processing step that runs a line of Python."""
    cluster = {"InstanceCount": 1, "InstanceType": "ml.m5.xlarge", "VolumeSizeInGB": 1}
    arguments = {
        "AppSpecification": {"ImageUri": IMAGE, "ContainerEntrypoint": ["python3", "-c", code]},
        "ProcessingResources": {"ClusterConfig": cluster},
        "RoleArn": "arn:aws:iam::123456789012:role/SageMakerExecutionRole",
    }
    return {"Name": name, "Type": "Processing", "Arguments": arguments, **fields}


def wait_until(condition: Callable[[], Any], seconds: float = 20) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError("it did not happen")


def processes(mark: str) -> list[int]:
    """Return the processes whose command line holds the mark."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if mark.encode() in command:
                found.append(int(entry.name))
    return found


def job_arn(sagemaker: Any, execution: str) -> str | None:
    steps = sagemaker.list_pipeline_execution_steps(PipelineExecutionArn=execution)["PipelineExecutionSteps"]
    return steps[0]["Metadata"].get("ProcessingJob", {}).get("Arn") if steps else None


class Server:
    """A local runtime in a process of its own."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.process: subprocess.Popen[str]
        self.start()

    def start(self) -> None:
        self.process, self.endpoint = serve(self.data_dir)
        self.sagemaker = client(self.endpoint)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def open_files(self) -> int:
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def threads(self) -> int:
        return len(list(Path(f"/proc/{self.process.pid}/task").iterdir()))

    def resident_mb(self) -> float:
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(text.partition("VmRSS:")[2].split()[0]) / 1024


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    yield server
    server.process.terminate()
    server.process.wait(20)


def test_stop_ends_the_jobs_processes(server: Server) -> None:
    mark = token()
    sagemaker = server.sagemaker
    create(sagemaker, "long", pipeline(job("Sleep", f"import time; time.sleep(60)  # {mark}")))
    arn = sagemaker.start_pipeline_execution(PipelineName="long")["PipelineExecutionArn"]
    wait_until(lambda: processes(mark))
    sagemaker.stop_pipeline_execution(PipelineExecutionArn=arn)
    assert ended(sagemaker, arn) == "Stopped"
    assert processes(mark) == []
    (step,) = sagemaker.list_pipeline_execution_steps(PipelineExecutionArn=arn)["PipelineExecutionSteps"]
    assert step["StepStatus"] == "Stopped"


def test_kill_9_leaves_no_orphan_and_the_retry_runs_the_job_again(server: Server) -> None:
    mark = token()
    code = f"import time; time.sleep(3)  # {mark}"
    create(server.sagemaker, "killed", pipeline(job("Work", code)))
    arn = server.sagemaker.start_pipeline_execution(PipelineName="killed")["PipelineExecutionArn"]
    wait_until(lambda: processes(mark))
    server.kill()
    server.start()
    assert processes(mark) == []
    described = server.sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
    assert described["PipelineExecutionStatus"] == "Failed"
    server.sagemaker.retry_pipeline_execution(PipelineExecutionArn=arn)
    assert ended(server.sagemaker, arn) == "Succeeded"


def test_a_cache_hit_points_to_the_job_that_ran(server: Server) -> None:
    cache = {"CacheConfig": {"Enabled": True, "ExpireAfter": "PT1H"}}
    create(server.sagemaker, "cached", pipeline(job("Work", "print('once')", **cache)))
    arns = []
    for _ in range(2):
        execution = server.sagemaker.start_pipeline_execution(PipelineName="cached")["PipelineExecutionArn"]
        assert ended(server.sagemaker, execution) == "Succeeded"
        arns.append(job_arn(server.sagemaker, execution))
    assert arns[0] is not None
    assert arns[0] == arns[1]


def test_fifty_executions_started_at_once_end_rightly_and_leave_nothing_behind(server: Server) -> None:
    """Every second one is rejected; threads, open files and memory of the server return to their level."""
    create(server.sagemaker, "gate", GATE)

    def run(number: int) -> tuple[str, str]:
        threshold = [{"Name": "Threshold", "Value": "3.0" if number % 2 else "6.0"}]
        arn = server.sagemaker.start_pipeline_execution(PipelineName="gate", PipelineParameters=threshold)
        return threshold[0]["Value"], ended(server.sagemaker, arn["PipelineExecutionArn"])

    def fifty_at_once() -> list[tuple[str, str]]:
        with ThreadPoolExecutor(50) as pool:
            return list(pool.map(run, range(50)))

    results = fifty_at_once()
    level = server.threads(), server.open_files(), server.resident_mb()
    results += fifty_at_once()
    assert sorted(results) == [("3.0", "Failed")] * 50 + [("6.0", "Succeeded")] * 50
    wait_until(lambda: server.threads() <= level[0] + 2 and server.open_files() <= level[1] + 2)
    assert server.resident_mb() < level[2] + 20
