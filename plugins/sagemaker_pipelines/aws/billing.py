"""Compute what the jobs of an execution bill, and what this costs where prices are known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from sagemaker_pipelines.aws.client import SageMakerClient
from sagemaker_pipelines.aws.job_data import job_data
from sagemaker_pipelines.aws.jobs import billed_seconds, cluster_of, described_job, has_job
from sagemaker_pipelines.aws.prices import Prices
from sagemaker_pipelines.aws.steps import Bill, Step, money
from sagemaker_pipelines.definition.instances import JOBS, UNCOUNTED
from sagemaker_pipelines.exceptions import SettingsError

#: By step and job, instance-seconds.
Earlier = Mapping[str, Mapping[str, float]]
_NOTHING: Earlier = MappingProxyType({})


def with_bills(
    client: SageMakerClient,
    execution: Mapping[str, Any],
    steps: Iterable[Step],
    earlier: Earlier = _NOTHING,
) -> list[Step]:
    """Return the steps, each one that has a job with what the job bills, reads and writes.

    SageMaker reports the billable time of a training job; a processing or transform job bills from its start
    to its end, or until now. A tuning job bills what its training jobs bill. Jobs that failed or were stopped
    bill, too. A step whose job comes from another execution, through the cache or a selective execution,
    bills nothing. SageMaker names only the last job of a step; what its earlier attempts billed is at most
    the time until that job was created.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeTrainingJob.html

    :param client: calls AWS, to describe each job.
    :param execution: DescribePipelineExecution's answer.
    :param steps: the execution's steps.
    :param earlier: what :func:`billed_jobs` returned before the execution was last resumed.
    """
    prices = readable_prices(client)
    found = []
    for step in steps:
        if has_job(step):
            job = described_job(client, step)
            inputs, outputs = job_data(job)
            bill = bill_of(client.region, prices, execution["CreationTime"], step, job, earlier)
            step = replace(step, bill=bill, inputs=inputs, outputs=outputs)
        found.append(step)
    return found


def readable_prices(client: SageMakerClient) -> Prices:
    """Return the known prices; none, with an error in the log, if their file is malformed.

    :param client: its settings name the file.
    """
    try:
        return Prices.load(client.settings.prices_file)
    except SettingsError as error:
        # The jobs run, or have run: their instance-seconds are worth telling without prices, too.
        client.log.error("%s", error)  # noqa: TRY400 - expected
        return Prices()


def billed_jobs(
    client: SageMakerClient, pipeline_execution_arn: str, steps: Iterable[Step], earlier: Earlier
) -> dict[str, dict[str, float]]:
    """Return what the jobs of an execution have billed that is about to be resumed, by step and job.

    A resume begins the steps anew that did not succeed, and SageMaker then names only their new jobs.

    :param client: describes the jobs.
    :param pipeline_execution_arn: the execution.
    :param steps: its steps.
    :param earlier: what this returned before the previous resume.
    """
    known = {name: dict(jobs) for name, jobs in earlier.items()}
    try:
        billed = with_bills(client, client.describe_execution(pipeline_execution_arn), steps)
    except (ClientError, BotoCoreError, KeyError) as error:
        client.log.warning("What %s billed before its resume is unknown: %s", pipeline_execution_arn, error)
        return known
    for step in billed:
        bill = step.bill
        if bill is not None and (seconds := bill.instance_seconds + bill.earlier_instance_seconds):
            known.setdefault(step.name, {})[str(step.job_name)] = seconds
    return known


def bill_of(
    region: str,
    prices: Prices,
    began: datetime,
    step: Step,
    job: Mapping[str, Any],
    earlier: Earlier = _NOTHING,
) -> Bill:
    """Return what the job of a step bills.

    :param region: the region of its price.
    :param prices: the known prices.
    :param began: when the execution was created.
    :param step: a step with a job.
    :param job: the answer of the job's Describe operation.
    :param earlier: see :func:`with_bills`.
    """
    instance, count = cluster_of(step, job)
    seconds, source = billed_seconds(job)
    trained = float(job.get("TrainingTimeInSeconds") or 0)
    saving = 1 - seconds / trained if trained and source == "BillableTimeInSeconds" else 0.0
    saved = trained * saving * count if saving > 0 else 0.0
    created = job.get("CreationTime")
    if step.is_cache_hit or (created is not None and created < began):
        saved, saving = (seconds * count if step.is_cache_hit else 0.0), 0.0
        seconds, source = 0.0, "cache hit" if step.is_cache_hit else "of another execution"
    price = prices.find(region, instance, JOBS[str(step.type)][0])
    return Bill(
        instance_type=instance,
        instance_count=count,
        seconds=seconds,
        source=source,
        saving=saving,
        saved_instance_seconds=round(saved, 3),
        earlier_instance_seconds=_earlier(step, created) * count + _before_resume(step, earlier),
        **({} if price is None else price.as_bill()),
    )


@dataclass(frozen=True, kw_only=True)
class Total:
    """What the jobs of steps bill together.

    :param instance_seconds: the sum of their instance-seconds.
    :param instance_seconds_upper_bound: the same with the most that earlier attempts billed.
    :param saved_instance_seconds: what spot training and the cache saved.
    :param cost: what they cost; None if a price is unknown.
    :param cost_upper_bound: the same with earlier attempts.
    :param currency: the currency; None if a price is unknown.
    :param price_date: the day of the oldest price.
    :param unpriced: what has no price: instances such as ``ml.m5.xlarge for Training``, and steps whose jobs
        are not counted.
    """

    instance_seconds: float
    instance_seconds_upper_bound: float
    saved_instance_seconds: float
    cost: float | None
    cost_upper_bound: float | None
    currency: str | None
    price_date: str | None
    unpriced: tuple[str, ...]

    @classmethod
    def of(cls, steps: Iterable[Step]) -> Total:
        """Return the total of the steps of an execution, with their bills."""
        steps = list(steps)
        bills = [(step, step.bill) for step in steps if step.bill is not None]
        seconds = round(sum(bill.instance_seconds for _, bill in bills), 3)
        earlier = sum(bill.earlier_instance_seconds for _, bill in bills)
        paid = [
            (step, bill) for step, bill in bills if bill.instance_seconds or bill.earlier_instance_seconds
        ]
        unpriced = {
            f"{bill.instance_type} for {JOBS[str(step.type)][0]}"
            for step, bill in paid
            if bill.currency is None
        } | {f"the {step.type} step {step.name}" for step in steps if step.type in UNCOUNTED}
        currencies = {bill.currency for _, bill in paid if bill.currency}
        known = not unpriced and len(currencies) <= 1
        costs = [(bill.cost or 0.0, bill.cost_of(bill.earlier_instance_seconds) or 0.0) for _, bill in paid]
        return cls(
            instance_seconds=seconds,
            instance_seconds_upper_bound=round(seconds + earlier, 3),
            saved_instance_seconds=round(sum(bill.saved_instance_seconds for _, bill in bills), 3),
            cost=round(sum(cost for cost, _ in costs), 6) if known else None,
            cost_upper_bound=round(sum(map(sum, costs)), 6) if known else None,
            currency=next(iter(currencies), None) if known else None,
            price_date=min((bill.price_date for _, bill in paid if bill.price_date), default=None),
            unpriced=tuple(sorted(unpriced)),
        )

    def __str__(self) -> str:
        text = str(billed_text(asdict(self)))
        if self.unpriced:
            return f"{text}: no price of {', '.join(self.unpriced)}"
        return text if self.cost is not None else f"{text}: the prices have several currencies"


def billed_text(record: Mapping[str, Any]) -> str | None:
    """Return what an execution bills and costs, for people; None if that is not known.

    :param record: the record of the execution, or a total, as JSON types.
    """
    seconds = record.get("instance_seconds")
    if seconds is None:
        return None
    text = f"{seconds:.0f} instance-seconds"
    bound, saved = record.get("instance_seconds_upper_bound") or 0, record.get("saved_instance_seconds")
    if bound > seconds:
        text += f" (at most {bound:.0f} with earlier attempts)"
    if saved:
        text += f", {saved:.0f} saved by spot or the cache"
    if (cost := money(record.get("cost"), currency := record.get("currency"))) is not None and currency:
        return f"{text}, {cost} by the prices of {record['price_date']}"
    return text if bound == seconds == 0 == record.get("cost", 0) else f"{text}, cost unknown"


def _before_resume(step: Step, earlier: Earlier) -> float:
    jobs = earlier.get(step.name, {})
    return sum(seconds for job, seconds in jobs.items() if job != step.job_name)


def _earlier(step: Step, created: datetime | None) -> float:
    if step.attempts < 2 or step.started is None or created is None:
        return 0.0
    return round(max(0.0, (created - step.started).total_seconds()), 3)
