"""Run one step: resolve its expressions, look it up in the cache, attempt it and retry."""

from __future__ import annotations

import secrets
import string
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from sagemaker_local_runtime.engine.cache import StepCache, is_cached
from sagemaker_local_runtime.engine.children import Child, StepResult
from sagemaker_local_runtime.engine.graph import Node
from sagemaker_local_runtime.engine.record import ExecutionRecord, step_key
from sagemaker_local_runtime.engine.resolver import Resolver, Scope
from sagemaker_local_runtime.engine.retry import RetryBudget, failure_type_of
from sagemaker_local_runtime.engine.services import Services
from sagemaker_local_runtime.engine.steps import executor_of
from sagemaker_local_runtime.engine.steps.base import MAX_NAME, Body, Iteration, StepOutcome, StepRun
from sagemaker_local_runtime.engine.variables import execution_variables
from sagemaker_local_runtime.exceptions import AwsError, LocalRuntimeError

# The call that a step of each type makes.
_CALLS: Mapping[str, str] = {
    "Processing": "sagemaker:CreateProcessingJob",
    "QualityCheck": "sagemaker:CreateProcessingJob",
    "Training": "sagemaker:CreateTrainingJob",
    "Transform": "sagemaker:CreateTransformJob",
    "Tuning": "sagemaker:CreateHyperParameterTuningJob",
    "Model": "sagemaker:CreateModel",
    "RegisterModel": "sagemaker:CreateModelPackage",
    "EndpointConfig": "sagemaker:CreateEndpointConfig",
    "Endpoint": "sagemaker:CreateEndpoint",
    "Callback": "sqs:SendMessage",
    "Lambda": "lambda:InvokeFunction",
}

_ALPHABET = string.ascii_lowercase + string.digits + string.ascii_uppercase


def job_name(execution_id: str, step_name: str) -> str:
    """Return a new name for a step's job, with at most 63 characters as SageMaker allows."""
    suffix = "".join(secrets.choice(_ALPHABET) for _ in range(10))
    room = MAX_NAME - len(f"pipelines-{execution_id}--{suffix}")
    trimmed = step_name.replace("_", "-")[:room].strip("-")
    return f"pipelines-{execution_id}-{trimmed}-{suffix}"


class StepRunner:
    """Run the steps of one execution; safe to call from several threads.

    :param services: what steps work with.
    :param record: the execution's documents.
    :param parameters: the values of its parameters, of their declared types.
    :param property_files: the property files that each step declares.
    :param properties: the properties of the steps that have ended; the caller adds to it.
    """

    def __init__(
        self,
        services: Services,
        record: ExecutionRecord,
        *,
        parameters: Mapping[str, Any],
        property_files: Mapping[str, list[Mapping[str, Any]]],
        properties: Mapping[str, Mapping[str, Any]],
    ) -> None:
        self._services = services
        self._record = record
        self._parameters = parameters
        self._property_files = property_files
        self._properties = properties
        self._execution = record.execution()
        self._cache = StepCache(services.account.store, self._execution["PipelineArn"])

    def run(self, node: Node, stop: threading.Event, iteration: Iteration | None = None) -> StepResult:
        """Run one step to its end.

        :param node: the step.
        :param stop: set to end it early.
        :param iteration: the item of the ForEach step that contains it; None elsewhere.
        """
        try:
            step_run = self._step_run(node, stop, iteration)
            hit = self._cached(step_run)
            return hit or self._attempts(node, step_run, iteration)
        except LocalRuntimeError as error:
            return StepResult(StepOutcome(status="Failed", failure_reason=str(error)))

    def _step_run(self, node: Node, stop: threading.Event, iteration: Iteration | None) -> StepRun:
        name = job_name(self._execution["PipelineExecutionArn"].rpartition("/")[2], node.name)
        step = self._resolver(name, iteration).resolve(node.step)
        return StepRun(
            services=self._services,
            execution=self._execution,
            step=step,
            arguments=step.get("Arguments") or {},
            job_name=name,
            stop=stop,
            record=self._recorder(node.name),
            body=self._body(node, stop),
            properties=self._properties,
        )

    def _body(self, node: Node, stop: threading.Event) -> Body | None:
        if node.body is None:
            return None

        def run(inner: Node, iteration: Iteration) -> StepOutcome:
            child = Child(self._record, node.name, inner, iteration)
            return child.run(lambda named: self.run(named, stop, iteration), stop)

        return Body(node.body, run)

    def _resolver(self, name: str, iteration: Iteration | None) -> Resolver:
        return Resolver(
            Scope(
                parameters=self._parameters,
                execution=execution_variables(self._execution, name),
                properties={**self._properties, **iteration.outputs} if iteration else self._properties,
                property_files=self._property_files,
                read=self._services.storage.read_bytes,
                items=(iteration.item,) if iteration else (),
            )
        )

    def _recorder(self, name: str) -> Callable[[dict[str, Any]], None]:
        return lambda metadata: self._record.update_step(name, Metadata=metadata)

    def _cached(self, step_run: StepRun) -> StepResult | None:
        if not is_cached(step_run.step):
            return None
        found = self._cache.find(step_run.step, step_run.arguments, time.time())
        if found is None:
            return None
        outcome = StepOutcome(
            status="Succeeded", metadata=found.get("Metadata", {}), properties=found.get("_properties", {})
        )
        return StepResult(
            outcome, {"CacheHitResult": {"SourcePipelineExecutionArn": found["_execution_arn"]}}
        )

    def _attempts(self, node: Node, step_run: StepRun, iteration: Iteration | None) -> StepResult:
        budget = RetryBudget(step_run.step.get("RetryPolicies") or (), time.time())
        attempt = 1
        while True:
            outcome = _attempt(step_run)
            if outcome.status != "Failed" or step_run.stop.is_set():
                break
            pause = budget.next_pause(outcome.failure_type, time.time())
            if pause is None:
                outcome = self._with_retry_note(outcome, node.name, budget)
                break
            if step_run.stop.wait(pause):
                outcome = replace(outcome, status="Stopped", failure_reason=None)
                break
            attempt += 1
            self._record.update_step(node.name, AttemptCount=attempt)
            step_run = self._step_run(node, step_run.stop, iteration)
        if outcome.status == "Succeeded" and is_cached(step_run.step):
            key = step_key(self._record.arn, node.name)
            self._cache.put(step_run.step, step_run.arguments, key, time.time())
        return StepResult(outcome, {"AttemptCount": attempt})

    def _with_retry_note(self, outcome: StepOutcome, name: str, budget: RetryBudget) -> StepOutcome:
        """Add, as SageMaker does, that no policy covers a failure that could have been retried."""
        kind = outcome.failure_type
        if kind is None or budget.covers(kind):
            return outcome
        reason = (
            f"{outcome.failure_reason}\nRetry not appropriate on execution of step with PipelineExecutionArn "
            f"{self._record.arn} and StepId {name}. No retry policy configured for the exception type "
            f"{kind.replace('.', '_').upper()}."
        )
        return replace(outcome, failure_reason=reason)


def _attempt(step_run: StepRun) -> StepOutcome:
    kind = step_run.step["Type"]
    try:
        return executor_of(kind).run(step_run)
    except AwsError as error:
        reason = f"ClientError: Failed to invoke {_CALLS.get(kind, kind)}. Error Details: {error.message}"
        return StepOutcome(status="Failed", failure_reason=reason, failure_type=failure_type_of(error.code))
