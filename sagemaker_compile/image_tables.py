"""Find the images of a definition in the SDK's tables, which say where each is available."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import boto3

from sagemaker_compile import sdk

#: ``account.dkr.ecr.region.suffix/repository:tag``; the monitoring images have no tag.
_URI = re.compile(r"(\d{12})\.dkr\.ecr\.([a-z0-9-]+)\.([a-z0-9.]+)/([a-z0-9._/-]+)(?::([A-Za-z0-9._-]+))?")


@dataclass(frozen=True)
class KnownImage:
    """An image that the SDK knows.

    :param framework: the SDK's name for it, such as ``pytorch``.
    :param repository: its repository, such as ``pytorch-training``.
    :param tag: its tag; empty if it has none.
    :param regions: its URI in each region.
    """

    framework: str
    repository: str
    tag: str
    regions: Mapping[str, str]


@dataclass(frozen=True)
class _Entry:
    """A version of an image in the SDK's tables.

    :param framework: the name of the table.
    :param repository: the repository.
    :param versions: the beginnings that a tag of this version may have.
    :param registries: the account that holds it, by region.
    """

    framework: str
    repository: str
    versions: frozenset[str]
    registries: Mapping[str, str]


def known_images(definition: str) -> dict[str, KnownImage]:
    """Return the images in a definition that the SDK knows, by URI.

    :param definition: the definition as JSON.
    """
    found = {}
    for match in _URI.finditer(definition):
        account, region, _, repository, tag = match.groups(default="")
        entries = [
            entry
            for entry in _entries()
            if entry.repository == repository
            and entry.registries.get(region) == account
            and _is_tag_of(tag, entry.versions)
        ]
        if entries:
            registries = {
                region: account for entry in entries for region, account in entry.registries.items()
            }
            path = f"{repository}:{tag}" if tag else repository
            found[match[0]] = KnownImage(
                entries[0].framework,
                repository,
                tag,
                {region: f"{registries[region]}.dkr.{_host(region)}/{path}" for region in sorted(registries)},
            )
    return found


def placeholder_names(images: Mapping[str, KnownImage]) -> dict[str, str]:
    """Return the name of each image's placeholder, by URI.

    It is the framework's, such as ``pytorch``, unless a definition has several images of one framework.
    """
    frameworks = Counter(image.framework for image in images.values())
    return {
        uri: image.framework
        if frameworks[image.framework] == 1
        else f"{image.repository}-{image.tag}".lower().replace("/", "-")
        for uri, image in images.items()
    }


def _is_tag_of(tag: str, versions: frozenset[str]) -> bool:
    return any(tag == version or (version and tag.startswith(f"{version}-")) for version in versions)


@cache
def _host(region: str) -> str:
    return str(boto3.client("ecr", region_name=region).meta.endpoint_url).removeprefix("https://api.")


@cache
def _entries() -> tuple[_Entry, ...]:
    found: list[_Entry] = []
    for path in sorted(sdk.image_tables().glob("*.json")):
        found.extend(_walk(path.stem, json.loads(path.read_text(encoding="utf-8")), frozenset(), {}))
    return tuple(found)


def _walk(
    framework: str, table: Any, versions: frozenset[str], aliases: Mapping[str, str]
) -> Iterator[_Entry]:
    """Yield the entries of a table: scopes, versions, and for Hugging Face versions of versions."""
    if not isinstance(table, dict):
        return
    if isinstance(table.get("repository"), str) and "registries" in table:
        yield _Entry(framework, table["repository"], versions, table["registries"])
        return
    aliases = table.get("version_aliases", aliases)
    for key, value in table.items():
        names = {key, *(alias for alias, version in aliases.items() if version == key)}
        # The framework in a version of a version, such as pytorch2.1.0, is not part of the tag.
        own = {name.lstrip("abcdefghijklmnopqrstuvwxyz") for name in names}
        yield from _walk(framework, value, versions | own, aliases)
