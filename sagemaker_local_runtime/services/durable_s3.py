"""moto's S3 with its objects on disk: answered changes survive a restart and ``kill -9``.

A body is a file with a random name below ``<data_dir>/s3``, so a key can never become a path. Its metadata
are a document in the store, which is written in one transaction at the end of the request that changed them,
before the client gets its answer. A body is written before its document and removed after it: a crash can
leave a file without a document, which the next start removes, but never a document without a file.
When a request fails or cannot be written, memory is restored from the store.

Objects are kept with their versions, delete markers, metadata, tags, checksums and locks; buckets with their
versioning, policy, encryption, ownership, lock configuration and tags. Unfinished multipart uploads, access
control lists and notifications are not kept (the targets of notifications are not durable either).
"""

from __future__ import annotations

import errno
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

# moto would load its responses with the first request. Loaded while the classes below are replaced, they
# would keep the replacements for the rest of the process.
from moto.s3 import models as s3  # noqa: TID253 - this module is about moto's S3
from moto.s3 import responses as _responses  # noqa: F401, TID253

from sagemaker_local_runtime.services.s3_objects import (
    Bodies,
    DurableBucket,
    DurableKey,
    Scope,
    StoredBody,
    current,
)
from sagemaker_local_runtime.store import Store

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


class DurableS3:
    """Make moto's S3 in this process durable, and restore what the folder and the store hold.

    :param folder: keeps the bodies.
    :param store: keeps everything else.
    :param account_id: the account that owns the buckets.
    """

    def __init__(self, folder: Path, store: Store, account_id: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._store = store
        self._account_id = account_id
        self._commit_lock = threading.Lock()
        self._open: list[Scope] = []
        Bodies.folder = folder
        s3.FakeKey, s3.FakeBucket = DurableKey, DurableBucket
        self._load()
        self._remove_orphans(folder)

    def close(self) -> None:
        """Restore moto's own S3."""
        s3.FakeKey, s3.FakeBucket = _STOCK

    @contextmanager
    def request(self, method: str) -> Iterator[None]:
        """Answer one S3 request inside; afterwards its changes are durable.

        :raises OSError, sqlite3.Error: the changes cannot be written; nothing has changed.
        """
        scope = current.scope = Scope(changing=method in ("PUT", "POST", "DELETE"))
        self._open.append(scope)
        try:
            yield
            current.scope = None
            if scope.changing:
                self._commit(scope)
        except BaseException:
            current.scope = None
            self._undo(scope)
            raise
        finally:
            self._open.remove(scope)

    @property
    def _backend(self) -> Any:
        return s3.s3_backends[self._account_id][_PARTITION]

    def _commit(self, scope: Scope) -> None:
        """Write the current state of the touched objects, which a later commit may write again."""
        buckets = self._backend.buckets
        with self._commit_lock, self._store.transaction():
            if scope.undone:
                raise OSError(errno.EAGAIN, "Another request for the same resource failed; send it again")
            for bucket, key in scope.touched:
                name = f"{bucket}/{key}"
                self._store.delete(OBJECT, name)
                versions = buckets[bucket].keys.getlist(key, []) if bucket in buckets else []
                if versions:
                    document = {"key": key, "versions": [self._describe(version) for version in versions]}
                    self._store.insert(OBJECT, name, document, parent=bucket)
            if not scope.touched:
                self._commit_buckets()

    def _undo(self, scope: Scope) -> None:
        """Restore memory from the store, also for requests that changed the same objects in the meantime."""
        if not scope.changing:
            return
        with self._commit_lock:
            for other in [*self._open]:
                other.undone = other.undone or (other is not scope and other.competes_with(scope))
            for bucket, key in scope.touched:
                self._load_object(bucket, key)
            if not scope.touched:
                self._load_buckets()
            scope.undo()

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
        self._load_buckets()
        for name, bucket in self._backend.buckets.items():
            for stored in self._store.list(OBJECT, parent=name):
                self._load_versions(bucket, stored)

    def _load_buckets(self) -> None:
        documents = {document["name"]: document for document in self._store.list(BUCKET)}
        for document in documents.values():
            self._load_bucket(document)
        for name in self._backend.buckets.keys() - documents.keys():
            self._backend.buckets.pop(name)
            s3.s3_backends.bucket_accounts.pop(name, None)

    def _load_object(self, bucket_name: str, key: str) -> None:
        """Restore one object of a bucket from the store."""
        bucket = self._backend.buckets.get(bucket_name)
        stored = self._store.get(OBJECT, f"{bucket_name}/{key}")
        if bucket is None:
            return
        for version in bucket.keys.getlist(key, []):
            if not isinstance(version, s3.FakeDeleteMarker):
                self._backend.tagger.delete_all_tags_for_resource(version.arn)
        if stored is None:
            dict.pop(bucket.keys, key, None)
        else:
            self._load_versions(bucket, stored)

    def _load_versions(self, bucket: DurableBucket, stored: Mapping[str, Any]) -> None:
        versions: list[Any] = []
        for version in stored["versions"]:
            versions.append(self._load_version(bucket, stored["key"], version, versions))
        bucket.keys.setlist(stored["key"], versions)

    def _load_bucket(self, document: Mapping[str, Any]) -> None:
        bucket = self._backend.buckets.get(document["name"]) or DurableBucket(
            document["name"], account_id=self._account_id, region_name=document["region_name"]
        )
        for name in _BUCKET_FIELDS:
            setattr(bucket, name, document[name])
        bucket.creation_date = datetime.fromisoformat(document["created"])
        bucket.policy = document["policy"].encode() if document["policy"] else None
        self._backend.buckets[bucket.name] = bucket
        self._backend.tagger.delete_all_tags_for_resource(bucket.arn)
        self._tag(bucket.arn, document["tags"])

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
        """Remove bodies without a document, which a crash or an unfinished upload has left."""
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
    """Return a stand-in for the deleted object of a delete marker."""
    return type("DeletedKey", (), {"name": name})()
