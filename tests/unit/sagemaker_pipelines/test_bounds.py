"""Bounds on what an execution bills, over HTTP: refused before the start, or stopped while it runs."""

from __future__ import annotations

import asyncio
import json
import re
import time
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk.exceptions import TaskDeferred
from botocore.exceptions import ClientError

from sagemaker_local_runtime.server import LocalServer
from sagemaker_pipelines.aws.budget import Bounds
from sagemaker_pipelines.aws.client import SageMakerClient
from sagemaker_pipelines.aws.prices import Price, Prices
from sagemaker_pipelines.aws.stopping import stop_execution
from sagemaker_pipelines.exceptions import ExecutionFailedError, ParameterError
from sagemaker_pipelines.operators.pipeline import SageMakerStartPipelineExecutionOperator
from sagemaker_pipelines.sensors.pipeline import SageMakerPipelineExecutionSensor
from sagemaker_pipelines.settings import PipelineSettings
from sagemaker_pipelines.triggers import pipeline as trigger_module
from tests.unit.sagemaker_pipelines.samples import BUCKET, ROLE, TaskInstance, TaskStateStore, context_of
from tests.unit.sagemaker_pipelines.test_against_runtime import (
    client,
    connection,
    definition,
    run,
    server,
    version,
)
from tests.waiting import GENEROUS_SECONDS, until

__all__ = ["client", "connection", "definition", "server", "version"]
STOPPED = ("Stopping", "Stopped")
# A server or an execution each.
pytestmark = pytest.mark.thorough


def start(version: int, store: TaskStateStore | None = None, **arguments: Any) -> Any:
    task = SageMakerStartPipelineExecutionOperator(
        task_id="start_pipeline",
        pipeline_name="dev-gated",
        pipeline_version_id=version,
        deferrable=False,
        check_interval=1,
        **{"pipeline_params": {"Mode": "sleep"}, "wait_for_completion": True, **arguments},
    )
    return task.execute(context_of(store or TaskStateStore()))


def sensor(arn: str, **arguments: Any) -> SageMakerPipelineExecutionSensor:
    return SageMakerPipelineExecutionSensor(
        task_id="wait", pipeline_exec_arn=arn, poke_interval=0.2, **arguments
    )


def executions(client: SageMakerClient) -> list[str]:
    return [item["PipelineExecutionArn"] for item in client.list_executions("dev-gated")]


def settings(server: LocalServer, monkeypatch: pytest.MonkeyPatch, **more: Any) -> None:
    """Give the environment more settings."""
    sagemaker = {"artifact_bucket": BUCKET, "role_arn": ROLE, "name_prefix": "dev-", **more}
    extra = {
        "region_name": "us-east-1",
        "endpoint_url": server.endpoint_url,
        "service_config": {"sagemaker": sagemaker},
    }
    conn = {"conn_type": "aws", "login": "test", "password": "test-password", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(conn))


