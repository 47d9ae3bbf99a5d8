"""ScoringFeatures: turn raw rows into features by the transform that the model package records."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import boto3
from feature_transform import BadDataError, FeatureTransform, run_job, transform_files

INPUT = Path("/opt/ml/processing/input")
OUTPUT = Path("/opt/ml/processing/output")

#: The property of a model package that names the transform's S3 URI.
PROPERTY = "feature_transform"


def recorded_transform(model_package_arn: str, *, sagemaker: Any, s3: Any) -> FeatureTransform:
    """Return the transform that belongs to a model package.

    :param model_package_arn: ARN of the package version.
    :param sagemaker: the boto3 client of SageMaker.
    :param s3: the boto3 client of S3.
    :raise BadDataError: when the package records none.
    """
    package = sagemaker.describe_model_package(ModelPackageName=model_package_arn)
    uri = package.get("CustomerMetadataProperties", {}).get(PROPERTY)
    if not uri:
        raise BadDataError(
            f"Model package {model_package_arn} has no {PROPERTY} in its CustomerMetadataProperties: "
            "register it with the S3 URI of the transform that it was trained with."
        )
    location = urlparse(uri)
    stored = s3.get_object(Bucket=location.netloc, Key=location.path.lstrip("/"))
    return FeatureTransform.from_json(stored["Body"].read())


def region_of(arn: str) -> str:
    """Return the region that an ARN names.

    :raise BadDataError: when it is no ARN of a model package.
    """
    parts = arn.split(":")
    if len(parts) != 6 or parts[2] != "sagemaker" or not parts[5].startswith("model-package/"):
        raise BadDataError(
            f"ModelPackageArn is {arn!r}, expected one like "
            "arn:aws:sagemaker:us-east-1:123456789012:model-package/abalone/1."
        )
    return parts[3]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model-package-arn", required=True)
    arn = parser.parse_args().model_package_arn
    session = boto3.Session(region_name=region_of(arn))
    transform = recorded_transform(arn, sagemaker=session.client("sagemaker"), s3=session.client("s3"))
    rows = transform_files(transform, INPUT / "batch", OUTPUT / "features")
    print(f"{rows} rows transformed for {arn}")


if __name__ == "__main__":
    run_job(main)
