"""The id of an Airflow; the end-to-end test of the sweep shows it with Airflow's own variables."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import Variable
from airflow.sdk.execution_time.comms import GetVariable, GetVariableKeys
from airflow.sdk.execution_time.context import VariableAccessor

from sagemaker_pipelines.task import airflow_id as airflow_id_module
from sagemaker_pipelines.task.airflow_id import VARIABLE, airflow_id
from tests.unit.sagemaker_pipelines.airflow_server import AirflowServer, airflow_server
from tests.waiting import GENEROUS_SECONDS


class Variables:
    """Airflow's variables, as a task's context shows them."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}

    def get(self, key: str, default: Any = None) -> Any:
        return self.kept.get(key, default)

    def set(self, key: str, value: str, description: str | None = None) -> None:
        self.kept[key] = value


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> Variables:
    variables = Variables()
    monkeypatch.setattr(Variable, "set", variables.set)
    monkeypatch.setattr(airflow_id_module, "SETTLE_SECONDS", 0.0)
    return variables


def context_of(variables: Any) -> Any:
    return {"var": {"value": variables}}


def test_the_first_task_makes_the_id_and_every_later_one_reads_it(variables: Variables) -> None:
    made = airflow_id(context_of(variables))
    assert made == variables.kept[VARIABLE]
    assert airflow_id(context_of(variables)) == made


def test_two_databases_have_different_ids(variables: Variables) -> None:
    made = airflow_id(context_of(variables))
    variables.kept.clear()
    assert airflow_id(context_of(variables)) != made


def test_tasks_that_all_find_no_id_end_with_the_same_one(
    variables: Variables, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All read before any writes, and they write one after the other, with readers between."""
    monkeypatch.setattr(airflow_id_module, "SETTLE_SECONDS", 4.0)
    all_have_read = threading.Barrier(4, timeout=GENEROUS_SECONDS)
    first_read = threading.local()
    one_is_written, all_are_written = threading.Event(), threading.Event()
    writes, moments = itertools.count(1), [1_795_000_000.0]

    def write(key: str, value: str, description: str | None = None) -> None:
        variables.set(key, value)
        one_is_written.set()
        if next(writes) == 4:
            all_are_written.set()

    def sleep(seconds: float) -> None:
        # However slow the machine, all have written before the id has settled.
        assert all_are_written.wait(GENEROUS_SECONDS)
        moments.append(moments[-1] + seconds)

    monkeypatch.setattr(Variable, "set", write)
    clock = SimpleNamespace(time=lambda: moments[-1], sleep=sleep)
    monkeypatch.setattr(airflow_id_module, "time", clock)

    class Raced:
        def get(self, key: str, default: Any = None) -> Any:
            value = variables.get(key, default)
            if not hasattr(first_read, "done"):
                first_read.done = True
                all_have_read.wait()
                time.sleep(0.1 * (threading.get_ident() % 5))
            return value

    def late_reader(_: int) -> str | None:
        assert one_is_written.wait(GENEROUS_SECONDS)
        return airflow_id(context_of(variables))

    with ThreadPoolExecutor(6) as pool:
        makers = [pool.submit(airflow_id, context_of(Raced())) for _ in range(4)]
        readers = [pool.submit(late_reader, i) for i in range(2)]
        ids = {future.result() for future in [*makers, *readers]}
    assert ids == {variables.kept[VARIABLE]}


def test_an_id_that_was_set_by_hand_is_taken_as_it_is(variables: Variables) -> None:
    variables.kept[VARIABLE] = "blue"
    assert airflow_id(context_of(variables)) == "blue"


def test_variables_that_cannot_be_reached_leave_no_id_and_fail_nothing() -> None:
    class Unreachable:
        def get(self, key: str, default: Any = None) -> Any:
            raise RuntimeError("the secrets backend is down")

    assert airflow_id(context_of(Unreachable())) is None
    assert airflow_id({}) is None


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[AirflowServer]:
    monkeypatch.setattr(airflow_id_module, "SETTLE_SECONDS", 0.0)
    with airflow_server() as server:
        yield server


def asked_of(server: AirflowServer) -> str | None:
    """The id that a task of this server reads, by Airflow's own code."""
    return airflow_id(context_of(VariableAccessor(deserialize_json=False)))


def test_an_airflow_without_an_id_gets_one(server: AirflowServer) -> None:
    made = asked_of(server)
    assert made is not None
    assert server.variables == {VARIABLE: made}
    assert asked_of(server) == made


@pytest.mark.parametrize(
    "faults",
    [
        {GetVariable: [fault] * reads, GetVariableKeys: [keys]}
        for fault in ("server", "database")
        for reads in (1, 2, 3, 100)
        for keys in (None, "server", "database")
    ],
)
def test_a_read_that_fails_never_replaces_the_id(
    server: AirflowServer, faults: dict[type, list[str | None]]
) -> None:
    server.variables[VARIABLE] = "0123456789abcdef-1700000000"
    server.faults = faults
    assert asked_of(server) in (None, "0123456789abcdef-1700000000")
    assert server.variables == {VARIABLE: "0123456789abcdef-1700000000"}


def test_one_failed_read_is_made_again(server: AirflowServer) -> None:
    server.variables[VARIABLE] = "blue"
    server.faults[GetVariable] = ["server"]
    assert asked_of(server) == "blue"
