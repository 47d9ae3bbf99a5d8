"""Read a backfill by date, and cancel it with its executions.

Airflow's own cancel fails the queued runs and lets the running ones continue. Here, these are failed too, and
the command waits until all their executions have ended.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sagemaker_pipelines.aws.leftovers import executions
from sagemaker_pipelines.aws.stopping import stop_execution
from sagemaker_pipelines.operators.evaluation import GATE_KEYS, pushed_gate
from sagemaker_pipelines.states import EXECUTING, STOPPED_STATUSES
from sagemaker_pipelines.task.logical_start import LogicalStart
from sagemaker_pipelines.task.publishing import XCOM_EXECUTION
from sagemaker_pipelines.task.starting import CLOCK_SKEW
from sagemaker_pipelines.task.waiting import XCOM_EXECUTION_ARN

if TYPE_CHECKING:
    from sagemaker_pipelines.airflow_client import AirflowClient
    from sagemaker_pipelines.aws.client import SageMakerClient

#: The XCom keys that the report reads, no matter which task of the run pushed them.
XCOM_KEYS = frozenset({XCOM_EXECUTION_ARN, XCOM_EXECUTION, "billable_seconds", *GATE_KEYS})
ACTIVE = frozenset({"queued", "running"})
# When a run is marked failed, its tasks stop their executions within this time; see docs/crash_matrix.md.
_GRACE_SECONDS = 15.0
_LOOK_SECONDS = 2.0
_QUIET_LOOKS = 2
_READERS = 8


@dataclass(frozen=True, kw_only=True)
class BackfillDate:
    """One date of a backfill.

    :param date: the run's logical date.
    :param run_id: the DAG run.
    :param state: its state.
    :param seconds: how long it took, or has been running; None before it began.
    :param pipeline_execution_arn: the execution of its last start; None before there is one.
    :param execution_status: SageMaker's status of this execution.
    :param executions: how many executions of this run SageMaker knows since the backfill was created.
    :param metric: the name of the gate's metric.
    :param value: the value of the metric.
    :param instance_seconds: what the execution's jobs bill, if the wait pushed its record.
    :param cost: what they cost; None if a price was unknown.
    :param currency: the currency of the cost.
    :param price_date: the day of the oldest price in it.
    """

    date: str
    run_id: str
    state: str
    seconds: float | None = None
    pipeline_execution_arn: str | None = None
    execution_status: str | None = None
    executions: int = 0
    metric: str | None = None
    value: float | None = None
    threshold: float | None = None
    verdict: str | None = None
    instance_seconds: float | None = None
    cost: float | None = None
    currency: str | None = None
    price_date: str | None = None


@dataclass(frozen=True, kw_only=True)
class BackfillReport:
    """A backfill and its dates."""

    backfill: Mapping[str, Any]
    dates: tuple[BackfillDate, ...]

    @property
    def done(self) -> int:
        """How many runs have ended."""
        return sum(date.state not in ACTIVE for date in self.dates)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON types, with totals."""
        states: dict[str, int] = {}
        for date in self.dates:
            states[date.state] = states.get(date.state, 0) + 1
        billed = [date.instance_seconds for date in self.dates if date.instance_seconds is not None]
        totals = {
            "runs": len(self.dates),
            "done": self.done,
            "states": states,
            "executions": sum(date.executions for date in self.dates),
            "instance_seconds": sum(billed) if billed else None,
            **self._cost(),
        }
        return {"backfill": dict(self.backfill), "dates": [asdict(d) for d in self.dates], "totals": totals}

    def _cost(self) -> dict[str, Any]:
        """Return the sum of what the dates cost; unknown if that of one date is."""
        billed = [date for date in self.dates if date.instance_seconds is not None]
        currencies = {date.currency for date in billed if date.cost}
        if not billed or len(currencies) > 1 or any(date.cost is None for date in billed):
            return {"cost": None, "currency": None, "price_date": None}
        return {
            "cost": round(sum(date.cost or 0.0 for date in billed), 6),
            "currency": next(iter(currencies), None),
            "price_date": min((date.price_date for date in billed if date.price_date), default=None),
        }


