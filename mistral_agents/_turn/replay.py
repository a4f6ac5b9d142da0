"""A whole reply as the events of a stream that would have told the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mistral_agents._json import JsonDict
from mistral_agents.turn import Turn

_ENTRY_ONLY = ("object", "type", "content", "created_at", "completed_at")


def turn_events(turn: Turn) -> Iterator[JsonDict]:
    """The events of a turn, from `conversation.response.started` to `conversation.response.done`."""
    yield {"type": "conversation.response.started", "conversation_id": turn.conversation_id}
    for place, entry in enumerate(turn.entries):
        yield from _entry_events(entry.raw, place)
    yield {"type": "conversation.response.done", "usage": turn.raw.get("usage")}


def _entry_events(entry: Mapping[str, Any], place: int) -> Iterator[JsonDict]:
    kind = entry.get("type")
    facts = {name: value for name, value in entry.items() if name not in _ENTRY_ONLY and value is not None}
    common = {**facts, "output_index": place, "created_at": entry.get("created_at")}
    if kind == "message.output":
        content = entry.get("content")
        for index, chunk in enumerate(content if isinstance(content, list) else [content]):
            yield {"type": "message.output.delta", **common, "content_index": index, "content": chunk}
    elif kind == "function.call":
        yield {"type": "function.call.delta", **common}
    elif kind in ("tool.execution", "agent.handoff"):
        yield {"type": f"{kind}.started", **common}
        yield {"type": f"{kind}.done", **common, "created_at": entry.get("completed_at")}
