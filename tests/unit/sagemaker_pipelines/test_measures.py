"""What the package reports, as a StatsD server and a collector of traces receive it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk.exceptions import AirflowSensorTimeout, TaskDeferred
from airflow.sdk.observability import stats
from airflow.sdk.observability.metrics.stats_utils import get_stats_factory
from botocore.exceptions import ClientError
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from sagemaker_pipelines import measures
from sagemaker_pipelines.aws.record import ExecutionRecord
from sagemaker_pipelines.aws.steps import Step
from sagemaker_pipelines.exceptions import ExecutionFailedError
from sagemaker_pipelines.task.resuming import resume_execution
from stack.settings import ROOT
from tests.unit.sagemaker_pipelines.operators.test_evaluation import branch
from tests.unit.sagemaker_pipelines.samples import ARN, TaskStateStore, context_of
from tests.unit.sagemaker_pipelines.sensors.test_pipeline import (
    PARTLY,
    REJECTED,
    STOPPED,
    SUCCEEDED,
    Answers,
    ended,
    sensor,
)
from tests.unit.sagemaker_pipelines.statsd_server import StatsdServer
from tests.unit.sagemaker_pipelines.test_once import Endpoint, start
from tests.unit.sagemaker_pipelines.test_once import sensor as sensor_of
from tests.unit.sagemaker_pipelines.triggers.test_poller import Account, waits

PACKAGE = Path(measures.__file__).parent
START = datetime(2026, 11, 23, 7, tzinfo=UTC)
TAG = "pipeline_name=dev-gated"
STEPS = (
    Step(
        name="Evaluate", type="Processing", status="Succeeded", started=START, ended=START + timedelta(0, 9)
    ),
    Step(
        name="Gate",
        status="Failed",
        started=START + timedelta(0, 9),
        ended=START + timedelta(0, 10),
        reason="too high",
    ),
    Step(name="Never", status="Starting"),
)
RECORD = ExecutionRecord(
    pipeline_execution_arn=ARN,
    status="Succeeded",
    started=START.isoformat(),
    ended=(START + timedelta(seconds=90)).isoformat(),
    instance_seconds=60.4,
)


class Billed(Answers):
    """An execution whose record a test chooses."""

    record = RECORD

    def execution_record(self, pipeline_execution_arn: str, **_: Any) -> ExecutionRecord:
        return self.record


@pytest.fixture
def statsd(monkeypatch: pytest.MonkeyPatch) -> Iterator[StatsdServer]:
    with StatsdServer() as server:
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        stats.initialize(factory=get_stats_factory(), export_legacy_names=False)
        yield server
    monkeypatch.undo()
    stats.initialize(factory=get_stats_factory(), export_legacy_names=False)


def test_a_start_is_counted_once_and_a_clear_again(statsd: StatsdServer) -> None:
    endpoint, store = Endpoint(), TaskStateStore()
    for clear_number in (0, 0, 1):
        start(endpoint).execute(context_of(store, max_tries=clear_number, clear_number=clear_number))
        endpoint.end("Succeeded")
    assert len(endpoint.executions) == 2
    assert statsd.lines() == [f"starts,{TAG}:1|c"] * 2


def test_a_start_that_is_refused_is_not_counted(statsd: StatsdServer) -> None:
    endpoint = Endpoint()
    endpoint.refusals.append("AccessDeniedException")
    with pytest.raises(ClientError, match="AccessDenied"):
        start(endpoint).execute(context_of(TaskStateStore()))
    assert statsd.lines() == []


def test_a_retry_that_resumes_is_counted(statsd: StatsdServer) -> None:
    endpoint, store = Endpoint(), TaskStateStore()
    arn = start(endpoint).execute(context_of(TaskStateStore()))
    endpoint.end("Failed")
    with pytest.raises(ExecutionFailedError):
        sensor_of(endpoint).execute(context_of(store))
    with pytest.raises(TaskDeferred):
        sensor_of(endpoint, deferrable=True).execute(context_of(store))
    # Somebody else's resume, which this one finds running, is not ours.
    resume_execution(endpoint, arn, token="another", description=None)
    assert [line for line in statsd.lines() if line.startswith("resumes")] == [f"resumes,{TAG}:1|c"]


@pytest.mark.parametrize(
    ("judgement", "counted"),
    [
        (SUCCEEDED, "succeeded"),
        (REJECTED, "rejected"),
        (STOPPED, "stopped"),
        (PARTLY, "completed_with_failures"),
    ],
)
def test_a_wait_is_counted_by_its_outcome(statsd: StatsdServer, judgement: Any, counted: str) -> None:
    task = sensor(Answers("Succeeded", judgement=judgement))
    try:
        task.execute_complete(context_of(TaskStateStore()), ended())
    except AirflowFailException:
        assert counted in {"stopped", "completed_with_failures"}
    assert [line for line in statsd.lines() if line.startswith("waits.")] == [f"waits.{counted},{TAG}:1|c"]


def test_a_wait_that_takes_too_long_is_counted(statsd: StatsdServer) -> None:
    event = {**ended(), "event": "timeout"}
    with pytest.raises(AirflowSensorTimeout):
        sensor().execute_complete(context_of(TaskStateStore()), event)
    assert f"waits.timed_out,{TAG}:1|c" in statsd.lines()


def test_a_wait_reports_the_duration_and_each_billed_second_once(statsd: StatsdServer) -> None:
    """The second wait is the next attempt, after a resume."""
    hook, store = Billed(), TaskStateStore()
    task = sensor(hook, resume_on_retry=False)
    context = context_of(store)
    task.begin_wait(context, ARN)
    task.judge(context, ARN)
    hook.record = replace(RECORD, instance_seconds=100.0)
    task.judge(context, ARN)
    lines = statsd.lines()
    assert f"executions.duration,{TAG}:90000.000000|ms" in lines
    assert [line for line in lines if "instance_seconds" in line] == [
        f"instance_seconds,{TAG}:60|c",
        f"instance_seconds,{TAG}:40|c",
    ]


def test_a_verdict_and_its_metric_are_reported(statsd: StatsdServer, monkeypatch: pytest.MonkeyPatch) -> None:
    branch(monkeypatch, passed=False, rejected=True)
    assert statsd.lines() == [f"verdicts.rejected,{TAG}:1|c", f"metric,{TAG}:9.0|g"]


def test_the_poller_reports_its_calls_and_their_delay(statsd: StatsdServer) -> None:
    account = Account(2)

    async def scenario() -> None:
        tasks = waits(account, account.arns)
        while account.calls.count("describe") < 6:
            await asyncio.sleep(0.01)
        account.statuses = dict.fromkeys(account.arns, "Succeeded")
        await asyncio.gather(*tasks)

    asyncio.run(scenario())
    lines = [line.replace(",pipeline_name=abalone", "") for line in statsd.lines()]
    calls = [int(line.partition(":")[2].removesuffix("|c")) for line in lines if "poller.calls" in line]
    assert sum(calls) == account.calls.count("describe")
    assert lines.count("poller.executions:2|g") >= 2
    delays = [line for line in lines if line.startswith("poller.delay")]
    # There is none before the first poll.
    assert len(delays) == len(calls) - 1
    assert sum(line.startswith("poller.duration") for line in lines) == len(calls)


def test_each_step_that_has_ended_is_a_span_in_the_span_of_the_task(monkeypatch: pytest.MonkeyPatch) -> None:
    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    with provider.get_tracer("airflow").start_as_current_span("task_run.wait") as task:
        measures.trace_steps(ARN, STEPS)
    evaluate, gate, parent = spans.get_finished_spans()
    assert (evaluate.name, gate.name, parent.name) == (
        "sagemaker_step.Evaluate",
        "sagemaker_step.Gate",
        "task_run.wait",
    )
    assert evaluate.parent == gate.parent == task.get_span_context()
    assert (evaluate.end_time or 0) - (evaluate.start_time or 0) == 9_000_000_000
    assert (evaluate.attributes or {})["sagemaker_pipelines.type"] == "Processing"
    assert (gate.status.is_ok, gate.status.description) == (False, "too high")


def test_a_backend_that_breaks_fails_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> Any:
        raise ValueError("no such backend")

    stats.initialize(factory=broken, export_legacy_names=False)
    try:
        measures.count("starts", ARN)
        measures.gauge("metric", ARN, 1.0)
        measures.duration("poller.duration", ARN, 1.0)
    finally:
        stats.initialize(factory=get_stats_factory(), export_legacy_names=False)
    assert caplog.text.count("no such backend") == 3


def test_every_name_is_documented() -> None:
    """The names in the table and those in the code are the same."""
    table = (ROOT / "docs" / "measures.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"^\| `([a-z_.]+?)(?:\.<\w+>)?` \|", table, re.MULTILINE))
    code = "\n".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    used = set(re.findall(r"""(?:measures\.)?(?:count|gauge|duration)\(f?"([a-z_.]+?)(?:\.\{|")""", code))
    assert used == documented
