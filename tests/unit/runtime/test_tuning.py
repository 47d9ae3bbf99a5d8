"""What a tuning job tries, how it counts, and when it ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagemaker_local_runtime.exceptions import AwsError, ResourceLimitError, ValidationError
from sagemaker_local_runtime.tuning import tuner
from sagemaker_local_runtime.tuning.plan import Plan
from sagemaker_local_runtime.tuning.ranges import Choice, Interval, Range, ranges_of
from sagemaker_local_runtime.tuning.strategies import BayesianSearch, RandomSearch
from sagemaker_local_runtime.tuning.summaries import best, counters, summary
from sagemaker_local_runtime.tuning.tuner import Result, Tuner
from sagemaker_local_runtime.validation import validate
from tests.waiting import GENEROUS_SECONDS

RATE = {"Name": "rate", "MinValue": "0.001", "MaxValue": "1"}
DEPTH = {"Name": "depth", "MinValue": "1", "MaxValue": "6"}
BOOSTER = {"Name": "booster", "Values": ["gbtree", "dart"]}
RANGES = {
    "ContinuousParameterRanges": [RATE],
    "IntegerParameterRanges": [DEPTH],
    "CategoricalParameterRanges": [BOOSTER],
}


def request(ranges: Mapping[str, Any] = RANGES, *, limits: Any = None, **config: Any) -> dict[str, Any]:
    return {
        "HyperParameterTuningJobConfig": {
            "Strategy": "Random",
            "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "loss"},
            "ResourceLimits": {"MaxNumberOfTrainingJobs": 8, "MaxParallelTrainingJobs": 1, **(limits or {})},
            "ParameterRanges": ranges,
            **config,
        },
        "TrainingJobDefinition": {"StaticHyperParameters": {"epochs": "3"}, "ResourceConfig": {}},
    }


def interval(low: float, high: float, scaling: str = "Linear", *, whole: bool = False) -> Interval:
    return Interval("x", low, high, scaling, whole)


@pytest.mark.parametrize(
    ("item", "values"),
    [
        (interval(0, 10), ["0.0", "5.0", "10.0"]),
        (interval(1, 100, "Logarithmic"), ["1.0", "10.0", "100.0"]),
        (interval(0, 0.99, "ReverseLogarithmic"), ["0.0", "0.9", "0.99"]),
        (interval(1, 4, whole=True), ["1", "3", "4"]),
        (interval(1, 100, "Logarithmic", whole=True), ["1", "10", "100"]),
        (interval(3, 3, whole=True), ["3", "3", "3"]),
        (Choice("x", ("a", "b")), ["a", "b", "b"]),
    ],
)
def test_a_share_of_a_range_is_a_value_in_its_scale(item: Any, values: list[str]) -> None:
    found = [item.at(share) for share in (0.0, 0.5, 1.0)]
    if "." in values[0]:
        assert [float(value) for value in found] == pytest.approx([float(value) for value in values])
    else:
        assert found == values


def test_auto_is_logarithmic_where_the_ends_differ_by_orders_of_magnitude() -> None:
    rate, depth = ranges_of({"ContinuousParameterRanges": [RATE], "IntegerParameterRanges": [DEPTH]})[::-1]
    assert isinstance(rate, Interval)
    assert isinstance(depth, Interval)
    assert (rate.scaling, depth.scaling) == ("Logarithmic", "Linear")


@pytest.mark.parametrize(
    ("ranges", "message"),
    [
        ({}, "has 0 ranges; expected 1 to 30"),
        ({"ContinuousParameterRanges": [RATE], "IntegerParameterRanges": [RATE | DEPTH, DEPTH]}, "depth"),
        ({"IntegerParameterRanges": [DEPTH | {"MinValue": "9"}]}, "MinValue 9 and MaxValue 6"),
        ({"IntegerParameterRanges": [DEPTH | {"MinValue": "1.5"}]}, "'1.5'; expected a whole number"),
        ({"ContinuousParameterRanges": [RATE | {"MaxValue": "nan"}]}, "'nan'; expected a finite number"),
        ({"IntegerParameterRanges": [DEPTH | {"MaxValue": "9" * 400}]}, "expected a whole number"),
        (
            {"ContinuousParameterRanges": [RATE | {"MinValue": "0", "ScalingType": "Logarithmic"}]},
            "logarithmic scaling needs values above 0",
        ),
        (
            {"ContinuousParameterRanges": [RATE | {"ScalingType": "ReverseLogarithmic"}]},
            "from 0 up to but not including 1",
        ),
    ],
)
def test_what_is_not_a_range_is_refused(ranges: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ranges_of(ranges)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"Strategy": "Hyperband"}, "does not support the strategy 'Hyperband'"),
        ({"TrainingJobEarlyStoppingType": "Auto"}, "does not support TrainingJobEarlyStoppingType 'Auto'"),
        ({"HyperParameterTuningJobObjective": None}, "has no objective metric"),
        ({"Strategy": "Grid"}, "needs categorical ranges; depth, rate has numbers"),
        ({"ResourceLimits": {"MaxParallelTrainingJobs": 1}}, "has no MaxNumberOfTrainingJobs"),
        (
            {"Strategy": "Grid", "ParameterRanges": {"CategoricalParameterRanges": [BOOSTER]}},
            "MaxNumberOfTrainingJobs is 8, but the grid has 2 combinations",
        ),
        (
            {"TuningJobCompletionCriteria": {"ConvergenceDetected": {"CompleteOnConvergence": "Enabled"}}},
            "does not support ConvergenceDetected",
        ),
        (
            {"ParameterRanges": {"IntegerParameterRanges": [DEPTH | {"Name": "epochs"}]}},
            "StaticHyperParameters and ParameterRanges both have epochs",
        ),
    ],
)
def test_what_cannot_be_tuned_is_refused_by_name(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Plan.of(request(**changes))


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"MaxParallelTrainingJobs": 101}, "The MaxParallelTrainingJobs is 101; SageMaker allows 100"),
        ({"MaxNumberOfTrainingJobs": 10_001}, "The MaxNumberOfTrainingJobs is 10001; SageMaker allows 10000"),
    ],
)
def test_the_limits_of_sagemaker_are_kept(limits: dict[str, int], message: str) -> None:
    with pytest.raises(ResourceLimitError, match=message):
        Plan.of(request(limits=limits))


def test_a_grid_that_is_too_large_is_refused() -> None:
    ranges = [{"Name": name, "Values": list("0123456789")} for name in ("a", "b", "c")]
    changes = {"Strategy": "Grid", "ResourceLimits": {"MaxParallelTrainingJobs": 1}}
    with pytest.raises(ResourceLimitError, match="number of combinations of the grid is 1000"):
        Plan.of(request({"CategoricalParameterRanges": ranges}, **changes))


@pytest.mark.parametrize("member", ["WarmStartConfig", "Autotune", "TrainingJobDefinitions"])
def test_members_that_are_not_supported_are_refused_by_name(member: str) -> None:
    with pytest.raises(ValidationError, match=f"does not support {member} of a tuning job"):
        Plan.of(request() | {member: {}})


def test_a_training_job_gets_both_kinds_of_hyperparameters_and_its_own_checkpoints() -> None:
    document = request()
    document["TrainingJobDefinition"] |= {"CheckpointConfig": {"S3Uri": "s3://b/c/"}}
    made = Plan.of(document).training_request("job-1", {"rate": "0.5"})
    assert made["HyperParameters"] == {"epochs": "3", "rate": "0.5", "_tuning_objective_metric": "loss"}
    assert made["CheckpointConfig"]["S3Uri"] == "s3://b/c/job-1"


def test_a_flexible_instance_type_is_the_first_one() -> None:
    document = request()
    configs = [{"InstanceType": kind, "InstanceCount": 1, "VolumeSizeInGB": 1} for kind in ("ml.a", "ml.b")]
    document["TrainingJobDefinition"] = {"HyperParameterTuningResourceConfig": {"InstanceConfigs": configs}}
    assert Plan.of(document).training_request("job-1", {})["ResourceConfig"]["InstanceType"] == "ml.a"
    with pytest.raises(ValidationError, match="has no ResourceConfig"):
        Plan.of(request() | {"TrainingJobDefinition": {}}).training_request("job-1", {})


@given(
    bounds=st.lists(st.floats(-1.7e308, 1.7e308) | st.floats(0, 0.99), min_size=2, max_size=2).map(sorted),
    scaling=st.sampled_from(["Auto", "Linear", "Logarithmic", "ReverseLogarithmic"]),
    whole=st.booleans(),
    share=st.floats(0, 1),
)
def test_every_value_lies_in_its_range(bounds: list[float], scaling: str, whole: bool, share: float) -> None:
    ends = [str(int(end)) if whole else repr(end) for end in bounds]
    item = {"Name": "x", "MinValue": ends[0], "MaxValue": ends[1], "ScalingType": scaling}
    kind = "IntegerParameterRanges" if whole else "ContinuousParameterRanges"
    try:
        (found,) = ranges_of({kind: [item]})
    except ValidationError:
        assert scaling in ("Logarithmic", "ReverseLogarithmic")
        return
    assert float(ends[0]) <= float(found.at(share)) <= float(ends[1])


leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)


@given(
    path=st.sampled_from(
        [
            ("HyperParameterTuningJobConfig", "Strategy"),
            ("HyperParameterTuningJobConfig", "ParameterRanges"),
            ("HyperParameterTuningJobConfig", "ResourceLimits"),
            ("HyperParameterTuningJobConfig", "HyperParameterTuningJobObjective"),
            ("HyperParameterTuningJobConfig", "TuningJobCompletionCriteria"),
            ("TrainingJobDefinition", "HyperParameterRanges"),
            ("TrainingJobDefinition", "HyperParameterTuningResourceConfig"),
            ("TrainingJobDefinition", "CheckpointConfig"),
        ]
    ),
    value=leaves | st.lists(leaves, max_size=2) | st.dictionaries(st.text(max_size=8), leaves, max_size=2),
)
def test_no_request_breaks_the_plan(path: tuple[str, str], value: Any) -> None:
    document = {"HyperParameterTuningJobName": "x", **request()}
    document["TrainingJobDefinition"] |= {
        "RoleArn": "arn:aws:iam::123456789012:role/r",
        "AlgorithmSpecification": {"TrainingInputMode": "File", "TrainingImage": "image"},
        "OutputDataConfig": {"S3OutputPath": "s3://b/k"},
        "StoppingCondition": {},
    }
    document[path[0]] = {**document[path[0]], path[1]: value}
    try:
        plan = Plan.of(validate("CreateHyperParameterTuningJob", document))
        assert plan.training_request("job", {})["TrainingJobName"] == "job"
    except AwsError:
        return


def test_a_seed_gives_the_same_combinations_again() -> None:
    ranges = ranges_of(RANGES)
    made = [[RandomSearch(ranges, seed).ask().values for _ in range(2)] for seed in (7, 7, 8)]
    assert made[0] == made[1] != made[2]


def loss(values: Mapping[str, str]) -> float:
    return (float(values["rate"]) - 0.3) ** 2 + (values["booster"] == "dart")


def tried(search: Any, count: int) -> list[float]:
    found = []
    for _ in range(count):
        suggestion = search.ask()
        found.append(loss(suggestion.values))
        search.tell(suggestion, found[-1])
    return found


def test_the_bayesian_search_learns_and_is_seeded() -> None:
    linear: list[Range] = [
        Interval("rate", 0, 1, "Linear", whole=False),
        Choice("booster", ("gbtree", "dart")),
    ]
    bayesian, again, other = (
        tried(BayesianSearch(linear, seed, limit=30, minimize=True), 30) for seed in (3, 3, 4)
    )
    assert bayesian == again != other
    # What it tries late is better than what it has tried at random.
    assert sum(bayesian[20:]) < sum(bayesian[:10]) / 4


def test_the_bayesian_search_goes_on_after_a_training_job_without_a_metric() -> None:
    search = BayesianSearch(ranges_of(RANGES), 1, limit=4, minimize=False)
    search.tell(search.ask(), None)
    assert set(search.ask().values) == {"rate", "depth", "booster"}


def test_without_optuna_the_bayesian_strategy_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    with pytest.raises(ValidationError, match=r"pip install .*\[tuning\]"):
        Plan.of(request(Strategy="Bayesian")).search()


class Losses:
    """Training jobs whose results are given; a suggestion without one is an error."""

    def __init__(self, *results: Result) -> None:
        self.results = list(results)
        self.values: list[Mapping[str, str]] = []

    def train(self, number: int, values: Mapping[str, str], halt: threading.Event) -> Result:
        self.values.append(values)
        return self.results[number - 1]


def good(value: float) -> Result:
    return Result(completed=True, value=value)


BROKEN = Result(completed=False, value=None)
SILENT = Result(completed=True, value=None)


def tune(losses: Losses, changes: Callable[[Plan], Plan] = lambda plan: plan) -> str | None:
    plan = changes(Plan.of(request()))
    return Tuner(plan, plan.search(), losses.train).run()


def test_it_starts_as_many_training_jobs_as_allowed() -> None:
    losses = Losses(*[good(1.0)] * 20)
    assert tune(losses) is None
    assert len(losses.values) == 8


def test_a_grid_is_tried_once() -> None:
    plan = Plan.of(
        request(
            {"CategoricalParameterRanges": [BOOSTER, {"Name": "size", "Values": ["1", "2", "3"]}]},
            Strategy="Grid",
            ResourceLimits={"MaxParallelTrainingJobs": 1},
        )
    )
    losses = Losses(*[good(1.0)] * 20)
    assert Tuner(plan, plan.search(), losses.train).run() is None
    assert len({tuple(values.items()) for values in losses.values}) == len(losses.values) == 6


def test_it_fails_after_five_training_jobs_without_a_success() -> None:
    losses = Losses(*[BROKEN] * 8)
    assert tune(losses) == (
        "No training job succeeded after 5 attempts. Please take a look at the training job failures to get "
        "more details."
    )
    assert len(losses.values) == 5
    assert "No objective metrics found after running 5 training jobs" in str(tune(Losses(*[SILENT] * 8)))


def test_it_goes_on_after_failures_if_one_succeeded() -> None:
    losses = Losses(good(1.0), *[BROKEN] * 8)
    assert tune(losses) is None
    assert len(losses.values) == 8


def test_it_ends_when_the_metric_is_good_enough() -> None:
    losses = Losses(good(3.0), good(2.0), good(1.0), *[good(0.5)] * 8)
    assert tune(losses, lambda plan: replace(plan, target=1.0)) is None
    assert len(losses.values) == 3


def test_it_ends_when_the_metric_no_longer_improves() -> None:
    losses = Losses(good(3.0), good(2.0), *[good(2.5)] * 8)
    assert tune(losses, lambda plan: replace(plan, patience=3)) is None
    assert len(losses.values) == 5


def test_it_ends_when_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = threading.Event()

    def train(number: int, values: Mapping[str, str], halt: threading.Event) -> Result:
        if number > 1:
            begun.set()
            assert halt.wait(GENEROUS_SECONDS)
            return BROKEN
        return good(1.0)

    def monotonic() -> float:
        assert begun.wait(GENEROUS_SECONDS)
        return time.monotonic()

    monkeypatch.setattr(tuner, "time", SimpleNamespace(monotonic=monotonic))
    plan = replace(Plan.of(request()), max_seconds=0.2, parallel=2)
    assert Tuner(plan, plan.search(), train).run() is None


def test_a_training_job_that_cannot_be_started_ends_it() -> None:
    def train(number: int, values: Mapping[str, str], halt: threading.Event) -> Result:
        raise ValidationError("the data are gone")

    plan = Plan.of(request())
    with pytest.raises(ValidationError, match="the data are gone"):
        Tuner(plan, plan.search(), train).run()


def job(name: str, status: str, value: float | None = None, reason: str | None = None) -> dict[str, Any]:
    metrics = [] if value is None else [{"MetricName": "loss", "Value": value}]
    described: dict[str, Any] = {
        "TrainingJobName": name,
        "TrainingJobStatus": status,
        "FinalMetricDataList": metrics,
    }
    described |= {"HyperParameters": {"rate": "1", "epochs": "3"}}
    described |= {"FailureReason": reason} if reason else {}
    return summary(described, tuning_job="tune", metric="loss", names=["rate"])


def test_the_counters_and_the_best_training_job() -> None:
    jobs = [
        job("a", "Completed", 2.0),
        job("b", "Completed", 1.0),
        job("c", "Completed"),
        job("d", "Failed", 0.1, "AlgorithmError: no"),
        job("e", "Failed", None, "InternalServerError: no"),
        job("f", "InProgress"),
        job("g", "Stopping"),
        job("h", "Stopped", 0.2),
    ]
    assert counters(jobs) == {
        "TrainingJobStatusCounters": {
            "Completed": 3,
            "InProgress": 2,
            "RetryableError": 1,
            "NonRetryableError": 1,
            "Stopped": 1,
        },
        "ObjectiveStatusCounters": {"Succeeded": 3, "Pending": 2, "Failed": 3},
    }
    chosen = best(jobs, minimize=True)
    assert chosen is not None
    assert (chosen["TrainingJobName"], chosen["TunedHyperParameters"]) == ("b", {"rate": "1"})
    assert best(jobs[2:], minimize=True) is None
