"""The sweep over HTTP, against a server that executes; Airflow's own part is in tests/e2e/crash."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException
from airflow.sdk import BaseNotifier
from botocore.exceptions import ClientError, ConnectTimeoutError

from sagemaker_local_runtime.settings import Settings
from sagemaker_local_runtime.testing import LocalRuntime
from sagemaker_pipelines.operators.sweep import SageMakerSweepOperator
from sagemaker_pipelines.task.logical_start import LogicalStart
from tests.runtime.functions import create_function
from tests.unit.sagemaker_pipelines.samples import AirflowOfRuns

DEPLOYMENT = "1234567890abcdef"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:3.2-0"


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRuntime]:
    runtime = LocalRuntime(Settings(data_dir=tmp_path_factory.mktemp("runtime"), port=0))
    queue = runtime.client("sqs").create_queue(QueueName="hold")["QueueUrl"]
    hold = {"Name": "Hold", "Type": "Callback", "SqsQueueUrl": queue, "Arguments": {"why": "test"}}
    model = {
        "Name": "Create",
        "Type": "Model",
        "Arguments": {
            "ExecutionRoleArn": runtime.role_arn,
            "PrimaryContainer": {"Image": IMAGE, "ModelDataUrl": runtime.put("model.tar.gz", b"model")},
        },
    }
    runtime.create_pipeline({"Version": "2020-12-01", "Steps": [hold]}, "dev-hold")
    runtime.create_pipeline({"Version": "2020-12-01", "Steps": [model]}, "dev-model")
    yield runtime
    runtime.close()


@pytest.fixture(autouse=True)
def connection(runtime: LocalRuntime, monkeypatch: pytest.MonkeyPatch) -> None:
    sagemaker = {"artifact_bucket": runtime.bucket, "role_arn": runtime.role_arn, "name_prefix": "dev-"}
    extra = {
        "region_name": "us-east-1",
        "endpoint_url": runtime.endpoint_url,
        "service_config": {"sagemaker": sagemaker},
    }
    connection = {"conn_type": "aws", "login": "test", "password": "test-password", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))


@pytest.fixture(autouse=True)
def nothing_left(runtime: LocalRuntime) -> Iterator[None]:
    """Each test begins with no running execution and no model."""
    yield
    sagemaker = runtime.client("sagemaker")
    runtime.clear_faults()
    for name in ("dev-hold", "dev-model"):
        for execution in sagemaker.list_pipeline_executions(PipelineName=name)["PipelineExecutionSummaries"]:
            release(runtime, execution["PipelineExecutionArn"])
            runtime.wait(execution["PipelineExecutionArn"])
    for model in sagemaker.list_models()["Models"]:
        sagemaker.delete_model(ModelName=model["ModelName"])


def release(runtime: LocalRuntime, arn: str) -> None:
    """Answer the execution's Callback step, if it waits for that."""
    for step in runtime.steps(arn).values():
        token = step["Metadata"].get("Callback", {}).get("CallbackToken")
        if token and step["StepStatus"] in ("Starting", "Executing", "Stopping"):
            runtime.client("sagemaker").send_pipeline_execution_step_success(CallbackToken=token)


def start_of(run_id: str, airflow_id: str | None = DEPLOYMENT) -> LogicalStart:
    return LogicalStart(
        dag_id="train",
        run_id=run_id,
        task_id="start",
        map_index=-1,
        generation=f"{abs(hash(run_id)):032x}"[-32:],
        airflow_id=airflow_id,
    )


def begin(runtime: LocalRuntime, pipeline: str, description: str | None) -> str:
    more = {"PipelineExecutionDescription": description} if description else {}
    answer = runtime.client("sagemaker").start_pipeline_execution(PipelineName=pipeline, **more)
    return str(answer["PipelineExecutionArn"])


class Variables:
    def get(self, key: str, default: Any = None) -> str:
        return DEPLOYMENT


def sweep(airflow: AirflowOfRuns | None = None, **arguments: Any) -> dict[str, Any]:
    task = SageMakerSweepOperator(task_id="sweep", **{"min_age_minutes": 0, **arguments})
    context: Any = {"ti": airflow or AirflowOfRuns(), "var": {"value": Variables()}}
    report: dict[str, Any] = task.execute(context)
    return report


def status(runtime: LocalRuntime, arn: str) -> str:
    described = runtime.client("sagemaker").describe_pipeline_execution(PipelineExecutionArn=arn)
    return str(described["PipelineExecutionStatus"])


def arns(found: list[dict[str, Any]]) -> list[str]:
    return [item["pipeline_execution_arn"] for item in found]


