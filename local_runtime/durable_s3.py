"""moto's S3 with its objects on disk: what was answered survives a restart and ``kill -9``.

A body is a file with a random name below ``<data_dir>/s3``, so no key can name a path. What S3 knows about it
is a document in the store, written in one transaction at the end of the request that changed it and before
the client has its answer. A body is on disk before its document says so, and is removed after the document
no longer does: a crash can leave a file without a document, which the next start removes, never the reverse.

Kept: objects with their versions, delete markers, metadata, tags, checksums, locks; buckets with their
versioning, policy, encryption, ownership, lock configuration and tags. Not kept: unfinished multipart
uploads, access control lists, and what S3 would notify (its targets are not durable either).
"""

from __future__ import annotations

import hashlib
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from moto.s3 import models as s3  # noqa: TID253 - this module is about moto's S3
from moto.s3.utils import _VersionedKeyStore  # noqa: TID253

from local_runtime.store import Store

OBJECT = "s3-object"
BUCKET = "s3-bucket"
_PARTITION = "aws"
_STOCK = s3.FakeKey, s3.FakeBucket
_KEY_FIELDS = (
    "_storage_class",
    "_etag",
    "_version_id",
    "_is_versioned",
    "encryption",
    "kms_key_id",
    "bucket_key_enabled",
    "lock_mode",
    "lock_legal_status",
    "lock_until",
    "checksum_algorithm",
    "checksum_value",
    "checksum_type",
    "checksum_parts",
    "website_redirect_location",
)
_BUCKET_FIELDS = (
    "region_name",
    "versioning_status",
    "encryption",
    "object_lock_enabled",
    "default_lock_mode",
    "default_lock_days",
    "default_lock_years",
    "ownership_rule",
    "payer",
)


@dataclass(frozen=True)
class StoredBody:
    """A body that is on disk already."""

    name: str
    size: int


@dataclass
class _Scope:
    """What one request changes, until it is committed.

    :param touched: bucket and key of every object that it looked at or changed.
    :param condemned: objects that are gone; they are held until the store says so, too.
    """

    changing: bool
    touched: set[tuple[str, str]] = field(default_factory=set)
    condemned: list[DurableKey] = field(default_factory=list)


class _Current(threading.local):
    """The scope of the request that this thread answers."""

    scope: _Scope | None = None


_current = _Current()


class _Bodies:
    """Where the bodies are; like moto's backends, one place for the whole process."""

    folder = Path()

    @classmethod
    def path(cls, body: StoredBody) -> Path:
        """Return the file of a body."""
        return cls.folder / body.name[:2] / body.name

    @classmethod
    def write(cls, data: bytes) -> StoredBody:
        """Write a new body."""
        body = StoredBody(uuid.uuid4().hex, len(data))
        path = cls.path(body)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        return body


class DurableKey(s3.FakeKey):  # type: ignore[misc] # moto is untyped
    """An object whose body is a file; the file goes when the last reader of a deleted object is done."""

    body: StoredBody | None = None
    condemned = False
    _etag: str | None
    _path: Path

    @property
    def value(self) -> bytes:
        """The whole body."""
        return self._path.read_bytes() if self.body is not None else b""

    @value.setter
    def value(self, new_value: bytes | str | StoredBody) -> None:
        if not isinstance(new_value, StoredBody):
            data = new_value.encode() if isinstance(new_value, str) else new_value
            if self._etag is None:
                self._etag = hashlib.md5(data, usedforsecurity=False).hexdigest()
            new_value = _Bodies.write(data)
        self.body, self.contentsize = new_value, new_value.size
        self._path = _Bodies.path(new_value)

    def dispose(self, garbage: bool = False) -> None:
        """Give up the body, if a request deletes the object; the end of the process is no deletion."""
        if not garbage and _current.scope is not None and not self.condemned:
            self.condemned = True
            _current.scope.condemned.append(self)
        if self.multipart is not None and not garbage:
            self.multipart.dispose()
        self.disposed = True

    def __del__(self) -> None:
        """Remove the file of a deleted object."""
        if self.condemned:
            self._path.unlink(missing_ok=True)


class DurableKeys(_VersionedKeyStore):  # type: ignore[misc] # moto is untyped
    """A bucket's objects; notes which of them a changing request uses.

    :param bucket_name: the bucket.
    """

    def __init__(self, bucket_name: str) -> None:
        super().__init__()
        self._bucket_name = bucket_name

    def __sgetitem__(self, key: str) -> list[Any]:
        self._touch(key)
        versions: list[Any] = super().__sgetitem__(key)
        return versions

    def setlist(self, key: str, list_: Any) -> None:
        """Replace the versions of a key."""
        self._touch(key)
        super().setlist(key, list_)

    def _touch(self, key: str) -> None:
        if _current.scope is not None and _current.scope.changing:
            _current.scope.touched.add((self._bucket_name, key))


