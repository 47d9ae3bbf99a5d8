from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

import pytest

from sagemaker_local_runtime.exceptions import SettingsError
from sagemaker_local_runtime.jobs.sandbox import Sandbox
from sagemaker_local_runtime.settings import Settings
from tests.processes import processes_with
from tests.runtime.jobs.conftest import (
    BUCKET,
    ROOT,
    JobRuntime,
    StartRuntime,
    driver,
    output,
    processing_request,
    run_processing,
)
from tests.waiting import GENEROUS_SECONDS


@pytest.mark.parametrize("isolation", ["namespace", pytest.param("rewrite", marks=pytest.mark.thorough)])
def test_concurrent_jobs_have_their_own_opt_ml(
    start_runtime: StartRuntime, tmp_path: Path, isolation: str
) -> None:
    runtime = start_runtime(isolation=isolation, max_concurrent_jobs=4)
    meeting = tmp_path / "meeting"
    meeting.mkdir()
    script = f"""
        import os, time
        open("/opt/ml/processing/out/mine", "a").write(os.environ["WHO"])
        open(os.path.join({str(meeting)!r}, os.environ["WHO"]), "w").close()
        while len(os.listdir({str(meeting)!r})) < 4:
            time.sleep(0.05)
        print(sorted(os.listdir("/opt/ml/processing/out")), open("/opt/ml/processing/out/mine").read())
    """
    names = [f"own-{number}" for number in range(4)]
    for name in names:
        request = processing_request(runtime, name, script, Environment={"WHO": name})
        runtime.jobs.create("processing", request)
    for name in names:
        assert runtime.jobs.wait("processing", name)["ProcessingJobStatus"] == "Completed"
        assert output(runtime, name) == f"['mine'] {name}\n"
        assert runtime.storage.read_bytes(f"s3://{BUCKET}/{name}/out/mine").decode() == name


def test_the_servers_environment_is_not_inherited(
    either_isolation: JobRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_PASSWORD", "secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "real-secret")
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    script = "import json, os; print(json.dumps(dict(os.environ)))"
    run_processing(either_isolation, "variables", script, Environment={"MINE": "1"})
    seen = json.loads(output(either_isolation, "variables"))
    assert {name for name in seen if not name.startswith(("OMP_", "OPENBLAS_", "MKL_"))} == {
        "AWS_ACCESS_KEY_ID",
        "AWS_DEFAULT_REGION",
        "AWS_EC2_METADATA_DISABLED",
        "AWS_ENDPOINT_URL",
        "AWS_REGION",
        "AWS_SECRET_ACCESS_KEY",
        "HOME",
        "LANG",
        "MINE",
        "PATH",
        "PYTHONPATH",
        "PYTHONUNBUFFERED",
        "TMPDIR",
    }
    assert seen["AWS_SECRET_ACCESS_KEY"] == "local"
    assert seen["OMP_NUM_THREADS"] == "1"


def test_a_job_can_use_s3_of_the_same_endpoint(either_isolation: JobRuntime) -> None:
    either_isolation.storage.write_bytes(f"s3://{BUCKET}/shared/x", b"from s3")
    script = f"""
        import boto3
        boto3.resource("s3").Bucket("{BUCKET}").download_file("shared/x", "copy")
        print(open("copy").read())
    """
    run_processing(either_isolation, "client", script)
    assert output(either_isolation, "client") == "from s3\n"


def test_the_runtimes_data_are_hidden_and_its_interpreter_is_read_only(start_runtime: StartRuntime) -> None:
    runtime = start_runtime(isolation="namespace")
    script = f"""
        import os
        print(os.listdir({str(runtime.account.settings.data_dir)!r}))
        try:
            open(os.path.join({sys.prefix!r}, "probe"), "w")
        except OSError as error:
            print(error.strerror)
    """
    run_processing(runtime, "hidden", script)
    assert output(runtime, "hidden") == "[]\nRead-only file system\n"


