"""Fail steps: end the execution with a message."""

from __future__ import annotations

from sagemaker_local_runtime.engine.resolver import as_text
from sagemaker_local_runtime.engine.steps.base import StepOutcome, StepRun


class FailExecutor:
    """Fails with the step's message; the engine then ends the whole execution."""

    step_type = "Fail"

    def run(self, step_run: StepRun) -> StepOutcome:
        """Return Failed with the ``ErrorMessage``."""
        message = as_text(step_run.arguments.get("ErrorMessage") or "")
        return StepOutcome(
            status="Failed", metadata={"Fail": {"ErrorMessage": message}}, failure_reason=message
        )
