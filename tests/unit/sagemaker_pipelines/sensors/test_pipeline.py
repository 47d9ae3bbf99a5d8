"""The sensor, in its modes."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException
from airflow.sdk.exceptions import AirflowSensorTimeout, AirflowSkipException, TaskDeferred

from sagemaker_pipelines.aws.outcome import ExecutionOutcome
from sagemaker_pipelines.aws.record import ExecutionRecord
from sagemaker_pipelines.aws.steps import Step
from sagemaker_pipelines.exceptions import (
    ExecutionFailedError,
    ExecutionStoppedError,
    FailureCause,
    UnknownStatusError,
)
from sagemaker_pipelines.hooks.pipeline import SageMakerPipelineHook
from sagemaker_pipelines.sensors.pipeline import SageMakerPipelineExecutionSensor
from sagemaker_pipelines.triggers.pipeline import SageMakerPipelineExecutionTrigger
from tests.unit.sagemaker_pipelines.samples import ARN, TaskInstance, TaskStateStore, context_of
from tests.unit.sagemaker_pipelines.stand_in import StandIn

SUCCEEDED = ExecutionOutcome(pipeline_execution_arn=ARN, status="Succeeded")
REJECTED = ExecutionOutcome(
    pipeline_execution_arn=ARN,
    status="Failed",
    rejected=True,
    cause=FailureCause(step_name="Reject", reason="no", is_fail_step=True),
)
BROKEN = ExecutionFailedError(ARN, "Failed", None, [FailureCause(step_name="Train", reason="exit code 1")])
DECIDED = ExecutionFailedError(
    ARN, "Failed", None, [FailureCause(step_name="TooFewRows", reason="12", is_fail_step=True)]
)
STOPPED = ExecutionStoppedError(ARN, "Stopped")
PARTLY = ExecutionFailedError(ARN, "CompletedWithFailures", None, [])
UNKNOWN = UnknownStatusError("pipeline execution", "Paused", ["Succeeded"])
TERMINAL = ["Succeeded", "Failed", "Stopped", "CompletedWithFailures", "Paused"]


class Answers(StandIn):
    """A hook that gives one status for each look, and one judgement at the end."""

    def __init__(self, *statuses: str, judgement: ExecutionOutcome | Exception = SUCCEEDED) -> None:
        super().__init__()
        self.statuses = list(statuses)
        self.judgement = judgement
        self.rejection_steps: Any = "not asked"

    def describe_execution(self, pipeline_execution_arn: str) -> dict[str, Any]:
        assert pipeline_execution_arn == ARN
        return {"PipelineExecutionStatus": self.statuses.pop(0)}

    def list_steps(self, pipeline_execution_arn: str) -> list[Step]:
        return [Step(name="Train", status="Executing")]

    def kill_client(self) -> Any:
        return None

    def execution_outcome(
        self, pipeline_execution_arn: str, *, rejection_steps: Any = None, **_: Any
    ) -> ExecutionOutcome:
        self.rejection_steps = rejection_steps
        if isinstance(self.judgement, Exception):
            raise self.judgement
        return self.judgement


def sensor(hook: SageMakerPipelineHook | None = None, **arguments: Any) -> SageMakerPipelineExecutionSensor:
    made = SageMakerPipelineExecutionSensor(
        task_id="wait", pipeline_exec_arn=ARN, poke_interval=0.01, **{"deferrable": False, **arguments}
    )
    made.__dict__["hook"] = hook or Answers()
    return made


def ended(status: str = "Succeeded") -> dict[str, Any]:
    return {"event": "ended", "pipeline_execution_arn": ARN, "status": status, "message": None}


def run(mode: str, judgement: ExecutionOutcome | Exception, ti: TaskInstance) -> Any:
    """Let the sensor see an execution's end in a mode: in one call, by poking, or after its trigger."""
    hook = Answers("Executing", "Executing", "Succeeded", judgement=judgement)
    task = sensor(hook)
    context: Any = {"ti": ti}
    if mode == "synchronous":
        return task.execute(context)
    if mode == "poke":
        assert task.poke(context) is False
        assert task.poke(context) is False
        answer = task.poke(context)
        return answer.xcom_value  # type: ignore[union-attr]
    return task.execute_complete(context, ended())


