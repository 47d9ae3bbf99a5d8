"""Replace what belongs to one account in a definition by placeholders, where it is certain.

Filled with the values of the same account, the result is the definition again.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sagemaker_pipelines.definition.placeholders import IMAGE_PREFIX
from sagemaker_pipelines.definition.registries import regional_uris
from sagemaker_pipelines.definition.resources import JOINED_SCHEMES, EcrImage, buckets_of, images_of, texts

# An ARN up to its account. A KMS key exists in its own account only.
_ARN = re.compile(r"(arn:aws[a-z-]*:(?!kms:)[a-z0-9-]+:)([a-z0-9-]*):(\d{12})(?=:)")
_KMS_KEY = re.compile(r"arn:aws[a-z-]*:kms:[^\s\"']+")
# What has no name of its own in another account.
_RESOURCE_ID = re.compile(r"(subnet|sg|vpc|fs|vol)-[0-9a-f]{8,17}|j-[0-9A-Z]{8,}")
_BUCKET = "the artifact bucket"
_MOVED = "code that was fetched; the upsert uploads it"


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What a definition was made for; None for what is not known.

    :param role_arn: the role of the pipeline.
    :param bucket: the artifact bucket.
    :param name_prefix: the environment's prefix; empty if it has none.
    :param account_id: the account, 12 digits.
    :param region: the region.
    :param kms_key_id: the environment's KMS key.
    """

    role_arn: str | None = None
    bucket: str | None = None
    name_prefix: str = ""
    account_id: str | None = None
    region: str | None = None
    kms_key_id: str | None = None

    @property
    def values(self) -> dict[str, str]:
        """The values of the placeholders."""
        values = {
            "role_arn": self.role_arn,
            "artifact_bucket": self.bucket,
            "name_prefix": self.name_prefix,
            "account_id": self.account_id,
            "kms_key_id": self.kms_key_id,
        }
        return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True)
class Replacement:
    """A value that was replaced.

    :param value: what the definition had.
    :param placeholder: what it has now.
    :param count: how often.
    :param reason: why that is certain.
    """

    value: str
    placeholder: str
    count: int
    reason: str


@dataclass(frozen=True)
class Kept:
    """A value that looks like a part of the account and stays as it is.

    :param value: the value.
    :param reason: why it was not replaced.
    """

    value: str
    reason: str


