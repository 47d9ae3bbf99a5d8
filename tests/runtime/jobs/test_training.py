from __future__ import annotations

import io
import tarfile
import textwrap
from typing import Any

import numpy as np
import pytest
import xgboost  # noqa: TID253 - the models are loaded with it

from sagemaker_local_runtime.exceptions import ValidationError
from tests.runtime.jobs.conftest import BUCKET, ROLE, SKLEARN, XGBOOST, JobRuntime

HYPERPARAMETERS = {"num_round": "5", "max_depth": "3", "objective": "reg:squarederror", "seed": "7"}


def upload_table(runtime: JobRuntime, prefix: str) -> None:
    random = np.random.default_rng(1)
    features = random.normal(size=(200, 3))
    table = np.column_stack([features @ [1.0, -2.0, 0.5], features])
    for channel, rows in (("train", table[:150]), ("validation", table[150:])):
        text = io.StringIO()
        np.savetxt(text, rows, delimiter=",")
        runtime.storage.write_bytes(f"s3://{BUCKET}/{prefix}/{channel}/data.csv", text.getvalue().encode())


def channel(name: str, uri: str, content_type: str | None = "text/csv") -> dict[str, Any]:
    return {
        "ChannelName": name,
        "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}},
        **({"ContentType": content_type} if content_type else {}),
    }


def training_request(name: str, prefix: str, **changes: Any) -> dict[str, Any]:
    return {
        "TrainingJobName": name,
        "RoleArn": ROLE,
        "AlgorithmSpecification": {"TrainingImage": XGBOOST, "TrainingInputMode": "File"},
        "HyperParameters": HYPERPARAMETERS,
        "InputDataConfig": [
            channel(which, f"s3://{BUCKET}/{prefix}/{which}/") for which in ("train", "validation")
        ],
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/{prefix}/models"},
        "ResourceConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.xlarge", "VolumeSizeInGB": 30},
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        **changes,
    }


def run_training(runtime: JobRuntime, request: dict[str, Any]) -> dict[str, Any]:
    runtime.jobs.create("training", request)
    return runtime.jobs.wait("training", request["TrainingJobName"])


def log_of(runtime: JobRuntime, name: str) -> str:
    return runtime.jobs.log_path("training", name).read_text()


def members(runtime: JobRuntime, uri: str) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(runtime.storage.read_bytes(uri))) as tar:
        return {item.name: tar.extractfile(item).read() for item in tar if item.isfile()}  # type: ignore[union-attr]


def test_algorithm_mode_trains_and_keeps_the_model(either_isolation: JobRuntime) -> None:
    runtime = either_isolation
    upload_table(runtime, "algo")
    job = run_training(runtime, training_request("algo", "algo"))
    assert job["TrainingJobStatus"] == "Completed", log_of(runtime, "algo")
    uri = job["ModelArtifacts"]["S3ModelArtifacts"]
    assert uri == f"s3://{BUCKET}/algo/models/algo/output/model.tar.gz"
    booster = xgboost.Booster()
    booster.load_model(bytearray(members(runtime, uri)["xgboost-model"]))
    assert booster.num_boosted_rounds() == 5


def test_metrics_are_printed_as_the_container_does_and_described(runtime: JobRuntime) -> None:
    upload_table(runtime, "metrics")
    job = run_training(runtime, training_request("metrics", "metrics"))
    lines = [line for line in log_of(runtime, "metrics").splitlines() if line.startswith("[4]")]
    assert lines[0].startswith("[4]#011train-rmse:")
    assert "#011validation-rmse:" in lines[0]
    final = {item["MetricName"]: item["Value"] for item in job["FinalMetricDataList"]}
    assert lines[0].endswith(f"#011validation-rmse:{final['validation:rmse']:.5f}")
    assert set(final) == {"train:rmse", "validation:rmse"}


def test_the_statuses_and_times_are_those_of_a_completed_job(runtime: JobRuntime) -> None:
    upload_table(runtime, "states")
    job = run_training(runtime, training_request("states", "states"))
    assert job["SecondaryStatus"] == "Completed"
    statuses = [item["Status"] for item in job["SecondaryStatusTransitions"]]
    assert statuses == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert all("EndTime" in item for item in job["SecondaryStatusTransitions"])
    assert job["BillableTimeInSeconds"] == job["TrainingTimeInSeconds"] >= 1


