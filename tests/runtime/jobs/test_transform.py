from __future__ import annotations

import io
import json
import pickle
import tarfile
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost  # noqa: TID253 - the models are made with it

from sagemaker_local_runtime.exceptions import ValidationError
from tests.runtime.jobs.conftest import BUCKET, ROLE, SKLEARN, XGBOOST, JobRuntime
from tests.wheels import Wheelhouse

ROWS = b"1,2,3\n4,5,6\n7,8,9\n"
# Answers the sum of each row, and says how many rows it was sent at once.
SUMS = """
    import json

    def model_fn(model_dir):
        return open(model_dir + "/factor").read()

    def input_fn(data, content_type):
        if "json" in content_type:
            return [json.loads(line)["x"] for line in data.splitlines()]
        return [[float(field) for field in line.split(",")] for line in data.splitlines()]

    def predict_fn(rows, model):
        print("REQUEST", len(rows))
        return [sum(row) * float(model) for row in rows]

    def output_fn(sums, accept):
        if "json" in accept:
            return "\\n".join(json.dumps({"sum": value}) for value in sums), accept
        return "\\n".join(map(str, sums)) + "\\n", accept
"""


def upload_model(runtime: JobRuntime, name: str, files: dict[str, bytes]) -> str:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for path, content in files.items():
            info = tarfile.TarInfo(path)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    uri = f"s3://{BUCKET}/{name}/model.tar.gz"
    runtime.storage.write_bytes(uri, archive.getvalue())
    return uri


def script_container(runtime: JobRuntime, name: str, script: str, factor: str = "1") -> dict[str, Any]:
    files = {"code/inference.py": textwrap.dedent(script).encode(), "factor": factor.encode()}
    return {
        "Image": SKLEARN,
        "ModelDataUrl": upload_model(runtime, name, files),
        "Environment": {"SAGEMAKER_PROGRAM": "inference.py"},
    }


def create_model(runtime: JobRuntime, name: str, *containers: dict[str, Any]) -> None:
    if len(containers) == 1:
        request: dict[str, Any] = {"PrimaryContainer": containers[0]}
    else:
        request = {"Containers": list(containers)}
    runtime.models.create_model({"ModelName": name, "ExecutionRoleArn": ROLE, **request})


def transform_request(name: str, **changes: Any) -> dict[str, Any]:
    request: dict[str, Any] = {
        "TransformJobName": name,
        "ModelName": name,
        "BatchStrategy": "MultiRecord",
        "TransformInput": {
            "ContentType": "text/csv",
            "SplitType": "Line",
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/{name}/in"}},
        },
        "TransformOutput": {
            "Accept": "text/csv",
            "AssembleWith": "Line",
            "S3OutputPath": f"s3://{BUCKET}/{name}/out",
        },
        "TransformResources": {"InstanceCount": 1, "InstanceType": "ml.m5.xlarge"},
    }
    for field, value in changes.items():
        request[field] = {**request[field], **value} if isinstance(request.get(field), dict) else value
    return request


def log_of(runtime: JobRuntime, name: str) -> str:
    return runtime.jobs.log_path("transform", name).read_text()


def run_transform(runtime: JobRuntime, name: str, rows: bytes = ROWS, **changes: Any) -> dict[str, Any]:
    runtime.storage.write_bytes(f"s3://{BUCKET}/{name}/in/rows.csv", rows)
    runtime.jobs.create("transform", transform_request(name, **changes))
    return runtime.jobs.wait("transform", name)


def result(runtime: JobRuntime, name: str) -> bytes:
    return runtime.storage.read_bytes(f"s3://{BUCKET}/{name}/out/rows.csv.out")


def sums(runtime: JobRuntime, name: str, rows: bytes = ROWS, **changes: Any) -> bytes:
    """Transform rows with the model that sums them and return the output."""
    create_model(runtime, name, script_container(runtime, name, SUMS))
    job = run_transform(runtime, name, rows, **changes)
    assert job["TransformJobStatus"] == "Completed", log_of(runtime, name)
    return result(runtime, name)


def train_booster() -> tuple[Any, Any]:
    features = np.random.default_rng(3).normal(size=(80, 3)).astype(np.float32)
    matrix = xgboost.DMatrix(features, label=features @ [1.0, 2.0, 3.0])
    return xgboost.train({"max_depth": 3}, matrix, num_boost_round=4), features


