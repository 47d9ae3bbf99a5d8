"""The IAM policies in ``docs/iam/``: what each role may do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stack.settings import ROOT

POLICIES = ROOT / "docs" / "iam"


def statements(name: str, *, folder: Path = POLICIES) -> Iterator[dict[str, Any]]:
    """Return the statements of one policy, ``Action`` and ``Resource`` always as lists.

    :param name: the file's stem, such as ``"airflow"``.
    :param folder: where the files are.
    """
    document = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    for statement in document["Statement"]:
        for key in ("Action", "Resource"):
            value = statement.get(key, [])
            statement[key] = [value] if isinstance(value, str) else value
        yield statement


def allowed_actions(name: str, *, folder: Path = POLICIES) -> set[str]:
    """Return the actions that a policy allows, such as ``"sagemaker:StartPipelineExecution"``.

    An action counts also where the policy denies it for some of the resources.

    :param name: the file's stem.
    :param folder: where the files are.
    """
    return {
        action
        for statement in statements(name, folder=folder)
        if statement["Effect"] == "Allow"
        for action in statement["Action"]
    }