@pytest.mark.thorough
def test_the_same_seed_gives_the_same_archive(runtime: JobRuntime) -> None:
    upload_table(runtime, "same")
    first, second = (
        run_training(runtime, training_request(name, "same"))["ModelArtifacts"]["S3ModelArtifacts"]
        for name in ("same-1", "same-2")
    )
    assert runtime.storage.read_bytes(first) == runtime.storage.read_bytes(second)


@pytest.mark.thorough
def test_libsvm_is_the_type_of_a_channel_without_one(runtime: JobRuntime) -> None:
    lines = "".join(f"{i % 7} 0:{i % 5} 2:{i % 3}\n" for i in range(60)).encode()
    runtime.storage.write_bytes(f"s3://{BUCKET}/svm/train/a", lines)
    request = training_request("svm", "svm")
    request["InputDataConfig"] = [channel("train", f"s3://{BUCKET}/svm/train/", None)]
    job = run_training(runtime, request)
    assert job["TrainingJobStatus"] == "Completed", log_of(runtime, "svm")
    assert "60 rows and 3 columns" in log_of(runtime, "svm")


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"max_depth": "deep"}, "Hyperparameter max_depth: invalid value 'deep'"),
        ({"subsample": "0"}, "Hyperparameter subsample: invalid value '0'"),
        ({"depth": "3"}, "Extraneous hyperparameter found: depth"),
        ({"num_round": None}, "Missing required hyperparameter: num_round"),
        ({"_kfold": "5"}, "Hyperparameter _kfold"),
    ],
)
def test_a_bad_hyperparameter_is_named(
    runtime: JobRuntime, changes: dict[str, str | None], reason: str
) -> None:
    upload_table(runtime, "hp")
    values = {key: value for key, value in {**HYPERPARAMETERS, **changes}.items() if value is not None}
    job = run_training(runtime, training_request("hp", "hp", HyperParameters=values))
    assert job["TrainingJobStatus"] == "Failed"
    assert reason in job["FailureReason"]


def test_a_header_row_is_named(runtime: JobRuntime) -> None:
    runtime.storage.write_bytes(f"s3://{BUCKET}/header/train/a.csv", b"rings,length\n1,2\n")
    request = training_request("header", "header")
    request["InputDataConfig"] = [channel("train", f"s3://{BUCKET}/header/train/")]
    job = run_training(runtime, request)
    assert "a.csv: row 1, column 1 is 'rings'" in job["FailureReason"]


@pytest.mark.thorough
def test_metrics_of_the_container_can_be_asked_for(runtime: JobRuntime) -> None:
    upload_table(runtime, "extra")
    values = {**HYPERPARAMETERS, "eval_metric": "mae,r2"}
    job = run_training(runtime, training_request("extra", "extra", HyperParameters=values))
    names = {item["MetricName"] for item in job["FinalMetricDataList"]}
    assert names == {"train:mae", "train:r2", "validation:mae", "validation:r2"}


def script_request(runtime: JobRuntime, name: str, script: str, image: str = SKLEARN) -> dict[str, Any]:
    """Return a request of the classic script mode."""
    archive = io.BytesIO()
    content = textwrap.dedent(script).encode()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        info = tarfile.TarInfo("train.py")
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
    runtime.storage.write_bytes(f"s3://{BUCKET}/{name}/sourcedir.tar.gz", archive.getvalue())
    request = training_request(name, name)
    request["AlgorithmSpecification"]["TrainingImage"] = image
    request["InputDataConfig"] = []
    request["HyperParameters"] = {
        "sagemaker_program": '"train.py"',
        "sagemaker_submit_directory": f'"s3://{BUCKET}/{name}/sourcedir.tar.gz"',
        "epochs": "3",
    }
    return request


