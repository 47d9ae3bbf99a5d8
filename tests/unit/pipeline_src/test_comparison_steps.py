from __future__ import annotations

import json
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from feature_transform import BadDataError, Column, FeatureTransform

from pipeline_src.comparison.steps.compare import METRICS, Rule, compare, read_numbers
from pipeline_src.comparison.steps.prepare import prepare
from sagemaker_pipelines.definition import Envelope, gate_of

DEFINITION = Envelope.load(Path(__file__).parents[3] / "dags" / "definitions" / "comparison.json")
COLUMNS = (Column("sex", categories=("F", "I")), Column("length"))
RULE = Rule("mse", False, margin=0.0, confidence=0.95, resamples=50, seed=7)
ROWS = 100
LABELS = np.random.default_rng(1).normal(10, 3, ROWS)
NOISE = np.random.default_rng(2).normal(0, 1, ROWS)
GOOD, BAD = LABELS + NOISE, LABELS + 2 * NOISE


def report(challenger: Any, champion: Any, rule: Rule = RULE, **slices: list[int]) -> dict[str, Any]:
    return compare(LABELS, challenger, champion, slices, rule)


def test_the_report_has_both_metrics_on_the_same_rows() -> None:
    found = report(GOOD, BAD)
    assert found["challenger"]["value"] == pytest.approx(np.mean(NOISE**2))
    assert found["champion"]["value"] == pytest.approx(np.mean((2 * NOISE) ** 2))
    assert found["difference"] == pytest.approx(found["challenger"]["value"] - found["champion"]["value"])
    assert found["interval"][0] < found["difference"] < found["interval"][1] < 0
    assert (found["rows"], found["resamples"], found["seed"], found["wins"]) == (ROWS, 50, 7, 1)


def test_the_interval_is_paired() -> None:
    """A champion that is off by the same at every row differs by the same in every resample."""
    found = report(LABELS + 1, LABELS + 2)
    assert found["interval"] == pytest.approx([-3, -3])


def test_a_seed_gives_the_same_interval_and_another_one_another() -> None:
    assert report(GOOD, BAD)["interval"] == report(GOOD, BAD)["interval"]
    assert report(GOOD, BAD)["interval"] != report(GOOD, BAD, replace(RULE, seed=8))["interval"]


def test_the_resamples_are_not_in_memory_all_at_once() -> None:
    """All 250 resamples of 40,000 rows would be four arrays of 80 MB, and copies of them."""
    labels = np.zeros(40_000)
    tracemalloc.start()
    try:
        compare(labels, labels + 1, labels + 2, {}, replace(RULE, resamples=250))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 200e6


@pytest.mark.parametrize("metric", sorted(METRICS))
def test_without_rows_the_metric_says_so(metric: str) -> None:
    none = np.array([])
    with pytest.raises(BadDataError, match="cannot be computed from these 0 labels"):
        compare(none, none, none, {}, replace(RULE, metric=metric))


@pytest.mark.parametrize(
    ("challenger", "champion", "margin", "wins"),
    [(GOOD, BAD, 0.0, 1), (GOOD, BAD, 100.0, 0), (GOOD, GOOD, 0.0, 0), (BAD, GOOD, 0.0, 0)],
    ids=["better", "better by less than the margin", "equal", "worse"],
)
@pytest.mark.parametrize("metric", ["mse", "r2"])
def test_only_a_better_challenger_wins(
    challenger: Any, champion: Any, margin: float, wins: int, metric: str
) -> None:
    rule = replace(RULE, metric=metric, larger_is_better=metric == "r2", margin=margin)
    assert report(challenger, champion, rule)["wins"] == wins


@pytest.mark.parametrize("larger", [True, False])
def test_a_difference_that_may_be_chance_does_not_win(larger: bool) -> None:
    rule, sign = replace(RULE, larger_is_better=larger), 1 if larger else -1
    assert rule.wins(0.5 * sign, (0.1, 0.9) if larger else (-0.9, -0.1))
    assert not rule.wins(0.5 * sign, (-0.1, 1.1) if larger else (-1.1, 0.1))
    assert not replace(rule, margin=0.5).wins(0.5 * sign, (0.1, 0.9) if larger else (-0.9, -0.1))


@pytest.mark.parametrize(
    ("metric", "labels", "predictions", "message"),
    [
        ("f1", [0.0, 1.0, 2.0], [0.0, 1.0, 2.0], "Target is multiclass"),
        ("auc", [0.0, 1.0, 2.0], [0.1, 0.2, 0.3], "multi_class"),
        ("log_loss", [0.0, 1.0, 1.0], [0.1, 0.2, 1.3], "greater than 1"),
        ("accuracy", [0.5, 1.5, 2.5], [0.0, 1.0, 1.0], "continuous"),
    ],
)
def test_a_metric_that_does_not_fit_the_rows_is_refused_with_its_reason(
    metric: str, labels: list[float], predictions: list[float], message: str
) -> None:
    rule = replace(RULE, metric=metric, larger_is_better=metric != "log_loss")
    seen = np.array(predictions * 20)
    with pytest.raises(BadDataError, match=f"{metric} cannot be computed from these 60 .*{message}"):
        compare(np.array(labels * 20), seen, seen, {}, rule)


def test_a_rare_class_has_a_log_loss_in_every_resample() -> None:
    labels = np.array([1.0] + [0.0] * 40)
    rule = replace(RULE, metric="log_loss")
    found = compare(labels, np.full(41, 0.02), np.full(41, 0.5), {"one class": [1, 2]}, rule)
    assert found["wins"] == 1
    assert found["slices"][0]["challenger"] == pytest.approx(-np.log(0.98))


