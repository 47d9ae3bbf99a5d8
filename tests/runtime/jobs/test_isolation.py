from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import textwrap
import threading
import time
from pathlib import Path

import pytest

from local_runtime.exceptions import SettingsError
from local_runtime.runtime import Runtime
from local_runtime.sandbox import Sandbox
from local_runtime.settings import Settings
from tests.runtime.jobs.conftest import (
    BUCKET,
    StartRuntime,
    output,
    processing_request,
    run_processing,
)

_ROOT = Path(__file__).parents[3]


def processes_with(mark: str) -> list[int]:
    """Return the ids of the processes whose command line holds a mark."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if mark in command and int(entry.name) != os.getpid():
                found.append(int(entry.name))
    return found


def wait_until(condition: object, seconds: float = 10) -> bool:
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return bool(condition())


# A grandchild in a session of its own, an orphan, and the job itself; nothing ends by itself.
TREE = """
    import subprocess, sys, time
    subprocess.Popen(["sh", "-c", "setsid sleep {mark} & exec sleep {mark}"])
    subprocess.Popen(["setsid", "sleep", "{mark}"], start_new_session=True)
    print("grown")
    {end}
"""


@pytest.mark.parametrize("end", ["time.sleep(3600)", "time.sleep(0.2)"])
def test_no_process_of_a_job_outlives_it(either_isolation: Runtime, end: str) -> None:
    """Stopped or ended by itself: its whole tree ends, processes in their own sessions too."""
    mark = f"{3600 + os.getpid()}.{end.count('0')}{time.monotonic_ns() % 10**6}"
    runtime = either_isolation
    runtime.jobs.create("processing", processing_request(runtime, "tree", TREE.format(mark=mark, end=end)))
    assert wait_until(lambda: len(processes_with(f"sleep {mark}")) >= 3), output(runtime, "tree")
    if "3600" in end:
        runtime.jobs.stop("processing", "tree")
    job = runtime.jobs.wait("processing", "tree")
    assert job["ProcessingJobStatus"] == ("Stopped" if "3600" in end else "Completed")
    assert processes_with(f"sleep {mark}") == []


def test_a_job_that_ignores_sigterm_is_killed(runtime: Runtime) -> None:
    script = """
        import signal, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("deaf")
        time.sleep(3600)
    """
    runtime.jobs.create("processing", processing_request(runtime, "deaf", script))
    assert wait_until(lambda: "deaf" in output(runtime, "deaf"))
    stop = threading.Event()
    stop.set()
    began = time.monotonic()
    assert runtime.jobs.wait("processing", "deaf", stop)["ProcessingJobStatus"] == "Stopped"
    assert time.monotonic() - began < 15


def test_a_job_gets_sigterm_first(runtime: Runtime) -> None:
    script = """
        import signal, sys, time
        def save(*_):
            print("saved")
            sys.exit(0)
        signal.signal(signal.SIGTERM, save)
        print("ready")
        time.sleep(3600)
    """
    runtime.jobs.create("processing", processing_request(runtime, "polite", script))
    assert wait_until(lambda: "ready" in output(runtime, "polite"))
    runtime.jobs.stop("processing", "polite")
    assert runtime.jobs.wait("processing", "polite")["ProcessingJobStatus"] == "Stopped"
    assert "saved" in output(runtime, "polite")


def test_concurrent_jobs_have_their_own_opt_ml(either_isolation: Runtime) -> None:
    runtime = either_isolation
    script = """
        import os, time
        open("/opt/ml/processing/out/mine", "a").write(os.environ["WHO"])
        time.sleep(0.5)
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
    either_isolation: Runtime, monkeypatch: pytest.MonkeyPatch
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
        "PIP_NO_INDEX",
        "PIP_TARGET",
        "PYTHONUNBUFFERED",
        "TMPDIR",
    }
    assert seen["AWS_SECRET_ACCESS_KEY"] == "local"
    assert seen["OMP_NUM_THREADS"] == "1"


