"""Jobs add packages to a layer of their own; the environments below it never change."""

from __future__ import annotations

import importlib.util
import io
import tarfile

import pytest

from tests.runtime.jobs.conftest import (
    BUCKET,
    JobRuntime,
    StartRuntime,
    output,
    processing_request,
    run_processing,
)
from tests.wheels import Wheelhouse

SPELLINGS = (
    "[sys.executable, '-m', 'pip', 'install', 'grape']",
    "['python3', '-m', 'pip', 'install', '--user', '--no-cache-dir', 'grape==1.0']",
    "['pip', 'install', '-q', '--disable-pip-version-check', '--upgrade', 'grape']",
    "['pip3', 'install', '--root-user-action', 'ignore', 'grape', 'pip']",
    "['uv', 'pip', 'install', '--system', 'grape']",
    "[sys.executable, '-m', 'uv', 'pip', 'install', 'grape']",
)
SOME = [*SPELLINGS[:1], *(pytest.param(each, marks=pytest.mark.thorough) for each in SPELLINGS[1:])]


@pytest.fixture
def grapes(wheelhouse: Wheelhouse) -> Wheelhouse:
    """Two packages, one of which needs the other and something that every image has."""
    wheelhouse.add("grapevine", "2.0")
    wheelhouse.add("grape", "1.0", "grapevine>=1", "numpy")
    return wheelhouse


def installing(command: str) -> str:
    return f"""
        import subprocess, sys
        subprocess.run({command}, check=True)
        import grape, grapevine, numpy
        print("HAS", grape.VERSION, grapevine.VERSION, grape.__file__)
        subprocess.run([sys.executable, "-c", "import grape; print('CHILD', grape.VERSION)"], check=True)
        subprocess.run(["grape"], check=True)
    """


@pytest.mark.parametrize("command", SOME)
def test_every_spelling_of_pip_installs_into_the_jobs_layer(
    grapes: Wheelhouse, runtime: JobRuntime, command: str
) -> None:
    """numpy is not in the folder of wheels: it counts as installed, because the image has it."""
    job = run_processing(runtime, "spelling", installing(command))
    log = output(runtime, "spelling")
    assert job["ProcessingJobStatus"] == "Completed", log
    assert "HAS 1.0 2.0 /opt/layer/lib/" in log
    assert "CHILD 1.0" in log
    assert "\ngrape-1.0\n" in log
    assert importlib.util.find_spec("grape") is None


@pytest.mark.parametrize("command", SPELLINGS)
def test_every_spelling_of_pip_is_refused_with_one_text(
    grapes: Wheelhouse, start_runtime: StartRuntime, command: str
) -> None:
    runtime = start_runtime(packages=False)
    job = run_processing(runtime, "refused", installing(command))
    assert job["ProcessingJobStatus"] == "Failed"
    assert "pip is refused. Packages are not installed in jobs" in output(runtime, "refused")
    assert "pip is refused. Packages are not installed in jobs" in job["FailureReason"]


def test_a_job_does_not_see_what_another_one_installed(
    grapes: Wheelhouse, either_isolation: JobRuntime
) -> None:
    runtime = either_isolation
    run_processing(runtime, "first", installing(SPELLINGS[0]))
    assert "CHILD 1.0" in output(runtime, "first")
    job = run_processing(runtime, "second", "import grape")
    assert job["ProcessingJobStatus"] == "Failed"
    assert "No module named 'grape'" in output(runtime, "second")


@pytest.mark.thorough
def test_a_package_of_the_image_is_replaced_for_one_job_only(
    wheelhouse: Wheelhouse, runtime: JobRuntime
) -> None:
    wheelhouse.add("joblib", "0.0.1")
    script = """
        import subprocess
        subprocess.run(["pip", "install", "joblib==0.0.1"], check=True)
        import joblib
        print("HAS", joblib.VERSION)
        subprocess.run(["pip", "uninstall", "-y", "joblib"], check=True)
        subprocess.run(["python3", "-c", "import joblib; print('BACK', joblib.__version__)"], check=True)
    """
    job = run_processing(runtime, "replaced", script)
    assert job["ProcessingJobStatus"] == "Completed", output(runtime, "replaced")
    log = output(runtime, "replaced")
    assert "HAS 0.0.1" in log
    assert "BACK 1." in log