MODES = ["synchronous", "poke", "deferrable"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("outcome", [SUCCEEDED, REJECTED])
def test_succeeded_and_rejected_succeed_with_their_record(mode: str, outcome: ExecutionOutcome) -> None:
    ti = TaskInstance()
    assert run(mode, outcome, ti) == ARN
    record = ExecutionRecord.read(ti.pushed["execution"])
    assert (record.rejected, record.cause) == (outcome.rejected, outcome.cause)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("error", [DECIDED, STOPPED, PARTLY, UNKNOWN])
def test_what_a_retry_cannot_change_fails_without_one(mode: str, error: Exception) -> None:
    with pytest.raises(AirflowFailException, match=ARN) as caught:
        run(mode, error, TaskInstance())
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("mode", MODES)
def test_a_broken_step_fails_and_may_be_retried(mode: str) -> None:
    ti = TaskInstance()
    with pytest.raises(ExecutionFailedError, match="step Train failed: exit code 1"):
        run(mode, BROKEN, ti)
    assert ExecutionRecord.read(ti.pushed["execution"]).cause == BROKEN.causes[0]


@pytest.mark.parametrize("deferrable", [False, True])
def test_the_arn_is_in_xcom_before_the_wait(deferrable: bool) -> None:
    ti = TaskInstance()
    hook = Answers("Succeeded")
    hook.describe_execution = lambda _: pytest.fail("looked first") if not ti.pushed else ended_now()  # type: ignore[method-assign,assignment]
    try:
        sensor(hook, deferrable=deferrable).execute({"ti": ti})  # type: ignore[typeddict-item]
    except TaskDeferred:
        assert deferrable
    assert next(iter(ti.pushed.items())) == ("pipeline_execution_arn", ARN)


def ended_now() -> dict[str, str]:
    return {"PipelineExecutionStatus": "Succeeded"}


def test_an_execution_that_has_ended_already_is_judged_without_the_triggerer() -> None:
    task = sensor(Answers("Succeeded", "Succeeded"), deferrable=True)
    assert task.execute(context_of(TaskStateStore())) == ARN


def test_deferring_hands_arn_connection_and_deadline_to_the_trigger(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sagemaker_pipelines.task.waiting.time.time", lambda: 1000.0)
    task = sensor(
        Answers("Executing"),
        deferrable=True,
        timeout=60,
        aws_conn_id="aws_prod",
        region_name="eu-west-1",
        verify=False,
        botocore_config={"read_timeout": 3},
    )
    with pytest.raises(TaskDeferred) as caught:
        task.execute(context_of(TaskStateStore()))
    trigger = caught.value.trigger
    assert isinstance(trigger, SageMakerPipelineExecutionTrigger)
    assert trigger.serialize()[1] == {
        "pipeline_execution_arn": ARN,
        "waiter_delay": 0.01,
        "deadline": 1060.0,
        "stop_on_kill": True,
        "aws_conn_id": "aws_prod",
        "region_name": "eu-west-1",
        "verify": False,
        "botocore_config": {"read_timeout": 3},
        "version": 1,
    }
    assert caught.value.method_name == "execute_complete"


def test_a_wait_that_takes_too_long_times_out_in_both_modes() -> None:
    with pytest.raises(AirflowSensorTimeout):
        sensor(Answers(*["Executing"] * 1000), timeout=0.05, stop_on_kill=False).execute(
            context_of(TaskStateStore())
        )
    timeout = {"event": "timeout", "pipeline_execution_arn": ARN, "status": None, "message": None}
    with pytest.raises(AirflowSensorTimeout, match=ARN):
        sensor().execute_complete(context_of(TaskStateStore()), timeout)


@pytest.mark.parametrize("event", [None, {}, {"status": "success", "value": ARN}])
def test_an_event_of_another_form_is_an_error(event: dict[str, Any] | None) -> None:
    with pytest.raises(AirflowException, match="expected pipeline_execution_arn"):
        sensor().execute_complete(context_of(TaskStateStore()), event)


def test_an_error_of_the_trigger_is_told() -> None:
    event = {"event": "error", "pipeline_execution_arn": ARN, "status": None, "message": "AccessDenied: no"}
    with pytest.raises(AirflowException, match="AccessDenied: no"):
        sensor().execute_complete(context_of(TaskStateStore()), event)


def test_mode_reschedule_is_refused() -> None:
    with pytest.raises(ValueError, match="deferrable=True"):
        SageMakerPipelineExecutionSensor(task_id="wait", pipeline_exec_arn=ARN, mode="reschedule")


@pytest.mark.parametrize("rejection_steps", [None, [], ["TooFewRows"]])
def test_the_dags_rejection_steps_reach_the_judgement(rejection_steps: list[str] | None) -> None:
    hook = Answers("Succeeded")
    sensor(hook, rejection_steps=rejection_steps).execute(context_of(TaskStateStore()))
    assert hook.rejection_steps == rejection_steps


def test_the_arn_and_the_rejection_steps_are_templates() -> None:
    assert {"pipeline_exec_arn", "rejection_steps", "aws_conn_id"} <= set(
        SageMakerPipelineExecutionSensor.template_fields
    )


def test_a_steps_transition_appears_in_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    sensor(Answers("Executing", "Succeeded")).execute(context_of(TaskStateStore()))
    assert capsys.readouterr().out.count("Step Train: Executing") == 1


def test_soft_fail_skips_as_for_every_sensor() -> None:
    task = sensor(Answers("Stopped", judgement=STOPPED), soft_fail=True)
    with pytest.raises(AirflowSkipException):
        task.execute(context_of(TaskStateStore()))
