"""Which part of a history the service already holds: fingerprints in the messages, and the heads of conversations.

State travels with the messages: each answer's `response_metadata` tells its conversation, its last entry and a digest
of everything up to it. What a process remembers besides (`HEADS`) is only where a conversation stood last, to tell a
rewind from a continuation; another process reads it from the service.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from langchain_core.messages import AIMessage, BaseMessage, SystemMessage, ToolMessage

from langchain_mistral_agents._content import human_content, result_content
from langchain_mistral_agents._errors import DivergenceError
from langchain_mistral_agents._requests import is_ours

OnDivergence = Literal["restart", "new", "raise"]
_KEPT = 10_000


class Heads:
    """The last known entry of each conversation; bounded, safe in threads."""

    def __init__(self) -> None:
        self._heads: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, base_url: str, conversation_id: str) -> str | None:
        """The entry, or None where this process does not know."""
        return self._heads.get((base_url, conversation_id))

    def set(self, base_url: str, conversation_id: str | None, entry_id: str | None) -> None:
        """Remember the entry; None forgets."""
        if conversation_id is None:
            return
        with self._lock:
            self._heads.pop((base_url, conversation_id), None)
            if entry_id is not None:
                self._heads[base_url, conversation_id] = entry_id
                while len(self._heads) > _KEPT:
                    self._heads.popitem(last=False)


HEADS = Heads()


def digest(*parts: Any) -> str:
    """A short digest of JSON-like values."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _fingerprint(message: BaseMessage) -> list[Any]:
    if isinstance(message, AIMessage):
        calls = [[call["id"], call["name"], call["args"]] for call in message.tool_calls]
        return ["ai", str(message.text), calls, [[c["id"], c["name"]] for c in message.invalid_tool_calls]]
    if isinstance(message, ToolMessage):
        result = result_content(message.content)
        return ["tool", message.tool_call_id, result.text, message.status, *result.chunks]
    return [message.type, human_content(message.content)]


def chain(messages: Sequence[BaseMessage], *, systems: bool, start: str = "") -> list[str]:
    """The digest of the history up to and including each message."""
    found, last = [], start
    for message in messages:
        if systems or not isinstance(message, SystemMessage):
            last = digest(last, _fingerprint(message))
        found.append(last)
    return found


def tool_keys(tools: Sequence[Any]) -> list[Any]:
    """What identifies each tool of a conversation, whatever defaults the service adds."""
    return sorted(_tool_key(tool) for tool in tools)


def _tool_key(tool: Any) -> str:
    function = tool.get("function")
    name = function.get("name") if isinstance(function, dict) else tool.get("connector_id", "")
    return f"{tool.get('type')}:{name}:{','.join(sorted(tool.get('library_ids') or ()))}"


@dataclass(frozen=True, slots=True)
class Position:
    """Where a turn goes.

    Attributes:
        operation: `start`, `append` or `restart`.
        conversation_id: The conversation to go on with, or to branch from.
        entry_id: The entry to branch from (`restart`), or the last one known (`append`).
        first: The index of the first message that the service does not hold.
        reason: Why it is no plain continuation; None where it is.
    """

    operation: Literal["start", "append", "restart"]
    conversation_id: str | None = None
    entry_id: str | None = None
    first: int = 0
    reason: str | None = None


def _facts(message: BaseMessage) -> dict[str, Any]:
    found: dict[str, Any] = message.response_metadata if is_ours(message) else {}
    return found if found.get("stored") and found.get("conversation_id") and found.get("last_entry_id") else {}


def anchors(messages: Sequence[BaseMessage], conversation_id: str | None) -> list[int]:
    """The answers that tell of a stored conversation (of this one, where one is given)."""
    found = [i for i, message in enumerate(messages) if _facts(message)]
    return [i for i in found if conversation_id in (None, _facts(messages[i])["conversation_id"])]


def after_last_answer(messages: Sequence[BaseMessage]) -> int:
    """The index after the last answer in a history."""
    return max((i + 1 for i, message in enumerate(messages) if isinstance(message, AIMessage)), default=0)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a stored turn is asked to be.

    Attributes:
        given: The conversation named by the caller for this call.
        fallback: The conversation named by the model's field.
        setup: Digest of the tools and instructions.
        systems: Whether system messages count as messages.
        policy: What to do when the history is no continuation.
        base_url: The service.
    """

    given: str | None
    fallback: str | None
    setup: str
    systems: bool
    policy: OnDivergence
    base_url: str


def head_to_ask(messages: Sequence[BaseMessage], wanted: Wanted) -> str | None:
    """The conversation whose head this process must read first; None where it knows."""
    found = anchors(messages, wanted.given)
    if not found:
        return None
    conversation_id: str = _facts(messages[found[-1]])["conversation_id"]
    return conversation_id if HEADS.get(wanted.base_url, conversation_id) is None else None


def locate(messages: Sequence[BaseMessage], wanted: Wanted) -> Position:
    """Where a stored turn goes.

    Raises:
        DivergenceError: The history is no continuation, and the policy is to raise.
    """
    found = anchors(messages, wanted.given)
    if not found:
        conversation_id = wanted.given if wanted.given is not None else wanted.fallback
        if conversation_id is None:
            return Position("start")
        known = HEADS.get(wanted.base_url, conversation_id)
        return Position("append", conversation_id, known, after_last_answer(messages))
    position = _from_anchors(messages, found, wanted)
    if position.reason is not None:
        return _by_policy(position, wanted.policy)
    return position


def _from_anchors(messages: Sequence[BaseMessage], found: list[int], wanted: Wanted) -> Position:
    last = _facts(messages[found[-1]])
    if last.get("setup_digest") != wanted.setup:
        return Position("start", reason="the tools or instructions changed, and those of a conversation are fixed")
    digests = chain(messages, systems=wanted.systems)
    shared = [i for i in found if _facts(messages[i]).get("history_digest") == digests[i]]
    if not shared:
        return Position("start", reason="the history was edited or trimmed and shares no answer with the conversation")
    place = shared[-1]
    facts = _facts(messages[place])
    conversation_id, entry_id = facts["conversation_id"], facts["last_entry_id"]
    if place != found[-1]:
        return Position("restart", conversation_id, entry_id, place + 1, "messages before the last answer were edited")
    if HEADS.get(wanted.base_url, conversation_id) not in (None, entry_id):
        return Position("restart", conversation_id, entry_id, place + 1, "the conversation has gone on since")
    return Position("append", conversation_id, entry_id, place + 1)


def _by_policy(position: Position, policy: OnDivergence) -> Position:
    if policy == "raise":
        raise DivergenceError(
            f"The messages do not continue the stored conversation: {position.reason}.",
            conversation_id=position.conversation_id,
            hint='Set on_divergence="restart" to branch or "new" to begin a new conversation.',
        )
    return Position("start", reason=position.reason) if policy == "new" else position
