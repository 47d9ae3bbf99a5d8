"""How often AWS is asked, and for how long faults are endured: one policy for every wait."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from sagemaker_pipelines.aws.errors import cure_of, is_transient
from sagemaker_pipelines.exceptions import AccessError

MIN_DELAY_SECONDS = 1.0
MAX_BACKOFF_SECONDS = 300.0
#: For how long a wait endures what may pass, and may also be permanent.
PATIENCE_SECONDS = 3600.0


def delay_after(age: float, longest: float) -> float:
    """Return the seconds until the next look: short at first, a tenth of the age later.

    :param age: the seconds since the wait, or what is waited for, began.
    :param longest: the longest delay, seconds.
    """
    return min(longest, max(MIN_DELAY_SECONDS, age / 10))


def backoff(delay: float, faults: int) -> float:
    """Return the seconds until the next look after faults, with jitter.

    It grows with each fault, so that not everybody asks a throttled account at once.

    :param delay: the delay without a fault, seconds.
    :param faults: how many faults there were in a row.
    """
    longest = min(MAX_BACKOFF_SECONDS, delay * 2.0 ** min(faults, 10))
    return random.uniform(delay, max(delay, longest))  # noqa: S311 - jitter, no secret


class Patience:
    """Decide whether a wait outlives the faults that its looks meet.

    It outlives transient faults without end, and those with a cure for :data:`PATIENCE_SECONDS`, counted from
    the first of them since AWS last answered.

    :param clock: the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since: float | None = None

    def renew(self) -> None:
        """Begin anew: AWS has answered."""
        self._since = None

    def endure(self, error: Exception) -> None:
        """Return where the same read is to be made again later.

        :param error: what the read raised.
        :raises AccessError: it has had a cure for too long.
        :raises Exception: the error itself, where it is not transient.
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
                f"AWS could not be asked for {PATIENCE_SECONDS / 60:.0f} minutes: {error}. {cure} Then clear "
                "the task that waits: it watches the same execution again. If that task also started it, the "
                "clear stops it and starts another one."
            ) from error
