"""Search indexes and their chunks in the database."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from mistral_agents_server import ids
from mistral_agents_server.db import Database
from mistral_agents_server.documents import OWNER_ID
from mistral_agents_server.errors import ApiError, invalid, not_found
from mistral_agents_server.search_index.ingest import RejectedError, document_id_of, rows_of
from mistral_agents_server.search_index.models import Config, CreateIndex, Fields
from mistral_agents_server.search_index.query import Searcher

Wire = dict[str, Any]

_TABLES = """
CREATE TABLE IF NOT EXISTS search_indexes (
    id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, config TEXT NOT NULL, fields TEXT NOT NULL,
    status TEXT NOT NULL, created_at TEXT NOT NULL, modified_at TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS search_chunks (
    index_id TEXT NOT NULL REFERENCES search_indexes(id) ON DELETE CASCADE, id TEXT NOT NULL,
    document_id TEXT NOT NULL, body TEXT NOT NULL, embedding BLOB NOT NULL, PRIMARY KEY (index_id, id)
);
CREATE TABLE IF NOT EXISTS search_summaries (
    index_id TEXT NOT NULL REFERENCES search_indexes(id) ON DELETE CASCADE, language TEXT NOT NULL,
    content TEXT NOT NULL, status TEXT NOT NULL, translated INTEGER NOT NULL, PRIMARY KEY (index_id, language)
);
"""


def _conflict(message: str) -> ApiError:
    return ApiError(409, {"object": "Error", "message": message, "type": "invalid_request_error", "code": 3000})


class IndexStore:
    """Keeps search indexes.

    A new index is `provisioning` until it is looked at once: who ingests without asking first is told to wait, as a
    service that needs its time would.

    Args:
        database: where to keep them.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._searchers: dict[str, Searcher] = {}
        self._lock = threading.Lock()
        database.script(_TABLES)

    def create(self, wanted: CreateIndex) -> Wire:
        """A new index.

        Raises:
            ApiError: 409 when the name is taken.
        """
        now = ids.now()
        row = (
            *(ids.uuid4_str(), wanted.name, wanted.config.model_dump_json(), wanted.fields.model_dump_json()),
            *("provisioning", now, now),
        )
        made = self._database.run(
            "INSERT INTO search_indexes VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING *", row
        )
        if not made:
            raise _conflict(f"Index {wanted.name} exists already")
        return _wire(made[0])

    def get(self, name: str) -> Wire:
        """An index; it is ready from then on.

        Raises:
            ApiError: 404.
        """
        shown = _wire(self._row(name))
        self._database.run("UPDATE search_indexes SET status = 'ready' WHERE name = ?", (name,))
        return shown if shown["status"] == "ready" else _wire(self._row(name))

    def list_all(self, name: str | None, status: str | None, creator_id: str | None) -> list[Wire]:
        """All indexes that fit, by name."""
        found = map(_wire, self._database.run("SELECT * FROM search_indexes ORDER BY name"))
        wanted = name.lower() if name is not None else ""
        return [
            index
            for index in found
            if wanted in index["name"].lower()
            and status in (None, index["status"])
            and creator_id in (None, index["creator_id"])
        ]

    def update(self, name: str, fields: Fields) -> Wire:
        """Give an index more fields.

        Raises:
            ApiError: 404; 422 when a field it has would change or go.
        """
        old = Fields.model_validate_json(self._row(name)["fields"])
        for part in ("document_fields", "chunk_fields"):
            before, after = getattr(old, part), getattr(fields, part)
            for field, definition in before.items():
                if after.get(field) != definition:
                    raise invalid(("body", "schema", part, field), "value_error", "Fields can only be added")
        self._database.run(
            "UPDATE search_indexes SET fields = ?, modified_at = ? WHERE name = ?",
            (fields.model_dump_json(), ids.now(), name),
        )
        self._changed(name)
        return self.get(name)

    def summary(self, name: str, language: str) -> Wire:
        """What an index holds, in words.

        Raises:
            ApiError: 404.
        """
        found = self._database.run(
            "SELECT * FROM search_summaries WHERE index_id = ? AND language = ?", (self._row(name)["id"], language)
        )
        if not found:
            raise not_found(f"Summary of index {name} in {language} not found")
        row = found[0]
        return {"content": row["content"], "status": row["status"], "translated": bool(row["translated"])}

    def set_summary(self, name: str, language: str, summary: Wire) -> None:
        """Keep a summary in the place of the old one.

        Raises:
            ApiError: 404.
        """
        values = (summary["content"], summary["status"], int(summary["translated"]))
        self._database.run(
            "INSERT OR REPLACE INTO search_summaries VALUES (?, ?, ?, ?, ?)",
            (self._row(name)["id"], language, *values),
        )

    def generate_summary(self, name: str, language: str, *, force: bool) -> Wire:
        """The summary that is there, else the first words of what the index holds.

        Raises:
            ApiError: 404.
        """
        key = self._row(name)["id"]
        if not force:
            try:
                return self.summary(name, language)
            except ApiError as error:
                if error.status != 404:
                    raise
        rows = self._database.run("SELECT body FROM search_chunks WHERE index_id = ? ORDER BY id LIMIT 3", (key,))
        starts = [" ".join(str(json.loads(row["body"]).get("content", "")).split()[:20]) for row in rows]
        made = {
            "content": " … ".join(filter(None, starts)) or "It is empty.",
            "status": "generated",
            "translated": False,
        }
        self.set_summary(name, language, made)
        return made

    def delete(self, name: str) -> Wire:
        """Delete an index with all it holds.

        Raises:
            ApiError: 404.
        """
        row = self._row(name)
        self._database.run("DELETE FROM search_indexes WHERE name = ?", (name,))
        self._changed(name)
        return {"id": row["id"], "name": name, "status": "deleting"}

    def ingest(self, name: str, documents: Sequence[Wire]) -> Wire:
        """Take documents; each replaces the one with its source id. One that is wrong does not hinder the others.

        Raises:
            ApiError: 404, 409.
        """
        row = self._ready(name)
        config, fields = _definition(row)
        results: list[Wire] = []
        for position, document in enumerate(documents):
            try:
                made = rows_of(document, config, fields)
            except RejectedError as fault:
                results.append({"position": position, "status": "rejected", "errors": fault.errors})
                continue
            document_id = document_id_of(document["source_id"])
            with self._database.transaction():
                self._drop(row["id"], document_id)
                for one in made:
                    vector = np.asarray(one.embedding, dtype="float32").tobytes()
                    values = (row["id"], one.chunk_id, document_id, json.dumps(one.body), vector)
                    self._database.run("INSERT OR REPLACE INTO search_chunks VALUES (?, ?, ?, ?, ?)", values)
            results.append(
                {"position": position, "status": "accepted", "document_id": document_id, "chunk_count": len(made)}
            )
        self._changed(name)
        accepted = sum(result["status"] == "accepted" for result in results)
        return {"accepted": accepted, "rejected": len(results) - accepted, "results": results}

    def delete_documents(self, name: str, document_ids: Sequence[str]) -> Wire:
        """Delete documents by id.

        Raises:
            ApiError: 404, 409.
        """
        row = self._ready(name)
        deleted = [document_id for document_id in document_ids if self._drop(row["id"], document_id)]
        self._changed(name)
        missing = [document_id for document_id in document_ids if document_id not in deleted]
        return {"deleted_document_ids": deleted, "missing": missing}

    def chunk(self, name: str, chunk_id: str) -> Wire:
        """One chunk.

        Raises:
            ApiError: 404, 409.
        """
        index_id = self._ready(name)["id"]
        rows = self._database.run("SELECT body FROM search_chunks WHERE index_id = ? AND id = ?", (index_id, chunk_id))
        if not rows:
            raise not_found(f"Chunk {chunk_id} not found")
        body: Wire = json.loads(rows[0]["body"])
        return body

    def source(self, name: str, source_id: str, content_type: str) -> list[Wire]:
        """The chunks of a source, in reading order.

        Raises:
            ApiError: 404 when it has none; 409.
        """
        rows = self._database.run(
            "SELECT body FROM search_chunks WHERE index_id = ? AND document_id = ?",
            (self._ready(name)["id"], document_id_of(source_id)),
        )
        found = [json.loads(row["body"]) for row in rows]
        if not found:
            raise not_found(f"Source {source_id} not found")
        kept = [body for body in found if body["chunk_type"] == content_type and body["start_offset"] is not None]
        return sorted(kept, key=lambda body: (body["start_offset"], body["locator"]))

    def searcher(self, name: str) -> Searcher:
        """The index, ready for searches.

        Raises:
            ApiError: 404, 409.
        """
        row = self._ready(name)
        with self._lock:
            if name not in self._searchers:
                config, fields = _definition(row)
                rows = self._database.run(
                    "SELECT body, embedding FROM search_chunks WHERE index_id = ? ORDER BY rowid", (row["id"],)
                )
                vectors = np.frombuffer(b"".join(one["embedding"] for one in rows), dtype="float32")
                matrix = vectors.reshape(len(rows), config.embedding.dimensions)
                bodies = [json.loads(one["body"]) for one in rows]
                self._searchers[name] = Searcher(name, config, fields, bodies, matrix)
            return self._searchers[name]

    def _drop(self, index_id: str, document_id: str) -> bool:
        """Forget a document's chunks; whether there were any."""
        return bool(
            self._database.run(
                "DELETE FROM search_chunks WHERE index_id = ? AND document_id = ? RETURNING id", (index_id, document_id)
            )
        )

    def _row(self, name: str) -> Any:
        rows = self._database.run("SELECT * FROM search_indexes WHERE name = ?", (name,))
        if not rows:
            raise not_found(f"Index {name} not found")
        return rows[0]

    def _ready(self, name: str) -> Any:
        row = self._row(name)
        if row["status"] != "ready":
            raise _conflict(f"Index {name} is {row['status']}")
        return row

    def _changed(self, name: str) -> None:
        with self._lock:
            self._searchers.pop(name, None)


def _definition(row: Any) -> tuple[Config, Fields]:
    return Config.model_validate_json(row["config"]), Fields.model_validate_json(row["fields"])


def _wire(row: Any) -> Wire:
    return {
        "id": row["id"],
        "name": row["name"],
        "creator_id": OWNER_ID,
        "status": row["status"],
        "status_message": None,
        "schema": json.loads(row["fields"]),
        "config": json.loads(row["config"]),
        "created_at": row["created_at"],
        "modified_at": row["modified_at"],
    }
