"""Requests are checked against AWS's own model, with AWS's texts."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagemaker_local_runtime.exceptions import AwsError, ValidationError
from sagemaker_local_runtime.service_model import operation, service_model
from sagemaker_local_runtime.validation import validate

ROLE = "arn:aws:iam::123456789012:role/Role"
GOOD = {"PipelineName": "p", "ClientRequestToken": "t" * 32, "RoleArn": ROLE, "PipelineDefinition": "{}"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"PipelineName": "a b"},
            (
                "1 validation error detected: Value 'a b' at 'pipelineName' failed to satisfy constraint: "
                "Member must satisfy regular expression pattern: [a-zA-Z0-9](-*[a-zA-Z0-9]){0,255}"
            ),
        ),
        (
            {"PipelineName": None},
            (
                "1 validation error detected: Value null at 'pipelineName' failed to satisfy constraint: "
                "Member must not be null"
            ),
        ),
        (
            {"ClientRequestToken": "short"},
            (
                "1 validation error detected: Value 'short' at 'clientRequestToken' failed to satisfy "
                "constraint: Member must have length greater than or equal to 32"
            ),
        ),
        (
            {"ParallelismConfiguration": {"MaxParallelExecutionSteps": 0}},
            (
                "1 validation error detected: Value '0' at "
                "'parallelismConfiguration.maxParallelExecutionSteps' "
                "failed to satisfy constraint: Member must have value greater than or equal to 1"
            ),
        ),
        (
            {"Tags": [{"Key": "k", "Value": "v"}, {"Key": "", "Value": "v"}]},
            (
                "1 validation error detected: Value '' at 'tags.2.member.key' failed to satisfy constraint: "
                "Member must have length greater than or equal to 1"
            ),
        ),
    ],
)
def test_a_broken_constraint_has_awss_text(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as raised:
        validate("CreatePipeline", {**GOOD, **change})
    assert raised.value.message == message


def test_an_enum_lists_its_values() -> None:
    with pytest.raises(ValidationError, match="enum value set: \\[Ascending, Descending\\]"):
        validate("ListPipelines", {"SortOrder": "Up"})


def test_every_violation_is_counted() -> None:
    with pytest.raises(ValidationError, match=r"^3 validation errors detected: .*; .*; "):
        validate("CreatePipeline", {})


@pytest.mark.parametrize(
    ("request_body", "message"),
    [
        ([], "Start of structure or map found where not expected"),
        ({**GOOD, "PipelineName": 7}, "NUMBER_VALUE can not be converted to a String"),
        ({**GOOD, "PipelineName": True}, "TRUE_VALUE can not be converted to a String"),
        ({**GOOD, "Tags": {}}, "Start of structure or map can not be converted to a List"),
    ],
)
def test_a_wrong_json_type_is_a_serialization_error(request_body: Any, message: str) -> None:
    with pytest.raises(AwsError, match=message) as raised:
        validate("CreatePipeline", request_body)
    assert raised.value.code == "SerializationException"


def test_members_that_aws_does_not_know_are_dropped() -> None:
    assert validate("CreatePipeline", {**GOOD, "Colour": "red", "PipelineDescription": None}) == GOOD


def test_an_unknown_action_has_no_model() -> None:
    assert operation("Explode") is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)


@given(st.sampled_from(sorted(service_model().operation_names)), st.data())
def test_no_request_of_any_action_breaks_the_validation(action: str, data: st.DataObject) -> None:
    model = operation(action)
    assert model is not None
    names = list(model.input_shape.members) if model.input_shape else []
    request = data.draw(
        st.dictionaries(st.sampled_from(names), json_values, max_size=4) if names else json_values
    )
    code, checked = outcome(action, request)
    assert code in ("", "ValidationException", "SerializationException")
    assert checked.keys() <= set(names)


def outcome(action: str, request: Any) -> tuple[str, dict[str, Any]]:
    """Return the error's code and an empty request, or no code and the request as checked."""
    try:
        return "", validate(action, request)
    except AwsError as error:
        return error.code, {}
