"""The program that stands in for the container of Model Monitor, compared with what AWS publishes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd  # noqa: TID253 - the columns of a data set
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sagemaker_local_runtime.images.exceptions import UserInputError
from sagemaker_local_runtime.images.model_monitor import analyze
from sagemaker_local_runtime.images.model_monitor.dataset import Column, Dataset
from sagemaker_local_runtime.images.model_monitor.distribution import levels, numerical_distance, size

CSV = '{"csv": {"header": true}}'
ATTRIBUTES = {
    "analysis_type": "MODEL_QUALITY",
    "ground_truth_attribute": "label",
    "inference_attribute": "prediction",
}
Check = Callable[..., dict[str, Any]]


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """Analyze a file, with the reports of an earlier analysis as the baseline, and return the reports."""
    count = 0

    def run(text: str, baseline: dict[str, Any] | None = None, **environment: str) -> dict[str, Any]:
        nonlocal count
        count += 1
        source, output = tmp_path / f"in-{count}", tmp_path / f"out-{count}"
        source.mkdir()
        (source / "data.csv").write_text(text, encoding="utf-8", errors="replace")
        given = {"dataset_source": str(source), "output_path": str(output), "dataset_format": CSV}
        for kind in ("statistics", "constraints") if baseline else ():
            path = tmp_path / f"{kind}-{count}.json"
            path.write_text(json.dumps(baseline and baseline[kind]))
            given[f"baseline_{kind}"] = str(path)
        message = analyze.main({**given, **environment})
        return {
            "message": message,
            **{path.stem: json.loads(path.read_text()) for path in output.glob("*.json")},
        }

    return run


def table(**columns: list[Any]) -> str:
    rows = zip(*columns.values(), strict=True)
    return "\n".join([",".join(columns), *(",".join(map(str, row)) for row in rows)]) + "\n"


def pairs(counts: dict[tuple[int, int], int]) -> str:
    """Return a data set that has each pair of label and prediction so many times."""
    rows = [pair for pair, count in counts.items() for _ in range(count)]
    return table(label=[label for label, _ in rows], prediction=[prediction for _, prediction in rows])


def checks(reports: dict[str, Any]) -> set[tuple[str, str]]:
    found = reports["constraint_violations"]["violations"]
    return {(each["feature_name"], each["constraint_check_type"]) for each in found}


def test_a_column_of_numbers_has_the_statistics_of_aws(check: Check) -> None:
    """https://github.com/aws/sagemaker-python-sdk, tests/data/pipeline/quality_check_step/data_quality."""
    reports = check(table(x=[1.0] * 24 + [2.0] * 21 + [3.0] * 55))
    (feature,) = reports["statistics"]["features"]
    found = feature["numerical_statistics"]
    assert (feature["inferred_type"], found["common"]) == (
        "Fractional",
        {"num_present": 100, "num_missing": 0},
    )
    assert (found["mean"], found["sum"], found["min"], found["max"]) == (2.31, 231.0, 1.0, 3.0)
    assert found["std_dev"] == pytest.approx(0.8330066026148891)
    kll = found["distribution"]["kll"]
    assert [bucket["count"] for bucket in kll["buckets"]] == [24.0, 0, 0, 0, 0, 21.0, 0, 0, 0, 55.0]
    assert kll["buckets"][0]["upper_bound"] == pytest.approx(1.2)
    assert kll["sketch"]["parameters"] == {"c": 0.64, "k": 2048.0}
    assert kll["sketch"]["data"] == [[1.0] * 24 + [2.0] * 21 + [3.0] * 55]
    assert reports["constraints"]["features"] == [
        {
            "name": "x",
            "inferred_type": "Fractional",
            "completeness": 1.0,
            "num_constraints": {"is_non_negative": True},
        }
    ]


