"""JSON and numbers that others wrote."""

from __future__ import annotations

import pytest

from sagemaker_pipelines.reading import finite_number, parse_json, parse_portable_json, whole_number

ARABIC_SIX = "\N{ARABIC-INDIC DIGIT SIX}"


def test_json_is_read() -> None:
    assert parse_json(b'{"a": [1, {"a": 2.5}]}') == {"a": [1, {"a": 2.5}]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "Expecting property name"),
        (b"\xff", "can't decode byte"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a": ' * 100_000, "nested too deeply"),
        ('{"mse": 9.0, "mse": 1.0}', "has the key 'mse' twice"),
        ('{"outer": {"mse": 9.0, "mse": 1.0}}', "has the key 'mse' twice"),
    ],
    ids=["cut", "not UTF-8", "deep list", "deep object", "duplicate", "inner duplicate"],
)
def test_what_is_not_plain_json_is_refused(text: str | bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_json(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": [NaN]}', "not JSON compliant"),
        ('{"a": 1e999}', "not JSON compliant"),
        (r'{"a": "\ud800"}', "surrogates not allowed"),
        ("{", "Expecting property name"),
    ],
)
def test_json_that_cannot_be_written_again_is_not_portable(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_portable_json(text)
    assert parse_portable_json(r'{"a": ["\ud83d\ude00", 2.5]}') == {"a": ["\N{GRINNING FACE}", 2.5]}


@pytest.mark.parametrize(("text", "number"), [("6", 6), (" -12 ", -12), ("7\x1f", 7), ("+3", 3), ("007", 7)])
def test_a_whole_number_is_read(text: str, number: int) -> None:
    assert whole_number(text) == number


@pytest.mark.parametrize("text", ["1_000", ARABIC_SIX, "6.0", "", "six", "1 2", "0x10"])
def test_what_is_not_a_whole_number_in_ascii_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a whole number"):
        whole_number(text)


@pytest.mark.parametrize(
    ("text", "number"), [("6", 6.0), (" -.5 ", -0.5), ("0\x1f", 0.0), ("1e-3", 0.001), ("4.", 4.0)]
)
def test_a_finite_number_is_read(text: str, number: float) -> None:
    assert finite_number(text) == number


@pytest.mark.parametrize("text", ["1_000.5", ARABIC_SIX, "nan", "inf", "1e999", "", "True", "1,5"])
def test_what_is_not_a_finite_number_in_ascii_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a finite number"):
        finite_number(text)
