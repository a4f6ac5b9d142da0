"""The documents of libraries: kept as they come, then read, cut into passages and made searchable by a thread."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mistral_agents.retrieval.chunking import Splitter
from mistral_agents_server import ids
from mistral_agents_server.blobs import Blobs
from mistral_agents_server.db import Database
from mistral_agents_server.errors import not_found
from mistral_agents_server.parsing import UnreadableError
from mistral_agents_server.reading import DocumentReader, ReadingStoppedError
from mistral_agents_server.thinking import count_tokens
from mistral_agents_server.uploads import extension_of, mime_type_of

Wire = dict[str, Any]

_log = logging.getLogger(__name__)

OWNER_ID = "00000000-0000-4000-8000-000000000001"
"""The workspace that owns everything here, and its organization: there is only one."""

DEFAULT_CHUNK_SIZE = 1500
"""Characters of a passage when the library names no size. What the service takes is not known."""

_SUMMARY_CHARACTERS = 300
_OLD_STATUS = {"in_progress": "Running", "done": "Completed", "error": "Error"}
_TABLES = """
CREATE TABLE IF NOT EXISTS documents (
    id TEXT PRIMARY KEY, library_id TEXT NOT NULL, hash TEXT NOT NULL, name TEXT NOT NULL, file_name TEXT NOT NULL,
    size INTEGER NOT NULL, chunk_size INTEGER NOT NULL, summary TEXT, created_at TEXT NOT NULL,
    changed_at TEXT NOT NULL, processed_at TEXT, number_of_pages INTEGER, status TEXT NOT NULL, tokens INTEGER,
    summary_tokens INTEGER, attributes TEXT, expires_at TEXT, UNIQUE (library_id, hash)
);
CREATE TABLE IF NOT EXISTS pages (
    document_id TEXT NOT NULL REFERENCES documents(id) ON DELETE CASCADE, number INTEGER NOT NULL, text TEXT NOT NULL,
    PRIMARY KEY (document_id, number)
);
CREATE TABLE IF NOT EXISTS passages (
    document_id TEXT NOT NULL REFERENCES documents(id) ON DELETE CASCADE, position INTEGER NOT NULL,
    page INTEGER NOT NULL, text TEXT NOT NULL, PRIMARY KEY (document_id, position)
);
"""


@dataclass(slots=True, frozen=True)
class Passage:
    """A passage of a document.

    Attributes:
        position: its number in the document, from 0.
        page: the page it stands on, from 0.
        text: its text.
    """

    position: int
    page: int
    text: str


@dataclass(slots=True, frozen=True)
class Totals:
    """What a library's documents come to."""

    number: int
    size: int
    changed_at: str
    description: str | None


