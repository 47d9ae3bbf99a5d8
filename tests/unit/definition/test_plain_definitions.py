"""A definition without an envelope is read like an envelope, from all the forms that SageMaker gives it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sagemaker_pipelines.definition import Envelope, gate_of, lint
from sagemaker_pipelines.definition.adoption import Replacer, Surroundings
from sagemaker_pipelines.definition.placeholders import substitute
from sagemaker_pipelines.definition.resources import buckets_of, code_uris, images_of
from sagemaker_pipelines.exceptions import DefinitionError, InvalidDefinitionError
from stack.settings import ROOT
from tests.unit.definition.samples import MODEL

CHURN = ROOT / "tests" / "projects" / "sdk_v2" / "churn.json"
DEFINITION = json.loads(CHURN.read_text())
ROLE = "arn:aws:iam::111122223333:role/service-role/AmazonSageMaker-ExecutionRole-20240102T030405"
BUCKET = "sagemaker-eu-west-1-111122223333"
ANSWER = {
    "PipelineArn": "arn:aws:sagemaker:eu-west-1:111122223333:pipeline/Churn",
    "PipelineName": "Churn",
    "PipelineDefinition": json.dumps(DEFINITION),
    "PipelineDescription": "Predict who leaves.",
    "RoleArn": "arn:aws:iam::111122223333:role/Pipelines",
    "PipelineStatus": "Active",
    "CreationTime": "2026-01-01T00:00:00+00:00",
}


def written(tmp_path: Path, document: Any, name: str = "churn.json") -> Path:
    path = tmp_path / name
    path.write_text(json.dumps(document))
    return path


@pytest.mark.parametrize(
    "document",
    [DEFINITION, json.dumps(DEFINITION), ANSWER, ANSWER | {"PipelineDefinition": DEFINITION}],
    ids=["definition", "text of definition()", "DescribePipeline", "DescribePipeline with an object"],
)
def test_each_form_is_the_same_definition(document: Any, tmp_path: Path) -> None:
    envelope = Envelope.load(written(tmp_path, document))
    assert envelope.definition == DEFINITION
    assert (envelope.name, envelope.placeholders, envelope.assets) == ("churn", (), ())
    assert envelope.fill({}, region="eu-west-1") == DEFINITION


def test_an_answer_of_describe_pipeline_has_a_description_and_a_role(tmp_path: Path) -> None:
    envelope = Envelope.load(written(tmp_path, ANSWER, "other.json"))
    # The name in the answer already has an environment's prefix.
    assert (envelope.name, envelope.description) == ("other", "Predict who leaves.")
    assert envelope.role({"role_arn": "arn:aws:iam::444455556666:role/Other"}) == ANSWER["RoleArn"]


def test_the_role_is_the_environment_s_or_else_the_only_one_of_the_steps(tmp_path: Path) -> None:
    envelope = Envelope.load(CHURN)
    assert envelope.role({}) == ROLE
    assert envelope.role({"role_arn": "arn:aws:iam::444455556666:role/Other"}).endswith("/Other")  # type: ignore[union-attr]
    two = json.loads(CHURN.read_text().replace(ROLE, f"{ROLE}2", 1))
    assert Envelope.load(written(tmp_path, two)).role({}) is None


def test_what_sdk_v2_writes_has_no_problem_and_a_gate() -> None:
    assert lint(DEFINITION, MODEL) == []
    gate = gate_of(DEFINITION)
    assert (gate.label, gate.rejection_steps) == ("auc", ("RejectChurn",))


def test_code_images_and_buckets_are_found_as_sdk_v2_writes_them() -> None:
    assert {uri.rpartition("/")[2]: step for uri, step in code_uris(DEFINITION).items()} == {
        "preprocess.py": "PreprocessChurn",
        "evaluate.py": "EvaluateChurn",
    }
    assert [image.repository for image in images_of(DEFINITION).values()] == [
        "sagemaker-scikit-learn",
        "sagemaker-xgboost",
    ]
    assert buckets_of(DEFINITION) == {BUCKET}


@pytest.mark.parametrize(
    "arguments",
    [
        {"HyperParameters": {"sagemaker_submit_directory": '"s3://code/sourcedir.tar.gz"'}},
        {"PrimaryContainer": {"Environment": {"SAGEMAKER_SUBMIT_DIRECTORY": "s3://code/sourcedir.tar.gz"}}},
        {
            "InputDataConfig": [
                {
                    "ChannelName": "code",
                    "DataSource": {"S3DataSource": {"S3Uri": "s3://code/sourcedir.tar.gz"}},
                }
            ]
        },
        {
            "AppSpecification": {"ContainerEntrypoint": ["python3", "/opt/ml/processing/input/src/run.py"]},
            "ProcessingInputs": [
                {
                    "InputName": "input-3",
                    "S3Input": {
                        "S3Uri": "s3://code/sourcedir.tar.gz",
                        "LocalPath": "/opt/ml/processing/input/src",
                    },
                },
                {"S3Input": {"S3Uri": "s3://data/rows", "LocalPath": "/opt/ml/processing/input"}},
            ],
        },
    ],
    ids=["training script mode", "model", "channel", "folder of the entry point"],
)
def test_code_is_found_wherever_a_step_has_it(arguments: dict[str, Any]) -> None:
    step = {"Name": "Step", "Type": "Training", "Arguments": arguments}
    assert code_uris({"Steps": [step]}) == {"s3://code/sourcedir.tar.gz": "Step"}


FORMS = json.loads((CHURN.parent / "forms.json").read_text())


def test_each_kind_of_step_that_sdk_v2_writes_has_no_problem_and_names_its_code() -> None:
    assert lint(FORMS, MODEL) == []
    code = {(step, uri.rpartition("/")[2]) for uri, step in code_uris(FORMS).items()}
    assert code == {
        ("Train", "sourcedir.tar.gz"),
        ("Tune", "sourcedir.tar.gz"),
        ("Process", "sourcedir.tar.gz"),
        ("Process", "runproc.sh"),
        ("Create-CreateModel", "sourcedir.tar.gz"),
        ("Register-RegisterModel", "sourcedir.tar.gz"),
        ("Collection-RepackModel", "sourcedir.tar.gz"),
    }


@pytest.mark.parametrize(("name", "region"), [("churn", "eu-west-1"), ("forms", "us-east-1")])
def test_a_definition_with_placeholders_filled_in_the_same_account_is_the_same(
    name: str, region: str
) -> None:
    definition = json.loads((CHURN.parent / f"{name}.json").read_text())
    role = next(
        step["Arguments"]["RoleArn"] for step in definition["Steps"] if "RoleArn" in step["Arguments"]
    )
    own = Surroundings(
        role_arn=role, bucket=f"sagemaker-{region}-111122223333", account_id="111122223333", region=region
    )
    replacer = Replacer(own)
    replaced = replacer.replace(definition)
    assert "111122223333" not in json.dumps(replaced).replace("sqs.us-east-1.amazonaws.com/111122223333", "")
    images = {f"image:{image}": uris[region] for image, uris in replacer.images.items()}
    assert substitute(replaced, {**own.values, **images, "region": region}) == definition


def test_a_placeholder_may_stand_for_any_part_of_the_account(tmp_path: Path) -> None:
    text = CHURN.read_text().replace(ROLE, "${role_arn}").replace(BUCKET, "${artifact_bucket}")
    text = text.replace("ChurnModelPackageGroup", "${name_prefix}churn-${region}-${account_id}")
    envelope = Envelope.load(written(tmp_path, json.loads(text)))
    assert envelope.placeholders == ("account_id", "artifact_bucket", "name_prefix", "region", "role_arn")
    values = {"role_arn": ROLE, "artifact_bucket": "ml", "name_prefix": "dev-", "account_id": "111122223333"}
    filled = json.dumps(envelope.fill(values, region="eu-west-1"))
    assert "${" not in filled
    assert "dev-churn-eu-west-1-111122223333" in filled


def test_a_variable_of_a_shell_is_not_a_placeholder(tmp_path: Path) -> None:
    text = CHURN.read_text().replace('"--seed"', '"for file in *; do echo ${file}; done"')
    envelope = Envelope.load(written(tmp_path, json.loads(text)))
    assert envelope.placeholders == ()
    assert "${file}" in json.dumps(envelope.fill({}, region="eu-west-1"))


def test_annotations_stand_beside_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, DEFINITION)
    toml = path.with_name("churn.parameters.toml")
    toml.write_text('[AucThreshold]\ndescription = "The AUC to reach."\nminimum = 0.5\n')
    parameters = {parameter.name: parameter for parameter in Envelope.load(path).parameters}
    assert (parameters["AucThreshold"].description, parameters["AucThreshold"].minimum) == (
        "The AUC to reach.",
        0.5,
    )
    toml.write_text("[Auc]\nminimum = 1\n")
    with pytest.raises(DefinitionError, match="Auc is annotated but is not a parameter"):
        Envelope.load(path)
    toml.write_text("[Auc")
    with pytest.raises(DefinitionError, match=r"churn\.parameters\.toml is not TOML"):
        Envelope.load(path)


def test_underscores_of_the_file_become_hyphens_and_other_names_are_refused(tmp_path: Path) -> None:
    assert Envelope.load(written(tmp_path, DEFINITION, "wine_class.json")).pipeline_name() == "wine-class"
    with pytest.raises(DefinitionError, match=r"'my churn'.*Rename its file, or give another name"):
        Envelope.load(written(tmp_path, DEFINITION, "my churn.json")).pipeline_name()


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({}, "contains no definition"),
        ({"Version": "2020-12-01"}, "it has the keys Version, but no Steps"),
        ({"definition": DEFINITION}, "it has the keys definition, but no Steps"),
        (ANSWER | {"PipelineDefinition": "{"}, "PipelineDefinition that is not JSON"),
        (ANSWER | {"PipelineDefinition": 3}, "contains no definition: it has 3"),
        (ANSWER | {"RoleArn": 3}, "the RoleArn 3, expected text"),
        ("not JSON", "is not JSON"),
        ('{"Version": "2020-12-01", "Steps": [], "Metadata": NaN}', "is not JSON"),
        ([DEFINITION], "contains a list"),
    ],
)
def test_what_is_not_a_definition_is_refused(document: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match=message):
        Envelope.load(written(tmp_path, document))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Parameters": {"Name": "A"}}, "Parameters is not a list"),
        ({"Parameters": [{"Name": "A", "Type": "Text"}]}, "parameter A has the type 'Text'"),
        ({"Steps": [{"Name": "A", "Arguments": {}}]}, "a step has the Name 'A' and the Type None"),
        ({"Steps": [{"Name": "A", "Type": "Fail"}]}, "its Arguments are None"),
    ],
)
def test_a_definition_that_no_dag_could_read_is_refused(
    change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidDefinitionError, match=message):
        Envelope.load(written(tmp_path, DEFINITION | change))
