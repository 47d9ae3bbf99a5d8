"""QualityCheck steps over HTTP, with real processing jobs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sagemaker_local_runtime.target import Target
from sagemaker_local_runtime.testing import LocalRuntime
from sagemaker_pipelines.aws.billing import with_bills
from sagemaker_pipelines.aws.steps import Step
from tests.runtime.engine.definitions import fail_step, get, pipeline
from tests.runtime.quality_checks import (
    CALCULATED,
    FIRST,
    FLAGS,
    USED,
    analyzer,
    check_step,
    supplied,
)
from tests.waiting import until

DATA = b"rings,sex\n" + b"".join(b"%d,%s\n" % (row % 7, b"MF"[row % 2 :][:1]) for row in range(60))
DRIFTED = DATA.replace(b",M", b",I")


def registered(runtime: LocalRuntime) -> dict[str, Any]:
    """Return a step that registers a model with the baselines of the check."""
    sources = {
        kind: {
            "ContentType": "application/json",
            "S3Uri": get(f"Steps.Check.BaselineUsedForDriftCheck{kind}"),
        }
        for kind in ("Statistics", "Constraints")
    }
    container = {"Image": "image", "ModelDataUrl": f"s3://{runtime.bucket}/model.tar.gz"}
    return {
        "Name": "Register",
        "Type": "RegisterModel",
        "Arguments": {
            "ModelPackageGroupName": "checked",
            "ModelApprovalStatus": "Approved",
            "DriftCheckBaselines": {"ModelDataQuality": sources},
            "InferenceSpecification": {
                "Containers": [container],
                "SupportedContentTypes": ["text/csv"],
                "SupportedResponseMIMETypes": ["text/csv"],
            },
        },
    }


def executed(runtime: LocalRuntime, name: str, **parameters: str) -> dict[str, Any]:
    """Execute a pipeline to its end and return its steps."""
    arn = runtime.start(name, parameters)
    runtime.wait(arn)
    return runtime.steps(arn)


def described_job(runtime: LocalRuntime, metadata: dict[str, Any]) -> dict[str, Any]:
    """Return the description of the job of a check."""
    name = metadata["CheckJobArn"].rpartition("/")[2]
    found: dict[str, Any] = runtime.client("sagemaker").describe_processing_job(ProcessingJobName=name)
    return found


@pytest.mark.thorough
def test_a_registered_baseline_finds_drift(local_runtime: LocalRuntime) -> None:
    """The first execution registers its baseline with a model; a later one is checked against it."""
    data = local_runtime.put("data/rows.csv", DATA)
    check = check_step(local_runtime, data=data, ModelPackageGroupName="checked")
    name = local_runtime.create_pipeline(pipeline(check, registered(local_runtime), parameters=FLAGS))

    first = executed(local_runtime, name, **FIRST)
    assert {step["StepStatus"] for step in first.values()} == {"Succeeded"}
    metadata = first["Check"]["Metadata"]["QualityCheck"]
    job = described_job(local_runtime, metadata)
    del metadata["CheckJobArn"]
    baseline = [metadata[member] for member in CALCULATED]
    assert metadata == {
        "CheckType": "DATA_QUALITY",
        "SkipCheck": True,
        "RegisterNewBaseline": True,
        "ModelPackageGroupName": "checked",
        **dict(zip((*CALCULATED, *USED), baseline * 2, strict=True)),
    }
    statistics, constraints = (json.loads(local_runtime.get(uri)) for uri in baseline)
    assert statistics["dataset"] == {"item_count": 60}
    assert [feature["inferred_type"] for feature in constraints["features"]] == ["Integral", "String"]
    sagemaker = local_runtime.client("sagemaker")
    assert job["ExitMessage"] == "Completed: Job completed successfully with no violations."
    arn = first["Register"]["Metadata"]["RegisterModel"]["Arn"]
    package = sagemaker.describe_model_package(ModelPackageName=arn)
    kept = package["DriftCheckBaselines"]["ModelDataQuality"]
    assert [kept[kind]["S3Uri"] for kind in ("Statistics", "Constraints")] == baseline

    local_runtime.put("data/rows.csv", DRIFTED)
    second = executed(local_runtime, name)
    metadata = second["Check"]["Metadata"]["QualityCheck"]
    assert [metadata[member] for member in USED] == baseline
    assert metadata[CALCULATED[0]] != baseline[0]
    assert second["Check"]["FailureReason"] == (
        f"ClientError: Quality check failed. See violation report: {metadata['ViolationReport']}"
    )
    assert "Register" not in second
    found = json.loads(local_runtime.get(metadata["ViolationReport"]))["violations"]
    assert [(each["feature_name"], each["constraint_check_type"]) for each in found] == [
        ("sex", "categorical_values_check"),
        ("sex", "baseline_drift_check"),
    ]


def test_the_flags_decide_what_is_compared_and_kept(local_runtime: LocalRuntime) -> None:
    """https://docs.aws.amazon.com/sagemaker/latest/dg/pipelines-quality-clarify-baseline-lifecycle.html."""
    earlier = supplied(local_runtime)
    uris = list(earlier.values())
    check = check_step(local_runtime, analyzer(local_runtime), **earlier)
    name = local_runtime.create_pipeline(pipeline(check, parameters=FLAGS))
    for skip in ("true", "false"):
        for register in ("true", "false"):
            steps = executed(local_runtime, name, SkipCheck=skip, RegisterNewBaseline=register)
            metadata = steps["Check"]["Metadata"]["QualityCheck"]
            assert steps["Check"]["StepStatus"] == "Succeeded"
            assert (metadata["SkipCheck"], metadata["RegisterNewBaseline"]) == (
                skip == "true",
                register == "true",
            )
            job = described_job(local_runtime, metadata)
            compared = {key for key in job["Environment"] if key.startswith("baseline_")}
            assert bool(compared) is (skip == "false")
            calculated = [metadata[member] for member in CALCULATED]
            assert [metadata[member] for member in USED] == (calculated if register == "true" else uris)
            assert json.loads(local_runtime.get(calculated[0]))["baseline"] == (
                None if skip == "true" else "the earlier statistics"
            )
            assert "ViolationReport" not in metadata


