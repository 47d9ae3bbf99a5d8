"""Retry policies of steps.

https://docs.aws.amazon.com/sagemaker/latest/dg/pipelines-retry-policy.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

# SageMaker retries these by default; a policy of the step replaces the default.
_BY_DEFAULT: Mapping[str, Any] = {"ExceptionType": ["Step.SERVICE_FAULT", "Step.THROTTLING"]}

_DEFAULT_MAX_ATTEMPTS = 5

EXCEPTION_TYPES = frozenset(
    {
        "Step.SERVICE_FAULT",
        "Step.THROTTLING",
        "SageMaker.JOB_INTERNAL_ERROR",
        "SageMaker.CAPACITY_ERROR",
        "SageMaker.RESOURCE_LIMIT",
    }
)

# The exception type of an error code that a Create call returned.
_OF_CODE: Mapping[str, str] = {
    "ThrottlingException": "Step.THROTTLING",
    "Throttling": "Step.THROTTLING",
    "TooManyRequestsException": "Step.THROTTLING",
    "ServiceException": "Step.SERVICE_FAULT",
    "InternalFailure": "Step.SERVICE_FAULT",
    "ServiceUnavailable": "Step.SERVICE_FAULT",
    "ResourceLimitExceeded": "SageMaker.RESOURCE_LIMIT",
    "CapacityError": "SageMaker.CAPACITY_ERROR",
}


def failure_type_of(code: str) -> str | None:
    """Return the exception type that retry policies match for an error code, or None."""
    return _OF_CODE.get(code)


class RetryBudget:
    """How often, and after which pause, one step may be retried.

    :param policies: the step's ``RetryPolicies``.
    :param started: the time at which its first attempt started, in seconds.
    """

    def __init__(self, policies: Sequence[Mapping[str, Any]], started: float) -> None:
        own = {kind for policy in policies for kind in policy.get("ExceptionType", ())}
        rest = [kind for kind in _BY_DEFAULT["ExceptionType"] if kind not in own]
        self._policies = [*policies, {"ExceptionType": rest}]
        self._used = [0] * len(self._policies)
        self._started = started

    def covers(self, failure_type: str) -> bool:
        """Return whether some policy names this exception type."""
        return any(failure_type in policy.get("ExceptionType", ()) for policy in self._policies)

    def next_pause(self, failure_type: str | None, now: float) -> float | None:
        """Return the seconds to wait before the next attempt, or None if there is no next attempt.

        :param failure_type: the exception type of the attempt that failed.
        :param now: the current time, in seconds.
        """
        for index, policy in enumerate(self._policies):
            if failure_type in policy.get("ExceptionType", ()):
                return self._pause(index, policy, now)
        return None

    def _pause(self, index: int, policy: Mapping[str, Any], now: float) -> float | None:
        used = self._used[index]
        pause = float(policy.get("IntervalSeconds", 1)) * float(policy.get("BackoffRate", 2.0)) ** used
        expiry = policy.get("ExpireAfterMin")
        limit = policy.get("MaxAttempts", None if expiry is not None else _DEFAULT_MAX_ATTEMPTS)
        if limit is not None and used >= int(limit):
            return None
        if expiry is not None and now + pause > self._started + float(expiry) * 60:
            return None
        self._used[index] += 1
        return pause
