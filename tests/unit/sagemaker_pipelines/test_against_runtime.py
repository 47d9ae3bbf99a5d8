"""The package over HTTP, against a server that executes what it deploys."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from airflow.models.trigger import Trigger
from airflow.providers.common.compat.sdk import AirflowFailException

from sagemaker_local_runtime.server import LocalServer
from sagemaker_local_runtime.settings import Settings
from sagemaker_pipelines.aws.client import SageMakerClient
from sagemaker_pipelines.aws.record import ExecutionRecord
from sagemaker_pipelines.aws.stopping import stop_execution
from sagemaker_pipelines.definition import definition_hash
from sagemaker_pipelines.exceptions import ExecutionFailedError
from sagemaker_pipelines.hooks.pipeline import SageMakerPipelineHook
from sagemaker_pipelines.operators.evaluation import SageMakerMetricBranchOperator
from sagemaker_pipelines.operators.pipeline import SageMakerStartPipelineExecutionOperator
from sagemaker_pipelines.operators.upsert import SageMakerUpsertPipelineOperator
from sagemaker_pipelines.sensors.pipeline import SageMakerPipelineExecutionSensor
from tests.unit.sagemaker_pipelines.samples import (
    BUCKET,
    ROLE,
    TaskInstance,
    TaskStateStore,
    context_of,
    gated_definition,
    write_envelope,
)
from tests.unit.sagemaker_pipelines.test_upgrades import VERSIONS
from tests.waiting import GENEROUS_SECONDS, until

# It does what the Mode parameter asks for.
SCRIPT = """\
import json, os, sys, time
mode = sys.argv[1]
if mode == "fail":
    sys.exit("the evaluation broke")
if mode == "sleep":
    time.sleep(3600)
os.makedirs("/opt/ml/processing/evaluation", exist_ok=True)
with open("/opt/ml/processing/evaluation/evaluation.json", "w") as file:
    json.dump({"regression_metrics": {"mse": {"value": 4.9}}}, file)
