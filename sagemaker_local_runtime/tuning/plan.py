"""What a CreateHyperParameterTuningJob request asks for, and what of it the local runtime refuses.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateHyperParameterTuningJob.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from sagemaker_local_runtime.exceptions import ResourceLimitError, ValidationError
from sagemaker_local_runtime.tuning.ranges import Range, ranges_of
from sagemaker_local_runtime.tuning.strategies import Search, grid_size, search
from sagemaker_local_runtime.validation import Check

# https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-limits.html
_MAX_PARALLEL = 100
_MAX_JOBS = {"Bayesian": 750, "Grid": 750, "Random": 10_000}
#: Tells the algorithm which metric is tuned; SageMaker sets it.
OBJECTIVE = "_tuning_objective_metric"
# What a training job of a tuning job takes from its definition as it is.
_TRAINING = (
    "AlgorithmSpecification",
    "RoleArn",
    "InputDataConfig",
    "VpcConfig",
    "OutputDataConfig",
    "ResourceConfig",
    "StoppingCondition",
    "EnableNetworkIsolation",
    "EnableInterContainerTrafficEncryption",
    "EnableManagedSpotTraining",
    "CheckpointConfig",
    "RetryStrategy",
    "Environment",
)


@dataclass(frozen=True)
class Plan:
    """What a tuning job does.

    :param definition: its ``TrainingJobDefinition``.
    :param ranges: what it searches.
    :param strategy: ``Random``, ``Grid`` or ``Bayesian``.
    :param seed: the ``RandomSeed``.
    :param metric: the name of the objective metric.
    :param minimize: whether a smaller metric is better.
    :param limit: how many training jobs it starts at the most.
    :param parallel: how many of them run at the same time.
    :param max_seconds: how long it may run.
    :param target: the value of the metric that is good enough.
    :param patience: after how many training jobs without an improvement it ends.
    """

    definition: Mapping[str, Any]
    ranges: list[Range]
    strategy: str
    seed: int | None
    metric: str
    minimize: bool
    limit: int
    parallel: int
    max_seconds: float | None
    target: float | None
    patience: int | None

    @classmethod
    def of(cls, request: Mapping[str, Any]) -> Plan:
        """Read a request.

        :raises AwsError: AWS or this runtime refuses it.
        """
        for check in checks(request):
            check()
        config, definition = request["HyperParameterTuningJobConfig"], request["TrainingJobDefinition"]
        limits, objective = config["ResourceLimits"], _objective(request)
        criteria = config.get("TuningJobCompletionCriteria", {})
        return cls(
            definition=definition,
            ranges=_ranges(request),
            strategy=config["Strategy"],
            seed=config.get("RandomSeed"),
            metric=objective["MetricName"],
            minimize=objective["Type"] == "Minimize",
            limit=_limit(request),
            parallel=_parallel(request),
            max_seconds=limits.get("MaxRuntimeInSeconds"),
            target=criteria.get("TargetObjectiveMetricValue"),
            patience=criteria.get("BestObjectiveNotImproving", {}).get("MaxNumberOfTrainingJobsNotImproving"),
        )

    def search(self) -> Search:
        """Return a new search.

        :raises ValidationError: the strategy needs what is not installed.
        """
        return search(self.strategy, self.ranges, seed=self.seed, limit=self.limit, minimize=self.minimize)

    def training_request(self, name: str, values: Mapping[str, str]) -> dict[str, Any]:
        """Return the CreateTrainingJob request of one training job.

        :param name: the training job's name.
        :param values: the hyperparameters that it tries.
        """
        request = {key: self.definition[key] for key in _TRAINING if key in self.definition}
        static = self.definition.get("StaticHyperParameters", {})
        request |= {
            "TrainingJobName": name,
            "HyperParameters": {**static, **values, OBJECTIVE: self.metric},
        }
        checkpoints = request.get("CheckpointConfig")
        if checkpoints:
            # One folder for each, since a training job loads what it finds there.
            uri = f"{checkpoints['S3Uri'].rstrip('/')}/{name}"
            request["CheckpointConfig"] = {**checkpoints, "S3Uri": uri}
        if "ResourceConfig" not in request:
            request["ResourceConfig"] = _resources(self.definition)
        return request

    def better(self, value: float, than: float | None) -> bool:
        """Return whether a value of the metric is better than another, or than none."""
        return than is None or (value < than if self.minimize else value > than)


def checks(request: Mapping[str, Any]) -> Iterator[Check]:
    """Yield the checks of a request, each of which relies on those before it.

    They need nothing but the request; a pipeline is checked with them, too.
    """
    for check in (_refuse_unsupported, _check_definition, _ranges, _objective, _limit, _parallel):
        yield partial(check, request)


def _refuse_unsupported(request: Mapping[str, Any]) -> None:
    config = request["HyperParameterTuningJobConfig"]
    convergence = config.get("TuningJobCompletionCriteria", {}).get("ConvergenceDetected", {})
    ranges = config.get("ParameterRanges", {})
    refused = {
        "WarmStartConfig": "WarmStartConfig" in request,
        "Autotune": "Autotune" in request or bool(ranges.get("AutoParameters")),
        "TrainingJobDefinitions": "TrainingJobDefinitions" in request,
        "the strategy 'Hyperband'": config["Strategy"] == "Hyperband",
        "TrainingJobEarlyStoppingType 'Auto'": config.get("TrainingJobEarlyStoppingType") == "Auto",
        "ConvergenceDetected": convergence.get("CompleteOnConvergence") == "Enabled",
    }
    found = [name for name, is_used in refused.items() if is_used]
    if found:
        raise ValidationError(
            f"The local runtime does not support {', '.join(found)} of a tuning job. Remove it: what is "
            "supported is one TrainingJobDefinition and the strategies Random, Grid and Bayesian."
        )


def _check_definition(request: Mapping[str, Any]) -> None:
    if "TrainingJobDefinition" not in request:
        raise ValidationError("The tuning job has no TrainingJobDefinition. Add it.")


def _ranges(request: Mapping[str, Any]) -> list[Range]:
    config, definition = request["HyperParameterTuningJobConfig"], request["TrainingJobDefinition"]
    found = ranges_of(config.get("ParameterRanges") or definition.get("HyperParameterRanges") or {})
    both = sorted({item.name for item in found} & definition.get("StaticHyperParameters", {}).keys())
    if both:
        raise ValidationError(
            f"StaticHyperParameters and ParameterRanges both have {', '.join(both)}. Remove it from one."
        )
    return found


def _objective(request: Mapping[str, Any]) -> Mapping[str, Any]:
    config, definition = request["HyperParameterTuningJobConfig"], request["TrainingJobDefinition"]
    found: Mapping[str, Any] | None = config.get("HyperParameterTuningJobObjective") or definition.get(
        "TuningObjective"
    )
    if not found:
        raise ValidationError(
            "The tuning job has no objective metric. Add HyperParameterTuningJobObjective to its config."
        )
    return found


def _limit(request: Mapping[str, Any]) -> int:
    config = request["HyperParameterTuningJobConfig"]
    strategy, given = config["Strategy"], config["ResourceLimits"].get("MaxNumberOfTrainingJobs")
    if strategy == "Grid":
        size = grid_size(_ranges(request))
        if given not in (None, size):
            raise ValidationError(
                f"MaxNumberOfTrainingJobs is {given}, but the grid has {size} combinations. Remove it, or "
                f"make it {size}."
            )
        return _within("number of combinations of the grid", size, _MAX_JOBS[strategy])
    if given is None:
        raise ValidationError(
            f"ResourceLimits has no MaxNumberOfTrainingJobs, which the strategy {strategy!r} needs. Add it."
        )
    return _within("MaxNumberOfTrainingJobs", given, _MAX_JOBS[strategy])


def _parallel(request: Mapping[str, Any]) -> int:
    limits = request["HyperParameterTuningJobConfig"]["ResourceLimits"]
    return _within("MaxParallelTrainingJobs", limits["MaxParallelTrainingJobs"], _MAX_PARALLEL)


def _within(what: str, value: int, limit: int) -> int:
    if value > limit:
        raise ResourceLimitError(
            f"The {what} is {value}; SageMaker allows {limit} for a tuning job. Reduce it."
        )
    return value


def _resources(definition: Mapping[str, Any]) -> dict[str, Any]:
    """Return the resources of a training job; of several, the first, since they are tried in this order.

    :raises ValidationError: the definition has none.
    """
    config = definition.get("HyperParameterTuningResourceConfig")
    if not config:
        raise ValidationError("The TrainingJobDefinition has no ResourceConfig. Add it.")
    found = {key: config[key] for key in ("InstanceType", "InstanceCount", "VolumeSizeInGB") if key in config}
    return found or dict(config.get("InstanceConfigs", [{}])[0])