def test_it_reports_an_orphan_and_leaves_it_running(runtime: LocalRuntime) -> None:
    arn = begin(runtime, "dev-hold", start_of("deleted").description)
    report = sweep()
    (orphan,) = report["orphans"]
    assert orphan["pipeline_execution_arn"] == arn
    assert (orphan["stopped"], orphan["status"]) == (False, "Executing")
    assert orphan["reason"] == "its DAG run does not exist (any longer)"
    assert orphan["start"]["run_id"] == "deleted"
    assert status(runtime, arn) == "Executing"
    assert json.loads(json.dumps(report)) == report


def test_asked_to_it_stops_the_orphan_and_nothing_else(runtime: LocalRuntime) -> None:
    orphan = begin(runtime, "dev-hold", start_of("deleted").description)
    foreign = begin(runtime, "dev-hold", start_of("deleted", "fedcba0987654321").description)
    unproven = begin(runtime, "dev-hold", start_of("deleted", None).description)
    watched = begin(runtime, "dev-hold", start_of("r1").description)
    by_hand = begin(runtime, "dev-hold", None)
    airflow = AirflowOfRuns("train", "r1", "running", {"start": "deferred"}, {"start": watched})
    report = sweep(airflow, stop_orphans="True")
    assert arns(report["orphans"]) == [orphan]
    assert report["orphans"][0]["stopped"] is True
    assert sorted(arns(report["foreign"])) == sorted([foreign, unproven])
    assert (report["watched"], report["others"]) == (1, 1)
    assert status(runtime, orphan) == "Stopping"
    assert {status(runtime, arn) for arn in (foreign, unproven, watched, by_hand)} == {"Executing"}
    release(runtime, orphan)
    assert runtime.wait(orphan)["PipelineExecutionStatus"] == "Stopped"


def test_what_began_just_now_is_left_alone(runtime: LocalRuntime) -> None:
    begin(runtime, "dev-hold", start_of("deleted").description)
    report = sweep(min_age_minutes=5, stop_orphans=True)
    assert (report["orphans"], report["young"]) == ([], 1)


def test_only_the_environments_pipelines_are_looked_at(runtime: LocalRuntime) -> None:
    arn = begin(runtime, "dev-hold", start_of("deleted").description)
    assert sweep(name_prefix="prod-")["orphans"] == []
    assert sweep(pipelines=["dev-model", "dev-missing"])["orphans"] == []
    assert arns(sweep(name_prefix="")["orphans"]) == [arn]


def test_what_the_user_names_is_stopped_too(runtime: LocalRuntime) -> None:
    foreign = begin(runtime, "dev-hold", start_of("deleted", "fedcba0987654321").description)
    by_hand = begin(runtime, "dev-hold", None)
    report = sweep(adopt=f"{foreign}, {by_hand}", stop_orphans=True)
    assert sorted(arns(report["orphans"])) == sorted([foreign, by_hand])
    assert {status(runtime, foreign), status(runtime, by_hand)} == {"Stopping"}