"""
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.9-0"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    with LocalServer(Settings(data_dir=tmp_path_factory.mktemp("runtime"), port=0)) as server:
        yield server


@pytest.fixture(autouse=True)
def connection(server: LocalServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """The default connection, to the server."""
    sagemaker = {"artifact_bucket": BUCKET, "role_arn": ROLE, "name_prefix": "dev-"}
    extra = {
        "region_name": "us-east-1",
        "endpoint_url": server.endpoint_url,
        "service_config": {"sagemaker": sagemaker},
    }
    connection = {"conn_type": "aws", "login": "test", "password": "test-password", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))
    return "aws_default"


@pytest.fixture
def client() -> SageMakerClient:
    client = SageMakerPipelineHook().client
    client.s3.create_bucket(Bucket=BUCKET)
    return client


def runnable_definition(digest: str) -> dict[str, Any]:
    definition = gated_definition()
    definition["Parameters"].append({"Name": "Mode", "Type": "String", "DefaultValue": "good"})
    arguments = definition["Steps"][0]["Arguments"]
    arguments["AppSpecification"] |= {
        "ContainerEntrypoint": ["python3", "/opt/ml/processing/input/code/evaluate.py"],
        "ContainerArguments": [{"Get": "Parameters.Mode"}],
    }
    arguments["ProcessingInputs"] = [
        {
            "InputName": "code",
            "S3Input": {
                "S3Uri": f"s3://${{artifact_bucket}}/${{name_prefix}}assets/{digest}/evaluate.py",
                "LocalPath": "/opt/ml/processing/input/code",
                "S3DataType": "S3Prefix",
                "S3InputMode": "File",
                "S3DataDistributionType": "FullyReplicated",
            },
        }
    ]
    return definition


@pytest.fixture
def definition(tmp_path: Path) -> Path:
    """A compiled definition that runs."""
    return write_envelope(tmp_path, SCRIPT, IMAGE, runnable_definition)


@pytest.fixture
def version(client: SageMakerClient, definition: Path) -> int:
    """The deployed version of the definition."""
    return int(upsert(definition)["pipeline_version_id"])


def upsert(definition: Path) -> dict[str, Any]:
    task = SageMakerUpsertPipelineOperator(task_id="upsert_pipeline", definition=definition)
    result: dict[str, Any] = task.execute(context_of(TaskStateStore()))
    return result


def run(
    store: TaskStateStore, version: int, *, wait: bool = True, ti: TaskInstance | None = None, **params: Any
) -> Any:
    task = SageMakerStartPipelineExecutionOperator(
        task_id="start_pipeline",
        pipeline_name="dev-gated",
        pipeline_version_id=version,
        pipeline_params=params,
        wait_for_completion=wait,
        deferrable=False,
        check_interval=1,
    )
    return task.execute(context_of(store, ti=ti))


def branch(arn: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, dict[str, Any]]:
    task = SageMakerMetricBranchOperator(
        task_id="branch", pipeline_execution_arn=arn, accepted="score", rejected="notify"
    )
    monkeypatch.setattr(task, "do_branch", lambda _, followed: followed)
    ti = TaskInstance()
    return task.execute(context_of(TaskStateStore(), ti=ti)), ti.pushed


def test_an_accepted_execution_is_followed_to_scoring(version: int, monkeypatch: pytest.MonkeyPatch) -> None:
    followed, pushed = branch(run(TaskStateStore(), version, MseThreshold=6), monkeypatch)
    gate = pushed["gate"]
    assert (followed, gate["metric"], gate["value"], gate["threshold"]) == ("score", "mse", 4.9, 6.0)
    assert gate["report_uri"] == f"s3://{BUCKET}/dev-gated/evaluation/evaluation.json"


def test_a_wait_records_its_execution(version: int) -> None:
    ti = TaskInstance()
    arn = run(TaskStateStore(), version, ti=ti, MseThreshold=6)
    record = ExecutionRecord.read(ti.pushed["execution"])
    assert (record.pipeline_execution_arn, record.status, record.rejected) == (arn, "Succeeded", False)
    assert (record.cause, record.steps_left_out, record.parameters_left_out) == (None, 0, 0)
    assert record.parameters is not None
    assert record.parameters["MseThreshold"] == "6"
    evaluate, gate = record.steps
    assert (evaluate.type, evaluate.status, gate.type) == ("Processing", "Succeeded", "Condition")
    assert evaluate.bill is not None
    assert 0 < evaluate.bill.instance_seconds == record.instance_seconds


def test_a_rejected_execution_is_no_failure(version: int, monkeypatch: pytest.MonkeyPatch) -> None:
    ti = TaskInstance()
    arn = run(TaskStateStore(), version, ti=ti, MseThreshold=3)
    record = ExecutionRecord.read(ti.pushed["execution"])
    assert (record.status, record.rejected) == ("Failed", True)
    assert record.cause is not None
    assert (record.cause.step_name, record.cause.reason) == ("Reject", "MSE too high")
    assert branch(arn, monkeypatch)[0] == "notify"


async def fired(path: str, stored: str) -> dict[str, Any]:
    """Return what a trigger tells that Airflow's database holds."""
    module, _, name = path.rpartition(".")
    trigger = getattr(import_module(module), name)(**Trigger._decrypt_kwargs(stored))
    async for event in trigger.run():
        return dict(event.payload)
    raise AssertionError("no event")


@pytest.mark.thorough
@pytest.mark.parametrize("commit", VERSIONS)
def test_a_wait_that_an_earlier_version_deferred_is_ended_by_this_one(version: int, commit: str) -> None:
    """The trigger has the earlier version's class and arguments; only the execution is a living one."""
    arn = run(TaskStateStore(), version, wait=False, MseThreshold=3)
    path, arguments = next(
        (path, arguments)
        for path, arguments in VERSIONS[commit]["triggers"]
        if "pipeline_execution_arn" in arguments and arguments["aws_conn_id"] == "aws_default"
    )
    stored = Trigger.encrypt_kwargs(arguments | {"pipeline_execution_arn": arn, "waiter_delay": 0.1})
    event = asyncio.run(asyncio.wait_for(fired(path, stored), 300))
    ti = TaskInstance()
    wait = SageMakerPipelineExecutionSensor(task_id="wait", pipeline_exec_arn=arn, deferrable=True)
    wait.execute_complete(context_of(TaskStateStore(), ti=ti), event)
    record = ExecutionRecord.read(ti.pushed["execution"])
    assert (record.pipeline_execution_arn, record.status, record.rejected) == (arn, "Failed", True)


