"""What the registry and earlier decisions say about models, for people who compare them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

from sagemaker_pipelines.aws.champion import ModelPackage, described_model_package, read_model_package
from sagemaker_pipelines.aws.client import SageMakerClient
from sagemaker_pipelines.aws.comparison import Comparison
from sagemaker_pipelines.aws.objects import is_absent, split_s3_uri
from sagemaker_pipelines.reading import parse_json


def described_model(client: SageMakerClient, model_package_arn: str) -> dict[str, Any]:
    """Return the approval, the origin and the registered metrics of a model package, by name.

    :param client: calls AWS.
    :param model_package_arn: the package.
    :return: JSON types; each number of its metrics report has its path as its name.
    :raises ModelPackageError: it does not exist.
    """
    found = described_model_package(client, model_package_arn)
    package = ModelPackage.of(found)
    containers = found.get("InferenceSpecification", {}).get("Containers", [])
    return {
        "model package": str(package),
        "status": package.status,
        "why": package.description,
        "created": found["CreationTime"].isoformat(timespec="seconds"),
        "image": ", ".join(each.get("Image", "") for each in containers),
        "model data": ", ".join(each.get("ModelDataUrl", "") for each in containers),
        **_metrics(client, found),
    }


def recorded_comparison(client: SageMakerClient, *model_package_arns: str) -> Comparison | None:
    """Return the comparison of two model packages that a decision about one of them is based on.

    :param client: calls AWS.
    :param model_package_arns: both packages, in any order.
    :return: None if no such decision is recorded.
    """
    for arn in model_package_arns:
        uri = read_model_package(client, arn).record_uri
        document = _read(client, uri) if uri else None
        if not isinstance(document, Mapping) or not document.get("comparison"):
            continue
        found = Comparison.from_document(document["comparison"])
        champion = found.champion.arn if found.champion else None
        if {found.challenger.arn, champion} == {*model_package_arns}:
            return found
    return None


def _metrics(client: SageMakerClient, package: Mapping[str, Any]) -> dict[str, float]:
    statistics = package.get("ModelMetrics", {}).get("ModelQuality", {}).get("Statistics", {})
    uri = statistics.get("S3Uri")
    return dict(_numbers(_read(client, uri))) if uri else {}


def _numbers(value: Any, path: str = "") -> Iterator[tuple[str, float]]:
    """Yield each number of a JSON document with its path, in order."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _numbers(item, f"{path}.{name}" if path else str(name))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path, float(value)


def _read(client: SageMakerClient, uri: str) -> Any:
    """Return a JSON document; None if it does not exist or is not JSON."""
    try:
        return parse_json(client.read_object(uri))
    except ClientError as error:
        if not is_absent(client.s3, error, *split_s3_uri(uri)):
            raise
        client.log.warning("%s does not exist any more", uri)
    except ValueError as error:
        client.log.warning("%s is not JSON: %s", uri, error)
    return None
