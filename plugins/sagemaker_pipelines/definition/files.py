"""Read what a definition is stored as: a compiled envelope, or a plain document of SageMaker.

A plain document is what the SDK's ``pipeline.definition()`` returns, or DescribePipeline's answer, in which
the definition is text: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribePipeline.html.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sagemaker_pipelines.definition.document import iter_steps
from sagemaker_pipelines.definition.lint_parameters import lint_parameters
from sagemaker_pipelines.definition.problem import Problem
from sagemaker_pipelines.exceptions import DefinitionError, InvalidDefinitionError
from sagemaker_pipelines.reading import parse_portable_json

ENVELOPE_KEY = "envelope_version"
_ANSWER_KEY = "PipelineDefinition"
_EXPECTED = (
    "expected a definition (what pipeline.definition() returns), the answer of `aws sagemaker "
    "describe-pipeline`, or an envelope that `sagemaker-pipelines compile` or `adopt` wrote"
)


@dataclass(frozen=True)
class PlainDocument:
    """A definition that is not in an envelope.

    :param definition: the definition as parsed JSON.
    :param description: what the pipeline does, as deployed; may be empty.
    :param role_arn: the pipeline's role, if the document names it.
    """

    definition: dict[str, Any]
    description: str = ""
    role_arn: str | None = None


def read_document(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file, which may be stored as text in a JSON string.

    :raises DefinitionError: the file cannot be read, or contains something else.
    """
    try:
        document = parse_portable_json(path.read_bytes())
        # json.dump(pipeline.definition(), file) writes a string, because definition() returns one.
        if isinstance(document, str):
            document = parse_portable_json(document)
    except OSError as error:
        present = ", ".join(sorted(file.name for file in path.parent.glob("*.json"))) or "no definition"
        raise DefinitionError(
            f"{path} cannot be read ({error.strerror}). Its folder contains {present}. Name one of these, "
            "or write it with `sagemaker-pipelines compile` or `adopt`."
        ) from error
    except ValueError as error:
        raise DefinitionError(f"{path} is not JSON ({error}); {_EXPECTED}. Write it again.") from error
    if not isinstance(document, dict):
        raise DefinitionError(f"{path} contains a {type(document).__name__}; {_EXPECTED}. Write it again.")
    return document


def plain_document(document: Mapping[str, Any], path: Path) -> PlainDocument:
    """Return the definition in a document that is not an envelope.

    :param document: the JSON object in the file.
    :param path: the file, for messages.
    :raises DefinitionError: it is neither a definition nor DescribePipeline's answer.
    """
    if _ANSWER_KEY not in document:
        return PlainDocument(_checked(document, path))
    definition = document[_ANSWER_KEY]
    if isinstance(definition, str):
        try:
            definition = parse_portable_json(definition)
        except ValueError as error:
            raise DefinitionError(
                f"{path} has a {_ANSWER_KEY} that is not JSON ({error}). Write the file again with `aws "
                "sagemaker describe-pipeline`, or correct it."
            ) from error
    description, role = (document.get(key) or "" for key in ("PipelineDescription", "RoleArn"))
    if not isinstance(description, str) or not isinstance(role, str):
        raise DefinitionError(
            f"{path} has the PipelineDescription {description!r} and the RoleArn {role!r}, expected text. "
            "Write the file again with `aws sagemaker describe-pipeline`, or correct it."
        )
    return PlainDocument(_checked(definition, path), description, role or None)


def _checked(definition: Any, path: Path) -> dict[str, Any]:
    """Return the definition if all that is read of it when a DAG is parsed has its form."""
    if not isinstance(definition, dict) or "Steps" not in definition:
        seen = f"the keys {', '.join(definition)}" if isinstance(definition, dict) else repr(definition)
        raise DefinitionError(
            f"{path} contains no definition: it has {seen[:200]}, but no Steps; {_EXPECTED}. Name another "
            "file, or write this one again."
        )
    problems = [*lint_parameters(definition), *_lint_steps(definition)]
    if problems:
        raise InvalidDefinitionError(str(path), [str(problem) for problem in problems])
    return definition


def _lint_steps(definition: Mapping[str, Any]) -> Iterator[Problem]:
    for step in iter_steps(definition):
        name = step.get("Name")
        if not isinstance(name, str) or not isinstance(step.get("Type"), str):
            yield Problem(
                None, f"a step has the Name {name!r} and the Type {step.get('Type')!r}", "make both text"
            )
        elif not isinstance(step.get("Arguments"), dict):
            yield Problem(name, f"its Arguments are {step.get('Arguments')!r:.80}", "make them an object")


def annotations_path(path: Path) -> Path:
    """Return the optional file of a plain definition's annotations: ``x.parameters.toml`` for ``x.json``."""
    return path.with_name(f"{path.stem}.parameters.toml")


def read_annotations(path: Path) -> dict[str, Any]:
    """Return the annotations of a plain definition's parameters; empty if it has no file with them.

    :param path: the definition's file.
    :raises DefinitionError: the file with the annotations is not TOML.
    """
    toml = annotations_path(path)
    try:
        return tomllib.loads(toml.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise DefinitionError(f"{toml} is not TOML ({error}). Correct it, or remove it.") from error
