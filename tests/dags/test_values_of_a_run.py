"""What the declared tasks take from their run: by any name, from any folder, in any task group."""

from __future__ import annotations

import json
import traceback
from collections.abc import Mapping
from copy import copy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG, Asset, task_group
from airflow.serialization.serialized_objects import DagSerialization
from hypothesis import given, settings
from hypothesis import strategies as st

from sagemaker_pipelines import (
    Envelope,
    Partitions,
    SageMakerSnsNotifier,
    form_params,
    sagemaker_pipeline_dag,
    sagemaker_pipeline_task_group,
    task_value,
)
from sagemaker_pipelines.aws.client import SageMakerClient
from sagemaker_pipelines.aws.record import ExecutionRecord
from sagemaker_pipelines.aws.steps import Step
from sagemaker_pipelines.dag.forms import RUN_FIELDS
from sagemaker_pipelines.definition.limits import PARAMETER_NAME
from sagemaker_pipelines.exceptions import ParameterError
from sagemaker_pipelines.task.logical_start import LogicalStart
from stack.settings import ROOT
from tests.documents import blocks
from tests.unit.sagemaker_pipelines.samples import ARN, gated_definition

THRESHOLD = {"Name": "MseThreshold", "Type": "Float", "DefaultValue": 6.0}
NAMES = st.one_of(
    st.sampled_from(["s3-in", "2nd", "items", "values", "get", "None", "-", "__class__"]),
    st.from_regex(PARAMETER_NAME, fullmatch=True),
)


def envelope_file(folder: Path, *parameters: Mapping[str, Any], name: str = "gated") -> Path:
    """Write a compiled definition that has a gate, and also these parameters."""
    definition = gated_definition()
    definition["Parameters"] = [*parameters, THRESHOLD]
    definition["Steps"][0]["Arguments"]["ProcessingResources"]["ClusterConfig"]["InstanceCount"] = 1
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.json"
    document = {
        "envelope_version": 1,
        "name": name,
        "description": "Evaluate and gate.",
        "definition": definition,
        "images": {"sklearn": {"us-east-1": "1.dkr.ecr.us-east-1.amazonaws.com/sklearn:1.9-0"}},
        "assets": [],
        "placeholders": ["artifact_bucket", "image:sklearn", "name_prefix", "role_arn"],
    }
    path.write_text(json.dumps(document))
    return path


class Xcoms:
    """A task instance that can pull what the tasks before it have pushed."""

    dag_id = task_id = "x"
    log_url = "http://airflow/log"

    def __init__(self, values: Mapping[tuple[str, str], Any]) -> None:
        self._values = values

    def xcom_pull(self, task_ids: str, key: str = "return_value", default: Any = None, **_: Any) -> Any:
        return self._values.get((task_ids, key), default)


def rendered(dag: DAG, task_id: str, xcoms: Mapping[tuple[str, str], Any] | None = None, **conf: Any) -> Any:
    """Return a task whose fields Airflow has rendered for a manual run with this conf."""
    task = copy(dag.get_task(task_id))
    context: Any = {
        "dag": dag,
        "task": task,
        "ti": Xcoms(xcoms or {}),
        "params": {**dag.params.dump(), **conf},
        "dag_run": SimpleNamespace(run_id="manual__1", conf=conf),
    }
    task.render_template_fields(context)
    return task


def gate(metric: str = "mse", **more: Any) -> dict[str, Any]:
    """What the branch has pushed."""
    return {"metric": metric, "value": 4.5, "threshold": 3.0, **more}


def deployed(group: str = "") -> dict[tuple[str, str], Any]:
    """What the tasks before the gate have pushed; those of a group have its execution."""
    return {
        (f"{group}upsert_pipeline", "return_value"): {"pipeline_name": "p", "pipeline_version_id": 7},
        (f"{group}select_inputs", "return_value"): {"InputData": "s3://b/1/", "result_uri": "s3://b/r"},
        (f"{group}start_pipeline", "return_value"): f"{ARN}-{group}",
        (f"{group}wait_for_pipeline", "execution"): {
            "cause": {"reason": "{{ 7 * 7 }}"},
            "instance_seconds": 7,
        },
        (f"{group}branch_on_mse", "gate"): gate(model_package_arn=f"package-{group}"),
    }


