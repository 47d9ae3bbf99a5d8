"""Select the partitions that a run reads and the prefixes that it writes."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from airflow.providers.amazon.aws.operators.base_aws import AwsBaseOperator
from airflow.providers.amazon.aws.utils.mixins import aws_template_fields
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, AirflowSkipException
from airflow.sdk.exceptions import AirflowSensorTimeout

from sagemaker_pipelines.data.intervals import RunInterval, is_interval_driven, run_intervals, span
from sagemaker_pipelines.data.manifest import write_manifest
from sagemaker_pipelines.data.partitions import Partitions, only
from sagemaker_pipelines.exceptions import SageMakerPipelinesError
from sagemaker_pipelines.hooks.pipeline import SageMakerPipelineHook
from sagemaker_pipelines.masking import masked
from sagemaker_pipelines.messages import listed
from sagemaker_pipelines.task.runs import check_conf
from sagemaker_pipelines.triggers.partitions import SageMakerPartitionsTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context

IfMissing = Literal["wait", "skip", "fail"]


class Selection(NamedTuple):
    """What a run reads and writes.

    :param values: the URIs that it writes to, and the values in the form, by parameter.
    :param inputs: the partitions that its interval covers, by parameter.
    :param interval: the interval of the run in ISO 8601; None if it was not created for an interval.
    """

    values: dict[str, str]
    inputs: dict[str, list[str]]
    interval: str | None


class SageMakerSelectPartitionsOperator(AwsBaseOperator[SageMakerPipelineHook]):
    """Choose a run's S3 URIs by its interval, and wait until the data exists.

    A value that somebody entered in the trigger form is used as it is. A manual run without an interval uses
    the values in the form, even empty ones, so that a click on *Trigger* starts at once.

    A partition that is a folder is looked up and read with a slash at its end, so that ``m=1`` is not
    mistaken for the beginning of ``m=10/``.

    The XCom is ``{parameter: URI, ..., "interval": "<start>/<end>" or None}``; an empty URI means the
    deployed default of the parameter.

    :param inputs: the partitions to read, by pipeline parameter. If one of them has a manifest, the parameter
        is the URI of the manifest, which is written when all its partitions exist.
    :param outputs: the prefixes to write to, by pipeline parameter; the run does not wait for these.
    :param values: the values of these parameters in the form. Templated.
    :param events: payloads of the events whose partitions are read, such as the output of a
        :class:`~sagemaker_pipelines.operators.events.SelectNewEventsOperator`; None means all events that
        triggered the run. Templated.
    :param if_missing: what to do while an input is missing or empty: ``"wait"`` in the triggerer, ``"skip"``
        the rest of the run, or ``"fail"``.
    :param manual_runs: ``"form"``, or ``"interval"`` to use the data interval of manual runs, too.
    :param strict_conf: whether a run fails before it waits if its conf has a name that is not a field of the
        DAG's form; see the start operator.
    :param waiter_delay: the longest time between two polls, seconds, default 60.
    :param timeout: the longest time to wait, seconds, default one day.
    :raises AirflowFailException: the interval selects no partition, or more than a parameter can hold.
    :raises AirflowSensorTimeout: the data did not arrive in time.
    """

    aws_hook_class = SageMakerPipelineHook
    template_fields: Sequence[str] = aws_template_fields("values", "events")
    ui_color = "#e2f0d9"

    def __init__(
        self,
        *,
        inputs: Mapping[str, Partitions] | None = None,
        outputs: Mapping[str, Partitions] | None = None,
        values: Mapping[str, object] | None = None,
        events: Any = None,
        if_missing: IfMissing = "wait",
        manual_runs: Literal["form", "interval"] = "form",
        strict_conf: bool = False,
        waiter_delay: float = 60,
        timeout: float = 24 * 3600,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if if_missing not in ("wait", "skip", "fail"):
            raise ValueError(f"if_missing is {if_missing!r}; expected wait, skip or fail.")
        if manual_runs not in ("form", "interval"):
            raise ValueError(f"manual_runs is {manual_runs!r}; expected form or interval.")
        self.inputs = dict(inputs or {})
        self.outputs = dict(outputs or {})
        self.values = values or {}
        self.events = events
        self.if_missing = if_missing
        self.manual_runs = manual_runs
        self.strict_conf = strict_conf
        self.waiter_delay = waiter_delay
        self.timeout = timeout

    def execute(self, context: Context) -> dict[str, str | None]:
        """Select the URIs, and return them when the data exists."""
        selection = self._select(context)
        has_data = self.hook.client.has_data
        missing = [uri for uris in selection.inputs.values() for uri in uris if not has_data(uri)]
        if not missing:
            return self._values(selection)
        text = f"No data yet at {listed(missing)}."
        if self.if_missing == "skip":
            raise AirflowSkipException(f"{text} The run is skipped, because if_missing is 'skip'.")
        if self.if_missing == "fail":
            raise AirflowException(
                f"{text} The task fails, because if_missing is 'fail': put the data there, or fill in the "
                "parameter."
            )
        self.log.info("%s Waiting for at most %.0f s", text, self.timeout)
        self._defer(missing)
        raise AssertionError("defer() raises")

    def execute_complete(self, context: Context, event: Mapping[str, Any]) -> dict[str, str | None]:
        """Continue after the trigger has fired."""
        if event["event"] == "timeout":
            raise AirflowSensorTimeout(
                f"No data arrived at {listed(event['missing'])} within {self.timeout:.0f} s. Give the task a "
                "longer timeout, or clear it when the data exists."
            )
        if event["event"] == "error":
            raise AirflowException(
                f"S3 could not be checked for {listed(event['missing'])}: {event['message'].rstrip('.')}. "
                "Fix the cause, then clear the task."
            )
        return self._values(self._select(context))

    def _select(self, context: Context) -> Selection:
        """Choose the values that the form leaves open by the run's interval."""
        names = [*self.inputs, *self.outputs]
        given = {name: "" if self._is_open(name) else str(self.values[name]) for name in names}
        try:
            if self.strict_conf:
                check_conf(context)
            if self.manual_runs == "form" and not is_interval_driven(context):
                self.log.info(
                    "This run was not created for an interval, so it uses the values in the form. Fill in "
                    "IntervalStart and IntervalEnd to read the partitions of an interval"
                )
                return Selection(given, {}, None)
            intervals = run_intervals(context, self.events)
            interval = span(intervals)
            inputs = {
                name: self._uris(of, intervals) for name, of in self.inputs.items() if self._is_open(name)
            }
            outputs = {
                name: of.prefix(interval, self._environment)
                for name, of in self.outputs.items()
                if self._is_open(name)
            }
        except SageMakerPipelinesError as error:
            raise AirflowFailException(str(error)) from error
        reads = masked({name: listed(uris) for name, uris in inputs.items()})
        self.log.info("Interval %s: reads %s, writes %s", interval, reads, masked(outputs))
        return Selection(given | outputs, inputs, str(interval))

    def _uris(self, of: Partitions, intervals: Sequence[RunInterval]) -> list[str]:
        """Return the partitions of the intervals: only one, unless they are listed in a manifest."""
        found = (uri for interval in intervals for uri in of.uris(interval, self._environment))
        uris = list(dict.fromkeys(found))
        return uris if of.manifest else [only(uris)]

    def _values(self, selection: Selection) -> dict[str, str | None]:
        """Return a URI for each parameter, and the interval that chose them."""
        read = {name: self._value(name, uris) for name, uris in selection.inputs.items()}
        return {**selection.values, **read, "interval": selection.interval}

    def _value(self, name: str, uris: Sequence[str]) -> str:
        of = self.inputs[name]
        if not of.manifest:
            return self._whole(only(uris))
        below, folder = of.folder(self._environment), of.manifest_folder(self._environment)
        manifest = write_manifest(self.hook.client, uris, below=below, folder=folder)
        self.log.info("%s: %s lists the data of %d partitions", name, manifest, len(uris))
        return manifest

    def _whole(self, uri: str) -> str:
        """Return a partition's URI, for a folder with its slash: to SageMaker, m=1 would match m=10/, too."""
        is_object = next(self.hook.client.data_objects(uri), uri) == uri
        return uri if is_object else f"{uri.removesuffix('/')}/"

    @property
    def _environment(self) -> dict[str, str]:
        return self.hook.settings.location_fields

    def _is_open(self, name: str) -> bool:
        return self.values.get(name) in (None, "", "None")

    def _defer(self, missing: Sequence[str]) -> None:
        self.defer(
            trigger=SageMakerPartitionsTrigger(
                uris=missing,
                waiter_delay=self.waiter_delay,
                deadline=time.time() + self.timeout,
                aws_conn_id=self.aws_conn_id,
                region_name=self.region_name,
                verify=self.verify,
                botocore_config=self.botocore_config,
            ),
            method_name="execute_complete",
        )
