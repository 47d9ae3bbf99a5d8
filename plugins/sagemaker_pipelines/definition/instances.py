"""The instances that the steps of a definition ask for."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Any, TypeVar

from sagemaker_pipelines.definition.document import iter_steps, locate_steps, own_part, value_at
from sagemaker_pipelines.definition.parameters import parameters_of
from sagemaker_pipelines.reading import finite_number

T = TypeVar("T")

# AWS's default where a job has no StoppingCondition: a day.
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_StoppingCondition.html
DEFAULT_MAX_SECONDS = 86_400.0
#: Types of steps whose jobs bill, but not in a form that is counted here.
UNCOUNTED = frozenset(
    {
        "Athena",
        "AutoML",
        "BedrockCustomModel",
        "BedrockCustomModelDeployment",
        "BedrockModelImport",
        "BedrockProvisionedModelThroughput",
        "EMR",
        "EMRServerless",
        "Job",
    }
)
_LASTING = frozenset({"BedrockCustomModelDeployment", "Endpoint", "InferenceComponent"})
_PROCESSING = ("Processing", "ProcessingResources.ClusterConfig", "StoppingCondition")
#: By type of step: the component of the price list, the paths of its instances and of its longest runtime;
#: of a Tuning step, in a definition of its training jobs. A transform job has no longest runtime.
JOBS: Mapping[str, tuple[str, str, str | None]] = {
    "Processing": _PROCESSING,
    "QualityCheck": _PROCESSING,
    "ClarifyCheck": _PROCESSING,
    "Training": ("Training", "ResourceConfig", "StoppingCondition"),
    "Tuning": ("Training", "ResourceConfig", "StoppingCondition"),
    "Transform": ("Transform", "TransformResources", None),
}


@dataclass(frozen=True, kw_only=True)
class StepInstances:
    """Instances of one type that the job of a step runs on.

    :param step: the step's name.
    :param component: the component of the price list: ``Processing``, ``Training`` or ``Transform``.
    :param instance_type: such as ``ml.m5.xlarge``; None if an expression gives it, or there is no single one.
    :param instance_count: how many; None if an expression gives it, or there is no single number.
    :param max_seconds: the longest runtime of the job, and for how long its warm pool is kept then; None if
        it has no longest runtime, or an expression gives it.
    :param jobs: how many such jobs the step runs at most, retries included; None if that is not known.
    :param parameter: the parameter that gives the type; None if the definition has it.
    """

    step: str
    component: str
    instance_type: str | None
    instance_count: int | None
    max_seconds: float | None
    jobs: int | None = 1
    parameter: str | None = None

    @property
    def max_instance_seconds(self) -> float | None:
        """The most that it can bill; None if that is not known."""
        if self.max_seconds is None or self.instance_count is None or self.jobs is None:
            return None
        return self.max_seconds * self.instance_count * self.jobs


def step_instances(
    definition: Mapping[str, Any], values: Mapping[str, object] | None = None
) -> list[StepInstances]:
    """Return what the jobs of a definition run on, in the order of its steps.

    :param definition: the definition as parsed JSON, with placeholders or filled.
    :param values: the values of parameters; the others have their defaults.
    """
    defaults = {parameter.name: parameter.default for parameter in parameters_of(definition)}
    resolver = _Resolver({**defaults, **(values or {})})
    runs = {
        str(step.get("Name")): _items(step, resolver)
        for step in iter_steps(definition)
        if step.get("Type") == "ForEach"
    }
    return [
        found
        for located in locate_steps(definition)
        for found in _of_step(own_part(located.step), resolver, runs.get(located.parent or "", 1))
    ]


def _items(step: Mapping[str, Any], resolver: _Resolver) -> int | None:
    """Return how often a ForEach step runs its body; None if an expression gives it."""
    items = value_at(step, "Arguments.IterableItems")
    if not isinstance(items, list):
        try:
            items = json.loads(resolver.text(items) or "")
        except ValueError:
            return None
    return len(items) if isinstance(items, list) else None


def uncounted_steps(definition: Mapping[str, Any]) -> dict[str, str]:
    """Return the types of the steps that bill without being counted, by name.

    :param definition: the definition as parsed JSON.
    """
    serverless = {
        step["Name"]: "serverless Training"
        for step in iter_steps(definition)
        if step.get("Type") == "Training" and value_at(step, "Arguments.ServerlessJobConfig") is not None
    }
    return serverless | {
        step["Name"]: step["Type"] for step in iter_steps(definition) if step.get("Type") in UNCOUNTED
    }


def lasting_steps(definition: Mapping[str, Any]) -> dict[str, str]:
    """Return the types of the steps that leave something that bills until it is deleted, by name.

    :param definition: the definition as parsed JSON.
    """
    return {step["Name"]: step["Type"] for step in iter_steps(definition) if step.get("Type") in _LASTING}


class _Resolver:
    """Resolves the expressions that read one parameter.

    :param values: the parameters' values.
    """

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = values

    @staticmethod
    def parameter(value: Any) -> str | None:
        """Return the parameter that a value reads; None if it does not read one."""
        name = str(value.get("Get")) if isinstance(value, Mapping) else ""
        return name.removeprefix("Parameters.") if name.startswith("Parameters.") else None

    def text(self, value: Any) -> str | None:
        if (name := self.parameter(value)) is not None:
            value = self._values.get(name)
        return None if value is None or isinstance(value, Mapping | list) else str(value)

    def number(self, value: Any) -> float | None:
        text = self.text(value)
        try:
            return None if text is None else finite_number(text)
        except ValueError:
            return None


def _of_step(step: Mapping[str, Any], resolver: _Resolver, runs: int | None) -> Iterator[StepInstances]:
    if step.get("Type") not in JOBS:
        return
    arguments = step.get("Arguments", {})
    jobs = _product(runs, _attempts(step))
    if step["Type"] != "Tuning":
        yield from _of_job(step, arguments, resolver, jobs)
        return
    limits = value_at(arguments, "HyperParameterTuningJobConfig.ResourceLimits.MaxNumberOfTrainingJobs")
    jobs = _product(jobs, resolver.number(limits))
    several = arguments.get("TrainingJobDefinitions")
    if not isinstance(several, list):
        yield from _of_job(step, arguments.get("TrainingJobDefinition"), resolver, jobs)
        return
    # Which of them a training job is from, the tuning job decides.
    found = [each for definition in several for each in _of_job(step, definition, resolver, jobs)]
    longest = [each.max_seconds for each in found if each.max_seconds is not None]
    # One that has several groups of instances has another number than each of them.
    counts = {each.instance_count for each in found} | ({None} if len(found) > len(several) else set())
    if found:
        yield replace(
            found[0],
            instance_type=_single(each.instance_type for each in found),
            instance_count=_single(counts),
            max_seconds=max(longest) if len(longest) == len(found) else None,
        )


def _of_job(
    step: Mapping[str, Any], arguments: Any, resolver: _Resolver, jobs: float | None
) -> Iterator[StepInstances]:
    component, resources, condition = JOBS[step["Type"]]
    # The SDK writes the second form for a tuning job.
    cluster = value_at(arguments, resources) or value_at(arguments, "HyperParameterTuningResourceConfig")
    cluster = cluster or {}
    runtime = _max_seconds(value_at(arguments, condition), resolver) if condition else None
    kept = resolver.number(cluster.get("KeepAlivePeriodInSeconds", 0))
    for group in cluster.get("InstanceGroups") or [cluster]:
        count = resolver.number(group.get("InstanceCount"))
        yield StepInstances(
            step=str(step.get("Name")),
            component=component,
            instance_type=resolver.text(group.get("InstanceType")),
            instance_count=None if count is None else int(count),
            max_seconds=None if runtime is None or kept is None else runtime + kept,
            jobs=None if jobs is None else int(jobs),
            parameter=resolver.parameter(group.get("InstanceType")),
        )


def _single(values: Iterable[T]) -> T | None:
    """Return the value that all are; None if they differ."""
    found = set(values)
    return found.pop() if len(found) == 1 else None


def _product(*factors: float | None) -> float | None:
    """Return the product, None if a factor is unknown."""
    known = [factor for factor in factors if factor is not None]
    return prod(known) if len(known) == len(factors) else None


def _attempts(step: Mapping[str, Any]) -> int | None:
    """Return how many jobs the retry policies of a step allow; None if only time limits them.

    https://docs.aws.amazon.com/sagemaker/latest/dg/pipelines-retry-policy.html
    """
    limits = [
        # Without a limit of either kind, SageMaker retries five times.
        policy.get("MaxAttempts", None if "ExpireAfterMin" in policy else 5)
        for policy in step.get("RetryPolicies") or ()
        # The other types are about a job that could not be created, which bills nothing.
        if any(str(kind).startswith("SageMaker.") for kind in policy.get("ExceptionType", ()))
    ]
    return None if None in limits else 1 + sum(limits)


def _max_seconds(condition: Any, resolver: _Resolver) -> float | None:
    if not isinstance(condition, Mapping) or "MaxRuntimeInSeconds" not in condition:
        return DEFAULT_MAX_SECONDS
    return resolver.number(condition["MaxRuntimeInSeconds"])
