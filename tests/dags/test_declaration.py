"""The DAG of one call."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, Asset, CronDataIntervalTimetable, DeltaDataIntervalTimetable
from airflow.serialization.serialized_objects import DagSerialization
from hypothesis import given
from hypothesis import strategies as st

from sagemaker_pipelines import (
    Partitions,
    s3_partition_asset,
    sagemaker_pipeline_dag,
    sagemaker_pipeline_task_group,
    sagemaker_pipeline_tasks,
)
from sagemaker_pipelines.dag.forms import form_params
from sagemaker_pipelines.dag.timetables import timetable_of
from sagemaker_pipelines.definition import Envelope, Parameter
from sagemaker_pipelines.exceptions import DefinitionError, SageMakerPipelinesError
from stack.settings import ROOT
from tests.documents import blocks

ABALONE = ROOT / "dags" / "definitions" / "abalone.json"
SCORING = ROOT / "dags" / "definitions" / "scoring.json"
DAILY = Partitions("s3://bucket/dt={date}/")


def made(definition: Path = ABALONE, **arguments: Any) -> Any:
    return sagemaker_pipeline_dag("made", definition=definition, **arguments)


def task_ids(dag: Any) -> set[str]:
    """Return the ids of all tasks but the mirrors, which test_mirroring.py is about."""
    return {task.task_id for task in dag.tasks if not task.task_id.startswith("steps.")}


CORE = {"upsert_pipeline", "start_pipeline", "wait_for_pipeline"}


def test_a_definition_with_a_gate_branches_and_notifies() -> None:
    assert task_ids(made()) == CORE | {"branch_on_mse", "notify_rejected", "notify_awaiting_approval"}


def test_an_argument_of_the_dag_is_refused_with_its_place() -> None:
    with pytest.raises(
        TypeError, match=r"'max_active_runs' is not an argument.*dag_options={'max_active_runs'"
    ):
        made(max_active_runs=3)


def test_the_form_belongs_to_the_dag_alone() -> None:
    dag = made(schedule="@daily", inputs={"InputData": DAILY}, default_args={"params": {"Owner": "team"}})
    assert dag.params["MseThreshold"] == 6.0
    assert dag.params["Owner"] == "team"
    # Airflow would copy and store it once for each task.
    assert not {name for task in dag.tasks for name in task.params} - {"Owner"}


@pytest.mark.parametrize("bound", [0, -1, True, "5", float("nan"), float("inf")])
def test_a_bound_that_could_never_hold_is_refused_when_the_dag_is_parsed(bound: object) -> None:
    with pytest.raises(ValueError, match=r"max_cost is .*; expected a number above 0"):
        made(max_cost=bound)


def test_the_form_shows_the_bounds_of_the_dag() -> None:
    form = made(max_instance_seconds=7200, max_cost=2.5).params
    assert (form["MaxInstanceSeconds"], form["MaxCost"]) == (7200, 2.5)
    assert made().params["MaxCost"] is None


def test_a_gate_on_a_training_metric_makes_a_branch_with_a_valid_name(tmp_path: Path) -> None:
    envelope = json.loads(ABALONE.read_text())
    steps = {step["Name"]: step for step in envelope["definition"]["Steps"]}
    condition = steps["AbaloneMSECond"]["Arguments"]["Conditions"][0]
    condition["LeftValue"] = {"Get": "Steps.AbaloneTrain.FinalMetricDataList['validation:rmse'].Value"}
    path = tmp_path / "trained.json"
    path.write_text(json.dumps(envelope))
    assert "branch_on_validation_rmse" in task_ids(made(path))


def test_a_gate_on_the_best_metric_of_a_tuning_job_has_its_threshold_in_the_form(tmp_path: Path) -> None:
    envelope = json.loads(ABALONE.read_text())
    steps = {step["Name"]: step for step in envelope["definition"]["Steps"]}
    best = "Steps.Tune.BestTrainingJob.FinalHyperParameterTuningJobObjectiveMetric.Value"
    steps["AbaloneMSECond"]["Arguments"]["Conditions"][0]["LeftValue"] = {"Get": best}
    objective = {"Type": "Minimize", "MetricName": "validation:rmse"}
    config = {"HyperParameterTuningJobObjective": objective}
    tune = {"Name": "Tune", "Type": "Tuning", "Arguments": {"HyperParameterTuningJobConfig": config}}
    envelope["definition"]["Steps"].append(tune)
    path = tmp_path / "tuned.json"
    path.write_text(json.dumps(envelope))
    dag = made(path)
    assert "branch_on_validation_rmse" in task_ids(dag)
    assert dag.params["MseThreshold"] == 6.0
    assert dag.get_task("steps.AbaloneMSECond").upstream_task_ids >= {"steps.Tune"}


def test_a_quality_check_has_its_flags_in_the_form_and_a_mirror(tmp_path: Path) -> None:
    """What a check needs of other steps is not only in its arguments."""
    envelope = json.loads(ABALONE.read_text())
    definition = envelope["definition"]
    definition["Parameters"].append({"Name": "SkipCheck", "Type": "Boolean", "DefaultValue": True})
    processing = next(step for step in definition["Steps"] if step["Name"] == "AbaloneEval")
    check = {
        "Name": "Check",
        "Type": "QualityCheck",
        "Arguments": {
            key: processing["Arguments"][key] for key in ("AppSpecification", "ProcessingResources")
        },
        "CheckType": "DATA_QUALITY",
        "SkipCheck": {"Get": "Parameters.SkipCheck"},
    }
    baseline = {"Get": "Steps.Check.CalculatedBaselineConstraints"}
    later = {**check, "Name": "Later", "SuppliedBaselineConstraints": baseline}
    definition["Steps"] += [check, later]
    path = tmp_path / "checked.json"
    path.write_text(json.dumps(envelope))
    dag = made(path)
    assert dag.params.get_param("SkipCheck").schema["type"] == "boolean"
    assert dag.params["SkipCheck"] is True
    mirror = dag.get_task("steps.Later")
    assert (mirror.operator_name, mirror.upstream_task_ids) == ("QualityCheck step", {"steps.Check"})


def test_without_a_notifier_nobody_is_told() -> None:
    dag = made(notifier=None, scoring_dag="score")
    assert task_ids(dag) == CORE | {"branch_on_mse", "trigger_scoring"}
    assert dag.get_task("start_pipeline").on_failure_callback in (None, [], ())


def test_without_the_gate_the_wait_is_the_end() -> None:
    assert task_ids(made(SCORING, gate=False)) == CORE


def test_partitions_are_selected_before_the_start() -> None:
    dag = made(inputs={"InputData": DAILY}, outputs={"OutputPrefix": Partitions("s3://bucket/{date}")})
    assert dag.get_task("select_inputs").downstream_task_ids == {"start_pipeline"}
    assert dag.get_task("start_pipeline").pipeline_params["InputData"].task_id == "select_inputs"
    assert {"IntervalStart", "IntervalEnd"} <= set(dag.params)


def test_a_run_that_watched_assets_make_reads_what_is_new() -> None:
    data = s3_partition_asset("rows", uri_prefix="s3://bucket/rows/")
    other = Asset("other")
    dag = made(schedule=data & other, inputs={"InputData": DAILY})
    select_events = dag.get_task("select_events")
    assert select_events.assets == [data]
    assert select_events.downstream_task_ids == {"select_inputs", "start_pipeline"}
    assert dag.max_active_runs == 1
    assert task_ids(made(gate=False, schedule=[data])) == CORE | {"select_events"}
    assert made(schedule=[data], dag_options={"max_active_runs": 3}).max_active_runs == 3
    # What no trigger watches comes once.
    assert "select_events" not in task_ids(made(schedule=[other]))


def test_a_default_of_the_definition_does_not_stand_in_for_an_interval() -> None:
    with (
        DAG("mine", schedule=None, params={"InputData": "s3://bucket/rows/"}),
        pytest.raises(ValueError, match="The form fills in InputData with 's3://bucket/rows/'"),
    ):
        sagemaker_pipeline_tasks(ABALONE, inputs={"InputData": DAILY})
    parameters = (Parameter("InputData", "String", "s3://bucket/rows/"),)
    with DAG("mine", schedule=None, params=form_params(parameters, by_interval=["InputData"])):
        start = sagemaker_pipeline_tasks(ABALONE, inputs={"InputData": DAILY}).start
    assert start.empty_is_default == ["InputData"]


def test_it_can_be_taken_apart() -> None:
    with DAG("mine", schedule=None) as dag:
        tasks = sagemaker_pipeline_tasks(ABALONE, scoring_dag="score")
    assert tasks.last is tasks.branch
    assert tasks.branch is not None
    assert tasks.branch.upstream_task_ids == {"wait_for_pipeline"}
    assert task_ids(dag) >= CORE | {"trigger_scoring"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"inputs": {"Input": DAILY}},
            "'Input' is not a parameter of the definition 'abalone'; expected one of Batch",
        ),
        (
            {
                "inputs": {
                    "InputData": Partitions("s3://bucket/dt={date}/", manifest="s3://bucket/manifests/")
                }
            },
            "reads InputData as S3Prefix, but its partitions would be a ManifestFile. Leave out manifest=",
        ),
        ({"backfill_params": {"Register": "false"}}, "'Register' is not a parameter"),
        ({"gate": "Nothing"}, "no Condition step 'Nothing'"),
        ({"gate": False, "scoring_dag": "score"}, "gate is False"),
        ({"data_parameters": ["Rows"]}, "'Rows' is not a parameter"),
    ],
)
def test_what_does_not_fit_the_definition_is_refused_with_what_would(
    arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        made(**arguments)


def test_a_text_or_a_delta_gets_data_intervals_and_the_rest_stays() -> None:
    cron = timetable_of("@daily", "Europe/Berlin")
    assert isinstance(cron, CronDataIntervalTimetable)
    assert isinstance(timetable_of(timedelta(hours=6)), DeltaDataIntervalTimetable)
    asset = [Asset("rows")]
    assert timetable_of(asset) is asset
    assert timetable_of(None) is None


@pytest.mark.parametrize(("schedule", "active"), [("@once", 16), ("@continuous", 1)])
def test_the_names_of_airflows_other_schedules_are_not_read_as_a_cron_text(
    schedule: str, active: int
) -> None:
    dag = made(schedule=schedule, start_date=datetime(2026, 1, 1, tzinfo=UTC))
    stored = DagSerialization.from_dict(DagSerialization.to_dict(dag))
    stored.timetable.validate()
    assert (stored.timetable.summary, stored.max_active_runs) == (schedule, active)


CHURN = ROOT / "tests" / "projects" / "sdk_v2" / "churn.json"


def test_a_plain_definition_makes_the_same_kind_of_dag() -> None:
    dag = made(CHURN)
    assert task_ids(dag) == CORE | {"branch_on_auc", "notify_rejected", "notify_awaiting_approval"}
    assert dag.params.get_param("AucThreshold").value == 0.75
    assert dag.tags == {"churn"}
    with DAG("mine", schedule=None, params=form_params(Envelope.load(CHURN).parameters)) as mine:
        sagemaker_pipeline_task_group("train", definition=CHURN, pipeline_name="Churn-2024")
    upsert: Any = mine.get_task("train.upsert_pipeline")
    assert upsert.pipeline_name == "Churn-2024"


def test_a_name_that_sagemaker_would_refuse_is_refused_when_the_dag_is_parsed(tmp_path: Path) -> None:
    path = tmp_path / "{{ name }}.json"
    path.write_text(CHURN.read_text())
    with pytest.raises(DefinitionError, match="give another name with pipeline_name"):
        made(path)
    assert task_ids(made(path, pipeline_name="churn")) >= CORE
    with pytest.raises(ValueError, match=r"pipeline_name is '\{\{ name \}\}'"):
        made(path, pipeline_name="{{ name }}")


def test_a_description_is_never_the_path_of_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret.md"
    secret.write_text("secret")
    path = tmp_path / "churn.json"
    path.write_text(json.dumps({"PipelineDefinition": CHURN.read_text(), "PipelineDescription": str(secret)}))
    assert made(path).doc_md == f"{secret}\n"


@given(data=st.data())
def test_a_broken_definition_is_refused_with_an_error_of_ours(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever is in a file, parsing the DAG ends in a DAG or in an error that says what is wrong."""
    document = json.loads(CHURN.read_text())
    places = list(_places(document))
    holder, key = data.draw(st.sampled_from(places))
    holder[key] = data.draw(
        st.sampled_from([None, 1, "", "text", [], {}, [1], [{}], {"Get": 1}, {"Get": "Steps."}, True])
    )
    path = tmp_path_factory.getbasetemp() / "broken.json"
    path.write_text(json.dumps(document))
    with contextlib.suppress(SageMakerPipelinesError, ValueError):
        made(path)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every list or object in a document, with each of its indexes or keys."""
    if isinstance(value, list | dict):
        for key, item in enumerate(value) if isinstance(value, list) else value.items():
            yield value, key
            yield from _places(item)


def test_the_documented_partitions_are_inputs_of_a_dag() -> None:
    names: dict[str, Any] = {"Partitions": Partitions}
    daily, manifest = blocks("intervals.md", "python")
    exec(daily, names)
    dag = sagemaker_pipeline_dag("daily", definition=ABALONE, schedule="@daily", inputs=names["inputs"])
    assert "select_inputs" in dag.task_ids
    exec(manifest, names)
    assert names["inputs"]["Rows"].manifest == names["manifests"]


def test_the_documented_example_is_a_dag() -> None:
    (code,) = blocks("first_pipeline.md", "python")
    assert len(code.splitlines()) <= 16
    names: dict[str, Any] = {"__file__": str(ROOT / "dags" / "example.py")}
    exec(compile(code, "first_pipeline.md", "exec"), names)
    (dag,) = [value for value in names.values() if isinstance(value, DAG)]
    assert task_ids(dag) >= CORE
    assert dag.start_date == datetime(2026, 1, 1, tzinfo=UTC)
