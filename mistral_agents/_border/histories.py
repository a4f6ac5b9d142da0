"""What a stored conversation holds of a framework's messages: its history converted, and what is not there yet.

The messages are a wing's; how they are told apart is given by functions of the wing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from mistral_agents._border.fingerprints import group_entries
from mistral_agents._json import JsonDict
from mistral_agents.entries import Entry

M = TypeVar("M")


@dataclass(slots=True)
class _Part(Generic[M]):
    """Entries that make one message, the message, and the digest of the history up to it."""

    raws: list[JsonDict]
    message: M
    digest: str


class ConvertedHistory(Generic[M]):
    """A conversation's messages; a history read again converts only what is new in it.

    Attributes:
        converted: How many entries were converted so far.
    """

    def __init__(self, converted: int = 0) -> None:
        self.converted = converted
        self._key: Any = None
        self._parts: list[_Part[M]] = []

    @property
    def messages(self) -> list[M]:
        """The messages, oldest first."""
        return [part.message for part in self._parts]

    def read(self, entries: Sequence[Entry], key: object, make: Callable[[list[Entry], str], tuple[M, str]]) -> list[M]:
        """Take the entries of the conversation.

        Args:
            entries: All of them.
            key: Names the conversation, and what else decides the messages.
            make: Makes the message of some entries (an input, or an answer), and the digest of the history up to it
                of the one before.
        """
        if self._key != key:
            self._key, self._parts = key, []
        groups = list(group_entries(entries))
        known = self._count_known(groups)
        del self._parts[known:]
        for group in groups[known:]:
            message, digest = make(group, self._parts[-1].digest if self._parts else "")
            self._parts.append(_Part(_list_raws(group), message, digest))
            self.converted += len(group)
        return self.messages

    def _count_known(self, groups: Sequence[Sequence[Entry]]) -> int:
        pairs = enumerate(zip(self._parts, groups, strict=False))
        changed = (place for place, (part, group) in pairs if part.raws != _list_raws(group))
        return next(changed, min(len(self._parts), len(groups)))


def _list_raws(group: Sequence[Entry]) -> list[JsonDict]:
    return [entry.raw for entry in group]


@dataclass(frozen=True, slots=True)
class Identity(Generic[M]):
    """How a wing's messages are told apart.

    Attributes:
        print_of: A fingerprint: two messages with the same one are the same to the service.
        key_of: The id of a message; None where it has none.
        is_result: Whether it is the result of a function call.
        is_system: Whether it is no part of a conversation.
    """

    print_of: Callable[[M], str]
    key_of: Callable[[M], str | None]
    is_result: Callable[[M], bool]
    is_system: Callable[[M], bool]


class Ledger(Generic[M]):
    """Tells which messages given to a history the service holds by now, where only readings of it tell.

    Args:
        identity: How messages are told apart.
        empty: Whether the conversation is known to hold nothing yet; else its first reading is the base line.

    Attributes:
        unsaved: Messages that the service did not hold when it was last looked at.
    """

    def __init__(self, identity: Identity[M], *, empty: bool) -> None:
        self.unsaved: list[M] = []
        self._identity = identity
        self._seen: Counter[str] | None = Counter() if empty else None
        self._fresh: Counter[str] = Counter()
        self._settled: str | None = None
        self._waited = 0

    def look(self, held: Sequence[M]) -> None:
        """Take note of what the service holds."""
        prints = [self._identity.print_of(message) for message in held]
        counted = Counter(prints)
        if self._seen is not None:
            self._fresh += counted - self._seen
        self._seen = counted
        before = self._drop_held(self.unsaved[: self._waited])
        place = self._find_settled(held)
        if place is not None:
            self._fresh &= Counter(prints[place + 1 :])
            self._settled = None
        self.unsaved = [*before, *self._drop_held(self.unsaved[self._waited :])]
        self._waited = 0

    def add(self, messages: Sequence[M]) -> None:
        """Keep messages, but for those that the service turned out to hold since it was looked at before."""
        self.unsaved.extend(self._drop_held(messages))

    def settle(self, answer: M) -> None:
        """The service holds an answer and everything before it; none of that will be given again."""
        self._fresh.clear()
        self._settled = self._identity.key_of(answer)
        self._waited = len(self.unsaved)

    def _find_settled(self, held: Sequence[M]) -> int | None:
        if self._settled is None:
            return None
        return next((i for i, message in enumerate(held) if self._identity.key_of(message) == self._settled), None)

    def _drop_held(self, messages: Sequence[M]) -> list[M]:
        left = []
        for message in messages:
            key = self._identity.print_of(message)
            if self._fresh[key] > 0:
                self._fresh[key] -= 1
            else:
                left.append(message)
        return left


@dataclass(slots=True)
class Unsaved(Generic[M]):
    """Messages that a conversation does not hold, where its model tells which it brought there before they were put.

    Attributes:
        identity: How messages are told apart.
        messages: What goes out with the next turn.
    """

    identity: Identity[M]
    messages: list[M] = field(default_factory=list)
    _held: Counter[str] = field(default_factory=Counter)
    _results: Counter[str] = field(default_factory=Counter)

    def claim(self, message: M) -> bool:
        """Whether a turn has already brought the message to the service; it counts once."""
        key, held = self.identity.print_of(message), self._pick(message)
        if held[key] > 0:
            held[key] -= 1
            return True
        return False

    def note_turn(self, sent: Sequence[M], answer: M) -> None:
        """Note what a turn brought to the service."""
        for message in [*sent, answer]:
            if not self.take(message):
                self._pick(message)[self.identity.print_of(message)] += 1

    def take(self, message: M) -> bool:
        """Remove the first message that is the same to the service."""
        key = self.identity.print_of(message)
        for place, kept in enumerate(self.messages):
            if not self.identity.is_system(kept) and self.identity.print_of(kept) == key:
                del self.messages[place]
                return True
        return False

    def begin_round(self) -> None:
        """Messages are handed out: what an earlier turn brought will not be put any more, but for results."""
        self._held.clear()

    def begin_conversation(self) -> None:
        """What earlier turns brought is in another conversation."""
        self._held.clear()
        self._results.clear()

    def _pick(self, message: M) -> Counter[str]:
        return self._results if self.identity.is_result(message) else self._held


def count_shared(known: Sequence[M], given: Sequence[M], identity: Identity[M]) -> int:
    """How many messages two lists share at their start."""
    count = 0
    for one, other in zip(known, given, strict=False):
        if identity.is_system(other) or identity.print_of(one) != identity.print_of(other):
            break
        count += 1
    return count


def count_new(known: Sequence[str], now: Sequence[str]) -> int | None:
    """How many messages at the end of a memory a conversation does not cover.

    A memory may have been cut off at its beginning since, which is no edit.

    Args:
        known: Fingerprints of the messages that the conversation covers, the last of them.
        now: Those of all that the memory holds.

    Returns:
        None where the memory does not go on from what is known: it was edited, or begun anew.
    """
    for end in range(len(now), 0, -1):
        length = min(len(known), end)
        if length and list(now[end - length : end]) == list(known[-length:]):
            return len(now) - end
    return None