def test_an_xgboost_model_scores_every_row(either_isolation: JobRuntime) -> None:
    booster, features = train_booster()
    container = {
        "Image": XGBOOST,
        "ModelDataUrl": upload_model(
            either_isolation, "scores", {"xgboost-model": bytes(booster.save_raw("ubj"))}
        ),
    }
    create_model(either_isolation, "scores", container)
    rows = "\n".join(",".join(map(str, row)) for row in features.tolist()).encode()
    job = run_transform(either_isolation, "scores", rows)
    assert job["TransformJobStatus"] == "Completed", log_of(either_isolation, "scores")
    expected = booster.predict(xgboost.DMatrix(features)).tolist()
    scores = [float(line) for line in result(either_isolation, "scores").splitlines()]
    assert scores == pytest.approx(expected)
    assert job["TransformStartTime"] <= job["TransformEndTime"]


def test_a_pickled_model_is_loaded(runtime: JobRuntime) -> None:
    booster, features = train_booster()
    container = {
        "Image": XGBOOST,
        "ModelDataUrl": upload_model(runtime, "pickled", {"xgboost-model": pickle.dumps(booster)}),
    }
    create_model(runtime, "pickled", container)
    rows = "\n".join(",".join(map(str, row)) for row in features[:2].tolist()).encode()
    job = run_transform(runtime, "pickled", rows)
    assert job["TransformJobStatus"] == "Completed", log_of(runtime, "pickled")
    assert len(result(runtime, "pickled").splitlines()) == 2


def test_many_records_go_into_one_request(runtime: JobRuntime) -> None:
    assert sums(runtime, "many") == b"6.0\n15.0\n24.0\n"
    assert "REQUEST 3" in log_of(runtime, "many")


def test_a_single_record_goes_into_each_request(runtime: JobRuntime) -> None:
    assert sums(runtime, "single", BatchStrategy="SingleRecord") == b"6.0\n15.0\n24.0\n"
    assert log_of(runtime, "single").count("REQUEST 1") == 3


def test_requests_stay_within_the_largest_payload(runtime: JobRuntime) -> None:
    row = ",".join(["1"] * 200_000).encode()
    rows = b"\n".join([row] * 5)
    assert sums(runtime, "payload", rows, MaxPayloadInMB=1) == b"200000.0\n" * 5
    assert log_of(runtime, "payload").splitlines() == ["REQUEST 2", "REQUEST 2", "REQUEST 1"]


def test_a_record_beyond_the_largest_payload_fails_the_job(runtime: JobRuntime) -> None:
    create_model(runtime, "large", script_container(runtime, "large", SUMS))
    job = run_transform(runtime, "large", b"1," * 700_000 + b"1\n", MaxPayloadInMB=1)
    assert job["TransformJobStatus"] == "Failed"
    assert job["FailureReason"] == "ClientError: See job logs for more information"
    assert "Too much data for max payload size" in log_of(runtime, "large")


def test_a_filter_a_join_and_a_filter_shape_csv(runtime: JobRuntime) -> None:
    processing = {"InputFilter": "$[1:]", "JoinSource": "Input", "OutputFilter": "$[0,-1]"}
    assert sums(runtime, "shape", DataProcessing=processing) == b"1,5.0\n4,11.0\n7,17.0\n"


def test_json_lines_are_joined_under_the_output_key(runtime: JobRuntime) -> None:
    rows = b'{"id": 1, "x": [1, 2]}\n{"id": 2, "x": [3, 4]}\n'
    changes = {
        "TransformInput": {"ContentType": "application/jsonlines"},
        "TransformOutput": {"Accept": "application/jsonlines"},
        "DataProcessing": {"JoinSource": "Input", "OutputFilter": "$['id','SageMakerOutput']"},
    }
    lines = sums(runtime, "jsonl", rows, **changes).splitlines()
    assert [json.loads(line) for line in lines] == [
        {"id": 1, "SageMakerOutput": {"sum": 3.0}},
        {"id": 2, "SageMakerOutput": {"sum": 7.0}},
    ]


def test_containers_of_a_pipeline_pass_their_answers_on(runtime: JobRuntime) -> None:
    first = script_container(runtime, "chain/a", SUMS, factor="10")
    second = script_container(runtime, "chain/b", SUMS, factor="2")
    create_model(runtime, "chain", first, second)
    job = run_transform(runtime, "chain")
    assert job["TransformJobStatus"] == "Completed", log_of(runtime, "chain")
    assert result(runtime, "chain") == b"120.0\n300.0\n480.0\n"


def test_outputs_keep_the_structure_of_the_inputs(runtime: JobRuntime) -> None:
    runtime.storage.write_bytes(f"s3://{BUCKET}/tree/in/a/b/part.csv", b"1,1,1\n")
    sums(runtime, "tree")
    assert runtime.storage.list(f"s3://{BUCKET}/tree/out/") == [
        f"s3://{BUCKET}/tree/out/a/b/part.csv.out",
        f"s3://{BUCKET}/tree/out/rows.csv.out",
    ]


