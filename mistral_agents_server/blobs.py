"""Bytes on the disk, by id: what is too large for a row of the database."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from uuid import UUID


class Blobs:
    """A folder of byte strings, readable by its owner alone.

    Args:
        folder: made when missing.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder

    def path(self, blob_id: str) -> Path:
        """Where the bytes of an id are.

        Raises:
            ValueError: the id is no UUID, so it can't name a file elsewhere.
        """
        return self._folder / str(UUID(blob_id))

    def put(self, blob_id: str, data: bytes) -> None:
        """Keep bytes; a reader sees all of them or none."""
        target = self.path(blob_id)
        handle, name = tempfile.mkstemp(dir=self._folder)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            os.replace(name, target)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    def get(self, blob_id: str) -> bytes:
        """The bytes of an id.

        Raises:
            FileNotFoundError: there are none.
        """
        return self.path(blob_id).read_bytes()

    def delete(self, blob_id: str) -> None:
        """Forget the bytes of an id, if there are any."""
        self.path(blob_id).unlink(missing_ok=True)
