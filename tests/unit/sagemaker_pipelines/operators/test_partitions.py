"""Selecting partitions, against the local runtime's S3."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, AirflowSkipException
from airflow.sdk.exceptions import AirflowSensorTimeout, TaskDeferred
from botocore.exceptions import EndpointConnectionError

from sagemaker_local_runtime.server import LocalServer
from sagemaker_local_runtime.settings import Settings
from sagemaker_pipelines.data.partitions import Partitions
from sagemaker_pipelines.hooks.pipeline import SageMakerPipelineHook
from sagemaker_pipelines.operators.partitions import SageMakerSelectPartitionsOperator
from sagemaker_pipelines.triggers.partitions import SageMakerPartitionsTrigger, _missing
from tests.unit.sagemaker_pipelines.data.test_intervals import FORM, at, context
from tests.unit.sagemaker_pipelines.samples import ROLE
from tests.waiting import GENEROUS_SECONDS

BUCKET = "partitions"
DAY = (at("2026-01-02T00:00:00"), at("2026-01-03T00:00:00"))
WEEK = (at("2026-01-05T00:00:00"), at("2026-01-12T00:00:00"))
INPUTS = {"InputData": Partitions("s3://{artifact_bucket}/{name_prefix}train/dt={date}/")}
OUTPUTS = {"OutputPrefix": Partitions("s3://{artifact_bucket}/out/dt={date}")}
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.9-0"
URI = f"s3://{BUCKET}/dev-train/dt=2026-01-02/"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    with LocalServer(Settings(data_dir=tmp_path_factory.mktemp("runtime"), port=0)) as server:
        yield server


@pytest.fixture
def s3(server: LocalServer, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The S3 that the default connection leads to, with an empty bucket."""
    extra = {
        "region_name": "us-east-1",
        "endpoint_url": server.endpoint_url,
        "service_config": {"sagemaker": {"artifact_bucket": BUCKET, "name_prefix": "dev-"}},
    }
    connection = {"conn_type": "aws", "login": "test", "password": "test-password", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))
    client = SageMakerPipelineHook().client.s3
    client.create_bucket(Bucket=BUCKET)
    for item in client.list_objects_v2(Bucket=BUCKET).get("Contents", ()):
        client.delete_object(Bucket=BUCKET, Key=item["Key"])
    return client


def put(s3: Any, key: str, body: bytes = b"rows") -> None:
    s3.put_object(Bucket=BUCKET, Key=key, Body=body)


def select(**arguments: Any) -> SageMakerSelectPartitionsOperator:
    defaults: dict[str, Any] = {"inputs": INPUTS, "outputs": OUTPUTS}
    return SageMakerSelectPartitionsOperator(task_id="select_inputs", **defaults | arguments)


def test_a_run_reads_the_partition_of_its_day_and_writes_below_it(s3: Any) -> None:
    put(s3, "dev-train/dt=2026-01-02/rows.csv")
    assert select().execute(context("scheduled", DAY)) == {
        "InputData": URI,
        "OutputPrefix": f"s3://{BUCKET}/out/dt=2026-01-02",
        "interval": "2026-01-02T00:00:00Z/2026-01-03T00:00:00Z",
    }


@pytest.mark.parametrize(
    "objects",
    [
        {},
        {"dev-train/dt=2026-01-02/_SUCCESS": b""},
        {"dev-train/dt=2026-01-03/rows.csv": b"rows"},
        {"dev-train/dt=2026-01-02/_temporary/0/rows.csv": b"rows"},
    ],
    ids=["missing", "empty", "another day's", "being written"],
)
def test_a_missing_or_empty_partition_is_waited_for_skipped_or_an_error(
    s3: Any, objects: dict[str, bytes]
) -> None:
    for key, body in objects.items():
        put(s3, key, body)
    run = context("backfill", DAY)
    with pytest.raises(TaskDeferred) as deferred:
        select(timeout=60).execute(run)
    trigger = deferred.value.trigger
    assert isinstance(trigger, SageMakerPartitionsTrigger)
    assert trigger.uris == [URI]
    with pytest.raises(AirflowSkipException, match="dt=2026-01-02"):
        select(if_missing="skip").execute(run)
    with pytest.raises(AirflowException, match="No data yet at"):
        select(if_missing="fail").execute(run)


