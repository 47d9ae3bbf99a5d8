"""Expressions resolve to the values that they name, or say which one is missing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.loaders import Loader
from hypothesis import given
from hypothesis import strategies as st

from sagemaker_local_runtime.engine.resolver import (
    NAME_FIELDS,
    Resolver,
    Scope,
    as_text,
    json_path_value,
    walk,
)
from sagemaker_local_runtime.exceptions import ResolutionError

EVALUATION = "s3://bucket/eval/evaluation.json"


def scope(**changes: Any) -> Scope:
    described = {
        "ModelArtifacts": {"S3ModelArtifacts": "s3://bucket/model.tar.gz"},
        "ProcessingOutputConfig": {
            "Outputs": [
                {"OutputName": "train", "S3Output": {"S3Uri": "s3://bucket/train"}},
                {"OutputName": "evaluation", "S3Output": {"S3Uri": "s3://bucket/eval/"}},
            ]
        },
        "Environment": {"KEY": "value"},
        "FinalMetricDataList": [
            {"MetricName": "train:rmse", "Value": 1.5},
            {"MetricName": "validation:rmse", "Value": 2.25},
        ],
        "InputDataConfig": [{"ChannelName": "train", "ContentType": "text/csv"}],
    }
    values: dict[str, Any] = {
        "parameters": {"Count": 2, "Threshold": 6.0, "Flag": True, "Name": "abalone"},
        "execution": {"PipelineExecutionId": "abc123"},
        "properties": {"Train": described},
        "property_files": {
            "Train": [
                {
                    "PropertyFileName": "Report",
                    "OutputName": "evaluation",
                    "FilePath": "evaluation.json",
                }
            ]
        },
        "read": {EVALUATION: json.dumps({"metrics": {"mse": {"value": 4.9}}}).encode()}.__getitem__,
    }
    return Scope(**{**values, **changes})


def resolve(value: Any, **changes: Any) -> Any:
    return Resolver(scope(**changes)).resolve(value)


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("Parameters.Count", 2),
        ("Parameters.Flag", True),
        ("Execution.PipelineExecutionId", "abc123"),
        ("Steps.Train.ModelArtifacts.S3ModelArtifacts", "s3://bucket/model.tar.gz"),
        ("Steps.Train.ProcessingOutputConfig.Outputs['train'].S3Output.S3Uri", "s3://bucket/train"),
        ("Steps.Train.ProcessingOutputConfig.Outputs[1].S3Output.S3Uri", "s3://bucket/eval/"),
        ('Steps.Train.Environment["KEY"]', "value"),
        ("Steps.Train.FinalMetricDataList['validation:rmse'].Value", 2.25),
        ("Steps.Train.InputDataConfig['train'].ContentType", "text/csv"),
    ],
)
def test_get_finds_parameters_variables_and_step_properties(reference: str, expected: Any) -> None:
    assert resolve({"Get": reference}) == expected


@pytest.mark.parametrize(
    ("reference", "text"),
    [
        ("Parameters.Missing", "'Missing' is not there; there is: Count, Flag, Name, Threshold"),
        ("Steps.Other.Name", "step 'Other' has not succeeded"),
        ("Steps.Train.ModelArtifacts.Nothing", "'Nothing' is not there; there is: S3ModelArtifacts"),
        ("Steps.Train.ProcessingOutputConfig.Outputs[7].S3Output", "the list has 2 elements, not [7]"),
        (
            "Steps.Train.ProcessingOutputConfig.Outputs['no']",
            "'no' is not there; there is: train, evaluation.",
        ),
        ("Steps.Train.FinalMetricDataList['mse'].Value", "there is: train:rmse, validation:rmse."),
        ("Steps.Train.ModelArtifacts!", "is not a property path"),
        ("Nowhere.X", "expected Parameters., Execution. or Steps."),
    ],
)
def test_get_names_what_is_missing(reference: str, text: str) -> None:
    with pytest.raises(ResolutionError) as error:
        resolve({"Get": reference})
    assert text in str(error.value)


SHAPES = Loader().load_service_model("sagemaker", "service-2")["shapes"]
# Whose only "...Name" members name something else.
UNNAMED = {"ContainerDefinition", "ModelPackageContainerDefinition"}


def elements(shape: str, seen: frozenset[str] = frozenset()) -> Iterator[str]:
    """Yield the structures that are elements of a list somewhere in a shape."""
    model = SHAPES[shape]
    inner = [member["shape"] for member in model.get("members", {}).values()]
    inner += [model[part]["shape"] for part in ("member", "value") if part in model]
    if model["type"] == "list" and SHAPES[model["member"]["shape"]]["type"] == "structure":
        yield model["member"]["shape"]
    for name in inner:
        if name not in seen:
            yield from elements(name, seen | {shape})


@pytest.mark.parametrize("kind", ["ProcessingJob", "TrainingJob", "TransformJob", "Model", "ModelPackage"])
def test_every_list_of_named_things_in_a_describe_answer_is_indexed_by_their_names(kind: str) -> None:
    for element in {*elements(f"Describe{kind}{'Output' if 'Model' in kind else 'Response'}")} - UNNAMED:
        names = [name for name in SHAPES[element]["members"] if name.endswith("Name")]
        assert not names or {*names} & {*NAME_FIELDS}, element


def test_join_writes_numbers_and_booleans_as_text() -> None:
    values = ["MSE >", {"Get": "Parameters.Threshold"}, {"Get": "Parameters.Flag"}, 3]
    assert resolve({"Std:Join": {"On": " ", "Values": values}}) == "MSE > 6.0 true 3"


def test_join_may_hold_a_join() -> None:
    inner = {"Std:Join": {"On": "-", "Values": ["a", {"Get": "Parameters.Name"}]}}
    assert resolve({"Std:Join": {"On": "/", "Values": ["s3:/", inner]}}) == "s3://a-abalone"


def test_json_get_reads_the_property_file_of_a_step() -> None:
    file = {"Get": "Steps.Train.PropertyFiles.Report"}
    assert resolve({"Std:JsonGet": {"PropertyFile": file, "Path": "metrics.mse.value"}}) == 4.9


def test_json_get_reads_an_s3_uri() -> None:
    uri = {"Std:Join": {"On": "/", "Values": ["s3://bucket/eval", "evaluation.json"]}}
    assert resolve({"Std:JsonGet": {"S3Uri": uri, "Path": "$.metrics.mse.value"}}) == 4.9


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("metrics.rmse", "finds nothing in s3://x"),
        ("metrics", "finds an object or a list"),
        ("folds[*]", "is neither a name nor an index"),
        ("metrics[[", "Invalid JSON path"),
    ],
)
def test_json_path_finds_exactly_one_scalar(path: str, text: str) -> None:
    with pytest.raises(ResolutionError, match=text):
        json_path_value({"metrics": {"mse": {"value": 4.9}}, "folds": [1, 2]}, path, "s3://x")


def test_json_get_says_that_a_file_is_not_json() -> None:
    file = {"Get": "Steps.Train.PropertyFiles.Report"}
    with pytest.raises(ResolutionError, match="not a JSON document"):
        resolve({"Std:JsonGet": {"PropertyFile": file, "Path": "a"}}, read=lambda uri: b"<html>")


def test_an_undeclared_property_file_is_named() -> None:
    file = {"Get": "Steps.Train.PropertyFiles.Other"}
    with pytest.raises(ResolutionError, match=r"Steps\.Train\.PropertyFiles\.Other"):
        resolve({"Std:JsonGet": {"PropertyFile": file, "Path": "a"}})


scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
documents = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text().filter(lambda key: key not in ("Get", "Std:Join", "Std:JsonGet")), inner)
    ),
    max_leaves=20,
)


@given(documents)
def test_a_value_without_expressions_resolves_to_itself(value: Any) -> None:
    assert resolve(value) == value


@given(st.lists(st.text() | st.integers() | st.booleans()), st.text())
def test_join_equals_pythons_join_of_the_texts(values: list[Any], on: str) -> None:
    assert resolve({"Std:Join": {"On": on, "Values": values}}) == on.join(as_text(value) for value in values)


names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
trees = st.recursive(
    st.integers(),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3) | st.dictionaries(names, inner, min_size=1, max_size=3)
    ),
    max_leaves=12,
)


@given(trees, st.data())
def test_every_path_into_a_tree_is_followed(tree: Any, data: st.DataObject) -> None:
    path, value = "", tree
    while isinstance(value, (dict, list)):
        if isinstance(value, dict):
            key = data.draw(st.sampled_from(sorted(value)))
            path += data.draw(st.sampled_from([f".{key}", f"['{key}']", f'["{key}"]']))
            value = value[key]
        else:
            index = data.draw(st.integers(0, len(value) - 1))
            path += f"[{index}]"
            value = value[index]
    assert walk(tree, path, "Steps.X" + path) == value


@given(st.text(max_size=30))
def test_any_reference_resolves_or_is_refused_with_its_text(text: str) -> None:
    try:
        resolve({"Get": text})
    except ResolutionError as error:
        assert text in str(error) or repr(text) in str(error)  # noqa: PT017 - some text may resolve
