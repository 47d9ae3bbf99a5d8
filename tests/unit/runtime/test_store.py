"""A change of the store happens as a whole or not at all, and the store works afterwards."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from sagemaker_local_runtime.store import Store


def test_a_commit_that_fails_leaves_nothing_behind_and_the_store_usable(tmp_path: Path) -> None:
    """COMMIT itself is what fails, as on a full disk: here by a constraint that is checked only then."""
    store = Store(tmp_path / "store.sqlite3")
    store._db.executescript(
        "PRAGMA foreign_keys = ON;"
        "CREATE TABLE parents (id INTEGER PRIMARY KEY);"
        "CREATE TABLE children (id INTEGER REFERENCES parents DEFERRABLE INITIALLY DEFERRED);"
    )

    def change() -> None:
        with store.transaction():
            store.insert("kind", "key", {"a": 1})
            store._db.execute("INSERT INTO children VALUES (1)")

    with pytest.raises(sqlite3.IntegrityError):
        change()
    assert store.get("kind", "key") is None
    assert store.insert("kind", "key", {"a": 2})
    store.close()
    assert Store(tmp_path / "store.sqlite3").get("kind", "key") == {"a": 2}
