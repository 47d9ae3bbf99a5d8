"""Lambda steps: invoke a function, and keep what it returns as the step's outputs.

https://docs.aws.amazon.com/sagemaker/latest/dg/build-and-manage-steps-types.html#step-type-lambda
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sagemaker_local_runtime.engine.parameters import typed
from sagemaker_local_runtime.engine.resolver import as_text
from sagemaker_local_runtime.engine.steps.base import StepOutcome, StepRun
from sagemaker_local_runtime.exceptions import ResolutionError
from sagemaker_local_runtime.functions.invocation import InvocationResult
from sagemaker_pipelines.definition.parameters import Parameter, as_string
from sagemaker_pipelines.exceptions import ParameterError

# A step waits ten minutes at most, although a function may run for fifteen.
_LONGEST_SECONDS = 600.0
_LONGEST_REASON = 1024


class LambdaExecutor:
    """Invokes the function of a step with the step's arguments as the event."""

    step_type = "Lambda"

    def run(self, step_run: StepRun) -> StepOutcome:
        """Wait for the function, even after a stop, since a function cannot be stopped.

        :raises AwsError: the function cannot be invoked.
        """
        arn = str(step_run.step["FunctionArn"])
        metadata: dict[str, Any] = {"Arn": arn}
        step_run.record({"Lambda": metadata})
        result = step_run.services.functions.invoke(arn, step_run.arguments, longest_seconds=_LONGEST_SECONDS)
        if result.error:
            return _failed(metadata, f"The Lambda function {arn} failed: {_described(result)}")
        try:
            values = _outputs(step_run.step.get("OutputParameters") or (), result.document)
        except ResolutionError as error:
            return _failed(
                metadata, f"The Lambda function {arn} returned other outputs than declared: {error}"
            )
        listed = [{"Name": name, "Value": as_text(value)} for name, value in values.items()]
        return StepOutcome(
            status="Succeeded",
            metadata={"Lambda": {**metadata, "OutputParameters": listed}},
            properties={"OutputParameters": values},
        )


def _failed(metadata: dict[str, Any], reason: str) -> StepOutcome:
    # AWS documents neither the text nor an exception type that a policy could match.
    return StepOutcome(
        status="Failed",
        metadata={"Lambda": metadata},
        failure_reason=f"ClientError: {reason}"[:_LONGEST_REASON],
    )


def _described(result: InvocationResult) -> str:
    document = result.document
    if isinstance(document, Mapping):
        return f"{document.get('errorType', 'Error')}: {document.get('errorMessage', '')}"
    return json.dumps(document)


def _outputs(declared: Any, answer: Any) -> dict[str, Any]:
    """Return the value of each declared output, of its declared type; other members are ignored."""
    if not declared:
        return {}
    if not isinstance(answer, Mapping):
        raise ResolutionError(
            f"it returned {type(answer).__name__}, expected an object with the members "
            f"{', '.join(sorted(output['OutputName'] for output in declared))}."
        )
    values = {}
    for output in declared:
        name, kind = output["OutputName"], output["OutputType"]
        if name not in answer:
            known = ", ".join(sorted(map(str, answer))) or "nothing"
            raise ResolutionError(f"{name!r} is missing; it returned {known}.")
        try:
            values[name] = typed(kind, as_string(Parameter(name, kind), _scalar(answer[name], kind)))
        except ParameterError as error:
            raise ResolutionError(str(error)) from error
    return values


def _scalar(value: Any, kind: str) -> Any:
    return as_text(value) if kind == "String" and isinstance(value, bool) else value
