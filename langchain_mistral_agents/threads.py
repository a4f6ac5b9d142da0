"""Maps of an application's threads or sessions to conversations: the foundation's, and one in a LangGraph store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mistral_agents.threads import ConversationStore, InMemoryConversations, SqliteConversations, check_owner

if TYPE_CHECKING:
    from langgraph.store.base import BaseStore

__all__ = ["ConversationStore", "InMemoryConversations", "SqliteConversations", "StoreConversations"]


class StoreConversations:
    """Keeps threads in a LangGraph store.

    Args:
        store: The store.
        namespace: Where in it.
    """

    def __init__(self, store: BaseStore, namespace: tuple[str, ...] = ("mistral_conversations",)) -> None:
        self._store = store
        self._namespace = namespace

    def get(self, thread_id: str, agent: str) -> str | None:
        """The thread's conversation; None for a new thread.

        Raises:
            ConfigurationError: The thread belongs to another agent.
        """
        return self._read(thread_id, agent, self._store.get(self._namespace, thread_id))

    def set(self, thread_id: str, agent: str, conversation_id: str) -> None:
        """Remember the thread's conversation; a branch replaces it."""
        self._store.put(self._namespace, thread_id, {"agent": agent, "conversation_id": conversation_id})

    def delete(self, thread_id: str) -> None:
        """Forget a thread; the conversation itself stays."""
        self._store.delete(self._namespace, thread_id)

    async def aget(self, thread_id: str, agent: str) -> str | None:
        """As `get`, without blocking."""
        return self._read(thread_id, agent, await self._store.aget(self._namespace, thread_id))

    async def aset(self, thread_id: str, agent: str, conversation_id: str) -> None:
        """As `set`, without blocking."""
        await self._store.aput(self._namespace, thread_id, {"agent": agent, "conversation_id": conversation_id})

    async def adelete(self, thread_id: str) -> None:
        """As `delete`, without blocking."""
        await self._store.adelete(self._namespace, thread_id)

    def _read(self, thread_id: str, agent: str, item: Any) -> str | None:
        value = item.value if item is not None else {}
        return check_owner(thread_id, agent, value.get("agent"), value.get("conversation_id"))
