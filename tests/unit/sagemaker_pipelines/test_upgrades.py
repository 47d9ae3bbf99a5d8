"""What an earlier version left in Airflow's database is taken up by this one.

``upgrades/<commit>.json`` was written by that commit's own code, see ``upgrades/write.py``.
"""

from __future__ import annotations

import json
import logging
from importlib import import_module
from pathlib import Path
from typing import Any

import jinja2
import pytest
from airflow.sdk.exceptions import AirflowSensorTimeout

from sagemaker_pipelines.cli.backfills import XCOM_KEYS
from sagemaker_pipelines.dag.declaration import sagemaker_pipeline_dag
from sagemaker_pipelines.data.partitions import Partitions
from sagemaker_pipelines.sensors.pipeline import SageMakerPipelineExecutionSensor
from sagemaker_pipelines.task.logical_start import LogicalStart
from sagemaker_pipelines.task.records import StartRecord, WaitRecord, Witness
from sagemaker_pipelines.task.starting import StartAttempt
from tests.unit.sagemaker_pipelines.event_messages import s3_notification
from tests.unit.sagemaker_pipelines.operators.test_events import select
from tests.unit.sagemaker_pipelines.samples import TaskStateStore, context_of

HERE = Path(__file__).parent
DEFINITION = HERE.parents[2] / "dags" / "definitions" / "abalone.json"
VERSIONS = {path.stem: json.loads(path.read_text()) for path in sorted((HERE / "upgrades").glob("*.json"))}
RECORDS = {record.KEY: record for record in (StartRecord, WaitRecord)}


def written(part: str) -> list[Any]:
    """Return one part of what every version wrote, as parameters of a test."""
    return [
        pytest.param(item, id=f"{version}-{number}")
        for version, found in VERSIONS.items()
        for number, item in enumerate(found[part])
    ]


def runs() -> list[Any]:
    return [
        pytest.param(run, id=f"{version}-{name}")
        for version, found in VERSIONS.items()
        for name, run in found["runs"].items()
    ]


@pytest.mark.parametrize("stored", written("triggers"))
def test_a_deferred_task_finds_its_trigger_with_its_arguments(stored: tuple[str, dict[str, Any]]) -> None:
    """As Airflow does it: by the class path, with the stored arguments as keywords."""
    path, arguments = stored
    module, _, name = path.rpartition(".")
    trigger = getattr(import_module(module), name)(**arguments)
    again, now = trigger.serialize()
    assert again == path
    assert {key: now[key] for key in arguments} == arguments
    # And that version's triggerer finds it after a rollback, or while workers are upgraded first.
    assert set(now) <= set(arguments)


def test_the_ledger_of_events_has_the_keys_of_every_version() -> None:
    """Under another name, events that were handled before an upgrade would train again."""
    store = TaskStateStore()
    select(store, s3_notification(), dag_id="train")
    assert set(store.kept) == {"sagemaker_pipelines.events/train", "sagemaker_pipelines.events/train/through"}


