"""Filters, order, summaries and pages of List actions."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sagemaker_local_runtime.exceptions import ValidationError

Item = dict[str, Any]

MAX_RESULTS = 100


def within(time: float, request: Mapping[str, Any], name: str) -> bool:
    """Return whether a time is inside the range that a request gives.

    :param name: what its two fields begin with, such as ``CreationTime`` of ``CreationTimeAfter``.
    """
    after, before = request.get(f"{name}After"), request.get(f"{name}Before")
    return (after is None or time > float(after)) and (before is None or time < float(before))


def select(
    items: Iterable[Mapping[str, Any]],
    request: Mapping[str, Any],
    *,
    name: str,
    status: str | None = None,
    order: str = "Descending",
) -> list[Item]:
    """Return the items that a List request asks for, sorted; by their creation unless it says otherwise.

    :param name: the field that ``NameContains`` and ``SortBy=Name`` refer to.
    :param status: the field that ``StatusEquals`` and ``SortBy=Status`` refer to; None if there is none.
    :param order: the default of ``SortOrder``.
    """
    part = str(request.get("NameContains", "")).lower()
    field = {"Name": name, "Status": status}.get(request.get("SortBy", "")) or "CreationTime"
    found = (
        dict(item)
        for item in items
        if part in str(item.get(name, "")).lower()
        and (status is None or request.get("StatusEquals") in (None, item[status]))
        and all(within(item.get(time, 0.0), request, time) for time in ("CreationTime", "LastModifiedTime"))
    )
    return arranged(found, request, lambda item: (item.get(field, ""), item["CreationTime"]), order=order)


def arranged(
    items: Iterable[Item],
    request: Mapping[str, Any],
    key: Callable[[Item], Any],
    *,
    order: str = "Descending",
) -> list[Item]:
    """Return the items in the order that a request asks for.

    :param key: what they are sorted by.
    :param order: the default of ``SortOrder``.
    """
    found = sorted(items, key=key)
    return found if request.get("SortOrder", order) == "Ascending" else found[::-1]


def pick(item: Mapping[str, Any], fields: Iterable[str]) -> Item:
    """Return the fields of an item that its summary shows."""
    return {field: item[field] for field in fields if field in item}


def page(
    items: list[Item], request: Mapping[str, Any], *, key: str, default: int = MAX_RESULTS
) -> tuple[list[Item], dict[str, str]]:
    """Return one page of sorted items, and ``{"NextToken": ...}`` if there are more.

    A token names the last item of its page, so that items created in the meantime do not shift the next page.

    :param key: a field that identifies an item.
    :raises ValidationError: the token does not belong to this list.
    """
    start = 0
    token = request.get("NextToken")
    if token:
        last = _decode(token)
        position = next((i for i, item in enumerate(items) if str(item[key]) == last), None)
        if position is None:
            raise ValidationError(f"Invalid NextToken {token!r}: use the one from the previous response.")
        start = position + 1
    end = start + int(request.get("MaxResults") or default)
    found = items[start:end]
    return found, {"NextToken": _encode(str(found[-1][key]))} if end < len(items) else {}


def _encode(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


def _decode(token: str) -> str:
    try:
        return base64.urlsafe_b64decode(token.encode()).decode()
    except ValueError:
        raise ValidationError(
            f"Invalid NextToken {token!r}: use the one from the previous response."
        ) from None
