"""JSON documents by kind and key, in SQLite: everything that must outlive the process."""

from __future__ import annotations

import hashlib
import json
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Document = dict[str, Any]

_log = logging.getLogger(__name__)
_RETRY_SECONDS = 1.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    parent TEXT NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (kind, key)
);
CREATE INDEX IF NOT EXISTS documents_by_parent ON documents (kind, parent, sequence);
"""


def public(document: Mapping[str, Any]) -> Document:
    """Return a document without its private fields, whose names begin with an underscore."""
    return {key: value for key, value in document.items() if not key.startswith("_")}


def fingerprint(request: Mapping[str, Any]) -> str:
    """Return a hash that differs for requests with different fields."""
    return hashlib.sha256(json.dumps(request, sort_keys=True, default=str).encode()).hexdigest()


class Store:
    """Keep JSON documents, each under a kind (``"execution"``) and a key (its ARN or name).

    A document may name a parent (an execution's pipeline); :meth:`list` follows creation order.
    Safe to use from several threads; what a transaction wrote survives ``kill -9``.

    :param path: the database file; ``":memory:"`` keeps nothing after the process.
    """

    def __init__(self, path: Path | str) -> None:
        self._lock = threading.RLock()
        self._depth = 0
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the database file."""
        with self._lock:
            self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Run the reads and writes inside as one atomic step, which an exception undoes. May be nested."""
        with self._lock:
            self._depth += 1
            try:
                if self._depth == 1:
                    self._db.execute("BEGIN IMMEDIATE")
                yield
                if self._depth == 1:
                    self._db.execute("COMMIT")
            except BaseException:
                # A full disk can end the transaction, or make COMMIT fail and leave the transaction open.
                if self._depth == 1 and self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
            finally:
                self._depth -= 1

    def persist(self, change: Callable[[], None]) -> None:
        """Make a change that must not be lost, retrying until it is written. The caller must hold no lock.

        :param change: makes the change; it is called again while SQLite cannot write, as on a full disk.
        :raises sqlite3.ProgrammingError: the store is closed.
        """
        while True:
            try:
                return change()
            except sqlite3.OperationalError as error:
                _log.warning("The store cannot be written; retrying in a second: %s", error)
                time.sleep(_RETRY_SECONDS)

    def insert(self, kind: str, key: str, body: Mapping[str, Any], *, parent: str = "") -> bool:
        """Write a new document; return False, writing nothing, if the key is taken."""
        with self.transaction():
            cursor = self._db.execute(
                "INSERT OR IGNORE INTO documents (kind, key, parent, body) VALUES (?, ?, ?, ?)",
                (kind, key, parent, json.dumps(body)),
            )
            return cursor.rowcount == 1

    def update(self, kind: str, key: str, **changes: Any) -> Document:
        """Merge fields into an existing document and return it; a field set to None is removed.

        :raises KeyError: the document does not exist.
        """
        with self.transaction():
            body = self.get(kind, key)
            if body is None:
                raise KeyError((kind, key))
            body = {k: v for k, v in {**body, **changes}.items() if v is not None}
            self._db.execute(
                "UPDATE documents SET body = ? WHERE kind = ? AND key = ?", (json.dumps(body), kind, key)
            )
            return body

    def get(self, kind: str, key: str) -> Document | None:
        """Return one document, or None."""
        with self._lock:
            row = self._db.execute(
                "SELECT body FROM documents WHERE kind = ? AND key = ?", (kind, key)
            ).fetchone()
        return json.loads(row[0]) if row else None

    def list(self, kind: str, *, parent: str | None = None) -> list[Document]:
        """Return the documents of a kind, oldest first; of one parent if it is given."""
        query, values = "SELECT body FROM documents WHERE kind = ?", [kind]
        if parent is not None:
            query, values = f"{query} AND parent = ?", [kind, parent]
        with self._lock:
            rows = self._db.execute(f"{query} ORDER BY sequence", values).fetchall()
        return [json.loads(row[0]) for row in rows]

    def delete_children(self, kind: str, parent: str) -> int:
        """Remove the documents of a kind that name this parent; return how many there were."""
        with self.transaction():
            cursor = self._db.execute("DELETE FROM documents WHERE kind = ? AND parent = ?", (kind, parent))
            return cursor.rowcount

    def delete(self, kind: str, key: str) -> bool:
        """Remove a document; return whether there was one."""
        with self.transaction():
            cursor = self._db.execute("DELETE FROM documents WHERE kind = ? AND key = ?", (kind, key))
            return cursor.rowcount == 1

    def delete_all(self, kind: str) -> int:
        """Remove every document of a kind; return how many there were."""
        with self.transaction():
            return self._db.execute("DELETE FROM documents WHERE kind = ?", (kind,)).rowcount
