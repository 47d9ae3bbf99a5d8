"""Threads for blocking calls of triggers, so that an endpoint that hangs does not block the others.

The event loop's own executor has four threads more than there are cores, for all triggers of a triggerer
together. Here, each connection has its own threads, and separate threads for calls that stop executions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

from asgiref.sync import sync_to_async

THREADS = 8
LOOK, KILL = "look", "kill"
T = TypeVar("T")


async def in_thread(call: Callable[[], T], *, purpose: str, connection: Hashable) -> T:
    """Run a blocking call in a thread, and pass a cancellation on unchanged.

    asgiref replaces a CancelledError while its thread runs, and thus loses Airflow's message that
    distinguishes a user's kill from a shutdown; on_kill would not be called.

    :param call: the call.
    :param purpose: ``LOOK`` or ``KILL``; calls for one purpose never wait for those for the other.
    :param connection: the key of the connection; calls to one never wait for calls to another.
    """
    threads = _threads(purpose, connection)
    # asgiref, because Airflow's own calls from a thread have to find their way back to this event loop.
    return await asyncio.shield(
        asyncio.ensure_future(sync_to_async(call, thread_sensitive=False, executor=threads)())
    )


@cache
def _threads(purpose: str, connection: Hashable) -> ThreadPoolExecutor:
    # Its threads start with the first calls that need them.
    return ThreadPoolExecutor(THREADS, thread_name_prefix=f"sagemaker-pipelines-{purpose}")
