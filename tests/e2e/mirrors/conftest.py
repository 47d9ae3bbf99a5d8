"""A stack of its own for the mirrors: the tests fail, stop and kill what they show."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sagemaker_local_runtime.images.ports import free_port
from sagemaker_local_runtime.settings import Settings
from sagemaker_local_runtime.testing_client import Endpoint
from stack.lifecycle import Stack
from stack.settings import StackSettings
from tests.e2e.crash.harness import ENDED, SOON, Harness
from tests.e2e.mirrors import step_types
from tests.e2e.mirrors.pipeline import write
from tests.waiting import PATIENT

DAG_IDS = ("mirrored", "tolerant", "selective", "tuned", "judged")


class MirrorStack(Harness):
    """An Airflow with the mirrored DAGs.

    :param folder: everything it writes.
    """

    def __init__(self, folder: Path) -> None:
        dags = folder / "dags"
        shutil.copytree(Path(__file__).parent / "dags", dags)
        self.folder = folder
        self.settings = StackSettings(
            state_dir=folder / "stack", airflow_port=free_port(), runtime_port=free_port(), dags_folder=dags
        )
        queue = f"{self.settings.runtime_url}/{self.settings.account_id}/hold"
        write(dags / "mirrored.json", queue)
        write(dags / "tolerant.json", queue, reports=True)
        # Airflow reads archives in its folder, too.
        (dags / ".airflowignore").write_text("definitions/\n")
        (dags / "definitions").mkdir()
        step_types.write(dags / "definitions" / "tuned.json", step_types.BEST)
        step_types.write(dags / "definitions" / "judged.json", step_types.SCORE)
        self._env = {**SOON, **PATIENT}
        self.stack = Stack(self.settings, extra_env=self._env)
        self.api = self.stack.api
        self.endpoint = Endpoint(self.settings.runtime_url, Settings(data_dir=self.settings.runtime_data_dir))
        self.sagemaker = self.endpoint.client("sagemaker", retries=3)
        self._orphaned_groups: list[int] = []
        self._count = 0

    def up(self) -> MirrorStack:
        self.stack.up()
        try:
            self.endpoint.client("sqs").create_queue(QueueName="hold")
            self.until(lambda: set(DAG_IDS) <= set(self.api.dag_ids()), "the DAG file to be read")
            assert not self.api.import_errors()
            for dag_id in DAG_IDS:
                self.api.unpause(dag_id)
        except BaseException:
            self.close()
            raise
        return self

    def start_run(self, dag_id: str = "mirrored", **conf: Any) -> str:
        """Start a run; nothing comes from the cache, unless the test gives a marker of its own."""
        self._count += 1
        if dag_id not in ("tuned", "judged"):
            conf = {"Marker": str(self.folder / f"marker-{self._count}"), **conf}
        return self.api.trigger(dag_id, conf, run_id=f"run-{self._count}")

    def arn(self, dag_id: str, run_id: str) -> str:
        return str(self.until(lambda: self.api.xcom(dag_id, run_id, "start_pipeline"), f"{run_id} to start"))

    def is_watched(self, run_id: str) -> bool:
        """Return whether the triggers of the wait and of the first mirror have seen the step."""
        logs = (self.settings.airflow_home / "logs").glob(
            f"dag_id=*/run_id={run_id}/task_id=*/*.trigger.*.log"
        )
        seen = {path.parent.name for path in logs if "Step Work: Executing" in path.read_text()}
        return seen >= {"task_id=wait_for_pipeline", "task_id=steps.Work"}

    def until_step(self, arn: str, step: str, status: str = "Executing") -> None:
        self.until(
            lambda: self.endpoint.steps(arn).get(step, {}).get("StepStatus") == status, f"{step} {status}"
        )

    def until_task(self, dag_id: str, run_id: str, task_id: str, state: str) -> None:
        self.until(lambda: self.task(dag_id, run_id, task_id)["state"] == state, f"{task_id} {state}")

    def ended(self, dag_id: str, run_id: str) -> str:
        """Return the state of a run that has ended by itself."""

        def state() -> str | None:
            found = str(self.api.run(dag_id, run_id)["state"])
            return found if found in ENDED else None

        return str(self.until(state, f"{run_id} to end"))

    def mirrors(self, dag_id: str, run_id: str) -> dict[str, str]:
        """Return the state of each mirror; none has used a worker."""
        tasks = {task["task_id"]: task for task in self.api.task_instances(dag_id, run_id)}
        mirrors = {
            task_id.removeprefix("steps."): task
            for task_id, task in tasks.items()
            if task_id.startswith("steps.") and task_id != "steps.steps_ended"
        }
        assert {task["hostname"] for task in mirrors.values()} <= {"", None}
        return {name: task["state"] for name, task in mirrors.items()}


@pytest.fixture(scope="package")
def mirrors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MirrorStack]:
    stack = MirrorStack(tmp_path_factory.mktemp("mirrors")).up()
    yield stack
    stack.close()


@pytest.fixture(autouse=True)
def _whole(mirrors: MirrorStack) -> None:
    mirrors.repair()
