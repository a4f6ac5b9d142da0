"""What happens in a turn, as typed records: the events of a stream and the entries of a reply are read here, once.

`EventReader` gathers the events of a stream into the entries that the same turn has when it is not streamed, and tells
of each event what it added. `read_entries` tells the same of the entries of a reply. Whoever shows a turn (a wing, the
reply of a stream) takes these records and gathers nothing itself: each record holds what it belongs to, as far as that
has come. To know a further kind of event, add a row to `_KINDS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from mistral_agents._json import JsonDict
from mistral_agents._turn.content import as_json_text, chunk_text, thinking_text
from mistral_agents.entries import CallIds, Entry

DONE = "conversation.response.done"
STARTED = "conversation.response.started"
ERROR = "conversation.response.error"
_ENVELOPE = frozenset({"type", "output_index", "content_index", "created_at"})
_CONTENT_APART = _ENVELOPE | {"content"}
_ARGUMENTS_APART = _ENVELOPE | {"arguments"}
_NOTHING: tuple[()] = ()


class ContentPiece:
    """One item of a message's content, as far as it has come. Texts are gathered and joined when asked for.

    Attributes:
        entry_id: The message.
        place: The item's `content_index`.
        chunk: The item as it came; None for text that came as a string.
        texts: The pieces of its text.
    """

    __slots__ = ("chunk", "entry_id", "place", "texts")

    def __init__(self, entry_id: str, place: object, chunk: JsonDict | None) -> None:
        self.entry_id = entry_id
        self.place = place
        self.chunk = chunk
        self.texts: list[str] = []

    def text_from(self, start: int) -> str:
        """The text from a number of pieces on."""
        return "".join(self.texts[start:])

    def content(self) -> JsonDict:
        """The item as a call would have sent it."""
        if self.chunk is None:
            return {"type": "text", "text": "".join(self.texts)}
        return {**self.chunk, "text": "".join(self.texts)} if _is_text(self.chunk) else self.chunk


@dataclass(slots=True)
class StreamStart:
    """The stream began; `event` names the conversation."""

    event: JsonDict


@dataclass(slots=True)
class StreamEnd:
    """The stream ended well; `event` has the usage."""

    event: JsonDict


@dataclass(slots=True)
class StreamError:
    """The service failed in the stream."""

    event: JsonDict


@dataclass(slots=True)
class TextDelta:
    """Some text (it may be empty), already the last of `piece.texts`."""

    piece: ContentPiece
    text: str


@dataclass(slots=True)
class ThinkingDelta:
    """Some thoughts; `others` are parts of a thought that are no text."""

    piece: ContentPiece
    text: str
    others: list[Any]


@dataclass(slots=True)
class ContentItem:
    """A whole item of a message that is neither text nor thought: a reference, a file, something unknown."""

    entry_id: str
    chunk: JsonDict


@dataclass(slots=True)
class RunDelta:
    """A hosted tool began, or has more arguments; `entry` is the run so far, `arguments` what came now."""

    key: str
    entry: JsonDict
    arguments: Any


@dataclass(slots=True)
class RunEnd:
    """A hosted tool is done; `entry` is the whole run."""

    key: str
    entry: JsonDict


@dataclass(slots=True)
class CallDelta:
    """A function call (or a hosted one that waits for confirmation) began, or has more arguments."""

    key: str
    entry: JsonDict
    arguments: Any


@dataclass(slots=True)
class HandoffDelta:
    """A handoff began or, with `done`, is over."""

    key: str
    entry: JsonDict
    done: bool


@dataclass(slots=True)
class UnknownEvent:
    """An event of a kind that this version does not know."""

    event: JsonDict


@dataclass(slots=True)
class OtherEntry:
    """An entry of a reply of a kind that this version does not know."""

    entry: JsonDict


Record = (
    StreamStart
    | StreamEnd
    | StreamError
    | TextDelta
    | ThinkingDelta
    | ContentItem
    | RunDelta
    | RunEnd
    | CallDelta
    | HandoffDelta
    | UnknownEvent
    | OtherEntry
)
FRAME: frozenset[type[Record]] = frozenset({StreamStart, StreamEnd, StreamError, UnknownEvent})
"""What is no part of the answer itself."""


def name_of(value: object) -> str:
    """A name or id as text, whatever was sent; nothing is an empty text."""
    return value if isinstance(value, str) else "" if value is None else str(value)


class EventReader:
    """Gathers the events of one stream, and tells what each added.

    Everything is keyed on the event's `id`, since several tools run at once and their events interleave; without an
    id the place in the output stands for it. A missing field never raises.
    """

    __slots__ = ("_call_ids", "_entries", "_pieces")

    def __init__(self) -> None:
        self._call_ids = CallIds()
        self._entries: dict[str, JsonDict] = {}
        self._pieces: dict[str, list[ContentPiece]] = {}

    def read(self, event: JsonDict) -> Sequence[Record]:
        """What an event adds."""
        kind = event.get("type")
        row = _KINDS.get(kind) if isinstance(kind, str) else None
        return row(self, event) if row is not None else (UnknownEvent(event),)

    def entries(self) -> list[JsonDict]:
        """The entries so far, as a call would have sent them."""
        return [
            {**entry, "content": _join_pieces(self._pieces[key])} if key in self._pieces else entry
            for key, entry in self._entries.items()
        ]

    def _find_entry(self, event: JsonDict, kind: str) -> tuple[str, JsonDict]:
        key = event.get("id")
        if not isinstance(key, str):
            key = f"{kind}@{event.get('output_index')}"
        entry = self._entries.get(key)
        if entry is None:
            entry = {"object": "entry", "type": kind, "created_at": event.get("created_at"), "completed_at": None}
            self._entries[key] = entry
        return key, entry

    def _read_start(self, event: JsonDict) -> Sequence[Record]:
        return (StreamStart(event),)

    def _read_end(self, event: JsonDict) -> Sequence[Record]:
        return (StreamEnd(event),)

    def _read_error(self, event: JsonDict) -> Sequence[Record]:
        return (StreamError(event),)

    def _read_message(self, event: JsonDict) -> Sequence[Record]:
        key, entry = self._find_entry(event, "message.output")
        _update(entry, event, _CONTENT_APART)
        entry["completed_at"] = event.get("created_at")
        pieces = self._pieces.get(key)
        if pieces is None:
            pieces = self._pieces[key] = []
        return _add_content(pieces, key, event.get("content_index"), event.get("content"))

    def _read_run(self, event: JsonDict) -> Sequence[Record]:
        key, entry = self._find_entry(event, "tool.execution")
        _update(entry, event, _ARGUMENTS_APART)
        return (RunDelta(key, entry, _add_arguments(entry, event.get("arguments"))),)

    def _read_run_end(self, event: JsonDict) -> Sequence[Record]:
        """The end may repeat the arguments; where none came before, it brings them."""
        key, entry = self._find_entry(event, "tool.execution")
        _update(entry, event, _ARGUMENTS_APART)
        entry["completed_at"] = event.get("created_at")
        late = event.get("arguments")
        if late in (None, "") or entry.get("arguments") not in (None, ""):
            return (RunEnd(key, entry),)
        return RunDelta(key, entry, _add_arguments(entry, late)), RunEnd(key, entry)

    def _read_call(self, event: JsonDict) -> Sequence[Record]:
        key, entry = self._find_entry(event, "function.call")
        _update(entry, event, _ARGUMENTS_APART)
        entry["tool_call_id"] = self._call_ids.settle(key, event.get("tool_call_id"))
        return (CallDelta(key, entry, _add_arguments(entry, event.get("arguments"))),)

    def _read_handoff(self, event: JsonDict) -> Sequence[Record]:
        key, entry = self._find_entry(event, "agent.handoff")
        self._call_ids = CallIds()
        _update(entry, event, _ENVELOPE)
        done = event.get("type") == "agent.handoff.done"
        if done:
            entry["completed_at"] = event.get("created_at")
        return (HandoffDelta(key, entry, done),)


_KINDS: dict[str, Callable[[EventReader, JsonDict], Sequence[Record]]] = {
    STARTED: EventReader._read_start,
    DONE: EventReader._read_end,
    ERROR: EventReader._read_error,
    "message.output.delta": EventReader._read_message,
    "tool.execution.started": EventReader._read_run,
    "tool.execution.delta": EventReader._read_run,
    "tool.execution.done": EventReader._read_run_end,
    "function.call.delta": EventReader._read_call,
    "agent.handoff.started": EventReader._read_handoff,
    "agent.handoff.done": EventReader._read_handoff,
}


def is_known(kind: str) -> bool:
    """Whether this version knows what an event of a kind says."""
    return kind in _KINDS


def _update(entry: JsonDict, event: JsonDict, apart: frozenset[str]) -> None:
    """Take over what an event tells; what is empty tells nothing new: some gateways name a call once."""
    for key, value in event.items():
        if key not in apart and (value or key not in entry or (value is not None and value != "")):
            entry[key] = value


def _add_arguments(entry: JsonDict, piece: object) -> Any:
    if isinstance(piece, str):
        before = entry.get("arguments")
        entry["arguments"] = before + piece if isinstance(before, str) else piece
    elif piece is not None:
        entry["arguments"] = piece
    return piece


# Contents of messages -----------------------------------------------------------------------------------------------


def _is_text(chunk: JsonDict | None) -> bool:
    return chunk is None or (chunk.get("type", "text") == "text" and isinstance(chunk.get("text"), str))


def _join_pieces(pieces: list[ContentPiece]) -> str | list[JsonDict]:
    if len(pieces) == 1 and pieces[0].chunk is None:
        return pieces[0].text_from(0)
    return [piece.content() for piece in pieces]


def _add_content(pieces: list[ContentPiece], entry_id: str, place: object, content: Any) -> Sequence[Record]:
    if isinstance(content, str):
        return _add_text(pieces, entry_id, place, content, None)
    if isinstance(content, list):
        return [record for item in content for record in _add_content(pieces, entry_id, place, item)]
    if content is None:
        return _NOTHING
    if not isinstance(content, dict):
        content = {"type": "unknown", "value": content}
    if _is_text(content):
        return _add_text(pieces, entry_id, place, content["text"], content)
    if content.get("type") == "thinking":
        return (_add_thought(pieces, entry_id, place, content),)
    pieces.append(ContentPiece(entry_id, place, content))
    return (ContentItem(entry_id, content),)


def _add_text(
    pieces: list[ContentPiece], entry_id: str, place: object, text: str, chunk: JsonDict | None
) -> Sequence[Record]:
    """Add text to the item it goes on with, else to a new one; a chunk never goes on with a string's text."""
    piece = pieces[-1] if pieces else None
    if (
        piece is None
        or piece.place != place
        or not _is_text(piece.chunk)
        or (piece.chunk is None and chunk is not None)
    ):
        piece = ContentPiece(entry_id, place, chunk)
        pieces.append(piece)
    piece.texts.append(text)
    return (TextDelta(piece, text),)


