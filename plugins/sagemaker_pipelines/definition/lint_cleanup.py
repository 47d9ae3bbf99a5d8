"""Check which outputs a Cleanup step deletes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sagemaker_pipelines.definition.document import iter_steps, objects, value_at
from sagemaker_pipelines.definition.graph import dependencies
from sagemaker_pipelines.definition.problem import Problem, name_another


def lint_cleanup(name: str, own: Mapping[str, Any], definition: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield the problems of the sources of one Cleanup step.

    :param name: the step's name.
    :param own: the step.
    :param definition: the whole definition.
    """
    types = {str(step.get("Name")): step.get("Type") for step in iter_steps(definition)}
    known = [*types]
    before = [*dependencies(own)]
    for source in objects(value_at(own, "Arguments.Resources.S3")):
        wanted = source.get("StepName")
        if wanted not in known:
            yield Problem(
                name,
                f"it deletes the outputs of the step {wanted!r}, which does not exist",
                name_another({*known} - {name}),
            )
        elif wanted not in before:
            # The SDK 3.27.0 adds it (mlops/workflow/cleanup_step.py).
            yield Problem(
                name,
                f"it deletes the outputs of the step {wanted!r} without waiting for it",
                "add this step to DependsOn",
            )
        elif types[wanted] in ("Processing", "Transform") and not source.get("S3Uris"):
            # "Set `s3_uris` to delete exact objects written by a Processing or Transform step" (as above).
            yield Problem(
                name,
                f"it deletes the outputs of the {types[wanted]} step {wanted!r} without S3Uris",
                "name the objects to delete: S3CleanupSource(step, s3_uris=[...])",
            )
