"""What a definition names in AWS as it stands: code and buckets in S3, images in ECR."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from posixpath import dirname
from typing import Any

from sagemaker_pipelines.definition.document import iter_steps, objects, own_part

#: https://docs.aws.amazon.com/AmazonECR/latest/userguide/Registries.html
_ECR_IMAGE = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr(-fips)?\.(?P<region>[a-z0-9-]+)\.(?P<domain>amazonaws\.com(\.cn)?)/"
    r"(?P<repository>[a-z0-9._/-]+)(?P<tag>[:@].+)?"
)
_BUCKET = r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"
_S3_URI = re.compile(rf"s3://(?P<bucket>{_BUCKET})(?![a-z0-9.-])[^\s\"']*")
# Where a whole text is a URI, its key may have spaces and quotes.
_WHOLE_S3_URI = re.compile(rf"s3://{_BUCKET}(/.*)?", re.DOTALL)
#: What SDK v2 joins with a bucket's name: {"Std:Join": {"On": "/", "Values": ["s3:/", "<bucket>", ...]}}.
JOINED_SCHEMES = (["s3:/"], ["s3://"])
# The inputs and channels in which the SDK passes code, in v2 and v3.
_CODE_INPUTS = frozenset({"code", "entrypoint", "sm_drivers"})
# Assets that the upsert of an envelope uploaded.
_ASSET = re.compile(r"s3://\S+/(\S*-)?assets/[0-9a-f]{64}/[^\s/]+")
# The archive of a source_dir: a hyperparameter of a training job, an environment variable of a model.
_SUBMIT_DIRECTORY = "sagemaker_submit_directory"


@dataclass(frozen=True)
class EcrImage:
    """An image in a registry of ECR.

    :param uri: the image as it is in the definition.
    :param account: the account of the registry, 12 digits.
    :param region: the registry's region.
    :param repository: the name of the repository.
    :param tag: the tag with its colon, or the digest with its at sign; empty without either.
    """

    uri: str
    account: str
    region: str
    repository: str
    tag: str

    @classmethod
    def of(cls, uri: str) -> EcrImage | None:
        """Return the image that a URI names; None if it is not the URI of an image in ECR."""
        match = _ECR_IMAGE.fullmatch(uri)
        if match is None:
            return None
        return cls(uri, match["account"], match["region"], match["repository"], match["tag"] or "")


def texts(value: Any) -> Iterator[str]:
    """Yield every text in a value, at any depth, without the keys of its objects."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)


def images_of(definition: Mapping[str, Any]) -> dict[str, EcrImage]:
    """Return the images that a definition names literally, by URI, in the order of the document."""
    found = (EcrImage.of(text) for text in texts(definition))
    return {image.uri: image for image in found if image is not None}


def buckets_of(definition: Mapping[str, Any]) -> set[str]:
    """Return the buckets that a definition names literally, in URIs and in the SDK's joins of URIs."""
    found = {match["bucket"] for text in texts(definition) for match in _S3_URI.finditer(text)}
    return found | {name for name in _joined_buckets(definition) if re.fullmatch(_BUCKET, name)}


def _joined_buckets(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        if value[:1] in JOINED_SCHEMES and len(value) > 1 and isinstance(value[1], str):
            yield value[1]
        for item in value:
            yield from _joined_buckets(item)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _joined_buckets(item)


def code_uris(definition: Mapping[str, Any]) -> dict[str, str]:
    """Return the S3 URIs of the code that steps name literally, and the first step that names each.

    Code is the input or channel in which the SDK passes it, an input with the file of the entry point, the
    archive of a ``source_dir``, and what the upsert of an envelope uploaded.
    """
    found: dict[str, str] = {}
    for step in iter_steps(definition):
        own = own_part(step)
        assets = filter(_ASSET.fullmatch, texts(own))
        for uri in (*_code_inputs(own), *_submit_directories(own), *assets):
            if _WHOLE_S3_URI.fullmatch(uri):
                found.setdefault(uri, str(step.get("Name", "")))
    return found


def _code_inputs(value: Any) -> Iterator[str]:
    """Yield the URIs of code inputs, in a job's arguments and in the job definitions of a tuning step."""
    if isinstance(value, list):
        for item in value:
            yield from _code_inputs(item)
    if not isinstance(value, Mapping):
        return
    application = value.get("AppSpecification")
    entry = list(texts(application.get("ContainerEntrypoint"))) if isinstance(application, Mapping) else []
    for item in objects(value.get("ProcessingInputs")):
        source = item.get("S3Input")
        if isinstance(source, Mapping) and (item.get("InputName") in _CODE_INPUTS or _holds(source, entry)):
            yield from texts([source.get("S3Uri")])
    for channel in objects(value.get("InputDataConfig")):
        if channel.get("ChannelName") in _CODE_INPUTS:
            yield from texts(channel.get("DataSource"))
    for item in value.values():
        yield from _code_inputs(item)


def _holds(source: Mapping[str, Any], entry: list[str]) -> bool:
    """Return whether an input is copied to the folder of a file that the entry point runs."""
    folder = source.get("LocalPath")
    return isinstance(folder, str) and any(dirname(text) == folder.rstrip("/") for text in entry)


def _submit_directories(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _submit_directories(item)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if str(key).lower() == _SUBMIT_DIRECTORY and isinstance(item, str):
                # Hyperparameters of the SDK are JSON: the text of a text.
                yield item.strip('"')
            yield from _submit_directories(item)
