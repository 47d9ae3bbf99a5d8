"""Read a definition as CreatePipeline does, refusing what is wrong and what cannot be executed here."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, NoReturn

from sagemaker_local_runtime.engine.cache import duration_seconds
from sagemaker_local_runtime.engine.graph import TRIGGERS
from sagemaker_local_runtime.engine.retry import EXCEPTION_TYPES
from sagemaker_local_runtime.engine.steps import EXECUTORS, NOT_EXECUTED, PROBLEMS
from sagemaker_local_runtime.exceptions import ValidationError
from sagemaker_local_runtime.service_model import service_model
from sagemaker_local_runtime.validation import read_json
from sagemaker_pipelines.definition import iter_steps, lint
from sagemaker_pipelines.definition.parameters import TYPES

_PREFIX = "Unable to parse pipeline definition."
# A hostile definition must not make the answer grow.
_MAX_PROBLEMS = 20
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_LambdaStepMetadata.html
_MAX_OUTPUTS = 50


def parse_definition(
    text: str, *, allowed: Collection[str] = (), stubs: Collection[str] = ()
) -> dict[str, Any]:
    """Return the definition in a JSON text.

    :param text: the JSON text.
    :param allowed: names of step arguments that are not checked, such as ``Training.NewMember``.
    :param stubs: the types of steps that have a stub.
    :raises ValidationError: it is not JSON, not a definition, or needs what this runtime cannot execute.
    """
    try:
        definition = read_json(text)
    except (ValueError, RecursionError) as error:
        raise ValidationError(f"{_PREFIX} It is not valid JSON: {error}.") from error
    if not isinstance(definition, dict):
        _refuse("Expecting start of Json Object.")
    try:
        problems = [
            *unsupported(definition, stubs),
            *map(str, lint(definition, service_model(), allowed=allowed)),
        ] or list(_engine_problems(definition))
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValidationError(f"{_PREFIX} An element has an unexpected form ({error}).") from error
    if problems:
        more = len(problems) - _MAX_PROBLEMS
        shown = [*problems[:_MAX_PROBLEMS], *([f"There are {more} more problems."] if more > 0 else [])]
        _refuse(" ".join(shown))
    return definition


def _refuse(detail: str) -> NoReturn:
    raise ValidationError(f"{_PREFIX} {detail}")


def unsupported(definition: Mapping[str, Any], stubs: Collection[str]) -> Iterator[str]:
    """Yield a problem for each step that is neither executed nor has a stub."""
    for step in iter_steps(definition):
        kind = step.get("Type")
        if kind in NOT_EXECUTED and kind not in stubs:
            yield (
                f"step {step.get('Name')}: the local runtime does not execute steps of type {kind}; "
                f"it executes {', '.join(sorted(EXECUTORS))}. Declare a stub that gives the outputs, such as "
                f"--stub {kind}=stubs.py:function; see docs/local_runtime.md."
            )


def _engine_problems(definition: Mapping[str, Any]) -> Iterator[str]:
    """Check what would otherwise be noticed only during an execution."""
    for step in iter_steps(definition):
        own = PROBLEMS[step["Type"]](step) if step["Type"] in PROBLEMS else ()
        for problem in (*_dependencies(step), *_cache(step), *_retries(step), *_outputs(step), *own):
            yield f"step {step['Name']}: {problem}"


def _dependencies(step: Mapping[str, Any]) -> Iterator[str]:
    for entry in step.get("DependsOn") or ():
        trigger = entry.get("Trigger") if isinstance(entry, Mapping) else "Completed"
        if trigger not in TRIGGERS:
            yield f"DependsOn has the trigger {trigger!r}; expected one of {', '.join(TRIGGERS)}."


def _cache(step: Mapping[str, Any]) -> Iterator[str]:
    config = step.get("CacheConfig") or {}
    if config.get("Enabled") and "ExpireAfter" in config:
        try:
            duration_seconds(config["ExpireAfter"])
        except ValueError as error:
            yield str(error)


def _retries(step: Mapping[str, Any]) -> Iterator[str]:
    for policy in step.get("RetryPolicies") or ():
        unknown = sorted(set(policy.get("ExceptionType") or ()) - EXCEPTION_TYPES)
        if unknown or not policy.get("ExceptionType"):
            yield (
                f"a retry policy has the ExceptionType {unknown or None}; "
                f"expected some of {', '.join(sorted(EXCEPTION_TYPES))}."
            )
        for key, least in (
            ("IntervalSeconds", 0),
            ("BackoffRate", 0),
            ("MaxAttempts", 0),
            ("ExpireAfterMin", 0),
        ):
            value = policy.get(key, least)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or value < least:
                yield f"a retry policy has {key} {value!r}; expected a number of at least {least}."


def _outputs(step: Mapping[str, Any]) -> Iterator[str]:
    if step["Type"] == "Callback" and not step.get("SqsQueueUrl"):
        yield "a Callback step has no SqsQueueUrl; add the URL of the queue."
    if step["Type"] == "Lambda" and not step.get("FunctionArn"):
        yield "a Lambda step has no FunctionArn; add the ARN of the function."
    outputs = step.get("OutputParameters") or ()
    if len(outputs) > _MAX_OUTPUTS:
        yield f"it declares {len(outputs)} outputs; SageMaker accepts at most {_MAX_OUTPUTS}."
    for output in outputs:
        if not output.get("OutputName") or output.get("OutputType") not in TYPES:
            yield f"the output {output!r} needs an OutputName and an OutputType of {', '.join(TYPES)}."
