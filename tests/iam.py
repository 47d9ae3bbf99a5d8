"""The IAM policies in ``docs/iam/``: what each role may do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sagemaker_pipelines.cli import policy
from stack.settings import ROOT

POLICIES = ROOT / "docs" / "iam"


def statements(name: str, *, folder: Path = POLICIES) -> Iterator[dict[str, Any]]:
    """Return the statements of one policy, such as ``"airflow"``."""
    return policy.statements(folder / f"{name}.json")


def allowed_actions(name: str, *, folder: Path = POLICIES) -> set[str]:
    """Return the actions that a policy allows, such as ``"sagemaker:StartPipelineExecution"``.

    An action also counts if the policy denies it for some of the resources.
    """
    return {
        action
        for statement in statements(name, folder=folder)
        if statement["Effect"] == "Allow"
        for action in statement["Action"]
    }
