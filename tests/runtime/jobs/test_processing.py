from __future__ import annotations

import importlib.util
import json

import pytest

from sagemaker_local_runtime.exceptions import ResourceInUseError, ValidationError
from tests.runtime.jobs.conftest import (
    BUCKET,
    JobRuntime,
    output,
    processing_request,
    run_processing,
    s3_input,
)


def test_a_script_finds_its_inputs_and_its_outputs_reach_s3(either_isolation: JobRuntime) -> None:
    """A script with hard-coded /opt/ml paths runs unmodified in both isolation modes."""
    runtime = either_isolation
    runtime.storage.write_bytes(f"s3://{BUCKET}/in/a.csv", b"1\n2\n")
    runtime.storage.write_bytes(f"s3://{BUCKET}/in/deep/b.csv", b"3\n")
    request = processing_request(
        runtime,
        "copy",
        """
        import pathlib
        source, target = pathlib.Path("/opt/ml/processing/input/data"), pathlib.Path("/opt/ml/processing/out")
        for path in source.rglob("*.csv"):
            goal = target / path.relative_to(source)
            goal.parent.mkdir(exist_ok=True, parents=True)
            goal.write_text(path.read_text())
        """,
    )
    request["ProcessingInputs"].append(s3_input("data", f"s3://{BUCKET}/in", "/opt/ml/processing/input/data"))
    runtime.jobs.create("processing", request)

    job = runtime.jobs.wait("processing", "copy")

    assert job["ProcessingJobStatus"] == "Completed", output(runtime, "copy")
    assert runtime.storage.list(f"s3://{BUCKET}/copy/out/") == [
        f"s3://{BUCKET}/copy/out/a.csv",
        f"s3://{BUCKET}/copy/out/deep/b.csv",
    ]
    assert job["CreationTime"] <= job["ProcessingStartTime"] <= job["ProcessingEndTime"]


def test_a_failed_job_gives_its_exit_message_and_code(runtime: JobRuntime) -> None:
    script = """
        open("/opt/ml/output/message", "w").write("column 7 is not a number")
        raise SystemExit(4)
    """
    job = run_processing(runtime, "bad", script)
    assert job["ProcessingJobStatus"] == "Failed"
    assert job["ExitMessage"] == "column 7 is not a number"
    assert job["FailureReason"] == "AlgorithmError: column 7 is not a number, exit code: 4"


def test_a_missing_input_is_named(runtime: JobRuntime) -> None:
    request = processing_request(runtime, "no-input", "")
    request["ProcessingInputs"].append(
        s3_input("data", f"s3://{BUCKET}/nowhere/x.csv", "/opt/ml/processing/d")
    )
    runtime.jobs.create("processing", request)
    job = runtime.jobs.wait("processing", "no-input")
    assert job["ProcessingJobStatus"] == "Failed"
    assert f's3://{BUCKET}/nowhere/x.csv"' in job["FailureReason"]


def test_arguments_environment_and_configuration_are_the_containers(either_isolation: JobRuntime) -> None:
    script = """
        import json, os, sys
        config = json.load(open("/opt/ml/config/processingjobconfig.json"))
        resources = json.load(open("/opt/ml/config/resourceconfig.json"))
        json.dump(
            [sys.argv[1:], os.environ["THRESHOLD"], config["ProcessingJobName"], resources["current_host"]],
            open("/opt/ml/processing/out/seen.json", "w"),
        )
    """
    request = processing_request(either_isolation, "arguments", script, Environment={"THRESHOLD": "6.0"})
    request["AppSpecification"]["ContainerArguments"] = ["--rows", "10"]
    either_isolation.jobs.create("processing", request)
    job = either_isolation.jobs.wait("processing", "arguments")
    assert job["ProcessingJobStatus"] == "Completed", output(either_isolation, "arguments")
    seen = json.loads(either_isolation.storage.read_bytes(f"s3://{BUCKET}/arguments/out/seen.json"))
    assert seen == [["--rows", "10"], "6.0", "arguments", "algo-1"]


def test_a_manifest_names_the_objects(runtime: JobRuntime) -> None:
    runtime.storage.write_bytes(f"s3://{BUCKET}/m/one.csv", b"1")
    runtime.storage.write_bytes(f"s3://{BUCKET}/m/two.csv", b"2")
    manifest = json.dumps([{"prefix": f"s3://{BUCKET}/m/"}, "two.csv"]).encode()
    runtime.storage.write_bytes(f"s3://{BUCKET}/manifest.json", manifest)
    request = processing_request(
        runtime, "manifest", "import os; print('FILES', os.listdir('/opt/ml/processing/input/data'))"
    )
    uri, path = f"s3://{BUCKET}/manifest.json", "/opt/ml/processing/input/data"
    request["ProcessingInputs"].append(s3_input("data", uri, path, S3DataType="ManifestFile"))
    runtime.jobs.create("processing", request)
    runtime.jobs.wait("processing", "manifest")
    assert "FILES ['two.csv']" in output(runtime, "manifest")


