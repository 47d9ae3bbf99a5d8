"""Compare the distributions in two ``statistics.json``.

https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-byoc-constraints.html
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

#: The parameters of a sketch that AWS's container writes.
SKETCH = {"c": 0.64, "k": 2048.0}
# Knuth, The Art of Computer Programming, volume 2, 3.3.1, equation (15), for a level of 0.003: what Deequ's
# ``Distance`` takes, which AWS's container is built on.
_C_ALPHA = 1.8


def levels(values: np.ndarray) -> list[np.ndarray]:
    """Return numbers as a KLL sketch: those of level i stand for 2 to the power of i numbers each.

    Up to ``k`` numbers are kept as they are. This sketch is not random, so the same numbers always give the
    same one; https://datasketches.apache.org/docs/KLL/KLLSketch.html describes those of AWS.

    :param values: finite numbers.
    """
    found: list[np.ndarray] = []
    while len(values) > SKETCH["k"]:
        values = np.sort(values)
        single = len(values) % 2
        found.append(values[:single])
        # Either of each pair, in turns, so that the ranks do not shift to one side.
        values = values[single + len(found) % 2 :: 2]
    return [*found, values]


def numerical_distance(current: Sequence[Any], baseline: Sequence[Any]) -> float:
    """Return the maximum absolute difference between two cumulative distribution functions.

    :param current: the levels of one sketch.
    :param baseline: the levels of the other one.
    """
    points = np.unique(np.concatenate([np.asarray(level, float) for level in (*current, *baseline)]))
    return float(np.max(np.abs(_cumulative(current, points) - _cumulative(baseline, points))))


def categorical_distance(current: Mapping[str, float], baseline: Mapping[str, float]) -> float:
    """Return the maximum absolute difference between the shares of each value in two distributions.

    :param current: how often each value occurs.
    :param baseline: the same of the other one.
    """
    n, m = sum(current.values()), sum(baseline.values())
    return max(abs(current.get(key, 0) / n - baseline.get(key, 0) / m) for key in {*current, *baseline})


def robust(distance: float, n: float, m: float) -> float:
    """Return a distance without what chance explains, by the two-sample Kolmogorov-Smirnov test.

    :param n: how many values one distribution has.
    :param m: how many the other one has.
    """
    return max(0.0, distance - _C_ALPHA * math.sqrt((n + m) / (n * m)))


def size(sketch: Sequence[Any]) -> int:
    """Return how many numbers the levels of a sketch stand for."""
    return sum(len(level) << number for number, level in enumerate(sketch))


def _cumulative(sketch: Sequence[Any], points: Any) -> Any:
    ranks = sum(
        np.searchsorted(np.sort(np.asarray(level, float)), points, side="right") << number
        for number, level in enumerate(sketch)
    )
    return ranks / size(sketch)
