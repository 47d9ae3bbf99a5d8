"""The commands of docs/backfills.md, for one date, on the running stack."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from stack.airflow_env import airflow_environment
from tests.documents import blocks
from tests.e2e.project.conftest import Airflow, environment
from tests.waiting import until

pytestmark = pytest.mark.thorough

DAG = "abalone_train"


@pytest.fixture
def paused(airflow: Airflow) -> Iterator[None]:
    with airflow.paused(DAG):
        yield


def shell(airflow: Airflow, script: str) -> str:
    """Run a command of the page where Airflow's processes run, say yes, and return what it prints."""
    env = airflow_environment(airflow.settings, extra=environment(airflow.settings)) | {
        "AIRFLOW": airflow.settings.airflow_url,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    done = subprocess.run(
        ["bash", "-c", script], env=env, input="y\n", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def created(airflow: Airflow, command: str) -> Any:
    """Create a backfill; Airflow refuses one while SQLite is locked."""

    def try_it() -> Any:
        shell(airflow, f"{command.strip()} || true")
        return airflow.active_backfills(DAG)

    (backfill,) = until(try_it, "the backfill to be created", every=1)
    return backfill


def of_backfill(command: str, backfill: Mapping[str, Any], airflow: Airflow) -> str:
    """Give a documented command the id of a backfill and the address of this Airflow."""
    program = command.replace(" 12", f" {backfill['id']}").partition(" --airflow-url")[0].strip()
    return f"{program} --airflow-url {airflow.settings.airflow_url}"


@pytest.mark.usefixtures("paused")
@pytest.mark.parametrize("number", [0, 1], ids=["command line", "REST API"])
def test_a_backfill_is_created_reported_and_cancelled(number: int, airflow: Airflow) -> None:
    *creating, report, cancel = blocks("backfills.md", "bash")
    # The stack has no login, and refuses a token that is none.
    create = creating[number].replace('-H "Authorization: Bearer $AIRFLOW_TOKEN" ', "")
    for documented in ("2026-01-01", "2026-01-30"):
        create = create.replace(documented, f"2026-06-0{number + 1}")
    backfill = created(airflow, create)
    assert (backfill["max_active_runs"], backfill["dag_run_conf"]) == (4, {"MseThreshold": 7.0})
    assert f"2026-06-0{number + 1}" in shell(airflow, of_backfill(report, backfill, airflow))
    shell(airflow, of_backfill(cancel, backfill, airflow))
    (run,) = airflow.api.backfill_runs(backfill)
    assert run["state"] == "failed"
