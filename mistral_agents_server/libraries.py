"""Libraries: their names, sizes and shares. Their documents are in `documents`."""

from __future__ import annotations

from typing import Any

from mistral_agents_server import ids
from mistral_agents_server.db import Database
from mistral_agents_server.documents import OWNER_ID, Documents
from mistral_agents_server.errors import not_found

Wire = dict[str, Any]

_TABLES = """
CREATE TABLE IF NOT EXISTS libraries (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, description TEXT, chunk_size INTEGER, owner_type TEXT NOT NULL,
    created_at TEXT NOT NULL, updated_at TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS shares (
    library_id TEXT NOT NULL REFERENCES libraries(id) ON DELETE CASCADE,
    entity_type TEXT NOT NULL, entity_id TEXT NOT NULL, role TEXT NOT NULL,
    PRIMARY KEY (library_id, entity_type, entity_id)
);
"""


class LibraryStore:
    """Keeps libraries.

    Args:
        database: where to keep them.
        documents: their documents.
    """

    def __init__(self, database: Database, documents: Documents) -> None:
        self._database = database
        self.documents = documents
        database.script(_TABLES)

    def create(self, name: str, description: str | None, chunk_size: int | None, owner_type: str) -> Wire:
        """A new library; its id is a UUIDv7, as on the service."""
        library_id, now = ids.uuid7_dashed(), ids.now()
        self._database.run(
            "INSERT INTO libraries VALUES (?, ?, ?, ?, ?, ?, ?)",
            (library_id, name, description, chunk_size, owner_type, now, now),
        )
        return self.get(library_id)

    def get(self, library_id: str) -> Wire:
        """A library.

        Raises:
            ApiError: 404.
        """
        rows = self._database.run("SELECT * FROM libraries WHERE id = ?", (library_id,))
        if not rows:
            raise not_found(f"Library {library_id} not found")
        return self._wire(rows[0])

    def list_all(self, search: str | None = None) -> list[Wire]:
        """All libraries whose name has the words searched for, newest first."""
        rows = self._database.run("SELECT * FROM libraries ORDER BY created_at DESC, id DESC")
        wanted = search.lower() if search is not None else ""
        return [self._wire(row) for row in rows if wanted in row["name"].lower()]

    def update(self, library_id: str, changes: Wire) -> Wire:
        """Change name and description.

        Raises:
            ApiError: 404.
        """
        kept = {**self.get(library_id), **changes}
        self._database.run(
            "UPDATE libraries SET name = ?, description = ?, updated_at = ? WHERE id = ?",
            (kept["name"], kept["description"], ids.now(), library_id),
        )
        return self.get(library_id)

    def delete(self, library_id: str) -> Wire:
        """Delete a library with its documents, and show it once more, as the service does.

        Raises:
            ApiError: 404.
        """
        last = self.get(library_id)
        for document in self.documents.list_all(library_id):
            self.documents.delete(library_id, document["id"])
        self._database.run("DELETE FROM libraries WHERE id = ?", (library_id,))
        return last

    def share(self, library_id: str, entity_type: str, entity_id: str, role: str) -> Wire:
        """Give somebody access, or change it.

        Raises:
            ApiError: 404.
        """
        self.get(library_id)
        self._database.run(
            "INSERT INTO shares VALUES (?, ?, ?, ?) "
            "ON CONFLICT (library_id, entity_type, entity_id) DO UPDATE SET role = excluded.role",
            (library_id, entity_type, entity_id, role),
        )
        return _sharing(library_id, entity_type, entity_id, role)

    def shares(self, library_id: str) -> list[Wire]:
        """Who has access, the owner first.

        Raises:
            ApiError: 404.
        """
        owner = self.get(library_id)
        rows = self._database.run("SELECT * FROM shares WHERE library_id = ? ORDER BY rowid", (library_id,))
        given = [_sharing(library_id, row["entity_type"], row["entity_id"], row["role"]) for row in rows]
        return [_sharing(library_id, owner["owner_type"], owner["owner_id"], "Owner"), *given]

    def unshare(self, library_id: str, entity_type: str, entity_id: str) -> Wire:
        """Take somebody's access away.

        Raises:
            ApiError: 404.
        """
        self.get(library_id)
        rows = self._database.run(
            "DELETE FROM shares WHERE library_id = ? AND entity_type = ? AND entity_id = ? RETURNING role",
            (library_id, entity_type, entity_id),
        )
        if not rows:
            raise not_found(f"Library {library_id} is not shared with {entity_id}")
        return _sharing(library_id, entity_type, entity_id, rows[0]["role"])

    def _wire(self, row: Any) -> Wire:
        totals = self.documents.totals(row["id"])
        shares = self._database.run(
            "SELECT entity_type, count(*) AS number FROM shares WHERE library_id = ? GROUP BY entity_type", (row["id"],)
        )
        members = {share["entity_type"]: share["number"] for share in shares}
        return {
            "id": row["id"],
            "name": row["name"],
            "created_at": row["created_at"],
            "updated_at": max(row["updated_at"], totals.changed_at),
            "owner_id": OWNER_ID,
            "owner_type": row["owner_type"],
            "total_size": totals.size,
            "nb_documents": totals.number,
            "chunk_size": row["chunk_size"],
            "emoji": None,
            "description": row["description"],
            "generated_description": totals.description,
            "explicit_user_members_count": members.get("User"),
            "explicit_workspace_members_count": members.get("Workspace"),
            "org_sharing_role": None,
            "workspace_sharing_role": None,
            "sharing_scope": "private" if not members else "shared",
            "meta": None,
            "type": "document",
            "visibility": "all",
        }


def _sharing(library_id: str, entity_type: str, entity_id: str, role: str) -> Wire:
    return {
        "library_id": library_id,
        "user_id": entity_id if entity_type == "User" else None,
        "org_id": OWNER_ID,
        "role": role,
        "share_with_type": entity_type,
        "share_with_uuid": entity_id,
    }
