"""The actions on models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sagemaker_local_runtime.api.paging import arranged, page, pick, within
from sagemaker_local_runtime.api.registry import Request, Response, action
from sagemaker_local_runtime.runtime import Runtime


@action("CreateModel")
def create_model(runtime: Runtime, request: Request) -> Response:
    """Create a model."""
    return {"ModelArn": runtime.models.create_model(request)}


@action("DescribeModel")
def describe_model(runtime: Runtime, request: Request) -> Response:
    """Describe a model."""
    return runtime.models.describe_model(request["ModelName"])


@action("DeleteModel")
def delete_model(runtime: Runtime, request: Request) -> Response:
    """Delete a model."""
    runtime.models.delete_model(request["ModelName"])
    return {}


@action("ListModels")
def list_models(runtime: Runtime, request: Request) -> Response:
    """List models, newest first by default."""
    fields = ("ModelName", "ModelArn", "CreationTime")
    items = select(runtime.models.list_models(), request, name="ModelName", order="Descending")
    found, following = page(items, request, key="ModelArn")
    return {"Models": [pick(item, fields) for item in found], **following}


def select(
    items: Iterable[Mapping[str, Any]], request: Request, *, name: str, order: str
) -> list[dict[str, Any]]:
    """Return the items that a List request asks for, sorted.

    :param name: the field that ``NameContains`` and ``SortBy=Name`` refer to.
    :param order: the default of ``SortOrder``.
    """
    part = str(request.get("NameContains", "")).lower()
    found = (
        dict(item)
        for item in items
        if part in str(item.get(name, "")).lower() and within(item["CreationTime"], request, "CreationTime")
    )
    by_name = request.get("SortBy") == "Name"
    return arranged(
        found,
        request,
        lambda item: (str(item.get(name, "")) if by_name else "", item["CreationTime"]),
        order=order,
    )
