"""Texts for people are bounded and say where they were cut."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from sagemaker_pipelines.exceptions import InvalidDefinitionError
from sagemaker_pipelines.messages import cut, listed

LIMITS = st.integers(min_value=100, max_value=300)


@given(text=st.text(max_size=500), limit=LIMITS, size=st.sampled_from([len, lambda text: len(ascii(text))]))
def test_a_text_is_whole_or_ends_with_how_long_it_was(
    text: str, limit: int, size: Callable[[str], int]
) -> None:
    shown = cut(text, limit, size=size)
    assert size(shown) <= limit
    if shown != text:
        kept = shown.removesuffix(note := f"... (cut: {len(text):,} characters in all)")
        assert text.startswith(kept)
        assert shown.endswith(note)
        assert size(text[: len(kept) + 1] + note) > limit


def test_a_long_enumeration_names_the_first_and_counts_the_rest() -> None:
    assert listed(["a", "b"]) == "a, b"
    assert listed([str(number) for number in range(8760)], limit=3) == "0, 1, 2 and 8,757 more"


def test_the_problems_of_a_definition_are_counted_after_the_first_fifty() -> None:
    text = str(InvalidDefinitionError("p", [f"problem {number}" for number in range(10_000)]))
    assert text.startswith("p: 10000 problems in the definition:\n  - problem 0")
    assert text.endswith("  - problem 49\n  - and 9,950 more")
