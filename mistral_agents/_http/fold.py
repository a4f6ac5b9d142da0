"""Folds the events of a stream into the reply that the same turn has when it isn't streamed."""

from __future__ import annotations

from collections.abc import Sequence

from mistral_agents._border.events import FRAME, EventReader, Record, StreamEnd, StreamError, StreamStart, UnknownEvent
from mistral_agents._http.failures import find_report, is_whole_answer, may_report, names_reason
from mistral_agents._json import JsonDict

_APART = ("type", "created_at")


class EventFold:
    """Takes events one by one; `.response()` is the reply's JSON as a call would have returned it so far.

    Attributes:
        done: Whether the stream ended well.
        error: The event that told of a failure.
        suspect: An event that may tell of one: the turn failed, unless its end comes and something was answered.
        unknown: Events of kinds that this version does not know.
        whole: A whole reply that came as one event.
    """

    __slots__ = ("_reader", "_top", "done", "error", "suspect", "unknown", "whole")

    def __init__(self) -> None:
        self._reader = EventReader()
        self._top: JsonDict = {}
        self.done = False
        self.error: JsonDict | None = None
        self.suspect: JsonDict | None = None
        self.whole: JsonDict | None = None
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
            self._note_edge(record)
        elif isinstance(record, StreamError) and self.error is None:
            self.error = record.event
        elif isinstance(record, UnknownEvent):
            self._note_unknown(record.event)

    def _note_edge(self, record: StreamStart | StreamEnd) -> None:
        event, ends = record.event, isinstance(record, StreamEnd)
        self._top.update({key: value for key, value in event.items() if key not in _APART})
        if ends and event.get("error"):
            self.error = event
            return
        self.done = self.done or ends
        if names_reason(event):
            self.suspect = event

    def _note_unknown(self, event: JsonDict) -> None:
        if is_whole_answer(event) and self.is_empty:
            self.whole = event
            return
        self.unknown.append(event)
        if self.error is None:
            self.error = find_report(event)
        if may_report(event):
            self.suspect = event

    @property
    def is_empty(self) -> bool:
        """Whether nothing was answered so far."""
        return not self._reader.entries()

    @property
    def has_failed(self) -> bool:
        """Whether the turn failed by what came until its end."""
        return self.suspect is not None and self.is_empty

    def response(self) -> JsonDict:
        """The reply so far."""
        return {"object": "conversation.response", **self._top, "outputs": self._reader.entries()}
