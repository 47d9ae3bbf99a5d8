"""An Airflow connection to the local runtime, and the calls that were made with it."""

from __future__ import annotations

import json

from sagemaker_local_runtime.testing import RuntimeProcess


def connection(runtime: RuntimeProcess, access_key: str) -> str:
    """Return the value of ``AIRFLOW_CONN_AWS_DEFAULT``.

    :param runtime: the endpoint.
    :param access_key: the access key, by which the runtime counts calls.
    """
    account = {"artifact_bucket": runtime.bucket, "role_arn": runtime.role_arn}
    extra = {
        "region_name": "us-east-1",
        "endpoint_url": runtime.endpoint_url,
        "service_config": {"sagemaker": account},
    }
    return json.dumps({"conn_type": "aws", "login": access_key, "password": "any", "extra": extra})


def calls(runtime: RuntimeProcess, access_key: str) -> dict[str, int]:
    """Return how often each action was called with an access key."""
    counts: dict[str, int] = runtime._control("GET", "calls")["by_access_key"].get(access_key, {})
    return counts
