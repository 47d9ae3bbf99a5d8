"""A transform step whose instance count is a pipeline parameter."""

from __future__ import annotations

from typing import Any

from sagemaker.mlops.workflow.steps import TransformStep  # noqa: TID253 - extends an SDK class


class ScalableTransformStep(TransformStep):  # type: ignore[misc] # the SDK has no type information here
    """A transform step with a variable number of instances.

    The service takes a parameter for it, but the TransformResources shape of the SDK only an int
    (sagemaker 3.27.0).

    :param name: the step's name.
    :param step_args: the result of ``Transformer.transform()``, with any instance count.
    :param instance_count: the parameter that replaces it.
    """

    def __init__(self, name: str, *, step_args: Any, instance_count: Any) -> None:
        super().__init__(name, step_args=step_args)
        self.instance_count = instance_count

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of the transform job."""
        request: dict[str, Any] = super().arguments
        resources = {**request["TransformResources"], "InstanceCount": self.instance_count}
        return {**request, "TransformResources": resources}
