"""The models of AWS's services, as botocore ships them."""

from __future__ import annotations

from functools import cache

from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel


@cache
def service_model(service: str = "sagemaker") -> ServiceModel:
    """Return botocore's model of a service."""
    return ServiceModel(Loader().load_service_model(service, "service-2"), service)


@cache
def operation(action: str, service: str = "sagemaker") -> OperationModel | None:
    """Return the model of an action; None if AWS has no such action."""
    model = service_model(service)
    return model.operation_model(action) if action in model.operation_names else None
