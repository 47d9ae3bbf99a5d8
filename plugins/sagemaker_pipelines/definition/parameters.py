"""Parameters of a definition, and their values for one start.

SageMaker expects every value as a string of at most 1,024 characters:
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_Parameter.html.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sagemaker_pipelines.definition.placeholders import has_placeholder
from sagemaker_pipelines.exceptions import ParameterError
from sagemaker_pipelines.reading import finite_number, whole_number

TYPES = ("String", "Integer", "Float", "Boolean")
MAX_VALUE_LENGTH = 1024
MAX_PARAMETERS = 200
#: Replaces a secret in messages.
MASK = "***"


@dataclass(frozen=True)
class Parameter:
    """A parameter of a definition.

    :param name: its name, as passed at a start.
    :param type: ``String``, ``Integer``, ``Float`` or ``Boolean``.
    :param default: its default, or None if a start must give a value.
    :param enum_values: the only values allowed, or None.
    :param description: what it is for, or None.
    :param section: its section in the trigger form, or None.
    :param pattern: regular expression that a whole String must match, or None.
    :param minimum: the smallest Integer or Float allowed, or None.
    :param maximum: the largest Integer or Float allowed, or None.
    """

    name: str
    type: str
    default: str | int | float | bool | None = None
    enum_values: tuple[str, ...] | None = None
    description: str | None = None
    section: str | None = None
    pattern: str | None = None
    minimum: float | None = None
    maximum: float | None = None

    @property
    def has_placeholder_default(self) -> bool:
        """Whether the default contains a placeholder, so that only an upsert fills it in."""
        return has_placeholder(self.default)


def parameters_of(definition: Mapping[str, Any]) -> tuple[Parameter, ...]:
    """Return the parameters that a definition declares, in the same order."""
    return tuple(
        Parameter(
            name=declared["Name"],
            type=declared["Type"],
            default=declared.get("DefaultValue"),
            enum_values=tuple(declared["EnumValues"]) if declared.get("EnumValues") else None,
        )
        for declared in definition.get("Parameters", ())
    )


def check_parameters(
    parameters: Iterable[Parameter],
    values: Mapping[str, object],
    *,
    is_secret: Callable[[str], bool] = lambda name: False,
) -> dict[str, str]:
    """Return the values for one start as the strings that SageMaker expects.

    A string that spells a value of the parameter's type is accepted, because templates yield strings.
    None means the default; so does an empty string if the default is a placeholder.

    :param parameters: what the definition declares.
    :param values: name to value; parameters that are left out have their defaults.
    :param is_secret: whether messages must mask the value of a name; by default they show all values.
    :return: name to string, for the values that have to be sent.
    :raise ParameterError: the message names every unknown name, missing value and unsuitable value.
    """
    declared = {parameter.name: parameter for parameter in parameters}
    problems = [_unknown(name, declared) for name in values if name not in declared]
    strings: dict[str, str] = {}
    for parameter in declared.values():
        value = values.get(parameter.name)
        if value is None or (value == "" and parameter.has_placeholder_default):
            if parameter.default is None:
                problems.append(
                    f"{parameter.name} has no value and no default: give it a value of type {parameter.type}."
                )
            continue
        try:
            strings[parameter.name] = as_string(parameter, value, is_secret=is_secret(parameter.name))
        except ParameterError as error:
            problems.append(str(error))
    if problems:
        raise ParameterError(" ".join(problems))
    return strings


def as_string(parameter: Parameter, value: object, *, is_secret: bool = False) -> str:
    """Return one value as the string that SageMaker expects for a parameter.

    :param is_secret: whether messages must mask the value, default False.
    :raise ParameterError: when the value has the wrong type, is too long, is not in the enum, is out of
        range, or does not match the pattern.
    """
    text = _SPELLINGS[parameter.type](value) if parameter.type in _SPELLINGS else None
    shown = _shown(value, is_secret)
    if text is None:
        raise ParameterError(
            f"{parameter.name} is {shown}, expected {_EXPECTED.get(parameter.type, parameter.type)}."
        )
    if len(text) > MAX_VALUE_LENGTH:
        raise ParameterError(
            f"{parameter.name} is {len(text)} characters long ({shown}), "
            f"SageMaker accepts at most {MAX_VALUE_LENGTH}: pass the S3 URI of a file instead."
        )
    if parameter.enum_values and text not in parameter.enum_values:
        raise ParameterError(
            f"{parameter.name} is {shown}, expected one of {', '.join(parameter.enum_values)}."
        )
    if parameter.pattern and re.fullmatch(parameter.pattern, text) is None:
        raise ParameterError(
            f"{parameter.name} is {shown}, expected text that matches {parameter.pattern}"
            f"{f' ({parameter.description})' if parameter.description else ''}."
        )
    _check_range(parameter, text, shown)
    return text


def _check_range(parameter: Parameter, text: str, shown: str) -> None:
    below = parameter.minimum is not None and float(text) < parameter.minimum
    if below or (parameter.maximum is not None and float(text) > parameter.maximum):
        bounds = [
            f"{word} {bound}"
            for word, bound in (("at least", parameter.minimum), ("at most", parameter.maximum))
            if bound is not None
        ]
        raise ParameterError(f"{parameter.name} is {shown}, expected {' and '.join(bounds)}.")


def _unknown(name: str, declared: Mapping[str, Parameter]) -> str:
    known = ", ".join(sorted(declared)) or "none"
    return f"{name} is not a parameter of this pipeline: its parameters are {known}."


def _shown(value: object, is_secret: bool) -> str:
    text = MASK if is_secret else repr(value)
    if len(text) > 80:
        text = f"{text[:77]}..."
    return f"{text} ({type(value).__name__})"


def _string(value: object) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return _integer(value) or _float(value)


def _integer(value: object) -> str | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, float):
        return str(int(value)) if math.isfinite(value) and value.is_integer() else None
    if isinstance(value, int):
        return str(value)
    return _spelled(value, whole_number)


def _float(value: object) -> str | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else None
    return _spelled(value, finite_number)


def _spelled(value: object, read: Callable[[str], object]) -> str | None:
    """Return a text without the blanks around it, if it spells a number; else None."""
    if not isinstance(value, str):
        return None
    try:
        read(value)
    except ValueError:
        return None
    return value.strip()


def _boolean(value: object) -> str | None:
    text = str(value).strip().lower() if isinstance(value, bool | str) else ""
    return text if text in {"true", "false"} else None


_SPELLINGS = {"String": _string, "Integer": _integer, "Float": _float, "Boolean": _boolean}
_EXPECTED = {
    "String": "a String (text)",
    "Integer": "an Integer (a whole number such as 3)",
    "Float": "a Float (a finite number such as 6.0)",
    "Boolean": "a Boolean (true or false)",
}
