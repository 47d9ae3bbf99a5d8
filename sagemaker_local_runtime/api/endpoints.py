"""The actions on endpoints."""

from __future__ import annotations

from sagemaker_local_runtime.api.paging import page, pick, select
from sagemaker_local_runtime.api.registry import Request, Response, action
from sagemaker_local_runtime.runtime import Runtime

_NAME, _STATUS = "EndpointName", "EndpointStatus"
_SUMMARY = (_NAME, "EndpointArn", "CreationTime", "LastModifiedTime", _STATUS)


@action("CreateEndpoint")
def create_endpoint(runtime: Runtime, request: Request) -> Response:
    """Create an endpoint and return its ARN immediately."""
    return {"EndpointArn": runtime.endpoints.create(request)}


@action("DescribeEndpoint")
def describe_endpoint(runtime: Runtime, request: Request) -> Response:
    """Describe an endpoint."""
    return runtime.endpoints.describe(request[_NAME])


@action("UpdateEndpoint")
def update_endpoint(runtime: Runtime, request: Request) -> Response:
    """Serve another endpoint configuration, and return the ARN immediately."""
    return {"EndpointArn": runtime.endpoints.update(request)}


@action("DeleteEndpoint")
def delete_endpoint(runtime: Runtime, request: Request) -> Response:
    """Delete an endpoint."""
    runtime.endpoints.delete(request[_NAME])
    return {}


@action("ListEndpoints")
def list_endpoints(runtime: Runtime, request: Request) -> Response:
    """List endpoints, newest first by default."""
    items = select(runtime.endpoints.list(), request, name=_NAME, status=_STATUS)
    found, following = page(items, request, key="EndpointArn")
    return {"Endpoints": [pick(endpoint, _SUMMARY) for endpoint in found], **following}
