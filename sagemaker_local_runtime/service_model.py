"""SageMaker's own service model, as botocore ships it."""

from __future__ import annotations

from functools import cache

from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel


@cache
def service_model() -> ServiceModel:
    """Return botocore's model of SageMaker."""
    return ServiceModel(Loader().load_service_model("sagemaker", "service-2"), "sagemaker")


@cache
def operation(action: str) -> OperationModel | None:
    """Return the model of an action; None if AWS has no such action."""
    model = service_model()
    return model.operation_model(action) if action in model.operation_names else None