@pytest.fixture
def prices(server: LocalServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """36 dollars an hour are a cent a second."""
    known = Price(
        region="us-east-1",
        instance="ml.m5.xlarge",
        component="Processing",
        price_per_hour=36.0,
        date=date(2026, 11, 20),
    )
    Prices([known]).save(tmp_path / "prices.toml")
    settings(server, monkeypatch, prices_file=str(tmp_path / "prices.toml"))
    return tmp_path / "prices.toml"


def test_a_start_that_waits_stops_what_has_billed_too_much(version: int, client: SageMakerClient) -> None:
    with pytest.raises(AirflowFailException, match=r"\d instance-seconds .* max_instance_seconds is 0\.5"):
        start(version, max_instance_seconds=0.5)
    assert client.execution_status(executions(client)[0]) in STOPPED


def test_a_wait_in_the_worker_stops_it_and_records_what_it_billed(
    version: int, client: SageMakerClient
) -> None:
    arn, ti = run(TaskStateStore(), version, wait=False, Mode="sleep"), TaskInstance()
    with pytest.raises(AirflowFailException, match=f"{arn} was stopped: .*max_instance_seconds is 1"):
        sensor(arn, max_instance_seconds="1").execute(context_of(TaskStateStore(), ti=ti))
    assert client.execution_status(arn) in STOPPED
    assert ti.pushed["execution"]["instance_seconds"] >= 1


def test_a_wait_in_the_triggerer_stops_it(
    version: int, client: SageMakerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trigger_module, "BOUNDS_SECONDS", 0.2)
    arn = run(TaskStateStore(), version, wait=False, Mode="sleep")
    task = sensor(arn, max_instance_seconds=0.5, deferrable=True)
    store = TaskStateStore()
    with pytest.raises(TaskDeferred) as caught:
        task.execute(context_of(store))

    async def fired() -> dict[str, Any]:
        async for event in caught.value.trigger.run():
            payload: dict[str, Any] = event.payload
            return payload
        raise AssertionError("it never fired")

    event = asyncio.run(fired())
    assert (event["event"], event["status"]) == ("too_much", "Stopping")
    assert client.execution_status(arn) in STOPPED
    with pytest.raises(AirflowFailException, match=r"max_instance_seconds is 0\.5"):
        task.execute_complete(context_of(store), event)


def test_what_a_bound_has_stopped_is_not_resumed_by_a_clear(version: int, client: SageMakerClient) -> None:
    arn, store = run(TaskStateStore(), version, wait=False, Mode="sleep"), TaskStateStore()
    for done in ("was stopped", "is not resumed"):
        with pytest.raises(AirflowFailException, match=rf"{arn} {done}: .*max_instance_seconds is 0\.5"):
            sensor(arn, max_instance_seconds=0.5).execute(context_of(store))
        until(lambda: client.execution_status(arn) == "Stopped", "the stop")
    assert client.execution_status(arn) == "Stopped"


def test_what_jobs_billed_before_a_resume_counts(version: int, client: SageMakerClient) -> None:
    arn, store, records = run(TaskStateStore(), version, wait=False, Mode="fail"), TaskStateStore(), []
    for _ in range(3):
        ti = TaskInstance()
        with pytest.raises(ExecutionFailedError):
            sensor(arn, max_instance_seconds=3600).execute(context_of(store, ti=ti))
        records.append(ti.pushed["execution"])
    assert [record["resumes"] for record in records] == [0, 1, 2]
    billed = sum(record["instance_seconds"] for record in records)
    assert records[-1]["instance_seconds_upper_bound"] == pytest.approx(billed)
    assert records[-1]["instance_seconds"] < billed
    with pytest.raises(AirflowFailException, match=r"is not resumed: .* were billed"):
        sensor(arn, max_instance_seconds=billed - 0.01).execute(context_of(store))
    resumed = sensor(arn, max_instance_seconds=3600, deferrable=True)
    with pytest.raises(TaskDeferred) as caught:
        resumed.execute(context_of(store))
    _, arguments = caught.value.trigger.serialize()
    assert sum(arguments["earlier"]["Evaluate"].values()) == pytest.approx(billed)


def test_the_environments_bound_holds_for_every_wait(
    server: LocalServer, version: int, client: SageMakerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings(server, monkeypatch, max_instance_seconds=0.5)
    arn = run(TaskStateStore(), version, wait=False, Mode="sleep")
    with pytest.raises(AirflowFailException, match=r"max_instance_seconds is 0\.5"):
        sensor(arn, max_instance_seconds=3600).execute(context_of(TaskStateStore()))


def test_a_bound_that_holds_changes_nothing(version: int) -> None:
    arn = run(TaskStateStore(), version, wait=False)
    assert sensor(arn, max_instance_seconds=3600).execute(context_of(TaskStateStore())) == arn


def test_a_bound_on_the_cost_is_refused_before_the_start_where_a_price_is_unknown(
    version: int, client: SageMakerClient
) -> None:
    before = executions(client)
    said = r"price of ml\.m5\.xlarge for Processing in us-east-1, which step Evaluate uses, is unknown"
    with pytest.raises(AirflowFailException, match=said):
        start(version, max_cost=1)
    assert executions(client) == before


def test_a_start_that_resumes_is_refused_too_where_a_price_is_unknown(
    version: int, client: SageMakerClient
) -> None:
    arn = run(TaskStateStore(), version, wait=False, Mode="sleep")
    assert stop_execution(client.sagemaker, arn, seconds=GENEROUS_SECONDS, log=client.log)
    until(lambda: client.execution_status(arn) == "Stopped", "the stop")
    with pytest.raises(AirflowFailException, match=r"price of ml\.m5\.xlarge for Processing"):
        start(version, source_execution_arn=arn, pipeline_params={}, max_cost=1)
    assert client.execution_status(arn) == "Stopped"


def test_a_bound_on_the_cost_stops_with_both_amounts(
    version: int, client: SageMakerClient, prices: Path
) -> None:
    said = r"the jobs cost (\d+\.\d+) USD so far, and max_cost is 0\.01 USD"
    began = time.monotonic()
    with pytest.raises(AirflowFailException, match=said) as caught:
        start(version, max_cost="0.01")
    found = re.search(said, str(caught.value))
    assert found is not None
    # A second costs 0.01 USD; the amount is rounded.
    assert 0.01 <= float(found[1]) <= (time.monotonic() - began + 1) / 100
    assert client.execution_status(executions(client)[0]) in STOPPED


def test_the_record_tells_the_cost(version: int, prices: Path) -> None:
    ti = TaskInstance()
    run(TaskStateStore(), version, ti=ti)
    record = ti.pushed["execution"]
    assert record["cost"] == pytest.approx(record["instance_seconds"] / 100)
    assert (record["currency"], record["price_date"]) == ("USD", "2026-11-20")


def test_prices_that_become_unreadable_are_told_and_the_other_bound_holds(version: int, prices: Path) -> None:
    arn, ti = run(TaskStateStore(), version, wait=False, Mode="sleep"), TaskInstance()
    prices.write_text("prices = 7")
    task = sensor(arn, max_cost=0.0001, max_instance_seconds=0.5)
    with pytest.raises(AirflowFailException, match=r"max_instance_seconds is 0\.5"):
        task.execute(context_of(TaskStateStore(), ti=ti))
    assert ti.pushed["execution"]["instance_seconds"] >= 0.5
    assert ti.pushed["execution"]["cost"] is None


def test_an_execution_that_could_not_be_stopped_is_not_called_stopped(
    version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    arn = run(TaskStateStore(), version, wait=False, Mode="sleep")
    event = {"event": "too_much", "pipeline_execution_arn": arn, "status": None, "message": "too much"}
    task = sensor(arn, deferrable=True)
    with pytest.raises(AirflowFailException, match="could not be stopped, so stop it in SageMaker: too much"):
        task.execute_complete(context_of(TaskStateStore()), event)
    refused = ClientError({"Error": {"Code": "AccessDeniedException"}}, "StopPipelineExecution")

    def refuse(**_: Any) -> None:
        raise refused

    worker = sensor(arn, max_instance_seconds=0.5)
    monkeypatch.setattr(worker.client.sagemaker, "stop_pipeline_execution", refuse)
    with pytest.raises(AirflowFailException, match="could not be stopped, so stop it in SageMaker: "):
        worker.execute(context_of(TaskStateStore()))


@pytest.mark.parametrize("value", ["0", -1, "many", "NaN", True])
def test_a_bound_that_is_no_number_above_0_is_refused_before_the_start(
    version: int, client: SageMakerClient, value: object
) -> None:
    before = executions(client)
    with pytest.raises(AirflowFailException, match=r"max_cost is .*expected a number above 0"):
        start(version, max_cost=value)
    assert executions(client) == before


def test_the_lower_bound_counts_and_an_empty_one_does_not() -> None:
    environment = PipelineSettings(max_instance_seconds=100, max_cost=2)
    assert Bounds.of(environment, "50", None) == Bounds(max_instance_seconds=50, max_cost=2)
    assert Bounds.of(environment, 200, "None") == Bounds(max_instance_seconds=100, max_cost=2)
    assert not Bounds.of(PipelineSettings(), "", None)
    with pytest.raises(ParameterError):
        Bounds.of(environment, "a", None)


def test_a_running_job_is_described_once_until_its_bound_is_passed(
    version: int, client: SageMakerClient, server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    bound, billed = 3, list[float]()
    arn = run(TaskStateStore(), version, wait=False, Mode="sleep")
    task = sensor(arn, max_instance_seconds=bound)
    real = task.client.sagemaker.describe_processing_job

    def describe(**arguments: Any) -> Any:
        job = real(**arguments)
        billed.append(time.time() - job["ProcessingStartTime"].timestamp())
        return job

    monkeypatch.setattr(task.client.sagemaker, "describe_processing_job", describe)
    until(lambda: "ProcessingStartTime" in _job(client, arn), "the job to start")
    with pytest.raises(AirflowFailException):
        task.execute(context_of(TaskStateStore()))
    # Once while it ran, if the first look came in time, once when the bound was passed, and once for the
    # record at the end.
    assert len(billed) == (3 if billed[0] < bound else 2)


def _job(client: SageMakerClient, arn: str) -> dict[str, Any]:
    steps = [step for step in client.list_steps(arn) if step.arn]
    return client.sagemaker.describe_processing_job(ProcessingJobName=steps[0].job_name) if steps else {}
