"""A stream's events as typed records, for `match`.

Streams give each event as the service sent it, a dict. An `EventReader` tells what it added:

    >>> reader = EventReader()
    >>> for event in conversation.stream("What is 3 + 4?"):
    ...     for record in reader.read(event):
    ...         match record:
    ...             case TextDelta(text=text):
    ...                 print(text, end="")
    ...             case RunEnd(entry=run):
    ...                 print(f"[{run['name']} is done]")

The streams of `client.conversations` and both wings read their events with the same reader, so a further kind of event
is an `UnknownEvent` everywhere until this package knows it.
"""

from __future__ import annotations

from mistral_agents._border.events import (
    CallDelta,
    ContentItem,
    ContentPiece,
    EventReader,
    HandoffDelta,
    Record,
    RunDelta,
    RunEnd,
    StreamEnd,
    StreamError,
    StreamStart,
    TextDelta,
    ThinkingDelta,
    UnknownEvent,
)

__all__ = [
    "CallDelta",
    "ContentItem",
    "ContentPiece",
    "EventReader",
    "HandoffDelta",
    "Record",
    "RunDelta",
    "RunEnd",
    "StreamEnd",
    "StreamError",
    "StreamStart",
    "TextDelta",
    "ThinkingDelta",
    "UnknownEvent",
]
