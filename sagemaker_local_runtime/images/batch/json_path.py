"""The JSONPath subset of batch transform's filters.

https://docs.aws.amazon.com/sagemaker/latest/dg/batch-transform-data-processing.html
"""

from __future__ import annotations

import re
from typing import Any

from sagemaker_local_runtime.images.exceptions import UserInputError

_PART = re.compile(
    r"""\.(?P<name>[A-Za-z_][\w-]*)            # .name
      | \.?\[(?P<quoted>\s*(?:'[^']*'|"[^"]*")(?:\s*,\s*(?:'[^']*'|"[^"]*"))*\s*)\]  # ['a','b']
      | \[(?P<slice>\s*-?\d*\s*:\s*-?\d*\s*(?::\s*-?\d*\s*)?)\]  # [1:], [:-1], [0:4:2]
      | \[(?P<indices>\s*-?\d+(?:\s*,\s*-?\d+)*\s*)\]            # [0], [0,4]
      | (?P<all>\.\*|\[\*\])                   # .* and [*]""",
    re.VERBOSE,
)
_QUOTED = re.compile(r"'([^']*)'|\"([^\"]*)\"")


class JsonPath:
    """A compiled filter.

    :param text: such as ``$``, ``$[1:]``, ``$.features``, ``$['id','SageMakerOutput']``.
    :raises UserInputError: it is outside the subset.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._parts: list[re.Match[str]] = []
        if not text.startswith("$"):
            raise UserInputError(f"Invalid JSONPath {text!r}: expected $ at the beginning.")
        position = 1
        while position < len(text):
            part = _PART.match(text, position)
            if part is None:
                raise UserInputError(f"Invalid JSONPath {text!r}: {text[position:]!r} is not supported.")
            self._parts.append(part)
            position = part.end()

    @property
    def is_identity(self) -> bool:
        """Whether it selects the whole value."""
        return not self._parts

    def apply(self, value: Any) -> Any:
        """Return the part of a value that the path selects.

        :raises UserInputError: the value has no such part.
        """
        for part in self._parts:
            try:
                value = _select(part, value)
            except (KeyError, IndexError, TypeError) as error:
                raise UserInputError(
                    f"The JSONPath {self.text!r} does not fit the record: {error!r}."
                ) from error
        return value


def _select(part: re.Match[str], value: Any) -> Any:
    if part["name"]:
        return value[part["name"]]
    if part["quoted"]:
        names = [single or double for single, double in _QUOTED.findall(part["quoted"])]
        return value[names[0]] if len(names) == 1 else {name: value[name] for name in names}
    if part["slice"]:
        _require_list(value)
        return value[slice(*(int(number) if number.strip() else None for number in part["slice"].split(":")))]
    if part["indices"]:
        _require_list(value)
        found = [value[int(number)] for number in part["indices"].split(",")]
        return found[0] if len(found) == 1 else found
    return list(value.values()) if isinstance(value, dict) else list(value)


def _require_list(value: Any) -> None:
    if not isinstance(value, list):
        raise TypeError(f"{type(value).__name__} has no elements")
