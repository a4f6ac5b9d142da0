"""One thread-safe SQLite file for everything the stand-in keeps."""

from __future__ import annotations

import sqlite3
import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class Database:
    """One SQLite connection shared by all threads, one statement at a time.

    Each room of the server makes its own tables with :meth:`script` (``CREATE TABLE IF NOT EXISTS``).

    Args:
        path: the file, made when missing. ``":memory:"`` keeps everything in memory.
    """

    def __init__(self, path: Path | str) -> None:
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(str(path), check_same_thread=False, isolation_level=None)
        weakref.finalize(self, self._connection.close)  # where it is dropped without having been closed
        self._connection.row_factory = sqlite3.Row
        self._connection.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;")

    def run(self, sql: str, params: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """Run one statement and return its rows (an empty list when it has none)."""
        with self._lock:
            return self._connection.execute(sql, params).fetchall()

    def script(self, sql: str) -> None:
        """Run several statements without parameters, such as a table definition."""
        with self._lock:
            self._connection.executescript(sql)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Hold the database for a group of statements: all of them are kept, or none."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def close(self) -> None:
        """Close the file. The object can't be used afterwards."""
        with self._lock:
            self._connection.close()