@pytest.mark.parametrize("ending", ["", "/"])
def test_a_month_is_not_taken_for_the_beginning_of_another_one(s3: Any, ending: str) -> None:
    inputs = {"InputData": Partitions(f"s3://{BUCKET}/train/m={{start:%-m}}{ending}")}
    put(s3, "train/m=10/rows.csv")
    january = context("scheduled", (at("2026-01-01T00:00:00"), at("2026-02-01T00:00:00")))
    with pytest.raises(TaskDeferred) as deferred:
        select(inputs=inputs).execute(january)
    trigger: Any = deferred.value.trigger
    assert _missing(SageMakerPipelineHook(), trigger.uris) == trigger.uris
    put(s3, "train/m=1/rows.csv")
    # With its slash, as SageMaker reads every key that begins with the URI.
    assert select(inputs=inputs).execute(january)["InputData"] == f"s3://{BUCKET}/train/m=1/"


def test_a_partition_may_be_one_object(s3: Any) -> None:
    inputs = {"InputData": Partitions(f"s3://{BUCKET}/train/{{date}}.csv")}
    put(s3, "train/2026-01-02.csv.gz")
    with pytest.raises(AirflowSkipException):
        select(inputs=inputs, if_missing="skip").execute(context("scheduled", DAY))
    put(s3, "train/2026-01-02.csv")
    uri = f"s3://{BUCKET}/train/2026-01-02.csv"
    assert select(inputs=inputs).execute(context("scheduled", DAY))["InputData"] == uri


def test_what_the_form_says_wins_and_is_not_waited_for(s3: Any) -> None:
    selected = select(values={"InputData": "s3://elsewhere/rows.csv", "OutputPrefix": ""}).execute(
        context("scheduled", DAY)
    )
    assert selected["InputData"] == "s3://elsewhere/rows.csv"
    assert selected["OutputPrefix"] == f"s3://{BUCKET}/out/dt=2026-01-02"


def test_a_manual_run_reads_what_its_form_says_unless_it_names_an_interval(s3: Any) -> None:
    put(s3, "dev-train/dt=2026-01-01/rows.csv")
    assert select().execute(context("manual", DAY)) == {"InputData": "", "OutputPrefix": "", "interval": None}
    chosen = select().execute(context("manual", DAY, FORM))
    assert chosen["InputData"] == f"s3://{BUCKET}/dev-train/dt=2026-01-01/"
    put(s3, "dev-train/dt=2026-01-02/rows.csv")
    assert select(manual_runs="interval").execute(context("manual", DAY))["InputData"] == URI


def test_what_no_parameter_can_hold_fails_without_a_retry(s3: Any) -> None:
    with pytest.raises(AirflowFailException, match="covers 7 partitions"):
        select().execute(context("scheduled", WEEK))
    with pytest.raises(AirflowFailException, match="fill in both"):
        select().execute(context("manual", None, {"IntervalEnd": "2026-01-01T00:00:00Z"}))


DAYS = [f"dt=2026-01-{day:02}" for day in range(5, 12)]
MANIFESTS = "s3://{artifact_bucket}/{name_prefix}manifests"
WEEKLY = {"InputData": Partitions("s3://{artifact_bucket}/train/dt={date}", manifest=MANIFESTS)}


