"""Watchers share one receive loop; a message goes when the events of all of them are stored."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
from airflow.triggers.shared_stream import SharedStreamManager

from sagemaker_local_runtime.testing import LocalRuntime, local_runtime
from sagemaker_pipelines.dag.assets import (
    model_monitor_asset,
    model_package_asset,
    pipeline_execution_asset,
    s3_partition_asset,
)
from sagemaker_pipelines.data.messages import parse_message
from sagemaker_pipelines.task.logical_start import LogicalStart
from sagemaker_pipelines.triggers import queue as queue_module
from sagemaker_pipelines.triggers.events import (
    S3ObjectCreatedTrigger,
    SageMakerModelMonitorTrigger,
    SageMakerModelPackageTrigger,
    SageMakerPipelineExecutionEndedTrigger,
    SqsEventTrigger,
)
from stack.settings import ROOT
from tests.unit.sagemaker_pipelines.event_messages import (
    S3_TEST,
    alarm_changed,
    execution_changed,
    package_changed,
    s3_notification,
    s3_on_eventbridge,
)
from tests.waiting import GENEROUS_SECONDS

__all__ = ["local_runtime"]

PREFIX = "s3://ml-data/data/train/"
SOON: dict[str, Any] = {"wait_time_seconds": 0, "visibility_timeout": 5}


class Triggerer:
    """Airflow's shared streams, with a database that stores when the test says so.

    :param stores: whether what is fired is confirmed as stored.
    """

    def __init__(self, *triggers: SqsEventTrigger, stores: bool = True) -> None:
        self.manager = SharedStreamManager(ack_timeout=60)
        self.triggers = triggers
        self.stores = stores
        self.fired: list[tuple[int, dict[str, Any]]] = []

    async def __aenter__(self) -> Triggerer:
        self._tasks = [asyncio.create_task(self._run(*item)) for item in enumerate(self.triggers)]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.manager.stop_all()

    async def _run(self, trigger_id: int, trigger: SqsEventTrigger) -> None:
        key = trigger.shared_stream_key()
        stream: AsyncIterator[Any] = self.manager.subscribe(trigger_id=trigger_id, trigger=trigger, key=key)
        async for event in trigger.filter_shared_stream(stream):
            seq = self.manager.bind_pending_event(trigger_id=trigger_id, key=key)
            assert seq is not None
            self.fired.append((trigger_id, event.payload))
            if self.stores:
                # As in the triggerer: the confirmation comes later, by another way.
                asyncio.get_running_loop().call_later(0.1, self.manager.confirm_persisted, [seq])

    def subjects(self, trigger_id: int = 0) -> list[str]:
        return [payload["subject"].rpartition("/")[2] for who, payload in self.fired if who == trigger_id]


@pytest.fixture
def connection(local_runtime: LocalRuntime, monkeypatch: pytest.MonkeyPatch) -> None:
    extra = {"region_name": "us-east-1", "endpoint_url": local_runtime.endpoint_url}
    connection = {"conn_type": "aws", "login": "test", "password": "test", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))
    monkeypatch.setattr(queue_module, "GATHER_SECONDS", 0.05)


class Queue:
    """The queue that the tests send to."""

    def __init__(self, runtime: LocalRuntime) -> None:
        self.sqs = runtime.client("sqs")
        self.url: str = self.sqs.create_queue(QueueName="data")["QueueUrl"]

    def send(self, *bodies: str) -> None:
        for body in bodies:
            self.sqs.send_message(QueueUrl=self.url, MessageBody=body)

    def count(self) -> int:
        # The server counts the two one after the other: one that becomes visible meanwhile is in neither.
        return max(self._count(), self._count())

    def _count(self) -> int:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=names)["Attributes"]
        return sum(int(answer[name]) for name in names)


@pytest.fixture
def queue(local_runtime: LocalRuntime, connection: None) -> Queue:
    return Queue(local_runtime)


async def until(ready: Callable[[], Any], seconds: float = GENEROUS_SECONDS) -> None:
    async with asyncio.timeout(seconds):
        while not await asyncio.to_thread(ready):
            await asyncio.sleep(0.02)


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(test())  # type: ignore[arg-type]


def watcher(queue: str = "data", **kwargs: Any) -> S3ObjectCreatedTrigger:
    return S3ObjectCreatedTrigger(**{"queue": queue, "uri_prefix": PREFIX, **SOON, **kwargs})


@pytest.mark.parametrize(
    "trigger",
    [
        S3ObjectCreatedTrigger(queue="q", uri_prefix=PREFIX, uri_suffix="/_SUCCESS", verify=False),
        SageMakerPipelineExecutionEndedTrigger(
            queue="q", pipeline_name="abalone", statuses=("Failed",), include_own=True, region_name="r"
        ),
        SageMakerModelPackageTrigger(
            queue="q", model_package_group_name="abalone", approval_statuses=("Rejected",)
        ),
        SageMakerModelMonitorTrigger(queue="q", reports="s3://ml-data/monitoring/", alarm_name="drift"),
    ],
)
def test_a_trigger_survives_serialization(trigger: SqsEventTrigger) -> None:
    path, arguments = trigger.serialize()
    assert path == f"{type(trigger).__module__}.{type(trigger).__name__}"
    assert type(trigger)(**json.loads(json.dumps(arguments))).serialize() == trigger.serialize()


def test_watchers_share_a_loop_where_all_about_the_queue_is_equal() -> None:
    execution = SageMakerPipelineExecutionEndedTrigger(queue="data", pipeline_name="abalone", **SOON)
    key = watcher().shared_stream_key()
    assert (
        key == watcher(uri_prefix="s3://ml-data/other/").shared_stream_key() == execution.shared_stream_key()
    )
    assert key != watcher("other").shared_stream_key()
    assert key != watcher(unmatched="delete").shared_stream_key()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"queue": ""}, "queue is empty"),
        ({"unmatched": "drop"}, "expected one of keep, delete"),
        ({"wait_time_seconds": 21}, "expected 0 to 20"),
        ({"visibility_timeout": 1}, "expected 5 to 43200"),
        ({"uri_prefix": "ml-data/"}, "expected an S3 URI"),
    ],
)
def test_wrong_arguments_are_refused_in_the_dag_file(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        watcher(**arguments)


def test_statuses_in_which_an_execution_goes_on_are_refused() -> None:
    with pytest.raises(ValueError, match="in which an execution has ended"):
        pipeline_execution_asset("q", pipeline_name="abalone", statuses=["Executing"])
    with pytest.raises(ValueError, match="Done"):
        pipeline_execution_asset("q", pipeline_name="abalone", statuses=["Done"])


def test_an_approval_status_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="'Done'; expected Approved, Rejected, PendingManualApproval"):
        model_package_asset("q", model_package_group_name="abalone", approval_statuses=["Done"])


def test_drift_that_nothing_would_report_is_refused() -> None:
    with pytest.raises(ValueError, match="Neither reports nor alarm_name is set"):
        model_monitor_asset("q")
    with pytest.raises(ValueError, match="reports is 'monitoring/'; expected an S3 URI"):
        model_monitor_asset("q", reports="monitoring/")


@pytest.mark.parametrize(
    ("message", "taken"),
    [
        (s3_notification("monitoring/2026/01/03/05/constraint_violations.json"), True),
        (s3_notification("monitoring/2026/01/03/05/statistics.json"), False),
        (s3_notification("other/2026/01/03/05/constraint_violations.json"), False),
        (alarm_changed(), True),
        (alarm_changed(reason_data="cut off {"), True),
        (alarm_changed("OK"), False),
        (alarm_changed(name="other"), False),
        (package_changed(), False),
    ],
)
def test_violations_and_the_alarm_are_drift(message: str, taken: bool) -> None:
    monitor = SageMakerModelMonitorTrigger(
        queue="q", reports="s3://ml-data/monitoring/", alarm_name="abalone-drift"
    )
    (event,) = parse_message(message)
    assert monitor.takes(event) is taken


@pytest.mark.thorough
def test_a_report_without_violations_is_no_drift(queue: Queue, local_runtime: LocalRuntime) -> None:
    """Model Monitor writes one for each hour; one that cannot be read may be of any kind."""
    one = b'{"violations": [{"feature_name": "sex"}]}'
    reports = {"none": b'{"violations": []}', "one": one, "bad": b"{", "gone": None}
    keys = {name: f"monitoring/{name}/constraint_violations.json" for name in reports}
    for name, body in reports.items():
        if body is not None:
            local_runtime.put(keys[name], body)

    async def test() -> list[str]:
        bucket = local_runtime.bucket
        trigger = SageMakerModelMonitorTrigger(queue="data", reports=f"s3://{bucket}/monitoring/", **SOON)
        queue.send(*(s3_notification(key, bucket=bucket) for key in keys.values()))
        async with Triggerer(trigger) as triggerer:
            await until(lambda: queue.count() == 0)
        return [payload["subject"].split("/")[-2] for _, payload in triggerer.fired]

    assert sorted(asyncio.run(test())) == ["bad", "gone", "one"]


@pytest.mark.parametrize(
    ("members", "fires"),
    [
        ({}, True),
        ({"ModelPackageStatus": "InProgress"}, False),
        ({"ModelPackageStatus": "Failed"}, False),
        ({"ModelPackageStatus": None}, True),
        ({"UpdatedModelPackageFields": ["ModelApprovalStatus", "ApprovalDescription"]}, True),
        ({"UpdatedModelPackageFields": ["CustomerMetadataProperties"]}, False),
        ({"UpdatedModelPackageFields": []}, True),
    ],
)
def test_a_package_wakes_when_it_is_usable_and_its_status_has_changed(
    members: dict[str, Any], fires: bool
) -> None:
    trigger = SageMakerModelPackageTrigger(queue="q", model_package_group_name="abalone")
    (event,) = parse_message(package_changed(**members))
    assert trigger.takes(event) is fires


def test_an_asset_is_named_by_what_it_watches() -> None:
    data = s3_partition_asset("https://sqs.us-east-1.amazonaws.com/1/data", uri_prefix=PREFIX)
    assert (data.name, data.uri, data.watchers[0].name) == (PREFIX, PREFIX.rstrip("/"), "sqs data")
    executions = pipeline_execution_asset("q", pipeline_name="arn:aws:sagemaker:r:1:pipeline/abalone")
    assert (executions.name, executions.uri) == ("executions of abalone", "x-sagemaker-pipeline://abalone")
    packages = model_package_asset("q", model_package_group_name="abalone")
    assert packages.name == "model packages of abalone"
    assert packages.uri == "x-sagemaker-model-package-group://abalone"
    assert model_monitor_asset("q", reports=PREFIX).name == f"drift in {PREFIX}"
    assert model_monitor_asset("q", alarm_name="low").uri == "x-cloudwatch-alarm://low"


def test_one_loop_serves_all_watchers_and_a_message_goes_when_it_is_stored(
    queue: Queue, local_runtime: LocalRuntime
) -> None:
    async def test() -> None:
        triggers = [watcher(), watcher(uri_prefix="s3://ml-data/data/"), watcher(uri_prefix="s3://else/")]
        queue.send(s3_notification("data/train/a"), s3_notification("data/b"), S3_TEST)
        async with Triggerer(*triggers) as triggerer:
            assert len({trigger.shared_stream_key() for trigger in triggers}) == 1
            await until(lambda: queue.count() == 0)
        assert triggerer.subjects(0) == ["a"]
        assert sorted(triggerer.subjects(1)) == ["a", "b"]
        assert triggerer.subjects(2) == []

    run(test)


@pytest.mark.thorough
def test_what_is_never_stored_comes_again_to_the_next_triggerer(queue: Queue) -> None:
    async def test() -> None:
        queue.send(s3_notification("data/train/a"))
        async with Triggerer(watcher(), stores=False) as died:
            await until(lambda: died.fired)
            # Longer than the visibility timeout: while it lives, its own second receipt is no duplicate.
            await asyncio.sleep(6)
            assert (died.subjects(), queue.count()) == (["a"], 1)
        async with Triggerer(watcher()) as successor:
            await until(lambda: queue.count() == 0)
        assert successor.subjects() == ["a"]

    run(test)


def test_duplicates_and_late_events_are_dropped_and_deleted(queue: Queue) -> None:
    async def test() -> None:
        newer = s3_notification("data/train/a", sequencer="2B")
        older = s3_notification("data/train/a", sequencer="1A")
        async with Triggerer(watcher()) as triggerer:
            queue.send(newer)
            await until(lambda: triggerer.fired and queue.count() == 0)
            queue.send(older, newer, newer)
            await until(lambda: queue.count() == 0)
            queue.send(s3_notification("data/train/a", sequencer="3C"))
            await until(lambda: queue.count() == 0)
        assert [payload["sequencer"] for _, payload in triggerer.fired] == ["2B", "3C"]

    run(test)


@pytest.mark.parametrize(("unmatched", "left"), [("keep", 2), ("delete", 0)])
def test_poison_does_not_block_the_queue(
    queue: Queue, unmatched: str, left: int, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        queue.send("poison", s3_notification("elsewhere/x"), s3_notification("data/train/a"))
        async with Triggerer(watcher(unmatched=unmatched, visibility_timeout=60)) as triggerer:
            await until(lambda: triggerer.fired and queue.count() == left)
            await asyncio.sleep(0.3)
        assert (triggerer.subjects(), queue.count()) == (["a"], left)
        assert "'poison', expected a JSON object" in caplog.text

    run(test)


@pytest.mark.thorough
def test_faults_of_sqs_and_a_queue_that_comes_later_are_outlived(
    queue: Queue, local_runtime: LocalRuntime
) -> None:
    async def test() -> None:
        local_runtime.add_fault("sqs:ReceiveMessage", "error500", count=6)
        local_runtime.add_fault("sqs:DeleteMessageBatch", "error500", count=2)
        async with Triggerer(watcher(), watcher("later", uri_prefix=PREFIX)) as triggerer:
            queue.send(s3_notification("data/train/a"))
            await asyncio.sleep(0.5)
            later: str = queue.sqs.create_queue(QueueName="later")["QueueUrl"]
            queue.sqs.send_message(QueueUrl=later, MessageBody=s3_notification("data/train/b"))
            await until(lambda: len(triggerer.fired) == 2 and queue.count() == 0)
        assert (triggerer.subjects(0), triggerer.subjects(1)) == (["a"], ["b"])

    run(test)


def test_only_the_pipelines_own_ends_fire(queue: Queue) -> None:
    async def test() -> None:
        start = LogicalStart(dag_id="d", run_id="r", task_id="t", map_index=-1, generation="0" * 32)
        other = "arn:aws:sagemaker:us-east-1:123456789012:pipeline/other/execution/1"
        queue.send(
            execution_changed("Failed"),
            execution_changed("Succeeded", arn=other),
            execution_changed("Succeeded", description=start.description),
            execution_changed("Executing", end=None),
            s3_on_eventbridge(),
            execution_changed("Succeeded", end="2026-01-03T00:20:00Z"),
        )
        trigger = SageMakerPipelineExecutionEndedTrigger(
            queue=queue.url, pipeline_name="abalone", unmatched="delete", **SOON
        )
        async with Triggerer(trigger) as triggerer:
            await until(lambda: triggerer.fired and queue.count() == 0)
        assert [payload["end_time"] for _, payload in triggerer.fired] == ["2026-01-03T00:20:00Z"]

    run(test)


def test_an_approval_in_any_tool_fires_once_for_its_group(queue: Queue, local_runtime: LocalRuntime) -> None:
    """The whole way: the registry's event, the documented rule, the queue."""
    arn_of = {"QueueUrl": queue.url, "AttributeNames": ["QueueArn"]}
    target = queue.sqs.get_queue_attributes(**arn_of)["Attributes"]["QueueArn"]
    rule = (ROOT / "docs" / "events" / "model-packages-rule.json").read_text()
    events, sagemaker = local_runtime.client("events"), local_runtime.client("sagemaker")
    events.put_rule(Name="packages", EventPattern=rule)
    events.put_targets(Rule="packages", Targets=[{"Id": "queue", "Arn": target}])

    def approve(group: str) -> str:
        sagemaker.create_model_package_group(ModelPackageGroupName=group)
        arn: str = sagemaker.create_model_package(ModelPackageGroupName=group)["ModelPackageArn"]
        sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")
        return arn

    async def test() -> None:
        trigger = SageMakerModelPackageTrigger(
            queue=queue.url, model_package_group_name="abalone", unmatched="delete", **SOON
        )
        async with Triggerer(trigger) as triggerer:
            await asyncio.to_thread(approve, "other")
            queue.send(package_changed(arn="arn:aws:sagemaker:us-east-1:1:model-package/other/1"))
            arn = await asyncio.to_thread(approve, "abalone")
            await until(lambda: triggerer.fired and queue.count() == 0)
        ((_, payload),) = triggerer.fired
        assert (payload["model_package_arn"], payload["approval_status"]) == (arn, "Approved")

    run(test)


