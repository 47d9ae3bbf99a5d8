"""Annotations add to a definition's parameters what the definition cannot say."""

from __future__ import annotations

from typing import Any

import pytest

from sagemaker_pipelines.definition import Parameter, annotate, check_parameters
from sagemaker_pipelines.exceptions import DefinitionError, ParameterError

PARAMETERS = (
    Parameter("Count", "Integer", 1),
    Parameter("Threshold", "Float", 6.0),
    Parameter("Data", "String", "s3://${artifact_bucket}/data.csv"),
)
ANNOTATIONS: dict[str, dict[str, Any]] = {
    "Count": {"minimum": 1, "maximum": 4, "section": "Compute"},
    "Threshold": {"minimum": 0},
    "Data": {"pattern": "s3://.+", "description": "Rows to read."},
}


def test_annotated_parameters_keep_their_order_and_their_own_fields() -> None:
    count, threshold, data = annotate(PARAMETERS, ANNOTATIONS)
    assert count == Parameter("Count", "Integer", 1, section="Compute", minimum=1, maximum=4)
    assert threshold.minimum == 0
    assert (data.pattern, data.description) == ("s3://.+", "Rows to read.")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("Count", 0, "Count is 0 (int), expected at least 1 and at most 4."),
        ("Count", "5", "Count is '5' (str), expected at least 1 and at most 4."),
        ("Threshold", -0.5, "Threshold is -0.5 (float), expected at least 0."),
        ("Data", "/tmp/x", "Data is '/tmp/x' (str), expected text that matches s3://.+ (Rows to read.)."),
    ],
)
def test_a_value_outside_its_annotation_is_refused(name: str, value: object, message: str) -> None:
    with pytest.raises(ParameterError) as error:
        check_parameters(annotate(PARAMETERS, ANNOTATIONS), {name: value})
    assert str(error.value) == message


def test_values_at_the_bounds_are_accepted() -> None:
    values = {"Count": 4, "Threshold": 0, "Data": "s3://b/k"}
    assert check_parameters(annotate(PARAMETERS, ANNOTATIONS), values) == {
        "Count": "4",
        "Threshold": "0",
        "Data": "s3://b/k",
    }


@pytest.mark.parametrize(
    ("annotations", "message"),
    [
        ({"Cuont": {}}, "Cuont is annotated but is not a parameter"),
        ({"Count": {"min": 1}}, "has the annotation 'min'"),
        ({"Count": {"minimum": "1"}}, "minimum of Count is '1'"),
        ({"Count": {"minimum": True}}, "minimum of Count is True"),
        ({"Count": {"minimum": 2}}, "The default does not fit the annotation: Count is 1"),
        ({"Count": {"pattern": "1"}}, "Count has the annotation pattern and the type Integer"),
        ({"Data": {"maximum": 1}}, "Data has the annotation maximum and the type String"),
        ({"Data": {"pattern": "("}}, "expected a regular expression"),
    ],
)
def test_a_wrong_annotation_is_refused(annotations: dict[str, Any], message: str) -> None:
    with pytest.raises(DefinitionError) as error:
        annotate(PARAMETERS, annotations)
    assert message in str(error.value)
