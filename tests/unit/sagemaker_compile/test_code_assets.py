"""Uploads of the SDK become assets whose keys are made of their content."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from sagemaker_compile.code_assets import CodeAssets
from sagemaker_compile.exceptions import CompileError
from sagemaker_compile.stand_ins import ARTIFACT_BUCKET, DEFAULT_BUCKET, NAME_PREFIX, ROLE_ARN

ASSETS = f"s3://{ARTIFACT_BUCKET}/{NAME_PREFIX}assets"


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_a_file_is_named_by_its_hash_wherever_its_uri_stands() -> None:
    """SDK v2 writes hyperparameters as JSON in JSON."""
    code = CodeAssets({"s3://b/job-2026/train.py": b"x\n", "s3://b/unused.py": b""}, ())
    definition = {"A": ["s3://b/job-2026/train.py"], "B": {"C": '"s3://b/job-2026/train.py"'}}
    final = f"{ASSETS}/{digest(b'x' + bytes([10]))}/train.py"
    assert code.replaced(definition) == {"A": [final], "B": {"C": f'"{final}"'}}
    [asset] = code.assets
    assert code.contents == {asset.path: b"x\n"}
    assert f"s3://{ARTIFACT_BUCKET}/{asset.key(NAME_PREFIX)}" == final


def test_a_folder_keeps_its_layout_below_one_key() -> None:
    files = {
        "s3://b/code/train.py": b"t",
        "s3://b/code/lib/model.py": b"m",
        "s3://b/code/lib/__pycache__/model.pyc": b"p",
        "s3://b/code2/other.py": b"o",
    }
    code = CodeAssets(files, ["s3://b/code"])
    uri = code.replaced("s3://b/code")
    keys = {asset.key("") for asset in code.assets}
    folder = uri.removeprefix(f"{ASSETS}/")
    assert keys == {f"assets/{folder}/train.py", f"assets/{folder}/lib/model.py"}
    assert {asset.path for asset in code.assets} == {
        f"assets/{digest(b't')}/train.py",
        f"assets/{digest(b'm')}/model.py",
    }
    assert code.replaced({"S3Uri": "s3://b/code/"}) == {"S3Uri": f"{uri}/"}


def test_an_uploaded_file_may_have_any_name() -> None:
    files = {"s3://b/in/pre process.py": b"1", "s3://b/in/pre": b"2", "s3://b/in/a,b;'c'.csv": b"3"}
    code = CodeAssets(files, ())
    final = {uri: f"{ASSETS}/{digest(content)}/{uri.rpartition('/')[2]}" for uri, content in files.items()}
    for uri, asset_uri in final.items():
        assert code.replaced([uri, f'"{uri}"', f"--file {uri} --last"]) == [
            asset_uri,
            f'"{asset_uri}"',
            f"--file {asset_uri} --last",
        ]
    assert {asset.name for asset in code.assets} == {"pre process.py", "pre", "a,b;'c'.csv"}


def test_a_folder_with_a_space_in_its_name_becomes_one_key() -> None:
    files = {"s3://b/my code/train.py": b"t", "s3://b/my code 2/other.py": b"o"}
    code = CodeAssets(files, ["s3://b/my code"])
    uri = code.replaced("s3://b/my code")
    assert [asset.key("") for asset in code.assets] == [f"{uri.removeprefix(ASSETS[:-6])}/train.py"]
    assert code.replaced({"S3Uri": "s3://b/my code/"}) == {"S3Uri": f"{uri}/"}
    assert code.replaced("s3://b/my code/gone.py") == "s3://b/my code/gone.py"


def test_the_key_of_a_folder_changes_with_a_content_and_with_a_name() -> None:
    def uri(files: dict[str, bytes]) -> str:
        named = {f"s3://b/code/{name}": content for name, content in files.items()}
        result: str = CodeAssets(named, ["s3://b/code"]).replaced("s3://b/code")
        return result

    keys = {uri({"a.py": b"1"}), uri({"a.py": b"2"}), uri({"b.py": b"1"}), uri({"a.py": b"1", "b.py": b"1"})}
    assert len(keys) == 4
    assert uri({"b.py": b"2", "a.py": b"1"}) == uri({"a.py": b"1", "b.py": b"2"})


def test_files_that_two_folders_share_are_stored_once() -> None:
    files = {f"s3://b/{job}/{name}": name.encode() for job in ("one", "two") for name in ("driver.py", job)}
    code = CodeAssets(files, ["s3://b/one", "s3://b/two"])
    code.replaced(["s3://b/one", "s3://b/two"])
    assert len(code.assets) == 4
    assert sorted(code.contents.values()) == [b"driver.py", b"one", b"two"]


def test_a_prefix_that_is_no_folder_of_uploads_stays() -> None:
    """The SDK uploads code below the prefix that data or outputs may have, too."""
    code = CodeAssets({"s3://b/churn/job-1/input/code/train.py": b"t"}, ["s3://b/churn/job-1/input/code"])
    definition = {
        "S3Uri": "s3://b/churn",
        "OutputDataConfig": {"S3OutputPath": "s3://b/churn/job-1/input/code"},
        "CheckpointConfig": {"S3Uri": "s3://b/churn/job-1/input/code"},
        "DefaultValue": "s3://b/churn/job-1/input/codes",
    }
    assert code.replaced(definition) == definition
    assert not code.assets


def test_the_folder_of_an_uploaded_file_is_an_input_only_where_a_step_reads_a_prefix() -> None:
    code = CodeAssets({"s3://b/job/source/sourcedir.tar.gz": b"t"}, ())
    assert code.replaced({"DefaultValue": "s3://b/job/source"}) == {"DefaultValue": "s3://b/job/source"}
    assert code.replaced({"S3Uri": "s3://b/job/source/"})["S3Uri"].startswith(ASSETS)


def test_a_folder_with_nothing_to_keep_is_refused() -> None:
    code = CodeAssets({"s3://b/code/__pycache__/a.pyc": b"p"}, ["s3://b/code"])
    with pytest.raises(CompileError, match="The uploaded folder s3://b/code holds no file to keep"):
        code.replaced("s3://b/code")


@pytest.mark.parametrize("stand_in", [ARTIFACT_BUCKET, NAME_PREFIX, ROLE_ARN, DEFAULT_BUCKET])
def test_a_file_with_a_value_that_only_the_deployment_knows_is_refused(stand_in: str) -> None:
    code = CodeAssets({"s3://b/settings.json": json.dumps({"bucket": stand_in}).encode()}, ())
    with pytest.raises(CompileError, match=rf"The uploaded file settings\.json contains .*{stand_in}"):
        code.replaced("s3://b/settings.json")


def test_the_settings_of_a_model_trainer_do_not_name_the_folder_of_this_machine() -> None:
    def uri(source_dir: str | None) -> str:
        settings = {"source_dir": source_dir, "entry_script": "train.py"}
        files = {"s3://b/sm_drivers/sourcecode.json": json.dumps(settings).encode()}
        result: str = CodeAssets(files, ["s3://b/sm_drivers"]).replaced("s3://b/sm_drivers")
        return result

    assert uri("/home/one/src") == uri("/home/two/src") != uri(None)


@pytest.mark.parametrize(
    ("written", "expected"),
    [('"/home/me/src"', '"/opt/ml/code"'), ("/tmp/x1", "/opt/ml/code"), ("null", "null"), (None, None)],
)
def test_the_job_that_adds_code_to_a_model_does_not_name_it_either(
    written: str | None, expected: str | None
) -> None:
    given = {"inference_script": "i.py", "model_archive": {"Get": "x"}, "source_dir": written}
    assert CodeAssets({}, ()).replaced(given) == {**given, "source_dir": expected}


def processing(uri: Any) -> dict[str, Any]:
    return {
        "ProcessingInputs": [
            {"InputName": "data", "S3Input": {"S3Uri": "s3://data/any"}},
            {"InputName": "code", "S3Input": {"S3Uri": uri}},
        ]
    }


def training(uri: Any) -> dict[str, Any]:
    channels = [{"ChannelName": "code", "DataSource": {"S3DataSource": {"S3Uri": uri}}}]
    return {"InputDataConfig": channels}


def tuning(uri: Any) -> dict[str, Any]:
    return {"TrainingJobDefinition": {"StaticHyperParameters": {"sagemaker_submit_directory": f'"{uri}"'}}}


def model(uri: Any) -> dict[str, Any]:
    return {"PrimaryContainer": {"Environment": {"SAGEMAKER_SUBMIT_DIRECTORY": uri}}}


@pytest.mark.parametrize("arguments", [processing, training, tuning, model])
def test_code_that_nothing_deploys_is_refused_by_step_and_uri(arguments: Any) -> None:
    step = {"Name": "Inner", "Type": "Processing", "Arguments": arguments("s3://team/code/src.tar.gz")}
    condition = {"Name": "If", "Type": "Condition", "Arguments": {"IfSteps": [step], "ElseSteps": []}}
    code = CodeAssets({}, ())
    with pytest.raises(CompileError, match=r"Step Inner runs code from s3://team/code/src\.tar\.gz, which"):
        code.check_code({"Steps": [condition]}, ())
    code.check_code({"Steps": [condition]}, ["s3://team/code/src.tar.gz"])


@pytest.mark.parametrize("arguments", [processing, training, tuning, model])
def test_code_that_is_an_asset_is_accepted(arguments: Any) -> None:
    code = CodeAssets({"s3://b/job/src.tar.gz": b"x"}, ())
    step = {"Name": "Run", "Type": "Processing", "Arguments": arguments("s3://b/job/src.tar.gz")}
    code.check_code(code.replaced({"Steps": [step]}), ())
    assert len(code.assets) == 1


def test_code_that_a_step_or_a_parameter_gives_and_code_in_the_image_are_accepted() -> None:
    steps = [
        {"Name": "A", "Type": "Processing", "Arguments": processing({"Get": "Parameters.Code"})},
        {"Name": "B", "Type": "Model", "Arguments": model("/opt/ml/model/code")},
        {"Name": "C", "Type": "Fail"},
    ]
    CodeAssets({}, ()).check_code({"Steps": steps}, ())
