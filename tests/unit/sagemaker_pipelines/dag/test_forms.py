from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import Param
from airflow.sdk.definitions.param import ParamsDict
from airflow.sdk.exceptions import ParamValidationError

from sagemaker_pipelines.dag.forms import form_params, form_values
from sagemaker_pipelines.definition import Parameter

PARAMETERS = (
    Parameter("Count", "Integer", 1, description="Instances."),
    Parameter("Threshold", "Float", 6.0),
    Parameter("Status", "String", "Approved", ("Approved", "Rejected")),
    Parameter("Data", "String", "s3://${artifact_bucket}/data.csv", description="Rows."),
    Parameter("Limited", "Integer", 2, section="Compute", minimum=1, maximum=4),
    Parameter("Instance", "String", "ml.m5.large", pattern=r"ml\.[a-z0-9.]+"),
    Parameter("Wanted", "String"),
)


def validated(**values: Any) -> dict[str, Any]:
    params = ParamsDict({**form_params(PARAMETERS), "Wanted": Param("x", type="string")})
    params.update(values)
    return dict(params.validate())


def test_the_form_has_the_definitions_types_defaults_enums_and_descriptions() -> None:
    form = form_params(PARAMETERS)
    assert list(form) == ["Count", "Threshold", "Status", "Data", "Limited", "Instance", "Wanted"]
    assert form["Count"].schema == {"type": "integer", "title": "Count"}
    assert form["Count"].value == 1
    assert form["Count"].description == "Instances."
    assert form["Status"].schema["enum"] == ["Approved", "Rejected"]
    assert (
        form["Limited"].schema | {"minimum": 1, "maximum": 4, "section": "Compute"} == form["Limited"].schema
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"Count": "many"},
        {"Count": 1.5},
        {"Threshold": "low"},
        {"Status": "Perhaps"},
        {"Data": 7},
        {"Limited": 5},
        {"Instance": "m5"},
        {"Instance": "ml.m5 large"},
    ],
)
def test_a_value_of_another_type_or_outside_the_enum_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ParamValidationError):
        validated(**wrong)


def test_a_default_that_is_known_only_where_deployed_shows_an_empty_field() -> None:
    field = form_params(PARAMETERS)["Data"]
    assert field.value is None
    assert field.description == "Rows. Empty means the deployed default."


def test_a_field_that_the_interval_selects_is_empty_whatever_its_default() -> None:
    parameters = (
        Parameter("Fixed", "String", "s3://bucket/rows/", description="Rows."),
        Parameter("Deployed", "String", "s3://${artifact_bucket}/rows/"),
        Parameter("Required", "String"),
    )
    form = form_params(parameters, by_interval=["Fixed", "Deployed", "Required"])
    assert ParamsDict(form).validate() == dict.fromkeys(form)
    assert [form[name].description for name in form] == [
        "Rows. Empty means what the run's interval selects, or s3://bucket/rows/ if it has none.",
        "Empty means what the run's interval selects, or the deployed default if it has none.",
        "Empty means what the run's interval selects.",
    ]
    assert validated()["Data"] is None


def test_a_parameter_without_a_default_must_be_filled_in() -> None:
    with pytest.raises(ParamValidationError):
        form_params(PARAMETERS)["Wanted"].resolve()


def test_a_parameter_without_a_default_may_stay_empty_where_the_dag_gives_its_value() -> None:
    parameters = (Parameter("Status", "String", enum_values=("Approved", "Rejected")),)
    form = form_params(parameters, set_elsewhere=["Status"])
    assert ParamsDict(form).validate() == {"Status": None}
    assert form["Status"].description == "Empty means the value that the DAG sets."
    with pytest.raises(ParamValidationError):
        form["Status"].resolve("Wrong")


def test_the_values_are_the_forms_with_their_types() -> None:
    params = {parameter.name: "w" for parameter in PARAMETERS} | {"Count": 2, "Threshold": 0, "Data": None}
    context: Any = {"params": params}
    assert {name: value.resolve(context) for name, value in form_values(PARAMETERS).items()} == params
