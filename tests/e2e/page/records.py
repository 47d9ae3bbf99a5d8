"""Runs of every kind that the page shows, as what their tasks pushed."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
LONG_HISTORY = 1000
HOSTILE = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>'
STUDIO = "https://studio-d-1.studio.us-east-1.sagemaker.aws/pipelines/view/abalone/executions/failed/graph"
CLOUDWATCH = "https://console.aws.amazon.com/cloudwatch/home?region=us-east-1#logsV2:log-groups"
WAIT, BRANCH = "wait_for_pipeline", "branch_on_mse"


@dataclass(frozen=True)
class SeededRun:
    """A run, its XComs by task and key, and the state of the tasks that have pushed them."""

    dag_id: str
    run_id: str
    day: int
    state: str = "success"
    xcoms: dict[tuple[str, str], Any] = field(default_factory=dict)
    task_state: str | None = "success"

    @property
    def start(self) -> datetime:
        return FIRST + timedelta(days=self.day)


def arn(name: str) -> str:
    return f"arn:aws:sagemaker:us-east-1:123456789012:pipeline/abalone/execution/{name}"


def step(name: str, begin: float, seconds: float, **members: Any) -> dict[str, Any]:
    started = FIRST + timedelta(hours=1, seconds=begin)
    return {
        "name": name,
        "type": "Training",
        "status": "Succeeded",
        "started": started.isoformat(),
        "ended": (started + timedelta(seconds=seconds)).isoformat(),
        "seconds": seconds,
        "attempts": 1,
        **members,
    }


def bill(seconds: float, **members: Any) -> dict[str, Any]:
    job = {"instance_type": "ml.m5.xlarge", "instance_count": 2, "seconds": seconds, "source": "start to end"}
    return {**job, "instance_seconds": 2 * seconds, **members}


def record(name: str, status: str = "Succeeded", **members: Any) -> dict[str, Any]:
    return {
        "version": 1,
        "pipeline_execution_arn": arn(name),
        "status": status,
        "rejected": False,
        "started": (FIRST + timedelta(hours=1)).isoformat(),
        "ended": (FIRST + timedelta(hours=1, seconds=90)).isoformat(),
        "pipeline_version_id": 3,
        "parameters": {"MseThreshold": "6.0", "InputData": "s3://bucket/data/"},
        "steps": [step("Train", 0, 60, bill=bill(60)), step("Evaluate", 60, 30, bill=bill(30))],
        "instance_seconds": 180.0,
        **members,
    }


def gate(name: str, value: float, verdict: str, threshold: float = 6.0) -> dict[str, Any]:
    return {
        "version": 1,
        "pipeline_execution_arn": arn(name),
        "metric": "mse",
        "value": value,
        "threshold": threshold,
        "operator": "LessThanOrEqualTo",
        "passed": verdict != "rejected",
        "verdict": verdict,
        "report_uri": f"s3://bucket/{name}/evaluation.json",
        "model_package_arn": None,
    }


def ended(name: str, value: float, verdict: str, **members: Any) -> dict[tuple[str, str], Any]:
    status = "Failed" if verdict == "rejected" else "Succeeded"
    execution = record(name, status, **{"rejected": verdict == "rejected", **members})
    return {(WAIT, "execution"): execution, (BRANCH, "gate"): gate(name, value, verdict)}


def seeded_runs() -> list[SeededRun]:
    return [
        SeededRun("train", "accepted", 1, xcoms=ended("accepted", 4.25, "accepted")),
        SeededRun("train", "rejected", 2, xcoms=ended("rejected", 7.5, "rejected")),
        SeededRun("train", "failed", 3, "failed", {(WAIT, "execution"): _failed(), **_failed_links()}),
        SeededRun(
            "train",
            "resumed",
            4,
            xcoms={**ended("resumed", 5.0, "awaiting_approval", **_resumed()), **_step_log()},
        ),
        SeededRun("train", "older_version", 5, xcoms=_older()),
        SeededRun("train", "priced", 6, xcoms=ended("priced", 5.5, "accepted", **_priced())),
        SeededRun("train", "no_execution", 7, "failed"),
        SeededRun("train", "running", 8, "running", {("steps.AbaloneProcess", "step"): _seen()}),
        SeededRun("train", "cleared", 9, "running", ended("cleared", 2.0, "accepted"), None),
        SeededRun("train", "compared", 0, xcoms=_compared()),
        SeededRun("train", "cleared_in_vain", 10, "failed", _earlier(), "upstream_failed"),
        *(_history(number) for number in range(LONG_HISTORY)),
    ]


def _failed() -> dict[str, Any]:
    cause = {
        "step_name": HOSTILE,
        "reason": f"AlgorithmError: {HOSTILE}",
        "is_fail_step": False,
        "log_group": "/aws/sagemaker/TrainingJobs",
        "log_stream": "job/algo-1",
        "log_tail": ["reading the data", HOSTILE],
    }
    steps = [step(HOSTILE, 0, 12, status="Failed", reason=HOSTILE, attempts=3)]
    parameters = {"MseThreshold": "6.0", HOSTILE: '=HYPERLINK("http://example.com")'}
    return record("failed", "Failed", cause=cause, steps=steps, parameters=parameters)


def _failed_links() -> dict[tuple[str, str], Any]:
    """The URLs that Airflow and the mirror of a step push; the last is not one of AWS's."""
    return {
        (WAIT, "_link_SageMakerPipelineExecutionLink"): STUDIO,
        (WAIT, "_link_SageMakerFailedStepLogLink"): CLOUDWATCH,
        ("steps.Train", "step"): step(HOSTILE, 0, 12, status="Failed"),
        ("steps.Train", "_link_SageMakerStepLogLink"): "javascript:window.hacked=1",
    }


