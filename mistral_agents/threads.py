"""Maps of an application's threads or sessions to conversations: in memory, or in an SQLite file."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Protocol

from mistral_agents._http.calls import check_whole_number
from mistral_agents._paths import expand_home
from mistral_agents.errors import ConfigurationError

__all__ = ["ConversationStore", "InMemoryConversations", "SqliteConversations", "check_owner"]

_TABLE = """CREATE TABLE IF NOT EXISTS conversations
(thread_id TEXT PRIMARY KEY, agent TEXT NOT NULL, conversation_id TEXT NOT NULL)"""
_SET = """INSERT INTO conversations VALUES (?, ?, ?) ON CONFLICT (thread_id)
DO UPDATE SET agent = excluded.agent, conversation_id = excluded.conversation_id"""


class ConversationStore(Protocol):
    """Keeps the conversation of each thread; implement it over a database to share it between processes."""

    def get(self, thread_id: str, agent: str) -> str | None:
        """The thread's conversation; None for a new thread. Raises ConfigurationError for another agent's thread."""

    def set(self, thread_id: str, agent: str, conversation_id: str) -> None:
        """Remember the thread's conversation; a branch replaces it."""

    def delete(self, thread_id: str) -> None:
        """Forget a thread; the conversation itself stays."""

    async def aget(self, thread_id: str, agent: str) -> str | None:
        """As `get`, without blocking."""

    async def aset(self, thread_id: str, agent: str, conversation_id: str) -> None:
        """As `set`, without blocking."""

    async def adelete(self, thread_id: str) -> None:
        """As `delete`, without blocking."""


class InMemoryConversations:
    """Keeps the threads of this process, the latest `limit` of them."""

    def __init__(self, limit: int = 10_000) -> None:
        self._limit = check_whole_number("limit", limit)
        self._threads: OrderedDict[str, tuple[str, str]] = OrderedDict()
        self._lock = threading.RLock()

    def __getstate__(self) -> dict[str, object]:
        return {"_limit": self._limit, "_threads": OrderedDict(self._threads)}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._lock = threading.RLock()

    def get(self, thread_id: str, agent: str) -> str | None:
        """The thread's conversation.

        Raises:
            ConfigurationError: The thread belongs to another agent; agents do not share conversations.
        """
        with self._lock:
            owner, conversation_id = self._threads.get(thread_id, (agent, None))
        return check_owner(thread_id, agent, owner, conversation_id)

    def set(self, thread_id: str, agent: str, conversation_id: str) -> None:
        """Remember the thread's conversation."""
        with self._lock:
            self._threads.pop(thread_id, None)
            self._threads[thread_id] = (agent, conversation_id)
            while len(self._threads) > self._limit:
                self._threads.popitem(last=False)

    def delete(self, thread_id: str) -> None:
        """Forget a thread; the conversation itself stays."""
        with self._lock:
            self._threads.pop(thread_id, None)

    async def aget(self, thread_id: str, agent: str) -> str | None:
        """As `get`."""
        return self.get(thread_id, agent)

    async def aset(self, thread_id: str, agent: str, conversation_id: str) -> None:
        """As `set`."""
        self.set(thread_id, agent, conversation_id)

    async def adelete(self, thread_id: str) -> None:
        """As `delete`."""
        self.delete(thread_id)


def check_owner(thread_id: str, agent: str, owner: object, conversation_id: object) -> str | None:
    """A thread's conversation, where the thread is this agent's: agents do not share conversations.

    Args:
        thread_id: The thread.
        agent: Who asks.
        owner: Whose thread it is.
        conversation_id: What is noted of it; None for a new thread.

    Raises:
        ConfigurationError: The thread belongs to another agent.
    """
    if conversation_id is None:
        return None
    if owner != agent:
        raise ConfigurationError(f"The thread {thread_id!r} belongs to {owner}, not to {agent}.")
    return str(conversation_id)


class SqliteConversations:
    """Keeps threads in an SQLite file, which several processes of one machine may share.

    Args:
        path: The file; it is made when first needed.

    Raises:
        ConfigurationError: The path names no file: each access opens it anew, so nothing in memory would last. Methods
            raise it where the file can't be used, and says why.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = str(expand_home(path))
        if self._path in (".", ":memory:"):
            raise ConfigurationError(
                f"path must name a file, not {self._path!r}.", hint="InMemoryConversations keeps threads in memory."
            )

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self._path, timeout=30)) as connection, connection:
                connection.execute(_TABLE)
                yield connection
        except (sqlite3.Error, UnicodeEncodeError) as error:
            raise ConfigurationError(f"The threads' file {self._path!r} can't be used: {error}.") from error

    def get(self, thread_id: str, agent: str) -> str | None:
        """The thread's conversation; None for a new thread.

        Raises:
            ConfigurationError: The thread belongs to another agent.
        """
        with self._open() as connection:
            query = "SELECT agent, conversation_id FROM conversations WHERE thread_id = ?"
            row = connection.execute(query, (thread_id,)).fetchone()
        return check_owner(thread_id, agent, *(row if row is not None else (None, None)))

    def set(self, thread_id: str, agent: str, conversation_id: str) -> None:
        """Remember the thread's conversation; a branch replaces it."""
        with self._open() as connection:
            connection.execute(_SET, (thread_id, agent, conversation_id))

    def delete(self, thread_id: str) -> None:
        """Forget a thread; the conversation itself stays."""
        with self._open() as connection:
            connection.execute("DELETE FROM conversations WHERE thread_id = ?", (thread_id,))

    async def aget(self, thread_id: str, agent: str) -> str | None:
        """As `get`, in a thread."""
        return await asyncio.to_thread(self.get, thread_id, agent)

    async def aset(self, thread_id: str, agent: str, conversation_id: str) -> None:
        """As `set`, in a thread."""
        await asyncio.to_thread(self.set, thread_id, agent, conversation_id)

    async def adelete(self, thread_id: str) -> None:
        """As `delete`, in a thread."""
        await asyncio.to_thread(self.delete, thread_id)
