"""A whole reply as the events that a stream of it would have had.

A gateway may answer a request for a stream with the reply as one JSON document. It is the answer; those who read
events get them made from it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mistral_agents._border.events import DONE, STARTED
from mistral_agents._json import JsonDict

_NOT_IN_DELTAS = frozenset({"object", "type", "completed_at", "content"})


def events_of(reply: JsonDict) -> Iterator[JsonDict]:
    """The events of a conversation response."""
    head = {key: value for key, value in reply.items() if key not in ("object", "outputs", "usage", "type")}
    yield {**head, "type": STARTED}
    outputs = reply.get("outputs")
    for index, entry in enumerate(outputs if isinstance(outputs, list) else []):
        if isinstance(entry, dict):
            yield from _events_of_entry(entry, index)
    yield {"type": DONE, "usage": reply.get("usage")}


def _events_of_entry(entry: JsonDict, index: int) -> Iterator[JsonDict]:
    kind = entry.get("type")
    facts = {key: value for key, value in entry.items() if key not in _NOT_IN_DELTAS}
    facts["output_index"] = index
    if kind == "message.output":
        content: Any = entry.get("content")
        for place, piece in enumerate(content if isinstance(content, list) else [content]):
            yield {**facts, "type": "message.output.delta", "content_index": place, "content": piece}
    elif kind == "function.call":
        yield {**facts, "type": "function.call.delta"}
    elif kind in ("tool.execution", "agent.handoff"):
        yield {**facts, "type": f"{kind}.started"}
        yield {**facts, "type": f"{kind}.done", "created_at": entry.get("completed_at")}
    else:
        yield {**entry, "output_index": index}