def test_types_are_inferred_from_all_values(check: Check) -> None:
    text = table(i=["-1", "+2", ""], f=["1", "2e3", ".5"], s=["1", "x", "NaN"], u=["", "", ""])
    reports = check(text)
    features = {each["name"]: each for each in reports["constraints"]["features"]}
    assert {name: each["inferred_type"] for name, each in features.items()} == {
        "i": "Integral",
        "f": "Fractional",
        "s": "String",
        "u": "Unknown",
    }
    assert features["i"]["completeness"] == pytest.approx(2 / 3)
    assert features["i"]["num_constraints"] == {"is_non_negative": False}
    assert features["s"]["string_constraints"] == {"domains": ["1", "x", "NaN"]}
    texts = reports["statistics"]["features"][2]["string_statistics"]
    assert texts["distinct_count"] == 3
    assert {"value": "NaN", "count": 1} in texts["distribution"]["categorical"]["buckets"]


def test_a_text_with_many_values_is_not_categorical(check: Check) -> None:
    reports = check(table(id=[f"id{number}" for number in range(121)]))
    assert "distribution" not in reports["statistics"]["features"][0]["string_statistics"]
    assert "string_constraints" not in reports["constraints"]["features"][0]


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ('{"csv": {"header": false}}', '1,"a,b"\n2.5,c\n'),
        ('{"json": {"lines": true}}', '{"_c0": 1, "_c1": "a,b"}\n{"_c0": 2.5, "_c1": "c"}\n'),
        ('{"json": {"lines": false}}', '[{"_c0": 1, "_c1": "a,b"}, {"_c0": 2.5, "_c1": "c"}]'),
    ],
)
def test_each_format_gives_the_same_table(check: Check, form: str, text: str) -> None:
    reports = check(text, dataset_format=form)
    first, second = reports["statistics"]["features"]
    assert (first["name"], first["inferred_type"], first["numerical_statistics"]["sum"]) == (
        "_c0",
        "Fractional",
        3.5,
    )
    assert second["string_statistics"]["distinct_count"] == 2


def test_booleans_of_json_are_not_numbers(check: Check) -> None:
    text = '{"flag": true, "mixed": 1}\n{"flag": false, "mixed": true}\n'
    features = check(text, dataset_format='{"json": {"lines": true}}')["constraints"]["features"]
    assert [each["inferred_type"] for each in features] == ["String", "String"]


def test_the_same_data_satisfy_their_own_baseline(check: Check) -> None:
    text = table(x=list(range(300)), s=["a", "b", ""] * 100)
    reports = check(text, check(text))
    assert reports["constraint_violations"] == {"violations": []}
    assert reports["message"] == "Completed: Job completed successfully with no violations."


def test_each_difference_is_a_violation_of_its_type(check: Check) -> None:
    count = 200
    baseline = check(
        table(
            gone=[1] * count,
            number=list(range(count)),
            whole=[1] * count,
            full=[1] * count,
            kind=["a", "b"] * (count // 2),
        )
    )
    reports = check(
        table(
            number=[value + 100 for value in range(count)],
            whole=[1] * (count - 2) + [1.5] * 2,
            full=[1] * (count - 1) + [""],
            kind=["a", "b"] * (count // 2 - 1) + ["a", "c"],
            new=[1] * count,
        ),
        baseline,
    )
    assert checks(reports) == {
        ("gone", "missing_column_check"),
        ("new", "extra_column_check"),
        ("number", "baseline_drift_check"),
        ("whole", "data_type_check"),
        ("full", "completeness_check"),
        ("kind", "categorical_values_check"),
    }
    assert reports["message"] == "CompletedWithViolations: Job completed successfully with 6 violations."
    found = reports["constraint_violations"]["violations"]
    (description,) = (each["description"] for each in found if each["feature_name"] == "whole")
    # https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-interpreting-violations.html
    assert description == (
        "Data type match requirement is not met. Expected data type: Integral, Expected match: 100.0%. "
        "Observed: Only 99.0% of data is Integral."
    )


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, {("x", "baseline_drift_check"), ("s", "baseline_drift_check")}),
        ({"evaluate_constraints": "Disabled"}, set()),
        ({"distribution_constraints": {"perform_comparison": "Disabled"}}, set()),
        ({"distribution_constraints": {"comparison_threshold": 0.6}}, {("s", "baseline_drift_check")}),
        (
            {"distribution_constraints": {"categorical_comparison_threshold": 0.6}},
            {("x", "baseline_drift_check")},
        ),
    ],
)
def test_the_configuration_decides_what_is_a_violation(
    check: Check, config: dict[str, Any], expected: set[tuple[str, str]]
) -> None:
    baseline = check(table(x=list(range(400)), s=["a", "b"] * 200))
    known = baseline["constraints"]["monitoring_config"]
    key = "distribution_constraints"
    baseline["constraints"]["monitoring_config"] = {
        **known,
        **config,
        key: {**known[key], **config.get(key, {})},
    }
    drifted = table(x=[value + 200 for value in range(400)], s=["a"] * 400)
    assert checks(check(drifted, baseline)) == expected


