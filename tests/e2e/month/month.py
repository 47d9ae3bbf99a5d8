"""A month of backfilled training runs: accepted, rejected, failed, resumed, and awaiting approval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sagemaker_local_runtime.settings import Settings
from sagemaker_local_runtime.testing_client import Endpoint
from sagemaker_pipelines.exceptions import AirflowRequestError
from stack.bootstrap import upload
from stack.demo import TRAIN
from stack.lifecycle import Stack
from tests.e2e.project.conftest import BAD_ROW
from tests.waiting import until


@dataclass(frozen=True)
class Part:
    """Some days that are backfilled with the same parameters."""

    first: str
    last: str
    conf: dict[str, Any]


_PENDING = {"RegisterInBackfill": True, "ModelApprovalStatus": "PendingManualApproval"}
# The page has to show the threshold that each execution ran with.
PARTS = (
    Part("2026-01-01", "2026-01-15", {"MseThreshold": 6.0}),
    Part("2026-01-16", "2026-01-26", {"MseThreshold": 10.0}),
    Part("2026-01-27", "2026-01-30", {"MseThreshold": 10.0, **_PENDING}),
)
DAYS = 30
#: Its rows cannot be read, however often its execution is resumed.
BAD_DAY = "2026-01-12"
_SECONDS = 3600.0


def month_runs(stack: Stack) -> list[dict[str, Any]]:
    """Return the month's runs by date, after backfilling what is not there yet and waiting for its end."""
    until(lambda: TRAIN in stack.api.dag_ids(), f"{TRAIN} to be read")
    stack.api.unpause(TRAIN)
    if not stack.api.backfill_runs(_dates(PARTS[0])):
        _prepare(stack)
    for part in PARTS:
        _backfill(stack, part)
    return [run for part in PARTS for run in stack.api.backfill_runs(_dates(part))]


def _backfill(stack: Stack, part: Part) -> None:
    """Backfill the dates of a part, unless that has been done, and wait for their end."""
    dates = _dates(part)
    if not stack.api.backfill_runs(dates):
        stack.api.create_backfill(
            TRAIN, dates["from_date"], dates["to_date"], max_active_runs=3, dag_run_conf=part.conf
        )

    def ended() -> bool:
        try:
            runs = stack.api.backfill_runs(dates)
        except AirflowRequestError:
            # A busy Airflow answers the next question.
            return False
        return bool(runs) and all(run["state"] in ("success", "failed") for run in runs)

    until(ended, f"{part.first} to {part.last} to end", seconds=_SECONDS, every=2)


def _dates(part: Part) -> dict[str, str]:
    return {"dag_id": TRAIN, "from_date": f"{part.first}T00:00:00Z", "to_date": f"{part.last}T00:00:00Z"}


def _prepare(stack: Stack) -> None:
    """Let one day fail for good, and the training job of whichever day comes first find no machine once."""
    settings = stack.settings
    upload(settings, {f"train/dt={BAD_DAY}/abalone.csv": BAD_ROW})
    endpoint = Endpoint(settings.runtime_url, Settings(data_dir=settings.runtime_data_dir))
    endpoint.add_fault("CreateTrainingJob", "capacity", count=1)
