"""What a smoke run will create, and the most that it can bill."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sagemaker_pipelines.aws.prices import Prices
from sagemaker_pipelines.aws.steps import money
from sagemaker_pipelines.cli.smoke.place import Place
from sagemaker_pipelines.cli.smoke.stages import MAX_JOBS
from sagemaker_pipelines.definition import check_parameters
from sagemaker_pipelines.definition.instances import StepInstances, step_instances


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run will do.

    :param parameters: the checked values of the pipeline's parameters.
    :param bound: the most that it can bill, instance-seconds.
    :param text: the plan for the person who has to agree.
    """

    parameters: Mapping[str, str]
    bound: float
    text: str


def plan_of(place: Place, parameters: Mapping[str, str]) -> Plan:
    """Return the plan of a run.

    :param place: where it will work.
    :param parameters: values of the pipeline's parameters; the others have their defaults.
    :raises ParameterError: a value does not fit.
    :raises SettingsError: the file of prices is malformed.
    """
    values = check_parameters(place.envelope.parameters, parameters)
    (job,) = step_instances(place.envelope.definition, values)
    bound = MAX_JOBS * (job.max_instance_seconds or 0.0)
    return Plan(parameters=values, bound=bound, text="\n".join(_lines(place, job, bound)))


def _lines(place: Place, job: StepInstances, bound: float) -> list[str]:
    topic = place.client.settings.notification_target
    price = Prices.load(place.client.settings.prices_file).find(
        place.client.region, str(job.instance_type), job.component
    )
    cost = "at an unknown price" if price is None else f"at most {money(price.of(bound), price.currency)}"
    return [
        f"This creates in {place.client.region}, and removes at its end:",
        f"  the pipeline {place.name} with two executions",
        f"  up to {MAX_JOBS} processing jobs of {job.instance_count} x {job.instance_type}, and their logs",
        f"  one model package in the group {place.name}",
        f"  objects below s3://{place.bucket}/{place.prefix}",
        *([f"  one message to {topic}, which is not taken back"] if topic else []),
        f"It bills at most {bound:.0f} instance-seconds ({cost}), usually one job of about a minute.",
    ]
