"""The table of statuses."""

from __future__ import annotations

import botocore.session
import pytest

from sagemaker_pipelines.exceptions import UnknownStatusError
from sagemaker_pipelines.states import (
    APPROVAL_STATUSES,
    EXECUTION_PHASES,
    STEP_PHASES,
    Phase,
    execution_phase,
    step_phase,
)


@pytest.mark.parametrize(
    ("shape", "table"),
    [
        ("PipelineExecutionStatus", EXECUTION_PHASES),
        ("StepStatus", STEP_PHASES),
        ("ModelApprovalStatus", APPROVAL_STATUSES),
    ],
)
def test_the_table_has_exactly_the_statuses_that_botocore_knows(shape: str, table: dict[str, Phase]) -> None:
    service = botocore.session.get_session().get_service_model("sagemaker")
    assert sorted(table) == sorted(service.shape_for(shape).enum)


@pytest.mark.parametrize("table", [EXECUTION_PHASES, STEP_PHASES])
def test_only_succeeded_is_success(table: dict[str, Phase]) -> None:
    assert [status for status, phase in table.items() if phase is Phase.SUCCEEDED] == ["Succeeded"]


@pytest.mark.parametrize("phase_of", [execution_phase, step_phase])
def test_a_status_of_tomorrow_is_an_error_that_names_it(phase_of: object) -> None:
    with pytest.raises(UnknownStatusError, match=r"'Paused'.*Succeeded"):
        phase_of("Paused")  # type: ignore[operator]


def test_only_running_is_not_terminal() -> None:
    assert [phase for phase in Phase if not phase.is_terminal] == [Phase.RUNNING]