def test_a_column_overrides_the_configuration(check: Check) -> None:
    baseline = check(table(x=[1] * 10, y=[1] * 10))
    baseline["constraints"]["features"][0]["monitoringConfigOverrides"] = {"datatype_check_threshold": 0.5}
    text = table(x=[1.5] * 4 + [1] * 6, y=[1.5] * 4 + [1] * 6)
    assert checks(check(text, baseline)) == {("y", "data_type_check")}


@pytest.mark.parametrize(("method", "count"), [("Simple", 1), ("Robust", 0)])
def test_the_robust_comparison_allows_for_few_values(check: Check, method: str, count: int) -> None:
    baseline = check(table(x=[1, 2, 3, 4]))
    baseline["constraints"]["monitoring_config"]["distribution_constraints"]["comparison_method"] = method
    assert len(checks(check(table(x=[2, 3, 4, 5]), baseline))) == count


def test_a_large_sketch_stands_for_all_numbers() -> None:
    values = np.random.default_rng(1).normal(size=100_001)
    sketch = levels(values)
    assert size(sketch) == len(values)
    assert sum(map(len, sketch)) <= 2048 + len(sketch)
    assert numerical_distance(sketch, [values]) < 0.005


def test_the_metrics_of_several_classes_are_those_of_aws(check: Check) -> None:
    """https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-model-quality-metrics.html."""
    text = pairs({(0, 0): 1180, (0, 1): 510, (1, 0): 268, (1, 1): 138})
    reports = check(text, problem_type="MulticlassClassification", **ATTRIBUTES)
    found = reports["statistics"]["multiclass_classification_metrics"]
    assert found.pop("confusion_matrix") == {"0": {"0": 1180, "1": 510}, "1": {"0": 268, "1": 138}}
    assert {name: each["value"] for name, each in found.items()} == pytest.approx(
        {
            "accuracy": 0.6288167938931297,
            "weighted_recall": 0.6288167938931297,
            "weighted_precision": 0.6983172269629505,
            "weighted_f0_5": 0.6803947317178771,
            "weighted_f1": 0.6571162346664904,
            "weighted_f2": 0.6384024354394601,
            "accuracy_best_constant_classifier": 0.19370229007633588,
            "weighted_recall_best_constant_classifier": 0.19370229007633588,
            "weighted_precision_best_constant_classifier": 0.03752057718081697,
            "weighted_f0_5_best_constant_classifier": 0.04473443104152011,
            "weighted_f1_best_constant_classifier": 0.06286421244683643,
            "weighted_f2_best_constant_classifier": 0.10570313141262414,
        }
    )
    assert 0 < found["accuracy"]["standard_deviation"] < 0.02
    assert list(reports["constraints"]["multiclass_classification_constraints"]) == [
        "accuracy",
        *(f"weighted_{name}" for name in ("recall", "precision", "f0_5", "f1", "f2")),
    ]