class DurableBucket(s3.FakeBucket):  # type: ignore[misc] # moto is untyped
    """A bucket with durable objects."""

    def __init__(self, name: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(name, *args, **kwargs)
        self.keys = DurableKeys(name)


class DurableS3:
    """Put moto's S3 of this process on a folder and a store, and bring back what they hold.

    :param folder: where the bodies are.
    :param store: where everything else is.
    :param account_id: who owns the buckets.
    """

    def __init__(self, folder: Path, store: Store, account_id: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._store = store
        self._account_id = account_id
        self._commit_lock = threading.Lock()
        _Bodies.folder = folder
        s3.FakeKey, s3.FakeBucket = DurableKey, DurableBucket
        self._load()
        self._remove_orphans(folder)

    def close(self) -> None:
        """Give S3 back to moto as it was."""
        s3.FakeKey, s3.FakeBucket = _STOCK

    @contextmanager
    def request(self, method: str) -> Iterator[None]:
        """Answer one S3 request inside; what it changed is durable afterwards."""
        scope = _current.scope = _Scope(changing=method in ("PUT", "POST", "DELETE"))
        try:
            yield
        finally:
            _current.scope = None
            if scope.changing:
                self._commit(scope)

    @property
    def _backend(self) -> Any:
        return s3.s3_backends[self._account_id][_PARTITION]

    def _commit(self, scope: _Scope) -> None:
        """Write what the touched objects are now; later commits of the same objects see later states."""
        buckets = self._backend.buckets
        with self._commit_lock, self._store.transaction():
            for bucket, key in scope.touched:
                name = f"{bucket}/{key}"
                self._store.delete(OBJECT, name)
                versions = buckets[bucket].keys.getlist(key, []) if bucket in buckets else []
                if versions:
                    document = {"key": key, "versions": [self._describe(version) for version in versions]}
                    self._store.insert(OBJECT, name, document, parent=bucket)
            if not scope.touched:
                self._commit_buckets()

    def _commit_buckets(self) -> None:
        self._store.delete_all(BUCKET)
        for bucket in [*self._backend.buckets.values()]:
            document = {name: getattr(bucket, name) for name in _BUCKET_FIELDS}
            document["created"] = bucket.creation_date.isoformat()
            document["policy"] = bucket.policy.decode() if bucket.policy else None
            document["tags"] = self._backend.tagger.get_tag_dict_for_resource(bucket.arn)
            self._store.insert(BUCKET, bucket.name, {"name": bucket.name, **document})

    def _describe(self, version: Any) -> dict[str, Any]:
        modified = version.last_modified.isoformat()
        if isinstance(version, s3.FakeDeleteMarker):
            return {"delete_marker": version.version_id, "modified": modified}
        return {
            "body": version.body.name,
            "size": version.body.size,
            "modified": modified,
            "fields": {name: getattr(version, name) for name in _KEY_FIELDS},
            "metadata": dict(version.metadata),
            "tags": self._backend.tagger.get_tag_dict_for_resource(version.arn),
        }

    def _load(self) -> None:
        for document in self._store.list(BUCKET):
            bucket = self._load_bucket(document)
            for stored in self._store.list(OBJECT, parent=bucket.name):
                versions: list[Any] = []
                for version in stored["versions"]:
                    versions.append(self._load_version(bucket, stored["key"], version, versions))
                bucket.keys.setlist(stored["key"], versions)

    def _load_bucket(self, document: Mapping[str, Any]) -> DurableBucket:
        bucket = DurableBucket(
            document["name"], account_id=self._account_id, region_name=document["region_name"]
        )
        for name in _BUCKET_FIELDS:
            setattr(bucket, name, document[name])
        bucket.creation_date = datetime.fromisoformat(document["created"])
        bucket.policy = document["policy"].encode() if document["policy"] else None
        self._backend.buckets[bucket.name] = bucket
        self._tag(bucket.arn, document["tags"])
        return bucket

    def _load_version(
        self, bucket: DurableBucket, name: str, document: Mapping[str, Any], earlier: list[Any]
    ) -> Any:
        modified = datetime.fromisoformat(document["modified"])
        if "delete_marker" in document:
            marker = s3.FakeDeleteMarker(key=earlier[-1] if earlier else _nameless(name))
            marker._version_id, marker.last_modified = document["delete_marker"], modified
            return marker
        key = DurableKey(
            name=name,
            value=StoredBody(document["body"], document["size"]),
            account_id=self._account_id,
            region_name=_PARTITION,
            bucket_name=bucket.name,
        )
        for attribute, value in document["fields"].items():
            setattr(key, attribute, value)
        key.last_modified = modified
        key.set_metadata(document["metadata"], replace=False)
        self._tag(key.arn, document["tags"])
        return key

    def _tag(self, arn: str, tags: Mapping[str, str]) -> None:
        if tags:
            tagger = self._backend.tagger
            tagger.tag_resource(arn, tagger.convert_dict_to_tags_input(dict(tags)))

    def _remove_orphans(self, folder: Path) -> None:
        """Remove bodies that no document names: a crash came between the two, or an upload was unfinished."""
        known = {
            version["body"]
            for document in self._store.list(OBJECT)
            for version in document["versions"]
            if "body" in version
        }
        for path in folder.glob("??/*"):
            if path.name not in known:
                path.unlink()


def _nameless(name: str) -> Any:
    """Stand in for the object that a delete marker was set on and that is gone."""
    return type("DeletedKey", (), {"name": name})()
