"""The tasks that compare a new model with its champion, and what is refused when the DAG is parsed."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException
from airflow.serialization.serialized_objects import DagSerialization

from sagemaker_pipelines import (
    Champion,
    sagemaker_pipeline_dag,
    sagemaker_pipeline_task_group,
    sagemaker_pipeline_tasks,
)
from sagemaker_pipelines.aws.comparison import Comparison, Slice
from sagemaker_pipelines.dag.champion import LARGER_IS_BETTER, SMALLER_IS_BETTER
from sagemaker_pipelines.definition import Envelope
from stack.settings import ROOT
from tests.dags.test_declaration import ABALONE, CORE, SCORING
from tests.dags.test_values_of_a_run import gate, rendered
from tests.documents import blocks
from tests.unit.sagemaker_pipelines.samples import ARN

HOLDOUT = "s3://{artifact_bucket}/{name_prefix}abalone/data/labelled/"
COMPARISON = ABALONE.with_name("comparison.json")
GROUP = "compare_with_champion"


def champion(**values: Any) -> Champion:
    given: dict[str, Any] = {"group": "{name_prefix}abalone", "holdout": HOLDOUT, "margin": 0.1}
    return Champion(**given | values)


def made(definition: Path = ABALONE, **arguments: Any) -> Any:
    return sagemaker_pipeline_dag("made", definition=definition, **{"champion": champion()} | arguments)


def changed(tmp_path: Path, change: Any) -> Path:
    """Return the abalone definition with changed steps by name, beside the comparison's."""
    document = json.loads(ABALONE.read_text())
    steps = {step["Name"]: step for step in _steps(document["definition"]["Steps"])}
    change(steps)
    path = tmp_path / "changed.json"
    path.write_text(json.dumps(document))
    (tmp_path / "comparison.json").symlink_to(COMPARISON)
    (tmp_path / "assets").symlink_to(ABALONE.with_name("assets"))
    return path


def _steps(steps: list[Any]) -> Any:
    for step in steps:
        yield step
        for branch in ("IfSteps", "ElseSteps"):
            yield from _steps(step.get("Arguments", {}).get(branch, []))


def test_the_comparison_follows_the_gate_and_leads_to_the_approval() -> None:
    dag = made(scoring_dag="score")
    compared = {f"{GROUP}.{name}" for name in ("find_champion", *CORE, "compare_models")}
    own = {task_id for task_id in dag.task_ids if "steps." not in task_id}
    assert own == CORE | compared | {
        "check_champion",
        "branch_on_mse",
        "notify_rejected",
        "notify_awaiting_approval",
        "notify_champion_stays",
        "trigger_scoring",
    }
    branch, compare = dag.get_task("branch_on_mse"), dag.get_task(f"{GROUP}.compare_models")
    assert dag.get_task("check_champion").downstream_task_ids == {"start_pipeline"}
    assert branch.downstream_task_ids == {"notify_rejected", "trigger_scoring", f"{GROUP}.find_champion"}
    assert branch.awaiting_approval == [f"{GROUP}.find_champion"]
    assert compare.upstream_task_ids == {f"{GROUP}.find_champion", f"{GROUP}.wait_for_pipeline"}
    assert (compare.won, compare.lost) == (["notify_awaiting_approval"], ["notify_champion_stays"])
    assert DagSerialization.from_dict(DagSerialization.to_dict(dag)).task_ids


def test_the_comparison_s_parameters_come_from_its_own_tasks_alone() -> None:
    """A form of the training has fields such as PipelineVersionId, which is not that of the comparison."""
    dag = made(champion=champion(pipeline_params={"Resamples": 200}))
    start = dag.get_task(f"{GROUP}.start_pipeline")
    rule = {name: value for name, value in start.pipeline_params.items() if not hasattr(value, "task_id")}
    assert rule == {"Metric": "mse", "LargerIsBetter": "false", "Margin": 0.1, "Resamples": 200}
    required = {p.name for p in Envelope.load(COMPARISON).parameters if p.default is None}
    assert required <= set(start.pipeline_params)
    assert dag.get_task(f"{GROUP}.upsert_pipeline").pipeline_version_id is None


