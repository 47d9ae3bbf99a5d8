from __future__ import annotations

import hashlib
import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from sagemaker_pipelines.definition import Envelope, canonical
from sagemaker_pipelines.exceptions import DefinitionError, InvalidDefinitionError, PlaceholderError

CONTENT = b"print('hello')\n"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def document(definition: dict[str, Any]) -> dict[str, Any]:
    return {
        "envelope_version": 1,
        "name": "abalone",
        "description": "Train.",
        "definition": definition,
        "images": {"xgboost": {"us-east-1": "1.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:3.2-0"}},
        "assets": [{"name": "a.py", "path": f"assets/{DIGEST}/a.py", "sha256": DIGEST}],
        "placeholders": ["artifact_bucket", "image:xgboost", "role_arn"],
    }


@pytest.fixture
def path(tmp_path: Path, document: dict[str, Any]) -> Path:
    asset = tmp_path / "assets" / DIGEST / "a.py"
    asset.parent.mkdir(parents=True)
    asset.write_bytes(CONTENT)
    path = tmp_path / "abalone.json"
    path.write_text(canonical(document))
    return path


VALUES = {"artifact_bucket": "bucket", "role_arn": "arn:aws:iam::1:role/r"}


def test_filling_leaves_no_placeholder_and_picks_the_region_s_image(path: Path) -> None:
    filled = Envelope.load(path).fill(VALUES, region="us-east-1")
    assert "${" not in json.dumps(filled)
    train = filled["Steps"][0]["Arguments"]
    assert train["AlgorithmSpecification"]["TrainingImage"].endswith("sagemaker-xgboost:3.2-0")
    assert filled["Parameters"][1]["DefaultValue"] == "s3://bucket/data"


def test_a_filled_value_is_not_read_again(path: Path) -> None:
    filled = Envelope.load(path).fill({**VALUES, "role_arn": "${artifact_bucket}"}, region="us-east-1")
    assert filled["Steps"][0]["Arguments"]["RoleArn"] == "${artifact_bucket}"


def test_a_placeholder_without_a_value_is_named(path: Path) -> None:
    with pytest.raises(PlaceholderError, match="'abalone' has no value for artifact_bucket, role_arn"):
        Envelope.load(path).fill({"artifact_bucket": ""}, region="us-east-1")


def test_a_region_without_the_image_is_refused_with_the_known_ones(path: Path) -> None:
    envelope = Envelope.load(path)
    with pytest.raises(
        PlaceholderError, match=r"'xgboost' has no URI for the region 'mars-1', expected one of us-east-1"
    ):
        envelope.fill(VALUES, region="mars-1")
    own = envelope.fill({**VALUES, "image:xgboost": "own:1"}, region="mars-1")
    assert own["Steps"][0]["Arguments"]["AlgorithmSpecification"]["TrainingImage"] == "own:1"


def test_an_empty_name_prefix_is_a_value_and_a_missing_one_is_not(
    path: Path, document: dict[str, Any]
) -> None:
    document["definition"]["Parameters"][1]["DefaultValue"] = "s3://${artifact_bucket}/${name_prefix}abalone"
    document["placeholders"] = ["artifact_bucket", "image:xgboost", "name_prefix", "role_arn"]
    path.write_text(canonical(document))
    envelope = Envelope.load(path)
    filled = envelope.fill({**VALUES, "name_prefix": ""}, region="us-east-1")
    assert filled["Parameters"][1]["DefaultValue"] == "s3://bucket/abalone"
    with pytest.raises(PlaceholderError, match="no value for name_prefix"):
        envelope.fill(VALUES, region="us-east-1")


def test_the_pipeline_s_name_takes_the_prefix(path: Path) -> None:
    assert Envelope.load(path).pipeline_name("dev-") == "dev-abalone"


@pytest.mark.parametrize("prefix", ["-", "dev_", "dev/", "é", "x" * 250])
def test_a_prefix_that_makes_an_unusable_name_is_refused(path: Path, prefix: str) -> None:
    with pytest.raises(PlaceholderError, match="name_prefix is"):
        Envelope.load(path).pipeline_name(prefix)


def test_an_asset_is_found_by_its_hash_and_knows_its_key(path: Path) -> None:
    envelope = Envelope.load(path)
    [asset] = envelope.assets
    assert envelope.asset_path(asset).read_bytes() == CONTENT
    assert asset.key("dev-") == f"dev-assets/{DIGEST}/a.py"


def test_an_asset_that_was_edited_after_compiling_is_refused(path: Path) -> None:
    envelope = Envelope.load(path)
    [asset] = envelope.assets
    (envelope.root / asset.path).write_bytes(b"other")
    with pytest.raises(DefinitionError, match="it was edited after compiling"):
        envelope.asset_path(asset)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"envelope_version": 2}, "envelope version 2, expected 1"),
        ({"assets": [{"name": "a.py"}]}, "is not a compiled envelope"),
        ({"images": None}, "is not a compiled envelope"),
        ({"placeholders": ["role_arn"]}, "lists the placeholders role_arn, but its definition uses"),
        ({"images": {}}, "unknown placeholders image:xgboost"),
    ],
)
def test_a_document_that_is_no_envelope_is_refused(
    path: Path, document: dict[str, Any], change: dict[str, Any], message: str
) -> None:
    path.write_text(json.dumps(document | change))
    with pytest.raises(DefinitionError, match=message):
        Envelope.load(path)


@pytest.mark.parametrize(("text", "message"), [("{", "is not JSON"), ("[]", "contains a list")])
def test_text_that_is_no_object_is_refused(path: Path, text: str, message: str) -> None:
    path.write_text(text)
    with pytest.raises(DefinitionError, match=message):
        Envelope.load(path)


def test_a_missing_file_is_named_with_those_that_are_there(path: Path) -> None:
    with pytest.raises(
        DefinitionError, match=rf"no_where\.json cannot be read .* contains {path.name}\. Name"
    ):
        Envelope.load(path.with_name("no_where.json"))


def test_the_linter_s_error_survives_pickling() -> None:
    """Airflow sends exceptions between processes."""
    error = pickle.loads(pickle.dumps(InvalidDefinitionError("abalone", ["step A: bad; fix it."])))
    assert error.problems == ("step A: bad; fix it.",)
    assert str(error) == "abalone: 1 problem in the definition:\n  - step A: bad; fix it."
