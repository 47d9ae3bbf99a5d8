#!/usr/bin/env bash
# Before the first process of Airflow: the database's schema, and the admin's password where the API server reads it.
set -euo pipefail

airflow db migrate

umask 077
python - <<'PYTHON'
import json, os, pathlib

path = pathlib.Path(os.environ["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"])
path.write_text(json.dumps({"admin": os.environ["AIRFLOW_ADMIN_PASSWORD"]}))
PYTHON
