"""Connectors that were made over HTTP, and what is set for any connector: who uses it, and the names of credentials.

No server is asked here: a made connector is recorded and offers no tools. Of credentials the names are kept, never the
secrets, since nothing would use them.
"""

from __future__ import annotations

import json
from typing import Any

from mistral_agents_server import ids
from mistral_agents_server.db import Database
from mistral_agents_server.errors import bad_request, conflict, not_found

Wire = dict[str, Any]

OWNERS = {"private": "user", "shared_workspace": "workspace", "shared_org": "org", "shared_global": "system"}
SCOPES = {"user": "user", "workspace": "workspace", "organization": "org"}
"""How the scope of a path is called in bodies."""

_TABLES = """
CREATE TABLE IF NOT EXISTS connectors (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS connector_uses (
    connector_id TEXT NOT NULL, scope TEXT NOT NULL, active INTEGER NOT NULL, PRIMARY KEY (connector_id, scope)
);
CREATE TABLE IF NOT EXISTS connector_credentials (
    connector_id TEXT NOT NULL, scope TEXT NOT NULL, name TEXT NOT NULL, kind TEXT NOT NULL, title TEXT,
    is_default INTEGER NOT NULL, PRIMARY KEY (connector_id, scope, name)
);
"""


class ConnectorStore:
    """Keeps made connectors and the settings of all.

    Args:
        database: where to keep them.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        database.script(_TABLES)

    def create(self, body: Wire) -> Wire:
        """Keep a new connector.

        Raises:
            ApiError: 409 when its name is taken.
        """
        now = ids.now()
        made = {"id": ids.uuid4_str(), "created_at": now, "modified_at": now, **body}
        rows = self._database.run(
            "INSERT INTO connectors VALUES (?, ?, ?) ON CONFLICT DO NOTHING RETURNING id",
            (made["id"], made["name"], json.dumps(made)),
        )
        if not rows:
            raise conflict(f"There is a connector {made['name']} already")
        return made

    def all(self) -> list[Wire]:
        """All made connectors, oldest first."""
        return [json.loads(row["body"]) for row in self._database.run("SELECT body FROM connectors ORDER BY rowid")]

    def find(self, id_or_name: str) -> Wire | None:
        """A made connector."""
        rows = self._database.run("SELECT body FROM connectors WHERE id = ? OR name = ?", (id_or_name, id_or_name))
        return dict(json.loads(rows[0]["body"])) if rows else None

    def get(self, id_or_name: str) -> Wire:
        """A made connector.

        Raises:
            ApiError: 404.
        """
        found = self.find(id_or_name)
        if found is None:
            raise not_found(f"Connector {id_or_name} not found")
        return found

    def update(self, connector_id: str, changes: Wire) -> Wire:
        """Change a made connector.

        Raises:
            ApiError: 404, or 409 when its new name is another one's.
        """
        with self._database.transaction():
            changed = self.get(connector_id) | changes | {"modified_at": ids.now()}
            other = self.find(changed["name"])
            if other is not None and other["id"] != connector_id:
                raise conflict(f"There is a connector {changed['name']} already")
            self._database.run(
                "UPDATE connectors SET name = ?, body = ? WHERE id = ?",
                (changed["name"], json.dumps(changed), connector_id),
            )
        return changed

    def delete(self, connector_id: str) -> None:
        """Forget a made connector with its settings.

        Raises:
            ApiError: 404.
        """
        self.get(connector_id)
        self._database.run("DELETE FROM connectors WHERE id = ?", (connector_id,))
        for table in ("connector_uses", "connector_credentials"):
            self._database.run(f"DELETE FROM {table} WHERE connector_id = ?", (connector_id,))  # noqa: S608 (our names)

    def use(self, connector_id: str, scope: str, active: bool) -> None:
        """Switch a connector on or off for a user, a workspace or an organization."""
        self._database.run(
            "INSERT INTO connector_uses VALUES (?, ?, ?) "
            "ON CONFLICT (connector_id, scope) DO UPDATE SET active = excluded.active",
            (connector_id, scope, int(active)),
        )

    def is_active(self, connector_id: str) -> bool:
        """Whether it is on for anybody; one that nobody switched is on."""
        rows = self._database.run("SELECT active FROM connector_uses WHERE connector_id = ?", (connector_id,))
        return not rows or any(row["active"] for row in rows)

    def credentials(self, connector_id: str, scope: str | None = None, kind: str | None = None) -> list[Wire]:
        """Credentials of a connector, without their secrets."""
        rows = self._database.run(
            "SELECT * FROM connector_credentials WHERE connector_id = ? ORDER BY rowid", (connector_id,)
        )
        return [
            {
                "name": row["name"],
                "title": row["title"],
                "authentication_type": row["kind"],
                "scope": SCOPES[row["scope"]],
                "status": None,
                "is_default": bool(row["is_default"]),
            }
            for row in rows
            if scope in (None, row["scope"]) and kind in (None, row["kind"])
        ]

    def keep_credentials(self, connector_id: str, scope: str, given: Wire, kind: str) -> None:
        """Make credentials, or change those of the name. The first of a kind become its default.

        Raises:
            ApiError: 400 when no default would be left.
        """
        place = (connector_id, scope)
        with self._database.transaction():
            found = {one["name"]: one for one in self.credentials(connector_id, scope, kind)}
            old, wanted = found.get(given["name"]), given.get("is_default")
            is_default = wanted if wanted is not None else old["is_default"] if old is not None else not found
            left = [one for one in found.values() if one["is_default"] and one["name"] != given["name"]]
            if not is_default and not left:
                raise bad_request("One of the credentials must be the default: make another one the default first")
            if is_default:
                self._database.run(
                    "UPDATE connector_credentials SET is_default = 0 WHERE connector_id = ? AND scope = ? AND kind = ?",
                    (*place, kind),
                )
            title = given["title"] if "title" in given else old["title"] if old is not None else None
            self._database.run(
                "INSERT OR REPLACE INTO connector_credentials VALUES (?, ?, ?, ?, ?, ?)",
                (*place, given["name"], kind, title, int(is_default)),
            )

    def delete_credentials(self, connector_id: str, scope: str, name: str | None = None) -> None:
        """Forget credentials of a name, or all of a scope.

        Raises:
            ApiError: 404 when there are none of the name.
        """
        rows = self._database.run(
            "DELETE FROM connector_credentials WHERE connector_id = ? AND scope = ? AND (? IS NULL OR name = ?) "
            "RETURNING name",
            (connector_id, scope, name, name),
        )
        if name is not None and not rows:
            raise not_found(f"There are no credentials {name}")
