"""Steps that are not executed: a function of the user gives their outputs."""

from __future__ import annotations

from functools import cache
from typing import Any

from sagemaker_local_runtime.engine.steps.base import StepOutcome, StepRun
from sagemaker_local_runtime.exceptions import JobFailedError, JobStoppedError
from sagemaker_local_runtime.service_model import service_model

# In PipelineExecutionStepMetadata.
_MEMBERS = {"AutoML": "AutoMLJob"}


class StubExecutor:
    """Calls the stub of the step's type; everything that shows the step says that it was not executed."""

    step_type = "stub"

    def run(self, step_run: StepRun) -> StepOutcome:
        """Return the outputs that the stub gives."""
        stubs, kind = step_run.services.stubs, step_run.step["Type"]
        stub = stubs.name(kind)
        marked: dict[str, Any] = {
            "metadata": _metadata(kind, step_run.services.account.arn(f"not-executed/{step_run.name}")),
            "description": f"Not executed: the stub {stub} gave the outputs.",
        }
        step_run.record(marked["metadata"])
        try:
            execution_arn = step_run.execution["PipelineExecutionArn"]
            outputs = stubs.call(step_run.step, execution_arn, step_run.stop)
        except JobStoppedError:
            return StepOutcome(status="Stopped", **marked)
        except JobFailedError as error:
            reason = f"ClientError: The stub {stub} failed: {error}"
            return StepOutcome(status="Failed", failure_reason=reason, **marked)
        return StepOutcome(status="Succeeded", properties=outputs, **marked)


def _metadata(kind: str, arn: str) -> dict[str, Any]:
    """Return the metadata of a step, in which every identifier says that nothing was executed."""
    member = _MEMBERS.get(kind, kind)
    values = {name: arn if name == "Arn" else "not-executed" for name in _identifiers(member)}
    return {member: values}


@cache
def _identifiers(member: str) -> tuple[str, ...]:
    shape = service_model().shape_for("PipelineExecutionStepMetadata").members[member]
    return tuple(name for name in shape.members if name == "Arn" or name.endswith("Id"))
