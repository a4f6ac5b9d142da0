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

    Raises:
        sqlite3.Error: it is no database, is damaged, is held by another program, or can't be written.
    """

    def __init__(self, path: Path | str) -> None:
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(str(path), check_same_thread=False, isolation_level=None)
        weakref.finalize(self, self._connection.close)  # where it is dropped without having been closed
        self._connection.row_factory = sqlite3.Row
        self._connection.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;")
        with self.transaction():  # what can't be written is told now, not by the first request
            [fault] = self._connection.execute("PRAGMA quick_check(1)").fetchone()
        if fault != "ok":
            raise sqlite3.DatabaseError(f"the database is damaged ({fault}): move {Path(path).name} away to begin anew")

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
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # SQLite ends it itself where the disk is full
                    self._connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close the file. The object can't be used afterwards."""
        with self._lock:
            self._connection.close()
