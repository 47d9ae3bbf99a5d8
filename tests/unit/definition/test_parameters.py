from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagemaker_pipelines.definition import Parameter, check_parameters, parameters_of
from sagemaker_pipelines.exceptions import ParameterError

TEXT = Parameter("Data", "String", "s3://bucket/data")
COUNT = Parameter("Count", "Integer", 1)
THRESHOLD = Parameter("Threshold", "Float", 6.0)
FLAG = Parameter("Flag", "Boolean", default=True)
STATUS = Parameter("Status", "String", "Pending", ("Pending", "Approved"))
REQUIRED = Parameter("Arn", "String")
DEPLOYED = Parameter("Deployed", "String", "s3://${artifact_bucket}/data")


def test_parameters_keep_the_order_and_the_details_of_the_definition(definition: dict[str, Any]) -> None:
    definition["Parameters"].append({"Name": "S", "Type": "String", "EnumValues": ["a", "b"]})
    threshold, data, status = parameters_of(definition)
    assert threshold == Parameter("Threshold", "Float", 6.0)
    assert data.has_placeholder_default
    assert status == Parameter("S", "String", None, ("a", "b"))


@pytest.mark.parametrize(
    ("parameter", "value", "sent"),
    [
        (TEXT, "a b", "a b"),
        (TEXT, "", ""),
        (TEXT, 5, "5"),
        (TEXT, 0.5, "0.5"),
        (COUNT, 3, "3"),
        (COUNT, 3.0, "3"),
        (COUNT, " 3 ", "3"),
        (COUNT, "-3", "-3"),
        (THRESHOLD, 3, "3"),
        (THRESHOLD, 3.0, "3.0"),
        (THRESHOLD, "1e-3", "1e-3"),
        (THRESHOLD, ".5", ".5"),
        (FLAG, True, "true"),
        (FLAG, "False", "false"),
        (STATUS, "Approved", "Approved"),
    ],
)
def test_a_value_that_fits_is_sent_as_text(parameter: Parameter, value: object, sent: str) -> None:
    assert check_parameters([parameter], {parameter.name: value}) == {parameter.name: sent}


@pytest.mark.parametrize(
    ("parameter", "value", "message"),
    [
        (TEXT, True, "expected a String"),
        (TEXT, ["a"], "expected a String"),
        (TEXT, "x" * 1025, "1025 characters long"),
        (COUNT, True, "expected an Integer"),
        (COUNT, 3.5, "expected an Integer"),
        (COUNT, "3.0", "expected an Integer"),
        (COUNT, "", "expected an Integer"),
        (COUNT, "1_000", "expected an Integer"),
        (COUNT, "٣", "expected an Integer"),
        (THRESHOLD, False, "expected a Float"),
        (THRESHOLD, math.nan, "expected a Float"),
        (THRESHOLD, math.inf, "expected a Float"),
        (THRESHOLD, "nan", "expected a Float"),
        (THRESHOLD, "1e999", "expected a Float"),
        (THRESHOLD, "six", "'six' (str)"),
        (FLAG, 1, "expected a Boolean"),
        (FLAG, "yes", "expected a Boolean"),
        (STATUS, "approved", "expected one of Pending, Approved"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_by_name(
    parameter: Parameter, value: object, message: str
) -> None:
    with pytest.raises(ParameterError) as refused:
        check_parameters([parameter], {parameter.name: value})
    assert message in str(refused.value)
    assert str(refused.value).startswith(parameter.name)


def test_all_problems_are_named_at_once() -> None:
    with pytest.raises(ParameterError) as refused:
        check_parameters([COUNT, REQUIRED], {"Count": "many", "Kount": 1})
    text = str(refused.value)
    assert "Kount is not a parameter of this pipeline: its parameters are Arn, Count." in text
    assert "Count is 'many' (str)" in text
    assert "Arn has no value and no default" in text


def test_what_is_left_out_takes_its_default_and_is_not_sent() -> None:
    assert check_parameters([TEXT, COUNT], {"Count": None}) == {}


def test_an_empty_form_field_leaves_a_deployed_default_alone() -> None:
    assert check_parameters([DEPLOYED], {"Deployed": ""}) == {}
    assert check_parameters([DEPLOYED], {"Deployed": "s3://mine"}) == {"Deployed": "s3://mine"}


@given(st.integers(min_value=-(2**63), max_value=2**63 - 1))
def test_every_integer_comes_back_from_its_text(value: int) -> None:
    sent = check_parameters([COUNT], {"Count": value})["Count"]
    assert int(sent) == value
    assert check_parameters([COUNT], {"Count": sent})["Count"] == sent


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_finite_float_comes_back_from_its_text(value: float) -> None:
    sent = check_parameters([THRESHOLD], {"Threshold": value})["Threshold"]
    assert float(sent) == value
    assert check_parameters([THRESHOLD], {"Threshold": sent})["Threshold"] == sent


@given(st.text() | st.integers() | st.floats() | st.booleans() | st.none() | st.binary())
def test_any_value_is_sent_as_short_text_or_refused(value: object) -> None:
    for parameter in (TEXT, COUNT, THRESHOLD, FLAG, STATUS):
        try:
            sent = check_parameters([parameter], {parameter.name: value})
        except ParameterError:
            continue
        assert all(isinstance(text, str) and len(text) <= 1024 for text in sent.values())