def test_an_output_that_only_the_execution_knows_is_checked_then(local_runtime: LocalRuntime) -> None:
    path = {"Name": "Path", "Type": "String", "DefaultValue": "/opt/ml/processing/output"}
    check = check_step(
        local_runtime, analyzer(local_runtime), environment={"output_path": get("Parameters.Path")}
    )
    name = local_runtime.create_pipeline(pipeline(check, parameters=[*FLAGS, path]))
    assert executed(local_runtime, name, **FIRST)["Check"]["StepStatus"] == "Succeeded"
    failed = executed(local_runtime, name, **FIRST, Path="/opt/ml/other")["Check"]
    assert "no output has the LocalPath that output_path names" in failed["FailureReason"]


def test_a_violation_fails_the_step_unless_it_may(local_runtime: LocalRuntime) -> None:
    image = analyzer(local_runtime, "CompletedWithViolations: Job completed successfully with 2 violations.")
    strict = check_step(local_runtime, image, **supplied(local_runtime))
    lenient = {**strict, "Name": "Lenient", "FailOnViolation": False}
    report = fail_step("Report", get("Steps.Lenient.CalculatedBaselineConstraints"))
    name = local_runtime.create_pipeline(pipeline(strict, lenient, report, parameters=FLAGS))
    steps = executed(local_runtime, name)
    metadata = steps["Check"]["Metadata"]["QualityCheck"]
    assert steps["Check"]["StepStatus"] == "Failed"
    # https://github.com/aws/sagemaker-python-sdk, the integration tests of quality checks; the URI is ours.
    assert steps["Check"]["FailureReason"] == (
        f"ClientError: Quality check failed. See violation report: {metadata['ViolationReport']}"
    )
    assert metadata["ViolationReport"].endswith("/constraint_violations.json")
    assert steps["Lenient"]["StepStatus"] == "Succeeded"
    kept = steps["Lenient"]["Metadata"]["QualityCheck"]
    assert kept["ViolationReport"] == metadata["ViolationReport"]
    assert steps["Report"]["FailureReason"] == kept["CalculatedBaselineConstraints"]