@dataclass(kw_only=True)
class Cancellation:
    """The result of a cancel.

    :param runs: the runs that were marked failed.
    :param stopped: the status of the executions that were stopped, by ARN.
    :param directly: the executions that were stopped from here, because their task had not done it.
    :param running: executions that could not be stopped.
    """

    runs: list[str] = field(default_factory=list)
    stopped: dict[str, str] = field(default_factory=dict)
    directly: list[str] = field(default_factory=list)
    running: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON types."""
        return asdict(self)


class Backfill:
    """One backfill of one Airflow, with the AWS account of its DAG.

    :param airflow: the client that calls Airflow.
    :param client: the client that calls AWS.
    :param backfill_id: the backfill.
    :raises AirflowRequestError: the backfill does not exist.
    """

    def __init__(self, airflow: AirflowClient, client: SageMakerClient, backfill_id: int) -> None:
        self.airflow = airflow
        self.client = client
        self.backfill_id = backfill_id
        self.described = airflow.backfill(backfill_id)
        self._since = datetime.fromisoformat(self.described["created_at"]) - CLOCK_SKEW

    def report(self) -> BackfillReport:
        """Read the runs, what their tasks pushed, and the executions."""
        runs = self.airflow.backfill_runs(self.described)
        found = self._executions({run["dag_run_id"] for run in runs})
        with ThreadPoolExecutor(_READERS) as pool:
            xcoms = list(pool.map(lambda run: self.airflow.xcoms(run, XCOM_KEYS), runs))
        dates = [
            self._date(run, x, found.get(run["dag_run_id"], {})) for run, x in zip(runs, xcoms, strict=True)
        ]
        return BackfillReport(backfill=self.described, dates=tuple(dates))

    def cancel(self, *, timeout: float, progress: Callable[[str], None] = lambda _: None) -> Cancellation:
        """Start no more runs, fail the active ones, and wait until all their executions have ended.

        :param timeout: how long to wait for the executions, seconds.
        :param progress: called with a line of text after each action.
        """
        if not self.airflow.cancel_backfill(self.backfill_id):
            progress("The backfill has already ended or been cancelled.")
        runs = [run["dag_run_id"] for run in self.airflow.backfill_runs(self.described)]
        done = Cancellation()
        # Airflow's cancel has already failed the queued ones.
        for run in self.airflow.backfill_runs(self.described):
            if run["state"] in ACTIVE:
                self.airflow.fail_run(run["dag_id"], run["dag_run_id"])
                done.runs.append(run["dag_run_id"])
        progress(f"{len(done.runs)} runs marked failed; their tasks stop their executions.")
        self._see_end(set(runs), done, timeout=timeout, progress=progress)
        return done

    def _see_end(
        self, run_ids: set[str], done: Cancellation, *, timeout: float, progress: Callable[[str], None]
    ) -> None:
        """Poll until two polls in a row see nothing executing, because a start may have been under way."""
        began = time.monotonic()
        quiet = 0
        while True:
            statuses = {arn: s for arns in self._executions(run_ids).values() for arn, s in arns.items()}
            running = [arn for arn, status in statuses.items() if status == EXECUTING]
            quiet = 0 if running else quiet + 1
            waited = time.monotonic() - began
            if quiet >= _QUIET_LOOKS or waited >= timeout:
                break
            if running and waited >= min(_GRACE_SECONDS, timeout / 2):
                for arn in running:
                    progress(f"Stopping {arn}")
                    if stop_execution(self.client.sagemaker, arn, seconds=10, log=self.client.log):
                        done.directly.append(arn)
            time.sleep(_LOOK_SECONDS)
        done.running = running
        done.stopped = {arn: status for arn, status in statuses.items() if status in STOPPED_STATUSES}

    def _executions(self, run_ids: set[str]) -> dict[str, dict[str, str]]:
        """Return the statuses of each run's executions by ARN, newest first, from their descriptions."""
        pipelines = self.client.pipelines(self.client.settings.name_prefix)
        names = [str(pipeline["PipelineName"]) for pipeline in pipelines]
        found: dict[str, dict[str, str]] = {}
        for summary in executions(self.client, names, created_after=self._since):
            start = LogicalStart.parse(summary.get("PipelineExecutionDescription"))
            if start is None or start.dag_id != self.described["dag_id"] or start.run_id not in run_ids:
                continue
            status = str(summary["PipelineExecutionStatus"])
            found.setdefault(start.run_id, {})[str(summary["PipelineExecutionArn"])] = status
        return found

    def _date(
        self, run: Mapping[str, Any], xcoms: Mapping[str, Any], statuses: Mapping[str, str]
    ) -> BackfillDate:
        arn = xcoms.get(XCOM_EXECUTION_ARN)
        status = statuses.get(arn) if arn else None
        if arn and status is None:
            # A resumed execution is older than the backfill.
            status = self.client.execution_status(arn)
        gate = pushed_gate(xcoms)
        # An earlier version pushed this sum instead of the record.
        record = xcoms.get(XCOM_EXECUTION, {"instance_seconds": xcoms.get("billable_seconds")})
        return BackfillDate(
            date=run["logical_date"] or run["run_after"],
            run_id=run["dag_run_id"],
            state=run["state"],
            seconds=run.get("duration"),
            pipeline_execution_arn=arn,
            execution_status=status,
            executions=len(statuses),
            metric=gate.get("metric"),
            value=gate.get("value"),
            threshold=gate.get("threshold"),
            verdict=gate.get("verdict"),
            **{name: record.get(name) for name in ("instance_seconds", "cost", "currency", "price_date")},
        )
