"""What marking a waiting task does to its execution, by docs/decisions/0010."""

from __future__ import annotations

import pytest

from tests.e2e.crash.harness import Harness
from tests.e2e.crash.test_kill_matrix import SYNC, mark, stops, waiting

pytestmark = pytest.mark.thorough


def test_marking_a_running_wait_as_success_stops_the_execution(harness: Harness) -> None:
    run_id = waiting(harness, SYNC)
    mark(harness, SYNC, run_id, "success")
    stops(harness, run_id)
    harness.until(lambda: harness.api.run(SYNC, run_id)["state"] == "success", "the run to succeed")
    harness.clean(SYNC, run_id)


def test_marking_a_run_as_success_stops_the_execution(harness: Harness) -> None:
    run_id = waiting(harness, "sensor_deferred")
    harness.patch(f"/dags/sensor_deferred/dagRuns/{run_id}", {"state": "success"})
    stops(harness, run_id)
    harness.clean("sensor_deferred", run_id)
