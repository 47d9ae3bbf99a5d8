"""ExpireAfter is read in ISO 8601 and in the documentation's shorter forms."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagemaker_local_runtime.engine.cache import duration_seconds

DAY = 86_400


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("P30D", 30 * DAY),
        ("p30d", 30 * DAY),
        ("30d", 30 * DAY),
        ("5y", 5 * 365 * DAY),
        ("T16m", 16 * 60),
        ("PT1H", 3600),
        ("T12H", 12 * 3600),
        ("30dT5h", 30 * DAY + 5 * 3600),
        ("P4DT12H", 4 * DAY + 12 * 3600),
        ("P2W", 14 * DAY),
        ("P1M", 30 * DAY),
    ],
)
def test_documented_forms(text: str, seconds: int) -> None:
    assert duration_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "P", "PT", "tomorrow", "30", "P-1D", "1h30"])
def test_other_texts_are_refused_with_the_text(text: str) -> None:
    with pytest.raises(ValueError, match="is not an ISO 8601 duration"):
        duration_seconds(text)


@given(st.integers(0, 99), st.integers(0, 23), st.integers(1, 59))
def test_parts_add_up(days: int, hours: int, minutes: int) -> None:
    assert duration_seconds(f"P{days}DT{hours}H{minutes}M") == days * DAY + hours * 3600 + minutes * 60