@settings(max_examples=60, deadline=None)
@given(name=NAMES.filter(lambda name: name not in (*RUN_FIELDS, "MseThreshold")), value=st.text(max_size=20))
def test_a_parameter_of_any_name_gets_what_the_form_says(
    tmp_path_factory: pytest.TempPathFactory, name: str, value: str
) -> None:
    path = envelope_file(tmp_path_factory.mktemp("names"), {"Name": name, "Type": "String"})
    dag = sagemaker_pipeline_dag("names", definition=path)
    start = rendered(dag, "start_pipeline", deployed(), **{name: value})
    assert start.pipeline_params == {name: value, "MseThreshold": 6.0}


@pytest.mark.parametrize("name", RUN_FIELDS)
def test_a_parameter_with_the_name_of_a_field_of_the_run_is_refused_by_name(
    tmp_path: Path, name: str
) -> None:
    path = envelope_file(tmp_path, {"Name": name, "Type": "String", "DefaultValue": "d"})
    with pytest.raises(ValueError, match=f"has a parameter '{name}'.*pipeline_params={{'{name}': ...}}"):
        sagemaker_pipeline_dag("hidden", definition=path)
    dag = sagemaker_pipeline_dag("given", definition=path, pipeline_params={name: "mine"})
    assert rendered(dag, "start_pipeline", deployed()).pipeline_params[name] == "mine"


@pytest.mark.parametrize("folder", ["it's", "{{ 7 * 7 }}", "{% if %}"])
def test_the_path_of_a_dag_folder_is_not_code(tmp_path: Path, folder: str) -> None:
    path = envelope_file(tmp_path / folder)
    dag = sagemaker_pipeline_dag("folder", definition=path)
    assert rendered(dag, "start_pipeline", deployed()).definition == str(path)
    assert rendered(dag, "upsert_pipeline").definition == path
    assert rendered(dag, "start_pipeline", deployed(), PipelineVersionId=3).definition == ""


def test_a_value_for_backfills_may_have_an_apostrophe_and_a_type(tmp_path: Path) -> None:
    path = envelope_file(tmp_path, {"Name": "Note", "Type": "String", "DefaultValue": "d"})
    values = {"Note": "it's", "MseThreshold": 1.5}
    dag = sagemaker_pipeline_dag("backfilled", definition=path, backfill_params=values)
    assert rendered(dag, "start_pipeline", deployed()).backfill_params == values


def test_the_serialized_dag_is_the_same_at_each_parse(tmp_path: Path) -> None:
    path = envelope_file(tmp_path, {"Name": "InputData", "Type": "String"})

    def parsed() -> str:
        data = Partitions("s3://b/{date}/")
        dag = sagemaker_pipeline_dag("same", definition=path, inputs={"InputData": data}, scoring_dag="score")
        return json.dumps(DagSerialization.to_dict(dag)["dag"]["tasks"], default=str)

    assert parsed() == parsed()
    assert " at 0x" not in parsed()


def two_groups(tmp_path: Path) -> DAG:
    """A DAG that runs two definitions, each with partitions, a result, notifications and scoring."""
    data = {"Name": "InputData", "Type": "String"}
    with DAG("two", schedule=None) as dag:
        first, second = (
            sagemaker_pipeline_task_group(
                name,
                definition=envelope_file(tmp_path, data, name=name),
                inputs={"InputData": Partitions("s3://b/{date}/")},
                result=Partitions("s3://b/r/{date}"),
                scoring_dag="score",
            )
            for name in ("first", "second")
        )
        first >> second
    return dag


def test_the_tasks_of_two_groups_in_one_dag_read_their_own_execution(tmp_path: Path) -> None:
    dag = two_groups(tmp_path)
    xcoms = deployed("first.") | deployed("second.")
    for group in ("first.", "second."):
        start = rendered(dag, f"{group}start_pipeline", xcoms)
        assert (start.pipeline_name, start.pipeline_params["InputData"]) == ("p", "s3://b/1/")
        arn = f"{ARN}-{group}"
        assert rendered(dag, f"{group}wait_for_pipeline", xcoms).pipeline_exec_arn == arn
        branch = rendered(dag, f"{group}branch_on_mse", xcoms)
        assert (branch.pipeline_execution_arn, branch.result_uri) == (arn, "s3://b/r")
        assert (branch.accepted, branch.rejected) == (
            [f"{group}trigger_scoring"],
            [f"{group}notify_rejected"],
        )
        scoring = rendered(dag, f"{group}trigger_scoring", xcoms)
        assert scoring.trigger_run_id == f"two__{arn.rpartition('/')[2]}"
        assert scoring.conf == {"ModelPackageArn": f"package-{group}"}


