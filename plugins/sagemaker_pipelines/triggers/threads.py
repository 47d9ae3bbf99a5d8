"""Threads for blocking calls of triggers, so that an endpoint that hangs keeps none of the others waiting.

The event loop's own executor has as many threads as there are cores, and four more, for all triggers of a
triggerer together. Here each connection has its own threads, and others for the calls that stop executions.
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
    """Run a blocking call in a thread, and let a cancellation through as it came.

    asgiref replaces a CancelledError while its thread runs, and with it Airflow's message that tells a
    user's kill from a shutdown: on_kill would not be called.

    :param call: the call.
    :param purpose: ``LOOK`` or ``KILL``; calls of one purpose never wait for those of the other.
    :param connection: what tells apart who is asked; calls to one connection never wait for another's.
    """
    threads = _threads(purpose, connection)
    # asgiref, as Airflow's own calls from a thread have to find the way back to this event loop.
    return await asyncio.shield(
        asyncio.ensure_future(sync_to_async(call, thread_sensitive=False, executor=threads)())
    )


@cache
def _threads(purpose: str, connection: Hashable) -> ThreadPoolExecutor:
    # Its threads begin with the first calls that need them.
    return ThreadPoolExecutor(THREADS, thread_name_prefix=f"sagemaker-pipelines-{purpose}")
