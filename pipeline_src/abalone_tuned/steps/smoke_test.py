"""AbaloneSmokeTest, a Lambda function: ask the deployed model about one abalone."""

from __future__ import annotations

import math
from typing import Any

import boto3


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Return what the endpoint predicts for a row of features.

    :param event: ``Endpoint``, its name, and ``Features``, the number of features of a row.
    :param context: Lambda's.
    :return: ``Rings``, the prediction.
    :raises ValueError: the prediction is not a finite number.
    """
    answer = boto3.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=event["Endpoint"],
        ContentType="text/csv",
        Accept="text/csv",
        # Scaled features: this is the average abalone.
        Body=",".join(["0"] * int(event["Features"])),
    )
    rings = float(answer["Body"].read())
    if not math.isfinite(rings):
        raise ValueError(f"{event['Endpoint']} predicts {rings} rings; expected a finite number.")
    return {"Rings": rings}
