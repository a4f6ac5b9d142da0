"""What a client itself changed in libraries, so that a search through it does not serve what was before."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any


class ChangeLog:
    """Counts the changes of each library, and keeps the ids of records that were deleted, which never come back."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._deleted: set[str] = set()
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def __setstate__(self, state: dict[str, Any]) -> None:
        ChangeLog.__init__(self)

    def note(self, library_id: str, *, deleted: str | None = None) -> None:
        """Note that a change was answered, or that documents were seen to be ready."""
        with self._lock:
            self._counts[library_id] = self._counts.get(library_id, 0) + 1
            if deleted is not None:
                self._deleted.add(deleted)

    def count(self, library_ids: Iterable[str]) -> int:
        """A number that grows with every change of these libraries."""
        return sum(self._counts.get(library_id, 0) for library_id in library_ids)

    def was_deleted(self, record_id: str) -> bool:
        """Whether a record is gone, though a listing may still show it."""
        return record_id in self._deleted
