"""Of which kind a run is."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from sagemaker_pipelines.task.runs import with_backfill_values


@pytest.mark.parametrize(
    ("run_type", "params", "expected"),
    [
        ("manual", {}, "any"),
        ("backfill", {}, "in a backfill"),
        ("backfill", {"RegisterInBackfill": False}, "in a backfill"),
        ("backfill", {"RegisterInBackfill": True}, "any"),
    ],
)
def test_a_backfill_that_asks_to_register_has_the_values_of_any_run(
    run_type: str, params: dict[str, Any], expected: str
) -> None:
    context: Any = {"dag_run": SimpleNamespace(run_type=run_type), "params": params}
    assert with_backfill_values(context, {"Note": "any"}, {"Note": "in a backfill"}) == {"Note": expected}
