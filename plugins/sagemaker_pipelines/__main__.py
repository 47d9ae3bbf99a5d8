"""``python -m sagemaker_pipelines``."""

from __future__ import annotations

import os


def main() -> None:
    """Run the command line."""
    # Airflow reads this when a hook is first imported. Its hooks log every lookup of credentials.
    os.environ.setdefault("AIRFLOW__LOGGING__LOGGING_LEVEL", "WARNING")
    from sagemaker_pipelines.cli.account import leave_no_airflow_behind

    leave_no_airflow_behind()
    from sagemaker_pipelines.cli import app

    app(prog_name="sagemaker-pipelines")


if __name__ == "__main__":
    main()
