"""Folds the events of a stream into the reply that the same turn has when it isn't streamed."""

from __future__ import annotations

from collections.abc import Sequence

from mistral_agents._border.events import FRAME, EventReader, Record, StreamEnd, StreamError, StreamStart, UnknownEvent
from mistral_agents._json import JsonDict

_APART = ("type", "created_at")


class EventFold:
    """Takes events one by one; `.response()` is the reply's JSON as a call would have returned it so far.

    Attributes:
        done: Whether the stream ended well.
        error: The event that told of a failure.
        unknown: Events of kinds that this version does not know.
    """

    __slots__ = ("_reader", "_top", "done", "error", "unknown")

    def __init__(self) -> None:
        self._reader = EventReader()
        self._top: JsonDict = {}
        self.done = False
        self.error: JsonDict | None = None
        self.unknown: list[JsonDict] = []

    @property
    def conversation_id(self) -> str | None:
        """The conversation's id, known from the first event on."""
        value = self._top.get("conversation_id")
        return value if isinstance(value, str) else None

    def apply(self, event: JsonDict) -> Sequence[Record]:
        """Take the next event; gives what it added."""
        records = self._reader.read(event)
        for record in records:
            if type(record) in FRAME:
                self._note(record)
        return records

    def _note(self, record: Record) -> None:
        if isinstance(record, (StreamStart, StreamEnd)):
            self.done = self.done or isinstance(record, StreamEnd)
            self._top.update({key: value for key, value in record.event.items() if key not in _APART})
        elif isinstance(record, StreamError):
            self.error = record.event
        elif isinstance(record, UnknownEvent):
            self.unknown.append(record.event)

    def response(self) -> JsonDict:
        """The reply so far."""
        return {"object": "conversation.response", **self._top, "outputs": self._reader.entries()}
