"""Numbers and times as the page has to show them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

#: Where there is no value.
NOTHING = "\N{EN DASH}"

Record = Mapping[str, Any]


def number(value: float) -> str:
    """Return a number with six significant digits, or all digits of a large one."""
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.6g}"


def duration(seconds: float) -> str:
    """Return a duration up to an hour."""
    if (whole := _whole(seconds)) >= 60:
        return f"{whole // 60} min {whole % 60} s".removesuffix(" 0 s")
    digits = Decimal("0.1") if seconds < 10 else Decimal(1)
    return f"{float(Decimal(seconds).quantize(digits, ROUND_HALF_UP)):g} s"


def elapsed(record: Record) -> float:
    """Return how long an execution took, as exactly as a browser knows times, in seconds."""
    began, ended = (
        int(datetime.fromisoformat(record[name]).timestamp() * 1000) for name in ("started", "ended")
    )
    return (ended - began) / 1000


def instance_seconds(least: float, most: float) -> str:
    """Return what was billed, which is not known exactly if there were earlier attempts."""
    low, high = number(_whole(least)), number(_whole(most))
    return f"{low} instance-s" if low == high else f"{low} to {high} instance-s"


def billed(records: Iterable[Record]) -> str:
    """Return what executions have billed together."""
    sums = [0.0, 0.0]
    for record in records:
        sums[0] += record["instance_seconds"]
        sums[1] += record["instance_seconds_upper_bound"]
    return instance_seconds(*sums)


def billed_step(step: Record) -> str:
    """Return what a step has billed."""
    if (bill := step.get("bill")) is None:
        return NOTHING
    least = bill["instance_seconds"]
    return instance_seconds(least, least + bill.get("earlier_instance_seconds", 0))


def moment(iso: str) -> str:
    """Return a time for a viewer in Great Britain."""
    at = datetime.fromisoformat(iso).astimezone(UTC)
    return f"{day(at)} {at:%Y, %H:%M}"


def day(at: datetime) -> str:
    """Return the day of a time."""
    return f"{at.day} {at:%b}".replace("Sep", "Sept")


def _whole(value: float) -> int:
    return math.floor(value + 0.5)