def test_a_week_of_daily_partitions_is_read_by_a_manifest(s3: Any) -> None:
    for day in DAYS[:-1]:
        put(s3, f"train/{day}/rows.csv", day.encode())
    put(s3, "train/_SUCCESS")
    week, operator = context("scheduled", WEEK), select(inputs=WEEKLY)
    with pytest.raises(TaskDeferred) as deferred:
        operator.execute(week)
    trigger = deferred.value.trigger
    assert isinstance(trigger, SageMakerPartitionsTrigger)
    assert trigger.uris == [f"s3://{BUCKET}/train/{DAYS[-1]}"]
    put(s3, f"train/{DAYS[-1]}/rows.csv", DAYS[-1].encode())
    manifest = operator.execute_complete(week, {"event": "ready", "missing": []})["InputData"]
    assert manifest is not None
    assert manifest.startswith(f"s3://{BUCKET}/dev-manifests/")
    assert json.loads(SageMakerPipelineHook().client.read_object(manifest)) == [
        {"prefix": f"s3://{BUCKET}/train/"},
        *(f"{day}/rows.csv" for day in DAYS),
    ]
    # The same data, the same manifest; and a job reads what it lists.
    assert operator.execute(week)["InputData"] == manifest
    assert files_of_a_job(manifest) == [f"{day}/rows.csv" for day in DAYS]
    put(s3, f"train/{DAYS[0]}/more.csv")
    assert operator.execute(week)["InputData"] != manifest


def files_of_a_job(manifest: str) -> list[str]:
    """Return what a processing job finds among its inputs."""
    client = SageMakerPipelineHook().conn
    folder, out = "/opt/ml/processing/input", "/opt/ml/processing/out"
    code = (
        f"import glob, json; files = sorted(glob.glob('**/*.csv', root_dir='{folder}', recursive=True)); "
        f"open('{out}/files.json', 'w').write(json.dumps(files))"
    )
    source = {"S3Uri": manifest, "LocalPath": folder, "S3DataType": "ManifestFile", "S3InputMode": "File"}
    target = {"S3Uri": f"s3://{BUCKET}/job", "LocalPath": out, "S3UploadMode": "EndOfJob"}
    client.create_processing_job(
        ProcessingJobName="reads-a-manifest",
        RoleArn=ROLE,
        AppSpecification={"ImageUri": IMAGE, "ContainerEntrypoint": ["python3", "-c", code]},
        ProcessingInputs=[{"InputName": "rows", "S3Input": source}],
        ProcessingOutputConfig={"Outputs": [{"OutputName": "files", "S3Output": target}]},
        ProcessingResources={
            "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 10}
        },
    )
    client.get_waiter("processing_job_completed_or_stopped").wait(
        ProcessingJobName="reads-a-manifest", WaiterConfig={"Delay": 1, "MaxAttempts": 300}
    )
    files: list[str] = json.loads(SageMakerPipelineHook().client.read_object(f"s3://{BUCKET}/job/files.json"))
    return files


def test_many_missing_partitions_are_counted(s3: Any, capsys: pytest.CaptureFixture[str]) -> None:
    month = context("scheduled", (at("2026-01-01T00:00:00"), at("2026-02-01T00:00:00")))
    with pytest.raises(AirflowSkipException, match=r"dt=2026-01-10 and 21 more\."):
        select(inputs=WEEKLY, if_missing="skip").execute(month)
    assert "dt=2026-01-11" not in capsys.readouterr().out


def test_a_day_within_a_manifests_partitions_is_listed_alone(s3: Any) -> None:
    put(s3, "train/dt=2026-01-02/rows.csv")
    manifest = select(inputs=WEEKLY).execute(context("scheduled", DAY))["InputData"]
    assert manifest is not None
    listed = json.loads(SageMakerPipelineHook().client.read_object(manifest))
    assert listed == [{"prefix": f"s3://{BUCKET}/train/"}, "dt=2026-01-02/rows.csv"]


def event(day: int) -> dict[str, Any]:
    start = f"2026-01-{day:02}T00:00:00+00:00"
    return {"interval_start": start, "interval_end": f"2026-01-{day + 1:02}T00:00:00+00:00"}


