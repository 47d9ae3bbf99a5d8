"""``sagemaker-pipelines local env`` points programs that know nothing of the runtime at it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import boto3
import pytest
from uv import find_uv_bin

from sagemaker_local_runtime.client_environment import PYTHON_PATH, with_python_path
from sagemaker_local_runtime.testing import LocalRuntime

REGIONAL = "https://sts.us-east-1.amazonaws.com"
# A script that somebody wrote for AWS; the SDK's versions differ in where these names are.
SCRIPT = """
import json
try:
    from sagemaker import Session, get_execution_role  # version 2
except ImportError:
    from sagemaker.core.helper.session_helper import Session, get_execution_role
session = Session()
session.upload_string_as_file_body("1,2", session.default_bucket(), "data/rows.csv")
print(json.dumps([session.default_bucket(), session.account_id(), get_execution_role()]))
"""


def run(runtime: LocalRuntime, python: str, code: str, **variables: str) -> str:
    """Run a program in a shell after ``local env``; AWS itself is out of its reach."""
    command = [sys.executable, "-m", "sagemaker_pipelines", "local", "env"]
    command += ["--endpoint-url", runtime.endpoint_url]
    done = subprocess.run(
        ["sh", "-c", 'eval "$("$@")" && exec "$PYTHON" -c "$CODE"', "sh", *command],
        env={**os.environ, "HTTPS_PROXY": "http://127.0.0.1:9", "PYTHON": python, "CODE": code, **variables},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def assert_the_script_runs(runtime: LocalRuntime, python: str) -> None:
    found = json.loads(run(runtime, python, SCRIPT))
    assert found == [runtime.bucket, "123456789012", runtime.role_arn]
    assert runtime.get(f"s3://{runtime.bucket}/data/rows.csv") == b"1,2"
    assert runtime.calls()["sts:GetCallerIdentity"] >= 2


@pytest.mark.thorough
def test_an_unmodified_script_of_sdk_v3_runs(local_runtime: LocalRuntime) -> None:
    assert_the_script_runs(local_runtime, sys.executable)


@pytest.fixture(scope="module")
def python_v2(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The interpreter of an environment with SDK v2 alone, since it cannot share one with Airflow."""
    folder = tmp_path_factory.mktemp("v2") / "venv"
    for command in (
        ["venv", "--python", sys.executable, str(folder)],
        ["pip", "install", "--python", str(folder), "sagemaker==2.257.*"],
    ):
        subprocess.run([find_uv_bin(), *command], check=True, capture_output=True, timeout=900)
    return str(folder / "bin" / "python")


@pytest.mark.thorough
def test_an_unmodified_script_of_sdk_v2_runs(local_runtime: LocalRuntime, python_v2: str) -> None:
    assert_the_script_runs(local_runtime, python_v2)


@pytest.mark.thorough
def test_a_notebook_of_sdk_v2_trains_registers_and_shows_its_lineage(
    local_runtime: LocalRuntime, python_v2: str
) -> None:
    notebook = Path(__file__).with_name("notebook_v2.py").read_text()
    assert json.loads(run(local_runtime, python_v2, notebook)) == {
        "status": "Succeeded",
        "steps": dict.fromkeys(("Prepare", "Train", "Check", "Notebook-RegisterModel"), "Succeeded"),
        "lineage": {
            "Prepare": ["DataSet", "Image"],
            "Train": ["DataSet", "Image", "Model"],
            "Check": None,
            "Notebook-RegisterModel": ["Approval", "Image", "Model", "ModelGroup"],
        },
        "package": "arn:aws:sagemaker:us-east-1:123456789012:model-package/notebook/1",
        "trained": 1,
    }


def test_the_sitecustomize_of_the_environment_still_runs(local_runtime: LocalRuntime, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import builtins; builtins.was_here = __file__\n")
    code = "import sys; print(was_here, sys.modules['sitecustomize'].__file__)"
    found = run(local_runtime, sys.executable, code, PYTHONPATH=str(tmp_path))
    assert found.split() == [str(tmp_path / "sitecustomize.py")] * 2


def test_botocore_is_not_imported_before_the_program_does(local_runtime: LocalRuntime) -> None:
    assert run(local_runtime, sys.executable, "import sys; print('botocore' in sys.modules)") == "False"


@pytest.mark.thorough
@pytest.mark.parametrize(
    "before",
    [
        "import importlib.util; importlib.util.find_spec('botocore.session')",
        "import importlib, botocore.session; importlib.reload(botocore.session)",
    ],
)
def test_a_program_that_looks_for_botocore_or_reloads_it_is_led_to_the_runtime(
    local_runtime: LocalRuntime, before: str
) -> None:
    code = f"{before}; import boto3; print(boto3.client('sts', endpoint_url={REGIONAL!r}).meta.endpoint_url)"
    assert run(local_runtime, sys.executable, code) == local_runtime.endpoint_url


def test_a_shells_profile_and_session_token_are_unset(local_runtime: LocalRuntime) -> None:
    code = "import os; print([n for n in ('AWS_PROFILE', 'AWS_SESSION_TOKEN') if n in os.environ])"
    assert run(local_runtime, sys.executable, code, AWS_PROFILE="prod", AWS_SESSION_TOKEN="t") == "[]"


def test_in_the_process_of_the_fixture_an_address_of_aws_leads_to_the_runtime(
    local_runtime: LocalRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in local_runtime.environment.items():
        monkeypatch.setenv(name, value)
    sts = boto3.client("sts", endpoint_url=REGIONAL)
    assert sts.meta.endpoint_url == local_runtime.endpoint_url
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:1")
    assert boto3.client("sts", endpoint_url=REGIONAL).meta.endpoint_url == "http://127.0.0.1:1"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://vpce-0a1b.sts.us-east-1.vpce.amazonaws.com", False),
        ("https://sts.cn-north-1.amazonaws.com.cn", False),
        ("https://sts.us-east-1.api.aws:443/", False),
        ("https://sts.example.com", True),
        ("https://amazonaws.com.example.com", True),
        ("http://127.0.0.1:9000", True),
    ],
)
def test_only_addresses_of_aws_are_replaced(
    local_runtime: LocalRuntime, monkeypatch: pytest.MonkeyPatch, given: str, kept: bool
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", local_runtime.endpoint_url)
    found = boto3.client("sts", region_name="us-east-1", endpoint_url=given).meta.endpoint_url
    assert found == (given if kept else local_runtime.endpoint_url)


def test_without_the_variable_nothing_is_replaced(local_runtime: LocalRuntime) -> None:
    found = boto3.client("sts", region_name="us-east-1", endpoint_url=REGIONAL).meta.endpoint_url
    assert found == REGIONAL


def test_the_folder_is_on_the_path_once() -> None:
    own = str(PYTHON_PATH)
    assert with_python_path("") == own
    assert with_python_path(f"/a:{own}:/b") == f"{own}:/a:/b"
    assert with_python_path(with_python_path("/a")) == f"{own}:/a"


def test_without_a_runtime_the_error_says_how_to_start_one() -> None:
    command = [sys.executable, "-m", "sagemaker_pipelines", "local", "env"]
    done = subprocess.run(
        [*command, "--endpoint-url", "http://127.0.0.1:9"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "No local runtime answers at http://127.0.0.1:9" in done.stderr
    assert "Start it with `sagemaker-pipelines local up`" in done.stderr
