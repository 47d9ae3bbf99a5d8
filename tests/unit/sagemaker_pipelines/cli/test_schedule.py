"""`schedule` commands over HTTP."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from sagemaker_local_runtime.testing import LocalRuntime, local_runtime
from sagemaker_pipelines.cli import app
from tests.waiting import GENEROUS_SECONDS

__all__ = ["local_runtime"]

ROLE = "arn:aws:iam::123456789012:role/Scheduler"
CRON = ["--cron", "0 3 * * ? *", "--timezone", "Europe/Berlin"]
DEFINITION = {
    "Version": "2020-12-01",
    "Parameters": [
        {"Name": "MseThreshold", "Type": "Float", "DefaultValue": 6.0},
        {"Name": "Mode", "Type": "String", "DefaultValue": "good", "EnumValues": ["good", "bad"]},
    ],
    "Steps": [{"Name": "Refuse", "Type": "Fail", "Arguments": {"ErrorMessage": "no"}}],
}


@pytest.fixture
def runtime(local_runtime: LocalRuntime, monkeypatch: pytest.MonkeyPatch) -> LocalRuntime:
    extra = {
        "region_name": "us-east-1",
        "endpoint_url": local_runtime.endpoint_url,
        "service_config": {"sagemaker": {"name_prefix": "dev-"}},
    }
    connection = {"conn_type": "aws", "login": "test", "password": "test", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))
    local_runtime.create_pipeline(DEFINITION, "dev-abalone")
    return local_runtime


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["schedule", *arguments])


def put(*arguments: str) -> Result:
    return run("put", "nightly", "--role-arn", ROLE, *arguments)


def put_json(*arguments: str) -> dict[str, Any]:
    result = put("--pipeline", "dev-abalone", *CRON, *arguments, "--json")
    assert result.exit_code == 0, result.output
    told: dict[str, Any] = json.loads(result.stdout)
    return told


def test_a_schedule_is_created_changed_shown_listed_and_removed(runtime: LocalRuntime) -> None:
    created = put_json("--parameter", "MseThreshold=7", "--parameter", "Mode=bad")
    assert created["outcome"] == "created"
    assert put_json("--parameter", "MseThreshold=7", "--parameter", "Mode=bad")["outcome"] == "unchanged"
    assert runtime.calls().get("scheduler:UpdateSchedule", 0) == 0
    changed = put_json("--parameter", "MseThreshold=8", "--state", "disabled")
    assert changed["changes"] == {
        "state": {"from": "ENABLED", "to": "DISABLED"},
        "parameters.MseThreshold": {"from": "7", "to": "8"},
        "parameters.Mode": {"from": "bad", "to": None},
    }
    shown = json.loads(run("show", "nightly", "--json").stdout)
    assert shown == changed["schedule"]
    assert shown["pipeline_arn"] == "arn:aws:sagemaker:us-east-1:123456789012:pipeline/dev-abalone"
    assert (shown["expression"], shown["timezone"]) == ("cron(0 3 * * ? *)", "Europe/Berlin")
    listed = run("list", "--prefix", "night").stdout
    assert "nightly" in listed
    assert "dev-abalone" in listed
    assert json.loads(run("list", "--prefix", "other", "--json").stdout) == []
    assert "removed" in run("remove", "nightly").stdout
    assert json.loads(run("remove", "nightly", "--json").stdout)["outcome"] == "absent"
    assert run("show", "nightly").exit_code == 1


@pytest.mark.thorough
def test_a_secret_is_kept_in_the_schedule_and_shown_nowhere(runtime: LocalRuntime) -> None:
    password = {"Name": "DbPassword", "Type": "String", "DefaultValue": "hunter2"}
    runtime.create_pipeline(DEFINITION | {"Parameters": [password]}, "dev-secret")
    made = put("--pipeline", "dev-secret", *CRON, "--parameter", "DbPassword=hunter2")
    again = put("--pipeline", "dev-secret", *CRON, "--parameter", "DbPassword=hunter22", "--json")
    assert json.loads(again.stdout)["outcome"] == "updated"
    refused = put("--pipeline", "dev-secret", *CRON, "--parameter", f"DbPassword={'hunter2' * 200}")
    shown = [run("show", "nightly"), run("show", "nightly", "--json"), run("list", "--json")]
    assert made.exit_code == 0
    for result in (again, refused, *shown):
        assert "***" in result.output
    assert not [result.output for result in (made, again, refused, *shown) if "hunter2" in result.output]


@pytest.mark.thorough
def test_text_tells_what_changes_and_a_dry_run_writes_nothing(runtime: LocalRuntime) -> None:
    put_json()
    told = put("--pipeline", "dev-abalone", "--rate", "12 hours", "--dry-run")
    assert "nightly would be updated" in told.stdout
    assert "cron(0 3 * * ? *)" in told.stdout
    assert "rate(12 hours)" in told.stdout
    assert "unchanged; nothing was written" in put("--pipeline", "dev-abalone", *CRON).stdout


def test_a_compiled_definition_finds_its_deployed_pipeline(runtime: LocalRuntime, tmp_path: Path) -> None:
    envelope = {
        "envelope_version": 1,
        "name": "abalone",
        "description": "Train.",
        "definition": DEFINITION,
        "images": {},
        "assets": [],
        "placeholders": [],
        "annotations": {"MseThreshold": {"maximum": 10}},
    }
    path = tmp_path / "abalone.json"
    path.write_text(json.dumps(envelope))
    created = put("--definition", str(path), "--rate", "1 day", "--json")
    assert json.loads(created.stdout)["schedule"]["pipeline_arn"].endswith(":pipeline/dev-abalone")
    refused = put("--definition", str(path), "--rate", "1 day", "--parameter", "MseThreshold=11")
    assert (refused.exit_code, "expected at most 10" in refused.stderr) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--pipeline", "dev-abalone"], "neither --cron nor --rate"),
        (["--pipeline", "dev-abalone", *CRON, "--rate", "1 day"], "both --cron and --rate"),
        (CRON, "neither --definition nor --pipeline"),
        (["--pipeline", "dev-abalone", *CRON, "--parameter", "Mode"], "expected NAME=VALUE"),
        (["--pipeline", "dev-abalone", *CRON, "--parameter", "Mode=ugly"], "expected one of good, bad"),
        (["--pipeline", "dev-abalone", *CRON, "--parameter", "Other=1"], "Other is not a parameter"),
        (["--pipeline", "dev-abalone", *CRON, "--start", "soon"], "expected ISO 8601"),
        (["--pipeline", "dev-abalone", *CRON, "--group", "ml"], "no schedule group 'ml'"),
    ],
)
def test_a_wrong_command_line_exits_with_2_and_writes_nothing(
    runtime: LocalRuntime, arguments: list[str], said: str
) -> None:
    result = put(*arguments)
    assert (result.exit_code, said in result.stderr) == (2, True), result.output
    assert runtime.calls().get("scheduler:CreateSchedule", 0) == 0


def test_a_pipeline_that_is_not_deployed_exits_with_1(runtime: LocalRuntime) -> None:
    result = put("--pipeline", "missing", *CRON)
    assert (result.exit_code, "Upsert it first" in result.stderr) == (1, True)


def test_the_module_is_a_command_and_its_help_imports_no_boto3() -> None:
    code = (
        "import sys; sys.argv = ['x', 'schedule', 'put', '--help']\n"
        "from sagemaker_pipelines.cli import app\n"
        "try: app()\n"
        "except SystemExit as end: assert end.code == 0\n"
        "assert 'boto3' not in sys.modules, 'boto3'\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=GENEROUS_SECONDS
    )
    assert done.returncode == 0, done.stderr
    assert "--timezone" in done.stdout


def test_an_expression_that_the_scheduler_refuses_is_shown_with_its_answer_and_the_cure(
    runtime: LocalRuntime,
) -> None:
    refused = put("--pipeline", "dev-abalone", "--cron", "0 3 * * *")
    assert refused.exit_code == 2
    assert "has 5 fields, expected six" in refused.stderr
    assert "such as '0 3 * * ? *'" in refused.stderr
    assert runtime.client("scheduler").list_schedules()["Schedules"] == []
