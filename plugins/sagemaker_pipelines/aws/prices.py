"""The prices of instances: a TOML file, which AWS's Price List API fills.

https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/price-changes.html
"""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Self

from sagemaker_pipelines.exceptions import SettingsError

COMPONENTS = ("Processing", "Training", "Transform")
SOURCE = "AWS Price List API"
_HEADER = f"""\
# Prices of SageMaker's instances. `sagemaker-pipelines prices update` replaces the entries whose source is
# "{SOURCE}"; entries with another source are yours, and stay.
"""
# What the price list calls a component, in lower case and without blanks.
_COMPONENTS = {
    "training": "Training",
    "processing": "Processing",
    "batchtransform": "Transform",
    "transform": "Transform",
}


@dataclass(frozen=True, kw_only=True)
class Price:
    """The price of an instance.

    :param region: the AWS region.
    :param instance: such as ``ml.m5.xlarge``.
    :param component: what it runs: ``Processing``, ``Training`` or ``Transform``.
    :param price_per_hour: the price of one instance for an hour, above 0.
    :param date: the day on which it held.
    :param currency: such as ``USD``.
    :param source: where it comes from.
    """

    region: str
    instance: str
    component: str
    price_per_hour: float
    date: date
    currency: str = "USD"
    source: str = "by hand"

    @property
    def key(self) -> tuple[str, str, str]:
        """What it is the price of."""
        return self.region, self.instance, self.component

    def as_bill(self) -> dict[str, Any]:
        """Return the members of a bill that tell the price."""
        return {
            "price_per_hour": self.price_per_hour,
            "price_date": self.date.isoformat(),
            "currency": self.currency,
        }

    def of(self, instance_seconds: float) -> float:
        """Return what instance-seconds cost."""
        return instance_seconds * self.price_per_hour / 3600


class Prices:
    """The prices that are known.

    :param prices: the prices.
    """

    def __init__(self, prices: Iterable[Price] = ()) -> None:
        # A price by hand takes precedence over a listed one.
        by_source = sorted(prices, key=lambda price: price.source != SOURCE)
        self.by_key = {price.key: price for price in by_source}

    @classmethod
    def load(cls, path: str | Path | None) -> Self:
        """Read a file of prices; no file has no prices.

        :param path: the file; None means that there is none.
        :raises SettingsError: it is not a file of prices.
        """
        if path is None or not Path(path).exists():
            return cls()
        try:
            document = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise SettingsError(
                f"Cannot read the prices in {path}: {error}. Expected a TOML file. Correct it, or write it "
                "again with `sagemaker-pipelines prices update`."
            ) from error
        entries = document.get("prices", [])
        if not isinstance(entries, list):
            entries = [entries]
        prices = [_price(entry, f"{path}, entry {number}") for number, entry in enumerate(entries, 1)]
        for (key, listed), count in Counter((price.key, price.source == SOURCE) for price in prices).items():
            if count > 1 and not listed:
                raise SettingsError(
                    f"{path} has {count} prices of {key[1]} for {key[2]} in {key[0]}; expected one by hand. "
                    "Remove those that do not hold."
                )
        return cls(prices)

    def find(self, region: str, instance: str, component: str) -> Price | None:
        """Return a price; None if it is unknown."""
        return self.by_key.get((region, instance, component))

    def with_list_prices(self, found: Iterable[Price]) -> Prices:
        """Return these prices with newer ones of the price list; prices by hand stay."""
        return Prices([*self.by_key.values(), *found])

    def save(self, path: Path) -> None:
        """Write the file at once, since a task may be reading it."""
        parts = [_HEADER]
        for _, price in sorted(self.by_key.items()):
            lines = [f"{name} = {_toml(value)}" for name, value in asdict(price).items()]
            parts.append("[[prices]]\n" + "\n".join(lines) + "\n")
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f".{path.name}.new")
        new.write_text("\n".join(parts), encoding="utf-8")
        new.replace(path)