def test_a_job_can_use_s3_of_the_same_endpoint(either_isolation: Runtime) -> None:
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
        import os, sys
        print(os.listdir({str(runtime.settings.data_dir)!r}))
        try:
            open(os.path.join(sys.prefix, "probe"), "w")
        except OSError as error:
            print(error.strerror)
    """
    run_processing(runtime, "hidden", script)
    assert output(runtime, "hidden") == "[]\nRead-only file system\n"


def test_the_memory_limit_fails_a_job_as_aws_does(start_runtime: StartRuntime) -> None:
    runtime = start_runtime(job_memory_mb=300)
    job = run_processing(runtime, "memory", "x = bytearray(400 << 20)")
    assert job["ProcessingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("ClientError: Please use an instance type with more memory")


def test_the_longest_runtime_stops_a_job(either_isolation: Runtime) -> None:
    condition = {"MaxRuntimeInSeconds": 1}
    began = time.monotonic()
    job = run_processing(either_isolation, "slow", "import time; time.sleep(60)", StoppingCondition=condition)
    assert job["ProcessingJobStatus"] == "Stopped"
    assert job["ExitMessage"] == "The job was stopped: it exceeded MaxRuntimeInSeconds (1)."
    assert time.monotonic() - began < 6


def test_the_runtimes_own_limit_holds_without_a_condition(start_runtime: StartRuntime) -> None:
    runtime = start_runtime(job_max_runtime_seconds=1)
    job = run_processing(runtime, "limited", "import time; time.sleep(60)")
    assert job["ProcessingJobStatus"] == "Stopped"


def test_jobs_beyond_the_limit_wait_and_can_be_stopped(start_runtime: StartRuntime) -> None:
    runtime = start_runtime(max_concurrent_jobs=1)
    runtime.jobs.create("processing", processing_request(runtime, "first", "import time; time.sleep(60)"))
    assert wait_until(lambda: "ProcessingStartTime" in runtime.jobs.describe("processing", "first"))
    runtime.jobs.create("processing", processing_request(runtime, "second", "print('ran')"))
    runtime.jobs.stop("processing", "second")
    second = runtime.jobs.wait("processing", "second")
    assert (second["ProcessingJobStatus"], "ProcessingStartTime" in second) == ("Stopped", False)
    runtime.jobs.stop("processing", "first")
    assert runtime.jobs.wait("processing", "first")["ProcessingJobStatus"] == "Stopped"


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


# Runs as another user or in another process: starts one job and prints how it went.
DRIVER = """
import sys, time
from pathlib import Path
from local_runtime.jobs import JobService
from local_runtime.runtime import Runtime
from local_runtime.settings import Settings
from local_runtime.storage import Storage
sys.path.insert(0, {folder!r})
from conftest import output, run_processing, processing_request

runtime = Runtime(Settings(data_dir=Path({data!r}), isolation={isolation!r}), {endpoint!r})
runtime.storage = Storage(runtime)
runtime.jobs = JobService(runtime)
{body}
"""


def driver(runtime: Runtime, body: str, isolation: str | None = None) -> str:
    return DRIVER.format(
        folder=str(Path(__file__).parent),
        data=str(runtime.settings.data_dir),
        isolation=isolation,
        endpoint=runtime.endpoint_url,
        body=textwrap.dedent(body),
    )


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


@pytest.mark.parametrize("isolation", ["namespace", "rewrite"])
def test_jobs_run_for_an_ordinary_user(runtime: Runtime, isolation: str) -> None:
    interpreter = interpreter_for_nobody()
    if interpreter is None:
        pytest.skip("needs root, setpriv, and an interpreter that other users may start")
    body = """
        job = run_processing(runtime, "ordinary", "import os; print(os.listdir('/opt/ml/processing'))")
        print(runtime.jobs.isolation, job["ProcessingJobStatus"], output(runtime, "ordinary"))
        runtime.jobs.shutdown()
    """
    # pytest's own folders are closed to other users.
    data = Path(tempfile.mkdtemp())
    shutil.chown(data, "nobody")
    code = driver(runtime, body, isolation).replace(str(runtime.settings.data_dir), str(data))
    modules = os.pathsep.join([sysconfig.get_path("purelib"), str(_ROOT)])
    environment = {"PATH": os.environ["PATH"], "HOME": str(data), "PYTHONPATH": modules}
    command = [*_AS_NOBODY, interpreter, "-c", code]
    ended = subprocess.run(
        command, capture_output=True, text=True, timeout=60, env=environment, cwd="/", check=False
    )
    shutil.rmtree(data)
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
    runtime: Runtime, without: str, expected: str
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
    ended = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert ended.stdout.startswith(expected), ended.stderr
    assert "Completed ran" in ended.stdout
    assert processes_with(f"sleep {mark}") == []


@pytest.mark.parametrize("isolation", ["namespace", "rewrite"])
def test_kill_9_of_the_runtime_leaves_no_process_and_its_job_is_failed(
    start_runtime: StartRuntime, isolation: str
) -> None:
    runtime = start_runtime()
    mark = f"{7200 + os.getpid()}.{time.monotonic_ns() % 10**6}"
    body = f"""
        runtime.jobs.create("processing", processing_request(
            runtime, "orphan", "import subprocess; subprocess.call(['setsid', 'sleep', '{mark}'])"))
        time.sleep(3600)
    """
    process = subprocess.Popen([sys.executable, "-c", driver(runtime, body, isolation)], cwd=_ROOT)
    try:
        assert wait_until(lambda: processes_with(f"sleep {mark}"), 20)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert wait_until(lambda: processes_with(f"sleep {mark}") == [], 5)
    runtime.jobs.recover()
    job = runtime.jobs.describe("processing", "orphan")
    assert job["ProcessingJobStatus"] == "Failed"
    assert job["FailureReason"] == "InternalServerError: The local runtime ended while the job was running."
    log = runtime.jobs.log_path("processing", "orphan")
    assert [path.name for path in log.parent.iterdir()] == ["output.log"]