def test_a_script_that_raises_fails_the_job_with_its_traceback_in_the_log(runtime: JobRuntime) -> None:
    create_model(runtime, "raises", script_container(runtime, "raises", SUMS))
    job = run_transform(runtime, "raises", b"1,2,three\n")
    assert job["FailureReason"] == "AlgorithmError: See job logs for more information"
    assert "could not convert string to float: 'three'" in log_of(runtime, "raises")


def test_requirements_beside_a_model_are_installed(wheelhouse: Wheelhouse, runtime: JobRuntime) -> None:
    wheelhouse.add("grape", "1.0")
    script = "import grape\n\nNAME = grape.VERSION\n" + textwrap.dedent(SUMS)
    container = script_container(runtime, "wants", script)
    files = {
        "code/inference.py": script.encode(),
        "code/requirements.txt": b"grape\n",
        "factor": b"1",
    }
    create_model(runtime, "wants", {**container, "ModelDataUrl": upload_model(runtime, "wants", files)})
    assert run_transform(runtime, "wants")["TransformJobStatus"] == "Completed", log_of(runtime, "wants")


def test_an_archive_cannot_leave_the_model_folder(runtime: JobRuntime) -> None:
    container = {"Image": SKLEARN, "ModelDataUrl": upload_model(runtime, "escape", {"../../evil": b"x"})}
    create_model(runtime, "escape", container)
    job = run_transform(runtime, "escape")
    assert "Cannot unpack" in job["FailureReason"]
    assert not list(runtime.account.settings.data_dir.rglob("evil"))


@pytest.mark.parametrize("place", ["/opt/ml/code", "/opt/ml/transform/plan.json"])
def test_a_container_cannot_lead_the_files_of_the_next_one_elsewhere(
    runtime: JobRuntime, tmp_path: Path, place: str
) -> None:
    outside = tmp_path / "outside"
    script = f"""
        import os, shutil

        def model_fn(model_dir):
            if os.path.isfile({place!r}):
                os.remove({place!r})
            os.symlink({str(outside)!r}, {place!r})

        def transform_fn(model, data, content_type, accept):
            return data, accept
    """
    name = f"lead-{len(place)}"
    container = script_container(runtime, name, script)
    second = script_container(runtime, f"{name}-second", SUMS)
    second["Environment"] = {**second["Environment"], "SAGEMAKER_SUBMIT_DIRECTORY": second["ModelDataUrl"]}
    create_model(runtime, name, container, second)
    outside.mkdir() if place == "/opt/ml/code" else outside.write_text("untouched")
    job = run_transform(runtime, name)
    assert job["FailureReason"] == f"ClientError: {place} is a link that leads out of /opt/ml."
    assert (list(outside.iterdir()) == []) if outside.is_dir() else (outside.read_text() == "untouched")


def test_a_missing_model_is_refused(runtime: JobRuntime) -> None:
    with pytest.raises(ValidationError, match="Could not find model"):
        runtime.jobs.create("transform", transform_request("absent"))


def test_missing_rows_are_refused_when_the_job_is_created(runtime: JobRuntime) -> None:
    create_model(runtime, "no-rows", script_container(runtime, "no-rows", SUMS))
    with pytest.raises(ValidationError, match=f'No S3 objects found under S3 URL "s3://{BUCKET}/no-rows/in"'):
        runtime.jobs.create("transform", transform_request("no-rows"))


def test_a_model_at_an_https_address_of_s3_scores(runtime: JobRuntime) -> None:
    container = script_container(runtime, "https", SUMS)
    path = container["ModelDataUrl"].removeprefix("s3://")
    container["ModelDataUrl"] = f"https://s3.us-east-1.amazonaws.com/{path}"
    create_model(runtime, "https", container)
    assert run_transform(runtime, "https")["TransformJobStatus"] == "Completed", log_of(runtime, "https")
    assert runtime.models.describe_model("https")["PrimaryContainer"]["ModelDataUrl"].startswith("https://")


def test_a_join_needs_equal_splitting_and_assembling(runtime: JobRuntime) -> None:
    create_model(runtime, "unequal", script_container(runtime, "unequal", SUMS))
    request = transform_request(
        "unequal", TransformOutput={"AssembleWith": "None"}, DataProcessing={"JoinSource": "Input"}
    )
    with pytest.raises(ValidationError, match="same SplitType and AssembleWith"):
        runtime.jobs.create("transform", request)
