"""EndpointConfig and Endpoint steps: deploy models to an endpoint.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_EndpointStepMetadata.html
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_EndpointConfigStepMetadata.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sagemaker_local_runtime.engine.known import first_problem, known
from sagemaker_local_runtime.engine.steps.base import StepOutcome, StepRun
from sagemaker_local_runtime.hosting.configs import checks
from sagemaker_local_runtime.validation import validate


class EndpointConfigExecutor:
    """Creates the endpoint configuration that the step's arguments request."""

    step_type = "EndpointConfig"

    def run(self, step_run: StepRun) -> StepOutcome:
        """Create the endpoint configuration.

        :raises AwsError: the request is refused.
        """
        configs = step_run.services.endpoints.configs
        name = step_run.resource_name("EndpointConfigName")
        arn = configs.create(
            validate("CreateEndpointConfig", {**step_run.arguments, "EndpointConfigName": name})
        )
        return StepOutcome(
            status="Succeeded", metadata={"EndpointConfig": {"Arn": arn}}, properties=configs.describe(name)
        )


class EndpointExecutor:
    """Creates an endpoint, or updates it if it exists, and waits until it serves the configuration.

    "The pipeline chooses create-vs-update based on endpoint existence" (EndpointStep of SDK 3.27). AWS
    documents neither that the step waits nor what a stop does; here it ends the wait, and the endpoint stays.
    """

    step_type = "Endpoint"

    def run(self, step_run: StepRun) -> StepOutcome:
        """Deploy the configuration.

        :raises AwsError: the request is refused.
        """
        endpoints = step_run.services.endpoints
        request = validate("CreateEndpoint", step_run.arguments)
        metadata = {"Endpoint": {"Arn": endpoints.deploy(request)}}
        step_run.services.account.store.persist(lambda: step_run.record(metadata))
        endpoint = endpoints.wait(request["EndpointName"], step_run.stop)
        if step_run.stop.is_set():
            return StepOutcome(status="Stopped", metadata=metadata, properties=endpoint)
        if "FailureReason" in endpoint:
            return StepOutcome(
                status="Failed",
                metadata=metadata,
                properties=endpoint,
                failure_reason=f"ClientError: {endpoint['FailureReason']}",
            )
        return StepOutcome(status="Succeeded", metadata=metadata, properties=endpoint)


def config_problems(step: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with an EndpointConfig step, before it is resolved."""
    return first_problem(checks(known(step["Arguments"])))
