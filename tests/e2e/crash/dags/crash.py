"""DAGs whose tasks stop at a chosen point of a start, so that a test can kill something exactly there.

``CRASH_OPERATORS`` chooses ours or the provider's, ``CRASH_FOLDER`` is where tasks and test meet.
"""

from __future__ import annotations

import json
import os
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.providers.amazon.aws.hooks.sagemaker import SageMakerHook
from airflow.providers.amazon.aws.operators.sagemaker import SageMakerStartPipelineOperator
from airflow.providers.amazon.aws.sensors.sagemaker import SageMakerPipelineSensor
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Context
from botocore.httpsession import URLLib3Session

from sagemaker_pipelines import (
    SageMakerApproveModelPackageOperator,
    SageMakerPipelineExecutionSensor,
    SageMakerStartPipelineExecutionOperator,
)

FOLDER = Path(os.environ["CRASH_FOLDER"])
OURS = os.environ["CRASH_OPERATORS"] == "ours"
PIPELINE = "crash"


class Gate:
    """Holds the first try of the chosen task at the chosen point, until the test opens it."""

    def __init__(self) -> None:
        self.run_id = self.point = ""
        self.writes = 0

    def arm(self, context: Context, task_id: str) -> None:
        """Read the run's conf, and tell the test which process runs this try."""
        ti, conf = context["ti"], context["dag_run"].conf or {}
        self.run_id = ti.run_id
        self.point = conf.get("point", "") if conf.get("task") == task_id else ""
        (FOLDER / f"{ti.run_id}.{task_id}.{ti.try_number}").touch()

    def pass_by(self, point: str, *, hold: bool = True) -> None:
        """Tell the test that the point is reached, and wait there if it is to be held."""
        reached = FOLDER / f"{self.run_id}.reached"
        if self.point != point or reached.exists():
            return
        partial = reached.with_suffix(".partial")
        partial.write_text(json.dumps({"task": os.getpid(), "supervisor": os.getppid()}))
        partial.rename(reached)
        while hold and not (FOLDER / f"{self.run_id}.open").exists():
            time.sleep(0.05)


GATE = Gate()
_send = URLLib3Session.send
_start_pipeline = SageMakerHook.start_pipeline


def send(self: URLLib3Session, request: Any) -> Any:
    """Pass the gate before each attempt of a call: at the second write the first answer was lost."""
    target = request.headers.get("X-Amz-Target") or ""
    action = (target.decode() if isinstance(target, bytes) else target).rpartition(".")[2]
    if action in ("StartPipelineExecution", "UpdateModelPackage"):
        GATE.writes += 1
        GATE.pass_by("before" if GATE.writes == 1 else "accepted")
    elif action == "DescribePipelineExecution":
        GATE.pass_by("waiting", hold=False)
    return _send(self, request)


def start_pipeline(self: SageMakerHook, *args: Any, **kwargs: Any) -> str:
    """Pass the gate after the provider's hook has the answer."""
    arn: str = _start_pipeline(self, *args, **kwargs)
    GATE.pass_by("answered")
    return arn


URLLib3Session.send = send
if not OURS:
    SageMakerHook.start_pipeline = start_pipeline  # type: ignore[method-assign] # no seam is nearer


class OurStart(SageMakerStartPipelineExecutionOperator):
    """Ours, with the gate."""

    def execute(self, context: Context) -> Any:
        """Arm the gate first."""
        GATE.arm(context, self.task_id)
        return super().execute(context)

    def begin_wait(self, context: Context, pipeline_execution_arn: str, *, is_retry: bool = False) -> None:
        """Pass the gate before the ARN goes to XCom."""
        GATE.pass_by("answered")
        super().begin_wait(context, pipeline_execution_arn, is_retry=is_retry)


class OurWait(SageMakerPipelineExecutionSensor):
    """Ours, with the gate."""

    def execute(self, context: Context) -> Any:
        """Arm the gate first."""
        GATE.arm(context, self.task_id)
        return super().execute(context)


class OurApproval(SageMakerApproveModelPackageOperator):
    """Ours, with the gate, when it asks and when it is answered."""

    def execute(self, context: Context) -> Any:
        """Arm the gate first."""
        GATE.arm(context, self.task_id)
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Arm the gate first."""
        GATE.arm(context, self.task_id)
        return super().execute_complete(context, event)


class ProviderStart(SageMakerStartPipelineOperator):
    """The provider's, with the gate."""

    def execute(self, context: Context) -> Any:
        """Arm the gate first."""
        GATE.arm(context, self.task_id)
        return super().execute(context)


class ProviderWait(SageMakerPipelineSensor):
    """The provider's, with the gate."""

    def execute(self, context: Context) -> Any:
        """Arm the gate first."""
        GATE.arm(context, self.task_id)
        return super().execute(context)


# Long beside the time until a task waits, on a busy machine too.
TIMEOUT = timedelta(seconds=90)
RETRIES: dict[str, Any] = {"retries": 2, "retry_delay": timedelta(seconds=1)}


def start(**kwargs: Any) -> Any:
    """Return the start task; its execution is named after the run."""
    kind = OurStart if OURS else ProviderStart
    arguments = {
        "pipeline_name": PIPELINE,
        "display_name": "{{ run_id }}",
        "check_interval": 2,
        # It runs when Airflow knows of the success.
        "on_success_callback": lambda _: GATE.pass_by("reported"),
    }
    return kind(task_id="start", **{**RETRIES, **arguments, **kwargs})


def wait(**kwargs: Any) -> Any:
    """Return the wait task."""
    kind: Any = OurWait if OURS else ProviderWait
    if not OURS:
        del kwargs["deferrable"]  # the provider's sensor holds a worker always
    arguments = {"pipeline_exec_arn": "{{ ti.xcom_pull(task_ids='start') }}", "poke_interval": 2}
    return kind(task_id="wait", **{**RETRIES, **arguments, **kwargs})


def dag(dag_id: str, **kwargs: Any) -> DAG:
    """Return an empty DAG that only tests start."""
    return DAG(dag_id=dag_id, schedule=None, is_paused_upon_creation=False, **kwargs)


with dag("sensor_sync"):
    start() >> wait(deferrable=False)
with dag("operator_sync"):
    EmptyOperator(task_id="sibling")
    start(wait_for_completion=True, deferrable=False)
with dag("operator_deferred"):
    start(wait_for_completion=True, deferrable=True)
if OURS:
    with dag("sensor_deferred"):
        start() >> wait(deferrable=True)
    with dag("dagrun_timeout_deferred", dagrun_timeout=TIMEOUT):
        start() >> wait(deferrable=True)
    with dag("dagrun_timeout_sync", dagrun_timeout=TIMEOUT):
        start() >> wait(deferrable=False)
    with dag("timeout_sync"):
        start() >> wait(deferrable=False, timeout=TIMEOUT.total_seconds())
    with dag("timeout_deferred"):
        start() >> wait(deferrable=True, timeout=TIMEOUT.total_seconds())
    with dag("keep_sync"):
        start() >> wait(deferrable=False, stop_on_kill=False)
    with dag("keep_deferred"):
        start() >> wait(deferrable=True, stop_on_kill=False)
    with dag("approval"):
        OurApproval(task_id="approve", model_package_arn="{{ dag_run.conf.package }}", **RETRIES)