def test_the_metrics_of_two_classes_are_those_of_aws(check: Check) -> None:
    """https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-model-quality-metrics.html."""
    text = table(label=[0, 0, 0, 1], prediction=[0, 1, 1, 1], p=[0.1, 0.6, 0.7, 0.9])
    reports = check(text, problem_type="BinaryClassification", probability_attribute="p", **ATTRIBUTES)
    found = reports["statistics"]["binary_classification_metrics"]
    assert found.pop("confusion_matrix") == {"0": {"0": 1, "1": 2}, "1": {"0": 0, "1": 1}}
    curve = found.pop("receiver_operating_characteristic_curve")
    assert curve == {"false_positive_rates": [0, 0, 1], "true_positive_rates": [0, 1, 1]}
    assert found.pop("precision_recall_curve")["recalls"] == [1, 1, 0]
    assert {each["standard_deviation"] for each in found.values()} == {"NaN"}
    assert {name: each["value"] for name, each in found.items()} == pytest.approx(
        {
            "recall": 1.0,
            "precision": 1 / 3,
            "accuracy": 0.5,
            "recall_best_constant_classifier": 1.0,
            "precision_best_constant_classifier": 0.25,
            "accuracy_best_constant_classifier": 0.25,
            "true_positive_rate": 1.0,
            "true_negative_rate": 1 / 3,
            "false_positive_rate": 2 / 3,
            "false_negative_rate": 0.0,
            "auc": 1.0,
            "f0_5": 0.3846153846153846,
            "f1": 0.5,
            "f2": 0.7142857142857143,
            "f0_5_best_constant_classifier": 0.29411764705882354,
            "f1_best_constant_classifier": 0.4,
            "f2_best_constant_classifier": 0.625,
        }
    )


def test_a_probability_becomes_a_class_at_its_threshold(check: Check) -> None:
    text = table(label=["false", "true", "true"], p=[0.1, 0.4, 0.9])
    environment = {
        "analysis_type": "MODEL_QUALITY",
        "problem_type": "BinaryClassification",
        "ground_truth_attribute": "0",
        "probability_attribute": "p",
    }
    for threshold, recall in ({}, 0.5), ({"probability_threshold_attribute": "0.3"}, 1.0):
        found = check(text, **environment, **threshold)["statistics"]["binary_classification_metrics"]
        assert found["recall"]["value"] == recall


def test_a_worse_regression_violates_its_baseline(check: Check) -> None:
    """The thresholds are those of the SDK's tests: tests/data/pipeline/quality_check_step/model_quality."""
    environment = {**ATTRIBUTES, "problem_type": "Regression"}
    baseline = check(table(label=[1, 2, 3], prediction=[1, 2, 4]), **environment)
    assert baseline["constraints"]["regression_constraints"] == {
        "mae": {"threshold": pytest.approx(1 / 3), "comparison_operator": "GreaterThanThreshold"},
        "mse": {"threshold": pytest.approx(1 / 3), "comparison_operator": "GreaterThanThreshold"},
        "rmse": {"threshold": pytest.approx(3**-0.5), "comparison_operator": "GreaterThanThreshold"},
        "r2": {"threshold": 0.5, "comparison_operator": "LessThanThreshold"},
    }
    same = check(table(label=[1, 2, 3], prediction=[1, 2, 4]), baseline, **environment)
    assert same["constraint_violations"] == {"violations": []}
    worse = check(table(label=[1, 2, 3], prediction=[1, 2, 5]), baseline, **environment)
    found = worse["constraint_violations"]["violations"]
    assert [each["metric_name"] for each in found] == ["mae", "mse", "rmse", "r2"]
    assert found[3] == {
        "constraint_check_type": "LessThanThreshold",
        "description": "Metric r2 with -1.0 was LessThanThreshold 0.5",
        "metric_name": "r2",
    }


