"""Which conversation belongs to which thread of an application."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Protocol

from mistral_agents.errors import ConfigurationError


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
        self._limit = limit
        self._threads: OrderedDict[str, tuple[str, str]] = OrderedDict()
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, object]:
        return {"_limit": self._limit, "_threads": OrderedDict(self._threads)}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()

    def get(self, thread_id: str, agent: str) -> str | None:
        """The thread's conversation.

        Raises:
            ConfigurationError: The thread belongs to another agent; agents do not share conversations.
        """
        with self._lock:
            owner, conversation_id = self._threads.get(thread_id, (agent, None))
        if owner != agent:
            raise ConfigurationError(f"The thread {thread_id!r} belongs to {owner}, not to {agent}.")
        return conversation_id

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
