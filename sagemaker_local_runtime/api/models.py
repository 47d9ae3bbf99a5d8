"""The actions on models."""

from __future__ import annotations

from sagemaker_local_runtime.api.paging import page, pick, select
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
    items = select(runtime.models.list_models(), request, name="ModelName")
    found, following = page(items, request, key="ModelArn")
    return {"Models": [pick(item, fields) for item in found], **following}
