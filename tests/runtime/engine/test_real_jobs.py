"""Executions of real jobs: stop, kill -9, cache, and fifty at once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from sagemaker_local_runtime.engine.execution import INTERRUPTED
from sagemaker_local_runtime.settings import Settings
from sagemaker_local_runtime.target import Target
from sagemaker_local_runtime.testing import LocalRuntime, RuntimeProcess
from sagemaker_pipelines.aws.gate import read_gate
from tests.processes import processes_with
from tests.runtime.engine.definitions import pipeline
from tests.runtime.engine.doubles import token
from tests.runtime.engine.test_over_http import GATE
from tests.waiting import until

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.9-0"
XGBOOST = IMAGE.replace("sagemaker-scikit-learn:1.9-0", "sagemaker-xgboost:3.2-0")


def job(name: str, code: str, **fields: Any) -> dict[str, Any]:
    """Return a Processing step that runs a line of Python."""
    cluster = {"InstanceCount": 1, "InstanceType": "ml.m5.xlarge", "VolumeSizeInGB": 1}
    arguments = {
        "AppSpecification": {"ImageUri": IMAGE, "ContainerEntrypoint": ["python3", "-c", code]},
        "ProcessingResources": {"ClusterConfig": cluster},
        "RoleArn": "arn:aws:iam::123456789012:role/SageMakerExecutionRole",
    }
    return {"Name": name, "Type": "Processing", "Arguments": arguments, **fields}


def test_stop_ends_the_jobs_processes(local_runtime: LocalRuntime) -> None:
    mark = token()
    arn = local_runtime.start(
        local_runtime.create_pipeline(pipeline(job("Sleep", f"import time; time.sleep(3600)  # {mark}")))
    )
    until(lambda: processes_with(mark))
    local_runtime.client("sagemaker").stop_pipeline_execution(PipelineExecutionArn=arn)
    assert local_runtime.wait(arn)["PipelineExecutionStatus"] == "Stopped"
    assert processes_with(mark) == []
    step = local_runtime.steps(arn)["Sleep"]
    assert step["StepStatus"] == "Stopped"
    assert step["Metadata"]["ProcessingJob"]["Arn"]


def test_a_step_without_a_role_takes_on_the_pipelines(local_runtime: LocalRuntime) -> None:
    step = job("Work", "print('as the pipeline')")
    del step["Arguments"]["RoleArn"]
    model = {"Name": "Model", "Type": "Model", "Arguments": {"PrimaryContainer": {"Image": IMAGE}}}
    execution = local_runtime.execute(pipeline(step, model))
    steps = local_runtime.steps(execution["PipelineExecutionArn"])
    assert execution["PipelineExecutionStatus"] == "Succeeded", steps
    sagemaker = local_runtime.client("sagemaker")
    names = {
        name: next(iter(step["Metadata"].values()))["Arn"].rpartition("/")[2] for name, step in steps.items()
    }
    assert sagemaker.describe_processing_job(ProcessingJobName=names["Work"])["RoleArn"] == (
        local_runtime.role_arn
    )
    assert sagemaker.describe_model(ModelName=names["Model"])["ExecutionRoleArn"] == local_runtime.role_arn


def test_a_fail_step_needs_no_message(local_runtime: LocalRuntime) -> None:
    fail = {"Name": "Refuse", "Type": "Fail", "Arguments": {"ErrorMessage": ""}}
    execution = local_runtime.execute(pipeline(fail))
    assert execution["PipelineExecutionStatus"] == "Failed"
    assert local_runtime.steps(execution["PipelineExecutionArn"])["Refuse"]["StepStatus"] == "Failed"


@pytest.mark.parametrize(("threshold", "status"), [(100.0, "Succeeded"), (0.0, "Failed")])
def test_a_condition_reads_a_metric_of_a_training_job(
    local_runtime: LocalRuntime, threshold: float, status: str
) -> None:
    rows = b"".join(b"%d,%d\n" % (number % 5, number % 7) for number in range(50))
    uri = local_runtime.put("train/rows.csv", rows)
    channel = {
        "ChannelName": "train",
        "ContentType": "text/csv",
        "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}},
    }
    train = {
        "AlgorithmSpecification": {"TrainingImage": XGBOOST, "TrainingInputMode": "File"},
        "HyperParameters": {"num_round": "2", "objective": "reg:squarederror"},
        "InputDataConfig": [channel],
        "OutputDataConfig": {"S3OutputPath": f"s3://{local_runtime.bucket}/models"},
        "ResourceConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.xlarge", "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        "RoleArn": local_runtime.role_arn,
    }
    compare = {
        "Type": "LessThanOrEqualTo",
        "LeftValue": {"Get": "Steps.Train.FinalMetricDataList['train:rmse'].Value"},
        "RightValue": threshold,
    }
    refuse = {"Name": "Refuse", "Type": "Fail", "Arguments": {"ErrorMessage": "too large"}}
    gate = {"Conditions": [compare], "IfSteps": [], "ElseSteps": [refuse]}
    definition = pipeline(
        {"Name": "Train", "Type": "Training", "Arguments": train},
        {"Name": "Gate", "Type": "Condition", "Arguments": gate},
    )
    execution = local_runtime.execute(definition)
    arn = execution["PipelineExecutionArn"]
    assert execution["PipelineExecutionStatus"] == status, local_runtime.steps(arn)
    target = Target.of(local_runtime.endpoint_url, local_runtime.settings)
    verdict = read_gate(target.sagemaker, arn)
    assert (verdict.threshold, verdict.passed) == (threshold, status == "Succeeded")
    assert verdict.value > 0


@pytest.mark.thorough
def test_kill_9_leaves_no_orphan_and_the_retry_runs_the_job_again(
    local_runtime_process: RuntimeProcess, tmp_path: Path
) -> None:
    runtime, mark, gate = local_runtime_process, token(), tmp_path / "gate"
    # Its first attempt lasts until the kill, its second one ends.
    work = f"import os, time; os.path.exists({str(gate)!r}) or time.sleep(3600)  # {mark}"
    arn = runtime.start(runtime.create_pipeline(pipeline(job("Work", work), job("Other", "print('fast')"))))
    until(lambda: processes_with(mark))
    until(lambda: runtime.steps(arn).get("Other", {}).get("StepStatus") == "Succeeded")
    before = runtime.steps(arn)["Other"]
    runtime.kill()
    runtime.start_process()
    assert processes_with(mark) == []
    described = runtime.wait(arn)
    assert (described["PipelineExecutionStatus"], described["FailureReason"]) == ("Failed", INTERRUPTED)
    step = runtime.steps(arn)["Work"]
    assert (step["StepStatus"], step["FailureReason"]) == ("Failed", INTERRUPTED)
    gate.touch()
    runtime.client("sagemaker").retry_pipeline_execution(PipelineExecutionArn=arn)
    assert runtime.wait(arn)["PipelineExecutionStatus"] == "Succeeded"
    assert runtime.steps(arn)["Other"] == before


def test_a_cache_hit_points_to_the_job_that_ran(local_runtime: LocalRuntime) -> None:
    cache = {"CacheConfig": {"Enabled": True, "ExpireAfter": "PT1H"}}
    name = local_runtime.create_pipeline(pipeline(job("Work", "print('once')", **cache)))
    first, second = (local_runtime.wait(local_runtime.start(name))["PipelineExecutionArn"] for _ in range(2))
    ran, reused = local_runtime.steps(first)["Work"], local_runtime.steps(second)["Work"]
    assert reused["CacheHitResult"] == {"SourcePipelineExecutionArn": first}
    assert reused["Metadata"] == ran["Metadata"]
    assert first.rpartition("/")[2] in ran["Metadata"]["ProcessingJob"]["Arn"]


@pytest.fixture
def fifty(tmp_path: Path) -> Iterator[RuntimeProcess]:
    runtime = RuntimeProcess(Settings(data_dir=tmp_path / "runtime", port=0, max_concurrent_executions=50))
    yield runtime
    runtime.close()


def level(pid: int) -> tuple[int, int, float]:
    """Return the threads, the open files and the resident MiB of a process."""
    process = Path(f"/proc/{pid}")
    threads, files = (len(list((process / name).iterdir())) for name in ("task", "fd"))
    resident = int((process / "status").read_text().partition("VmRSS:")[2].split()[0]) / 1024
    return threads, files, resident


@pytest.mark.thorough
def test_fifty_executions_started_at_once_end_rightly_and_leave_nothing_behind(fifty: RuntimeProcess) -> None:
    """Every second one is rejected; threads, open files and memory of the server return to their level."""
    name = fifty.create_pipeline(GATE)

    def run(number: int) -> tuple[str, str]:
        threshold = "3.0" if number % 2 else "6.0"
        execution = fifty.wait(fifty.start(name, {"Threshold": threshold}))
        return threshold, str(execution["PipelineExecutionStatus"])

    def fifty_at_once() -> list[tuple[str, str]]:
        with ThreadPoolExecutor(50) as pool:
            return list(pool.map(run, range(50)))

    results = fifty_at_once()
    threads, files, resident = level(fifty.pid)
    results += fifty_at_once()
    assert sorted(results) == [("3.0", "Failed")] * 50 + [("6.0", "Succeeded")] * 50
    until(lambda: level(fifty.pid)[0] <= threads + 2 and level(fifty.pid)[1] <= files + 2)
    assert level(fifty.pid)[2] < resident + 20
