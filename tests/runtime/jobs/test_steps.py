from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from sagemaker_local_runtime.engine.services import Services
from sagemaker_local_runtime.engine.steps import EXECUTORS
from sagemaker_local_runtime.engine.steps.base import StepOutcome, StepRun
from sagemaker_local_runtime.exceptions import AwsError, ValidationError
from sagemaker_local_runtime.faults import CAPACITY_MESSAGE, Fault
from sagemaker_local_runtime.functions.service import FunctionService
from sagemaker_local_runtime.hosting.service import EndpointService
from tests.runtime.jobs.conftest import BUCKET, ROLE, SKLEARN, JobRuntime, processing_request
from tests.waiting import until

EXECUTION = "arn:aws:sagemaker:us-east-1:123456789012:pipeline/p/execution/abc123def456"


def step_run(
    runtime: JobRuntime, kind: str, arguments: dict[str, Any], stop: threading.Event | None = None
) -> StepRun:
    recorded: list[dict[str, Any]] = []
    nothing: Any = None
    return StepRun(
        services=Services(
            account=runtime.account,
            jobs=runtime.jobs,
            tuning=runtime.tuning,
            functions=FunctionService(runtime.account, runtime.jobs),
            endpoints=EndpointService(runtime.account, runtime.storage, runtime.models, runtime.jobs),
            stubs=nothing,
            models=runtime.models,
            storage=runtime.storage,
            events=nothing,
        ),
        execution={"PipelineExecutionArn": EXECUTION},
        step={"Name": "Step", "Type": kind, "Arguments": arguments},
        arguments=arguments,
        stop=stop or threading.Event(),
        record=recorded.append,
        job_name="pipelines-abc123def456-Step-AbCdEfGhIj",
    )


def run_script(
    runtime: JobRuntime, script: str, stop: threading.Event | None = None, **changes: Any
) -> StepOutcome:
    request = processing_request(runtime, "step", script, **changes)
    del request["ProcessingJobName"]
    return EXECUTORS["Processing"].run(step_run(runtime, "Processing", request, stop))


def test_a_job_step_exposes_the_jobs_description(runtime: JobRuntime) -> None:
    outcome = run_script(runtime, "")
    arn = "arn:aws:sagemaker:us-east-1:123456789012:processing-job/pipelines-abc123def456-Step-AbCdEfGhIj"
    assert outcome.status == "Succeeded"
    assert outcome.metadata == {"ProcessingJob": {"Arn": arn}}
    assert outcome.properties["ProcessingJobArn"] == arn
    assert outcome.properties["ProcessingJobStatus"] == "Completed"


def test_a_failed_job_fails_the_step_and_is_not_retried(runtime: JobRuntime) -> None:
    outcome = run_script(runtime, "raise SystemExit(3)")
    assert outcome.status == "Failed"
    assert outcome.failure_reason == "ClientError: AlgorithmError: , exit code: 3"
    assert outcome.failure_type is None


def test_a_job_without_capacity_has_the_type_that_retry_policies_match(runtime: JobRuntime) -> None:
    runtime.faults.add(Fault(action="CreateProcessingJob", kind="capacity", count=1))
    outcome = run_script(runtime, "")
    assert outcome.failure_reason == f"ClientError: {CAPACITY_MESSAGE}"
    assert outcome.failure_type == "SageMaker.CAPACITY_ERROR"


