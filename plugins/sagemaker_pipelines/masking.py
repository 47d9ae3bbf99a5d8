"""Mask what Airflow would mask: the only place that decides what is a secret.

The name of a value decides: Airflow's own list and its option ``[core] sensitive_var_conn_names`` define
which names are sensitive. Values that are sent to AWS are not masked.

https://airflow.apache.org/docs/apache-airflow/stable/security/secrets/mask-sensitive-values.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.providers.common.compat.sdk import redact

from sagemaker_pipelines.definition import MASK


def is_secret(name: str) -> bool:
    """Return whether Airflow masks the values of this name."""
    return bool(redact("", name))


def masked(value: Any) -> Any:
    """Return JSON types with the values of secrets masked, at any depth.

    A value's name is its key, or the ``Name`` or ``Key`` next to it, as in AWS's lists of parameters or tags.

    :param value: JSON types.
    """
    return redact(_without_named_secrets(value))


def _without_named_secrets(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_without_named_secrets(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    name = value.get("Name", value.get("Key"))
    return {
        key: MASK
        if key in ("Value", "DefaultValue") and isinstance(name, str) and is_secret(name)
        else _without_named_secrets(item)
        for key, item in value.items()
    }
