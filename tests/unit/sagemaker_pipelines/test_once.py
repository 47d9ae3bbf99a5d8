"""One execution per logical start, however its tries are cut off.

The endpoint is a small model of SageMaker: it keeps executions, honours tokens until it is told to forget
them, and can be cut off before or after it has acted.
"""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException
from airflow.sdk.exceptions import AirflowRescheduleException, TaskDeferred
from botocore.exceptions import ClientError

from sagemaker_pipelines.aws.outcome import ExecutionOutcome
from sagemaker_pipelines.aws.steps import Step
from sagemaker_pipelines.exceptions import ExecutionFailedError, ExecutionStoppedError, FailureCause
from sagemaker_pipelines.operators import pipeline as operators_pipeline
from sagemaker_pipelines.operators.pipeline import SageMakerStartPipelineExecutionOperator
from sagemaker_pipelines.sensors.pipeline import SageMakerPipelineExecutionSensor
from sagemaker_pipelines.settings import PipelineSettings
from sagemaker_pipelines.task.logical_start import LogicalStart
from sagemaker_pipelines.task.records import WaitRecord
from sagemaker_pipelines.task.runs import with_backfill_values
from tests.unit.sagemaker_pipelines.samples import (
    PIPELINE_ARN,
    TaskInstance,
    TaskStateStore,
    context_of,
    gated_definition,
)
from tests.unit.sagemaker_pipelines.stand_in import StandIn


class Killed(BaseException):
    """Stands for SIGKILL: nothing of ours runs afterwards."""


def killed(*_: Any, **__: Any) -> Any:
    """Take the place of what a SIGKILL cuts off."""
    raise Killed


def denied(*_: Any, **__: Any) -> Any:
    """Take the place of a call that is refused."""
    raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "any")


def full(*_: Any, **__: Any) -> Any:
    """Take the place of a call that exceeds the quota."""
    raise ClientError({"Error": {"Code": "ResourceLimitExceeded", "Message": "no"}}, "any")


class Endpoint(StandIn):
    """A model of SageMaker behind the hook's calls."""

    def __init__(self) -> None:
        super().__init__()
        self.executions: dict[str, dict[str, Any]] = {}
        self.tokens: dict[str, str] = {}
        self.cut: str | None = None
        self.refusals: list[str] = []
        self.retries: list[str] = []
        self.calls: list[str] = []

    @property
    def statuses(self) -> list[str]:
        """The status of each execution, in the order of their starts."""
        return [execution["status"] for execution in self.executions.values()]

    def _cut(self, point: str) -> None:
        if self.cut == point:
            self.cut = None
            raise Killed(point)

    def start_execution(self, request: dict[str, Any]) -> str:
        self.calls.append("start")
        self._cut("before the call")
        if self.refusals:
            raise ClientError(
                {"Error": {"Code": self.refusals.pop(), "Message": "no"}}, "StartPipelineExecution"
            )
        token = request["ClientRequestToken"]
        if token not in self.tokens:
            arn = f"{PIPELINE_ARN}/execution/{len(self.executions):012}"
            self.executions[arn] = {"status": "Executing", "request": request}
            self.tokens[token] = arn
        self._cut("after AWS accepted it")
        return self.tokens[token]

    def find_execution(
        self, pipeline_name: str, *, generation: str, created_after: datetime, sagemaker: Any = None
    ) -> str | None:
        self.calls.append("find")
        assert created_after < datetime.now(UTC)
        for arn, execution in self.executions.items():
            if generation in execution["request"]["PipelineExecutionDescription"]:
                return arn
        return None

    def describe_execution(self, pipeline_execution_arn: str) -> dict[str, Any]:
        self._cut("while waiting")
        return self.describe_now(pipeline_execution_arn)

    def describe_now(self, pipeline_execution_arn: str) -> dict[str, Any]:
        execution = self.executions[pipeline_execution_arn]
        description = execution.get("description", execution["request"]["PipelineExecutionDescription"])
        return {
            "PipelineExecutionStatus": execution["status"],
            "PipelineExecutionDescription": description,
        }

    def list_steps(self, pipeline_execution_arn: str) -> list[Step]:
        return []

    def retry_execution(self, pipeline_execution_arn: str, *, token: str) -> None:
        self._cut("before the resume")
        if token not in self.retries:
            if self.executions[pipeline_execution_arn]["status"] not in ("Failed", "Stopped"):
                raise ClientError({"Error": {"Code": "ValidationException", "Message": "runs"}}, "retry")
            self.retries.append(token)
            self.executions[pipeline_execution_arn]["status"] = "Executing"
        self._cut("after the resume")

    def describe_owner(self, pipeline_execution_arn: str, description: str | None) -> None:
        if description is not None:
            self.executions[pipeline_execution_arn]["description"] = description

    def execution_outcome(
        self, pipeline_execution_arn: str, *, rejection_steps: Any = None, **_: Any
    ) -> ExecutionOutcome:
        execution = self.executions[pipeline_execution_arn]
        if execution["status"] == "Succeeded" or execution.get("rejected"):
            return ExecutionOutcome(pipeline_execution_arn=pipeline_execution_arn, status=execution["status"])
        if execution["status"] == "Stopped":
            raise ExecutionStoppedError(pipeline_execution_arn, "Stopped")
        decided = bool(execution.get("decided"))
        cause = FailureCause(step_name="Train", reason="exit code 1", is_fail_step=decided)
        raise ExecutionFailedError(pipeline_execution_arn, "Failed", None, [cause])

    def deployed_definition(
        self, pipeline_name: str, *, pipeline_version_id: int | None = None
    ) -> dict[str, Any]:
        return gated_definition()

    def execution_definition(self, pipeline_execution_arn: str) -> dict[str, Any]:
        return gated_definition()

    def kill_client(self) -> Any:
        return KillClient(self)

    def end(self, status: str, **fields: Any) -> None:
        for execution in self.executions.values():
            if execution["status"] in {"Executing", "Stopping"}:
                execution.update(status=status, **fields)


