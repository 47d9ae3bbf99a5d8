"""Placeholders of a compiled definition: ``${artifact_bucket}``, ``${image:xgboost}``.

They stand for values that are known only where the definition is deployed; the upsert fills them in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

PLACEHOLDER = re.compile(r"\$\{([a-z][a-z0-9_]*(?::[a-z0-9_.-]+)?)\}")

#: The placeholders whose values come from the environment; images are ``image:<name>``.
NAMES = frozenset({"account_id", "artifact_bucket", "kms_key_id", "name_prefix", "region", "role_arn"})

IMAGE_PREFIX = "image:"


def is_placeholder(name: str) -> bool:
    """Return whether a name is one of ours; other text in ``${...}`` may be a shell's variable."""
    return name in NAMES or name.startswith(IMAGE_PREFIX)


def has_placeholder(value: Any) -> bool:
    """Return whether a value is text that contains a placeholder."""
    return isinstance(value, str) and any(map(is_placeholder, PLACEHOLDER.findall(value)))


def find_placeholders(value: Any) -> set[str]:
    """Return the names in all ``${...}`` of a value, at any depth; see :func:`is_placeholder`."""
    if isinstance(value, str):
        return set(PLACEHOLDER.findall(value))
    if isinstance(value, Mapping):
        return set().union(*map(find_placeholders, value.values()))
    if isinstance(value, list):
        return set().union(*map(find_placeholders, value))
    return set()


def substitute(value: Any, values: Mapping[str, str]) -> Any:
    """Return a copy of a value with its placeholders filled in; placeholders in the new values stay."""
    if isinstance(value, str):
        return PLACEHOLDER.sub(lambda match: values.get(match[1], match[0]), value)
    if isinstance(value, Mapping):
        return {key: substitute(item, values) for key, item in value.items()}
    if isinstance(value, list):
        return [substitute(item, values) for item in value]
    return value