def test_an_execution_that_an_earlier_attempt_compared_by_is_not_read_without_a_champion() -> None:
    """Airflow keeps what the wait has pushed, when the run is cleared and the wait is skipped."""
    find, wait = f"{GROUP}.find_champion", f"{GROUP}.wait_for_pipeline"
    pushed = {("branch_on_mse", "gate"): gate(), (wait, "return_value"): ARN}
    assert rendered(made(), f"{GROUP}.compare_models", pushed).pipeline_execution_arn is None
    pushed[find, "models"] = {"Holdout": "s3://b/held.csv"}
    assert rendered(made(), f"{GROUP}.compare_models", pushed).pipeline_execution_arn == ARN


def test_a_gate_that_accepts_the_worse_models_is_refused(tmp_path: Path) -> None:
    def turn(steps: Any) -> None:
        steps["AbaloneMSECond"]["Arguments"]["Conditions"][0]["Type"] = "GreaterThan"

    with pytest.raises(ValueError, match="accepts a mse that is > its threshold, but the smaller value"):
        made(changed(tmp_path, turn))


def test_the_direction_of_every_metric_is_known() -> None:
    (metric,) = (each for each in Envelope.load(COMPARISON).parameters if each.name == "Metric")
    assert sorted(LARGER_IS_BETTER | SMALLER_IS_BETTER) == sorted(metric.enum_values or ())


def test_without_a_notifier_the_comparison_leads_nowhere() -> None:
    compare = made(notifier=None).get_task(f"{GROUP}.compare_models")
    assert (compare.won, compare.lost, compare.downstream_task_ids) == ([], [], set())


def test_a_task_group_has_a_comparison_of_its_own() -> None:
    with DAG("own", params={}) as dag:
        for name in ("one", "two"):
            sagemaker_pipeline_task_group(name, definition=ABALONE, champion=champion())
    branch: Any = dag.get_task("two.branch_on_mse")
    assert branch.awaiting_approval == [f"two.{GROUP}.find_champion"]
    find: Any = dag.get_task(f"two.{GROUP}.find_champion")
    assert find.compare == [f"two.{GROUP}.upsert_pipeline"]
    assert find.without_champion == [f"two.{GROUP}.compare_models"]
    assert dag.get_task("two.check_champion").downstream_task_ids == {"two.start_pipeline"}


def test_a_gate_that_wants_a_large_metric_makes_larger_better(tmp_path: Path) -> None:
    def turn(steps: Any) -> None:
        condition = steps["AbaloneMSECond"]["Arguments"]["Conditions"][0]
        condition["Type"] = "GreaterThan"
        condition["LeftValue"]["Std:JsonGet"]["Path"] = "binary_classification_metrics.auc.value"

    start = made(changed(tmp_path, turn)).get_task(f"{GROUP}.start_pipeline")
    assert (start.pipeline_params["Metric"], start.pipeline_params["LargerIsBetter"]) == ("auc", "true")


