"""A StatsD server that keeps what it is sent."""

from __future__ import annotations

import contextlib
import socket
from types import TracebackType
from typing import Self

from tests.waiting import until


class StatsdServer:
    """Receives measures over UDP; each datagram is one line such as ``airflow.name,tag=value:1|c``."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 1024 * 1024)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.setblocking(False)
        self.port: int = self._socket.getsockname()[1]
        self._lines: list[str] = []
        self._marks = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def environment(self) -> dict[str, str]:
        """Return the settings with which Airflow sends this package's metrics here, with tags.

        Airflow's own would fill the socket while nobody reads it, and the kernel drops what does not fit.
        """
        return {
            "AIRFLOW__METRICS__STATSD_ON": "True",
            "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
            "AIRFLOW__METRICS__STATSD_PORT": str(self.port),
            "AIRFLOW__METRICS__STATSD_PREFIX": "airflow",
            "AIRFLOW__METRICS__METRICS_ALLOW_LIST": "sagemaker_pipelines",
            "AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED": "True",
        }

    def lines(self) -> list[str]:
        """Return what has arrived from this package, without the prefix."""
        self._take()
        # What was sent may be on its way: it has arrived when this has.
        self._marks += 1
        mark = f"mark {self._marks}"
        self._socket.sendto(mark.encode(), self._socket.getsockname())
        until(lambda: mark in self._take(), mark)
        prefix = "airflow.sagemaker_pipelines."
        return [line.removeprefix(prefix) for line in self._lines if line.startswith(prefix)]

    def until(self, start: str) -> str:
        """Return the first line that begins with a text, and wait for it."""
        return str(
            until(lambda: next((line for line in self.lines() if line.startswith(start)), None), start)
        )

    def _take(self) -> list[str]:
        with contextlib.suppress(BlockingIOError):
            while True:
                self._lines += self._socket.recv(65_536).decode().splitlines()
        return self._lines
