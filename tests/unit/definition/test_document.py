from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import botocore.session
from hypothesis import given
from hypothesis import strategies as st

from sagemaker_pipelines.definition import canonical, definition_hash, iter_steps, s3_data_types
from sagemaker_pipelines.definition.document import STEP_TYPES
from sagemaker_pipelines.definition.lint_expressions import EXECUTION_VARIABLES

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


def test_steps_in_branches_are_yielded_after_their_condition(definition: dict[str, Any]) -> None:
    assert [step["Name"] for step in iter_steps(definition)] == [
        "Train",
        "Report",
        "Gate",
        "Create",
        "Reject",
    ]


def test_the_data_types_of_a_parameter_are_found_in_every_step() -> None:
    def source(kind: str) -> dict[str, Any]:
        return {"S3Uri": {"Get": "Parameters.Rows"}, "S3DataType": kind}

    steps = [{"Inputs": [source("S3Prefix")]}, {"Else": [{"DataSource": {"S3": source("ManifestFile")}}]}]
    assert s3_data_types({"Steps": steps}, "Rows") == {"S3Prefix", "ManifestFile"}
    assert s3_data_types({"Steps": steps}, "Columns") == set()


@given(st.dictionaries(st.text(), json_values, max_size=5))
def test_canonical_text_is_json_of_the_same_value_whatever_the_order_of_keys(value: dict[str, Any]) -> None:
    reordered = dict(reversed(list(value.items())))
    assert json.loads(canonical(value)) == value
    assert canonical(value) == canonical(reordered)
    assert definition_hash(value) == definition_hash(reordered)


def test_another_definition_has_another_hash(definition: dict[str, Any]) -> None:
    before = definition_hash(definition)
    definition["Steps"][0]["Arguments"]["ResourceConfig"]["InstanceType"] = "ml.m5.xlarge"
    assert definition_hash(definition) != before


def test_importing_the_package_needs_the_standard_library_only() -> None:
    """Airflow parses DAG files with it: an import of Airflow, boto3 or the SDK would cost seconds."""
    code = (
        "import sys; import sagemaker_pipelines.definition; "
        "print([name for name in sys.modules if name.split('.')[0] in "
        "{'airflow', 'boto3', 'botocore', 'sagemaker', 'numpy', 'pydantic'}])"
    )
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="plugins"
    ).stdout
    assert output.strip() == "[]"


def test_the_step_types_and_execution_variables_are_the_sdk_s() -> None:
    """A new type in the SDK fails here, and not as an unknown type in somebody's compile."""
    from sagemaker_compile.offline import offline_environment

    with offline_environment():
        from sagemaker.core.workflow.execution_variables import ExecutionVariables
        from sagemaker.mlops.workflow.steps import StepTypeEnum

    # What each member of the metadata is the type of, if the two have different names.
    types = {"AutoMLJob": "AutoML", "ProcessingJob": "Processing", "TrainingJob": "Training"}
    types |= {"TransformJob": "Transform", "TuningJob": "Tuning"}
    model = botocore.session.get_session().get_service_model("sagemaker")
    metadata = model.shape_for("PipelineExecutionStepMetadata").members
    assert {item.value for item in StepTypeEnum} | {types.get(name, name) for name in metadata} == STEP_TYPES
    variables = {item.name for name, item in vars(ExecutionVariables).items() if name.isupper()}
    assert variables == EXECUTION_VARIABLES