@pytest.mark.parametrize("key", ["../../escape.py", "a/../../../escape.py"])
def test_a_key_cannot_leave_the_job_folder(runtime: JobRuntime, key: str) -> None:
    manifest = json.dumps([{"prefix": f"s3://{BUCKET}/"}, key]).encode()
    runtime.storage.write_bytes(f"s3://{BUCKET}/evil.json", manifest)
    request = processing_request(runtime, "evil", "")
    uri, path = f"s3://{BUCKET}/evil.json", "/opt/ml/processing/input/data"
    request["ProcessingInputs"].append(s3_input("data", uri, path, S3DataType="ManifestFile"))
    runtime.jobs.create("processing", request)
    job = runtime.jobs.wait("processing", "evil")
    assert job["ProcessingJobStatus"] == "Failed"
    assert "leaves it" in job["FailureReason"]
    assert not list(runtime.account.settings.data_dir.rglob("escape.py"))


@pytest.mark.parametrize("link", ["/opt/ml/processing/out", "/opt/ml/output/message"])
def test_a_link_out_of_the_folder_is_not_followed(runtime: JobRuntime, link: str) -> None:
    """In the container it leads elsewhere than on this machine, whose files are none of the job's."""
    script = f"""
        import os, shutil
        shutil.rmtree({link!r}, ignore_errors=True)
        os.symlink("/etc/passwd" if {link!r}.endswith("message") else "/etc", {link!r})
    """
    job = run_processing(runtime, "link", script)
    assert job["ProcessingJobStatus"] == "Failed"
    assert job["FailureReason"] == f"ClientError: {link} is a link that leads out of /opt/ml."
    assert "ExitMessage" not in job
    assert runtime.storage.list(f"s3://{BUCKET}/link/out") == []


def test_requirements_are_refused(runtime: JobRuntime) -> None:
    request = processing_request(runtime, "requirements", "print('ran')")
    runtime.storage.write_bytes(f"s3://{BUCKET}/requirements/code/requirements.txt", b"left-pad\n")
    request["ProcessingInputs"][0]["S3Input"]["S3Uri"] = f"s3://{BUCKET}/requirements/code/"
    runtime.jobs.create("processing", request)
    job = runtime.jobs.wait("processing", "requirements")
    assert job["ProcessingJobStatus"] == "Failed"
    assert "requirements.txt in the job's source is refused" in job["FailureReason"]
    assert "ran" not in output(runtime, "requirements")


def test_a_job_cannot_install_into_the_runtimes_environment(either_isolation: JobRuntime) -> None:
    script = """
        import pathlib, subprocess, sys
        pathlib.Path("pack").mkdir()
        pathlib.Path("pack/pyproject.toml").write_text("[project]\\nname='intruder'\\nversion='1'")
        for what in ("left-pad", "./pack"):
            subprocess.call([sys.executable, "-m", "pip", "install", "--no-build-isolation", what])
        raise SystemExit(subprocess.call([sys.executable, "-c", "import intruder"]))
    """
    job = run_processing(either_isolation, "intruder", script)
    assert job["ProcessingJobStatus"] == "Failed"
    log = output(either_isolation, "intruder")
    assert "No matching distribution found for left-pad" in log
    assert importlib.util.find_spec("intruder") is None


def test_pip_is_refused_inside_a_job(runtime: JobRuntime) -> None:
    script = "import subprocess; raise SystemExit(subprocess.call(['pip3', 'install', 'left-pad']))"
    job = run_processing(runtime, "pip", script)
    assert job["ProcessingJobStatus"] == "Failed"
    assert "pip is refused" in output(runtime, "pip")


def test_an_unknown_image_is_refused_by_name_with_those_known(runtime: JobRuntime) -> None:
    request = processing_request(runtime, "image", "")
    request["AppSpecification"]["ImageUri"] = (
        "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2"
    )
    with pytest.raises(ValidationError) as refused:
        runtime.jobs.create("processing", request)
    assert "'pytorch-training'" in refused.value.message
    assert "sagemaker-scikit-learn, sagemaker-xgboost" in refused.value.message


def test_a_name_can_be_used_once(runtime: JobRuntime) -> None:
    run_processing(runtime, "once", "")
    with pytest.raises(ResourceInUseError, match="a job with this name already exists"):
        runtime.jobs.create("processing", processing_request(runtime, "once", ""))


def test_only_the_log_is_left_of_a_job(runtime: JobRuntime) -> None:
    run_processing(runtime, "tidy", "print('hello')")
    log = runtime.jobs.log_path("processing", "tidy")
    assert [path.name for path in log.parent.iterdir()] == ["output.log"]
    assert log.read_text() == "hello\n"


def test_several_instances_run_on_one_machine_and_the_log_says_so(runtime: JobRuntime) -> None:
    request = processing_request(runtime, "several", "")
    request["ProcessingResources"]["ClusterConfig"]["InstanceCount"] = 3
    runtime.jobs.create("processing", request)
    assert runtime.jobs.wait("processing", "several")["ProcessingJobStatus"] == "Completed"
    assert "InstanceCount is 3: the local runtime runs the job once" in output(runtime, "several")