def test_what_is_missing_or_wrong_fails_the_step_before_its_job(local_runtime: LocalRuntime) -> None:
    wanted: dict[str, dict[str, Any]] = {
        "ClientError: There is no earlier baseline of type DATA_QUALITY: no model package group": {},
        "ClientError: There is no earlier baseline of type DATA_QUALITY: no approved package of 'g'": {
            "ModelPackageGroupName": "g"
        },
        "SkipCheck is 'yes'; expected true or false. Use a Boolean parameter.": {
            "SkipCheck": get("Parameters.Odd")
        },
    }
    odd = {"Name": "Odd", "Type": "String", "DefaultValue": "yes"}
    checks = [
        {**check_step(local_runtime, "image", **fields), "Name": f"Check{number}"}
        for number, fields in enumerate(wanted.values())
    ]
    name = local_runtime.create_pipeline(pipeline(*checks, parameters=[*FLAGS, odd]))
    steps = executed(local_runtime, name)
    for number, reason in enumerate(wanted):
        assert steps[f"Check{number}"]["FailureReason"].startswith(reason)
    assert not local_runtime.client("sagemaker").list_processing_jobs()["ProcessingJobSummaries"]


def test_what_cannot_be_checked_is_refused_when_the_pipeline_is_created(local_runtime: LocalRuntime) -> None:
    refused: dict[str, dict[str, Any]] = {
        "CheckType is 'MODEL_BIAS'; expected one of DATA_QUALITY, MODEL_QUALITY.": {
            "CheckType": "MODEL_BIAS"
        },
        "the local runtime does not run a record_preprocessor_script; remove it from the check.": {
            "environment": {"record_preprocessor_script": "/opt/ml/processing/input/a.py"}
        },
        "no output has the LocalPath that output_path names in its Environment; make them the same.": {
            "environment": {"output_path": "/opt/ml/processing/elsewhere"}
        },
    }
    for message, fields in refused.items():
        definition = pipeline(check_step(local_runtime, "image", **fields), parameters=FLAGS)
        with pytest.raises(ClientError, match=re.escape(f"step Check: {message}")):
            local_runtime.create_pipeline(definition)


@pytest.mark.thorough
def test_a_stop_ends_the_job(local_runtime: LocalRuntime) -> None:
    image = local_runtime.local_image("sleeping", process=["sleep", "3600"])
    name = local_runtime.create_pipeline(pipeline(check_step(local_runtime, image), parameters=FLAGS))
    arn = local_runtime.start(name, FIRST)
    sagemaker = local_runtime.client("sagemaker")
    until(lambda: sagemaker.list_processing_jobs(StatusEquals="InProgress")["ProcessingJobSummaries"])
    sagemaker.stop_pipeline_execution(PipelineExecutionArn=arn, ClientRequestToken="t" * 32)
    assert local_runtime.wait(arn)["PipelineExecutionStatus"] == "Stopped"
    check = local_runtime.steps(arn)["Check"]
    assert check["StepStatus"] == "Stopped"
    job = described_job(local_runtime, check["Metadata"]["QualityCheck"])
    assert job["ProcessingJobStatus"] == "Stopped"


@pytest.mark.thorough
def test_a_cache_hit_has_the_same_baseline_and_bills_nothing(local_runtime: LocalRuntime) -> None:
    cached = {"CacheConfig": {"Enabled": True, "ExpireAfter": "P1D"}}
    check = check_step(local_runtime, analyzer(local_runtime), **cached, **supplied(local_runtime))
    name = local_runtime.create_pipeline(pipeline(check, parameters=FLAGS))
    client = Target.of(local_runtime.endpoint_url, local_runtime.settings).sagemaker
    billed, found = [], []
    for parameters in ({}, {}, {"RegisterNewBaseline": "true"}):
        arn = local_runtime.start(name, parameters)
        local_runtime.wait(arn)
        (step,) = with_bills(client, client.describe_execution(arn), client.list_steps(arn))
        assert step.bill is not None
        billed.append((step.bill.source, step.bill.instance_seconds > 0, step.is_cache_hit))
        found.append(local_runtime.steps(arn)["Check"]["Metadata"])
    # The output of each execution has another place, which is not in the key; the flags are.
    assert billed == [
        ("start to end", True, False),
        ("cache hit", False, True),
        ("start to end", True, False),
    ]
    assert found[0] == found[1]
    assert found[0] != found[2]