def _add_thought(pieces: list[ContentPiece], entry_id: str, place: object, chunk: JsonDict) -> Record:
    piece = pieces[-1] if pieces else None
    before = piece.chunk if piece is not None and piece.place == place else None
    if piece is not None and before is not None and _goes_on(before, chunk):
        piece.chunk = {**before, **chunk, "thinking": _join_thinking(before.get("thinking"), chunk["thinking"])}
    else:
        piece = ContentPiece(entry_id, place, chunk)
        pieces.append(piece)
    text, parts = thinking_text(chunk), chunk.get("thinking")
    if text:
        piece.texts.append(text)
    others = [part for part in parts if not _is_thought(part)] if isinstance(parts, list) else []
    return ThinkingDelta(piece, text, others)


def _goes_on(before: JsonDict, chunk: JsonDict) -> bool:
    return before.get("type") == "thinking" and isinstance(chunk.get("thinking"), list)


def _is_thought(part: object) -> bool:
    return isinstance(part, str) or (isinstance(part, dict) and bool(chunk_text(part)))


def _join_thinking(before: object, parts: list[Any]) -> list[Any]:
    joined = list(before) if isinstance(before, list) else [before] if before is not None else []
    for part in parts:
        last = joined[-1] if joined else None
        if isinstance(last, dict) and _is_plain(last) and _is_plain(part):
            joined[-1] = {**last, "text": last["text"] + part["text"]}
        else:
            joined.append(part)
    return joined


