#!/usr/bin/env bash
# Runs on every component of an MWAA environment before requirements.txt is installed. If Airflow is too old, it
# stops here with the reason in its log, and not later with an import error in every DAG.
python3 - <<'PYTHON' || exit 1
import re
from importlib.metadata import version

installed = version("apache-airflow")
if tuple(int(number) for number in re.findall(r"\d+", installed)[:2]) < (3, 3):
    raise SystemExit(
        f"sagemaker_pipelines needs Apache Airflow 3.3 or newer, and this environment has {installed}. "
        "Update the environment to an MWAA version with Airflow 3.3 or newer."
    )
PYTHON
