"""Condition steps: decide which branch runs."""

from __future__ import annotations

from sagemaker_local_runtime.engine.conditions import all_hold
from sagemaker_local_runtime.engine.steps.base import StepOutcome, StepRun


class ConditionExecutor:
    """Evaluates the conditions of a step; the engine runs the branch of the outcome."""

    step_type = "Condition"

    def run(self, step_run: StepRun) -> StepOutcome:
        """Return the ``Outcome``: ``"True"`` if all conditions hold, else ``"False"``.

        :raises ResolutionError: two values cannot be compared.
        """
        outcome = str(all_hold(step_run.arguments.get("Conditions") or ()))
        return StepOutcome(
            status="Succeeded",
            metadata={"Condition": {"Outcome": outcome}},
            properties={"Outcome": outcome},
        )
