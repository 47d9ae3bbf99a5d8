"""Functions with ``@step``, as SDK v3 pickles, signs and deploys them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sagemaker_local_runtime.settings import Settings
from sagemaker_local_runtime.target import Target
from sagemaker_local_runtime.testing import LocalRuntime, RuntimeProcess
from sagemaker_local_runtime.testing_client import Endpoint
from sagemaker_pipelines.aws.adoption import adopt, deployed_source
from sagemaker_pipelines.aws.upsert import upsert_pipeline
from tests.waiting import until
from tests.wheels import Wheelhouse

# The images of this version run in the runtime's own environment, where the tests have the SDK.
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.9-0-cpu-py3"
_SECONDS = 600.0


def deploy(runtime: Endpoint, requirements: str = "") -> None:
    """Deploy the pipeline ``functions`` of ``step_client.py``."""
    client = str(Path(__file__).with_name("step_client.py"))
    ended = subprocess.run(
        [sys.executable, client, "functions", runtime.role_arn, IMAGE, runtime.bucket, requirements],
        env={**os.environ, **runtime.environment},
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-2000:]


def run(
    runtime: Endpoint, count: str, *, pipeline: str = "functions"
) -> tuple[str, dict[str, dict[str, Any]]]:
    """Execute the pipeline, and return the execution's status and its steps."""
    arn = runtime.start(pipeline, {"Count": count})
    status = str(runtime.wait(arn, timeout=_SECONDS)["PipelineExecutionStatus"])
    return status, runtime.steps(arn)


def result(runtime: Endpoint, step: dict[str, Any]) -> Any:
    """Return what a function has returned."""
    job = runtime.client("sagemaker").describe_training_job(
        TrainingJobName=step["Metadata"]["TrainingJob"]["Arn"].rpartition("/")[2]
    )
    return json.loads(runtime.get(f"{job['OutputDataConfig']['S3OutputPath']}/results.json"))["Result"]


@pytest.fixture(scope="module")
def functions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRuntime]:
    """A runtime with the pipeline, which takes longer to deploy than to execute."""
    runtime = LocalRuntime(Settings(data_dir=tmp_path_factory.mktemp("functions"), port=0))
    deploy(runtime)
    yield runtime
    runtime.close()


@pytest.mark.thorough
def test_functions_run_as_jobs_and_pass_their_results_on(functions: LocalRuntime) -> None:
    status, steps = run(functions, "3")
    assert status == "Succeeded", steps
    assert steps["Gate"]["Metadata"]["Condition"]["Outcome"] == "True"
    assert result(functions, steps["Make"]) == {"value": 6, "rows": [3, 3, 3], "version": None}

    status, steps = run(functions, "2")
    assert status == "Failed"
    assert steps["Reject"]["StepStatus"] == "Failed", "the condition reads what the function returned"


@pytest.mark.thorough
def test_what_the_sdk_deployed_is_adopted_as_it_is(functions: LocalRuntime) -> None:
    """Compiling refuses it, and says to do this."""
    client = Target.of(functions.endpoint_url, functions.settings).sagemaker
    source = deployed_source(client, "functions")
    adopted = adopt(source, client.settings, masked=lambda value: value, is_secret=lambda _: False)
    assert adopted.envelope.name == "functions"
    assert not upsert_pipeline(client, adopted.envelope).changed


@pytest.mark.thorough
def test_a_function_is_retried_and_stopped_like_any_job(functions: LocalRuntime) -> None:
    sagemaker = functions.client("sagemaker")
    arn = functions.start("functions", {"Count": "6"})
    assert functions.wait(arn, timeout=_SECONDS)["PipelineExecutionStatus"] == "Failed"
    before = functions.steps(arn)
    assert "ValueError('too many rows')" in before.get("Add", {}).get("FailureReason", ""), before
    functions.put("many-rows-are-fine", b"1")
    sagemaker.retry_pipeline_execution(PipelineExecutionArn=arn, ClientRequestToken="r" * 32)
    assert functions.wait(arn, timeout=_SECONDS)["PipelineExecutionStatus"] == "Succeeded"
    functions.client("s3").delete_object(Bucket=functions.bucket, Key="many-rows-are-fine")
    after = functions.steps(arn)
    assert after["Make"]["Metadata"] == before["Make"]["Metadata"], "it succeeded before"

    arn = functions.start("functions", {"Count": "91"})
    until(lambda: "TrainingJob" in functions.steps(arn).get("Make", {}).get("Metadata", {}))
    sagemaker.stop_pipeline_execution(PipelineExecutionArn=arn, ClientRequestToken="s" * 32)
    assert functions.wait(arn)["PipelineExecutionStatus"] == "Stopped"
    name = functions.steps(arn)["Make"]["Metadata"]["TrainingJob"]["Arn"].rpartition("/")[2]
    assert sagemaker.describe_training_job(TrainingJobName=name)["TrainingJobStatus"] == "Stopped"


@pytest.mark.thorough
def test_a_function_is_not_taken_from_the_cache_but_a_selective_execution_takes_its_result(
    functions: LocalRuntime,
) -> None:
    """The SDK passes the execution's id to the job, so no two executions have the same arguments."""
    sagemaker = functions.client("sagemaker")
    definition = json.loads(sagemaker.describe_pipeline(PipelineName="functions")["PipelineDefinition"])
    for step in definition["Steps"]:
        if step["Name"] == "Make":
            step["CacheConfig"] = {"Enabled": True, "ExpireAfter": "P1D"}
    functions.create_pipeline(definition, "cached")
    first = functions.start("cached")
    assert functions.wait(first, timeout=_SECONDS)["PipelineExecutionStatus"] == "Succeeded"
    status, steps = run(functions, "3", pipeline="cached")
    assert (status, "CacheHitResult" in steps["Make"]) == ("Succeeded", False)

    selected = sagemaker.start_pipeline_execution(
        PipelineName="cached",
        SelectiveExecutionConfig={
            "SourcePipelineExecutionArn": first,
            "SelectedSteps": [{"StepName": "Gate"}, {"StepName": "Add"}],
        },
        ClientRequestToken="c" * 32,
    )["PipelineExecutionArn"]
    assert functions.wait(selected, timeout=_SECONDS)["PipelineExecutionStatus"] == "Succeeded"
    steps = functions.steps(selected)
    assert steps["Make"]["SelectiveExecutionResult"] == {"SourcePipelineExecutionArn": first}
    assert steps["Add"]["StepStatus"] == "Succeeded"


@pytest.mark.thorough
def test_a_function_has_the_packages_of_its_requirements(
    wheelhouse: Wheelhouse, local_runtime_process: RuntimeProcess, tmp_path: Path
) -> None:
    wheelhouse.add("words", "1.2")
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("words==1.2\n")
    deploy(local_runtime_process, str(requirements))
    status, steps = run(local_runtime_process, "3")
    assert status == "Succeeded", steps
    assert result(local_runtime_process, steps["Make"])["version"] == "1.2"
