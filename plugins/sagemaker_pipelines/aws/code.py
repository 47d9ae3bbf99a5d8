"""Fetch the code of a deployed definition from S3."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from posixpath import basename
from typing import Any

from sagemaker_pipelines.aws.objects import split_s3_uri, stored_objects
from sagemaker_pipelines.definition.adoption import Kept, Surroundings
from sagemaker_pipelines.definition.envelope import Asset
from sagemaker_pipelines.definition.resources import code_uris
from sagemaker_pipelines.exceptions import DefinitionError, MissingCodeError

#: The code of all steps together, in bytes; more of it is more likely data.
MAX_CODE_SIZE = 200 * 1024 * 1024
_FILE_NAME = re.compile(r"(?!\.{1,2}$)[^\x00-\x1f\x7f/\\]+")


@dataclass(frozen=True)
class Code:
    """Code that was fetched from S3.

    :param assets: the files, for the envelope.
    :param contents: their contents by their path below the envelope's folder.
    :param moved: the new URI, with placeholders, of each file that gets another place.
    :param kept: what was not fetched.
    """

    assets: tuple[Asset, ...] = ()
    contents: Mapping[str, bytes] = field(default_factory=dict)
    moved: Mapping[str, str] = field(default_factory=dict)
    kept: tuple[Kept, ...] = ()


def fetch_code(s3: Any, definition: Mapping[str, Any], surroundings: Surroundings) -> Code:
    """Return the code that a definition names, as assets of an envelope.

    Code in the artifact bucket keeps its key, so that the definition stays as it is. Other code becomes an
    asset like any other, which changes the definition; a folder of it is left where it is.

    :param s3: the boto3 client.
    :param definition: the definition as it is deployed.
    :param surroundings: what it was made for.
    :raises MissingCodeError: S3 does not have the code.
    :raises DefinitionError: the code is too large, or a file has a name that cannot be written.
    """
    found = {uri: _files(s3, uri) for uri in code_uris(definition)}
    if missing := {uri: step for uri, step in code_uris(definition).items() if not found[uri]}:
        raise MissingCodeError(missing)
    size = sum(item["Size"] for items in found.values() for item in items)
    if size > MAX_CODE_SIZE:
        raise DefinitionError(
            f"The code at {', '.join(found)} has {size:,} bytes, and more than {MAX_CODE_SIZE:,} is more "
            "likely data. Adopt the pipeline without --with-code, which leaves the code where it is."
        )
    assets: dict[str, Asset] = {}
    contents: dict[str, bytes] = {}
    moved: dict[str, str] = {}
    left: list[Kept] = []
    for uri, items in found.items():
        bucket, key = split_s3_uri(uri)
        is_own = bucket == surroundings.bucket
        if not is_own and [item["Key"] for item in items] != [key]:
            left.append(Kept(uri, "a folder of code in another bucket: it was not fetched"))
            continue
        for item in items:
            content = s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read()
            asset = _asset(item["Key"], content, surroundings if is_own else None)
            assets[f"{bucket}/{item['Key']}"] = asset
            contents[asset.path] = content
            if not is_own:
                moved[uri] = f"s3://${{artifact_bucket}}/{asset.key('${name_prefix}')}"
    ordered = sorted(assets.values(), key=lambda asset: (asset.path, asset.stored_key or ""))
    # The longest first, because a URI with a space may begin with another one.
    moved = {uri: moved[uri] for uri in sorted(moved, key=len, reverse=True)}
    return Code(tuple(dict.fromkeys(ordered)), contents, moved, tuple(left))


def _files(s3: Any, uri: str) -> list[dict[str, Any]]:
    """Return the objects at a URI or in the folder of this name, without those that only mark a folder."""
    return [item for item in stored_objects(s3, uri) if not item["Key"].endswith("/")]


def _asset(key: str, content: bytes, surroundings: Surroundings | None) -> Asset:
    """Return the asset of an object.

    :param key: its key.
    :param content: its content.
    :param surroundings: the environment whose artifact bucket has the object; None if another bucket has it.
    """
    name, digest = basename(key), hashlib.sha256(content).hexdigest()
    if _FILE_NAME.fullmatch(name) is None:
        raise DefinitionError(
            f"The code at the key {key!r} has no name that a file can have. Adopt the pipeline without "
            "--with-code, which leaves the code where it is."
        )
    asset = Asset(name, f"assets/{digest}/{name}", digest)
    if surroundings is None or asset.key(surroundings.name_prefix) == key:
        return asset
    if prefix := surroundings.name_prefix:
        # As in the definition, whose URIs begin with the same placeholders.
        key = re.sub(rf"\A{re.escape(prefix)}", "${name_prefix}", key)
    return Asset(name, asset.path, digest, stored_key=key)
