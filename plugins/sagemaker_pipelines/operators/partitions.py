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

    :param values: the URIs of what it writes, and what the form says, by parameter.
    :param inputs: the partitions that its interval covers, by parameter.
    :param interval: of the run, as ISO 8601 writes it; None where it was made for none.
    """

    values: dict[str, str]
    inputs: dict[str, list[str]]
    interval: str | None


class SageMakerSelectPartitionsOperator(AwsBaseOperator[SageMakerPipelineHook]):
    """Choose a run's S3 URIs by its interval, and wait until the data are there.

    A value that someone has filled into the trigger form is taken as it is. A manual run that names no
    interval takes the form's values, empty ones too, so that a click on *Trigger* starts at once.

    A partition that is a folder is asked for, and read, with a slash at its end, so that ``m=1`` is not taken
    for the beginning of ``m=10/``.

    The XCom is ``{parameter: URI, ..., "interval": "<start>/<end>" or None}``; an empty URI leaves the
    parameter to its deployed default.

    :param inputs: partitions to read, by pipeline parameter. One with a manifest gives the parameter the URI
        of a manifest, which is written once all its partitions are there.
    :param outputs: prefixes to write, by pipeline parameter; nothing is waited for there.
    :param values: what the form holds for these parameters. Templated.
    :param events: payloads of the events whose partitions are read, such as the output of a
        :class:`~sagemaker_pipelines.operators.events.SelectNewEventsOperator`; None takes all that woke the
        run. Templated.
    :param if_missing: what to do while an input is missing or empty: ``"wait"`` in the triggerer, ``"skip"``
        the rest of the run, or ``"fail"``.
    :param manual_runs: ``"form"``, or ``"interval"`` to give manual runs their data interval too.
    :param strict_conf: whether a run that was triggered with a name that is no field of the DAG's form fails
        before it waits; see the start operator.
    :param waiter_delay: the longest time between two looks, seconds, default 60.
    :param timeout: how long to wait at most, seconds, default one day.
    :raises AirflowFailException: the interval selects no partition, or more than a parameter can hold.
    :raises AirflowSensorTimeout: the data did not come in time.
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
        """Select, and return once the data are there."""
        selection = self._select(context)
        has_data = self.hook.client.has_data
        missing = [uri for uris in selection.inputs.values() for uri in uris if not has_data(uri)]
        if not missing:
            return self._values(selection)
        text = f"No data yet at {listed(missing)}."
        if self.if_missing == "skip":
            raise AirflowSkipException(f"{text} The run is skipped, as if_missing says.")
        if self.if_missing == "fail":
            raise AirflowException(f"{text} Put the data there, or fill in the parameter.")
        self.log.info("%s Waiting for at most %.0f s", text, self.timeout)
        self._defer(missing)
        raise AssertionError("defer() raises")

    def execute_complete(self, context: Context, event: Mapping[str, Any]) -> dict[str, str | None]:
        """Go on after the trigger has fired."""
        if event["event"] == "timeout":
            raise AirflowSensorTimeout(
                f"{listed(event['missing'])} did not come within {self.timeout:.0f} s. Give the task a "
                "longer timeout, or clear it when the data are there."
            )
        if event["event"] == "error":
            raise AirflowException(f"S3 cannot be asked for {listed(event['missing'])}: {event['message']}")
        return self._values(self._select(context))

    def _select(self, context: Context) -> Selection:
        """Choose by the run's interval whatever the form has left open."""
        names = [*self.inputs, *self.outputs]
        given = {name: "" if self._is_open(name) else str(self.values[name]) for name in names}
        try:
            if self.strict_conf:
                check_conf(context)
            if self.manual_runs == "form" and not is_interval_driven(context):
                self.log.info(
                    "This run was not made for an interval; it reads what the form says. Fill in "
                    "IntervalStart and IntervalEnd to have it read the partitions of one"
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
        """Return the partitions of the intervals: one, unless they are listed in a manifest."""
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
        """Return a partition's URI with the slash of a folder: SageMaker would take m=1 for m=10/ too."""
        is_object = next(self.hook.client.data_objects(uri), uri) == uri
        return uri if is_object else f"{uri.removesuffix('/')}/"

    @property
    def _environment(self) -> dict[str, str]:
        settings = self.hook.settings
        return {"artifact_bucket": settings.artifact_bucket or "", "name_prefix": settings.name_prefix}

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