def test_an_orphan_that_cannot_be_stopped_fails_the_task_after_all_others(
    runtime: LocalRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sagemaker_pipelines.operators.sweep.STOP_SECONDS", 0.1)
    first = begin(runtime, "dev-hold", start_of("one").description)
    second = begin(runtime, "dev-hold", start_of("two").description)
    runtime.add_fault("StopPipelineExecution", "throttle", count=1)
    with pytest.raises(AirflowException, match="could not be stopped"):
        sweep(stop_orphans=True, botocore_config={"retries": {"total_max_attempts": 1}})
    assert sorted([status(runtime, first), status(runtime, second)]) == ["Executing", "Stopping"]


def left_model(runtime: LocalRuntime, run_id: str = "deleted", airflow_id: str | None = DEPLOYMENT) -> str:
    """Return the name of a model that an ended execution has created."""
    arn = begin(runtime, "dev-model", start_of(run_id, airflow_id).description)
    assert runtime.wait(arn)["PipelineExecutionStatus"] == "Succeeded"
    return str(runtime.steps(arn)["Create"]["Metadata"]["Model"]["Arn"].rpartition("/")[2])


def names(runtime: LocalRuntime) -> set[str]:
    return {model["ModelName"] for model in runtime.client("sagemaker").list_models()["Models"]}


def test_a_left_model_is_reported_and_deleted_only_if_asked(runtime: LocalRuntime) -> None:
    name = left_model(runtime)
    foreign = left_model(runtime, airflow_id="fedcba0987654321")
    (model,) = sweep()["models"]
    assert (model["model_name"], model["deleted"]) == (name, False)
    assert names(runtime) == {name, foreign}
    (model,) = sweep(delete_models=True)["models"]
    assert (model["model_name"], model["deleted"]) == (name, True)
    assert names(runtime) == {foreign}


def test_a_model_stays_while_its_run_may_resume_the_execution(runtime: LocalRuntime) -> None:
    name = left_model(runtime, "r1")
    active = AirflowOfRuns("train", "r1", "running", {"start": "success"}, {})
    assert sweep(active, delete_models=True)["models"] == []
    ended = AirflowOfRuns("train", "r1", "success", {"start": "success"}, {})
    assert [model["model_name"] for model in sweep(ended, delete_models=True)["models"]] == [name]


def test_a_model_that_an_endpoint_configuration_refers_to_stays(runtime: LocalRuntime) -> None:
    name = left_model(runtime)
    sagemaker = runtime.client("sagemaker")
    variant = {
        "VariantName": "all",
        "ModelName": name,
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
    }
    sagemaker.create_endpoint_config(EndpointConfigName="serving", ProductionVariants=[variant])
    try:
        assert sweep(delete_models=True)["models"] == []
        assert names(runtime) == {name}
    finally:
        sagemaker.delete_endpoint_config(EndpointConfigName="serving")


class Told(BaseNotifier):
    template_fields = ("message",)

    def __init__(self, told: list[str]) -> None:
        super().__init__()
        self.message = "{{ sweep.orphans | length }} orphans\n{{ sweep_text }}"
        self.told = told

    def notify(self, context: Any) -> None:
        self.told.append(self.message)


def test_a_notifier_is_told_only_when_something_is_found(runtime: LocalRuntime) -> None:
    told: list[str] = []
    sweep(notifier=Told(told))
    assert told == []
    arn = begin(runtime, "dev-hold", start_of("deleted").description)
    sweep(notifier=Told(told))
    assert told[0].startswith("1 orphans\n")
    assert arn in told[0]


@pytest.mark.parametrize("value", ["soon", "-1", "nan", "1_0"])
def test_an_age_that_is_no_number_fails_before_any_call(runtime: LocalRuntime, value: str) -> None:
    before = runtime.calls()
    with pytest.raises(ValueError, match="min_age_minutes is"):
        sweep(min_age_minutes=value)
    assert runtime.calls() == before


def test_functions_of_the_environment_that_no_pipeline_calls_are_reported(runtime: LocalRuntime) -> None:
    own = "Called by pipelines. [environment: aws_default@1234567890abcdef]"
    names = dict.fromkeys(["dev-called", "dev-elsewhere", "dev-named", "dev-left", "left"], own)
    names["dev-theirs"] = "Theirs. [environment: other]"
    arns = {
        name: create_function(runtime, "def run(event, context):\n    return {}\n", name, Description=mark)
        for name, mark in {**names, "dev-unmarked": "By hand."}.items()
    }
    for function, pipeline in {
        "dev-called": "dev-calls",
        "dev-elsewhere": "calls",
        "dev-named": "named",
    }.items():
        step = {"Name": "Call", "Type": "Lambda", "FunctionArn": arns[function], "Arguments": {}}
        runtime.create_pipeline({"Version": "2020-12-01", "Steps": [step]}, pipeline)
    # Deployed under a name without the prefix.
    runtime.client("sagemaker").update_pipeline(PipelineName="calls", PipelineDescription=own)
    found = sweep(pipelines=["dev-hold", "named"])["functions"]
    assert [(each["function_name"], each["function_arn"]) for each in found] == [
        ("dev-left", arns["dev-left"])
    ]
    assert sweep(min_age_minutes=60)["functions"] == []


def test_a_sweep_whose_look_at_functions_fails_keeps_its_report(
    runtime: LocalRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def throttled(*_: Any, **__: Any) -> Any:
        raise ClientError({"Error": {"Code": "TooManyRequestsException", "Message": "no"}}, "ListFunctions")

    arn = begin(runtime, "dev-hold", start_of("deleted").description)
    monkeypatch.setattr("sagemaker_pipelines.aws.leftovers.functions", throttled)
    airflow = AirflowOfRuns()
    with pytest.raises(AirflowException, match=r"Lambda functions could not be checked: .*TooManyRequests"):
        sweep(airflow)
    assert arns(airflow.pushed["report"]["orphans"]) == [arn]


@pytest.mark.parametrize(
    "error",
    [
        ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "ListFunctions"),
        ConnectTimeoutError(endpoint_url="https://lambda.us-east-1.amazonaws.com"),
    ],
)
def test_a_sweep_without_permission_for_functions_or_a_route_to_them_goes_on(
    runtime: LocalRuntime, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def denied(*_: Any, **__: Any) -> Any:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr("botocore.paginate.PageIterator._make_request", denied)
        patched.setattr(SageMakerSweepOperator, "_pipelines", lambda self: [])
        patched.setattr("sagemaker_pipelines.aws.leftovers.models", lambda *_, **__: {})
        assert sweep()["functions"] == []