class KillClient:
    """The boto3 client of on_kill."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint

    def start_pipeline_execution(self, **request: Any) -> dict[str, str]:
        return {"PipelineExecutionArn": self.endpoint.start_execution(request)}

    def stop_pipeline_execution(self, PipelineExecutionArn: str) -> None:
        self.endpoint.executions[PipelineExecutionArn]["status"] = "Stopped"

    def describe_pipeline_execution(self, PipelineExecutionArn: str) -> dict[str, str]:
        return self.endpoint.describe_now(PipelineExecutionArn)


@pytest.fixture
def endpoint() -> Endpoint:
    return Endpoint()


@pytest.fixture
def store() -> TaskStateStore:
    return TaskStateStore()


def start(endpoint: Endpoint, **arguments: Any) -> SageMakerStartPipelineExecutionOperator:
    task = SageMakerStartPipelineExecutionOperator(
        task_id="start_pipeline",
        pipeline_name="dev-gated",
        check_interval=0,
        **{"deferrable": False, **arguments},
    )
    task.__dict__["hook"] = endpoint
    return task


def sensor(endpoint: Endpoint, **arguments: Any) -> SageMakerPipelineExecutionSensor:
    arn = next(iter(endpoint.executions))
    task = SageMakerPipelineExecutionSensor(
        task_id="wait", pipeline_exec_arn=arn, poke_interval=0, **{"deferrable": False, **arguments}
    )
    task.__dict__["hook"] = endpoint
    return task


CUTS = ["before the call", "after AWS accepted it"]


@pytest.mark.parametrize("forgotten", [False, True])
@pytest.mark.parametrize("cut", CUTS)
def test_a_start_that_was_cut_off_is_found_again(
    endpoint: Endpoint, store: TaskStateStore, cut: str, forgotten: bool
) -> None:
    endpoint.cut = cut
    with pytest.raises(Killed):
        start(endpoint).execute(context_of(store))
    if forgotten:
        endpoint.tokens.clear()
    arn = start(endpoint).execute(context_of(store))
    assert list(endpoint.executions) == [arn]


def test_every_try_sends_the_first_trys_request(endpoint: Endpoint, store: TaskStateStore) -> None:
    endpoint.cut = "before the call"
    with pytest.raises(Killed):
        start(endpoint, pipeline_params={"Count": 1}).execute(context_of(store))
    arn = start(endpoint, pipeline_params={"Count": 2}).execute(context_of(store))
    assert endpoint.executions[arn]["request"]["PipelineParameters"] == [{"Name": "Count", "Value": "1"}]


class TestSecrets:
    """A start with a secret among its parameters, whose first try is cut off before its call."""

    @pytest.fixture(autouse=True)
    def _first_try(self, endpoint: Endpoint, store: TaskStateStore, monkeypatch: pytest.MonkeyPatch) -> None:
        definition = gated_definition()
        definition["Parameters"].append({"Name": "DbPassword", "Type": "String", "DefaultValue": "d"})
        monkeypatch.setattr(endpoint, "deployed_definition", lambda *_, **__: definition)
        endpoint.cut = "before the call"
        with pytest.raises(Killed):
            start(endpoint, pipeline_params=self.values("hunter2222")).execute(context_of(store))

    @staticmethod
    def values(password: str, count: int = 1) -> dict[str, object]:
        return {"DbPassword": password, "Count": count}

    def test_airflows_database_does_not_hold_it(self, store: TaskStateStore) -> None:
        assert "hunter2222" not in str(store.kept)

    def test_the_next_try_sends_its_value_again(self, endpoint: Endpoint, store: TaskStateStore) -> None:
        arn = start(endpoint, pipeline_params=self.values("hunter2222", 2)).execute(context_of(store))
        assert endpoint.executions[arn]["request"]["PipelineParameters"] == [
            {"Name": "Count", "Value": "1"},
            {"Name": "DbPassword", "Value": "hunter2222"},
        ]
        assert "hunter2222" not in str(store.kept)

    def test_a_try_that_has_it_no_longer_says_so(self, endpoint: Endpoint, store: TaskStateStore) -> None:
        with pytest.raises(AirflowFailException, match="had a value for DbPassword"):
            start(endpoint, pipeline_params={"Count": 1}).execute(context_of(store))

    def test_a_kill_sends_its_value(self, endpoint: Endpoint, store: TaskStateStore) -> None:
        task = start(endpoint, pipeline_params=self.values("hunter2222"))
        endpoint.cut = "before the call"
        with pytest.raises(Killed):
            task.execute(context_of(store))
        task.on_kill()
        (execution,) = endpoint.executions.values()
        assert {"Name": "DbPassword", "Value": "hunter2222"} in execution["request"]["PipelineParameters"]


def test_a_try_after_the_answer_calls_nothing(endpoint: Endpoint, store: TaskStateStore) -> None:
    arn = start(endpoint).execute(context_of(store))
    endpoint.calls.clear()
    assert start(endpoint).execute(context_of(store)) == arn
    assert endpoint.calls == []


def test_two_tries_that_overlap_share_one_execution(endpoint: Endpoint, store: TaskStateStore) -> None:
    endpoint.cut = "before the call"
    with pytest.raises(Killed):
        start(endpoint).execute(context_of(store))
    request = store.get("sagemaker_pipelines.start")["request"]
    late = endpoint.start_execution(request)
    assert start(endpoint).execute(context_of(store)) == late
    assert len(endpoint.executions) == 1


@pytest.mark.parametrize(
    "changes", [{"max_tries": 4, "clear_number": 1}, {"max_tries": 3, "clear_number": 0}]
)
def test_a_clear_is_a_new_start(endpoint: Endpoint, store: TaskStateStore, changes: dict[str, Any]) -> None:
    first = start(endpoint).execute(context_of(store))
    endpoint.end("Succeeded")
    second = start(endpoint).execute(context_of(store, **changes))
    assert first != second


@pytest.mark.parametrize("has_ended", [False, True])
def test_a_clear_after_retries_was_lowered_is_a_new_start(
    endpoint: Endpoint, store: TaskStateStore, has_ended: bool
) -> None:
    """Airflow sets max_tries to the tries so far and the DAG's retries: 2 before, and 1 + 1 after."""
    first = start(endpoint).execute(context_of(store, max_tries=2))
    if has_ended:
        endpoint.end("Succeeded")
    ti = TaskInstance(wait="deferred", watches=first)
    second = start(endpoint).execute(context_of(store, max_tries=2, clear_number=1, ti=ti))
    assert first != second


def test_a_siblings_clear_and_a_success_that_airflow_never_heard_of_keep_the_execution(
    endpoint: Endpoint, store: TaskStateStore
) -> None:
    """The worker is lost between the start's last words and Airflow's answer, and another task is cleared."""
    first = start(endpoint).execute(context_of(store))
    assert start(endpoint).execute(context_of(store, clear_number=1)) == first
    assert endpoint.statuses == ["Executing"]