@pytest.mark.parametrize("event", written("trigger_events"))
def test_a_wait_goes_on_with_what_its_trigger_told_before_the_upgrade(
    event: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    wait = SageMakerPipelineExecutionSensor(task_id="wait", pipeline_exec_arn="", deferrable=True)
    judged = []
    monkeypatch.setattr(wait, "judge", lambda context, arn: judged.append(arn))
    monkeypatch.setattr(wait, "publish", lambda context, arn: None)
    if event["event"] == "ended":
        arn = wait.execute_complete(context_of(TaskStateStore()), event)
        assert [arn] == judged == [event["pipeline_execution_arn"]]
        return
    expected = AirflowSensorTimeout if event["event"] == "timeout" else Exception
    with pytest.raises(expected, match=event["pipeline_execution_arn"]):
        wait.execute_complete(context_of(TaskStateStore()), event)


def stored_records() -> list[Any]:
    of_runs = [
        pytest.param([key, value], id=f"{version}-{name}-{task}-{key}")
        for version, found in VERSIONS.items()
        for name, run in found["runs"].items()
        for task, key, value in run["records"]
    ]
    return written("records") + of_runs


@pytest.mark.parametrize("stored", stored_records())
@pytest.mark.parametrize("later", [{}, {"added_later": 1}], ids=["as-written", "with-later-fields"])
def test_a_record_is_read_whatever_a_later_version_added_to_it(
    stored: tuple[str, dict[str, Any]], later: dict[str, Any]
) -> None:
    """Fields of a later version are there after a rollback, and while workers of both versions run."""
    key, value = stored
    store = TaskStateStore()
    store.set(key, {**value, **later, "witness": {**value["witness"], **later}})
    loaded = RECORDS[key].load(context_of(store))
    assert loaded is not None
    assert loaded.witness == Witness(**value["witness"])
    assert {name: getattr(loaded, name) for name in value if name != "witness"} == {
        name: value[name] for name in value if name != "witness"
    }


@pytest.mark.parametrize("run", runs())
def test_a_retried_start_finds_the_execution_of_the_earlier_version(run: dict[str, Any]) -> None:
    """No second execution is paid for: the start knows the ARN, and sends and describes what it did then."""
    ((key, stored),) = [(key, value) for _, key, value in run["records"] if key == StartRecord.KEY]
    store = TaskStateStore()
    store.set(key, stored)
    witness = stored["witness"]
    context = context_of(store, max_tries=witness["max_tries"], clear_number=witness["clear_number"])
    attempt = StartAttempt(context, None, logging.getLogger(__name__))  # type: ignore[arg-type] # calls nothing
    attempt.prepare(lambda start: pytest.fail("a new start was begun"))
    assert attempt.is_retry
    assert attempt.send() == stored["pipeline_execution_arn"]
    assert attempt.record is not None
    assert attempt.record.request == stored["request"]
    start = LogicalStart.parse(stored["request"]["PipelineExecutionDescription"])
    assert start is not None
    assert (start.run_id, start.generation) == (run["run_id"], stored["generation"])
    assert start.token == stored["request"]["ClientRequestToken"]


@pytest.mark.parametrize("run", runs())
def test_the_tasks_of_a_run_read_what_the_earlier_version_pushed(run: dict[str, Any]) -> None:
    """A run that is half done during the upgrade goes on: every template renders from the old XComs."""
    pushed = {(task, key): value for task, key, value in run["xcoms"]}
    assert {key for _, key in pushed} >= XCOM_KEYS - {"execution", "gate"}
    asked = set()

    class Instance:
        dag_id = task_id = log_url = ""

        def xcom_pull(self, task_ids: str, key: str = "return_value", **options: Any) -> Any:
            asked.add(task_ids)
            return pushed.get((task_ids, key), options.get("default"))

    where = Partitions("s3://{artifact_bucket}/dt={date}/")
    dag = sagemaker_pipeline_dag(
        "abalone_train",
        definition=DEFINITION,
        inputs={"InputData": where},
        result=where,
        scoring_dag="abalone_score",
    )
    dag_run = type("DagRun", (), {"run_id": run["run_id"], "conf": {}})
    params = {name: dag.params[name] for name in dag.params}
    context: Any = {
        "dag": dag,
        "ti": Instance(),
        "params": params,
        "dag_run": dag_run,
        "run_id": run["run_id"],
    }
    strict = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)
    for task in dag.tasks:
        rendered = {
            field: task.render_template(getattr(task, field), context, strict)
            for field in task.template_fields
        }
        if notifier := getattr(task, "notifier", None):
            text = strict.from_string(notifier.subject + notifier.message)
            text.render({**context, "values": rendered["values"]})
    assert asked == {
        "upsert_pipeline",
        "select_inputs",
        "start_pipeline",
        "wait_for_pipeline",
        "branch_on_mse",
    }
