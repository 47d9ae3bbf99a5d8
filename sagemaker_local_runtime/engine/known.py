"""Check what a definition says before an execution gives its expressions values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NoReturn

from sagemaker_local_runtime.exceptions import AwsError, LocalRuntimeError
from sagemaker_local_runtime.validation import Check
from sagemaker_pipelines.definition.references import is_expression


class UnknownValueError(LocalRuntimeError):
    """A check needs the value of an expression, which only an execution knows."""


class _Unknown:
    """Stands for an expression: a check that looks at it ends, since it cannot be made yet."""

    def _refuse(self, *_: Any) -> NoReturn:
        raise UnknownValueError

    __bool__ = __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __hash__ = _refuse
    __int__ = __float__ = __index__ = __mul__ = __rmul__ = __add__ = __radd__ = _refuse
    __str__ = __repr__ = __format__ = __iter__ = __len__ = __contains__ = __getitem__ = _refuse
    __getattr__ = _refuse


def known(value: Any) -> Any:
    """Return a part of a definition for checks that are written for resolved values.

    Members that are null are left out, as when a step runs.
    """
    if is_expression(value):
        return _Unknown()
    if isinstance(value, dict):
        return {key: known(member) for key, member in value.items() if member is not None}
    return [known(item) for item in value] if isinstance(value, list) else value


def first_problem(checks: Iterable[Check]) -> Iterator[str]:
    """Yield what the first check that fails says; each may rely on those before it.

    :param checks: checks of what :func:`known` has returned. Those that need the value of an expression are
        left to the execution.
    """
    for check in checks:
        try:
            check()
        except UnknownValueError:
            continue
        except AwsError as error:
            yield error.message
            return
