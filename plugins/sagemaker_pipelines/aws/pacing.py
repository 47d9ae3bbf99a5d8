"""How often AWS is polled, and for how long errors are tolerated: one policy for every wait."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from sagemaker_pipelines.aws.errors import cure_of, is_transient
from sagemaker_pipelines.exceptions import AccessError

MIN_DELAY_SECONDS = 1.0
MAX_BACKOFF_SECONDS = 300.0
#: How long a wait tolerates errors that may pass but may also be permanent.
PATIENCE_SECONDS = 3600.0


def delay_after(age: float, longest: float) -> float:
    """Return the seconds until the next poll: few at first, a tenth of the age later.

    :param age: the seconds since the wait began, or since the awaited execution began.
    :param longest: the longest delay, seconds.
    """
    return min(longest, max(MIN_DELAY_SECONDS, age / 10))


def backoff(delay: float, faults: int) -> float:
    """Return the seconds until the next poll after errors, with jitter.

    The delay grows with each error, so that not all waits poll a throttled account at once.

    :param delay: the delay without an error, seconds.
    :param faults: the number of consecutive errors.
    """
    longest = min(MAX_BACKOFF_SECONDS, delay * 2.0 ** min(faults, 10))
    return random.uniform(delay, max(delay, longest))  # noqa: S311 - jitter, no secret


class Patience:
    """Decide whether a wait continues after the errors of its polls.

    A wait tolerates transient errors for ever. It tolerates errors that somebody has to fix for
    :data:`PATIENCE_SECONDS`, counted from the first of them since AWS last answered.

    :param clock: returns the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since: float | None = None

    def renew(self) -> None:
        """Start over, because AWS has answered."""
        self._since = None

    def endure(self, error: Exception) -> None:
        """Return if the same call should be repeated later, otherwise raise an error.

        :param error: the error of the call.
        :raises AccessError: nobody has fixed the cause for too long.
        :raises Exception: the error itself, if it is not transient.
        """
        if not is_transient(error):
            raise error
        cure = cure_of(error)
        if cure is None:
            return
        now = self._clock()
        if self._since is None:
            self._since = now
        if now - self._since > PATIENCE_SECONDS:
            raise AccessError(
                f"AWS could not be called for {PATIENCE_SECONDS / 60:.0f} minutes: {error}. {cure} Then "
                "clear the task that waits: it watches the same execution again. If that task also started "
                "it, the clear stops it and starts another one."
            ) from error
