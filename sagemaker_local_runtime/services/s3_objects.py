"""moto's objects and buckets with bodies on disk, and the changes of one request."""

from __future__ import annotations

import hashlib
import threading
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from moto.s3 import models as s3  # noqa: TID253 - this module is about moto's S3
from moto.s3.utils import _VersionedKeyStore  # noqa: TID253


@dataclass(frozen=True)
class StoredBody:
    """A body that is already on disk."""

    name: str
    size: int


@dataclass(eq=False)
class Scope:
    """The changes of one request, until they are committed.

    :param changing: whether its method can change anything.
    :param touched: the bucket and the key of every object that it read or changed.
    :param written: objects with new bodies, whose files are removed if the request fails.
    :param condemned: deleted objects, which are kept until the store has been updated.
    :param completed: uploads that have become objects, each with its bucket.
    :param undone: whether another request failed and undid the changes of this one.
    """

    changing: bool
    touched: set[tuple[str, str]] = field(default_factory=set)
    written: list[DurableKey] = field(default_factory=list)
    condemned: list[DurableKey] = field(default_factory=list)
    completed: list[tuple[Uploads, str, Any]] = field(default_factory=list)
    undone: bool = False

    def competes_with(self, other: Scope) -> bool:
        """Return whether both change the same object, or both change something other than objects."""
        return bool(self.touched & other.touched) or not (self.touched or other.touched)

    def undo(self) -> None:
        """Remove the new bodies, and keep the ones that the request wanted to remove."""
        for key in self.condemned:
            key.condemned = False
        for key in self.written:
            key.condemned = True
        for uploads, name, upload in self.completed:
            uploads[name] = upload
        # The traceback of the error refers to this scope, which must not keep the bodies alive.
        self.written.clear()


class Current(threading.local):
    """The scope of the request that this thread is answering."""

    scope: Scope | None = None


current = Current()


class Bodies:
    """The files of the bodies; like moto's backends, one for the whole process."""

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
        try:
            path.write_bytes(data)
        except OSError:
            path.unlink(missing_ok=True)
            raise
        return body


class DurableKey(s3.FakeKey):  # type: ignore[misc] # moto is untyped
    """An object whose body is a file, which is removed when the last reader of the deleted object is done."""

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
            new_value = Bodies.write(data)
            if current.scope is not None:
                current.scope.written.append(self)
        self.body, self.contentsize = new_value, new_value.size
        self._path = Bodies.path(new_value)
        self._value_buffer.close()

    def __getstate__(self) -> dict[str, Any]:
        """Return the state for a copy; listing versions copies every object, and copies share the body."""
        return {name: value for name, value in vars(self).items() if name not in ("_value_buffer", "lock")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a copy, which never removes the file."""
        self.__dict__.update(state, lock=threading.Lock(), condemned=False)

    def dispose(self, garbage: bool = False) -> None:
        """Mark the body for removal if a request deletes the object; the end of the process does not."""
        if not garbage and current.scope is not None and not self.condemned:
            self.condemned = True
            current.scope.condemned.append(self)
        if self.multipart is not None and not garbage:
            self.multipart.dispose()
        self.disposed = True

    def __del__(self) -> None:
        """Remove the file of a deleted object."""
        if self.condemned:
            self._path.unlink(missing_ok=True)


class DurableKeys(_VersionedKeyStore):  # type: ignore[misc] # moto is untyped
    """The objects of a bucket, which records the ones that a changing request uses.

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
        if current.scope is not None and current.scope.changing:
            current.scope.touched.add((self._bucket_name, key))


class Uploads(dict[str, Any]):
    """The unfinished multipart uploads of a bucket, which records the ones that a request completes."""

    def __delitem__(self, upload_id: str) -> None:
        if current.scope is not None:
            current.scope.completed.append((self, upload_id, self[upload_id]))
        super().__delitem__(upload_id)


class DurableBucket(s3.FakeBucket):  # type: ignore[misc] # moto is untyped
    """A bucket with durable objects."""

    def __init__(self, name: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(name, *args, **kwargs)
        self.keys = DurableKeys(name)
        self.multiparts = Uploads()
