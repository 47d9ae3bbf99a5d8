"""The tags of resources, by ARN."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sagemaker_local_runtime.exceptions import ValidationError
from sagemaker_local_runtime.store import Store

Tag = dict[str, str]

_KIND = "tags"
MAX_TAGS = 50


def tags_of(store: Store, arn: str) -> list[Tag]:
    """Return the tags of a resource."""
    document = store.get(_KIND, arn)
    return [{"Key": key, "Value": value} for key, value in document["tags"].items()] if document else []


def put_tags(store: Store, arn: str, tags: Iterable[Mapping[str, str]]) -> list[Tag]:
    """Add tags to a resource, replacing those with the same keys, and return all its tags.

    :raises ValidationError: there would be more than 50.
    """
    with store.transaction():
        merged = {tag["Key"]: tag["Value"] for tag in [*tags_of(store, arn), *tags]}
        if len(merged) > MAX_TAGS:
            raise ValidationError(
                f"Too many tags: {arn} would have {len(merged)}, at most {MAX_TAGS} are allowed."
            )
        if merged:
            store.insert(_KIND, arn, {})
            store.update(_KIND, arn, tags=merged)
    return tags_of(store, arn)


def remove_tags(store: Store, arn: str, keys: Sequence[str]) -> None:
    """Remove the tags with these keys."""
    with store.transaction():
        document = store.get(_KIND, arn)
        if document:
            kept = {key: value for key, value in document["tags"].items() if key not in keys}
            store.update(_KIND, arn, tags=kept)


def delete_tags(store: Store, arn: str) -> None:
    """Remove all tags of a resource that is being deleted."""
    store.delete(_KIND, arn)
