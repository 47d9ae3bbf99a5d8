"""The environment variables that point the AWS clients of another program at a local runtime."""

from __future__ import annotations

import os
from pathlib import Path

PYTHON_PATH = Path(__file__).resolve().parent / "python_path"


def client_environment(endpoint_url: str, region: str) -> dict[str, str]:
    """Return the variables for boto3, the AWS CLI, and SDK v2 and v3.

    With any credentials, a client is the execution role of the local runtime. ``PYTHONPATH`` adds to the one
    of this process the folder of ``python_path/sagemaker_local_endpoint.py``, whose docstring says why.

    :param endpoint_url: where the local runtime listens.
    :param region: its region.
    """
    return {
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": region,
        "PYTHONPATH": with_python_path(os.environ.get("PYTHONPATH", "")),
    }


def with_python_path(folders: str) -> str:
    """Return a value of ``PYTHONPATH`` with our folder in it, once."""
    own = str(PYTHON_PATH)
    others = [folder for folder in folders.split(os.pathsep) if folder and folder != own]
    return os.pathsep.join([own, *others])
