"""The looks at an execution."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)

from sagemaker_pipelines.aws.errors import is_transient
from sagemaker_pipelines.aws.pacing import MAX_BACKOFF_SECONDS
from sagemaker_pipelines.aws.steps import Step, StepLog
from sagemaker_pipelines.aws.watch import ExecutionWatch
from sagemaker_pipelines.exceptions import AccessError
from tests.unit.sagemaker_pipelines.samples import ARN
from tests.unit.sagemaker_pipelines.stand_in import StandIn

START = datetime(2026, 11, 23, 7, tzinfo=UTC)


def client_error(code: str, status: int = 400) -> ClientError:
    response = {"Error": {"Code": code, "Message": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "DescribePipelineExecution")


class Looks(StandIn):
    """One answer, or one error, for each look."""

    def __init__(self, *answers: str | BaseException) -> None:
        super().__init__()
        self.answers = list(answers)
        self.reconnects = 0

    def reconnect(self) -> None:
        self.reconnects += 1

    def describe_execution(self, arn: str) -> dict[str, str]:
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return {"PipelineExecutionStatus": answer}

    def list_steps(self, arn: str) -> list[Step]:
        return []


def watch(*answers: str | BaseException, waiter_delay: float = 30) -> ExecutionWatch:
    return ExecutionWatch(
        Looks(*answers),
        ARN,
        waiter_delay=waiter_delay,
        log=logging.getLogger("test"),
    )


@pytest.mark.parametrize(
    ("status", "seen"),
    [
        ("Executing", None),
        ("Stopping", None),
        ("Stopped", "Stopped"),
        ("Failed", "Failed"),
        ("Succeeded", "Succeeded"),
        ("CompletedWithFailures", "CompletedWithFailures"),
        ("Paused", "Paused"),
    ],
)
def test_a_look_tells_the_status_once_it_is_final_or_unknown(status: str, seen: str | None) -> None:
    assert watch(status).look() == seen


@pytest.mark.parametrize(
    "fault",
    [
        client_error("ThrottlingException"),
        client_error("ExpiredTokenException"),
        client_error("Whatever", 503),
        EndpointConnectionError(endpoint_url="http://x"),
        ConnectionClosedError(endpoint_url="http://x"),
        ReadTimeoutError(endpoint_url="http://x"),
        NoCredentialsError(),
        ConnectionResetError(),
    ],
)
def test_a_transient_fault_is_no_end(fault: BaseException) -> None:
    assert is_transient(fault)
    looks = watch(fault, fault, "Succeeded")
    assert [looks.look(), looks.look(), looks.look()] == [None, None, "Succeeded"]


@pytest.mark.parametrize(("code", "reconnects"), [("ExpiredToken", 1), ("ThrottlingException", 0)])
def test_after_a_fault_of_the_credentials_the_connection_is_read_anew(code: str, reconnects: int) -> None:
    looks = watch(client_error(code), "Succeeded")
    looks.look()
    assert vars(looks.client)["reconnects"] == reconnects


def test_what_nobody_cures_ends_the_looks_with_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sagemaker_pipelines.aws.pacing.PATIENCE_SECONDS", -1)
    with pytest.raises(AccessError, match="Renew the credentials"):
        watch(client_error("ExpiredToken")).look()


@pytest.mark.parametrize("code", ["AccessDeniedException", "ValidationException", "ResourceNotFound"])
def test_an_error_that_stays_is_raised(code: str) -> None:
    with pytest.raises(ClientError, match=code):
        watch(client_error(code)).look()


def test_the_delay_is_short_at_first_and_bounded_later(monkeypatch: pytest.MonkeyPatch) -> None:
    now = clock(monkeypatch)
    looks = watch()
    delays = []
    for elapsed in (0, 5, 60, 100_000):
        now(elapsed)
        delays.append(looks.delay())
    assert delays == [1, 1, 6, 30]


def test_a_waiter_delay_below_a_second_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    clock(monkeypatch)
    assert watch(waiter_delay=0.1).delay() == 0.1


def test_the_delay_grows_with_faults_and_returns_after_them(monkeypatch: pytest.MonkeyPatch) -> None:
    clock(monkeypatch)
    monkeypatch.setattr("sagemaker_pipelines.aws.pacing.random.uniform", lambda low, high: high)
    fault = client_error("ThrottlingException")
    looks = watch(*[fault] * 20, "Executing")
    delays = []
    for _ in range(21):
        looks.look()
        delays.append(looks.delay())
    assert delays[:3] == [2, 4, 8]
    assert delays[19] == MAX_BACKOFF_SECONDS
    assert delays[20] == 1


def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    elapsed = [0.0]
    monkeypatch.setattr("sagemaker_pipelines.aws.watch.time.monotonic", lambda: 1000 + elapsed[0])

    def set_elapsed(seconds: float) -> None:
        elapsed[0] = seconds

    return set_elapsed


def step(status: str, **fields: Any) -> Step:
    return Step.read({"StepName": "Train", "StepStatus": status, "StartTime": START, **fields})


def lines(log: StepLog, *steps: Step) -> list[str]:
    return list(map(str, log.changes(steps)))


def test_each_transition_is_told_once_with_its_duration() -> None:
    log = StepLog()
    ended = step("Succeeded", EndTime=START + timedelta(seconds=3))
    told = [lines(log, seen) for seen in (step("Executing"), step("Executing"), ended, ended)]
    assert told == [["Step Train: Executing"], [], ["Step Train: Succeeded after 3.0 s"], []]


def test_cache_hits_attempts_and_reasons_are_told() -> None:
    cached = {"SourcePipelineExecutionArn": ARN}
    assert lines(StepLog(), step("Succeeded", CacheHitResult=cached)) == [
        f"Step Train: Succeeded (cache hit from {ARN})"
    ]
    log = StepLog()
    log.changes([step("Executing", AttemptCount=1)])
    assert lines(log, step("Executing", AttemptCount=2)) == ["Step Train: Executing (attempt 2)"]
    assert lines(log, step("Failed", FailureReason="exit code 1")) == ["Step Train: Failed: exit code 1"]