class TestPending:
    def test_the_form_accepts_no_other_status(self) -> None:
        field: Any = made().params.get_param("ModelApprovalStatus")
        assert (field.value, field.schema["enum"]) == ("PendingManualApproval", ["PendingManualApproval"])

    def test_registration_is_pending_whatever_the_definition_s_default(self) -> None:
        pending = made().get_task("start_pipeline").pipeline_params["ModelApprovalStatus"]
        assert pending.resolve({"params": {}}) == "PendingManualApproval"
        assert pending.resolve({"params": {"ModelApprovalStatus": "PendingManualApproval"}})

    def test_a_form_of_one_s_own_that_asks_for_approved_fails_the_start(self) -> None:
        with DAG("own", params={"ModelApprovalStatus": "Approved"}):
            tasks = sagemaker_pipeline_tasks(ABALONE, champion=champion())
        values: Any = tasks.start.pipeline_params
        with pytest.raises(AirflowFailException, match=r"expected PendingManualApproval.*Leave it out"):
            values["ModelApprovalStatus"].resolve({"params": {"ModelApprovalStatus": "Approved"}})

    @pytest.mark.parametrize("argument", ["pipeline_params", "backfill_params"])
    def test_a_dag_that_asks_for_approved_is_refused(self, argument: str) -> None:
        with pytest.raises(ValueError, match="ModelApprovalStatus is 'Approved'; expected Pending"):
            made(ABALONE, **{argument: {"ModelApprovalStatus": "Approved"}})

    def test_a_definition_that_always_approves_is_refused(self, tmp_path: Path) -> None:
        def approve(steps: Any) -> None:
            steps["AbaloneRegisterModel"]["Arguments"]["ModelApprovalStatus"] = "Approved"

        with pytest.raises(ValueError, match=r"AbaloneRegisterModel.*registers its model as 'Approved'"):
            made(changed(tmp_path, approve))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"margin": -0.1}, r"margin of the champion is -0.1; expected a number of at least 0"),
        ({"margin": float("nan")}, "margin of the champion is nan"),
        ({"margin": True}, "margin of the champion is True"),
        ({"margin": "0.1"}, "margin of the champion is '0.1'"),
        ({"holdout": "data/labelled.csv"}, "expected the S3 URI of labelled rows"),
        ({"holdout": "s3://b/{date}/"}, "has the field 'date'"),
        ({"group": "{prefix}abalone"}, "has the field 'prefix'"),
        ({"group": "abalone"}, r"registers models in the group '{name_prefix}abalone'"),
        ({"metric": "mape"}, "metric 'mape' is not one that the comparison pipeline computes"),
        ({"metric": "r2"}, "the larger value of r2, the metric to compare, is the better"),
        ({"pipeline_params": {"Rounds": 3}}, "Rounds is not a parameter of this pipeline"),
        ({"pipeline_params": {"Margin": 3}}, "Margin is not a parameter"),
        ({"pipeline_params": {"Confidence": 95}}, "Confidence is 95 .*expected at least 0.5 and at most"),
        ({"pipeline_params": {"Resamples": "many"}}, "Resamples is 'many'"),
        ({"definition": "nowhere.json"}, "nowhere.json, does not exist"),
        ({"definition": SCORING}, "has no parameter ChallengerImage, "),
    ],
)
def test_what_could_not_be_compared_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        made(champion=champion(**values))


def test_a_definition_without_a_model_or_a_gate_has_no_champion(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no RegisterModel step"):
        made(SCORING)
    with pytest.raises(ValueError, match=r"gate is False, but .* champion and approval need a gate"):
        made(gate=False)

    def equal(steps: Any) -> None:
        steps["AbaloneMSECond"]["Arguments"]["Conditions"][0]["Type"] = "Equals"

    with pytest.raises(ValueError, match="does not say whether a larger or a smaller metric is better"):
        made(changed(tmp_path, equal))


def test_the_documentation_shows_the_example_that_the_end_to_end_tests_run() -> None:
    example = (ROOT / "docs" / "examples" / "champion.py").read_text()
    assert example == blocks("champion.md", "python")[0]
    assert len(example.splitlines()) < 40


def test_the_documentation_lists_arguments_members_and_metrics() -> None:
    page = (ROOT / "docs" / "champion.md").read_text()
    (metric,) = (each for each in Envelope.load(COMPARISON).parameters if each.name == "Metric")
    members = [each.name for kind in (Champion, Comparison, Slice) for each in fields(kind)]
    for name in (*members, *(metric.enum_values or ())):
        assert f"`{name}`" in page, name


def slice_of(name: str, challenger: float | None, champion: float) -> Slice:
    return Slice(name=name, rows=3, challenger=challenger, champion=champion)


def test_the_documented_task_finds_the_slice_with_the_largest_loss() -> None:
    _, task = blocks("champion.md", "python")
    names: dict[str, Any] = {}
    exec(task, names)
    slices = [slice_of("sex=F", 5.0, 4.0), slice_of("sex=M", 5.0, 4.5), slice_of("sex=I", None, 1.0)]
    found = names["largest_loss"].function({"slices": [asdict(part) for part in slices]})
    assert found == "sex=F"