def _resumed() -> dict[str, Any]:
    steps = [
        step("Train", 0, 60, attempts=2, bill=bill(60), outputs=["s3://bucket/model.tar.gz"]),
        step("Evaluate", 60, 0, is_cache_hit=True, source=arn("accepted"), bill=bill(0)),
    ]
    return {"steps": steps, "instance_seconds": 120.0}


def _step_log() -> dict[tuple[str, str], Any]:
    log = ("steps.Train", "_link_SageMakerStepLogLink")
    return {
        (WAIT, "_link_SageMakerPipelineExecutionLink"): "",
        ("steps.Train", "step"): step("Train", 0, 60),
        log: CLOUDWATCH,
    }


def _older() -> dict[tuple[str, str], Any]:
    """What versions before the record pushed."""
    pushed = {"metric": 3.75, "threshold": 6.0, "verdict": "accepted", "report_uri": "s3://bucket/old.json"}
    return {(WAIT, "billable_seconds"): 33, **{(BRANCH, key): value for key, value in pushed.items()}}


def _earlier() -> dict[tuple[str, str], Any]:
    """What a wait pushed before its run was cleared, when this time a task before it has failed."""
    return ended("earlier", 1.0, "accepted")


def _priced() -> dict[str, Any]:
    money = {"price_per_hour": 0.5, "price_date": "2026-10-01", "currency": "USD"}
    steps = [step("Train", 0, 3600, bill=bill(3600, cost=1.0, **money))]
    summed = {"cost": 1.0, "currency": "USD", "price_date": "2026-10-01", "instance_seconds": 7200.0}
    return {"steps": steps, **summed}


def _compared() -> dict[tuple[str, str], Any]:
    """A training, and a comparison after it, whose task comes first by its name."""
    later = FIRST + timedelta(hours=2)
    compared = record("compared", started=later.isoformat(), ended=(later + timedelta(minutes=1)).isoformat())
    return {(WAIT, "execution"): record("trained"), (f"compare_with_champion.{WAIT}", "execution"): compared}


def _seen() -> dict[str, Any]:
    return step("AbaloneProcess", 0, 8, type="Processing")


def _history(number: int) -> SeededRun:
    verdict = "rejected" if number % 5 == 0 else "accepted"
    return SeededRun("history", f"run-{number}", number, xcoms=ended(f"h{number}", 4 + number % 4, verdict))
