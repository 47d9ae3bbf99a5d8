"""Stubs: functions of the user that give the outputs of steps that are not executed."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sagemaker_local_runtime.exceptions import SettingsError
from sagemaker_local_runtime.settings import Settings
from sagemaker_local_runtime.stubs.declaration import Stub, StubFunction, read_stubs
from sagemaker_local_runtime.testing import LocalRuntime
from sagemaker_pipelines.aws.steps import Step
from tests.runtime.engine import stub_functions
from tests.waiting import until

FILE = Path(stub_functions.__file__)
OUTPUTS = ("ClusterId", "Rows.count", "Process", "Execution", "Secret")


def spark(*arguments: Any) -> dict[str, Any]:
    jar = {"Jar": "s3://b/a.jar", "Args": list(arguments)}
    return {
        "Name": "Spark",
        "Type": "EMR",
        "Arguments": {"ClusterId": "j-1", "StepConfig": {"HadoopJarStep": jar}},
    }


def definition(step: dict[str, Any], *outputs: str) -> dict[str, Any]:
    values: list[Any] = [{"Get": f"Steps.{step['Name']}.{output}"} for output in outputs] or ["nothing"]
    message = {"Std:Join": {"On": " ", "Values": values}}
    report = {
        "Name": "Report",
        "Type": "Fail",
        "Arguments": {"ErrorMessage": message},
        "DependsOn": [step["Name"]],
    }
    parameters = [{"Name": "Day", "Type": "String", "DefaultValue": "2026-01-01"}]
    return {"Version": "2020-12-01", "Parameters": parameters, "Steps": [step, report]}


def test_a_stub_gives_the_outputs_and_everything_says_that_nothing_was_executed(
    local_runtime: LocalRuntime, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("DATABASE_PASSWORD", "secret")
    local_runtime.stub("EMR", stub_functions.run_emr)
    with caplog.at_level(logging.WARNING):
        execution = local_runtime.execute(definition(spark({"Get": "Parameters.Day"}), *OUTPUTS))
    arn = execution["PipelineExecutionArn"]
    steps = local_runtime.steps(arn)
    cluster, count, process, seen_arn, secret = steps["Report"]["Metadata"]["Fail"]["ErrorMessage"].split()
    assert (cluster, count, seen_arn, secret) == ("j-1", "3", arn, "none")
    assert int(process) != os.getpid(), "it ran in a process of its own"

    note = "Step Spark is not executed: the stub stub_functions.py:run_emr gives the outputs of EMR steps."
    assert note in caplog.text
    assert steps["Spark"]["StepStatus"] == "Succeeded"
    assert steps["Spark"]["StepDescription"] == (
        "Not executed: the stub stub_functions.py:run_emr gave the outputs."
    )
    assert steps["Spark"]["Metadata"] == {"EMR": {"ClusterId": "not-executed", "StepId": "not-executed"}}
    assert "(Not executed: the stub stub_functions.py:run_emr" in str(Step.read(steps["Spark"]))

    def logged() -> list[str]:
        events = local_runtime.client("logs").filter_log_events(logGroupName="/local-runtime/stubs")["events"]
        return [event["message"] for event in events]

    assert logged() == [note, "the stub saw ['2026-01-01']"]


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (stub_functions.fail, "ValueError: no such cluster"),
        (
            stub_functions.a_list,
            "TypeError: it returned [1] (list); expected a dictionary of the step's outputs",
        ),
        (stub_functions.leave, "its process ended with exit code 3"),
    ],
)
def test_a_step_fails_with_its_stub(local_runtime: LocalRuntime, function: StubFunction, reason: str) -> None:
    local_runtime.stub("EMR", function)
    execution = local_runtime.execute(definition(spark()))
    assert execution["PipelineExecutionStatus"] == "Failed"
    step = local_runtime.steps(execution["PipelineExecutionArn"])["Spark"]
    assert (
        step["FailureReason"]
        == f"ClientError: The stub stub_functions.py:{function.__name__} failed: {reason}"
    )
    assert step["StepDescription"].startswith("Not executed")


def test_a_stub_sees_the_step_as_it_is_without_namespaces_too(tmp_path: Path) -> None:
    stubs = {"EMR": f"{FILE}:run_emr"}
    settings = Settings(data_dir=tmp_path / "runtime", port=0, isolation="rewrite", stubs=stubs)
    runtime = LocalRuntime(settings)
    try:
        runtime.execute(definition(spark("/opt/ml/model")))
        logs = runtime.client("logs").filter_log_events(logGroupName="/local-runtime/stubs")
        assert logs["events"][-1]["message"] == "the stub saw ['/opt/ml/model']"
    finally:
        runtime.close()


@pytest.mark.thorough
def test_a_stop_ends_a_stub(local_runtime: LocalRuntime) -> None:
    local_runtime.stub("EMR", stub_functions.sleep)
    arn = local_runtime.start(local_runtime.create_pipeline(definition(spark())))
    until(lambda: local_runtime.steps(arn).get("Spark", {}).get("StepStatus") == "Executing", "the step")
    local_runtime.client("sagemaker").stop_pipeline_execution(
        PipelineExecutionArn=arn, ClientRequestToken="t" * 32
    )
    assert local_runtime.wait(arn)["PipelineExecutionStatus"] == "Stopped"
    assert local_runtime.steps(arn)["Spark"]["StepStatus"] == "Stopped"


@pytest.mark.thorough
@pytest.mark.parametrize(
    "kind",
    ["Athena", "BedrockCustomModel", "BedrockModelImport", "EMRServerless"],
)
def test_each_type_can_have_a_stub(local_runtime: LocalRuntime, kind: str) -> None:
    arguments: dict[str, Any] = {"JobConfig": {}} if kind == "EMRServerless" else {"Anything": 1}
    step = {"Name": "Do", "Type": kind, "Arguments": arguments}
    with pytest.raises(ClientError, match=f"does not execute steps of type {kind}; .*--stub {kind}=stubs.py"):
        local_runtime.create_pipeline(definition(step))
    local_runtime.stub(kind, stub_functions.nothing)
    execution = local_runtime.execute(definition(step))
    steps = local_runtime.steps(execution["PipelineExecutionArn"])
    assert steps["Do"]["StepStatus"] == "Succeeded"
    assert list(steps["Do"]["Metadata"]) == [kind]


@pytest.mark.thorough
def test_a_pipeline_whose_stub_is_gone_is_not_started(tmp_path: Path) -> None:
    stubs = {"EMR": f"{FILE}:nothing"}
    runtime = LocalRuntime(Settings(data_dir=tmp_path / "runtime", port=0, stubs=stubs))
    name = runtime.create_pipeline(definition(spark()))
    runtime.close()
    runtime = LocalRuntime(Settings(data_dir=tmp_path / "runtime", port=0))
    with pytest.raises(
        ClientError, match="cannot be started: step Spark: the local runtime does not execute"
    ):
        runtime.start(name)
    runtime.close()


def test_a_declaration_names_a_function_at_the_top_level_of_a_file(tmp_path: Path) -> None:
    stub = Stub.of(stub_functions.nothing, "here")
    assert stub == Stub.read(f"{FILE.name}:nothing", FILE.parent, "here")

    def inner(step: dict[str, Any]) -> None:
        """Not at the top level."""

    for function in (inner, lambda step: None, print):
        with pytest.raises(SettingsError, match=r"here is .*expected a function at the top level of a file"):
            Stub.of(function, "here")
    for text, expected in (
        ("run", "write FILE.py:FUNCTION"),
        ("nothing.py:run", "cannot be read"),
        (f"{FILE}:missing", "it has a_list, fail, leave, nothing, run_emr, sleep"),
    ):
        with pytest.raises(SettingsError, match=expected):
            Stub.read(text, tmp_path, "here")

    path = tmp_path / "stubs.toml"
    path.write_text('[stubs]\nEMR = "own.py:run"\n')
    assert read_stubs(path) == {"EMR": f"{tmp_path}/own.py:run"}
    for text in ("", "[stubs]\nEMR = 1\n", "[stubs]\n[other]\n", "stubs"):
        path.write_text(text)
        with pytest.raises(SettingsError, match="stubs file"):
            read_stubs(path)


def test_what_is_executed_has_no_stub(tmp_path: Path) -> None:
    for kind in ("Training", "Nothing"):
        settings = Settings(data_dir=tmp_path / kind, port=0, stubs={kind: f"{FILE}:nothing"})
        with pytest.raises(
            SettingsError, match=f"for steps of type '{kind}'. Stubs stand in for what is not"
        ):
            LocalRuntime(settings)
