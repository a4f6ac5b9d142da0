"""Where a conversation comes from, kept in its metadata, since the service keeps no word of it."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Mapping
from typing import Any, SupportsIndex

from mistral_agents.entries import Entry, MessageInput, MessageOutput
from mistral_agents.errors import ConfigurationError
from mistral_agents.history import History

PARENT = "mistral_agents_parent"
FROM_ENTRY = "mistral_agents_from_entry"
At = int | str | Entry | Callable[[Entry], bool] | None
_NOWHERE = "The history holds no entry to branch from: {}."


def with_lineage(metadata: Mapping[str, Any] | None, conversation_id: str, entry_id: str | None) -> dict[str, Any]:
    """Metadata that names the parent, and the entry a branch begins after, and no longer those of the parent."""
    own = {name: value for name, value in (metadata or {}).items() if name not in (PARENT, FROM_ENTRY)}
    found = {**own, PARENT: conversation_id}
    return found if entry_id is None else {**found, FROM_ENTRY: entry_id}


def parent_of(info: Mapping[str, Any]) -> str | None:
    """The conversation that a conversation was branched, compacted or imported from; None where not told."""
    metadata = info.get("metadata")
    found = metadata.get(PARENT) if isinstance(metadata, Mapping) else None
    return found if isinstance(found, str) else None


def is_user_message(entry: Entry) -> bool:
    """Whether an entry is a message of the user; a test for `branch_point`."""
    return isinstance(entry, MessageInput) and entry.raw.get("role") != "assistant"


def branch_point(history: History, at: At) -> int:
    """The place of the entry that a branch keeps last.

    Args:
        history: The history.
        at: The entry's place (negative ones count from the end), its id, the entry itself, or a test, of which the
            last entry that passes is taken; None takes the assistant's last message.

    Raises:
        ConfigurationError: There is no such entry, or `at` names none.
    """
    entries = history.entries
    wanted = _read_place(at)
    if isinstance(wanted, int):
        place = wanted if wanted >= 0 else len(entries) + wanted
        if not 0 <= place < len(entries):
            raise ConfigurationError(_NOWHERE.format(f"it has {len(entries)} entries, not one at {wanted}"))
    else:
        place = _last(entries, wanted)
        if place < 0:
            raise ConfigurationError(_NOWHERE.format("no answer yet" if at is None else f"none fits at={at!r}"))
    if entries[place].id is None:
        raise ConfigurationError(_NOWHERE.format(f"the one at {place} has no id"))
    return place


def _read_place(at: object) -> int | Callable[[Entry], bool]:
    """A place, or a test of entries."""
    if at is None:
        return lambda entry: isinstance(entry, MessageOutput)
    key = at.id if isinstance(at, Entry) else at
    if isinstance(key, str):
        return lambda entry: entry.id == key
    if callable(at) and not inspect.iscoroutinefunction(at):
        return at
    if isinstance(at, bool) or not isinstance(at, SupportsIndex):
        wanted = "a place (a whole number), an id, an entry that has one, or a blocking function of an entry"
        raise ConfigurationError(f"at must be {wanted}, not {at!r}.")
    return operator.index(at)


def _last(entries: list[Entry], test: Callable[[Entry], bool]) -> int:
    return next((place for place in range(len(entries) - 1, -1, -1) if test(entries[place])), -1)
