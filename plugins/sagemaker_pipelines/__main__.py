"""``python -m sagemaker_pipelines``."""

from __future__ import annotations

import os
import sys
import warnings


def main() -> None:
    """Run the command line."""
    # Airflow reads this when a hook is first imported. Its hooks log every lookup of credentials.
    os.environ.setdefault("AIRFLOW__LOGGING__LOGGING_LEVEL", "WARNING")
    if not sys.warnoptions:
        # A user can do nothing about deprecations between Airflow and its providers. Without an option here,
        # Airflow adds filters that show them.
        sys.warnoptions.append("ignore")
        warnings.simplefilter("ignore")
    from sagemaker_pipelines.cli.account import leave_no_airflow_behind

    leave_no_airflow_behind()
    from sagemaker_pipelines.cli import app

    app(prog_name="sagemaker-pipelines")


if __name__ == "__main__":
    main()