@pytest.mark.thorough
def test_a_policy_retries_a_check_without_capacity(local_runtime: LocalRuntime) -> None:
    local_runtime.add_fault("CreateProcessingJob", "capacity", count=1)
    policy = {"ExceptionType": ["SageMaker.CAPACITY_ERROR"], "IntervalSeconds": 0, "MaxAttempts": 1}
    check = check_step(local_runtime, analyzer(local_runtime), RetryPolicies=[policy])
    steps = executed(local_runtime, local_runtime.create_pipeline(pipeline(check, parameters=FLAGS)), **FIRST)
    assert (steps["Check"]["StepStatus"], steps["Check"]["AttemptCount"]) == ("Succeeded", 2)


@pytest.mark.thorough
def test_a_selective_execution_takes_the_baseline_of_another_one(local_runtime: LocalRuntime) -> None:
    check = check_step(local_runtime, analyzer(local_runtime))
    name = local_runtime.create_pipeline(pipeline(check, registered(local_runtime), parameters=FLAGS))
    first = executed(local_runtime, name, **FIRST)
    sagemaker = local_runtime.client("sagemaker")
    source = sagemaker.list_pipeline_executions(PipelineName=name)["PipelineExecutionSummaries"][0]
    answer = sagemaker.start_pipeline_execution(
        PipelineName=name,
        ClientRequestToken="t" * 32,
        SelectiveExecutionConfig={
            "SourcePipelineExecutionArn": source["PipelineExecutionArn"],
            "SelectedSteps": [{"StepName": "Register"}],
        },
    )
    local_runtime.wait(answer["PipelineExecutionArn"])
    steps = local_runtime.steps(answer["PipelineExecutionArn"])
    assert steps["Check"]["Metadata"] == first["Check"]["Metadata"]
    package = sagemaker.describe_model_package(
        ModelPackageName=steps["Register"]["Metadata"]["RegisterModel"]["Arn"]
    )
    kept = package["DriftCheckBaselines"]["ModelDataQuality"]["Constraints"]["S3Uri"]
    assert kept == first["Check"]["Metadata"]["QualityCheck"][CALCULATED[1]]
    assert len(sagemaker.list_processing_jobs()["ProcessingJobSummaries"]) == 1


@pytest.mark.thorough
def test_the_log_of_a_check_is_the_log_of_its_job(local_runtime: LocalRuntime) -> None:
    """A step's reader finds the job, its log group, and why the data set could not be analyzed."""
    data = local_runtime.put("data/rows.csv", b"")
    check = check_step(local_runtime, None, data)
    steps = executed(local_runtime, local_runtime.create_pipeline(pipeline(check, parameters=FLAGS)), **FIRST)
    assert steps["Check"]["FailureReason"].startswith(
        "ClientError: AlgorithmError: The data set has no rows. Name a file"
    )
    step = Step.read(steps["Check"])
    assert (step.type, step.log_group) == ("QualityCheck", "/aws/sagemaker/ProcessingJobs")
    logs = local_runtime.client("logs")

    def lines() -> list[str]:
        found = logs.filter_log_events(logGroupName=step.log_group, logStreamNamePrefix=step.job_name)
        return [event["message"] for event in found["events"]]

    assert until(lambda: [line for line in lines() if "The data set has no rows" in line])


@pytest.mark.thorough
def test_the_check_that_version_2_of_the_sdk_writes_is_executed(local_runtime: LocalRuntime) -> None:
    forms = Path(__file__).parents[2] / "projects" / "sdk_v2" / "forms.json"
    text = forms.read_text().replace("example-data", local_runtime.bucket)
    definition = json.loads(text)
    (check,) = (step for step in definition["Steps"] if step["Type"] == "QualityCheck")
    assert check["CheckType"] == "DATA_QUALITY"
    local_runtime.put("baseline.csv", b"1,a\n2,b\n")
    name = local_runtime.create_pipeline({**definition, "Steps": [check]})
    steps = executed(local_runtime, name, SkipCheck="true")
    metadata = steps["Check"]["Metadata"]["QualityCheck"]
    assert metadata["ModelPackageGroupName"] == "forms"
    features = json.loads(local_runtime.get(metadata[CALCULATED[1]]))["features"]
    assert [(each["name"], each["inferred_type"]) for each in features] == [
        ("_c0", "Integral"),
        ("_c1", "String"),
    ]