def test_a_fault_inside_the_runtime_is_an_internal_job_error(
    runtime: JobRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(*_: Any) -> None:
        raise RuntimeError("disk on fire")

    monkeypatch.setattr(runtime.storage, "download", explode)
    outcome = run_script(runtime, "")
    assert outcome.failure_reason == "ClientError: InternalServerError: RuntimeError: disk on fire"
    assert outcome.failure_type == "SageMaker.JOB_INTERNAL_ERROR"


def test_a_stop_ends_the_job_and_the_step_is_stopped(runtime: JobRuntime, tmp_path: Path) -> None:
    stop, begun = threading.Event(), tmp_path / "begun"

    def stop_once_it_runs() -> None:
        until(begun.exists, "the job")
        stop.set()

    threading.Thread(target=stop_once_it_runs).start()
    script = f"open({str(begun)!r}, 'w').close(); import time; time.sleep(3600)"
    assert run_script(runtime, script, stop).status == "Stopped"


def test_a_job_that_ran_out_of_time_fails_the_step(runtime: JobRuntime) -> None:
    outcome = run_script(
        runtime, "import time; time.sleep(3600)", StoppingCondition={"MaxRuntimeInSeconds": 1}
    )
    assert outcome.status == "Failed"
    assert outcome.failure_reason is not None
    assert "exceeded MaxRuntimeInSeconds (1)" in outcome.failure_reason


def test_a_custom_prefix_begins_the_jobs_name(runtime: JobRuntime) -> None:
    request = processing_request(runtime, "step", "")
    request["ProcessingJobName"] = "nightly-" + "x" * 60
    outcome = EXECUTORS["Processing"].run(step_run(runtime, "Processing", request))
    name = outcome.properties["ProcessingJobName"]
    assert name.startswith("nightly-xxx")
    assert name.endswith("-abc123def456-AbCdEfGhIj")
    assert len(name) == 63


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"AppSpecification": None}, "Value null at 'appSpecification' failed to satisfy constraint"),
        ({"ProcessingJobName": "../../escape"}, "at 'processingJobName' failed to satisfy constraint"),
        ({"ProcessingResources": {"ClusterConfig": {"InstanceCount": "two"}}}, "can not be converted"),
    ],
)
def test_arguments_are_checked_as_the_request_that_they_are(
    runtime: JobRuntime, changes: dict[str, Any], message: str
) -> None:
    """What a definition holds is checked like what a client sends, names that become paths above all."""
    request = {**processing_request(runtime, "step", ""), **changes}
    with pytest.raises(AwsError, match=message):
        EXECUTORS["Processing"].run(step_run(runtime, "Processing", request))


def container(runtime: JobRuntime) -> dict[str, Any]:
    uri = f"s3://{BUCKET}/steps/model.tar.gz"
    runtime.storage.write_bytes(uri, b"archive")
    return {"Image": SKLEARN, "ModelDataUrl": uri}


def test_a_registration_makes_its_group_and_counts_versions(runtime: JobRuntime) -> None:
    request = {
        "ModelPackageGroupName": "steps",
        "ModelApprovalStatus": "Approved",
        "InferenceSpecification": {"Containers": [container(runtime)], "SupportedContentTypes": ["text/csv"]},
    }
    first, second = (
        EXECUTORS["RegisterModel"].run(step_run(runtime, "RegisterModel", request)) for _ in range(2)
    )
    assert first.metadata["RegisterModel"]["Arn"].endswith(":model-package/steps/1")
    assert second.properties["ModelPackageVersion"] == 2
    assert second.properties["ModelApprovalStatus"] == "Approved"


def test_a_model_is_made_from_an_approved_package_only(runtime: JobRuntime) -> None:
    def register(status: str) -> str:
        request = {
            "ModelPackageGroupName": "gate",
            "ModelApprovalStatus": status,
            "InferenceSpecification": {"Containers": [container(runtime)]},
        }
        outcome = EXECUTORS["RegisterModel"].run(step_run(runtime, "RegisterModel", request))
        return str(outcome.properties["ModelPackageArn"])

    def create(package: str) -> StepOutcome:
        request = {"ExecutionRoleArn": ROLE, "PrimaryContainer": {"ModelPackageName": package}}
        return EXECUTORS["Model"].run(step_run(runtime, "Model", request))

    with pytest.raises(ValidationError, match="PendingManualApproval"):
        create(register("PendingManualApproval"))
    outcome = create(register("Approved"))
    assert outcome.metadata["Model"]["Arn"].endswith(":model/pipelines-abc123def456-Step-AbCdEfGhIj")
    assert outcome.properties["ModelName"] == "pipelines-abc123def456-Step-AbCdEfGhIj"
