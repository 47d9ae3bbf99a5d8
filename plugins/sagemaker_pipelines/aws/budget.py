"""The bounds on what an execution may bill, checked before its start and while it runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Self

from botocore.exceptions import BotoCoreError, ClientError

from sagemaker_pipelines.aws.billing import Earlier, Total, bill_of, readable_prices
from sagemaker_pipelines.aws.client import SageMakerClient
from sagemaker_pipelines.aws.jobs import described_job, has_job
from sagemaker_pipelines.aws.prices import Prices
from sagemaker_pipelines.aws.steps import Bill, Step, money
from sagemaker_pipelines.definition.instances import StepInstances, step_instances, uncounted_steps
from sagemaker_pipelines.exceptions import ParameterError
from sagemaker_pipelines.reading import finite_number
from sagemaker_pipelines.settings import PipelineSettings


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """The most that an execution may bill.

    :param max_instance_seconds: seconds times instances; None for no bound.
    :param max_cost: in the currency of the prices; None for no bound.
    """

    max_instance_seconds: float | None = None
    max_cost: float | None = None

    @classmethod
    def of(cls, settings: PipelineSettings, max_instance_seconds: object, max_cost: object) -> Self:
        """Return the lower one of a task's bounds and the environment's.

        :param settings: the environment.
        :param max_instance_seconds: the task's bound: a number, or text that spells one; None, ``"None"`` and
            an empty text mean no bound.
        :param max_cost: the same for the cost.
        :raises ParameterError: a bound is not a number above 0.
        """
        given = {"max_instance_seconds": max_instance_seconds, "max_cost": max_cost}
        lowest = {
            name: min(
                (b for b in (_positive(name, value), getattr(settings, name)) if b is not None), default=None
            )
            for name, value in given.items()
        }
        return cls(**lowest)

    def __bool__(self) -> bool:
        """Whether there is any bound."""
        return self.max_instance_seconds is not None or self.max_cost is not None


def check_bounds(
    client: SageMakerClient,
    bounds: Bounds,
    definition: Mapping[str, Any],
    values: Mapping[str, object],
    *,
    selected_steps: Iterable[str] | None = None,
) -> None:
    """Refuse bounds that cannot hold: on jobs that are not counted, or on the cost at an unknown price.

    :param client: its settings name the file of prices.
    :param bounds: the bounds.
    :param definition: the definition that will be executed.
    :param values: the parameters that will be sent.
    :param selected_steps: the steps that will run; None runs all.
    :raises ParameterError: a bound cannot hold; the message names the step, or the instance and what set it.
    :raises SettingsError: the file of prices is malformed.
    """
    selected = None if selected_steps is None else set(selected_steps)
    for name, kind in uncounted_steps(definition).items() if bounds else ():
        if selected is None or name in selected:
            raise ParameterError(
                f"max_instance_seconds or max_cost is set, but what the {kind} step {name} bills is not "
                "counted, so the bound would not hold. Leave the bound out of the task and the settings, or "
                "the step out of the definition."
            )
    if bounds.max_cost is not None:
        instances = step_instances(definition, values)
        _check_prices(client, [i for i in instances if selected is None or i.step in selected])


def _check_prices(client: SageMakerClient, instances: Iterable[StepInstances]) -> None:
    prices = Prices.load(client.settings.prices_file)
    types: dict[str, str] = {}
    currencies: dict[str, str] = {}
    for found in instances:
        if found.instance_type is None:
            raise ParameterError(
                f"max_cost is set, but step {found.step} has no single instance type in the definition: an "
                "expression gives it, or the definitions of a tuning job have several. So its price is not "
                "known before the start. Use max_instance_seconds, or give one type, by a parameter if need "
                "be."
            )
        if (other := types.setdefault(found.step, found.instance_type)) != found.instance_type:
            raise ParameterError(
                f"max_cost is set, but step {found.step} uses instances of several types ({other} and "
                f"{found.instance_type}), whose cost is not computed. Use max_instance_seconds, or one type."
            )
        price = prices.find(client.region, found.instance_type, found.component)
        if price is None:
            source = f" (parameter {found.parameter})" if found.parameter else ""
            raise ParameterError(
                f"max_cost is set, but the price of {found.instance_type} for {found.component} in "
                f"{client.region}, which step {found.step} uses{source}, is unknown. Write it into "
                f"{client.settings.prices_file or 'a file that the setting prices_file names'} by hand or "
                "with `sagemaker-pipelines prices update`, or use max_instance_seconds."
            )
        currencies.setdefault(price.currency, f"{found.instance_type} for {found.component}")
    if len(currencies) > 1:
        told = ", ".join(f"{each} in {currency}" for currency, each in currencies.items())
        raise ParameterError(
            f"max_cost is set, but the prices have several currencies ({told}), which cannot be added. Write "
            f"them in one currency into {client.settings.prices_file}, or use max_instance_seconds."
        )


class Budget:
    """Compares what an execution has billed so far with its bounds.

    A job is described until it has started, once after its step has ended, and while a bound seems to be
    passed, so this costs at most a few calls a step, however long it runs.

    :param client: calls AWS.
    :param pipeline_execution_arn: the execution.
    :param bounds: its bounds.
    :param earlier: see :func:`~sagemaker_pipelines.aws.billing.with_bills`.
    """

    def __init__(
        self, client: SageMakerClient, pipeline_execution_arn: str, bounds: Bounds, earlier: Earlier
    ) -> None:
        self._client = client
        self._arn = pipeline_execution_arn
        self._bounds = bounds
        self._earlier = earlier
        self._began: datetime | None = None
        # By job and attempt: the step with its bill, and since when it has been running.
        self._billed: dict[tuple[str | None, int, bool], tuple[Step, datetime | None]] = {}
        self._told: set[str] = set()
        self._ended: dict[str, Mapping[str, Any]] = {}

    def excess(self, steps: Iterable[Step]) -> str | None:
        """Return which bound has been passed, with both figures; None while it holds.

        :param steps: the steps that have begun. The list may be old, so before a bound counts as passed, the
            jobs that were last seen running are described again.
        """
        steps = list(steps)
        excess = self._excess(steps)
        ended = {key: known for key, known in self._billed.items() if known[1] is None}
        if excess is None or len(ended) == len(self._billed):
            return excess
        self._billed = ended
        return self._excess(steps)

    def _excess(self, steps: Iterable[Step]) -> str | None:
        total = Total.of([self._billed_if_readable(step) if has_job(step) else step for step in steps])
        limit, spent = self._bounds.max_instance_seconds, total.instance_seconds_upper_bound
        included = ", earlier attempts included" if spent > total.instance_seconds else ""
        if limit is not None and spent > limit:
            told = f"{spent:.0f} instance-seconds were billed{included}"
            return f"{told}, and max_instance_seconds is {limit:.15g}"
        if self._bounds.max_cost is None:
            return None
        cost = total.cost_upper_bound
        if cost is None:
            self._tell(total)
        if cost is not None and cost > self._bounds.max_cost:
            bound = money(self._bounds.max_cost, total.currency)
            return f"the jobs cost {money(cost, total.currency)} so far{included}, and max_cost is {bound}"
        return None

    def _tell(self, total: Total) -> None:
        for reason in [f"there is no price of {each}" for each in total.unpriced] or [
            "the prices have several currencies"
        ]:
            if reason not in self._told:
                self._told.add(reason)
                self._client.log.error("max_cost cannot be checked: %s", reason)

    def _billed_if_readable(self, step: Step) -> Step:
        """Return a step with its bill, or without, so that what the other steps billed still counts."""
        try:
            return self._with_bill(step)
        except (ClientError, BotoCoreError, KeyError) as error:
            self._client.log.warning(
                "What step %s of %s bills cannot be read now: %s", step.name, self._arn, error
            )
            return step

    def _with_bill(self, step: Step) -> Step:
        key = (step.arn, step.attempts, step.ended is not None)
        known = self._billed.get(key)
        if known is None:
            billed = replace(step, bill=self._bill(step))
            # Read after the calls, whose time the bill already has.
            now = datetime.now(UTC)
            since = now if billed.bill and billed.bill.source == "start until now" else None
            if step.ended is not None or since is not None:
                self._billed[key] = billed, since
            return billed
        billed, since = known
        if since is None or billed.bill is None:
            return billed
        seconds = billed.bill.seconds + (datetime.now(UTC) - since).total_seconds()
        return replace(billed, bill=replace(billed.bill, seconds=seconds))

    def _bill(self, step: Step) -> Bill:
        job = described_job(self._client, step, self._ended)
        return bill_of(self._client.region, self._prices, self._execution_began(), step, job, self._earlier)

    @cached_property
    def _prices(self) -> Prices:
        return readable_prices(self._client)

    def _execution_began(self) -> datetime:
        if self._began is None:
            self._began = self._client.describe_execution(self._arn)["CreationTime"]
        return self._began


def _positive(name: str, value: object) -> float | None:
    """Return a bound that a template may have rendered to text.

    :raises ParameterError: it is not a number above 0.
    """
    if value is None or str(value).strip() in {"", "None"}:
        return None
    try:
        number = finite_number(str(value))
    except ValueError:
        number = 0.0
    if number <= 0:
        raise ParameterError(f"{name} is {value!r}; expected a number above 0. Correct it, or leave it out.")
    return number
