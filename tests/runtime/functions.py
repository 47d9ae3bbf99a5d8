"""Functions of the tests, created over HTTP."""

from __future__ import annotations

import io
import zipfile
from typing import Any

from sagemaker_local_runtime.testing_client import Endpoint

ROLE = "arn:aws:iam::123456789012:role/lambda"


def archive(source: str, name: str = "handler.py") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        target.writestr(zipfile.ZipInfo(name), source)
    return buffer.getvalue()


def create_function(runtime: Endpoint, source: str, name: str = "notify", **request: Any) -> str:
    created = runtime.client("lambda").create_function(
        **{
            "FunctionName": name,
            "Runtime": "python3.12",
            "Role": ROLE,
            "Handler": "handler.run",
            "Code": {"ZipFile": archive(source)},
            **request,
        }
    )
    return str(created["FunctionArn"])