def test_classic_script_mode_passes_hyperparameters_and_keeps_model_and_output(runtime: JobRuntime) -> None:
    script = """
        import os, sys
        open(os.environ["SM_MODEL_DIR"] + "/weights", "w").write(" ".join(sys.argv[1:]))
        open("/opt/ml/output/data/notes.txt", "w").write(os.environ["SM_HP_EPOCHS"])
        print("loss=0.5;")
        print("loss=0.25;")
    """
    request = script_request(runtime, "classic", script)
    request["AlgorithmSpecification"]["MetricDefinitions"] = [
        {"Name": "no_group", "Regex": "loss=[0-9.]+;"},
        {"Name": "loss", "Regex": "loss=([0-9.]+);"},
    ]
    job = run_training(runtime, request)
    assert job["TrainingJobStatus"] == "Completed", log_of(runtime, "classic")
    assert members(runtime, job["ModelArtifacts"]["S3ModelArtifacts"]) == {"weights": b"--epochs 3"}
    output = f"s3://{BUCKET}/classic/models/classic/output/output.tar.gz"
    assert members(runtime, output) == {"notes.txt": b"3"}
    assert [(m["MetricName"], m["Value"]) for m in job["FinalMetricDataList"]] == [("loss", 0.25)]
    assert "The metric no_group is not recorded: " in log_of(runtime, "classic")


def test_checkpoints_of_a_failed_job_are_there_for_the_next(runtime: JobRuntime) -> None:
    script = """
        import os
        path = "/opt/ml/checkpoints/round"
        rounds = int(open(path).read()) if os.path.exists(path) else 0
        open(path, "w").write(str(rounds + 1))
        raise SystemExit(rounds == 0)
    """
    jobs = []
    for name in ("resumed-1", "resumed-2"):
        request = script_request(runtime, name, script)
        request["CheckpointConfig"] = {"S3Uri": f"s3://{BUCKET}/checkpoints"}
        jobs.append(run_training(runtime, request)["TrainingJobStatus"])
    assert jobs == ["Failed", "Completed"]
    assert runtime.storage.read_bytes(f"s3://{BUCKET}/checkpoints/round") == b"2"


def test_a_failing_script_gives_what_it_wrote_as_the_reason(runtime: JobRuntime) -> None:
    script = "open('/opt/ml/output/failure', 'w').write('no convergence'); raise SystemExit(9)"
    job = run_training(runtime, script_request(runtime, "diverge", script))
    assert job["FailureReason"] == "AlgorithmError: no convergence, exit code: 9"
    assert job["SecondaryStatus"] == "Failed"
    assert "ModelArtifacts" not in job


@pytest.mark.thorough
def test_the_longest_runtime_stops_the_job_and_keeps_what_it_saved(runtime: JobRuntime) -> None:
    script = """
        import time
        open("/opt/ml/model/checkpoint", "w").write("half")
        time.sleep(3600)
    """
    request = script_request(runtime, "long", script)
    # Long against the start of a script, also on a busy machine.
    request["StoppingCondition"] = {"MaxRuntimeInSeconds": 15}
    job = run_training(runtime, request)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    uri = f"s3://{BUCKET}/long/models/long/output/model.tar.gz"
    assert members(runtime, uri) == {"checkpoint": b"half"}


def test_a_stop_is_seen_in_the_secondary_statuses(runtime: JobRuntime) -> None:
    runtime.jobs.create("training", script_request(runtime, "halted", "import time; time.sleep(3600)"))
    runtime.jobs.stop("training", "halted")
    job = runtime.jobs.wait("training", "halted")
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert [item["Status"] for item in job["SecondaryStatusTransitions"]][-2:] == ["Stopping", "Stopped"]


def test_a_missing_input_is_refused_in_the_words_of_aws(runtime: JobRuntime) -> None:
    upload_table(runtime, "half")
    request = training_request("missing-input", "half")
    uri = f"s3://{BUCKET}/half/validatoin/"
    request["InputDataConfig"][1] = channel("validation", uri)
    with pytest.raises(ValidationError) as refused:
        runtime.jobs.create("training", request)
    assert refused.value.message == (
        f'No S3 objects found under S3 URL "{uri}" given in input data source. Please ensure that the bucket '
        "exists in the selected region (us-east-1), that objects exist under that S3 prefix, and that the "
        f'role "{ROLE}" has "s3:ListBucket" permissions on bucket "{BUCKET}".'
    )
    assert runtime.jobs.list("training") == []


def test_an_image_without_an_algorithm_needs_a_script(runtime: JobRuntime) -> None:
    request = training_request("none", "none")
    request["AlgorithmSpecification"]["TrainingImage"] = SKLEARN
    with pytest.raises(ValidationError, match="has no algorithm of its own"):
        runtime.jobs.create("training", request)
