"""Show what an upsert changes in a definition."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any

from sagemaker_pipelines.definition import canonical
from sagemaker_pipelines.messages import cut

MAX_DIFF_LINES = 200
MAX_LINE_LENGTH = 500


def definition_diff(
    deployed: Mapping[str, Any], new: Mapping[str, Any], *, masked: Callable[[Any], Any]
) -> str:
    """Return a unified diff of two definitions, with secrets masked and limited in size.

    :param deployed: the definition in AWS.
    :param new: the definition that replaces it.
    :param masked: masks the secrets in JSON types.
    """
    before, after = (canonical(masked(definition)).splitlines() for definition in (deployed, new))
    lines = [
        cut(line, MAX_LINE_LENGTH)
        for line in difflib.unified_diff(before, after, "deployed", "new", lineterm="", n=2)
    ]
    if not lines:
        same = canonical(deployed) == canonical(new)
        return "only the role, description or parallelism" if same else "only values that are masked"
    shown = lines[:MAX_DIFF_LINES]
    if len(lines) > len(shown):
        shown.append(f"... {len(lines) - len(shown)} more lines")
    return "\n".join(shown)
