"""Folds the events of a stream into the entries that the same turn has when it isn't streamed."""

from __future__ import annotations

from typing import Any

from mistral_agents._json import JsonDict

_ENVELOPE = ("type", "output_index", "content_index", "created_at")
DONE = "conversation.response.done"
STARTED = "conversation.response.started"
ERROR = "conversation.response.error"


class EventFold:
    """Takes events one by one; `.response()` is the reply's JSON as a call would have returned it so far.

    Everything is keyed on the event's `id`, since several tools run at once and their events interleave. Unknown
    events are kept in `.unknown`; a missing field never raises.
    """

    __slots__ = ("_entries", "_started", "_top", "done", "error", "unknown")

    def __init__(self) -> None:
        self._entries: dict[str, JsonDict] = {}
        self._top: JsonDict = {}
        self._started: JsonDict = {}
        self.done = False
        self.error: JsonDict | None = None
        self.unknown: list[JsonDict] = []

    @property
    def conversation_id(self) -> str | None:
        """The conversation's id, known from the first event on."""
        value = self._top.get("conversation_id")
        return value if isinstance(value, str) else None

    def apply(self, event: JsonDict) -> None:
        """Take the next event."""
        kind = event.get("type")
        handler = _HANDLERS.get(kind) if isinstance(kind, str) else None
        if handler is None:
            self.unknown.append(event)
        else:
            handler(self, event)

    def response(self) -> JsonDict:
        """The reply so far."""
        outputs = [_closed(entry) for entry in self._entries.values()]
        return {"object": "conversation.response", **self._top, "outputs": outputs}

    def _start(self, event: JsonDict) -> None:
        self._started = event
        self._top.update({key: value for key, value in event.items() if key not in ("type", "created_at")})

    def _finish(self, event: JsonDict) -> None:
        self.done = True
        self._top.update({key: value for key, value in event.items() if key not in ("type", "created_at")})

    def _fail(self, event: JsonDict) -> None:
        self.error = event

    def _entry(self, event: JsonDict, kind: str) -> JsonDict:
        key = event.get("id")
        if not isinstance(key, str):
            key = f"{kind}@{event.get('output_index')}"
        entry = self._entries.get(key)
        if entry is None:
            entry = {"object": "entry", "type": kind, "created_at": event.get("created_at"), "completed_at": None}
            self._entries[key] = entry
        return entry

    def _update(self, entry: JsonDict, event: JsonDict, *apart: str) -> None:
        for key, value in event.items():
            if key not in _ENVELOPE and key not in apart and (value is not None or key not in entry):
                entry[key] = value

    def _tool_started(self, event: JsonDict) -> None:
        self._update(self._entry(event, "tool.execution"), event)

    def _tool_delta(self, event: JsonDict) -> None:
        entry = self._entry(event, "tool.execution")
        self._update(entry, event, "arguments")
        _append_text(entry, "arguments", event.get("arguments"))

    def _tool_done(self, event: JsonDict) -> None:
        entry = self._entry(event, "tool.execution")
        self._update(entry, event)
        entry["completed_at"] = event.get("created_at")

    def _function_delta(self, event: JsonDict) -> None:
        entry = self._entry(event, "function.call")
        self._update(entry, event, "arguments")
        _append_text(entry, "arguments", event.get("arguments"))

    def _handoff(self, event: JsonDict) -> None:
        entry = self._entry(event, "agent.handoff")
        self._update(entry, event)
        if event.get("type") == "agent.handoff.done":
            entry["completed_at"] = event.get("created_at")

    def _message_delta(self, event: JsonDict) -> None:
        entry = self._entry(event, "message.output")
        self._update(entry, event, "content")
        entry["completed_at"] = event.get("created_at")
        _add_piece(entry.setdefault("content", []), event.get("content_index"), event.get("content"))


_HANDLERS: dict[Any, Any] = {
    STARTED: EventFold._start,
    DONE: EventFold._finish,
    ERROR: EventFold._fail,
    "tool.execution.started": EventFold._tool_started,
    "tool.execution.delta": EventFold._tool_delta,
    "tool.execution.done": EventFold._tool_done,
    "function.call.delta": EventFold._function_delta,
    "agent.handoff.started": EventFold._handoff,
    "agent.handoff.done": EventFold._handoff,
    "message.output.delta": EventFold._message_delta,
}


def _append_text(entry: JsonDict, key: str, piece: Any) -> None:
    if isinstance(piece, str):
        before = entry.get(key)
        entry[key] = before + piece if isinstance(before, str) else piece
    elif piece is not None:
        entry[key] = piece


class _Piece:
    """One content item being built; strings are gathered and joined once."""

    __slots__ = ("chunk", "index", "texts")

    def __init__(self, index: Any, chunk: JsonDict | None) -> None:
        self.index = index
        self.chunk = chunk
        self.texts: list[str] = []


def _add_piece(pieces: list[_Piece], index: Any, content: Any) -> None:
    last = pieces[-1] if pieces else None
    same = last is not None and last.index == index
    if isinstance(content, str):
        if last is None or not same or not _is_text(last.chunk):
            last = _Piece(index, None)
            pieces.append(last)
        last.texts.append(content)
    elif isinstance(content, dict):
        if last is not None and same and last.chunk is not None and _merge(last, content):
            return
        pieces.append(_Piece(index, dict(content)))
    elif isinstance(content, list):
        for item in content:
            _add_piece(pieces, index, item)
    elif content is not None:
        pieces.append(_Piece(index, {"type": "unknown", "value": content}))


def _is_text(chunk: JsonDict | None) -> bool:
    return chunk is None or chunk.get("type") == "text"


def _merge(piece: _Piece, content: JsonDict) -> bool:
    kind = content.get("type")
    if piece.chunk is None or piece.chunk.get("type") != kind:
        return False
    if kind == "text" and isinstance(content.get("text"), str):
        piece.texts.append(content["text"])
        return True
    if kind == "thinking" and isinstance(content.get("thinking"), list):
        piece.chunk = {**piece.chunk, **content, "thinking": _join_thinking(piece.chunk.get("thinking"), content)}
        return True
    return False


def _join_thinking(before: Any, content: JsonDict) -> list[Any]:
    parts = list(before) if isinstance(before, list) else [before] if before is not None else []
    for part in content["thinking"]:
        last = parts[-1] if parts else None
        if isinstance(last, dict) and _plain_text(last) and _plain_text(part):
            parts[-1] = {**last, "text": last["text"] + part["text"]}
        else:
            parts.append(part)
    return parts


def _plain_text(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)


def _closed(entry: JsonDict) -> JsonDict:
    pieces = entry.get("content")
    if not (isinstance(pieces, list) and (not pieces or isinstance(pieces[0], _Piece))):
        return entry
    if len(pieces) == 1 and pieces[0].chunk is None:
        return {**entry, "content": "".join(pieces[0].texts)}
    return {**entry, "content": [_chunk_of(piece) for piece in pieces]}


def _chunk_of(piece: _Piece) -> JsonDict:
    if piece.chunk is None:
        return {"type": "text", "text": "".join(piece.texts)}
    if piece.texts:
        return {**piece.chunk, "text": str(piece.chunk.get("text", "")) + "".join(piece.texts)}
    return piece.chunk
