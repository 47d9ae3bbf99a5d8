"""Keep room in a triggerer: a trigger that only shows something gives way to those that wait."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Iterator
from contextlib import contextmanager

from airflow.providers.common.compat.sdk import conf

from sagemaker_pipelines.airflow_internals import running_triggers

# The part of a triggerer's capacity that mirrors leave free.
RESERVE = 0.1
_LOOK_SECONDS = 1.0


class _Room:
    """The mirrors of one triggerer, in the order in which they came."""

    def __init__(self) -> None:
        self.mirrors: list[asyncio.Event] = []
        self._task: asyncio.Task[None] | None = None

    def join(self, mirror: asyncio.Event) -> None:
        self.mirrors.append(mirror)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._keep_free(), name="keep room for waits")

    async def _keep_free(self) -> None:
        capacity = conf.getint("triggerer", "capacity", fallback=1000)
        limit = capacity - max(1, round(capacity * RESERVE))
        while self.mirrors:
            excess = running_triggers() - limit
            # Those that came last go first.
            for mirror in self.mirrors[::-1][: max(0, excess)]:
                mirror.set()
            await asyncio.sleep(_LOOK_SECONDS)


_ROOMS: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Room] = weakref.WeakKeyDictionary()


@contextmanager
def giving_way() -> Iterator[asyncio.Event]:
    """Yield an event that is set when the trigger has to end, because the triggerer is nearly full."""
    room = _ROOMS.setdefault(asyncio.get_running_loop(), _Room())
    mirror = asyncio.Event()
    room.join(mirror)
    try:
        yield mirror
    finally:
        room.mirrors.remove(mirror)
