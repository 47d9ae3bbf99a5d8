"""The file of prices, and AWS's price list."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from sagemaker_pipelines.aws.prices import SOURCE, Price, Prices
from sagemaker_pipelines.exceptions import SettingsError

PRICE = Price(
    region="eu-west-1",
    instance="ml.m5.xlarge",
    component="Training",
    price_per_hour=0.257,
    date=date(2026, 11, 20),
)
ENTRY = """
[[prices]]
region = "eu-west-1"
instance = "ml.m5.xlarge"
component = "Training"
price_per_hour = 0.257
date = 2026-11-20
"""


def test_prices_survive_the_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "prices.toml"
    price = replace(PRICE, source='"Our" contract\\1 \U0001f600 \x7f\n')
    Prices([price]).save(path)
    read = Prices.load(path)
    assert read.find("eu-west-1", "ml.m5.xlarge", "Training") == price
    assert read.find("eu-west-1", "ml.m5.xlarge", "Processing") is None
    assert read.find("eu-west-2", "ml.m5.xlarge", "Training") is None


def test_a_price_by_hand_needs_no_currency_and_source(tmp_path: Path) -> None:
    path = tmp_path / "prices.toml"
    path.write_text(ENTRY)
    (found,) = Prices.load(path).by_key.values()
    assert found == PRICE


def test_no_file_has_no_prices(tmp_path: Path) -> None:
    assert Prices.load(None).by_key == Prices.load(tmp_path / "none.toml").by_key == {}


def test_a_price_by_hand_stays_and_a_listed_one_is_replaced() -> None:
    listed = Price(**{**vars(PRICE), "source": SOURCE, "component": "Processing"})
    newer = Price(**{**vars(listed), "price_per_hour": 0.3})
    theirs = Price(**{**vars(PRICE), "source": SOURCE, "price_per_hour": 9.0})
    merged = Prices([PRICE, listed]).with_list_prices([newer, theirs])
    assert merged.by_key == {PRICE.key: PRICE, newer.key: newer}
    assert Prices([PRICE, theirs]).by_key == Prices([theirs, PRICE]).by_key == {PRICE.key: PRICE}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("price_per_hour = 0.257", "price_per_hour = 0"), "price_per_hour is 0; expected a number above 0"),
        (("price_per_hour = 0.257", "price_per_hour = inf"), "expected a number above 0"),
        (("price_per_hour = 0.257", 'price_per_hour = "0.257"'), "expected a number above 0"),
        (("price_per_hour = 0.257\n", ""), "entry 1 has no price_per_hour"),
        (('"Training"', '"Train"'), "component is 'Train'; expected one of Processing, Training, Transform"),
        (("2026-11-20", '"2026-11-20"'), "expected a date without quotes"),
        (("region", "regoin"), "entry 1 has no region"),
        (("[[prices]]", "[[prices]]\nper_day = 1"), "entry 1 has 'per_day'"),
        (("[[prices]]", f"{ENTRY}\n[[prices]]"), "has 2 prices of .* for Training in .*; expected one"),
        (("[[prices]]", "[[prices"), "Cannot read the prices in"),
    ],
)
def test_a_malformed_file_is_refused_with_place_and_cure(
    tmp_path: Path, change: tuple[str, str], said: str
) -> None:
    path = tmp_path / "prices.toml"
    path.write_text(ENTRY.replace(*change))
    with pytest.raises(SettingsError, match=said) as caught:
        Prices.load(path)
    assert str(path) in str(caught.value)