@dataclass
class Replacer:
    """Replaces the parts of an account in one definition.

    :param surroundings: what the definition was made for.
    :param moved: URIs of code that gets another place, and its new URI.
    :param images: the URIs of the replaced images by region, by the name in their placeholder.
    """

    surroundings: Surroundings
    moved: Mapping[str, str] = field(default_factory=dict)
    images: dict[str, dict[str, str]] = field(default_factory=dict)
    _done: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    @property
    def replacements(self) -> list[Replacement]:
        """What was replaced so far, in the order of the document."""
        return [Replacement(value, new, count, why) for (value, new, why), count in self._done.items()]

    def replace(self, value: Any, key: str = "") -> Any:
        """Return a copy of a definition, or of a part of it, with placeholders.

        :param value: the part.
        :param key: the member of an object that contains it.
        """
        if isinstance(value, str):
            return self._text(value, key)
        if isinstance(value, list):
            return [
                self._note(item, "${artifact_bucket}", _BUCKET)
                if index == 1 and value[:1] in JOINED_SCHEMES and item == self.surroundings.bucket
                else self.replace(item, key)
                for index, item in enumerate(value)
            ]
        if not isinstance(value, Mapping):
            return value
        if value.get("EnumValues"):
            # The default of a parameter with an enum has to be one of its values.
            return dict(value)
        return {name: item if name == "Get" else self.replace(item, name) for name, item in value.items()}

    def _text(self, text: str, key: str) -> str:
        own = self.surroundings
        if text == own.role_arn:
            return self._note(text, "${role_arn}", "the role of the pipeline")
        if text == own.kms_key_id:
            return self._note(text, "${kms_key_id}", "the KMS key of the connection")
        if (image := EcrImage.of(text)) is not None:
            return self._image(image)
        if key.lower() == "sagemaker_region" and text.strip('"') == own.region:
            new = text.replace(text.strip('"'), "${region}")
            return self._note(text, new, "the region, which the SDK passes to the container")
        if key == "ModelPackageGroupName" and own.name_prefix and text.startswith(own.name_prefix):
            new = f"${{name_prefix}}{text.removeprefix(own.name_prefix)}"
            return self._note(text, new, "the prefix of the connection")
        for uri, new in self.moved.items():
            text = re.sub(rf"{re.escape(uri)}(?![^\"'\s])", self._noting(new, _MOVED), text)
        return _ARN.sub(self._arn, self._bucket(text))

    def _image(self, image: EcrImage) -> str:
        own = self.surroundings
        if uris := regional_uris(image):
            name = re.sub(r"[^a-z0-9_.-]+", "-", f"{image.repository}{image.tag}".lower())
            if self.images.setdefault(name, uris) != uris:
                return image.uri
            return self._note(image.uri, f"${{{IMAGE_PREFIX}{name}}}", "an image of AWS, for each region")
        if (image.account, image.region) != (own.account_id, own.region):
            return image.uri
        new = image.uri.replace(image.account, "${account_id}", 1).replace(image.region, "${region}", 1)
        return self._note(image.uri, new, "an image in the pipeline's account and region")

    def _bucket(self, text: str) -> str:
        own = self.surroundings
        if not own.bucket:
            return text
        # Another bucket's name may begin with this one's.
        bucket = rf"(?<=s3://){re.escape(own.bucket)}(?![a-z0-9.-])"
        text = re.sub(bucket, self._noting("${artifact_bucket}", _BUCKET), text)
        if not own.name_prefix:
            return text
        prefix = rf"(?<=s3://\$\{{artifact_bucket\}}/){re.escape(own.name_prefix)}"
        return re.sub(prefix, self._noting("${name_prefix}", "the prefix of the connection"), text)

    def _arn(self, match: re.Match[str]) -> str:
        start, region, account = match.groups()
        own = self.surroundings
        if account != own.account_id or region not in ("", own.region):
            return match[0]
        new = f"{start}{'${region}' if region else ''}:${{account_id}}"
        return self._note(match[0], new, "an ARN in the pipeline's account and region")

    def _noting(self, placeholder: str, reason: str) -> Callable[[re.Match[str]], str]:
        return lambda match: self._note(match[0], placeholder, reason)

    def _note(self, value: str, placeholder: str, reason: str) -> str:
        self._done[value, placeholder, reason] += 1
        return placeholder


def kept(
    definition: Mapping[str, Any], surroundings: Surroundings, is_secret: Callable[[str], bool]
) -> Iterator[Kept]:
    """Yield what stays in a definition although it may belong to one account, or be a secret.

    :param definition: the definition after the replacements.
    :param surroundings: what it was made for.
    :param is_secret: whether a value with this name may be a secret; such a value is not shown.
    """
    for name in dict.fromkeys(_secrets(definition, is_secret)):
        yield Kept(name, "may be a secret, and is in the file: remove it before you commit the file")
    images = images_of(definition)
    for uri in images:
        yield Kept(uri, "neither an image of AWS, nor one in the pipeline's account and region")
    for bucket in sorted(buckets_of(definition)):
        yield Kept(bucket, "not the artifact bucket")
    rest = [text for text in dict.fromkeys(texts(definition)) if text not in images]
    for key in dict.fromkeys(match[0] for text in rest for match in _KMS_KEY.finditer(text)):
        yield Kept(key, "a KMS key exists in its own account only")
    for text in rest:
        if _RESOURCE_ID.fullmatch(text):
            yield Kept(text, "the id of a resource, which exists in its own account only")
        if text.strip('"') == surroundings.region:
            yield Kept(text, "the region, in a place that may mean something else")
        if surroundings.account_id and surroundings.account_id in _KMS_KEY.sub("", text):
            yield Kept(text, "contains the account id, in a form that may mean something else")


def _secrets(value: Any, is_secret: Callable[[str], bool]) -> Iterator[str]:
    """Yield the names of texts that may be secrets: environment variables, hyperparameters, defaults."""
    if isinstance(value, list):
        for item in value:
            yield from _secrets(item, is_secret)
    if not isinstance(value, Mapping):
        return
    name = value.get("Name")
    if isinstance(name, str) and isinstance(value.get("DefaultValue"), str) and is_secret(name):
        yield name
    for key, item in value.items():
        if isinstance(item, str) and is_secret(str(key)):
            yield str(key)
        yield from _secrets(item, is_secret)