def test_a_requirements_file_is_installed_when_the_job_asks(grapes: Wheelhouse, runtime: JobRuntime) -> None:
    """A second job has the packages of the first; a script that does not call pip has none, as on AWS."""
    request = processing_request(
        runtime,
        "asks",
        installing("['pip', 'install', '-r', '/opt/ml/processing/input/code/requirements.txt']"),
    )
    folder = f"s3://{BUCKET}/asks/code/"
    runtime.storage.write_bytes(f"{folder}requirements.txt", b"grape\n")
    request["ProcessingInputs"][0]["S3Input"]["S3Uri"] = folder
    runtime.jobs.create("processing", request)
    assert runtime.jobs.wait("processing", "asks")["ProcessingJobStatus"] == "Completed", output(
        runtime, "asks"
    )
    assert "are taken from" in output(runtime, "asks")
    (grapes.folder / "grape-1.0-py3-none-any.whl").unlink()
    runtime.jobs.create("processing", request | {"ProcessingJobName": "again"})
    assert runtime.jobs.wait("processing", "again")["ProcessingJobStatus"] == "Completed"
    log = output(runtime, "again")
    assert "+ grape==1.0" not in log
    # What Python says while it starts, such as about a .pth file, is in the log, too.
    assert "Error" not in log

    runtime.storage.write_bytes(f"{folder}script.py", b"import grape")
    runtime.jobs.create("processing", request | {"ProcessingJobName": "silent"})
    assert runtime.jobs.wait("processing", "silent")["ProcessingJobStatus"] == "Failed"
    assert "No module named 'grape'" in output(runtime, "silent")


def test_a_package_that_does_not_exist_fails_the_jobs_pip(
    wheelhouse: Wheelhouse, runtime: JobRuntime
) -> None:
    job = run_processing(runtime, "nowhere", installing(SPELLINGS[0]))
    assert job["ProcessingJobStatus"] == "Failed"
    assert "grape was not found" in output(runtime, "nowhere")
    # Its last lines are those of a traceback, which may be long.
    assert "(pip install failed: " in job["FailureReason"]
    assert "grape was not found" in job["FailureReason"]


@pytest.mark.thorough
def test_a_failed_pip_is_a_reason_only_until_another_one_succeeds(
    grapes: Wheelhouse, runtime: JobRuntime
) -> None:
    body = """
        import subprocess
        subprocess.run(["pip", "install", "nothing-of-this-name"])
        subprocess.run(["pip", "install", "grape"], check=True)
        raise SystemExit(3)
    """
    assert run_processing(runtime, "mended", body)["FailureReason"] == "AlgorithmError: , exit code: 3"


@pytest.mark.thorough
def test_the_reason_of_a_failure_follows_no_link_of_the_job(runtime: JobRuntime) -> None:
    body = """
        import os, sys
        os.symlink("/etc/passwd", sys.prefix + "/failure.txt")
        raise SystemExit(3)
    """
    assert run_processing(runtime, "link", body)["FailureReason"] == "AlgorithmError: , exit code: 3"


def test_a_requirements_file_is_refused_without_packages(start_runtime: StartRuntime) -> None:
    runtime = start_runtime(packages=False)
    request = processing_request(runtime, "requirements", "print('ran')")
    runtime.storage.write_bytes(f"s3://{BUCKET}/requirements/code/sourcedir.tar.gz", archive(b"grape\n"))
    request["ProcessingInputs"][0]["S3Input"]["S3Uri"] = f"s3://{BUCKET}/requirements/code/"
    runtime.jobs.create("processing", request)
    job = runtime.jobs.wait("processing", "requirements")
    assert "sourcedir.tar.gz:requirements.txt in the job's source is refused" in job["FailureReason"]
    assert "--no-packages" in job["FailureReason"]
    assert "ran" not in output(runtime, "requirements")


def archive(requirements: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        member = tarfile.TarInfo("requirements.txt")
        member.size = len(requirements)
        tar.addfile(member, io.BytesIO(requirements))
    return packed.getvalue()


@pytest.mark.thorough
def test_a_project_of_the_job_is_installed_from_its_folder(runtime: JobRuntime) -> None:
    script = """
        import pathlib, subprocess
        pathlib.Path("pack").mkdir()
        project = "[project]\\nname = 'intruder'\\nversion = '1'\\n"
        backend = "[build-system]\\nrequires = ['hatchling']\\nbuild-backend = 'hatchling.build'\\n"
        pathlib.Path("pack/pyproject.toml").write_text(project + backend)
        pathlib.Path("pack/intruder.py").write_text("")
        subprocess.run(["pip", "install", "--no-build-isolation", "--no-deps", "./pack"], check=True)
        import intruder
        subprocess.run(["pip", "show", "intruder"], check=True)
    """
    job = run_processing(runtime, "intruder", script)
    assert job["ProcessingJobStatus"] == "Completed", output(runtime, "intruder")
    assert "Name: intruder" in output(runtime, "intruder")
    assert importlib.util.find_spec("intruder") is None