def _is_plain(part: object) -> bool:
    return isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)


# Entries of a reply -------------------------------------------------------------------------------------------------


def read_entries(entries: Iterable[Entry]) -> list[Record]:
    """What a stream would have told of these entries, in the order in which things happened by the service's clock.

    Calls and other runs may begin while a run goes on; words come when it is over, whatever the clock says.
    """
    records: list[Record] = []
    running: list[tuple[str, JsonDict]] = []
    for place, entry in enumerate(entries):
        raw = entry.raw
        key = entry.id if entry.id is not None else f"{entry.type}@{place}"
        running = _end_runs(records, running, _find_time(entry))
        if entry.type == "message.output":
            records.extend(_read_content(key, raw.get("content")))
        elif entry.type == "tool.execution":
            records.append(RunDelta(key, raw, raw.get("arguments")))
            running.append((key, raw))
        elif entry.type == "function.call":
            records.append(CallDelta(key, raw, raw.get("arguments")))
        elif entry.type == "agent.handoff":
            records.append(HandoffDelta(key, raw, done=True))
        else:
            records.append(OtherEntry(raw))
    _end_runs(records, running, None)
    return records


def _find_time(entry: Entry) -> str | None:
    """When an entry began; None where all runs before it are over by then."""
    return name_of(entry.raw.get("created_at")) if entry.type != "message.output" else None


def _read_content(entry_id: str, content: object) -> Sequence[Record]:
    """Each item of a whole content stands for itself."""
    items = content if isinstance(content, list) else [content]
    return [record for place, item in enumerate(items) for record in _add_content([], entry_id, place, item)]


def _end_runs(
    records: list[Record], running: list[tuple[str, JsonDict]], now: str | None
) -> list[tuple[str, JsonDict]]:
    """End the runs that were over at a time (None: all); those without times count as over."""
    if not running:
        return running

    def ended(run: tuple[str, JsonDict]) -> str:
        return name_of(run[1].get("completed_at"))

    over = [run for run in running if not now or ended(run) <= now]
    records.extend(RunEnd(*run) for run in sorted(over, key=ended))
    return [run for run in running if run not in over]


def arguments_text(entry: JsonDict) -> str:
    """The arguments of a run or call so far, as text."""
    return as_json_text(entry.get("arguments"))