@pytest.mark.parametrize("isolation", ["namespace", "rewrite"])
def test_the_data_directory_may_be_relative(
    start_runtime: StartRuntime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, isolation: str
) -> None:
    monkeypatch.chdir(tmp_path)
    runtime = start_runtime(isolation=isolation, data_dir=Path("data-0"))
    job = run_processing(runtime, "relative", "open('/opt/ml/processing/out/x', 'w').write('y')")
    assert job["ProcessingJobStatus"] == "Completed", output(runtime, "relative")
    assert runtime.storage.read_bytes(f"s3://{BUCKET}/relative/out/x") == b"y"


def test_an_isolation_that_cannot_be_had_is_an_error_at_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="expected 'namespace' or 'rewrite'"):
        Sandbox(Settings(data_dir=tmp_path, isolation="docker"), "http://127.0.0.1:1")


_AS_NOBODY = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]


def interpreter_for_nobody() -> str | None:
    """Return an interpreter of this version that another user may start, or None."""
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        return None
    for path in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"):
        # A child of a child: setpriv itself still has root's rights when it starts the first one.
        probe = f"import subprocess; subprocess.run([{path!r}, '-c', ''], check=True)"
        command = [*_AS_NOBODY, "/bin/sh", "-c", 'exec "$0" -c "$1"', path, probe]
        if shutil.which(path) and subprocess.run(command, capture_output=True, check=False).returncode == 0:
            return path
    return None


@pytest.mark.thorough
@pytest.mark.parametrize("isolation", ["namespace", "rewrite"])
def test_jobs_run_for_an_ordinary_user(runtime: JobRuntime, isolation: str) -> None:
    interpreter = interpreter_for_nobody()
    if interpreter is None:
        pytest.skip("needs root, setpriv, and an interpreter that other users may start")
    body = """
        job = run_processing(runtime, "ordinary", "import os; print(os.listdir('/opt/ml/processing'))")
        print(runtime.jobs.isolation, job["ProcessingJobStatus"], output(runtime, "ordinary"))
        runtime.jobs.shutdown()
    """
    # pytest's own folders are closed to other users.
    with tempfile.TemporaryDirectory() as data:
        shutil.chown(data, "nobody")
        code = driver(runtime, body, isolation).replace(str(runtime.account.settings.data_dir), data)
        modules = os.pathsep.join([sysconfig.get_path("purelib"), str(ROOT), str(ROOT / "plugins")])
        environment = {"PATH": os.environ["PATH"], "HOME": data, "PYTHONPATH": modules}
        command = [*_AS_NOBODY, interpreter, "-c", code]
        ended = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=GENEROUS_SECONDS,
            env=environment,
            cwd="/",
            check=False,
        )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith(f"{isolation} Completed ['")


def can_unshare() -> bool:
    """Return whether this machine lets a test take things away in a namespace of its own."""
    return (
        bool(shutil.which("unshare"))
        and subprocess.run(["unshare", "-rm", "true"], check=False).returncode == 0
    )


@pytest.mark.parametrize(
    ("without", "expected"),
    [
        ("echo 0 > /proc/sys/user/max_user_namespaces", "rewrite Jobs are not isolated by the kernel"),
        ("mount -t tmpfs none /proc/sys", "namespace Jobs are isolated with mount namespaces"),
    ],
    ids=["no user namespaces", "no new /proc, as in most containers"],
)
def test_where_the_kernel_allows_less_the_next_best_is_chosen_and_said(
    runtime: JobRuntime, without: str, expected: str
) -> None:
    if not can_unshare():
        pytest.skip("this machine has no user namespaces to take away")
    mark = f"{5400 + os.getpid()}.{time.monotonic_ns() % 10**6}"
    body = f"""
        script = "import subprocess; subprocess.Popen(['setsid', 'sleep', '{mark}']); print('ran')"
        job = run_processing(runtime, "less", script)
        print(runtime.jobs.isolation, runtime.jobs.sandbox.description)
        print(job["ProcessingJobStatus"], output(runtime, "less"))
        runtime.jobs.shutdown()
    """
    shell = f'{without} && exec "$0" -c "$1"'
    command = ["unshare", "-rm", "/bin/sh", "-c", shell, sys.executable, driver(runtime, body)]
    ended = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=GENEROUS_SECONDS, check=False
    )
    assert ended.stdout.startswith(expected), ended.stderr
    assert "Completed ran" in ended.stdout
    assert processes_with(f"sleep {mark}") == []
