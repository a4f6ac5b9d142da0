"""Live memories by their key, so that a model can tell a memory which turn it made of the memory's messages.

Messages that a `MistralConversationMemory` hands out carry its key. A chat engine copies messages and rebuilds answers
from text, so the message itself can't bring the news back; this table can, and forgets a memory with its last user.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol
from weakref import WeakValueDictionary

from llama_index.core.base.llms.types import ChatMessage


class Session(Protocol):
    """What a model tells a memory."""

    def turn_begins(self) -> None:
        """A turn with the memory's messages is on its way; what the service holds may change from now on."""

    def turn_applied(
        self, conversation_id: str, sent: Sequence[ChatMessage], answer: ChatMessage, marks: dict[str, Any]
    ) -> None:
        """The service answered: this conversation now holds these messages and the answer."""


_turns = 0
_LIVE: WeakValueDictionary[str, Session] = WeakValueDictionary()


def register(key: str, session: Session) -> None:
    """Make a memory known."""
    _LIVE[key] = session


def live_session(key: str) -> Session | None:
    """The memory of that key, as long as it lives in this process."""
    return _LIVE.get(key)


def memory_of(messages: Sequence[ChatMessage]) -> str | None:
    """The key of the memory that handed out the last of these messages that any memory did."""
    for message in reversed(messages):
        key = message.additional_kwargs.get("memory")
        if isinstance(key, str):
            return key
    return None


def session_of(messages: Sequence[ChatMessage]) -> Session | None:
    """That memory, as long as it lives."""
    key = memory_of(messages)
    return _LIVE.get(key) if key is not None else None


def count_turn() -> None:
    """A `MistralAgentLLM` of this process has answered."""
    global _turns
    _turns += 1


def turns_made() -> int:
    """How often a `MistralAgentLLM` of this process has answered."""
    return _turns