class Documents:
    """Keeps documents and processes them in threads of its own.

    Documents that a stopped server left unprocessed are taken up again.

    Args:
        database: where to keep what is known of them, and their texts.
        folder: where to keep the files.
        workers: documents processed at the same time.
    """

    def __init__(self, database: Database, folder: Path, workers: int = 2) -> None:
        self._database = database
        self.blobs = Blobs(folder)
        self._workers = ThreadPoolExecutor(workers, "documents")
        self._reader = DocumentReader()
        self._lock = threading.Lock()
        self._version = 0
        database.script(_TABLES)
        for row in database.run("SELECT id FROM documents WHERE status = 'in_progress' ORDER BY created_at"):
            self._workers.submit(self._process, row["id"])

    def close(self) -> None:
        """Stop processing; what waits or is being read stays unprocessed until the next start."""
        self._reader.close()
        self._workers.shutdown(wait=True, cancel_futures=True)

    @property
    def version(self) -> int:
        """A number that changes whenever what can be searched does."""
        self._expire()
        return self._version

    def upload(self, library: Wire, name: str, data: bytes) -> tuple[Wire, bool]:
        """Keep a file and queue it.

        Returns:
            The document, and whether it is new: a library holds the same bytes once.
        """
        document_id, now = ids.uuid4_str(), ids.now()
        digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
        chunk_size = library["chunk_size"] if library["chunk_size"] is not None else DEFAULT_CHUNK_SIZE
        self._expire()
        self.blobs.put(document_id, data)
        made = self._database.run(
            "INSERT INTO documents (id, library_id, hash, name, file_name, size, chunk_size, created_at, changed_at, "
            "status) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'in_progress') ON CONFLICT DO NOTHING RETURNING id",
            (document_id, library["id"], digest, name, name, len(data), chunk_size, now, now),
        )
        if not made:
            self.blobs.delete(document_id)
            rows = self._database.run(
                "SELECT * FROM documents WHERE library_id = ? AND hash = ?", (library["id"], digest)
            )
            return _wire(rows[0]), False
        document = self.get(library["id"], document_id)
        self._workers.submit(self._process, document_id)
        return document, True

    def get(self, library_id: str, document_id: str) -> Wire:
        """A document.

        Raises:
            ApiError: 404.
        """
        self._expire()
        rows = self._database.run("SELECT * FROM documents WHERE id = ? AND library_id = ?", (document_id, library_id))
        if not rows:
            raise not_found(f"Document {document_id} not found in library {library_id}")
        return _wire(rows[0])

    def list_all(self, library_id: str) -> list[Wire]:
        """All documents of a library, newest first."""
        self._expire()
        rows = self._database.run(
            "SELECT * FROM documents WHERE library_id = ? ORDER BY created_at DESC, id DESC", (library_id,)
        )
        return [_wire(row) for row in rows]

    def update(self, library_id: str, document_id: str, changes: Wire) -> Wire:
        """Change name, attributes or expiry.

        Raises:
            ApiError: 404.
        """
        kept = {**self.get(library_id, document_id), **changes}
        attributes = json.dumps(kept["attributes"]) if kept["attributes"] is not None else None
        self._database.run(
            "UPDATE documents SET name = ?, attributes = ?, expires_at = ?, changed_at = ? WHERE id = ?",
            (kept["name"], attributes, kept["expires_at"], ids.now(), document_id),
        )
        self._changed()
        return self.get(library_id, document_id)

    def delete(self, library_id: str, document_id: str) -> None:
        """Forget a document.

        Raises:
            ApiError: 404.
        """
        self.get(library_id, document_id)
        self._forget([document_id])

    def reprocess(self, library_id: str, document_id: str) -> None:
        """Read a document again.

        Raises:
            ApiError: 404.
        """
        self.get(library_id, document_id)
        self._database.run(
            "UPDATE documents SET status = 'in_progress', changed_at = ? WHERE id = ?", (ids.now(), document_id)
        )
        self._workers.submit(self._process, document_id)

    def pages(self, document_id: str, first: int = 0, last: int | None = None) -> list[str]:
        """The texts of pages `first` to `last`, both counted from 0 and included."""
        end = last if last is not None else 2**62
        rows = self._database.run(
            "SELECT text FROM pages WHERE document_id = ? AND number BETWEEN ? AND ? ORDER BY number",
            (document_id, first, end),
        )
        return [row["text"] for row in rows]

    def passages(self, document_id: str) -> list[Passage]:
        """The passages of a document, in order."""
        rows = self._database.run(
            "SELECT position, page, text FROM passages WHERE document_id = ? ORDER BY position", (document_id,)
        )
        return [Passage(row["position"], row["page"], row["text"]) for row in rows]

    def totals(self, library_id: str) -> Totals:
        """What a library's documents come to."""
        documents = self.list_all(library_id)
        rows = self._database.run(
            "SELECT max(changed_at) AS changed_at FROM documents WHERE library_id = ?", (library_id,)
        )
        names = [document["name"] for document in documents if document["process_status"] == "done"]
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        described = f"{len(names)} documents: {', '.join(names[:3])}{more}." if names else None
        size = sum(document["size"] for document in documents)
        return Totals(len(documents), size, rows[0]["changed_at"] or "", described)

    def _process(self, document_id: str) -> None:
        """Read one document; for the threads."""
        rows = self._database.run("SELECT * FROM documents WHERE id = ?", (document_id,))
        if not rows:
            return
        try:
            pages = self._reader.read(rows[0]["file_name"], self.blobs.get(document_id))
            self._finish(document_id, "done", pages, _passages(pages, rows[0]["chunk_size"]))
        except (FileNotFoundError, ReadingStoppedError):
            return  # deleted in the meantime, or left for the next start
        except UnreadableError as error:
            self._refuse(document_id, str(error))
        except Exception:  # noqa: BLE001 (a parser may fail in any way; the document says so)
            _log.exception("document %s can't be processed", document_id)
            self._refuse(document_id, "its reader failed")

    def _refuse(self, document_id: str, reason: str) -> None:
        """Mark a document as unreadable. The service has no field for the reason; here the summary tells it."""
        _log.info("document %s can't be read: %s", document_id, reason)
        self._finish(document_id, "error", [], [], f"Not read: {reason.rstrip('.')}.")

    def _finish(
        self, document_id: str, status: str, pages: list[str], passages: list[Passage], summary: str | None = None
    ) -> None:
        if pages:
            summary = summarize("\n\n".join(pages))
        tokens = count_tokens("\n\n".join(pages)) if pages else None
        summary_tokens = count_tokens(summary) if summary is not None else None
        now = ids.now()
        with self._database.transaction():
            made = self._database.run(
                "UPDATE documents SET status = ?, processed_at = ?, changed_at = ?, number_of_pages = ?, summary = ?, "
                "tokens = ?, summary_tokens = ? WHERE id = ? RETURNING id",
                (status, now, now, len(pages) if pages else None, summary, tokens, summary_tokens, document_id),
            )
            if not made:
                return  # deleted in the meantime
            self._database.run("DELETE FROM pages WHERE document_id = ?", (document_id,))
            self._database.run("DELETE FROM passages WHERE document_id = ?", (document_id,))
            for number, text in enumerate(pages):
                self._database.run("INSERT INTO pages VALUES (?, ?, ?)", (document_id, number, text))
            for passage in passages:
                self._database.run(
                    "INSERT INTO passages VALUES (?, ?, ?, ?)",
                    (document_id, passage.position, passage.page, passage.text),
                )
        self._changed()

    def _expire(self) -> None:
        rows = self._database.run("SELECT id FROM documents WHERE expires_at <= ?", (ids.now(),))
        self._forget([row["id"] for row in rows])

    def _forget(self, document_ids: list[str]) -> None:
        for document_id in document_ids:
            self._database.run("DELETE FROM documents WHERE id = ?", (document_id,))
            self.blobs.delete(document_id)
        if document_ids:
            self._changed()

    def _changed(self) -> None:
        with self._lock:
            self._version += 1


