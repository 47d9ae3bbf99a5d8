"""The actions on endpoint configurations."""

from __future__ import annotations

from sagemaker_local_runtime.api.paging import page, pick, select
from sagemaker_local_runtime.api.registry import Request, Response, action
from sagemaker_local_runtime.runtime import Runtime

_NAME = "EndpointConfigName"


@action("CreateEndpointConfig")
def create_endpoint_config(runtime: Runtime, request: Request) -> Response:
    """Create an endpoint configuration; its models must exist."""
    return {"EndpointConfigArn": runtime.endpoints.configs.create(request)}


@action("DescribeEndpointConfig")
def describe_endpoint_config(runtime: Runtime, request: Request) -> Response:
    """Describe an endpoint configuration."""
    return runtime.endpoints.configs.describe(request[_NAME])


@action("DeleteEndpointConfig")
def delete_endpoint_config(runtime: Runtime, request: Request) -> Response:
    """Delete an endpoint configuration."""
    runtime.endpoints.configs.delete(request[_NAME])
    return {}


@action("ListEndpointConfigs")
def list_endpoint_configs(runtime: Runtime, request: Request) -> Response:
    """List endpoint configurations, newest first by default."""
    fields = (_NAME, "EndpointConfigArn", "CreationTime")
    items = select(runtime.endpoints.configs.list(), request, name=_NAME)
    found, following = page(items, request, key="EndpointConfigArn")
    return {"EndpointConfigs": [pick(item, fields) for item in found], **following}
