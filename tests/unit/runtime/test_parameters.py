"""StartPipelineExecution takes the parameters that the definition declares, in their types."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagemaker_local_runtime.engine.parameters import parameter_values, typed_values
from sagemaker_local_runtime.exceptions import ValidationError

DEFINITION: dict[str, Any] = {
    "Parameters": [
        {"Name": "Count", "Type": "Integer", "DefaultValue": 1},
        {"Name": "Threshold", "Type": "Float", "DefaultValue": 6.0},
        {"Name": "Flag", "Type": "Boolean", "DefaultValue": True},
        {
            "Name": "Status",
            "Type": "String",
            "DefaultValue": "Pending",
            "EnumValues": ["Pending", "Approved"],
        },
        {"Name": "Data", "Type": "String"},
    ]
}
DATA = {"Name": "Data", "Value": "s3://bucket/data"}


def values(*given_values: dict[str, str]) -> dict[str, str]:
    return parameter_values(DEFINITION, [DATA, *given_values])


def test_defaults_fill_in_as_text() -> None:
    assert values() == {
        "Count": "1",
        "Threshold": "6.0",
        "Flag": "true",
        "Status": "Pending",
        "Data": "s3://bucket/data",
    }


@pytest.mark.parametrize(
    ("item", "text"),
    [
        ({"Name": "Count", "Value": "2.5"}, "Count is '2.5'"),
        ({"Name": "Threshold", "Value": "nan"}, "Threshold is 'nan'"),
        ({"Name": "Threshold", "Value": "high"}, "Threshold is 'high'"),
        ({"Name": "Flag", "Value": "yes"}, "Flag is 'yes'"),
        ({"Name": "Status", "Value": "Rejected"}, "expected one of Pending, Approved"),
        ({"Name": "Colour", "Value": "red"}, "Colour is not a parameter"),
        ({"Name": "Data", "Value": "again"}, "Duplicate pipeline parameters Data"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_by_name(item: dict[str, str], text: str) -> None:
    with pytest.raises(ValidationError) as error:
        values(item)
    assert text in error.value.message


def test_a_parameter_without_default_must_be_given() -> None:
    with pytest.raises(ValidationError, match="Data has no value and no default"):
        parameter_values(DEFINITION, [])


@given(st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.booleans())
def test_what_a_text_spells_comes_back_in_the_declared_type(count: int, threshold: float, flag: bool) -> None:
    given_values = values(
        {"Name": "Count", "Value": str(count)},
        {"Name": "Threshold", "Value": repr(threshold)},
        {"Name": "Flag", "Value": str(flag)},
    )
    seen = typed_values(DEFINITION, given_values)
    assert (seen["Count"], seen["Threshold"], seen["Flag"]) == (count, threshold, flag)
    assert isinstance(seen["Threshold"], float)


@given(st.sampled_from(["Count", "Threshold", "Flag"]), st.text())
def test_any_text_is_taken_in_its_type_or_refused(name: str, text: str) -> None:
    try:
        accepted = values({"Name": name, "Value": text})
    except ValidationError as error:
        assert name in error.message  # noqa: PT017 - both outcomes are right for some text
    else:
        value = typed_values(DEFINITION, accepted)[name]
        assert not isinstance(value, str)
        assert math.isfinite(value)
