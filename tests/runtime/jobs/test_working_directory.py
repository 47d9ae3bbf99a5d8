"""Jobs start where their container would start them, and may write there."""

from __future__ import annotations

import io
import tarfile
import textwrap
from pathlib import Path
from typing import Any

import pytest

from tests.runtime.jobs.conftest import BUCKET, SKLEARN, XGBOOST, JobRuntime, output, run_processing
from tests.runtime.jobs.test_training import channel, log_of, members, run_training, training_request


def archive(runtime: JobRuntime, uri: str, **files: str) -> str:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            data = textwrap.dedent(text).lstrip().encode()
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    runtime.storage.write_bytes(uri, content.getvalue())
    return uri


def script_request(
    runtime: JobRuntime, name: str, program: str, image: str = SKLEARN, files: dict[str, str] | None = None
) -> dict[str, Any]:
    """Return a training request of the classic script mode with these source files."""
    source = archive(runtime, f"s3://{BUCKET}/{name}/source/sourcedir.tar.gz", **files or {})
    request = training_request(name, name)
    request["AlgorithmSpecification"]["TrainingImage"] = image
    request["InputDataConfig"] = []
    request["HyperParameters"] = {
        "sagemaker_program": f'"{program}"',
        "sagemaker_submit_directory": f'"{source}"',
    }
    return request


def test_a_processing_job_starts_in_a_root_of_its_own(runtime: JobRuntime) -> None:
    """AWS's evaluation scripts unpack the model to ``..`` and open it by its name."""
    script = """
        import os, tarfile
        print(os.getcwd())
        open("text-of-a-job", "w").write("text")
        with tarfile.open("/opt/ml/processing/model.tar.gz", "w:gz") as tar:
            tar.add("text-of-a-job", "model-of-a-job")
        with tarfile.open("/opt/ml/processing/model.tar.gz") as tar:
            tar.extractall(path="..")
        print(open("model-of-a-job").read(), os.path.isdir("/usr/bin"), os.path.isdir("/opt/ml/processing"))
    """
    run_processing(runtime, "root", script)
    assert output(runtime, "root") == "/\ntext True True\n"
    assert not Path("/text-of-a-job").exists()
    assert not Path("/model-of-a-job").exists()


@pytest.mark.parametrize("image", [SKLEARN, XGBOOST])
def test_a_training_script_starts_beside_its_files(either_isolation: JobRuntime, image: str) -> None:
    files = {
        "train.py": "print(open('beside.txt').read(), __import__('helper').NAME)",
        "beside.txt": "beside",
        "helper.py": "NAME = 'helper'",
    }
    name = f"beside-{image.partition('sagemaker-')[2][:3]}"
    job = run_training(either_isolation, script_request(either_isolation, name, "train.py", image, files))
    assert job["TrainingJobStatus"] == "Completed", log_of(either_isolation, name)
    assert "beside helper" in log_of(either_isolation, name)


@pytest.mark.parametrize("first_line", ["#!/bin/bash\n", ""])
def test_a_shell_entry_point_calls_a_script_beside_it(runtime: JobRuntime, first_line: str) -> None:
    """As in the toolkit it is executed, so that its first line counts; without one a shell reads it."""
    files = {
        "run.sh": f'{first_line}echo "bash: ${{BASH_VERSION:+yes}}"; python train.py "$@"\n',
        "train.py": "import sys; print(sys.argv)",
    }
    name = f"shell-{len(first_line)}"
    request = script_request(runtime, name, "run.sh", files=files)
    request["HyperParameters"]["text"] = '"a b $(id)"'
    job = run_training(runtime, request)
    assert job["TrainingJobStatus"] == "Completed", log_of(runtime, name)
    assert f"bash: {'yes' if first_line else ''}\n" in log_of(runtime, name)
    assert "['train.py', '--text', 'a b $(id)']" in log_of(runtime, name)


def test_hyperparameters_are_spelled_as_the_toolkit_does(runtime: JobRuntime) -> None:
    files = {"train.py": "import os, sys; print(sys.argv[1:], os.environ['SM_HPS'])"}
    request = script_request(runtime, "spelled", "train.py", files=files)
    request["HyperParameters"] |= {"none": "null", "flag": "true", "table": '{"b": 1, "a": "x"}', "n": "3"}
    run_training(runtime, request)
    arguments = ["--flag", "True", "-n", "3", "--none", "", "--table", "a=x,b=1"]
    assert str(arguments) in log_of(runtime, "spelled")
    assert '{"flag":true,"n":3,"none":null,"table":{"a":"x","b":1}}' in log_of(runtime, "spelled")


def test_the_sdks_repacking_job_adds_a_script_to_a_model(runtime: JobRuntime) -> None:
    """SDK v2 adds this job before a model with an entry point; an argument that is null is left empty."""
    archive(runtime, f"s3://{BUCKET}/repack/model/model.tar.gz", weights="1 2")
    # As SDK v2 writes it into the job's source.
    repack = """
        import argparse, os, shutil, tarfile, tempfile

        parser = argparse.ArgumentParser()
        for name in ("inference_script", "model_archive", "dependencies", "source_dir"):
            parser.add_argument(f"--{name}", type=str)
        args, _ = parser.parse_known_args()
        with tempfile.TemporaryDirectory() as tmp:
            src = os.path.join(tmp, "src")
            os.makedirs(os.path.join(src, "code"))
            with tarfile.open(os.path.join("/opt/ml/input/data/training", args.model_archive)) as tar:
                tar.extractall(src)
            shutil.copy2(os.path.join("/opt/ml/code", args.inference_script), os.path.join(src, "code"))
            for dependency in args.dependencies.split(" ") if args.dependencies else ():
                shutil.copy2(os.path.join("/opt/ml/code", dependency), os.path.join(src, "code", "lib"))
            if args.source_dir:
                raise SystemExit("there is no source_dir")
            shutil.rmtree("/opt/ml/model")
            shutil.copytree(src, "/opt/ml/model")
    """
    files = {"_repack_model.py": repack, "inference.py": "def model_fn(folder): ..."}
    request = script_request(runtime, "repack", "_repack_model.py", files=files)
    request["InputDataConfig"] = [channel("training", f"s3://{BUCKET}/repack/model/", None)]
    request["HyperParameters"] |= {
        "model_archive": '"model.tar.gz"',
        "inference_script": '"inference.py"',
        "dependencies": "null",
        "source_dir": "null",
    }
    job = run_training(runtime, request)
    assert job["TrainingJobStatus"] == "Completed", log_of(runtime, "repack")
    packed = members(runtime, job["ModelArtifacts"]["S3ModelArtifacts"])
    assert packed == {"weights": b"1 2", "code/inference.py": b"def model_fn(folder): ..."}


def test_a_program_outside_of_the_source_is_left_alone(runtime: JobRuntime, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o600)
    run_training(runtime, script_request(runtime, "outside", str(program), files={"a": ""}))
    assert program.stat().st_mode & 0o777 == 0o600
