"""Tuning jobs and Tuning steps over HTTP, with real training jobs."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sagemaker_local_runtime.target import Target
from sagemaker_local_runtime.testing import LocalRuntime, RuntimeProcess
from sagemaker_local_runtime.tuning.service import INTERRUPTED
from sagemaker_pipelines.aws.billing import with_bills
from sagemaker_pipelines.aws.client import SageMakerClient
from sagemaker_pipelines.aws.gate import read_gate
from sagemaker_pipelines.aws.outcome import failure_cause
from sagemaker_pipelines.aws.steps import Step
from tests.runtime.engine.definitions import condition, fail_step, pipeline
from tests.runtime.jobs.conftest import SKLEARN
from tests.runtime.tuning_jobs import request_for, tuning_request, tuning_step
from tests.waiting import until


def tuning_job(runtime: LocalRuntime, arn: str, step: str = "Tune") -> dict[str, Any]:
    """Return the description of the tuning job of a step."""
    name = runtime.steps(arn)[step]["Metadata"]["TuningJob"]["Arn"].rpartition("/")[2]
    found: dict[str, Any] = runtime.client("sagemaker").describe_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=name
    )
    return found


def ended(runtime: Any, name: str) -> dict[str, Any]:
    """Wait for the end of a tuning job and return its description."""
    sagemaker = runtime.client("sagemaker")

    def described() -> dict[str, Any] | None:
        job: dict[str, Any] = sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
        return job if job["HyperParameterTuningJobStatus"] in ("Completed", "Failed", "Stopped") else None

    return until(described)


def bill(client: SageMakerClient, arn: str) -> tuple[float, str]:
    """Return what the Tuning step of an execution bills, and where this comes from."""
    steps = with_bills(client, client.describe_execution(arn), client.list_steps(arn))
    (found,) = (step.bill for step in steps if step.bill is not None)
    return found.instance_seconds, found.source


def create(runtime: LocalRuntime, name: str, mode: str = "work", **changes: Any) -> dict[str, Any]:
    request = tuning_request(runtime, mode, **changes)
    answer: dict[str, Any] = runtime.client("sagemaker").create_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=name, **request
    )
    return answer


def test_the_best_training_job_reaches_the_next_steps(local_runtime: LocalRuntime) -> None:
    best = {"Get": "Steps.Tune.BestTrainingJob.FinalHyperParameterTuningJobObjectiveMetric.Value"}
    uri = {"Get": "Steps.Tune.TrainingJobSummaries[0].TrainingJobName"}
    wrong = {"Std:Join": {"On": "/", "Values": ["best", uri, best]}}
    tune = tuning_step(local_runtime, CacheConfig={"Enabled": True, "ExpireAfter": "P1D"})
    gate = condition(
        "Gate", [{"Type": "LessThan", "LeftValue": best, "RightValue": 1}], [], [fail_step("No", wrong)]
    )
    name = local_runtime.create_pipeline(pipeline(tune, gate))
    first = local_runtime.start(name)
    assert local_runtime.wait(first)["PipelineExecutionStatus"] == "Failed"
    job = tuning_job(local_runtime, first)
    chosen = job["BestTrainingJob"]
    assert chosen["TunedHyperParameters"] == {"rate": "1"}
    assert chosen["TrainingJobName"].startswith(f"{job['HyperParameterTuningJobName']}-")
    steps = local_runtime.steps(first)
    assert steps["No"]["FailureReason"] == f"best/{chosen['TrainingJobName']}/1.0"

    target = Target.of(local_runtime.endpoint_url, local_runtime.settings)
    verdict = read_gate(target.sagemaker, first)
    assert (verdict.metric, verdict.value, verdict.passed) == ("loss", 1.0, False)
    assert verdict.report_uri == job["HyperParameterTuningJobArn"]

    sagemaker = local_runtime.client("sagemaker")
    trained = sagemaker.describe_training_job(TrainingJobName=chosen["TrainingJobName"])
    assert trained["TuningJobArn"] == job["HyperParameterTuningJobArn"]
    tags = sagemaker.list_tags(ResourceArn=trained["TrainingJobArn"])["Tags"]
    assert {"Key": "sagemaker:pipeline-step-name", "Value": "Tune"} in tags

    second = local_runtime.start(name)
    local_runtime.wait(second)
    cached = local_runtime.steps(second)["Tune"]
    assert cached["CacheHitResult"] == {"SourcePipelineExecutionArn": first}
    assert cached["Metadata"] == steps["Tune"]["Metadata"]
    assert bill(target.sagemaker, second) == (0.0, "cache hit")
    # Three training jobs on two instances each; the shortest job bills a second.
    seconds, source = bill(target.sagemaker, first)
    assert (seconds >= 6, source) == (True, "BillableTimeInSeconds")
    assert len(sagemaker.list_hyper_parameter_tuning_jobs()["HyperParameterTuningJobSummaries"]) == 1


def test_a_stop_ends_the_training_jobs(local_runtime: LocalRuntime) -> None:
    arn = local_runtime.start(
        local_runtime.create_pipeline(pipeline(tuning_step(local_runtime, mode="sleep")))
    )
    sagemaker = local_runtime.client("sagemaker")
    until(lambda: sagemaker.list_training_jobs(StatusEquals="InProgress")["TrainingJobSummaries"])
    sagemaker.stop_pipeline_execution(PipelineExecutionArn=arn, ClientRequestToken="t" * 32)
    assert local_runtime.wait(arn)["PipelineExecutionStatus"] == "Stopped"
    job = tuning_job(local_runtime, arn)
    assert job["HyperParameterTuningJobStatus"] == "Stopped"
    assert job["TrainingJobStatusCounters"]["InProgress"] == 0
    assert {job["TrainingJobStatus"] for job in sagemaker.list_training_jobs()["TrainingJobSummaries"]} == {
        "Stopped"
    }


def test_a_step_whose_training_jobs_fail_says_so(local_runtime: LocalRuntime) -> None:
    execution = local_runtime.execute(pipeline(tuning_step(local_runtime, mode="fail")))
    step = local_runtime.steps(execution["PipelineExecutionArn"])["Tune"]
    assert step["FailureReason"].startswith("ClientError: No training job succeeded after 3 attempts.")
    counted = tuning_job(local_runtime, execution["PipelineExecutionArn"])
    assert counted["TrainingJobStatusCounters"]["NonRetryableError"] == 3
    assert counted["ObjectiveStatusCounters"] == {"Succeeded": 0, "Pending": 0, "Failed": 3}
    cause = failure_cause(
        Target.of(local_runtime.endpoint_url, local_runtime.settings).sagemaker, Step.read(step)
    )
    assert str(cause.log_stream).startswith(f"{counted['HyperParameterTuningJobName']}-")
    assert "the rate is wrong" in cause.log_tail


def test_a_policy_retries_a_tuning_job_without_capacity(local_runtime: LocalRuntime) -> None:
    local_runtime.add_fault("CreateHyperParameterTuningJob", "capacity", count=1)
    policy = {"ExceptionType": ["SageMaker.CAPACITY_ERROR"], "IntervalSeconds": 0, "MaxAttempts": 1}
    execution = local_runtime.execute(pipeline(tuning_step(local_runtime, RetryPolicies=[policy])))
    assert execution["PipelineExecutionStatus"] == "Succeeded"
    assert local_runtime.steps(execution["PipelineExecutionArn"])["Tune"]["AttemptCount"] == 2


def test_a_refused_tuning_job_fails_the_step(local_runtime: LocalRuntime) -> None:
    step = tuning_step(local_runtime)
    step["Arguments"]["TrainingJobDefinition"]["AlgorithmSpecification"]["MetricDefinitions"] = []
    execution = local_runtime.execute(pipeline(step))
    reason = local_runtime.steps(execution["PipelineExecutionArn"])["Tune"]["FailureReason"]
    # https://github.com/aws/sagemaker-python-sdk/issues/3932
    assert reason == (
        "ClientError: Failed to invoke sagemaker:CreateHyperParameterTuningJob. Error Details: A metric is "
        "required for this hyperparameter tuning job objective. Provide a metric in the metric definitions."
    )


def test_what_a_tuning_job_trains_does_not_reach_the_runtime(
    local_runtime: LocalRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    if local_runtime.runtime.jobs.isolation != "namespace":
        pytest.skip("without namespaces, jobs see the files of this user")
    monkeypatch.setenv("DATABASE_PASSWORD", "secret")
    request = tuning_request(local_runtime, "look")
    definition = request["TrainingJobDefinition"]
    definition["StaticHyperParameters"]["data"] = str(local_runtime.settings.data_dir.resolve())
    definition["Environment"] = {"MINE": "1"}
    local_runtime.client("sagemaker").create_hyper_parameter_tuning_job(
        HyperParameterTuningJobName="looker", **request
    )
    best = ended(local_runtime, "looker")["BestTrainingJob"]["TrainingJobName"]
    model = local_runtime.get(f"s3://{local_runtime.bucket}/models/{best}/output/model.tar.gz")
    with tarfile.open(fileobj=io.BytesIO(model)) as archive:
        seen = json.load(archive.extractfile("seen.json"))  # type: ignore[arg-type]
    assert "DATABASE_PASSWORD" not in seen["environment"]
    assert (seen["environment"]["MINE"], seen["environment"]["TRAINING_JOB_NAME"]) == ("1", best)
    assert not seen["data"]


def test_clients_list_stop_and_delete_tuning_jobs(local_runtime: LocalRuntime) -> None:
    sagemaker = local_runtime.client("sagemaker")
    create(local_runtime, "sleeper", "sleep")
    with pytest.raises(ClientError, match="already exists"):
        create(local_runtime, "sleeper")
    with pytest.raises(ClientError, match="is in status InProgress"):
        sagemaker.delete_hyper_parameter_tuning_job(HyperParameterTuningJobName="sleeper")
    sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName="sleeper")
    assert ended(local_runtime, "sleeper")["HyperParameterTuningJobStatus"] == "Stopped"
    with pytest.raises(ClientError, match="rejected because the hyper parameter tuning job is in status"):
        sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName="sleeper")

    create(local_runtime, "worker")
    ended(local_runtime, "worker")
    (found,) = sagemaker.list_hyper_parameter_tuning_jobs(StatusEquals="Completed")[
        "HyperParameterTuningJobSummaries"
    ]
    assert (found["HyperParameterTuningJobName"], found["Strategy"]) == ("worker", "Grid")
    by_metric = sagemaker.list_training_jobs_for_hyper_parameter_tuning_job(
        HyperParameterTuningJobName="worker", SortBy="FinalObjectiveMetricValue", MaxResults=2
    )
    rates = [job["TunedHyperParameters"]["rate"] for job in by_metric["TrainingJobSummaries"]]
    assert (rates, "NextToken" in by_metric) == (["1", "2"], True)

    name = by_metric["TrainingJobSummaries"][1]["TrainingJobName"]
    sagemaker.delete_training_job(TrainingJobName=name)
    left = sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName="worker")
    assert left["TrainingJobStatusCounters"]["Completed"] == 2

    sagemaker.delete_hyper_parameter_tuning_job(HyperParameterTuningJobName="worker")
    with pytest.raises(ClientError, match="can't find a tuning job with the name worker"):
        sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName="worker")
    name = by_metric["TrainingJobSummaries"][0]["TrainingJobName"]
    assert sagemaker.describe_training_job(TrainingJobName=name)["TrainingJobStatus"] == "Completed"


@pytest.mark.thorough
def test_a_killed_runtime_marks_its_tuning_jobs(
    local_runtime_process: RuntimeProcess, tmp_path: Path
) -> None:
    (tmp_path / "train.py").write_text("import time; time.sleep(3600)")
    with tarfile.open(tmp_path / "source.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "train.py", "train.py")
    uri = local_runtime_process.put("source.tar.gz", (tmp_path / "source.tar.gz").read_bytes())
    script = {"sagemaker_program": "train.py", "sagemaker_submit_directory": uri}
    sagemaker = local_runtime_process.client("sagemaker")
    sagemaker.create_hyper_parameter_tuning_job(
        HyperParameterTuningJobName="killed", **request_for(local_runtime_process, SKLEARN, script)
    )
    until(lambda: sagemaker.list_training_jobs()["TrainingJobSummaries"])
    local_runtime_process.kill()
    local_runtime_process.start_process()
    job = ended(local_runtime_process, "killed")
    assert (job["HyperParameterTuningJobStatus"], job["FailureReason"]) == ("Failed", INTERRUPTED)
    assert job["TrainingJobStatusCounters"]["InProgress"] == 0