def pricing_region(region: str) -> str:
    """Return the region of the endpoint that knows the prices of a region; there are few.

    https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/using-price-list-query-api.html
    """
    return "cn-northwest-1" if region.startswith("cn-") else "us-east-1"


def list_prices(client: Any, region: str, instances: Iterable[str]) -> Iterator[Price]:
    """Yield the on-demand prices of instances in a region from AWS's Price List API.

    https://docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_pricing_GetProducts.html

    :param client: the boto3 client of ``pricing``.
    :param region: the region whose prices are wanted.
    :param instances: such as ``ml.m5.xlarge``.
    """
    paginator = client.get_paginator("get_products")
    for instance in sorted(set(instances)):
        pages = paginator.paginate(
            ServiceCode="AmazonSageMaker",
            Filters=[
                {"Type": "TERM_MATCH", "Field": "regionCode", "Value": region},
                {"Type": "TERM_MATCH", "Field": "instanceName", "Value": instance},
            ],
        )
        found: dict[str, Price] = {}
        for product in (json.loads(text) for page in pages for text in page["PriceList"]):
            price = _list_price(product, region, instance)
            # Of several, the highest: a bound on cost then holds in any case.
            if price and price.price_per_hour > getattr(found.get(price.component), "price_per_hour", 0):
                found[price.component] = price
        yield from found.values()


def _list_price(product: Mapping[str, Any], region: str, instance: str) -> Price | None:
    attributes = product.get("product", {}).get("attributes", {})
    component = _COMPONENTS.get(str(attributes.get("component", "")).lower().replace(" ", ""))
    if component is None or attributes.get("regionCode") != region:
        return None
    amounts = [
        (float(amount), currency)
        for term in product.get("terms", {}).get("OnDemand", {}).values()
        for dimension in term.get("priceDimensions", {}).values()
        if dimension.get("unit") in ("Hrs", "Hours", "hours")
        for currency, amount in dimension.get("pricePerUnit", {}).items()
    ]
    # Amounts of different currencies cannot be compared.
    currency = "USD" if any(each == "USD" for _, each in amounts) else amounts[0][1] if amounts else ""
    price = max((amount for amount, each in amounts if each == currency), default=0.0)
    if price <= 0:
        return None
    published = str(product.get("publicationDate", ""))[:10]
    return Price(
        region=region,
        instance=instance,
        component=component,
        price_per_hour=price,
        date=date.fromisoformat(published) if published else datetime.now(UTC).date(),
        currency=currency,
        source=SOURCE,
    )


def _price(entry: Any, where: str) -> Price:
    """Return an entry of the file.

    :raises SettingsError: a member is missing, unknown or malformed.
    """
    names = [each.name for each in fields(Price)]
    given = dict(entry) if isinstance(entry, Mapping) else {}
    required = [name for name in names if name not in ("currency", "source")]
    if missing := [name for name in required if name not in given]:
        raise SettingsError(f"{where} has no {missing[0]}; expected {', '.join(required)}. Add it.")
    for name, value in given.items():
        if name not in names:
            raise SettingsError(f"{where} has {name!r}; expected one of {', '.join(names)}. Remove it.")
        accepts, expected = _RULES.get(name, (_is_text, "a text"))
        if not accepts(value):
            raise SettingsError(f"{where}: {name} is {value!r}; expected {expected}. Correct it.")
    return Price(**{**given, "price_per_hour": float(given["price_per_hour"])})


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _is_date(value: Any) -> bool:
    return isinstance(value, date) and not isinstance(value, datetime)


def _is_component(value: Any) -> bool:
    return value in COMPONENTS


def _is_price(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf")


_RULES: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "component": (_is_component, f"one of {', '.join(COMPONENTS)}"),
    "price_per_hour": (_is_price, "a number above 0"),
    "date": (_is_date, "a date without quotes, such as 2026-01-31"),
}


def _toml(value: object) -> str:
    # TOML has no escapes for halves of a character, and no DEL without one.
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, str | float) else str(value)
    return text.replace("\x7f", "\\u007f")
