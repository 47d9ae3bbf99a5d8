"""A user of SDK v3 in a process of its own: deploys a model with EndpointConfig and Endpoint steps.

Run by ``test_endpoint_steps.py`` with the endpoint in the environment; the arguments are the name of the
pipeline, which is also that of the endpoint, the role, the bucket and the model.
"""

from __future__ import annotations

import sys

import boto3
from sagemaker.core.telemetry import telemetry_logging  # noqa: TID253 - it is the client under test
from sagemaker.core.workflow.parameters import ParameterString  # noqa: TID253 - as above
from sagemaker.core.workflow.pipeline_context import PipelineSession  # noqa: TID253 - as above
from sagemaker.mlops.workflow.endpoint_step import (  # noqa: TID253 - as above
    EndpointConfigStep,
    EndpointStep,
)
from sagemaker.mlops.workflow.pipeline import Pipeline  # noqa: TID253 - as above
from sagemaker.mlops.workflow.steps import CacheConfig  # noqa: TID253 - as above


def main(name: str, role: str, bucket: str, model: str) -> None:
    telemetry_logging._send_telemetry_request = lambda *_, **__: None
    session = PipelineSession(boto_session=boto3.Session(), default_bucket=bucket)
    served = ParameterString("Model", default_value=model)
    variant = {
        "VariantName": "all",
        "ModelName": served,
        "InitialInstanceCount": 1,
        "InstanceType": "ml.m5.large",
    }
    cache = CacheConfig(enable_caching=True, expire_after="PT1H")
    config = EndpointConfigStep(
        "Configure",
        step_args=session.create_endpoint_config(name=name, production_variants=[variant]),
        cache_config=cache,
    )
    deploy = EndpointStep(
        "Deploy",
        step_args=session.create_endpoint(
            endpoint_name=name, config_name=config.properties.EndpointConfigName
        ),
        cache_config=cache,
    )
    Pipeline(name=name, parameters=[served], steps=[config, deploy], sagemaker_session=session).upsert(role)


if __name__ == "__main__":
    main(*sys.argv[1:])
