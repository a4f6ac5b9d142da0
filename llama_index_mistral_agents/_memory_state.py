"""What a memory knows of a stored conversation, and what of its own messages is not there yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from llama_index.core.base.llms.types import ChatMessage

from llama_index_mistral_agents._blocks import history_messages
from llama_index_mistral_agents._items import with_digests
from llama_index_mistral_agents._messages import SYSTEM, fingerprint, is_result
from mistral_agents.entries import Entry


@dataclass(slots=True)
class KnownHistory:
    """A conversation's messages; when it is read again only entries not seen before are converted.

    Attributes:
        messages: The messages, oldest first.
        converted: How many entries have been converted so far.
    """

    messages: list[ChatMessage] = field(default_factory=list)
    converted: int = 0
    _ids: list[str | None] = field(default_factory=list)

    def read(self, entries: Sequence[Entry], conversation_id: str) -> None:
        """Take the entries of the conversation."""
        ids = [entry.id for entry in entries]
        start = len(self._ids) if self._ids and ids[: len(self._ids)] == self._ids else 0
        if start < len(entries) and not _begins(entries[start]):
            start = 0
        if start == 0:
            self.messages = []
        before = self.messages[-1].additional_kwargs["history_digest"] if self.messages else ""
        self.messages.extend(with_digests(history_messages(entries[start:], conversation_id), before))
        self.converted += len(entries) - start
        self._ids = ids


def _begins(entry: Entry) -> bool:
    """Whether an entry begins a message of its own, whatever came before it."""
    return entry.type in ("message.input", "function.result")


@dataclass(slots=True)
class Unsaved:
    """Messages the conversation does not hold, and those a turn has brought there before they were put.

    Attributes:
        messages: What goes out with the next turn.
    """

    messages: list[ChatMessage] = field(default_factory=list)
    _held: Counter[str] = field(default_factory=Counter)
    _results: Counter[str] = field(default_factory=Counter)

    def holds(self, message: ChatMessage) -> bool:
        """Whether a turn has already brought the message to the service; it counts once."""
        key = fingerprint(message)
        held = self._results if is_result(message) else self._held
        if held[key] > 0:
            held[key] -= 1
            return True
        return False

    def applied(self, sent: Sequence[ChatMessage], answer: ChatMessage) -> None:
        """Note what a turn brought to the service."""
        for message in [*sent, answer]:
            if not self.take(message):
                held = self._results if is_result(message) else self._held
                held[fingerprint(message)] += 1

    def take(self, message: ChatMessage) -> bool:
        """Remove the first message that is the same to the service."""
        key = fingerprint(message)
        for place, kept in enumerate(self.messages):
            if kept.role not in SYSTEM and fingerprint(kept) == key:
                del self.messages[place]
                return True
        return False

    def new_round(self) -> None:
        """Messages are handed out: what an earlier turn brought will not be put any more, but for results."""
        self._held.clear()

    def new_conversation(self) -> None:
        """What earlier turns brought is in another conversation."""
        self._held.clear()
        self._results.clear()


def common_start(known: Sequence[ChatMessage], given: Sequence[ChatMessage]) -> int:
    """How many messages two lists share at their start."""
    count = 0
    for one, other in zip(known, given, strict=False):
        if other.role in SYSTEM or fingerprint(one) != fingerprint(other):
            break
        count += 1
    return count
