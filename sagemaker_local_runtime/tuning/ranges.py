"""The ranges of the hyperparameters that a tuning job searches.

https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-define-ranges.html
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sagemaker_local_runtime.exceptions import ValidationError

# https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-limits.html
MAX_RANGES = 30
# AWS does not document how Auto chooses. From this ratio of the bounds on, equal steps miss small values.
_AUTO_LOGARITHMIC = 1000


@dataclass(frozen=True)
class Choice:
    """A categorical range: one of several strings.

    :param name: the hyperparameter.
    :param values: what it may be.
    """

    name: str
    values: tuple[str, ...]

    def at(self, share: float) -> str:
        """Return the value at a share of the range, from 0 up to but not including 1."""
        return self.values[min(int(share * len(self.values)), len(self.values) - 1)]


@dataclass(frozen=True)
class Interval:
    """A range of numbers, both ends included.

    :param name: the hyperparameter.
    :param low: the lower end.
    :param high: the upper end.
    :param scaling: ``Linear``, ``Logarithmic`` or ``ReverseLogarithmic``.
    :param whole: whether it holds whole numbers only.
    """

    name: str
    low: float
    high: float
    scaling: str
    whole: bool

    def at(self, share: float) -> str:
        """Return the value at a share of the range, from 0 to 1, as the text that the training job gets."""
        if self.scaling == "Logarithmic":
            value = math.exp(_between(math.log(self.low), math.log(self.high), share))
        elif self.scaling == "ReverseLogarithmic":
            value = 1 - math.exp(_between(math.log(1 - self.low), math.log(1 - self.high), share))
        elif self.whole:
            value = math.floor(_between(self.low, self.high + 1, share))
        else:
            value = _between(self.low, self.high, share)
        inside = min(max(value, self.low), self.high)
        return str(round(inside)) if self.whole else str(float(inside))


Range = Choice | Interval


def ranges_of(request: Mapping[str, Any]) -> list[Range]:
    """Return the ranges of ``ParameterRanges``.

    :raises ValidationError: there is none or there are too many, or one is not a range.
    """
    found: list[Range] = [
        *_intervals(request, "IntegerParameterRanges", whole=True),
        *_intervals(request, "ContinuousParameterRanges", whole=False),
        *(
            Choice(item["Name"], tuple(item["Values"]))
            for item in request.get("CategoricalParameterRanges", ())
        ),
    ]
    names = [item.name for item in found]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValidationError(
            f"ParameterRanges has several ranges for {', '.join(repeated)}. Give each hyperparameter one."
        )
    if not 1 <= len(found) <= MAX_RANGES:
        raise ValidationError(
            f"ParameterRanges has {len(found)} ranges; expected 1 to {MAX_RANGES}. Change ParameterRanges."
        )
    return found


def _intervals(request: Mapping[str, Any], kind: str, *, whole: bool) -> Iterator[Interval]:
    for item in request.get(kind, ()):
        low, high = (_number(item, key, whole=whole) for key in ("MinValue", "MaxValue"))
        if low > high:
            raise ValidationError(
                f"The range of {item['Name']} has MinValue {item['MinValue']} and MaxValue "
                f"{item['MaxValue']}; expected MinValue to be at most MaxValue."
            )
        yield Interval(item["Name"], low, high, _scaling(item, low, high), whole)


def _number(item: Mapping[str, Any], key: str, *, whole: bool) -> float:
    try:
        value = float(int(item[key])) if whole else float(item[key])
    except (ValueError, OverflowError):
        value = math.nan
    if not math.isfinite(value):
        raise ValidationError(
            f"The range of {item['Name']} has {key} {item[key]!r}; "
            f"expected a {'whole' if whole else 'finite'} number."
        )
    return value


def _scaling(item: Mapping[str, Any], low: float, high: float) -> str:
    scaling = item.get("ScalingType", "Auto")
    if scaling == "Auto":
        return "Logarithmic" if low > 0 and high / low >= _AUTO_LOGARITHMIC else "Linear"
    if scaling == "Logarithmic" and low <= 0:
        raise ValidationError(
            f"The range of {item['Name']} begins at {item['MinValue']}; logarithmic scaling needs values "
            "above 0. Change MinValue, or the ScalingType."
        )
    if scaling == "ReverseLogarithmic" and not 0 <= low <= high < 1:
        raise ValidationError(
            f"The range of {item['Name']} is {item['MinValue']} to {item['MaxValue']}; reverse logarithmic "
            "scaling needs values from 0 up to but not including 1. Change the range, or the ScalingType."
        )
    return str(scaling)


def _between(low: float, high: float, share: float) -> float:
    return low * (1 - share) + high * share  # the difference may be too large for a float
