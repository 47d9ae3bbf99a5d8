"""``python -m stack.airflow_process scheduler``: run one of Airflow's processes, and exit without delay.

Airflow's own command takes seconds longer to exit, because the interpreter frees its objects one by one, and
the triggerer sometimes ten seconds more.
"""

from __future__ import annotations

import atexit
import os
import sys
from typing import Any


def main() -> int:
    """Run Airflow's command line with the arguments of this process, and return its exit code."""
    from airflow.__main__ import main as airflow

    if "triggerer" in sys.argv:
        _notice_that_the_runner_has_ended()
    try:
        airflow()  # type: ignore[no-untyped-call]
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def _notice_that_the_runner_has_ended() -> None:
    """Let the triggerer check its child process every second while it stops, as it does while it works.

    When Airflow 3.3 stops, it waits up to ten seconds for the next output of the child. If the child closes
    its last file just before it ends, no output comes, and nothing else wakes the parent.
    """
    from airflow.jobs.triggerer_job_runner import TriggerRunnerSupervisor

    service = TriggerRunnerSupervisor._service_subprocess

    def look(self: TriggerRunnerSupervisor, max_wait_time: float, *args: Any, **kwargs: Any) -> Any:
        return service(self, min(max_wait_time, 1.0), *args, **kwargs)

    TriggerRunnerSupervisor._service_subprocess = look  # type: ignore[method-assign,assignment]


if __name__ == "__main__":
    code = main()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
