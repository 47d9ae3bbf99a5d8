"""Stop an execution that has billed more than its task allows."""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType
from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import AirflowFailException

from sagemaker_pipelines.aws.billing import Earlier, billed_jobs
from sagemaker_pipelines.aws.budget import Bounds, Budget
from sagemaker_pipelines.aws.client import SageMakerClient
from sagemaker_pipelines.aws.steps import Step
from sagemaker_pipelines.exceptions import ParameterError
from sagemaker_pipelines.task.records import WaitRecord


class BoundMixin:
    """Give a task bounds on what its execution may bill.

    :param max_instance_seconds: see the sensor.
    :param max_cost: see the sensor.
    """

    if TYPE_CHECKING:
        max_instance_seconds: float | str | None
        max_cost: float | str | None

        @property
        def client(self) -> SageMakerClient: ...

        def end_if_killed(self) -> None: ...

    #: By step and job, what the jobs before the last resume had billed.
    earlier: Earlier = MappingProxyType({})
    _budget: Budget | None = None

    def bounds(self) -> Bounds:
        """Return the task's bounds or the environment's, whichever is lower.

        :raises AirflowFailException: one of them is not a number above 0.
        """
        try:
            return Bounds.of(self.client.settings, self.max_instance_seconds, self.max_cost)
        except ParameterError as error:
            raise AirflowFailException(str(error)) from error

    def before_resume(self, record: WaitRecord) -> dict[str, dict[str, float]]:
        """Return what the jobs have billed, since SageMaker forgets those that a resume replaces.

        :raises AirflowFailException: the execution has passed a bound.
        """
        self.end_if_killed()
        self.earlier = record.earlier
        arn = record.pipeline_execution_arn
        steps = self.client.list_steps(arn)
        if self.bounds() and (excess := self.excess(arn, steps)):
            raise too_much(arn, excess, "is not resumed")
        # The jobs that follow are others.
        self._budget = None
        return billed_jobs(self.client, arn, steps, record.earlier)

    def excess(self, pipeline_execution_arn: str, steps: Iterable[Step]) -> str | None:
        """Return which bound an execution has passed; None while all hold."""
        if self._budget is None:
            bounds = self.bounds()
            if not bounds:
                return None
            self._budget = Budget(self.client, pipeline_execution_arn, bounds, self.earlier)
        return self._budget.excess(steps)


def outcome_of_stop(stopped: bool) -> str:
    """Return what was done about an execution that has passed a bound.

    :param stopped: whether SageMaker has accepted the stop.
    """
    return "was stopped" if stopped else "could not be stopped, so stop it in SageMaker"


def too_much(pipeline_execution_arn: str, excess: str, done: str) -> AirflowFailException:
    """Return the error of a task whose execution has passed a bound; Airflow does not retry it.

    :param done: what was done about it.
    """
    return AirflowFailException(
        f"{pipeline_execution_arn} {done}: {excess}. Find out why it took so much, or set a higher "
        "bound for the next run."
    )
