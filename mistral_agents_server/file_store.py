"""Files: those that were uploaded and those that tools made."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mistral_agents_server import ids
from mistral_agents_server.blobs import Blobs
from mistral_agents_server.db import Database
from mistral_agents_server.errors import not_found
from mistral_agents_server.offers import MadeFile
from mistral_agents_server.uploads import extension_of, mime_type_of

Wire = dict[str, Any]

_TABLES = """
CREATE TABLE IF NOT EXISTS files (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, mime_type TEXT NOT NULL, size INTEGER NOT NULL, signature TEXT NOT NULL,
    purpose TEXT NOT NULL, source TEXT NOT NULL, visibility TEXT NOT NULL, lines INTEGER NOT NULL,
    created_at INTEGER NOT NULL, expires_at INTEGER
);
"""
_SAMPLE_TYPES = {"fine-tune": "instruct", "batch": "batch_request"}
_COUNTED_EXTENSIONS = ("jsonl",)
HOUR = 3600


class FileStore:
    """Keeps files: what is known of them in the database, their bytes in a folder.

    Args:
        database: where to keep what is known of them.
        folder: where to keep their bytes.
    """

    def __init__(self, database: Database, folder: Path) -> None:
        self._database = database
        self.blobs = Blobs(folder)
        database.script(_TABLES)
        if "sample_type" not in {row["name"] for row in database.run("PRAGMA table_info(files)")}:
            database.run("ALTER TABLE files ADD COLUMN sample_type TEXT")

    def keep(self, file: MadeFile) -> str:
        """Keep a file that a tool made and give its id (a UUIDv4, as the service's tool files have)."""
        self._insert(file.file_id, file.name, f"x.{file.type}", file.data, source="mistral")
        return file.file_id

    def keep_batch(self, name: str, data: bytes, sample_type: str) -> str:
        """Keep what a batch job gave and give its id.

        Args:
            name: the file's name.
            data: its lines.
            sample_type: `batch_result` or `batch_error`.
        """
        file_id = ids.uuid4_str()
        self._insert(file_id, name, name, data, "batch", source="mistral", sample_type=sample_type)
        return file_id

    def upload(self, name: str, data: bytes, purpose: str, visibility: str, expiry_hours: int | None) -> Wire:
        """Keep a file of the client."""
        file_id = ids.uuid4_str()
        expires_at = int(time.time()) + expiry_hours * HOUR if expiry_hours is not None else None
        self._insert(file_id, name, name, data, purpose, "upload", visibility, expires_at)
        return self.get(file_id)

    def _insert(
        self,
        file_id: str,
        name: str,
        typed_name: str,
        data: bytes,
        purpose: str = "ocr",
        source: str = "upload",
        visibility: str = "workspace",
        expires_at: int | None = None,
        sample_type: str | None = None,
    ) -> None:
        counted = extension_of(typed_name) in _COUNTED_EXTENSIONS
        lines = len(data.splitlines()) if counted else 0
        signature = hashlib.md5(data, usedforsecurity=False).hexdigest()
        self.blobs.put(file_id, data)
        self._database.run(
            "INSERT INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(file_id, name, mime_type_of(typed_name), len(data), signature),
                *(purpose, source, visibility, lines, int(time.time()), expires_at, sample_type),
            ),
        )

    def get(self, file_id: str) -> Wire:
        """What is known of a file.

        Raises:
            ApiError: 404.
        """
        rows = self._database.run(
            "SELECT * FROM files WHERE id = ? AND (expires_at IS NULL OR expires_at > ?)", (file_id, int(time.time()))
        )
        if not rows:
            raise not_found(f"No file found with id {file_id}.")
        return _wire(rows[0])

    def content(self, file_id: str) -> bytes:
        """The bytes of a file.

        Raises:
            ApiError: 404.
        """
        self.get(file_id)
        return self.blobs.get(file_id)

    def delete(self, file_id: str) -> None:
        """Forget a file.

        Raises:
            ApiError: 404.
        """
        self.get(file_id)
        self._database.run("DELETE FROM files WHERE id = ?", (file_id,))
        self.blobs.delete(file_id)

    def page(
        self, start: int, size: int, filters: dict[str, Sequence[str]], search: str | None
    ) -> tuple[list[Wire], int]:
        """Some files, newest first, and how many there are.

        Args:
            start: how many to leave out.
            size: how many at most.
            filters: allowed values by field: `purpose`, `source`, `sample_type`, `mimetype`.
            search: a part of the name, in any case.
        """
        rows = self._database.run(
            "SELECT * FROM files WHERE expires_at IS NULL OR expires_at > ? ORDER BY created_at DESC, rowid DESC",
            (int(time.time()),),
        )
        wanted = search.lower() if search is not None else ""
        found = [
            file
            for file in map(_wire, rows)
            if wanted in file["filename"].lower() and all(file[key] in values for key, values in filters.items())
        ]
        return found[start : start + size], len(found)


def _wire(row: Any) -> Wire:
    return {
        "id": row["id"],
        "object": "file",
        "bytes": row["size"],
        "created_at": row["created_at"],
        "filename": row["name"],
        "purpose": row["purpose"],
        "sample_type": row["sample_type"] or _SAMPLE_TYPES.get(row["purpose"], "ocr_input"),
        "num_lines": row["lines"],
        "mimetype": row["mime_type"],
        "source": row["source"],
        "signature": row["signature"],
        "expires_at": row["expires_at"],
        "visibility": row["visibility"],
    }
