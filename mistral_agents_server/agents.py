"""Agents, their versions and aliases in SQLite.

Each change makes a new version; the agent answers as the version that is switched on, which is the newest one until
another is chosen.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from typing import Any

from mistral_agents_server import ids
from mistral_agents_server.db import Database
from mistral_agents_server.errors import not_found
from mistral_agents_server.paging import LARGEST, whole_number

Wire = dict[str, Any]

_TABLES = """
CREATE TABLE IF NOT EXISTS agents (
    id TEXT PRIMARY KEY, created_at TEXT NOT NULL, updated_at TEXT NOT NULL, version INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS agent_versions (
    agent_id TEXT NOT NULL REFERENCES agents (id) ON DELETE CASCADE, version INTEGER NOT NULL,
    created_at TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (agent_id, version)
);
CREATE TABLE IF NOT EXISTS agent_aliases (
    agent_id TEXT NOT NULL REFERENCES agents (id) ON DELETE CASCADE, alias TEXT NOT NULL, version INTEGER NOT NULL,
    created_at TEXT NOT NULL, updated_at TEXT NOT NULL, PRIMARY KEY (agent_id, alias)
);
"""

_NO_ARGS: Wire = {
    "stop": None,
    "presence_penalty": None,
    "frequency_penalty": None,
    "temperature": None,
    "top_p": None,
    "max_tokens": None,
    "random_seed": None,
    "prediction": None,
    "response_format": None,
    "tool_choice": "auto",
    "reasoning_effort": None,
}


def full_args(given: Wire | None) -> Wire:
    """Completion arguments as the service shows them: all of them, those not set as null."""
    return {**_NO_ARGS, **(given if given is not None else {})}


_DEFAULTS: Wire = {
    "instructions": None,
    "tools": [],
    "completion_args": None,
    "guardrails": [],
    "model": None,
    "name": None,
    "description": None,
    "handoffs": None,
    "metadata": None,
    "deployment_chat": False,
    "version_message": None,
}


class AgentStore:
    """Reads and writes agents."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.script(_TABLES)

    def create(self, given: Wire) -> Wire:
        """Keep a new agent as version 0. As in the recorded reply, `versions` is still empty there."""
        with self._database.transaction():
            agent_id, now = ids.new_id("ag"), ids.now()
            self._database.run("INSERT INTO agents VALUES (?, ?, ?, 0)", (agent_id, now, now))
            self._keep(agent_id, 0, now, _checked({**_DEFAULTS, **given}))
        return {**self.get(agent_id), "versions": []}

    def _keep(self, agent_id: str, version: int, now: str, body: Wire) -> None:
        text = json.dumps(body, ensure_ascii=False)
        self._database.run("INSERT INTO agent_versions VALUES (?, ?, ?, ?)", (agent_id, version, now, text))

    def get(self, agent_id: str, version: int | str | None = None) -> Wire:
        """One agent, as the version switched on, a numbered one, or the one with an alias.

        Raises:
            ApiError: 404 when the agent, version or alias isn't known.
        """
        rows = self._database.run("SELECT * FROM agents WHERE id = ?", (agent_id,))
        if not rows:
            raise not_found(f"Agent {agent_id} not found")
        number = rows[0]["version"] if version is None else self._number(agent_id, version)
        kept = self._database.run(
            "SELECT body FROM agent_versions WHERE agent_id = ? AND version = ?", (agent_id, number)
        )
        if not kept:
            raise not_found(f"Agent {agent_id} has no version {version}")
        return self._wire(rows[0], number, json.loads(kept[0]["body"]))

    def _number(self, agent_id: str, version: int | str) -> int:
        try:
            number = version if isinstance(version, int) else whole_number(version)
        except ValueError:
            return self._aliased(agent_id, version)
        if not 0 <= number <= LARGEST:
            raise not_found(f"Agent {agent_id} has no version {version}")
        return number

    def _aliased(self, agent_id: str, version: int | str) -> int:
        rows = self._database.run(
            "SELECT version FROM agent_aliases WHERE agent_id = ? AND alias = ?", (agent_id, version)
        )
        if not rows:
            raise not_found(f"Agent {agent_id} has no version {version}")
        return int(rows[0]["version"])

    def _wire(self, agent: sqlite3.Row, version: int, body: Wire) -> Wire:
        return {
            **body,
            "object": "agent",
            "id": agent["id"],
            "version": version,
            "versions": self._numbers(agent["id"]),
            "created_at": agent["created_at"],
            "updated_at": agent["updated_at"],
            "source": "api",
        }

    def _numbers(self, agent_id: str) -> list[int]:
        rows = self._database.run("SELECT version FROM agent_versions WHERE agent_id = ? ORDER BY version", (agent_id,))
        return [row["version"] for row in rows]

    def update(self, agent_id: str, changes: Wire, check: Callable[[Wire], None]) -> Wire:
        """Keep a changed copy as a new version and switch it on. `check` may refuse the merged agent."""
        with self._database.transaction():
            current = self.get(agent_id)
            body = _checked({key: current[key] for key in _DEFAULTS} | changes)
            check(body)
            version, now = self._numbers(agent_id)[-1] + 1, ids.now()
            self._keep(agent_id, version, now, body)
            self._switch(agent_id, version, now)
        return self.get(agent_id)

    def _switch(self, agent_id: str, version: int, now: str) -> None:
        self._database.run("UPDATE agents SET version = ?, updated_at = ? WHERE id = ?", (version, now, agent_id))

    def switch(self, agent_id: str, version: int) -> Wire:
        """Let the agent answer as an older or newer version."""
        self.get(agent_id, version)
        self._switch(agent_id, version, ids.now())
        return self.get(agent_id)

    def versions(self, agent_id: str) -> list[Wire]:
        """All versions, newest first."""
        self.get(agent_id)
        return [self.get(agent_id, number) for number in reversed(self._numbers(agent_id))]

    def all(self) -> list[Wire]:
        """All agents, newest first."""
        with self._database.transaction():  # none of them may be deleted while they are read
            rows = self._database.run("SELECT id FROM agents ORDER BY created_at DESC, id DESC")
            return [self.get(row["id"]) for row in rows]

    def delete(self, agent_id: str) -> None:
        """Forget an agent with its versions and aliases."""
        self.get(agent_id)
        self._database.run("DELETE FROM agents WHERE id = ?", (agent_id,))

    def set_alias(self, agent_id: str, alias: str, version: int) -> Wire:
        """Give a version a name, or move the name to it."""
        self.get(agent_id, version)
        now = ids.now()
        rows = self._database.run(
            "INSERT INTO agent_aliases VALUES (?, ?, ?, ?, ?) ON CONFLICT (agent_id, alias)"
            " DO UPDATE SET version = excluded.version, updated_at = excluded.updated_at RETURNING *",
            (agent_id, alias, version, now, now),
        )
        return _alias(rows[0])

    def aliases(self, agent_id: str) -> list[Wire]:
        """All aliases, by name."""
        self.get(agent_id)
        rows = self._database.run("SELECT * FROM agent_aliases WHERE agent_id = ? ORDER BY alias", (agent_id,))
        return [_alias(row) for row in rows]

    def delete_alias(self, agent_id: str, alias: str) -> None:
        """Forget an alias.

        Raises:
            ApiError: 404 when the agent has none of that name.
        """
        self.get(agent_id)
        rows = self._database.run(
            "DELETE FROM agent_aliases WHERE agent_id = ? AND alias = ? RETURNING alias", (agent_id, alias)
        )
        if not rows:
            raise not_found(f"Agent {agent_id} has no alias {alias}")


def _alias(row: sqlite3.Row) -> Wire:
    return {key: row[key] for key in ("alias", "version", "created_at", "updated_at")}


def _checked(body: Wire) -> Wire:
    """The body with nothing null that the service never shows as null."""
    return {
        **body,
        "tools": body["tools"] if body["tools"] is not None else [],
        "completion_args": full_args(body["completion_args"]),
    }