def _passages(pages: list[str], chunk_size: int) -> list[Passage]:
    """Passages of at most `chunk_size` characters; none spans two pages."""
    splitter = Splitter(chunk_size, chunk_size // 10)
    texts = [(page, text[start:end]) for page, text in enumerate(pages) for start, end in splitter.spans(text)]
    return [Passage(position, page, text) for position, (page, text) in enumerate(texts)]


def summarize(text: str) -> str:
    """The first sentences of a text's prose: a summary that adds nothing."""
    prose = " ".join(line for line in text.splitlines() if line.strip() and not re.match(r"\s*(#|\||[-*] )", line))
    plain = re.sub(r"\s+", " ", prose if prose else text).strip()
    if len(plain) <= _SUMMARY_CHARACTERS:
        return plain
    cut = plain[:_SUMMARY_CHARACTERS]
    end = max(cut.rfind(mark) for mark in (". ", "! ", "? "))
    return cut[: end + 1] if end > _SUMMARY_CHARACTERS // 4 else cut.rpartition(" ")[0] + "…"


def _wire(row: Any) -> Wire:
    tokens = [number for number in (row["tokens"], row["summary_tokens"]) if number is not None]
    return {
        "id": row["id"],
        "library_id": row["library_id"],
        "hash": row["hash"],
        "mime_type": mime_type_of(row["file_name"]),
        "extension": extension_of(row["file_name"]),
        "size": row["size"],
        "name": row["name"],
        "summary": row["summary"],
        "created_at": row["created_at"],
        "last_processed_at": row["processed_at"],
        "number_of_pages": row["number_of_pages"],
        "process_status": row["status"],
        "uploaded_by_id": OWNER_ID,
        "uploaded_by_type": "Workspace",
        "tokens_processing_main_content": row["tokens"],
        "tokens_processing_summary": row["summary_tokens"],
        "url": None,
        "attributes": json.loads(row["attributes"]) if row["attributes"] is not None else None,
        "expires_at": row["expires_at"],
        "processing_status": _OLD_STATUS[row["status"]],
        "tokens_processing_total": sum(tokens),
    }
