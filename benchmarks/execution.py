"""Compare the abalone execution on the local runtime with the same scripts run by hand."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Mapping
from pathlib import Path

from benchmarks.by_hand import by_hand
from sagemaker_pipelines.aws.upsert import upsert_pipeline
from sagemaker_pipelines.aws.watch import ExecutionWatch
from sagemaker_pipelines.definition import Envelope
from sagemaker_pipelines.states import SUCCEEDED
from stack.bootstrap import bootstrap
from stack.definitions import DEFINITIONS
from stack.run import DEFINITION, local_stack
from stack.settings import StackSettings

RUNS = 3
GOAL_SECONDS = 12
GOAL_RATIO = 0.7
APPROVED = {"ModelApprovalStatus": "Approved"}


def main() -> None:
    """Alternate between the two, so that both see the same load, and print medians."""
    envelope = Envelope.load(DEFINITION)
    with tempfile.TemporaryDirectory() as folder, local_stack(StackSettings(), Path(folder)) as settings:
        bootstrap(settings)
        upsert_pipeline(settings.target.sagemaker, envelope)
        _execution_seconds(settings, envelope)  # warm
        hand, execution = [], []
        for _ in range(RUNS):
            with tempfile.TemporaryDirectory() as scripts:
                hand.append(by_hand(Path(scripts)))
            execution.append(_execution_seconds(settings, envelope))
        tuned = Envelope.load(DEFINITIONS / "abalone-tuned.json")
        upsert_pipeline(settings.target.sagemaker, tuned)
        first = {"SkipQualityCheck": "true", "RegisterNewBaseline": "true"}
        tuning = _execution_seconds(settings, tuned, first)
    ratio = statistics.median(execution) / statistics.median(hand)
    print(f"one abalone execution, warm, median of {RUNS} (goals: {GOAL_SECONDS} s, {GOAL_RATIO} times)")
    print(f"  {'the scripts run by hand':<30} {statistics.median(hand):7.1f} s")
    print(f"  {'the execution':<30} {statistics.median(execution):7.1f} s   {ratio:.2f} times")
    print(f"one execution that tunes, checks, deploys and tries out, once: {tuning:.1f} s")


def _execution_seconds(
    settings: StackSettings, envelope: Envelope, parameters: Mapping[str, object] = APPROVED
) -> float:
    """Return the seconds from the start to the end of an execution, by SageMaker's own times."""
    target = settings.target
    arn = target.start(envelope, parameters)
    watch = ExecutionWatch(target.sagemaker, arn, waiter_delay=0.1, log=target.log, on_steps=lambda _: None)
    status = watch.follow()
    if status != SUCCEEDED:
        raise SystemExit(f"{arn} ended as {status}")
    described = target.sagemaker.describe_execution(arn)
    return float((described["LastModifiedTime"] - described["CreationTime"]).total_seconds())
