"""A whole reply as the events that a stream of it would have had.

A gateway may answer a request for a stream with the reply as one JSON document, and an answer that was lost may be
found again. Those who read events get them made from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mistral_agents._border.events import DONE, STARTED
from mistral_agents._json import JsonDict
from mistral_agents.turn import Turn

_ENTRY_ONLY = frozenset({"object", "type", "content", "completed_at"})
_NOT_IN_START = frozenset({"object", "outputs", "usage", "type"})


def turn_events(turn: Turn) -> Iterator[JsonDict]:
    """The events of a turn, from `conversation.response.started` to `conversation.response.done`."""
    entries = [entry.raw for entry in turn.entries]
    return reply_events({**turn.raw, "conversation_id": turn.conversation_id, "outputs": entries})


def reply_events(reply: Mapping[str, Any]) -> Iterator[JsonDict]:
    """The events of a conversation response as it came."""
    head = {key: value for key, value in reply.items() if key not in _NOT_IN_START}
    yield {**head, "type": STARTED}
    outputs = reply.get("outputs")
    for place, entry in enumerate(outputs if isinstance(outputs, list) else []):
        if isinstance(entry, dict):
            yield from _make_entry_events(entry, place)
    yield {"type": DONE, "usage": reply.get("usage")}


def _make_entry_events(entry: Mapping[str, Any], place: int) -> Iterator[JsonDict]:
    kind = entry.get("type")
    facts = {key: value for key, value in entry.items() if key not in _ENTRY_ONLY}
    facts["output_index"] = place
    if kind == "message.output":
        content = entry.get("content")
        for index, piece in enumerate(content if isinstance(content, list) else [content]):
            yield {**facts, "type": "message.output.delta", "content_index": index, "content": piece}
    elif kind == "function.call":
        yield {**facts, "type": "function.call.delta"}
    elif kind in ("tool.execution", "agent.handoff"):
        yield {**facts, "type": f"{kind}.started"}
        yield {**facts, "type": f"{kind}.done", "created_at": entry.get("completed_at")}
    else:
        yield {**entry, "output_index": place}
