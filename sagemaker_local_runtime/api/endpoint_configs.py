"""The actions on endpoint configurations, which are records only: no endpoint is deployed."""

from __future__ import annotations

import time

from sagemaker_local_runtime.api.models import select
from sagemaker_local_runtime.api.paging import page, pick
from sagemaker_local_runtime.api.registry import Request, Response, action
from sagemaker_local_runtime.exceptions import ValidationError
from sagemaker_local_runtime.runtime import Runtime
from sagemaker_local_runtime.services.tags import delete_tags, put_tags

ENDPOINT_CONFIG = "endpoint-config"


@action("CreateEndpointConfig")
def create_endpoint_config(runtime: Runtime, request: Request) -> Response:
    """Create an endpoint configuration; its models must exist."""
    for variant in (*request["ProductionVariants"], *request.get("ShadowProductionVariants", ())):
        if "ModelName" in variant:
            runtime.models.describe_model(variant["ModelName"])
    name = str(request["EndpointConfigName"])
    arn = runtime.account.arn(f"endpoint-config/{name}")
    config = {
        **{key: value for key, value in request.items() if key != "Tags"},
        "EndpointConfigArn": arn,
        "CreationTime": time.time(),
    }
    with runtime.account.store.transaction():
        if not runtime.account.store.insert(ENDPOINT_CONFIG, name, config):
            raise ValidationError(f'Cannot create already existing endpoint configuration "{arn}".')
        put_tags(runtime.account.store, arn, request.get("Tags") or [])
    return {"EndpointConfigArn": arn}


@action("DescribeEndpointConfig")
def describe_endpoint_config(runtime: Runtime, request: Request) -> Response:
    """Describe an endpoint configuration."""
    return _find(runtime, request)


@action("DeleteEndpointConfig")
def delete_endpoint_config(runtime: Runtime, request: Request) -> Response:
    """Delete an endpoint configuration."""
    arn = _find(runtime, request)["EndpointConfigArn"]
    with runtime.account.store.transaction():
        runtime.account.store.delete(ENDPOINT_CONFIG, str(request["EndpointConfigName"]))
        delete_tags(runtime.account.store, arn)
    return {}


@action("ListEndpointConfigs")
def list_endpoint_configs(runtime: Runtime, request: Request) -> Response:
    """List endpoint configurations, newest first by default."""
    fields = ("EndpointConfigName", "EndpointConfigArn", "CreationTime")
    items = select(
        runtime.account.store.list(ENDPOINT_CONFIG), request, name="EndpointConfigName", order="Descending"
    )
    found, following = page(items, request, key="EndpointConfigArn")
    return {"EndpointConfigs": [pick(item, fields) for item in found], **following}


def _find(runtime: Runtime, request: Request) -> Response:
    config = runtime.account.store.get(ENDPOINT_CONFIG, str(request["EndpointConfigName"]))
    if config is None:
        arn = runtime.account.arn(f"endpoint-config/{request['EndpointConfigName']}")
        raise ValidationError(f'Could not find endpoint configuration "{arn}".')
    return config