def test_a_broken_step_is_told_with_the_tail_of_its_log(version: int) -> None:
    with pytest.raises(ExecutionFailedError) as caught:
        run(TaskStateStore(), version, Mode="fail")
    cause = caught.value.causes[0]
    assert cause.step_name == "Evaluate"
    assert "the evaluation broke" in "\n".join(cause.log_tail)


def test_an_unchanged_definition_is_not_written_again(definition: Path, version: int) -> None:
    result = upsert(definition)
    assert (result["changed"], result["pipeline_version_id"]) == (False, version)


def test_concurrent_upserts_end_with_one_definition_and_each_pins_its_own(
    definition: Path, client: SageMakerClient
) -> None:
    document = json.loads(definition.read_text())
    paths = []
    for number in range(4):
        changed = copy.deepcopy(document)
        changed["definition"]["Parameters"][1]["DefaultValue"] = 5.0 + number
        changed["name"] = "raced"
        path = definition.with_name(f"raced{number}.json")
        path.write_text(json.dumps(changed))
        paths.append(path)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(upsert, paths))
    hashes = [
        definition_hash(
            client.deployed_definition("dev-raced", pipeline_version_id=result["pipeline_version_id"])
        )
        for result in results
    ]
    assert hashes == [result["definition_hash"] for result in results]
    assert definition_hash(client.deployed_definition("dev-raced")) in hashes
    assert len({result["pipeline_version_id"] for result in results}) == 4


def test_a_start_of_a_pinned_version_runs_it_although_another_was_deployed_since(
    definition: Path, version: int, client: SageMakerClient
) -> None:
    document = json.loads(definition.read_text())
    document["definition"]["Parameters"][1]["DefaultValue"] = 1.0
    newer = definition.with_name("newer.json")
    newer.write_text(json.dumps(document))
    assert upsert(newer)["pipeline_version_id"] != version
    ti = TaskInstance()
    run(TaskStateStore(), version, ti=ti)
    upsert(definition)
    assert not ti.pushed["execution"]["rejected"]


def test_the_same_start_twice_is_one_execution_also_when_the_answer_was_lost(
    version: int, client: SageMakerClient
) -> None:
    store = TaskStateStore()
    arn = run(store, version, wait=False)
    kept = store.get("sagemaker_pipelines.start")
    store.set("sagemaker_pipelines.start", {**kept, "pipeline_execution_arn": None, "ended": False})
    assert run(store, version, wait=False) == arn
    # As if SageMaker had forgotten the token: the description alone finds it.
    request = {**kept["request"], "ClientRequestToken": "0" * 32}
    store.set("sagemaker_pipelines.start", {**kept, "request": request, "pipeline_execution_arn": None})
    assert run(store, version, wait=False) == arn
    descriptions = [found["PipelineExecutionDescription"] for found in client.list_executions("dev-gated")]
    assert descriptions.count(kept["request"]["PipelineExecutionDescription"]) == 1
    stop_execution(client.sagemaker, arn, seconds=30, log=client.log)


def test_a_kill_stops_and_the_retry_resumes(
    version: int, client: SageMakerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sagemaker_pipelines.task.killing.KILL_SECONDS", GENEROUS_SECONDS)
    arn = run(TaskStateStore(), version, wait=False, Mode="sleep")
    store = TaskStateStore()
    killed = sensor(arn)
    killed.begin_wait(context_of(store), arn)
    until(lambda: client.list_steps(arn))
    killed.on_kill()
    assert client.describe_execution(arn)["PipelineExecutionStatus"] in {"Stopping", "Stopped"}
    sensor(arn).begin_wait(context_of(store), arn)
    assert client.describe_execution(arn)["PipelineExecutionStatus"] == "Executing"
    stop_execution(client.sagemaker, arn, seconds=30, log=client.log)
    with pytest.raises(AirflowFailException, match="somebody stopped it"):
        sensor(arn, resume_on_retry=False).execute(context_of(store))


def sensor(arn: str, **arguments: Any) -> SageMakerPipelineExecutionSensor:
    return SageMakerPipelineExecutionSensor(
        task_id="wait", pipeline_exec_arn=arn, deferrable=False, poke_interval=0.2, **arguments
    )