def test_s3_and_eventbridge_wake_watchers_through_the_queue(
    queue: Queue, local_runtime: LocalRuntime
) -> None:
    """The whole way: a bucket's notification, and an execution that ends."""
    sqs, arn_of = queue.sqs, {"QueueUrl": queue.url, "AttributeNames": ["QueueArn"]}
    arn = sqs.get_queue_attributes(**arn_of)["Attributes"]["QueueArn"]
    local_runtime.client("s3").put_bucket_notification_configuration(
        Bucket=local_runtime.bucket,
        NotificationConfiguration={
            "QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}]
        },
    )
    pattern = {
        "source": ["aws.sagemaker"],
        "detail-type": ["SageMaker Model Building Pipeline Execution Status Change"],
        "detail": {"currentPipelineExecutionStatus": ["Succeeded", "Failed", "Stopped"]},
    }
    events = local_runtime.client("events")
    events.put_rule(Name="ended", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="ended", Targets=[{"Id": "queue", "Arn": arn}])

    async def test() -> None:
        data = watcher(uri_prefix=f"s3://{local_runtime.bucket}/in/")
        ended = SageMakerPipelineExecutionEndedTrigger(
            queue="data", pipeline_name="elsewhere", statuses=["Failed"], **SOON
        )
        async with Triggerer(data, ended) as triggerer:
            await asyncio.to_thread(local_runtime.put, "in/dt=2026-01-02/part 1.csv", b"1")
            fail = {"Name": "Refuse", "Type": "Fail", "Arguments": {"ErrorMessage": "no"}}
            definition = {"Version": "2020-12-01", "Steps": [fail]}
            await asyncio.to_thread(local_runtime.create_pipeline, definition, "elsewhere")
            await asyncio.to_thread(local_runtime.start, "elsewhere")
            await until(lambda: len(triggerer.fired) == 2 and queue.count() == 0)
        payloads = {payload["kind"]: payload for _, payload in triggerer.fired}
        assert payloads["s3"]["partition_uri"] == f"s3://{local_runtime.bucket}/in/dt=2026-01-02/"
        assert payloads["execution"]["status"] == "Failed"

    run(test)


def test_outside_a_watcher_it_refuses_to_run() -> None:
    async def test() -> None:
        with suppress(StopAsyncIteration), pytest.raises(NotImplementedError, match="AssetWatcher"):
            await anext(watcher().run())

    run(test)
