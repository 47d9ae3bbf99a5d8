"""Check a request against the service's own model; the messages are the ones that AWS sends."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from sagemaker_local_runtime.exceptions import AwsError, ValidationError
from sagemaker_local_runtime.service_model import operation
from sagemaker_pipelines.definition.constraints import broken_constraint

#: Raises AwsError if a part of a request is refused.
Check = Callable[[], object]

_JSON_TYPES: dict[str, tuple[str, tuple[type, ...]]] = {
    "string": ("String", (str,)),
    "integer": ("Integer", (int,)),
    "long": ("Long", (int,)),
    "float": ("Float", (int, float)),
    "double": ("Double", (int, float)),
    "boolean": ("Boolean", (bool,)),
    "list": ("List", (list,)),
    "map": ("Map", (dict,)),
    "structure": ("Structure", (dict,)),
    "timestamp": ("Timestamp", (int, float, str)),
    "blob": ("Blob", (str,)),
}
# AWS reports only the first violations; a limit also keeps a hostile request from making a huge answer.
_MAX_VIOLATIONS = 10
_MAX_SHOWN = 1024


def read_json(text: str | bytes) -> Any:
    """Return the value of a JSON text.

    :raises ValueError: it is not JSON, or has ``NaN`` or ``Infinity``, which only Python accepts.
    :raises RecursionError: it is nested too deeply.
    """
    return json.loads(text, parse_constant=_refuse_constant)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def validate(action: str, request: Any, service: str = "sagemaker") -> dict[str, Any]:
    """Return the request if it fits the action's input shape; members that AWS does not know are dropped.

    :param action: an action of the service.
    :param request: the JSON document that was sent.
    :param service: by default SageMaker.
    :raises AwsError: SerializationException, if a value has the wrong JSON type.
    :raises ValidationError: a required member is missing, or a constraint is broken.
    """
    model = operation(action, service)
    if model is None or model.input_shape is None:
        return dict(request) if isinstance(request, dict) else {}
    if not isinstance(request, dict):
        raise AwsError("Start of structure or map found where not expected.", code="SerializationException")
    checked: dict[str, Any] = _convert(model.input_shape, request, action)
    violations = []
    for violation in _violations(model.input_shape, checked, ""):
        violations.append(violation)
        if len(violations) == _MAX_VIOLATIONS:
            break
    if violations:
        count = f"{len(violations)} validation error{'s' if len(violations) > 1 else ''} detected"
        raise ValidationError(f"{count}: {'; '.join(violations)}")
    return checked


def _convert(shape: Any, value: Any, where: str) -> Any:
    """Check the JSON type, and drop members that are null or unknown."""
    kind = str(shape.type_name)
    name, types = _JSON_TYPES[kind]
    if not isinstance(value, types) or (isinstance(value, bool) and name != "Boolean"):
        raise AwsError(
            f"{_json_name(value)} can not be converted to a {name} at {where}", code="SerializationException"
        )
    item: Any = value
    if kind == "structure":
        known = {k: v for k, v in item.items() if k in shape.members and v is not None}
        return {k: _convert(shape.members[k], v, k) for k, v in known.items()}
    if kind == "list":
        return [_convert(shape.member, member, where) for member in item]
    if kind == "map":
        return {k: _convert(shape.value, member, where) for k, member in item.items()}
    return item


def _violations(shape: Any, value: Any, path: str) -> Iterator[str]:
    """Yield AWS's message for each broken constraint, depth first."""
    if shape.type_name == "structure":
        for name in shape.required_members:
            if name not in value:
                yield _text(None, _member(path, name), "Member must not be null")
        for name, item in value.items():
            yield from _violations(shape.members[name], item, _member(path, name))
        return
    yield from _constraint(shape, value, path)
    if shape.type_name == "list":
        for index, item in enumerate(value, 1):
            yield from _violations(shape.member, item, f"{path}.{index}.member")
    elif shape.type_name == "map":
        for key, item in value.items():
            yield from _violations(shape.key, key, f"{path}.{key[:64]}.key")
            yield from _violations(shape.value, item, f"{path}.{key[:64]}.member")


def _constraint(shape: Any, value: Any, path: str) -> Iterator[str]:
    """Yield the broken constraint of one value: range, length, enum or pattern."""
    broken = broken_constraint(shape, value)
    if broken is None:
        return
    if broken.kind == "enum":
        constraint = f"Member must satisfy enum value set: [{', '.join(broken.limit)}]"
    elif broken.kind == "pattern":
        constraint = f"Member must satisfy regular expression pattern: {broken.limit}"
    else:
        order = "greater" if broken.kind == "min" else "less"
        constraint = f"Member must have {broken.noun} {order} than or equal to {broken.limit}"
    yield _text(value, path, constraint)


def _text(value: Any, path: str, constraint: str) -> str:
    shown = "null" if value is None else f"'{_shown(value)}'"
    return f"Value {shown} at '{path}' failed to satisfy constraint: {constraint}"


def _shown(value: Any) -> str:
    text = f"[{', '.join(map(_shown, value[:20]))}]" if isinstance(value, list) else str(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."


def _member(path: str, name: str) -> str:
    """Return the path of a member as AWS spells it: lower camel case."""
    member = name[:1].lower() + name[1:]
    return f"{path}.{member}" if path else member


def _json_name(value: Any) -> str:
    if isinstance(value, bool):
        return "TRUE_VALUE" if value else "FALSE_VALUE"
    if isinstance(value, str):
        return "STRING_VALUE"
    if isinstance(value, (int, float)):
        return "NUMBER_VALUE"
    return "Start of list" if isinstance(value, list) else "Start of structure or map"
