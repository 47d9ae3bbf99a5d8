"""A retry budget follows the policies of the step."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagemaker_local_runtime.engine.retry import RetryBudget, failure_type_of


def pauses(policies: list[dict[str, Any]], failure_type: str | None, count: int = 40) -> list[float]:
    """Return the pauses that a budget grants while every attempt fails at once."""
    budget, now, granted = RetryBudget(policies, 0.0), 0.0, []
    for _ in range(count):
        pause = budget.next_pause(failure_type, now)
        if pause is None:
            break
        granted.append(pause)
        now += pause
    return granted


CAPACITY = {"ExceptionType": ["SageMaker.CAPACITY_ERROR"]}


def test_pauses_grow_by_the_backoff_rate_up_to_max_attempts() -> None:
    policy = {**CAPACITY, "IntervalSeconds": 3, "BackoffRate": 2.0, "MaxAttempts": 4}
    assert pauses([policy], "SageMaker.CAPACITY_ERROR") == [3, 6, 12, 24]


def test_expire_after_min_bounds_the_time_since_the_first_attempt() -> None:
    policy = {**CAPACITY, "IntervalSeconds": 20, "BackoffRate": 1.0, "ExpireAfterMin": 1}
    assert pauses([policy], "SageMaker.CAPACITY_ERROR") == [20, 20, 20]


@pytest.mark.parametrize("failure_type", [None, "SageMaker.JOB_INTERNAL_ERROR"])
def test_a_failure_of_another_type_is_not_retried(failure_type: str | None) -> None:
    assert pauses([{**CAPACITY, "MaxAttempts": 5}], failure_type) == []


@pytest.mark.parametrize("failure_type", ["Step.THROTTLING", "Step.SERVICE_FAULT"])
def test_throttling_and_service_faults_are_retried_without_a_policy(failure_type: str) -> None:
    assert pauses([], failure_type) == [1, 2, 4, 8, 16]


def test_a_policy_takes_the_place_of_the_default() -> None:
    policy = {"ExceptionType": ["Step.THROTTLING"], "MaxAttempts": 0}
    assert pauses([policy], "Step.THROTTLING") == []
    assert len(pauses([policy], "Step.SERVICE_FAULT")) == 5


@pytest.mark.parametrize(
    ("code", "failure_type"),
    [
        ("ThrottlingException", "Step.THROTTLING"),
        ("InternalFailure", "Step.SERVICE_FAULT"),
        ("ResourceLimitExceeded", "SageMaker.RESOURCE_LIMIT"),
        ("ValidationException", None),
    ],
)
def test_error_codes_have_exception_types(code: str, failure_type: str | None) -> None:
    assert failure_type_of(code) == failure_type


@given(st.integers(0, 20), st.floats(0, 10), st.floats(1, 2))
def test_no_budget_grants_more_than_max_attempts(attempts: int, interval: float, rate: float) -> None:
    policy = {**CAPACITY, "MaxAttempts": attempts, "IntervalSeconds": interval, "BackoffRate": rate}
    assert len(pauses([policy], "SageMaker.CAPACITY_ERROR")) == attempts