def test_a_groups_tasks_have_the_edges_of_the_dag_of_one_call(tmp_path: Path) -> None:
    dag = two_groups(tmp_path)
    whole = sagemaker_pipeline_dag(
        "whole",
        definition=tmp_path / "first.json",
        inputs={"InputData": Partitions("s3://b/{date}/")},
        result=Partitions("s3://b/r/{date}"),
        scoring_dag="score",
    )
    for task in whole.tasks:
        grouped = dag.get_task(f"first.{task.task_id}").downstream_task_ids
        assert {f"first.{name}" for name in task.downstream_task_ids} == {
            name for name in grouped if name.startswith("first.")
        }


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The messages that notifiers send."""
    messages: list[str] = []
    monkeypatch.setattr(SageMakerSnsNotifier, "notify", lambda self, _: messages.append(self.message))
    return messages


def test_a_groups_notifications_tell_of_its_own_execution(tmp_path: Path, sent: list[str]) -> None:
    dag = two_groups(tmp_path)
    xcoms = deployed("first.") | deployed("second.")
    rejected = rendered(dag, "second.notify_rejected", xcoms)
    context: Any = {
        "dag": dag,
        "task": rejected,
        "ti": Xcoms(xcoms),
        "dag_run": SimpleNamespace(run_id="manual__1"),
        "exception": "too bad",
    }
    rejected.execute(context)
    assert sent[0].startswith("second rejected: MSE 4.5, threshold 3. {{ 7 * 7 }}\n")
    assert f"Execution: {ARN}-second.\n" in sent[0]
    (on_failure,) = rejected.on_failure_callback
    on_failure(context)
    assert f"Execution: {ARN}-second.\n" in sent[1]


def fail(dag: DAG, task_id: str, ti: Xcoms, exception: str) -> None:
    """Let a task fail, as Airflow tells its callback."""
    task: Any = dag.get_task(task_id)
    (on_failure,) = task.on_failure_callback
    run = SimpleNamespace(run_id=f"run of {task_id}")
    on_failure({"dag": dag, "task": task, "ti": ti, "dag_run": run, "exception": exception})


def test_each_failure_sends_its_own_text_and_never_renders_one_twice(tmp_path: Path, sent: list[str]) -> None:
    dag = sagemaker_pipeline_dag("failing", definition=envelope_file(tmp_path))
    for task_id, reason in (("start_pipeline", "{{ 7 * 7 }}"), ("wait_for_pipeline", "another")):
        fail(dag, task_id, Xcoms({}), reason)
    first, second = sent
    assert first.startswith("failing failed in x: {{ 7 * 7 }}\n\nRun: run of start_pipeline\n")
    assert second.startswith("failing failed in x: another\n\nRun: run of wait_for_pipeline\n")
    # What cannot be found out keeps no notification back.
    assert "Execution: unknown\n" in first


class MappedXcoms(Xcoms):
    """A task instance of a mapped task group, whose start has pushed one value in each instance."""

    def __init__(self, map_index: int) -> None:
        super().__init__({})
        self.map_index = map_index

    def get_relevant_upstream_map_indexes(self, **_: Any) -> int:
        return self.map_index

    def xcom_pull(
        self, task_ids: str, key: str = "", default: Any = None, map_indexes: Any = None, **_: Any
    ) -> Any:
        if task_ids != "each.train.start_pipeline":
            assert (task_ids, key) == ("each.train.wait_for_pipeline", "execution")
            return None
        pushed = [f"{ARN}-{index}" for index in range(3)]
        return pushed[map_indexes] if isinstance(map_indexes, int) else pushed


def test_a_failure_in_a_mapped_task_group_tells_of_its_own_instance(tmp_path: Path, sent: list[str]) -> None:
    path = envelope_file(tmp_path)
    with DAG("mapped", schedule=None) as dag:

        @task_group
        def each(number: int) -> None:
            sagemaker_pipeline_task_group("train", definition=path)

        each.expand(number=[0, 1, 2])
    fail(dag, "each.train.wait_for_pipeline", MappedXcoms(1), "bad")
    assert f"Execution: {ARN}-1\n" in sent[0]


def test_the_name_and_the_metric_of_a_definition_are_not_code(tmp_path: Path) -> None:
    path = envelope_file(tmp_path, name="it's {{ 7 * 7 }}")
    path.write_text(path.read_text().replace("regression_metrics.mse.value", "metrics['{{ 7.5 }}'].value"))
    dag = sagemaker_pipeline_dag("odd", definition=path)
    (branch,) = (task for task in dag.tasks if task.task_id.startswith("branch_on"))
    assert branch.task_id == "branch_on_7_5"
    xcoms = deployed() | {(branch.task_id, "gate"): gate("{{ 7.5 }}")}
    values = rendered(dag, "notify_rejected", xcoms).values
    assert (values["name"], values["gate"]["metric"]) == ("it's {{ 7 * 7 }}", "{{ 7.5 }}")
    assert rendered(dag, branch.task_id, xcoms).condition_step == "Gate"


@pytest.mark.parametrize(
    ("arguments", "seen"),
    [({"entry": "InputData"}, "'InputData'"), ({"key": "metric"}, "'metric'"), ({}, "'return_value'")],
)
def test_a_value_that_no_task_has_pushed_is_an_error_unless_another_stands_in(
    tmp_path: Path, arguments: dict[str, Any], seen: str
) -> None:
    dag = sagemaker_pipeline_dag("without", definition=envelope_file(tmp_path))
    context: Any = {"dag": dag, "ti": Xcoms({})}
    with pytest.raises(ValueError, match=f"'upsert_pipeline' has not pushed {seen}.*Clear that task"):
        task_value("upsert_pipeline", **arguments).resolve(context)
    assert task_value("upsert_pipeline", otherwise="", **arguments).resolve(context) == ""


def test_a_group_without_a_form_takes_the_defaults(tmp_path: Path) -> None:
    with DAG("bare", schedule=None) as dag:
        sagemaker_pipeline_task_group("train", definition=envelope_file(tmp_path))
    assert rendered(dag, "train.start_pipeline", deployed("train.")).pipeline_params == {"MseThreshold": None}


def test_a_parameter_that_nothing_could_give_a_value_is_named_when_the_dag_is_parsed(tmp_path: Path) -> None:
    path = envelope_file(tmp_path, {"Name": "Wanted", "Type": "String"})
    with (
        DAG("bare", schedule=None),
        pytest.raises(
            ValueError, match=r"'Wanted' of the definition 'gated' has no default.*pipeline_params"
        ),
    ):
        sagemaker_pipeline_task_group("train", definition=path)


def test_a_schedule_needs_a_value_for_each_parameter_and_names_what_has_none(tmp_path: Path) -> None:
    path = envelope_file(tmp_path, {"Name": "Wanted", "Type": "String"}, {"Name": "Also", "Type": "Integer"})
    with pytest.raises(ValueError, match=r"no valid value for Also.*pipeline_params={'Also': ...}"):
        sagemaker_pipeline_dag(
            "daily", definition=path, schedule="@daily", pipeline_params={"Wanted": "{{ ds }}"}
        )
    dag = sagemaker_pipeline_dag(
        "daily", definition=path, schedule="@daily", pipeline_params={"Wanted": "here", "Also": 1}
    )
    start = rendered(dag, "start_pipeline", deployed())
    assert start.pipeline_params == {"Wanted": "here", "Also": 1, "MseThreshold": 6.0}


@pytest.mark.parametrize("schedule", ["@daily", [Asset("rows")]])
def test_airflow_names_the_field_that_a_schedule_leaves_open_in_ones_own_form_and_the_cure(
    tmp_path: Path, schedule: Any
) -> None:
    path = envelope_file(tmp_path, {"Name": "Wanted", "Type": "String"})
    form = form_params(Envelope.load(path).parameters)
    with pytest.raises(ValueError, match="required params") as refused:
        DAG("own", schedule=schedule, params=form)
    shown = "".join(traceback.format_exception(refused.value, limit=-2))
    assert "Invalid input for param Wanted" in shown
    # Python's own printer may break the line anywhere.
    letters = "".join(character for character in shown if character.isalnum())
    assert "pipelineparamsWantedandcreatetheformwithformparamssetelsewhereWanted" in letters
    # It is still a form: a run without a schedule may be given the value, and needs one.
    assert form["Wanted"].resolve("here") == "here"
    assert DagSerialization.to_dict(DAG("own", schedule=None, params=form))


@pytest.mark.parametrize("schedule", ["@daily", [Asset("rows")], None])
def test_ones_own_form_leaves_open_what_the_dag_gives(tmp_path: Path, schedule: Any) -> None:
    path = envelope_file(tmp_path, {"Name": "Wanted", "Type": "String"})
    form = form_params(Envelope.load(path).parameters, set_elsewhere=["Wanted"])
    with DAG("own", schedule=schedule, params=form) as dag:
        sagemaker_pipeline_task_group("train", definition=path, pipeline_params={"Wanted": "here"})
    start = rendered(dag, "train.start_pipeline", deployed("train."))
    assert start.pipeline_params["Wanted"] == "here"


START = LogicalStart(dag_id="d", run_id="r", task_id="t", map_index=-1, generation="0" * 32)


@pytest.fixture
def version_without(monkeypatch: pytest.MonkeyPatch) -> None:
    """A deployed version from before the definition had any parameter but the threshold."""
    older = {"Version": "2020-12-01", "Parameters": [THRESHOLD | {"DefaultValue": 5.0}], "Steps": []}
    monkeypatch.setattr(SageMakerClient, "deployed_definition", lambda *_, **__: older)


def sent_to_version(dag: DAG, **conf: Any) -> dict[str, str]:
    """Return the values that a run of version 3 sends to SageMaker."""
    start = rendered(dag, "start_pipeline", deployed(), PipelineVersionId=3, **conf)
    return {item["Name"]: item["Value"] for item in start._inputs().request(START)["PipelineParameters"]}


@pytest.mark.usefixtures("version_without")
def test_a_pinned_version_is_not_sent_what_it_does_not_know_unless_somebody_chose_it(tmp_path: Path) -> None:
    added = {"Name": "Added", "Type": "Integer", "DefaultValue": 3}
    late = {"Name": "Late", "Type": "String", "DefaultValue": "s3://${artifact_bucket}/late"}
    path = envelope_file(tmp_path, added, late)
    dag = sagemaker_pipeline_dag("pinned", definition=path, data_parameters=["Late"])
    assert sent_to_version(dag) == {"MseThreshold": "6.0"}
    # The browser's form sends each of its fields.
    assert sent_to_version(dag, Added=3, Late=None, MseThreshold=7) == {"MseThreshold": "7"}
    with pytest.raises(ParameterError, match="Added"):
        sent_to_version(dag, Added=4)
    with pytest.raises(ParameterError, match="Late"):
        sent_to_version(dag, Late="s3://b/late")


@pytest.mark.usefixtures("version_without")
def test_what_the_dag_or_the_interval_chose_is_never_left_out(tmp_path: Path) -> None:
    data = {"Name": "InputData", "Type": "String", "DefaultValue": "s3://b/all/"}
    path = envelope_file(tmp_path, data)
    by_dag = sagemaker_pipeline_dag("by_dag", definition=path, pipeline_params={"InputData": "s3://b/all/"})
    by_interval = sagemaker_pipeline_dag(
        "by_interval", definition=path, inputs={"InputData": Partitions("s3://b/{date}/")}
    )
    for dag in (by_dag, by_interval):
        with pytest.raises(ParameterError, match="InputData"):
            sent_to_version(dag)


def test_the_example_in_the_documentation_reads_the_record(monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = blocks("record.md", "python")
    monkeypatch.chdir(ROOT / "dags")
    names: dict[str, Any] = {}
    start = datetime(2026, 1, 1, tzinfo=UTC)
    exec(compile(example, "record.md", "exec"), names)
    steps = [
        Step(name=name, status="Succeeded", started=start, ended=start + timedelta(seconds=seconds))
        for name, seconds in (("Prepare", 3), ("Train", 7))
    ]
    record = ExecutionRecord(pipeline_execution_arn=ARN, status="Succeeded", steps=tuple(steps)).as_dict()
    report = rendered(names["dag"], "longest_steps", {("wait_for_pipeline", "execution"): record})
    assert report.python_callable(*report.op_args) == ["Train", "Prepare"]
    assert report.upstream_task_ids == {"wait_for_pipeline"}