def test_a_run_of_events_reads_the_partitions_that_they_name_and_none_between(s3: Any) -> None:
    for day in (5, 8, 11):
        put(s3, f"train/dt=2026-01-{day:02}/rows.csv")
    run = context("asset_triggered", None, {}, [event(11), event(5), event(8)])
    selected = select(inputs=WEEKLY).execute(run)
    listed = json.loads(SageMakerPipelineHook().client.read_object(str(selected["InputData"])))
    assert listed[1:] == [f"dt=2026-01-{day}/rows.csv" for day in ("05", "08", "11")]
    assert selected["interval"] == "2026-01-05T00:00:00Z/2026-01-12T00:00:00Z"
    # Without a manifest a parameter holds the one that is new.
    put(s3, "dev-train/dt=2026-01-08/rows.csv")
    assert select(events=[event(8)]).execute(run)["InputData"] == f"s3://{BUCKET}/dev-train/dt=2026-01-08/"
    with pytest.raises(AirflowFailException, match="covers 3 partitions"):
        select().execute(run)


def test_the_task_goes_on_with_the_same_selection_after_the_wait(s3: Any) -> None:
    selected = select().execute_complete(context("scheduled", DAY), {"event": "ready", "missing": []})
    assert selected["InputData"] == URI
    with pytest.raises(AirflowSensorTimeout, match="within 86400 s"):
        select().execute_complete(context("scheduled", DAY), {"event": "timeout", "missing": [URI]})
    with pytest.raises(AirflowException, match="AccessDenied"):
        select().execute_complete(
            context("scheduled", DAY), {"event": "error", "missing": [URI], "message": "AccessDenied"}
        )


def fired(trigger: SageMakerPartitionsTrigger, *, later: Any = None) -> dict[str, Any]:
    async def first() -> dict[str, Any]:
        if later is not None:
            asyncio.get_running_loop().call_later(0.3, later)
        async for event in trigger.run():
            return dict(event.payload)
        raise AssertionError("no event")

    return asyncio.run(asyncio.wait_for(first(), GENEROUS_SECONDS))


def waiting(**arguments: Any) -> SageMakerPartitionsTrigger:
    defaults: dict[str, Any] = {
        "uris": [URI],
        "waiter_delay": 0.1,
        "deadline": time.time() + GENEROUS_SECONDS,
    }
    return SageMakerPartitionsTrigger(**defaults | arguments)


def test_the_trigger_fires_when_the_data_come(s3: Any) -> None:
    event = fired(waiting(), later=lambda: put(s3, "dev-train/dt=2026-01-02/rows.csv"))
    assert event == {"event": "ready", "missing": [], "message": None}


def test_the_trigger_gives_up_at_its_deadline(s3: Any) -> None:
    event = fired(waiting(deadline=time.time() + 0.3))
    assert (event["event"], event["missing"]) == ("timeout", [URI])


def test_a_transient_fault_ends_no_wait_and_an_error_that_stays_does(
    s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[Any] = [EndpointConnectionError(endpoint_url="http://s3"), True]

    def has_data(_: str) -> Any:
        answer = answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    trigger = waiting()
    monkeypatch.setattr(trigger, "hook", lambda: SimpleNamespace(client=SimpleNamespace(has_data=has_data)))
    assert fired(trigger)["event"] == "ready"
    answers.append(PermissionError("AccessDenied"))
    assert fired(trigger) == {"event": "error", "missing": [URI], "message": "PermissionError: AccessDenied"}


def test_a_trigger_survives_serialization() -> None:
    path, arguments = waiting(region_name="eu-west-1", verify=False).serialize()
    assert path == "sagemaker_pipelines.triggers.partitions.SageMakerPartitionsTrigger"
    assert SageMakerPartitionsTrigger(**arguments).serialize() == (path, arguments)
    assert arguments["version"] == 1


@pytest.mark.parametrize("arguments", [{"if_missing": "perhaps"}, {"manual_runs": "never"}])
def test_a_choice_that_does_not_exist_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected"):
        select(**arguments)
