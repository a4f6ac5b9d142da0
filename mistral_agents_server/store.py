"""Conversations and their entries in SQLite."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mistral_agents_server import ids
from mistral_agents_server.db import Database
from mistral_agents_server.errors import ApiError, not_found
from mistral_agents_server.paging import has_metadata

Wire = dict[str, Any]

_TABLES = """
CREATE TABLE IF NOT EXISTS conversations (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL, created_at TEXT NOT NULL, updated_at TEXT NOT NULL, body TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS conversations_by_owner ON conversations (owner, created_at DESC, id DESC);
CREATE TABLE IF NOT EXISTS entries (
    conversation_id TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    position INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (conversation_id, position)
) WITHOUT ROWID;
"""


def _missing(conversation_id: str) -> ApiError:
    return not_found(f"Conversation {conversation_id} not found")


@dataclass(slots=True)
class Conversation:
    """A conversation's settings, frozen when it starts.

    Attributes:
        id: its id.
        body: the wire form: `model` with instructions, tools and arguments, or `agent_id` with a version.
        owner: fingerprint of the key that made it; no other key sees it.
    """

    id: str
    body: Wire
    owner: str

    @property
    def agent_id(self) -> str | None:
        """The agent it was started with; None for one with a model."""
        return self.body.get("agent_id")

    @property
    def shown(self) -> Wire:
        """As it is shown: one with an agent has no field for its own guardrails."""
        hidden = ("guardrails",) if self.agent_id is not None else ()
        return {name: value for name, value in self.body.items() if name not in hidden}


class ConversationStore:
    """Reads and writes conversations."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.script(_TABLES)

    def save(self, conversation: Conversation, entries: Sequence[Wire]) -> None:
        """Keep a new conversation with its first entries."""
        body = conversation.body
        with self._database.transaction():
            self._database.run(
                "INSERT INTO conversations VALUES (?, ?, ?, ?, ?)",
                (conversation.id, conversation.owner, body["created_at"], body["updated_at"], json.dumps(body)),
            )
            self._write(conversation.id, 0, entries)

    def replace_tail(self, conversation_id: str, start: int, entries: Sequence[Wire]) -> None:
        """Write `entries` from position `start` on, over what stood there.

        Raises:
            ApiError: 404 when the conversation was deleted meanwhile.
        """
        now = ids.now()
        with self._database.transaction():
            changed = self._database.run(
                "UPDATE conversations SET updated_at = ?, body = json_set(body, '$.updated_at', ?) WHERE id = ?"
                " RETURNING id",
                (now, now, conversation_id),
            )
            if not changed:
                raise _missing(conversation_id)
            self._write(conversation_id, start, entries)

    def _write(self, conversation_id: str, start: int, entries: Sequence[Wire]) -> None:
        for position, entry in enumerate(entries, start):
            self._database.run(
                "INSERT OR REPLACE INTO entries VALUES (?, ?, ?)",
                (conversation_id, position, json.dumps(entry, ensure_ascii=False)),
            )

    def get(self, conversation_id: str, owner: str) -> Conversation:
        """One conversation.

        Raises:
            ApiError: 404 with code 3000 when there is none, or another key made it.
        """
        rows = self._database.run("SELECT * FROM conversations WHERE id = ? AND owner = ?", (conversation_id, owner))
        if not rows:
            raise _missing(conversation_id)
        return _conversation(rows[0])

    def entries(self, conversation_id: str) -> list[Wire]:
        """All entries, oldest first."""
        rows = self._database.run(
            "SELECT body FROM entries WHERE conversation_id = ? ORDER BY position", (conversation_id,)
        )
        return [json.loads(row["body"]) for row in rows]

    def list(self, owner: str, page: int, page_size: int, metadata: Wire) -> list[Wire]:
        """One page of the owner's conversations, newest first, that have all of `metadata`."""
        rows = self._database.run(
            "SELECT * FROM conversations WHERE owner = ? ORDER BY created_at DESC, id DESC", (owner,)
        )
        found = [body for row in rows if has_metadata(body := _conversation(row).shown, metadata)]
        return found[page * page_size : (page + 1) * page_size]

    def delete(self, conversation_id: str, owner: str) -> None:
        """Forget one conversation.

        Raises:
            ApiError: 404 when there is none.
        """
        rows = self._database.run(
            "DELETE FROM conversations WHERE id = ? AND owner = ? RETURNING id", (conversation_id, owner)
        )
        if not rows:
            raise _missing(conversation_id)


def _conversation(row: sqlite3.Row) -> Conversation:
    return Conversation(row["id"], json.loads(row["body"]), row["owner"])
