"""The task that selects what a run reads and writes."""

from __future__ import annotations

from collections.abc import Mapping

from sagemaker_pipelines.dag.gating import RESULT
from sagemaker_pipelines.data.partitions import Partitions
from sagemaker_pipelines.operators.events import SelectNewEventsOperator
from sagemaker_pipelines.operators.partitions import IfMissing, SageMakerSelectPartitionsOperator
from sagemaker_pipelines.task.values import form_value


def select_inputs(
    inputs: Mapping[str, Partitions],
    outputs: Mapping[str, Partitions],
    if_missing: IfMissing,
    events: SelectNewEventsOperator | None,
) -> SageMakerSelectPartitionsOperator:
    """Return ``select_inputs``, which selects the partitions of a run's interval.

    :param inputs: partitions that the run reads, by parameter.
    :param outputs: prefixes below which it writes.
    :param if_missing: whether a run whose input is missing waits, skips or fails.
    :param events: selects the new events of watched assets; None without them.
    """
    return SageMakerSelectPartitionsOperator(
        task_id="select_inputs",
        inputs=inputs,
        outputs=outputs,
        values={name: form_value(name) for name in {**inputs, **outputs} if name != RESULT},
        events=events.output if events is not None else None,
        strict_conf=True,
        if_missing=if_missing,
    )