@pytest.mark.parametrize(
    ("text", "environment", "expected"),
    [
        ("x\n", {}, "The data set has no rows."),
        ("x\n1,2\n1,2,3\n", {}, "data.csv cannot be read as csv: "),
        (
            "x\n1\n",
            {"dataset_format": '{"sagemakerCaptureJson": {}}'},
            "dataset_format 'sagemakerCaptureJson'",
        ),
        ("x\n1\n", {"dataset_format": "csv"}, "dataset_format is 'csv'; expected "),
        ('{"x": {"y": 1}}', {"dataset_format": '{"json": {"lines": true}}'}, 'flat JSON objects, not {"x"'),
        ("x\n1\n", {"record_preprocessor_script": "/a.py"}, "record_preprocessor_script is not supported"),
        ("label\n1\n", {**ATTRIBUTES, "problem_type": "Ranking"}, "problem_type is 'Ranking'; expected one"),
        (
            "label\n1\n",
            {**ATTRIBUTES, "problem_type": "Regression"},
            "has no column 'prediction'. It has label",
        ),
        (
            "label,prediction\n1,\n",
            {**ATTRIBUTES, "problem_type": "Regression"},
            "1 of 1 rows have no value in 'prediction', the inference_attribute",
        ),
        (
            "label,prediction\n1,high\n",
            {**ATTRIBUTES, "problem_type": "Regression"},
            "'prediction' holds 'high'; expected a number",
        ),
        (
            "label,prediction\n1,2\n",
            {**ATTRIBUTES, "problem_type": "BinaryClassification"},
            "'prediction' holds the label '2'; expected 0 and 1",
        ),
    ],
)
def test_what_cannot_be_analyzed_is_said(
    check: Check, text: str, environment: dict[str, str], expected: str
) -> None:
    with pytest.raises(UserInputError) as raised:
        check(text, **environment)
    assert expected in str(raised.value)


@pytest.mark.parametrize(
    "baseline",
    [
        {"statistics": {}, "constraints": {}},
        {"statistics": [], "constraints": {"features": [{}]}},
        {"statistics": {"features": []}, "constraints": {"regression_constraints": {}}},
    ],
)
def test_a_baseline_of_another_kind_is_named(check: Check, baseline: dict[str, Any]) -> None:
    with pytest.raises(UserInputError, match="Expected the files "):
        check("x\n1\n", baseline)


def test_a_constraint_that_was_not_measured_is_named(check: Check) -> None:
    environment = {**ATTRIBUTES, "problem_type": "BinaryClassification"}
    text = table(label=[1, 0, 1], prediction=[1, 0, 0], score=[0.9, 0.1, 0.4])
    baseline = check(text, **environment, probability_attribute="score")
    with pytest.raises(UserInputError, match=r"constrains auc.* probability_attribute"):
        check(text, baseline, **environment)


def test_a_column_is_found_by_its_name_before_its_index() -> None:
    values, kinds = pd.Series(["1"]), pd.Series(["Integral"])
    dataset = Dataset(1, [Column(name, values, kinds, 0) for name in ("1", "0", "x")])
    found = [dataset.column(attribute).name for attribute in ("0", "1", "2", "$.x")]
    assert found == ["0", "1", "x", "x"]


def test_a_drift_method_that_is_not_supported_is_named(check: Check) -> None:
    baseline = check(table(s=["a", "b"]))
    constraints = baseline["constraints"]["monitoring_config"]["distribution_constraints"]
    constraints["categorical_drift_method"] = "ChiSquared"
    with pytest.raises(UserInputError, match="categorical_drift_method is 'ChiSquared'"):
        check(table(s=["a", "a"]), baseline)


_CELLS = (
    st.floats().map(str)
    | st.integers().map(str)
    | st.text(max_size=5)
    | st.sampled_from(["", "NaN", "1e999"])
)
_CSV = st.lists(st.tuples(_CELLS, _CELLS).map(",".join), max_size=5).map("\n".join)
_VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
_JSON = st.lists(st.dictionaries(st.sampled_from("ab"), _VALUES, max_size=2).map(json.dumps), max_size=5)
_FILES = st.tuples(st.just('{"csv": {"header": false}}'), st.lists(_CSV, min_size=2, max_size=2)) | st.tuples(
    st.just('{"json": {"lines": true}}'), st.lists(_JSON.map("\n".join), min_size=2, max_size=2)
)


@pytest.mark.thorough
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=_FILES, problem=st.sampled_from(["", "Regression", "BinaryClassification"]))
def test_any_data_set_gives_reports_or_a_reason(
    check: Check, files: tuple[str, list[str]], problem: str
) -> None:
    form, texts = files
    environment = {"dataset_format": form}
    if problem:
        environment |= {**ATTRIBUTES, "problem_type": problem}
        environment |= {"ground_truth_attribute": "0", "inference_attribute": "1"}
    try:
        baseline = check(texts[0], **environment)
        reports = check(texts[1], baseline, **environment)
    except UserInputError:
        return
    json.dumps(reports, allow_nan=False)
