"""Images that the SDK knows are known in every region, and all others stay as they are."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sagemaker_compile.image_tables import KnownImage, known_images, placeholder_names
from sagemaker_compile.offline import offline_environment


@pytest.fixture(autouse=True)
def _offline() -> Iterator[None]:
    """The SDK reads settings while it is imported."""
    with offline_environment():
        yield


DLC = "763104351884.dkr.ecr.us-east-1.amazonaws.com"
HUGGING_FACE = "huggingface-pytorch-training:1.13-transformers4.26.0-gpu-py39-cu117-ubuntu20.04"


@pytest.mark.parametrize(
    ("uri", "framework", "region", "elsewhere"),
    [
        (
            f"{DLC}/pytorch-training:2.0.1-cpu-py310",
            "pytorch",
            "eu-west-1",
            "763104351884.dkr.ecr.eu-west-1.amazonaws.com/pytorch-training:2.0.1-cpu-py310",
        ),
        (
            # The SDK writes the version as it was asked for, such as 2.0.
            f"{DLC}/pytorch-inference:2.0-cpu-py310",
            "pytorch",
            "cn-north-1",
            "727897471807.dkr.ecr.cn-north-1.amazonaws.com.cn/pytorch-inference:2.0-cpu-py310",
        ),
        (
            f"{DLC}/{HUGGING_FACE}",
            "huggingface",
            "eu-west-1",
            f"763104351884.dkr.ecr.eu-west-1.amazonaws.com/{HUGGING_FACE}",
        ),
        (
            f"{DLC}/tensorflow-inference:2.12-cpu",
            "tensorflow",
            "eu-west-1",
            "763104351884.dkr.ecr.eu-west-1.amazonaws.com/tensorflow-inference:2.12-cpu",
        ),
        (
            "382416733822.dkr.ecr.us-east-1.amazonaws.com/kmeans:1",
            "kmeans",
            "eu-west-1",
            "438346466558.dkr.ecr.eu-west-1.amazonaws.com/kmeans:1",
        ),
        (
            "156813124566.dkr.ecr.us-east-1.amazonaws.com/sagemaker-model-monitor-analyzer",
            "model-monitor",
            "eu-west-1",
            "468650794304.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-model-monitor-analyzer",
        ),
        (
            # From another region than the one that stands in.
            "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-xgboost:1.7-1",
            "xgboost",
            "us-east-1",
            "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1",
        ),
    ],
)
def test_an_image_of_the_sdk_is_known_in_other_regions(
    uri: str, framework: str, region: str, elsewhere: str
) -> None:
    image = known_images(f'{{"ImageUri": "{uri}"}}')[uri]
    assert image.framework == framework
    assert image.regions[region] == elsewhere
    assert uri in image.regions.values()
    assert len(image.regions) >= 20


@pytest.mark.parametrize(
    "uri",
    [
        "111122223333.dkr.ecr.us-east-1.amazonaws.com/mine:1",
        "111122223333.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1",
        f"{DLC}/pytorch-training:99.0-cpu-py310",
        "public.ecr.aws/docker/library/python:3.11",
    ],
)
def test_an_image_of_others_and_an_unknown_tag_are_not_known(uri: str) -> None:
    assert known_images(f'{{"ImageUri": "{uri}"}}') == {}


def image(repository: str, tag: str, framework: str = "pytorch") -> KnownImage:
    return KnownImage(framework, repository, tag, {})


def test_a_placeholder_is_named_after_the_framework_unless_there_are_two_images_of_it() -> None:
    assert placeholder_names({"a": image("pytorch-training", "2.0"), "b": image("x", "1", "xgboost")}) == {
        "a": "pytorch",
        "b": "xgboost",
    }
    two = {"a": image("pytorch-training", "2.0-cpu"), "b": image("pytorch-inference", "2.0-cpu")}
    assert placeholder_names(two) == {"a": "pytorch-training-2.0-cpu", "b": "pytorch-inference-2.0-cpu"}
