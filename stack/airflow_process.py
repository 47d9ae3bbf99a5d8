"""``python -m stack.airflow_process scheduler``: run one of Airflow's processes, and exit without delay.

Airflow's own command takes seconds longer to exit, because the interpreter frees its objects one by one, and
the triggerer sometimes ten seconds more.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import time
from importlib import import_module
from threading import Timer
from types import SimpleNamespace
from typing import Any

LOOK_SECONDS = 0.3
CLEAN_SECONDS = 2.0
EXIT_AGAIN_SECONDS = 0.1


def main() -> int:
    """Run Airflow's command line with the arguments of this process, and return its exit code."""
    from airflow.__main__ import main as airflow

    sys.unraisablehook = exit_again
    if "triggerer" in sys.argv:
        _hurry_the_triggerer()
    elif {"scheduler", "dag-processor"} & set(sys.argv):
        _import_for_the_forks()
    try:
        airflow()  # type: ignore[no-untyped-call]
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def exit_again(ignored: sys.UnraisableHookArgs) -> None:
    """Repeat a SIGTERM whose handler has raised SystemExit where Python ignores exceptions.

    Airflow's handlers do so wherever the signal finds them, also in the callback of a weak reference.
    """
    sys.__unraisablehook__(ignored)
    if ignored.exc_type is SystemExit:
        # Later, since this is still inside of the callback.
        Timer(EXIT_AGAIN_SECONDS, os.kill, (os.getpid(), signal.SIGTERM)).start()


def _import_for_the_forks() -> None:
    """Import what every task and every DAG file imports, because each of them runs in a fork."""
    import sagemaker_pipelines

    for module in ("boto3", "airflow.sdk.execution_time.task_runner"):
        import_module(module)
    for name in sagemaker_pipelines.__all__:
        getattr(sagemaker_pipelines, name)


def _hurry_the_triggerer() -> None:
    """Let the triggerer look for news more often than once a second, and build its API before it starts.

    A trigger's way through the triggerer takes three of its looks, so that a mirror whose step has ended took
    3 s. It builds the API, for seconds, when the first trigger asks for something. And when Airflow 3.3
    stops, it waits up to ten seconds for the next output of its child: if the child closes its last file just
    before it ends, no output comes, and nothing else wakes the parent.
    """
    module: Any = import_module("airflow.jobs.triggerer_job_runner")
    supervisor = module.TriggerRunnerSupervisor
    run, service, clean = supervisor.run, supervisor._service_subprocess, supervisor.clean_unused
    cleaned = time.monotonic()

    def build_and_run(self: Any) -> None:
        self.client.get("health")
        run(self)

    def look(self: Any, max_wait_time: float, *args: Any, **kwargs: Any) -> Any:
        return service(self, min(max_wait_time, LOOK_SECONDS), *args, **kwargs)

    def clean_seldom(self: Any) -> None:
        # It writes, even if there is nothing to clean, and SQLite has one writer.
        nonlocal cleaned
        if time.monotonic() - cleaned >= CLEAN_SECONDS:
            clean(self)
            cleaned = time.monotonic()

    supervisor.run, supervisor._service_subprocess = build_and_run, look
    supervisor.clean_unused = clean_seldom
    # All that its child uses of anyio.
    anyio = module.anyio
    module.anyio = SimpleNamespace(
        Event=anyio.Event, move_on_after=lambda _: anyio.move_on_after(LOOK_SECONDS)
    )


if __name__ == "__main__":
    code = main()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
