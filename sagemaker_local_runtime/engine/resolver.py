"""Resolve the expressions of a definition: Get, Std:Join and Std:JsonGet."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sagemaker_local_runtime.exceptions import ResolutionError
from sagemaker_pipelines.definition.json_path import value_at
from sagemaker_pipelines.definition.references import parse_reference

FUNCTIONS = frozenset({"Get", "Std:Join", "Std:JsonGet"})

# The fields by which the SDK's properties index a list in a Describe answer:
# Outputs['train'], InputDataConfig['validation'], FinalMetricDataList['train:rmse'].
NAME_FIELDS = (
    "Name",
    "OutputName",
    "InputName",
    "ChannelName",
    "MetricName",
    "InstanceGroupName",
    "CollectionName",
    "RuleConfigurationName",
    "ProfileName",
    "AlgorithmName",
)

_PART = re.compile(
    r"""
    \.?(?P<member>[A-Za-z_][\w\-]*)
    | \[(?P<index>\d+)\]
    | \['(?P<single>[^']*)'\]
    | \["(?P<double>[^"]*)"\]
    """,
    re.VERBOSE,
)


@dataclass(frozen=True, kw_only=True)
class Scope:
    """The values that the expressions of one step can refer to.

    :param parameters: the value of each pipeline parameter, of its declared type.
    :param execution: the value of each execution variable.
    :param properties: the Describe answer of every step that has succeeded.
    :param property_files: the ``PropertyFiles`` entries of every step.
    :param read: returns the content of an S3 object, given its URI.
    :param items: the item of the current iteration of a ForEach step; empty outside its body.
    """

    parameters: Mapping[str, Any]
    execution: Mapping[str, Any]
    properties: Mapping[str, Mapping[str, Any]]
    property_files: Mapping[str, list[Mapping[str, Any]]]
    read: Callable[[str], bytes]
    items: tuple[Any, ...] = ()


class Resolver:
    """Replace every expression inside a value with what it stands for.

    :param scope: the values that expressions can refer to.
    """

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def resolve(self, value: Any) -> Any:
        """Return the value with every expression replaced.

        :raises ResolutionError: an expression has no value.
        """
        if isinstance(value, Mapping):
            if len(value) == 1:
                (name,) = value
                if name == "Get":
                    return self._get(value[name])
                if name == "Std:Join":
                    return self._join(value[name])
                if name == "Std:JsonGet":
                    return self._json_get(value[name])
            return {key: self.resolve(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.resolve(item) for item in value]
        return value

    def _get(self, text: str) -> Any:
        reference = parse_reference(text)
        if reference.kind == "Parameters":
            return _member(self._scope.parameters, reference.name, text)
        if reference.kind == "Execution":
            return _member(self._scope.execution, reference.name, text)
        if reference.kind == "Steps":
            return self._step_property(reference.name, reference.rest, text)
        if reference.kind == "ForEach" and reference.name == "CurrentItem":
            return self._current_item(reference.rest, text)
        if reference.kind == "IterationOutput":
            return {
                "Get": text
            }  # the Selector of a ForEach step, which has no value before the step has ended
        raise ResolutionError(
            f"Cannot resolve {text!r}: expected Parameters., Execution. or Steps. at its start."
        )

    def _current_item(self, path: str, text: str) -> Any:
        if not self._scope.items:
            raise ResolutionError(
                f"Cannot resolve {text!r}: it has a value only in the body of a ForEach step."
            )
        (item,) = self._scope.items
        if not path:
            return as_text(item) if isinstance(item, (dict, list)) else item
        if isinstance(item, str):
            try:
                item = json.loads(item)
            except ValueError as error:
                raise ResolutionError(
                    f"Cannot resolve {text!r}: the item {item!r} is not a JSON document ({error})."
                ) from error
        return walk(item, path, text)

    def _step_property(self, step: str, path: str, text: str) -> Any:
        if step not in self._scope.properties:
            raise ResolutionError(
                f"Cannot resolve {text!r}: step {step!r} has not succeeded in this execution."
            )
        return walk(self._scope.properties[step], path, text)

    def _join(self, arguments: Mapping[str, Any]) -> str:
        return str(arguments.get("On", "")).join(
            as_text(self.resolve(v)) for v in arguments.get("Values", ())
        )

    def _json_get(self, arguments: Mapping[str, Any]) -> Any:
        uri = self.resolve(arguments["S3Uri"]) if "S3Uri" in arguments else self._property_file(arguments)
        try:
            document = json.loads(self._scope.read(uri))
        except (UnicodeDecodeError, json.JSONDecodeError) as error:
            raise ResolutionError(f"Cannot read {uri}: it is not a JSON document ({error}).") from error
        return json_path_value(document, str(arguments["Path"]), uri)

    def _property_file(self, arguments: Mapping[str, Any]) -> str:
        text = str(arguments["PropertyFile"]["Get"])
        reference = parse_reference(text)
        for entry in self._scope.property_files.get(reference.name, []):
            if entry.get("PropertyFileName") == reference.property_file:
                path = f".ProcessingOutputConfig.Outputs['{entry['OutputName']}'].S3Output.S3Uri"
                prefix = str(self._step_property(reference.name, path, text))
                return f"{prefix.rstrip('/')}/{str(entry['FilePath']).lstrip('/')}"
        raise ResolutionError(f"Cannot resolve {text!r}: the step declares no such property file.")


def walk(value: Any, path: str, reference: str) -> Any:
    """Follow ``.A['b'][0].C`` into a Describe answer.

    :param value: where to start.
    :param path: the members and indices.
    :param reference: the whole expression, for the error message.
    :raises ResolutionError: the path does not fit the value.
    """
    position = 0
    while position < len(path):
        match = _PART.match(path, position)
        if match is None:
            raise ResolutionError(
                f"Cannot resolve {reference!r}: {path[position:]!r} is not a property path."
            )
        position = match.end()
        value = _element(value, match, reference)
    return value


def _element(value: Any, match: re.Match[str], reference: str) -> Any:
    index = match["index"]
    if index is not None and isinstance(value, list):
        if int(index) < len(value):
            return value[int(index)]
        raise ResolutionError(
            f"Cannot resolve {reference!r}: the list has {len(value)} elements, not [{index}]."
        )
    name = next(
        part for part in (match["member"], match["single"], match["double"], index) if part is not None
    )
    if isinstance(value, list):
        for element in value:
            if name in _names(element):
                return element
    return _member(value, name, reference)


def _member(value: Any, name: str, reference: str) -> Any:
    if isinstance(value, Mapping) and name in value:
        return value[name]
    if isinstance(value, Mapping):
        known = ", ".join(sorted(value)) or "nothing"
    elif isinstance(value, list):
        known = ", ".join(name for element in value for name in _names(element)) or "a list without names"
    else:
        known = type(value).__name__
    raise ResolutionError(f"Cannot resolve {reference!r}: {name!r} is not there; there is: {known}.")


def _names(element: Any) -> list[str]:
    """Return the names by which an element of a list can be indexed."""
    return (
        [element[field] for field in NAME_FIELDS if field in element] if isinstance(element, Mapping) else []
    )


def json_path_value(document: Any, path: str, source: str) -> Any:
    """Return the scalar at a path of a JSON document.

    :param source: where the document came from, for the error message.
    :raises ResolutionError: the path is malformed, or finds nothing, an object or a list.
    """
    try:
        found = value_at(document, path)
    except ValueError as error:
        raise ResolutionError(f"Invalid JSON path {path!r}: {error}") from error
    except LookupError as error:
        raise ResolutionError(
            f"The JSON path {path!r} finds nothing in {source}: {error}; correct the path, or what the step "
            "writes into the file."
        ) from error
    if isinstance(found, (dict, list)):
        raise ResolutionError(
            f"The JSON path {path!r} finds an object or a list in {source}; expected one string, number or "
            "boolean."
        )
    return found


def as_text(value: Any) -> str:
    """Return a value as text: booleans, lists and objects as JSON, everything else as Python writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value) if isinstance(value, (dict, list)) else str(value)
