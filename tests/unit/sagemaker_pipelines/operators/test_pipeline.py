"""The start."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.amazon.aws.operators.sagemaker import SageMakerStartPipelineOperator
from airflow.providers.common.compat.sdk import AirflowFailException, redact
from airflow.sdk.exceptions import TaskDeferred

from sagemaker_pipelines.aws.client import SageMakerClient
from sagemaker_pipelines.aws.outcome import ExecutionOutcome
from sagemaker_pipelines.aws.steps import Step
from sagemaker_pipelines.dag.forms import form_values
from sagemaker_pipelines.definition import Envelope
from sagemaker_pipelines.operators.pipeline import (
    SageMakerStartPipelineExecutionOperator,
)
from sagemaker_pipelines.task.logical_start import LogicalStart
from tests.unit.sagemaker_pipelines.samples import ARN, BUCKET, TaskInstance, TaskStateStore, gated_definition
from tests.unit.sagemaker_pipelines.stand_in import StandIn


class Recorder(StandIn):
    """A hook that keeps the requests of starts, and answers for a deployed pipeline."""

    status = "Succeeded"

    def __init__(self, *, stored: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.requests: list[dict[str, Any]] = []
        self.stored = stored
        self.calls: list[str] = []

    def deployed_definition(
        self, pipeline_name: str, *, pipeline_version_id: int | None = None
    ) -> dict[str, Any]:
        self.calls.append(f"deployed_definition {pipeline_name} {pipeline_version_id}")
        definition = gated_definition()
        definition["Parameters"][0]["DefaultValue"] = f"s3://{BUCKET}/data.csv"
        return definition

    def object_exists(self, uri: str) -> bool:
        self.calls.append(f"object_exists {uri}")
        return uri in self.stored

    def start_execution(self, request: dict[str, Any]) -> str:
        self.requests.append(request)
        return ARN

    def describe_execution(self, pipeline_execution_arn: str) -> dict[str, Any]:
        return {"PipelineExecutionStatus": self.status}

    def list_steps(self, pipeline_execution_arn: str) -> list[Step]:
        return []

    def kill_client(self) -> Any:
        return None

    def execution_outcome(
        self, pipeline_execution_arn: str, *, rejection_steps: Any = None, **_: Any
    ) -> ExecutionOutcome:
        return ExecutionOutcome(pipeline_execution_arn=pipeline_execution_arn, status="Succeeded")


@pytest.fixture
def ti() -> TaskInstance:
    return TaskInstance()


def start(hook: Recorder, ti: TaskInstance, context: dict[str, Any] | None = None, **arguments: Any) -> Any:
    task = SageMakerStartPipelineExecutionOperator(
        task_id="start_pipeline", pipeline_name="dev-gated", **{"deferrable": False, **arguments}
    )
    task.__dict__["hook"] = hook
    return task.execute({"ti": ti, "task_state_store": TaskStateStore(), **(context or {})})  # type: ignore[typeddict-item]


def sent(hook: Recorder) -> dict[str, str]:
    return {pair["Name"]: pair["Value"] for pair in hook.requests[0].get("PipelineParameters", [])}


def test_it_is_the_providers_operator() -> None:
    assert issubclass(SageMakerStartPipelineExecutionOperator, SageMakerStartPipelineOperator)


def test_values_of_any_type_are_sent_as_strings(ti: TaskInstance) -> None:
    hook = Recorder()
    arn = start(hook, ti, pipeline_params={"MseThreshold": 3, "Count": "2", "InputData": None})
    assert arn == ARN
    assert sent(hook) == {"MseThreshold": "3", "Count": "2"}


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"Threshold": 3}, "Threshold is not a parameter"),
        ({"MseThreshold": "low"}, "MseThreshold is 'low'.*expected a Float"),
        ({"MseThreshold": float("nan")}, "expected a Float"),
        ({"Count": 1.5}, "expected an Integer"),
        ({"Count": True}, "expected an Integer"),
        ({"InputData": "x" * 1025}, "at most 1024"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_before_any_call(
    ti: TaskInstance, envelope_path: Path, params: dict[str, Any], message: str
) -> None:
    hook = Recorder()
    with pytest.raises(AirflowFailException, match=message):
        start(hook, ti, pipeline_params=params, definition=envelope_path)
    assert (hook.requests, hook.calls, ti.pushed) == ([], [], {})


def test_without_a_definition_the_pinned_versions_own_one_is_asked(ti: TaskInstance) -> None:
    hook = Recorder()
    start(hook, ti, pipeline_params={"Count": 2}, pipeline_version_id="7")
    # Once, to check the values and for the defaults that the execution runs with.
    assert hook.calls == ["deployed_definition dev-gated 7"]
    assert hook.requests[0]["PipelineVersionId"] == 7


@pytest.mark.parametrize("version", [None, "", "None"])
def test_an_upsert_without_a_version_pins_none(ti: TaskInstance, version: str | None) -> None:
    hook = Recorder()
    start(hook, ti, pipeline_version_id=version)
    assert "PipelineVersionId" not in hook.requests[0]


def test_a_version_that_is_no_number_is_refused(ti: TaskInstance) -> None:
    with pytest.raises(AirflowFailException, match="pipeline_version_id is 'newest'"):
        start(Recorder(), ti, pipeline_version_id="newest")


def test_the_request_tells_where_it_comes_from(ti: TaskInstance) -> None:
    hook = Recorder()
    start(hook, ti)
    request = hook.requests[0]
    assert request["PipelineExecutionDisplayName"] == "manual-2026-11-23T07-00-00-00-00"
    for part in ("dag_id=train", f"run_id={ti.run_id}", "task_id=start_pipeline", "map_index=-1"):
        assert part in request["PipelineExecutionDescription"]


def test_a_description_follows_what_tells_the_start(ti: TaskInstance) -> None:
    hook = Recorder()
    start(hook, ti, description="New features,\nsecond try.")
    told = hook.requests[0]["PipelineExecutionDescription"]
    assert told.endswith(" New features, second try.")
    parsed = LogicalStart.parse(told)
    assert parsed is not None
    assert (parsed.run_id, parsed.task_id) == (ti.run_id, "start_pipeline")
    with pytest.raises(AirflowFailException, match=r"SageMaker accepts 3072\. Shorten 'xxxx"):
        start(Recorder(), TaskInstance(), description="x" * 3000)


def test_an_empty_text_may_be_the_default_or_nothing(ti: TaskInstance) -> None:
    hook = Recorder()
    start(hook, ti, pipeline_params={"MseThreshold": "", "Count": 2}, empty_is_default=["MseThreshold"])
    assert sent(hook) == {"Count": "2"}


def test_a_run_triggered_with_a_misspelt_name_is_refused_before_the_start(ti: TaskInstance) -> None:
    hook = Recorder()
    form = {"MseThreshold": 6, "InputData": None}
    context = {
        "dag": SimpleNamespace(params=form),
        "task": SimpleNamespace(params={"Own": 1}),
        "dag_run": SimpleNamespace(conf={"MseTreshold": 3, "MseThreshold": 5}, run_type="manual"),
    }
    with pytest.raises(
        AirflowFailException,
        match=r"with MseTreshold, which .* Its fields are InputData, MseThreshold, Own\. Trigger .* again",
    ):
        start(hook, ti, context, strict_conf=True)
    assert not hook.requests
    context["dag_run"].conf = {"MseThreshold": 5, "Own": 2}
    assert start(hook, ti, context, strict_conf=True) == ARN


def test_the_arn_is_in_xcom_at_once_and_returned(ti: TaskInstance) -> None:
    assert start(Recorder(), ti) == ARN
    assert ti.pushed["pipeline_execution_arn"] == ARN


def test_missing_data_are_named_before_the_start(ti: TaskInstance, envelope_path: Path) -> None:
    hook = Recorder()
    with pytest.raises(AirflowFailException, match=r"InputData = s3://artifacts/other\.csv"):
        start(
            hook,
            ti,
            definition=envelope_path,
            pipeline_params={"InputData": "s3://artifacts/other.csv"},
            data_parameters=["InputData"],
        )
    assert hook.requests == []


def test_data_of_the_deployed_default_are_looked_for(ti: TaskInstance, envelope_path: Path) -> None:
    hook = Recorder(stored=(f"s3://{BUCKET}/data.csv",))
    start(hook, ti, definition=envelope_path, data_parameters=["InputData"])
    assert f"object_exists s3://{BUCKET}/data.csv" in hook.calls
    assert sent(hook) == {}


def test_a_data_parameter_that_is_no_uri_is_refused(
    ti: TaskInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = Recorder()
    monkeypatch.setattr(hook, "object_exists", SageMakerClient.object_exists.__get__(hook))
    with pytest.raises(AirflowFailException, match=r"InputData: 'data\.csv' is not an S3 URI"):
        start(hook, ti, pipeline_params={"InputData": "data.csv"}, data_parameters=["InputData"])


def test_data_parameters_must_be_parameters(ti: TaskInstance) -> None:
    with pytest.raises(AirflowFailException, match="data_parameters has 'Input'"):
        start(Recorder(), ti, data_parameters=["Input"])


@pytest.mark.parametrize("deferrable", [False, True])
def test_deferrable_alone_does_not_wait(ti: TaskInstance, deferrable: bool) -> None:
    assert start(Recorder(), ti, deferrable=deferrable) == ARN


def test_wait_for_completion_records_the_execution_as_the_sensor_does(ti: TaskInstance) -> None:
    assert start(Recorder(), ti, wait_for_completion=True) == ARN
    assert ti.pushed["execution"]["status"] == "Succeeded"


def test_wait_for_completion_may_be_deferred(ti: TaskInstance) -> None:
    hook = Recorder()
    hook.status = "Executing"
    with pytest.raises(TaskDeferred) as caught:
        start(hook, ti, wait_for_completion=True, deferrable=True, check_interval=7)
    assert caught.value.trigger.serialize()[1]["waiter_delay"] == 7
    assert ti.pushed["pipeline_execution_arn"] == ARN


def test_selective_execution_and_parallelism_are_sent(ti: TaskInstance) -> None:
    hook = Recorder()
    start(hook, ti, selected_steps=["Evaluate"], source_execution_arn=ARN, max_parallel_execution_steps=2)
    assert hook.requests[0]["SelectiveExecutionConfig"] == {
        "SelectedSteps": [{"StepName": "Evaluate"}],
        "SourcePipelineExecutionArn": ARN,
    }
    assert hook.requests[0]["ParallelismConfiguration"] == {"MaxParallelExecutionSteps": 2}


@pytest.mark.parametrize(
    "arguments", [{"selected_steps": ["a"], "from_step": "b"}, {"max_parallel_execution_steps": 0}]
)
def test_arguments_that_cannot_work_are_refused_when_the_dag_is_parsed(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"expected only one of|at least 1"):
        SageMakerStartPipelineExecutionOperator(task_id="start", pipeline_name="x", **arguments)


def test_the_forms_values_are_sent_as_they_were_filled_in(ti: TaskInstance, envelope: Envelope) -> None:
    context: Any = {"params": {"InputData": None, "MseThreshold": 3.0, "Count": 2}}
    rendered = {name: value.resolve(context) for name, value in form_values(envelope.parameters).items()}
    hook = Recorder()
    start(hook, ti, pipeline_params=rendered, definition=envelope.root / "gated.json")
    assert sent(hook) == {"MseThreshold": "3.0", "Count": "2"}


class WithPassword(Recorder):
    """A hook whose pipeline has a parameter that is a secret, and one that is not."""

    def deployed_definition(
        self, pipeline_name: str, *, pipeline_version_id: int | None = None
    ) -> dict[str, Any]:
        names = ("DbPassword", "DataToken", "InputData")
        return {
            "Parameters": [{"Name": name, "Type": "String", "DefaultValue": "default-"} for name in names]
        }


def test_a_secret_is_sent_and_masked_wherever_people_look(
    ti: TaskInstance, capsys: pytest.CaptureFixture[str]
) -> None:
    hook = WithPassword()
    start(hook, ti, pipeline_params={"DbPassword": "correct-horse-battery", "InputData": "rows"})
    assert sent(hook) == {"DbPassword": "correct-horse-battery", "InputData": "rows"}
    shown = capsys.readouterr().out
    assert "Parameter DbPassword: ***" in shown
    assert "Parameter InputData: rows" in shown
    assert "horse" not in shown
    # Airflow's own log masks it in what others write, as it does the secrets of other tests.
    assert redact("AWS refuses correct-horse-battery") == "AWS refuses ***"


def test_an_error_masks_a_secret(ti: TaskInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        AirflowFailException, match=r"DbPassword is \*\*\* \(list\), expected a String"
    ) as caught:
        start(WithPassword(), ti, pipeline_params={"DbPassword": ["hunter2"], "InputData": "rows"})
    assert "hunter2" not in str(caught.value)
    with pytest.raises(AirflowFailException, match=r"Nothing is stored in S3 at DataToken = \*\*\*"):
        start(
            WithPassword(),
            ti,
            pipeline_params={"DataToken": "s3://hunter2/rows"},
            data_parameters=["DataToken"],
        )
    monkeypatch.setattr(WithPassword, "object_exists", SageMakerClient.object_exists)
    with pytest.raises(AirflowFailException, match=r"DataToken: \*\*\*"):
        start(WithPassword(), ti, pipeline_params={"DataToken": "hunter2"}, data_parameters=["DataToken"])
