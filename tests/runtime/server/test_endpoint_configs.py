"""Endpoint configurations: records that say which models are served."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from sagemaker_local_runtime.testing import LocalRuntime

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:3.2-0"


def variants(model_name: str) -> list[dict[str, Any]]:
    return [{"VariantName": "all", "ModelName": model_name, "InstanceType": "ml.m5.large"}]


def test_a_configuration_names_models_that_exist_until_it_is_deleted(local_runtime: LocalRuntime) -> None:
    sagemaker = local_runtime.client("sagemaker")
    container = {"Image": IMAGE, "ModelDataUrl": local_runtime.put("model.tar.gz", b"model")}
    sagemaker.create_model(ModelName="m", PrimaryContainer=container)
    with pytest.raises(ClientError, match="Could not find model"):
        sagemaker.create_endpoint_config(EndpointConfigName="c", ProductionVariants=variants("missing"))
    arn = sagemaker.create_endpoint_config(
        EndpointConfigName="c", ProductionVariants=variants("m"), Tags=[{"Key": "team", "Value": "ml"}]
    )["EndpointConfigArn"]
    with pytest.raises(ClientError, match="already existing"):
        sagemaker.create_endpoint_config(EndpointConfigName="c", ProductionVariants=variants("m"))
    described = sagemaker.describe_endpoint_config(EndpointConfigName="c")
    assert described["ProductionVariants"] == variants("m")
    assert [c["EndpointConfigArn"] for c in sagemaker.list_endpoint_configs()["EndpointConfigs"]] == [arn]
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "team", "Value": "ml"}]
    sagemaker.delete_endpoint_config(EndpointConfigName="c")
    assert sagemaker.list_endpoint_configs()["EndpointConfigs"] == []
    with pytest.raises(ClientError, match="Could not find endpoint configuration"):
        sagemaker.describe_endpoint_config(EndpointConfigName="c")
