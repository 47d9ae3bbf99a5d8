from __future__ import annotations

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


def test_the_default_images_have_the_pandas_of_their_time(runtime: JobRuntime) -> None:
    """AWS's images of these tags have pandas 2, in which np.split of a DataFrame gives DataFrames."""
    script = """
        import numpy, pandas
        print(type(numpy.split(pandas.DataFrame({"x": [1, 2]}), 2)[0]).__name__, pandas.__version__)
    """
    run_processing(runtime, "pandas", script)
    assert "DataFrame 2." in output(runtime, "pandas")


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


def test_an_unknown_image_is_refused_by_name_with_those_known(runtime: JobRuntime) -> None:
    request = processing_request(runtime, "image", "")
    request["AppSpecification"]["ImageUri"] = "382416733822.dkr.ecr.us-east-1.amazonaws.com/linear-learner:1"
    with pytest.raises(ValidationError) as refused:
        runtime.jobs.create("processing", request)
    assert "'linear-learner'" in refused.value.message
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


def test_instances_share_the_objects_of_a_sharded_input(either_isolation: JobRuntime) -> None:
    """Each instance sees its own shard and name, and what all of them write reaches S3."""
    runtime = either_isolation
    for name in ("a", "b", "c"):
        runtime.storage.write_bytes(f"s3://{BUCKET}/shards/{name}.csv", name.encode())
    script = """
        import json, os
        host = json.load(open("/opt/ml/config/resourceconfig.json"))
        seen = {
            "hosts": host["hosts"],
            "shard": sorted(os.listdir("/opt/ml/processing/shard")),
            "whole": sorted(os.listdir("/opt/ml/processing/whole")),
        }
        json.dump(seen, open(f"/opt/ml/processing/out/{host['current_host']}.json", "w"))
    """
    request = processing_request(runtime, "sharded", script)
    request["ProcessingResources"]["ClusterConfig"]["InstanceCount"] = 2
    for name, distribution in (("shard", "ShardedByS3Key"), ("whole", "FullyReplicated")):
        source = s3_input(
            name,
            f"s3://{BUCKET}/shards",
            f"/opt/ml/processing/{name}",
            S3DataDistributionType=distribution,
        )
        request["ProcessingInputs"].append(source)
    runtime.jobs.create("processing", request)
    job = runtime.jobs.wait("processing", "sharded")
    assert job["ProcessingJobStatus"] == "Completed", output(runtime, "sharded")
    seen = {
        host: json.loads(runtime.storage.read_bytes(f"s3://{BUCKET}/sharded/out/{host}.json"))
        for host in ("algo-1", "algo-2")
    }
    whole = ["a.csv", "b.csv", "c.csv"]
    hosts = ["algo-1", "algo-2"]
    assert seen == {
        "algo-1": {"hosts": hosts, "shard": ["a.csv", "c.csv"], "whole": whole},
        "algo-2": {"hosts": hosts, "shard": ["b.csv"], "whole": whole},
    }


def test_a_file_that_two_instances_write_is_named(runtime: JobRuntime) -> None:
    request = processing_request(runtime, "clash", "open('/opt/ml/processing/out/part.csv', 'w').write('1')")
    request["ProcessingResources"]["ClusterConfig"]["InstanceCount"] = 2
    runtime.jobs.create("processing", request)
    assert runtime.jobs.wait("processing", "clash")["ProcessingJobStatus"] == "Completed"
    assert f"s3://{BUCKET}/clash/out/part.csv of algo-1 is overwritten by algo-2" in output(runtime, "clash")


def test_the_failure_of_any_instance_fails_the_job(runtime: JobRuntime) -> None:
    script = """
        import json
        if json.load(open("/opt/ml/config/resourceconfig.json"))["current_host"] == "algo-2":
            open("/opt/ml/output/message", "w").write("the second one")
            raise SystemExit(3)
    """
    request = processing_request(runtime, "one-fails", script)
    request["ProcessingResources"]["ClusterConfig"]["InstanceCount"] = 2
    runtime.jobs.create("processing", request)
    job = runtime.jobs.wait("processing", "one-fails")
    assert job["FailureReason"] == "AlgorithmError: the second one, exit code: 3"
    assert runtime.storage.list(f"s3://{BUCKET}/one-fails/out") == []