def test_slices_have_their_own_metrics_and_none_where_they_are_undefined() -> None:
    labels = np.array([0.0, 1.0] * 50)
    scores = np.where(labels == 1, 0.9, 0.2)
    rule = replace(RULE, metric="auc", larger_is_better=True)
    found = compare(labels, scores, 1 - scores, {"both": [0, 1, 2], "one class": [0, 2]}, rule)
    assert found["slices"] == [
        {"name": "both", "rows": 3, "challenger": 1.0, "champion": 0.0},
        {"name": "one class", "rows": 2, "challenger": None, "champion": None},
    ]
    assert (found["difference"], found["wins"]) == (1.0, 1)


def test_an_interval_that_is_not_a_number_is_refused() -> None:
    labels = np.array([1.0] + [0.0] * 19)
    rule = replace(RULE, metric="auc", larger_is_better=True)
    with pytest.raises(BadDataError, match="more rows"):
        compare(labels, labels, 1 - labels, {}, rule)


@pytest.mark.parametrize("metric", sorted(METRICS))
def test_every_metric_prefers_the_better_predictions(metric: str) -> None:
    labels = np.array([0.0, 1.0] * 20)
    good, bad = np.where(labels == 1, 0.9, 0.1), np.where(labels == 1, 0.4, 0.6)
    larger = metric in {"accuracy", "auc", "f1", "precision", "r2", "recall"}
    found = compare(labels, good, bad, {}, replace(RULE, metric=metric, larger_is_better=larger, resamples=9))
    assert found["wins"] == 1


def test_the_definition_offers_the_metrics_that_the_script_has() -> None:
    (metric,) = (parameter for parameter in DEFINITION.parameters if parameter.name == "Metric")
    assert sorted(metric.enum_values or ()) == sorted(METRICS)


def test_the_definition_s_gate_is_whether_the_challenger_wins() -> None:
    gate = gate_of(DEFINITION.definition)
    assert (gate.json_path, gate.operator, gate.threshold) == ("wins", "Equals", 1.0)
    assert (gate.file_path, gate.rejection_steps) == ("comparison.json", ("ComparisonChampionStays",))
    assert gate.passes(report(GOOD, BAD)["wins"], 1.0)


class TestPrepare:
    def test_each_model_gets_its_own_features(self, tmp_path: Path) -> None:
        holdout = rows(tmp_path, "F,1,9\nI,3,8\n,5,7\n" * 10)
        first, second = (
            FeatureTransform.fit(COLUMNS, {"sex": ["F"], "length": values}) for values in ([0.0, 2], [0.0, 4])
        )
        transforms = {"challenger": first, "champion": second}
        assert prepare(holdout, tmp_path / "out", transforms, sliced_by="challenger") == 30
        assert (tmp_path / "out/challenger/features.csv").read_text().splitlines()[:2] == ["1,0,0", "0,1,2"]
        assert (tmp_path / "out/champion/features.csv").read_text().splitlines()[:2] == [
            "1,0,-0.5",
            "0,1,0.5",
        ]
        assert read_numbers(tmp_path / "out/rows/labels.csv", 30)[:3].tolist() == [9, 8, 7]
        slices = json.loads((tmp_path / "out/rows/slices.json").read_text())
        assert {name: numbers[:2] for name, numbers in slices.items()} == {"sex=F": [0, 3], "sex=I": [1, 4]}

    def test_without_a_transform_a_model_gets_the_rows_without_their_label(self, tmp_path: Path) -> None:
        holdout = rows(tmp_path, "1,2,9\n3,4,8\n" * 10)
        prepare(holdout, tmp_path / "out", {"challenger": None, "champion": None}, sliced_by="challenger")
        assert (tmp_path / "out/champion/features.csv").read_text().splitlines()[:2] == ["1,2", "3,4"]
        assert (tmp_path / "out/rows/slices.json").read_text() == "{}"

    def test_without_a_transform_an_empty_first_file_does_not_count(self, tmp_path: Path) -> None:
        holdout = rows(tmp_path, "1,2,9\n" * 20)
        (holdout / "0.csv").write_text("")
        assert prepare(holdout, tmp_path / "out", {"challenger": None}, sliced_by="challenger") == 20

    def test_without_a_transform_a_row_has_a_feature_and_the_label(self, tmp_path: Path) -> None:
        with pytest.raises(BadDataError, match=r"is \['9'\], expected at least one feature and the label"):
            prepare(rows(tmp_path, "9\n" * 20), tmp_path / "out", {"champion": None}, sliced_by="champion")

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("F,1\n" * 30, "2 columns, expected 3"),
            ("F,1,\n" * 30, r"column 3 \(label\): the cell is empty"),
            ("F,1,9\n" * 5, "5 rows, expected at least 20"),
        ],
    )
    def test_bad_rows_are_refused(self, tmp_path: Path, text: str, message: str) -> None:
        transform = FeatureTransform.fit(COLUMNS, {"sex": ["F"], "length": [0.0]})
        with pytest.raises(BadDataError, match=message):
            prepare(rows(tmp_path, text), tmp_path / "out", {"champion": transform}, sliced_by="champion")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1\n2\n", "2 predictions for 3 rows"),
        ("1\nx\n3\n", "cannot be read"),
        ("1\nnan\n3\n", "finite number"),
    ],
)
def test_predictions_are_one_finite_number_for_each_row(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "out").write_text(text)
    with pytest.raises(BadDataError, match=message):
        read_numbers(tmp_path / "out", 3)


def test_missing_predictions_are_named(tmp_path: Path) -> None:
    with pytest.raises(BadDataError, match=r"features\.csv\.out cannot be read"):
        read_numbers(tmp_path / "features.csv.out", 3)


def rows(folder: Path, text: str) -> Path:
    target = folder / "holdout"
    target.mkdir()
    (target / "labelled.csv").write_text(text)
    return target
