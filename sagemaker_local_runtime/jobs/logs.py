"""The output of jobs: written to a file, and sent to CloudWatch Logs while the job runs."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from sagemaker_local_runtime.account import Account

_log = logging.getLogger(__name__)
_BATCH_SECONDS = 0.25
# PutLogEvents: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html
_MOST_EVENTS, _MOST_BYTES, _EVENT_OVERHEAD, _LONGEST_LINE = 10_000, 1_000_000, 26, 250_000
_TAIL_LINES = 50


class JobLog:
    """The log of one job.

    :param shipper: sends it to CloudWatch Logs.
    :param group: the log group, ``/aws/sagemaker/ProcessingJobs``.
    :param stream: the log stream.
    :param path: the file that it is written to.
    """

    def __init__(self, shipper: LogShipper, group: str, stream: str, path: Path) -> None:
        self.group, self.stream = group, stream
        self._shipper = shipper
        self._file = path.open("ab", buffering=0)
        self._rest = b""
        self._pending: deque[dict[str, Any]] = deque()
        self._lock = threading.Lock()
        self.created = False
        self.tail: deque[str] = deque(maxlen=_TAIL_LINES)

    def write(self, data: bytes) -> None:
        """Write a piece of output; a line is sent when it is complete.

        When the disk is full, output is lost, but the job neither fails nor waits.
        """
        try:
            self._file.write(data)
        except OSError as error:
            _log.warning("Output for log stream %s was lost: %s", self.stream, error)
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _LONGEST_LINE:
            lines, self._rest = [*lines, self._rest], b""
        self._add(lines)

    def open_sibling(self, suffix: str, path: Path) -> JobLog:
        """Open another log of the same job.

        :param suffix: the last part of the new stream's name.
        :param path: the file that it is written to.
        """
        return self._shipper.open(self.group, f"{self.stream}/{suffix}", path)

    def open_host(self, host: str, path: Path) -> JobLog:
        """Open the log of another instance of the same job.

        :param host: its name, ``"algo-2"``.
        :param path: the file that it is written to.
        """
        return self._shipper.open(self.group, self.stream.replace("/algo-1-", f"/{host}-"), path)

    def add_line(self, text: str) -> None:
        """Add a line from the local runtime itself."""
        self.write(f"{text}\n".encode())

    def close(self) -> None:
        """Close the log, after sending everything that CloudWatch Logs does not have yet."""
        if self._rest:
            self._add([self._rest])
            self._rest = b""
        self._file.close()
        self._shipper.ship(self)

    def next_batch(self) -> list[dict[str, Any]]:
        """Remove and return the next batch of events within the limits of PutLogEvents."""
        batch: list[dict[str, Any]] = []
        size = 0
        with self._lock:
            while self._pending and len(batch) < _MOST_EVENTS:
                size += len(self._pending[0]["message"].encode()) + _EVENT_OVERHEAD
                if batch and size > _MOST_BYTES:
                    break
                batch.append(self._pending.popleft())
        return batch

    def put_back(self, batch: list[dict[str, Any]]) -> None:
        """Put back a batch that could not be sent, as the beginning of the next one."""
        with self._lock:
            self._pending.extendleft(reversed(batch))

    def _add(self, lines: list[bytes]) -> None:
        now = int(time.time() * 1000)
        texts = [
            line[start : start + _LONGEST_LINE].decode("utf-8", "replace").rstrip("\r")
            for line in lines
            for start in range(0, max(1, len(line)), _LONGEST_LINE)
        ]
        self.tail.extend(texts)
        with self._lock:
            # The message of an event must not be empty.
            self._pending.extend({"timestamp": now, "message": text} for text in texts if text.strip())
        if texts:
            self._shipper.wake(self)


class LogShipper:
    """Send the output of all running jobs to CloudWatch Logs, in batches and from one thread.

    An error of the Logs endpoint never fails a job; the output is still in the job's file.

    :param account: whose endpoint is used.
    """

    def __init__(self, account: Account) -> None:
        self._account = account
        self._groups: set[str] = set()
        self._dirty: set[JobLog] = set()
        self._lock = threading.Lock()
        self._shipping = threading.Lock()
        self._wake = threading.Event()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def open(self, group: str, stream: str, path: Path) -> JobLog:
        """Open a log; its stream is created in the background."""
        log = JobLog(self, group, stream, path)
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="log-shipper", daemon=True)
                self._thread.start()
        self.wake(log)
        return log

    def wake(self, log: JobLog) -> None:
        """Notify the thread that a log has something to send."""
        with self._lock:
            self._dirty.add(log)
        self._wake.set()

    def ship(self, log: JobLog) -> None:
        """Send the pending output of a log in the calling thread."""
        with self._shipping:
            try:
                self._send(log)
            except (BotoCoreError, ClientError) as error:
                _log.warning("Output for log stream %s could not be sent yet: %s", log.stream, error)

    def close(self) -> None:
        """Stop the thread."""
        self._ended.set()
        self._wake.set()

    def _run(self) -> None:
        while not self._ended.is_set():
            self._wake.wait()
            self._wake.clear()
            with self._lock:
                logs, self._dirty = self._dirty, set()
            for log in logs:
                self.ship(log)
            self._ended.wait(_BATCH_SECONDS)

    def _send(self, log: JobLog) -> None:
        try:
            self._put(log)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise
            # Somebody has deleted the log group or the stream, so both are created again.
            self._groups.discard(log.group)
            log.created = False
            self._put(log)

    def _put(self, log: JobLog) -> None:
        client = self._account.client("logs")
        if not log.created:
            if log.group not in self._groups:
                self._create(client.create_log_group, logGroupName=log.group)
                self._groups.add(log.group)
            self._create(client.create_log_stream, logGroupName=log.group, logStreamName=log.stream)
            log.created = True
        while batch := log.next_batch():
            try:
                client.put_log_events(logGroupName=log.group, logStreamName=log.stream, logEvents=batch)
            except (BotoCoreError, ClientError):
                log.put_back(batch)
                raise

    @staticmethod
    def _create(call: Any, **names: str) -> None:
        try:
            call(**names)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceAlreadyExistsException":
                raise