def test_a_clear_of_the_running_task_stops_its_execution_and_starts_anew(
    endpoint: Endpoint, store: TaskStateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = start(endpoint, wait_for_completion=True)
    endpoint.cut = "while waiting"
    with pytest.raises(Killed):
        task.execute(context_of(store))
    task.on_kill()
    monkeypatch.setitem(endpoint.__dict__, "conn", KillClient(endpoint))
    first = next(iter(endpoint.executions))
    assert endpoint.executions[first]["status"] == "Stopped"
    second = start(endpoint).execute(context_of(store, clear_number=1))
    assert second != first


@pytest.mark.parametrize("wait", [False, True])
def test_a_siblings_clear_and_a_sigkill_keep_the_execution(
    endpoint: Endpoint, store: TaskStateStore, wait: bool
) -> None:
    endpoint.cut = "while waiting" if wait else "after AWS accepted it"
    with pytest.raises(Killed):
        start(endpoint, wait_for_completion=wait).execute(context_of(store))
    arn = start(endpoint).execute(context_of(store, clear_number=1))
    assert {arn: "Executing"} == {key: item["status"] for key, item in endpoint.executions.items()}


def test_a_siblings_clear_does_not_resume_what_somebody_stopped(
    endpoint: Endpoint, store: TaskStateStore
) -> None:
    start(endpoint).execute(context_of(TaskStateStore()))
    endpoint.end("Stopped")
    for clear_number in (0, 1):
        with pytest.raises(AirflowFailException, match="somebody stopped it"):
            sensor(endpoint).execute(context_of(store, clear_number=clear_number))
    assert endpoint.retries == []


def test_a_kill_before_the_first_call_starts_nothing(
    endpoint: Endpoint, store: TaskStateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed_while_it_counts(_hook: Any, *, limit: int) -> int:
        raise Killed

    endpoint.__dict__["settings"] = PipelineSettings(max_executing=4)
    monkeypatch.setattr(operators_pipeline, "executing_count", killed_while_it_counts)
    task = start(endpoint)
    with pytest.raises(Killed):
        task.execute(context_of(store))
    task.on_kill()
    assert endpoint.executions == {}


def test_a_kill_after_the_starts_last_word_leaves_the_execution_to_the_wait(
    endpoint: Endpoint, store: TaskStateStore
) -> None:
    """As Airflow's own, of a process that goes on for too long after its success."""
    task = start(endpoint)
    first = task.execute(context_of(store))
    task.on_kill()
    assert endpoint.executions[first]["status"] == "Executing"
    assert start(endpoint).execute(context_of(store)) == first


def test_a_kill_after_a_deferral_leaves_the_execution_to_the_trigger(
    endpoint: Endpoint, store: TaskStateStore
) -> None:
    task = start(endpoint, wait_for_completion=True, deferrable=True)
    with pytest.raises(TaskDeferred):
        task.execute(context_of(store))
    task.on_kill()
    assert endpoint.statuses == ["Executing"]


def test_a_kill_before_the_starts_last_word_stops_the_execution_and_fails_the_try(
    endpoint: Endpoint, store: TaskStateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = start(endpoint)
    monkeypatch.setattr(task, "_show_parameters", lambda *_: task.on_kill())
    with pytest.raises(AirflowException, match="has killed this attempt"):
        task.execute(context_of(store))
    assert endpoint.statuses == ["Stopped"]


def test_a_kill_before_the_second_trys_call_stops_what_the_first_began(
    endpoint: Endpoint, store: TaskStateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint.cut = "after AWS accepted it"
    with pytest.raises(Killed):
        start(endpoint).execute(context_of(store))
    task = start(endpoint)
    find = endpoint.find_execution

    def killed_while_it_looks(*args: Any, sagemaker: Any = None, **kwargs: Any) -> str | None:
        if sagemaker is None:
            raise Killed
        return find(*args, **kwargs)

    monkeypatch.setattr(endpoint, "find_execution", killed_while_it_looks)
    with pytest.raises(Killed):
        task.execute(context_of(store))
    task.on_kill()
    assert endpoint.statuses == ["Stopped"]


@pytest.mark.parametrize("answered", [False, True])
def test_a_kill_while_a_retry_asks_what_was_begun_stops_that(
    endpoint: Endpoint, store: TaskStateStore, monkeypatch: pytest.MonkeyPatch, answered: bool
) -> None:
    endpoint.cut = "while waiting" if answered else "after AWS accepted it"
    with pytest.raises(Killed):
        start(endpoint, wait_for_completion=True).execute(context_of(store))
    task = start(endpoint, wait_for_completion=True)
    if answered:
        endpoint.cut = "while waiting"
    else:
        find = endpoint.find_execution
        cuts = [Killed()]

        def cut_once(*args: Any, **kwargs: Any) -> str | None:
            if cuts:
                raise cuts.pop()
            return find(*args, **kwargs)

        monkeypatch.setattr(endpoint, "find_execution", cut_once)
    with pytest.raises(Killed):
        task.execute(context_of(store, clear_number=1))
    task.on_kill()
    assert endpoint.statuses == ["Stopped"]


def test_a_kill_while_airflow_answers_what_was_begun_stops_that(
    endpoint: Endpoint, store: TaskStateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal handler cannot ask Airflow: the code that goes on after it stops the execution."""
    endpoint.cut = "while waiting"
    with pytest.raises(Killed):
        start(endpoint, wait_for_completion=True).execute(context_of(store))
    task, get = start(endpoint, wait_for_completion=True), store.get

    def killed_meanwhile(key: str, default: Any = None) -> Any:
        task.on_kill()
        return get(key, default)

    monkeypatch.setattr(store, "get", killed_meanwhile)
    with pytest.raises(AirflowException, match="has killed this attempt"):
        task.execute(context_of(store))
    assert endpoint.statuses == ["Stopped"]


def test_a_killed_try_starts_nothing_while_it_goes_on(
    endpoint: Endpoint, store: TaskStateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint.cut = "before the call"
    with pytest.raises(Killed):
        start(endpoint).execute(context_of(store))
    task, find = start(endpoint), endpoint.find_execution

    def killed_while_it_looks(*args: Any, sagemaker: Any = None, **kwargs: Any) -> str | None:
        if sagemaker is None:
            task.on_kill()
        return find(*args, **kwargs)

    monkeypatch.setattr(endpoint, "find_execution", killed_while_it_looks)
    with pytest.raises(AirflowException, match="has killed this attempt"):
        task.execute(context_of(store))
    assert endpoint.executions == {}


def test_a_killed_try_resumes_nothing_while_it_goes_on(
    endpoint: Endpoint, store: TaskStateStore, started: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_wait(endpoint, store, on_kill=False)
    started["status"] = "Failed"
    task, look = sensor(endpoint), endpoint.describe_execution

    def killed_while_it_looks(pipeline_execution_arn: str) -> dict[str, Any]:
        task.on_kill()
        started["status"] = "Failed"
        return look(pipeline_execution_arn)

    monkeypatch.setattr(endpoint, "describe_execution", killed_while_it_looks)
    with pytest.raises(AirflowException, match="has killed this attempt"):
        task.execute(context_of(store))
    assert endpoint.retries == []


def test_without_a_task_state_store_nothing_is_started(endpoint: Endpoint) -> None:
    context = context_of(TaskStateStore())
    context["task_state_store"] = None
    with pytest.raises(AirflowFailException, match=r"start_pipeline did nothing: .* task_state_store"):
        start(endpoint).execute(context)
    assert endpoint.calls == []


def test_a_wait_of_another_run_that_resumes_becomes_the_owner(
    endpoint: Endpoint, store: TaskStateStore, started: dict[str, Any]
) -> None:
    before = LogicalStart.parse(started["request"]["PipelineExecutionDescription"])
    assert before is not None
    started["status"] = "Failed"
    ti = TaskInstance()
    ti.run_id = "another run"
    with pytest.raises(ExecutionFailedError):
        sensor(endpoint).execute(context_of(store, ti=ti))
    with pytest.raises(TaskDeferred):
        sensor(endpoint, deferrable=True).execute(context_of(store, ti=ti))
    owner = LogicalStart.parse(started["description"])
    assert owner is not None
    assert (owner.run_id, owner.generation) == ("another run", before.generation)


def test_a_try_that_on_kill_made_fail_counts_as_killed(
    endpoint: Endpoint, store: TaskStateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After on_kill the code runs on for seconds, and sees its own stop."""
    task = start(endpoint, wait_for_completion=True)
    looks = endpoint.describe_execution

    def killed_meanwhile(pipeline_execution_arn: str) -> dict[str, Any]:
        task.on_kill()
        return looks(pipeline_execution_arn)

    monkeypatch.setattr(endpoint, "describe_execution", killed_meanwhile)
    with pytest.raises(AirflowFailException):
        task.execute(context_of(store))
    monkeypatch.undo()
    monkeypatch.setitem(endpoint.__dict__, "conn", KillClient(endpoint))
    assert start(endpoint).execute(context_of(store, clear_number=1)) == f"{PIPELINE_ARN}/execution/{1:012}"


def test_a_clear_of_a_deferred_task_stops_what_its_trigger_left(
    endpoint: Endpoint, store: TaskStateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(endpoint.__dict__, "conn", KillClient(endpoint))
    with pytest.raises(TaskDeferred):
        start(endpoint, wait_for_completion=True, deferrable=True).execute(context_of(store))
    with pytest.raises(TaskDeferred):
        start(endpoint, wait_for_completion=True, deferrable=True).execute(context_of(store, max_tries=3))
    assert endpoint.statuses == ["Stopped", "Executing"]


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_clear_stops_what_could_not_be_watched(
    endpoint: Endpoint, store: TaskStateStore, monkeypatch: pytest.MonkeyPatch, deferrable: bool
) -> None:
    """The task has failed, and its execution runs on: a clear must not start a second one beside it."""
    task = start(endpoint, wait_for_completion=True, deferrable=deferrable)
    if deferrable:
        with pytest.raises(TaskDeferred):
            task.execute(context_of(store))
        event = {**ended_event(next(iter(endpoint.executions))), "event": "error", "message": "denied"}
        with pytest.raises(AirflowException, match="could not be watched"):
            task.execute_complete(context_of(store), event)
    else:
        with monkeypatch.context() as patch:
            patch.setattr(endpoint, "describe_execution", denied)
            with pytest.raises(ClientError):
                task.execute(context_of(store))
    monkeypatch.setitem(endpoint.__dict__, "conn", KillClient(endpoint))
    with pytest.raises(TaskDeferred):
        start(endpoint, wait_for_completion=True, deferrable=True).execute(context_of(store, max_tries=3))
    assert endpoint.statuses == ["Stopped", "Executing"]


def test_a_clear_stops_what_a_start_began_that_failed_before_its_wait(
    endpoint: Endpoint, store: TaskStateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    ti = TaskInstance()
    monkeypatch.setattr(ti, "xcom_push", denied)
    with pytest.raises(ClientError):
        start(endpoint).execute(context_of(store, ti=ti))
    monkeypatch.setitem(endpoint.__dict__, "conn", KillClient(endpoint))
    start(endpoint).execute(context_of(store, max_tries=3))
    assert endpoint.statuses == ["Stopped", "Executing"]


@pytest.fixture
def cleared(endpoint: Endpoint, store: TaskStateStore, monkeypatch: pytest.MonkeyPatch) -> KillClient:
    """The client of what runs, after a clear of a deferred start whose trigger did not stop it."""
    with pytest.raises(TaskDeferred):
        start(endpoint, wait_for_completion=True, deferrable=True).execute(context_of(store))
    client = KillClient(endpoint)
    monkeypatch.setitem(endpoint.__dict__, "conn", client)
    return client


def test_a_start_that_is_killed_before_it_stops_what_it_replaces_leaves_that_to_the_next_try(
    endpoint: Endpoint, store: TaskStateStore, cleared: KillClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        with monkeypatch.context() as patch:
            patch.setattr(cleared, "stop_pipeline_execution", killed)
            with pytest.raises(Killed):
                start(endpoint).execute(context_of(store, max_tries=3))
    start(endpoint).execute(context_of(store, max_tries=3))
    assert endpoint.statuses == ["Stopped", "Executing"]


def test_a_kill_while_a_start_stops_what_it_replaces_stops_that(
    endpoint: Endpoint, store: TaskStateStore, cleared: KillClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = start(endpoint)
    monkeypatch.setattr(cleared, "stop_pipeline_execution", killed)
    with pytest.raises(Killed):
        task.execute(context_of(store, max_tries=3))
    task.on_kill()
    assert endpoint.statuses == ["Stopped"]


def test_nothing_is_started_beside_what_cannot_be_stopped(
    endpoint: Endpoint, store: TaskStateStore, cleared: KillClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cleared, "stop_pipeline_execution", denied)
    # Another clear changes nothing about that.
    for max_tries in (3, 3, 4):
        with pytest.raises(AirflowException, match=r"could not be stopped\. This start replaces it"):
            start(endpoint).execute(context_of(store, max_tries=max_tries))
    assert endpoint.statuses == ["Executing"]
    endpoint.end("Stopped")
    start(endpoint).execute(context_of(store, max_tries=4))
    assert endpoint.statuses == ["Stopped", "Executing"]


def test_a_kill_of_a_cleared_start_leaves_its_old_execution_to_the_wait(
    endpoint: Endpoint, store: TaskStateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = start(endpoint).execute(context_of(store))
    task = start(endpoint)
    monkeypatch.setattr(endpoint, "deployed_definition", killed)
    with pytest.raises(Killed):
        task.execute(context_of(store, max_tries=3, ti=TaskInstance(wait="running", watches=first)))
    task.on_kill()
    assert endpoint.statuses == ["Executing"]


@pytest.mark.parametrize("wait", ["running", "deferred"])
def test_a_clear_of_a_start_leaves_its_execution_to_the_wait_that_watches_it(
    endpoint: Endpoint, store: TaskStateStore, wait: str
) -> None:
    """Only the start was cleared, without the tasks after it."""
    first = start(endpoint).execute(context_of(store))
    start(endpoint).execute(context_of(store, max_tries=3, ti=TaskInstance(wait=wait, watches=first)))
    assert endpoint.statuses == ["Executing"] * 2


@pytest.mark.parametrize(
    ("wait", "watches"),
    [
        (None, None),
        ("scheduled", None),
        ("deferred", f"{PIPELINE_ARN}/execution/of-another-start"),
        # Its kill could not stop it, or it could not be watched.
        (None, f"{PIPELINE_ARN}/execution/{0:012}"),
        ("failed", f"{PIPELINE_ARN}/execution/{0:012}"),
    ],
)
def test_a_clear_of_a_start_stops_what_no_task_watches(
    endpoint: Endpoint,
    store: TaskStateStore,
    monkeypatch: pytest.MonkeyPatch,
    wait: str | None,
    watches: str | None,
) -> None:
    """It was cleared before the wait began, or it is failed because Airflow never heard of its success."""
    monkeypatch.setitem(endpoint.__dict__, "conn", KillClient(endpoint))
    start(endpoint).execute(context_of(store))
    start(endpoint).execute(context_of(store, max_tries=3, ti=TaskInstance(wait=wait, watches=watches)))
    assert endpoint.statuses == ["Stopped", "Executing"]


@pytest.mark.parametrize("waits_itself", [False, True])
def test_a_clear_of_a_start_leaves_its_execution_to_the_run_that_has_resumed_it(
    endpoint: Endpoint,
    store: TaskStateStore,
    another_run: TaskInstance,
    monkeypatch: pytest.MonkeyPatch,
    waits_itself: bool,
) -> None:
    """The run has failed, another run resumes its execution, and only then the failed run is cleared."""
    if waits_itself:
        with pytest.raises(TaskDeferred):
            start(endpoint, wait_for_completion=True, deferrable=True).execute(context_of(store))
    else:
        start(endpoint).execute(context_of(store))
    endpoint.end("Failed")
    source = next(iter(endpoint.executions))
    resume_in(another_run, endpoint, source)
    monkeypatch.setitem(endpoint.__dict__, "conn", KillClient(endpoint))
    assert start(endpoint).execute(context_of(store, max_tries=3)) != source
    assert endpoint.statuses == ["Executing"] * 2


def test_a_clear_of_a_start_leaves_its_execution_to_the_person_who_has_resumed_it(
    endpoint: Endpoint, store: TaskStateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shell's command writes into the description who that was."""
    first = start(endpoint).execute(context_of(store))
    endpoint.executions[first]["description"] = "resumed by ada with sagemaker-pipelines"
    monkeypatch.setitem(endpoint.__dict__, "conn", KillClient(endpoint))
    start(endpoint).execute(context_of(store, max_tries=3))
    assert endpoint.statuses == ["Executing"] * 2


def test_a_start_whose_execution_was_deleted_can_be_cleared(
    endpoint: Endpoint, store: TaskStateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(pipeline_execution_arn: str) -> dict[str, Any]:
        raise ClientError({"Error": {"Code": "ResourceNotFound", "Message": "no"}}, "describe")

    first = start(endpoint).execute(context_of(store))
    monkeypatch.setattr(endpoint, "describe_execution", missing)
    assert start(endpoint).execute(context_of(store, max_tries=3)) != first


def test_a_re_created_run_and_a_reset_database_do_not_attach(endpoint: Endpoint) -> None:
    arns = {start(endpoint).execute(context_of(TaskStateStore())) for _ in range(3)}
    assert len(arns) == 3


def test_a_kill_before_the_answer_stops_what_was_started(endpoint: Endpoint, store: TaskStateStore) -> None:
    task = start(endpoint)
    endpoint.cut = "after AWS accepted it"
    with pytest.raises(Killed):
        task.execute(context_of(store))
    task.on_kill()
    assert endpoint.statuses == ["Stopped"]


def test_a_kill_that_may_not_look_still_stops(
    endpoint: Endpoint, store: TaskStateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = start(endpoint)
    endpoint.cut = "after AWS accepted it"
    with pytest.raises(Killed):
        task.execute(context_of(store))
    monkeypatch.setattr(KillClient, "describe_pipeline_execution", denied)
    task.on_kill()
    assert endpoint.statuses == ["Stopped"]


@pytest.mark.parametrize("call", ["find_execution", "start_execution"])
def test_a_kill_asks_again_while_sagemaker_is_busy(
    endpoint: Endpoint, store: TaskStateStore, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """The client of a kill has one attempt a call, and the answer may be on its way."""
    task = start(endpoint)
    endpoint.cut = "after AWS accepted it" if call == "find_execution" else "before the call"
    with pytest.raises(Killed):
        task.execute(context_of(store))
    faults, real = [1, 2, 3], getattr(endpoint, call)

    def busy(*args: Any, **kwargs: Any) -> Any:
        if faults:
            faults.pop()
            raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "slow down"}}, call)
        return real(*args, **kwargs)

    monkeypatch.setattr(endpoint, call, busy)
    task.on_kill()
    assert endpoint.statuses == ["Stopped"]


def test_the_retry_after_an_eviction_resumes_what_the_kill_stopped(
    endpoint: Endpoint, store: TaskStateStore
) -> None:
    task = start(endpoint)
    endpoint.cut = "after AWS accepted it"
    with pytest.raises(Killed):
        task.execute(context_of(store))
    task.on_kill()
    arn = start(endpoint).execute(context_of(store))
    assert endpoint.executions[arn]["status"] == "Executing"
    assert (len(endpoint.executions), len(endpoint.retries)) == (1, 1)


def test_stop_on_kill_false_leaves_it_running(endpoint: Endpoint, store: TaskStateStore) -> None:
    task = start(endpoint, wait_for_completion=True, stop_on_kill=False)
    endpoint.cut = "while waiting"
    with pytest.raises(Killed):
        task.execute(context_of(store))
    task.on_kill()
    assert endpoint.statuses == ["Executing"]


def test_a_full_quota_waits_outside_a_worker_and_spends_no_retry(
    endpoint: Endpoint, store: TaskStateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operators_pipeline, "settle_seconds", lambda: 20)
    for asked, least, most in ((60, 40, 80), (1, 15, 20)):
        endpoint.refusals = ["ResourceLimitExceeded"]
        before = datetime.now(UTC)
        with pytest.raises(AirflowRescheduleException) as caught:
            start(endpoint, quota_retry_delay=asked).execute(context_of(store))
        again = caught.value.reschedule_date
        assert least < (again - before).total_seconds()
        assert (again - datetime.now(UTC)).total_seconds() <= most
    start(endpoint).execute(context_of(store))
    assert len(endpoint.executions) == 1


def test_a_start_waits_while_the_settings_limit_is_reached(
    endpoint: Endpoint, store: TaskStateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint.__dict__["settings"] = PipelineSettings(max_executing=4)
    counts = iter([4, 3])
    monkeypatch.setattr(operators_pipeline, "executing_count", lambda _hook, *, limit: next(counts))
    with pytest.raises(AirflowRescheduleException):
        start(endpoint).execute(context_of(store))
    assert not endpoint.executions
    start(endpoint).execute(context_of(store))
    assert len(endpoint.executions) == 1


@pytest.mark.parametrize(("run_type", "sent"), [("backfill", "false"), ("scheduled", "true")])
def test_in_a_backfill_its_own_values_take_the_place_of_the_forms(run_type: str, sent: str) -> None:
    context = {"dag_run": SimpleNamespace(run_type=run_type)}
    values = with_backfill_values(context, {"Flag": "true", "More": 1}, {"Flag": "false"})  # type: ignore[arg-type]
    assert values == {"Flag": sent, "More": 1}


def test_a_field_that_the_form_leaves_empty_takes_the_default_of_a_pinned_version(
    endpoint: Endpoint, store: TaskStateStore
) -> None:
    params = {"InputData": "", "MseThreshold": "5"}
    start(endpoint, definition="", pipeline_params=params).execute(context_of(store))
    (execution,) = endpoint.executions.values()
    assert execution["request"]["PipelineParameters"] == [{"Name": "MseThreshold", "Value": "5"}]


def test_another_refusal_is_an_error(endpoint: Endpoint, store: TaskStateStore) -> None:
    endpoint.refusals = ["AccessDeniedException"]
    with pytest.raises(ClientError, match="AccessDenied"):
        start(endpoint).execute(context_of(store))


def resume_in(run: TaskInstance, endpoint: Endpoint, source: str) -> None:
    """Let the start of another run resume an execution."""
    start(endpoint, source_execution_arn=source).execute(context_of(TaskStateStore(), ti=run))


@pytest.fixture
def another_run() -> TaskInstance:
    ti = TaskInstance()
    ti.run_id = "another run"
    return ti


@pytest.fixture
def source(endpoint: Endpoint, started: dict[str, Any]) -> str:
    """The ARN of an earlier run's execution, which has failed."""
    started["status"] = "Failed"
    return next(iter(endpoint.executions))


def test_a_new_run_can_resume_an_earlier_execution(
    endpoint: Endpoint, started: dict[str, Any], source: str, another_run: TaskInstance
) -> None:
    task = start(endpoint, source_execution_arn=source, description="once more")
    assert task.execute(context_of(TaskStateStore(), ti=another_run)) == source
    assert (len(endpoint.executions), len(endpoint.retries)) == (1, 1)
    before = LogicalStart.parse(started["request"]["PipelineExecutionDescription"])
    owner = LogicalStart.parse(started["description"])
    assert before is not None
    assert owner is not None
    assert owner.run_id == "another run", "it belongs to the resuming run from now on"
    assert owner.generation == before.generation, "its own start finds it again"
    assert started["description"].endswith(" | once more")


@pytest.mark.parametrize("forgotten", [False, True])
@pytest.mark.parametrize("status", ["Executing", "Succeeded", "Failed"])
@pytest.mark.parametrize("cut", ["before the resume", "after the resume"])
def test_a_resume_by_arn_that_was_cut_off_is_taken_up_again(
    endpoint: Endpoint,
    store: TaskStateStore,
    started: dict[str, Any],
    source: str,
    cut: str,
    status: str,
    forgotten: bool,
) -> None:
    endpoint.cut = cut
    with pytest.raises(Killed):
        start(endpoint, source_execution_arn=source).execute(context_of(store))
    if cut == "after the resume":
        started["status"] = status
    if forgotten:
        endpoint.retries.clear()
    assert start(endpoint, source_execution_arn=source).execute(context_of(store)) == source
    assert started["status"] == (
        "Succeeded" if (cut, status) == ("after the resume", "Succeeded") else "Executing"
    )


@pytest.mark.parametrize("status", ["Executing", "Succeeded"])
def test_only_what_has_failed_or_was_stopped_can_be_resumed(
    endpoint: Endpoint, store: TaskStateStore, started: dict[str, Any], source: str, status: str
) -> None:
    """Otherwise one that another run watches would get another owner."""
    started["status"] = status
    with pytest.raises(AirflowFailException, match=f"which is {status}"):
        start(endpoint, source_execution_arn=source).execute(context_of(store))
    assert "description" not in started
    assert endpoint.retries == []


def test_a_clear_of_a_start_that_resumes_goes_on_with_the_same_execution(
    endpoint: Endpoint, store: TaskStateStore, started: dict[str, Any], source: str
) -> None:
    for max_tries, status in ((2, "Failed"), (3, "Executing"), (4, "Stopped"), (5, "Failed")):
        started["status"] = status
        task = start(endpoint, source_execution_arn=source)
        assert task.execute(context_of(store, max_tries=max_tries)) == source
        assert started["status"] == "Executing"


def test_a_kill_of_a_retry_stops_what_the_first_try_resumed(
    endpoint: Endpoint,
    store: TaskStateStore,
    started: dict[str, Any],
    source: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    endpoint.cut = "after the resume"
    with pytest.raises(Killed):
        start(endpoint, source_execution_arn=source).execute(context_of(store))
    task = start(endpoint, source_execution_arn=source)
    endpoint.cut = "while waiting"
    with pytest.raises(Killed):
        task.execute(context_of(store))
    task.on_kill()
    assert started["status"] == "Stopped"


def test_a_kill_of_a_start_leaves_its_source_to_the_run_that_was_faster(
    endpoint: Endpoint, store: TaskStateStore, started: dict[str, Any], source: str, another_run: TaskInstance
) -> None:
    task = start(endpoint, source_execution_arn=source)
    endpoint.cut = "before the resume"
    with pytest.raises(Killed):
        task.execute(context_of(store))
    resume_in(another_run, endpoint, source)
    task.on_kill()
    assert started["status"] == "Executing"


def test_a_postponed_start_does_not_attach_to_what_another_run_resumed_in_the_meantime(
    endpoint: Endpoint,
    store: TaskStateStore,
    started: dict[str, Any],
    source: str,
    another_run: TaskInstance,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(endpoint, "retry_execution", full)
        with pytest.raises(AirflowRescheduleException):
            start(endpoint, source_execution_arn=source).execute(context_of(store))
    resume_in(another_run, endpoint, source)
    with pytest.raises(AirflowFailException, match="which is Executing"):
        start(endpoint, source_execution_arn=source).execute(context_of(store))


def test_a_start_leaves_its_source_to_a_run_that_resumes_it_just_before(
    endpoint: Endpoint,
    store: TaskStateStore,
    started: dict[str, Any],
    source: str,
    another_run: TaskInstance,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    save = store.set

    def another_is_faster(*arguments: Any, **options: Any) -> None:
        monkeypatch.undo()
        save(*arguments, **options)
        resume_in(another_run, endpoint, source)

    monkeypatch.setattr(store, "set", another_is_faster)
    with pytest.raises(AirflowFailException, match="which is Executing"):
        start(endpoint, source_execution_arn=source).execute(context_of(store))
    assert "another run" in started["description"]


def test_a_killed_retry_of_a_start_leaves_its_execution_to_the_run_that_has_resumed_it(
    endpoint: Endpoint, store: TaskStateStore, another_run: TaskInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes on for a moment, and would come to watch the execution."""
    endpoint.cut = "after AWS accepted it"
    with pytest.raises(Killed):
        start(endpoint).execute(context_of(store))
    endpoint.end("Failed")
    source = next(iter(endpoint.executions))
    resume_in(another_run, endpoint, source)
    task = start(endpoint)

    def killed_while_it_looks(*_: Any, sagemaker: Any = None, **__: Any) -> str:
        if sagemaker is None:
            task.on_kill()
        return source

    monkeypatch.setattr(endpoint, "find_execution", killed_while_it_looks)
    with pytest.raises(AirflowException, match="has killed this attempt"):
        task.execute(context_of(store))
    assert endpoint.executions[source]["status"] == "Executing"


def test_a_new_run_can_run_again_from_a_step_of_an_earlier_execution(endpoint: Endpoint) -> None:
    first = start(endpoint).execute(context_of(TaskStateStore()))
    task = start(endpoint, source_execution_arn=first, from_step="Gate")
    second = task.execute(context_of(TaskStateStore()))
    assert endpoint.executions[second]["request"]["SelectiveExecutionConfig"] == {
        "SelectedSteps": [{"StepName": "Gate"}, {"StepName": "Reject"}],
        "SourcePipelineExecutionArn": first,
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"from_step": "Gate"}, "source_execution_arn is not set"),
        ({"from_step": "Nothing", "source_execution_arn": PIPELINE_ARN}, r"expected one of Evaluate, Gate"),
    ],
)
def test_a_step_to_begin_with_must_be_there(
    endpoint: Endpoint, store: TaskStateStore, arguments: dict[str, str], message: str
) -> None:
    with pytest.raises(AirflowFailException, match=message):
        start(endpoint, **arguments).execute(context_of(store))


# -- The wait ------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sagemaker_pipelines.task.resuming.KILL_SECONDS", 0.2)


@pytest.fixture
def started(endpoint: Endpoint) -> dict[str, Any]:
    """The one execution, which runs."""
    arn = start(endpoint).execute(context_of(TaskStateStore()))
    return endpoint.executions[arn]


def killed_wait(endpoint: Endpoint, store: TaskStateStore, *, on_kill: bool, **changes: Any) -> None:
    """Let a wait be cut off; with ``on_kill`` as Airflow does it, without as SIGKILL does."""
    task = sensor(endpoint)
    endpoint.cut = "while waiting"
    with pytest.raises(Killed):
        task.execute(context_of(store, **changes))
    if on_kill:
        task.on_kill()


def resumed_wait(endpoint: Endpoint, store: TaskStateStore, **changes: Any) -> None:
    """Let the next try of the wait defer: all that it does at its first look is done by then."""
    arguments = changes.pop("arguments", {})
    with pytest.raises(TaskDeferred):
        sensor(endpoint, deferrable=True, **arguments).execute(context_of(store, **changes))


def test_the_retry_of_a_wait_whose_kill_stopped_the_execution_resumes_it(
    endpoint: Endpoint, store: TaskStateStore, started: dict[str, Any]
) -> None:
    killed_wait(endpoint, store, on_kill=True)
    assert started["status"] == "Stopped"
    resumed_wait(endpoint, store)
    assert started["status"] == "Executing"


def test_the_retry_of_a_wait_that_crashed_watches_on(
    endpoint: Endpoint, store: TaskStateStore, started: dict[str, Any]
) -> None:
    killed_wait(endpoint, store, on_kill=False)
    resumed_wait(endpoint, store)
    assert (started["status"], endpoint.retries) == ("Executing", [])


@pytest.mark.parametrize("changes", [{"max_tries": 3, "clear_number": 1}, {}], ids=["clear", "takeover"])
def test_the_next_try_awaits_the_stop_by_one_that_still_lives(
    endpoint: Endpoint,
    store: TaskStateStore,
    started: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, int],
) -> None:
    """Airflow kills the try before when the next one runs already, after a clear or a scheduler's death."""
    with pytest.raises(TaskDeferred):
        sensor(endpoint, deferrable=True).execute(context_of(store))
    looks = iter(["Executing", "Executing", "Stopping", "Stopped"])
    monkeypatch.setattr("sagemaker_pipelines.task.resuming.KILL_SECONDS", 30)
    monkeypatch.setattr(
        "sagemaker_pipelines.task.resuming.time.sleep", lambda _: started.update(status=next(looks))
    )
    resumed_wait(endpoint, store, **changes)
    assert (started["status"], len(endpoint.retries)) == ("Executing", 1)


def test_a_clear_that_stops_nothing_watches_on(
    endpoint: Endpoint, store: TaskStateStore, started: dict[str, Any]
) -> None:
    with pytest.raises(TaskDeferred):
        sensor(endpoint, deferrable=True).execute(context_of(store))
    resumed_wait(endpoint, store, max_tries=3, clear_number=1)
    assert (started["status"], endpoint.retries) == ("Executing", [])


def test_a_failed_execution_is_resumed_by_the_retry_only(
    endpoint: Endpoint, store: TaskStateStore, started: dict[str, Any]
) -> None:
    started["status"] = "Failed"
    with pytest.raises(ExecutionFailedError):
        sensor(endpoint).execute(context_of(store))
    assert endpoint.retries == []
    resumed_wait(endpoint, store)
    assert started["status"] == "Executing"


def test_each_failure_is_resumed_with_a_token_of_its_own(
    endpoint: Endpoint, store: TaskStateStore, started: dict[str, Any]
) -> None:
    for tries in range(3):
        started["status"] = "Failed"
        task = sensor(endpoint)
        with pytest.raises(ExecutionFailedError):
            task.execute_complete(
                context_of(store), ended_event(task.pipeline_exec_arn)
            ) if tries else task.execute(context_of(store))
        resumed_wait(endpoint, store)
    assert len(set(endpoint.retries)) == len(endpoint.retries) == 3


def test_a_clear_whose_try_is_killed_before_its_resume_is_not_forgotten(
    endpoint: Endpoint, store: TaskStateStore, started: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    started["status"] = "Stopped"
    with pytest.raises(AirflowFailException):
        sensor(endpoint).execute(context_of(store))
    with monkeypatch.context() as patch:
        patch.setattr(endpoint, "describe_owner", lambda *_: pytest.fail("it was killed before"))
        patch.setattr(WaitRecord, "next_resume", killed)
        with pytest.raises(Killed):
            sensor(endpoint).execute(context_of(store, max_tries=3))
    resumed_wait(endpoint, store, max_tries=3)
    assert started["status"] == "Executing"


def test_two_tasks_that_resume_one_execution_send_different_tokens(
    endpoint: Endpoint, store: TaskStateStore, started: dict[str, Any]
) -> None:
    """SageMaker would take the second for the first, and resume nothing."""
    for store_of_task in (store, TaskStateStore()):
        killed_wait(endpoint, store_of_task, on_kill=True)
        resumed_wait(endpoint, store_of_task)
        assert started["status"] == "Executing"


def ended_event(pipeline_execution_arn: str) -> dict[str, Any]:
    return {"event": "ended", "pipeline_execution_arn": pipeline_execution_arn, "status": "Failed"}


@pytest.mark.parametrize("cut", ["before the resume", "after the resume"])
def test_a_resume_that_was_cut_off_happens_once(
    endpoint: Endpoint, store: TaskStateStore, started: dict[str, Any], cut: str
) -> None:
    killed_wait(endpoint, store, on_kill=True)
    endpoint.cut = cut
    with pytest.raises(Killed):
        sensor(endpoint, deferrable=True).execute(context_of(store))
    resumed_wait(endpoint, store)
    assert (started["status"], len(endpoint.retries)) == ("Executing", 1)


def test_a_rejection_is_never_retried(
    endpoint: Endpoint, store: TaskStateStore, started: dict[str, Any]
) -> None:
    killed_wait(endpoint, store, on_kill=False)
    started.update(status="Failed", rejected=True)
    assert sensor(endpoint).execute(context_of(store)) == next(iter(endpoint.executions))
    assert endpoint.retries == []


def test_a_fail_step_is_never_retried(
    endpoint: Endpoint, store: TaskStateStore, started: dict[str, Any]
) -> None:
    killed_wait(endpoint, store, on_kill=False)
    started.update(status="Failed", decided=True)
    with pytest.raises(AirflowFailException):
        sensor(endpoint).execute(context_of(store))
    assert endpoint.retries == []


def test_stopped_while_we_watch_is_someones_decision(
    endpoint: Endpoint, store: TaskStateStore, started: dict[str, Any]
) -> None:
    started["status"] = "Stopped"
    for _ in range(2):
        with pytest.raises(AirflowFailException, match="somebody stopped it"):
            sensor(endpoint).execute(context_of(store))
    assert endpoint.retries == []


def test_a_clear_of_the_wait_resumes_what_somebody_stopped(
    endpoint: Endpoint, store: TaskStateStore, started: dict[str, Any]
) -> None:
    started["status"] = "Stopped"
    with pytest.raises(AirflowFailException):
        sensor(endpoint).execute(context_of(store))
    resumed_wait(endpoint, store, max_tries=3, clear_number=1)
    assert started["status"] == "Executing"


@pytest.mark.parametrize("flag", [False, "False", "false"])
def test_resume_on_retry_can_be_turned_off(
    endpoint: Endpoint, store: TaskStateStore, started: dict[str, Any], flag: bool | str
) -> None:
    killed_wait(endpoint, store, on_kill=False)
    started["status"] = "Failed"
    with pytest.raises(ExecutionFailedError):
        sensor(endpoint, resume_on_retry=flag).execute(context_of(store))
    assert endpoint.retries == []


def test_a_wait_for_another_execution_resumes_nothing(
    endpoint: Endpoint, store: TaskStateStore, started: dict[str, Any]
) -> None:
    killed_wait(endpoint, store, on_kill=False)
    started["status"] = "Stopped"
    other = start(endpoint).execute(context_of(TaskStateStore()))
    endpoint.executions[other]["status"] = "Stopped"
    task = sensor(endpoint)
    task.pipeline_exec_arn = other
    with pytest.raises(AirflowFailException, match="somebody stopped it"):
        task.execute(context_of(store))
    assert endpoint.retries == []


def test_a_timeout_stops_the_execution(
    endpoint: Endpoint, store: TaskStateStore, monkeypatch: pytest.MonkeyPatch, started: dict[str, Any]
) -> None:
    monkeypatch.setitem(endpoint.__dict__, "conn", KillClient(endpoint))
    with pytest.raises(Exception, match="timed out"):
        sensor(endpoint, timeout=0).execute(context_of(store))
    assert started["status"] == "Stopped"


def test_the_arn_reaches_xcom_also_where_an_earlier_try_started_it(
    endpoint: Endpoint, store: TaskStateStore
) -> None:
    arn = start(endpoint).execute(context_of(store))
    ti = TaskInstance()
    start(endpoint).execute(context_of(store, ti=ti))
    assert ti.pushed["pipeline_execution_arn"] == arn
