from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sagemaker_local_runtime.jobs.logs import JobLog, LogShipper
from tests.runtime.jobs.conftest import JobRuntime


def messages(runtime: JobRuntime, log: JobLog) -> list[str]:
    """Return every message of a log's stream."""
    logs, found, token = runtime.account.client("logs"), [], None
    while True:
        more: dict[str, Any] = {"nextToken": token} if token else {}
        answer = logs.get_log_events(
            logGroupName=log.group, logStreamName=log.stream, startFromHead=True, **more
        )
        found += [event["message"] for event in answer["events"]]
        if answer["nextForwardToken"] == token:
            return found
        token = answer["nextForwardToken"]


def open_log(runtime: JobRuntime, name: str, folder: Path) -> JobLog:
    return LogShipper(runtime.account).open(
        "/aws/sagemaker/ProcessingJobs", f"{name}/algo-1-1", folder / name
    )


def test_lines_are_whole_whatever_the_pieces_they_come_in(runtime: JobRuntime, tmp_path: Path) -> None:
    log = open_log(runtime, "pieces", tmp_path)
    for piece in (b"fi", b"rst\nsec", b"ond\n", b"third"):
        log.write(piece)
    log.close()
    assert messages(runtime, log) == ["first", "second", "third"]
    assert (tmp_path / "pieces").read_bytes() == b"first\nsecond\nthird"


def test_blank_lines_are_kept_in_the_file_only(runtime: JobRuntime, tmp_path: Path) -> None:
    log = open_log(runtime, "blank", tmp_path)
    log.write(b"a\n\n  \nb\n")
    log.close()
    assert messages(runtime, log) == ["a", "b"]
    assert (tmp_path / "blank").read_bytes() == b"a\n\n  \nb\n"


def test_more_lines_than_one_call_takes_arrive_in_order(runtime: JobRuntime, tmp_path: Path) -> None:
    log = open_log(runtime, "many", tmp_path)
    lines = [f"line {number}" for number in range(12_000)]
    log.write("\n".join(lines).encode())
    log.close()
    assert messages(runtime, log) == lines


def test_a_line_longer_than_an_event_is_cut_into_events(runtime: JobRuntime, tmp_path: Path) -> None:
    log = open_log(runtime, "long", tmp_path)
    log.write(b"x" * 600_000 + b"\nend\n")
    log.close()
    found = messages(runtime, log)
    assert "".join(found[:-1]) == "x" * 600_000
    assert max(map(len, found)) <= 256_000
    assert found[-1] == "end"


def test_bytes_that_are_no_text_do_not_stop_the_log(runtime: JobRuntime, tmp_path: Path) -> None:
    log = open_log(runtime, "bytes", tmp_path)
    log.write(b"\xff\xfe\nafter\n")
    log.close()
    assert messages(runtime, log) == ["\ufffd\ufffd", "after"]


def test_a_deleted_log_group_comes_back_with_the_next_line(runtime: JobRuntime, tmp_path: Path) -> None:
    logs, shipper = runtime.account.client("logs"), LogShipper(runtime.account)
    group = "/aws/sagemaker/TrainingJobs"
    first = shipper.open(group, "first/algo-1-1", tmp_path / "first")
    first.write(b"before\n")
    shipper.ship(first)
    logs.delete_log_group(logGroupName=group)
    first.write(b"after\n")
    first.close()
    assert messages(runtime, first) == ["after"]
    logs.delete_log_group(logGroupName=group)
    second = shipper.open(group, "second/algo-1-1", tmp_path / "second")
    second.write(b"new job\n")
    second.close()
    assert messages(runtime, second) == ["new job"]


def test_a_logs_endpoint_that_fails_costs_only_the_stream(runtime: JobRuntime, tmp_path: Path) -> None:
    runtime.account._clients["logs"] = _Refusing()
    log = open_log(runtime, "refused", tmp_path)
    log.write(b"kept\n")
    log.close()
    assert (tmp_path / "refused").read_bytes() == b"kept\n"


def test_lines_that_could_not_be_sent_are_sent_with_the_next(
    runtime: JobRuntime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = runtime.account.client("logs")
    shipper = LogShipper(runtime.account)
    log = shipper.open("/aws/sagemaker/ProcessingJobs", "again/algo-1-1", tmp_path / "again")
    shipper.ship(log)
    with monkeypatch.context() as patched:
        patched.setattr(client, "put_log_events", _Refusing().put_log_events)
        log.write(b"first\n")
        shipper.ship(log)
    log.write(b"second\n")
    log.close()
    assert messages(runtime, log) == ["first", "second"]


class _Refusing:
    """A Logs client whose every call fails."""

    def __getattr__(self, name: str) -> Any:
        from botocore.exceptions import EndpointConnectionError

        def refuse(**_: Any) -> None:
            raise EndpointConnectionError(endpoint_url="http://127.0.0.1:1")

        return refuse
