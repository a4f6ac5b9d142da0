"""A turn's records, of a stream or a reply, as steps of content blocks.

One assembler serves all forms: a call's entries, a stream's chunks and LangChain's native events; so all say the same.
It gives every block an index of its own, in the order in which the blocks began. What has come so far is held by the
records (`mistral_agents._border.events`); here is only what a block is.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from langchain_mistral_agents._answer_chunk import read_call
from langchain_mistral_agents._blocks import (
    citation_block,
    file_block,
    handoff_block,
    non_standard,
    result_block,
    run_extras,
    standard_name,
    void_call_block,
)
from mistral_agents._border.events import (
    CallDelta,
    ContentItem,
    ContentPiece,
    HandoffDelta,
    OtherEntry,
    Record,
    RunDelta,
    RunEnd,
    TextDelta,
    ThinkingDelta,
    UnknownEvent,
    arguments_text,
    name_of,
    read_entries,
)
from mistral_agents._border.stops import AnswerCut
from mistral_agents._json import JsonDict
from mistral_agents._printable import show_text
from mistral_agents._turn.sources import search_origin
from mistral_agents.entries import ToolExecution, parse_arguments, parse_entry
from mistral_agents.turn import Citation, FileRef, SearchHit, Turn, library_citation, reference_citation, search_hits

_logger = logging.getLogger("mistral_agents.langchain")


@dataclass(slots=True)
class Step:
    """One step in the life of one block.

    Attributes:
        kind: `open` (what is known at its start), `add` (an increment) or `close` (the whole block).
        index: The block's index in the message.
        block: The block, the increment, or the whole block.
    """

    kind: Literal["open", "add", "close"]
    index: int
    block: JsonDict


@dataclass(slots=True)
class _Prose:
    """The text or reasoning block that is being written: a piece from one of its texts on, behind earlier pieces."""

    kind: Literal["text", "reasoning"]
    index: int
    entry_id: str | None
    piece: ContentPiece | None
    start: int
    head: str = ""
    annotations: list[JsonDict] = field(default_factory=list)
    sealed: bool = False

    @property
    def text(self) -> str:
        """What was written so far."""
        return self.head + self.piece.text_from(self.start) if self.piece is not None else ""


@dataclass(slots=True)
class _Call:
    """A function call or hosted run that is being written."""

    index: int
    block: JsonDict
    entry: JsonDict
    hosted: bool
    begun: bool = False
    streams: bool = True
    closed: bool = False
    void: bool = False


class Assembler:
    """Takes the records of events (`take`) or a whole turn (`take_turn`), then `finish`; gives the steps of blocks.

    Attributes:
        first_id: The id of the first entry.
    """

    def __init__(self) -> None:
        self._steps: list[Step] = []
        self._count = 0
        self._prose: _Prose | None = None
        self._calls: dict[str, _Call] = {}
        self._handoffs: dict[str, JsonDict] = {}
        self._waiting: list[JsonDict] = []
        self._cited: set[str] = set()
        self._linked: list[FileRef] = []
        self._drew = False
        self._unknown: list[JsonDict] = []
        self.first_id: str | None = None

    def take(self, records: Iterable[Record]) -> list[Step]:
        """The steps that an event's records make."""
        for record in records:
            taker = _TAKERS.get(type(record))
            if taker is not None:  # else it makes no block: the frame of a stream, say
                taker(self, record)
        steps, self._steps = self._steps, []
        return steps

    def take_turn(self, turn: Turn, *, first_call_only: bool = False) -> list[Step]:
        """All steps of a turn that came as a call."""
        cut = AnswerCut((), first_call_only=first_call_only)
        self.first_id = next((entry.id for entry in turn.entries if entry.id is not None), None)
        steps = self.take(cut.take(read_entries(turn.entries)))
        self._unknown.extend(turn.unknown_events)
        return steps + self.finish()

    def finish(self) -> list[Step]:
        """The last steps: what is still open is closed."""
        for call in self._calls.values():
            self._close_call(call)
        for handoff in self._handoffs.values():
            self._add_block(handoff_block(handoff))
        self._handoffs.clear()
        if any("document_id" not in note["extras"] for note in self._waiting):
            self._open_prose("text", None, None)
        self._close_prose()
        for ref in [] if self._drew else self._linked:
            self._add_block(file_block(ref))
        for event in self._unknown:
            self._add_block(non_standard(event))
        return self.take(())

    def _add_step(self, kind: Literal["open", "add", "close"], index: int, block: JsonDict) -> None:
        self._steps.append(Step(kind, index, block))

    def _take_index(self, entry_id: str | None) -> int:
        self._note_id(entry_id)
        self._count += 1
        return self._count - 1

    def _note_id(self, entry_id: str | None) -> None:
        if self.first_id is None:
            self.first_id = entry_id

    def _add_block(self, block: JsonDict, entry_id: str | None = None) -> None:
        index = self._take_index(entry_id)
        self._add_step("open", index, block)
        self._add_step("close", index, block)

    # messages ----------------------------------------------------------------------------------------------------

    def _take_text(self, record: TextDelta) -> None:
        if record.text:
            self._write("text", record.piece, record.text)
        else:
            self._note_id(record.piece.entry_id)

    def _take_thinking(self, record: ThinkingDelta) -> None:
        if record.text:
            self._write("reasoning", record.piece, record.text)
        for part in record.others:
            self._close_prose()
            self._add_block(non_standard({"type": "thinking", "thinking": [part]}), record.piece.entry_id)

    def _take_item(self, record: ContentItem) -> None:
        chunk = record.chunk
        if chunk.get("type") == "tool_reference":
            self._cite(record.entry_id, chunk)
            return
        self._close_prose()
        if chunk.get("type") == "tool_file" and isinstance(chunk.get("file_id"), str):
            ref = _read_tool_file(chunk)
            self._drew = self._drew or ref.tool == "image_generation"
            self._add_block(file_block(ref), record.entry_id)
        else:
            self._add_block(non_standard(chunk), record.entry_id)

    def _write(self, kind: Literal["text", "reasoning"], piece: ContentPiece, text: str) -> None:
        prose = self._prose
        if prose is None or prose.sealed or (prose.piece is not piece and not self._goes_on(prose, kind, piece)):
            prose = self._open_prose(kind, piece.entry_id, piece)
        self._steps.append(Step("add", prose.index, {"type": kind, kind: text}))

    def _goes_on(self, prose: _Prose, kind: str, piece: ContentPiece) -> bool:
        """Text of a next item, with nothing between, goes on with the block: text alone is one text."""
        if kind != "text" or prose.kind != "text" or prose.index != self._count - 1 or len(piece.texts) > 1:
            return False
        prose.head = prose.text
        prose.piece, prose.start, prose.entry_id = piece, 0, piece.entry_id
        return True

    def _open_prose(
        self, kind: Literal["text", "reasoning"], entry_id: str | None, piece: ContentPiece | None
    ) -> _Prose:
        self._close_prose()
        start = len(piece.texts) - 1 if piece is not None else 0
        self._prose = prose = _Prose(kind, self._take_index(entry_id), entry_id, piece, start)
        if kind == "text":
            prose.annotations, self._waiting = self._waiting, []
        self._add_step("open", prose.index, {"type": kind, kind: ""})
        return prose

    def _close_prose(self) -> None:
        prose, self._prose = self._prose, None
        if prose is not None:
            block: JsonDict = {"type": prose.kind, prose.kind: prose.text}
            if prose.annotations:
                block["annotations"] = prose.annotations
            self._add_step("close", prose.index, block)

    def _cite(self, entry_id: str, chunk: JsonDict) -> None:
        """A reference belongs to the text before it; where none is, to the next."""
        self._note_id(entry_id)
        citation = reference_citation(chunk)
        self._cited.add(citation.key)
        prose = self._prose
        if prose is not None and prose.kind == "text" and prose.entry_id == entry_id:
            prose.sealed = True
            prose.annotations.append(citation_block(citation, len(prose.text)))
        else:
            self._waiting.append(citation_block(citation, 0))

    def _cite_library(self, citations: list[Citation]) -> None:
        for citation in citations:
            if citation.key not in self._cited:
                self._cited.add(citation.key)
                self._waiting.append(citation_block(citation, None))

    # calls -------------------------------------------------------------------------------------------------------

    def _take_run(self, record: RunDelta) -> None:
        call = self._calls.get(record.key)
        if call is None:
            call = self._open_run(record.key, record.entry)
        self._add_arguments(call, record.arguments)

    def _open_run(self, key: str, entry: JsonDict) -> _Call:
        name = name_of(entry.get("name"))
        block = {"id": key, "name": standard_name(name), "extras": run_extras(name, _name_function(entry))}
        return self._open_call(key, block, entry, hosted=True)

    def _open_call(self, key: str, block: JsonDict, entry: JsonDict, *, hosted: bool) -> _Call:
        call = self._calls[key] = _Call(self._take_index(key), block, entry, hosted)
        kind = "server_tool_call_chunk" if hosted else "tool_call_chunk"
        self._add_step("open", call.index, {"type": kind, "args": "", **block})
        return call

    def _add_arguments(self, call: _Call, piece: object) -> None:
        """Pass arguments on as they come; a hosted run's plain text is held back, since its block wants an object."""
        if piece is None or piece == "":
            return
        text = piece if isinstance(piece, str) else json.dumps(piece, ensure_ascii=False)
        if not call.begun and text.strip():
            call.begun = True
            call.streams = not call.hosted or text.lstrip().startswith("{")
        if call.streams:
            self._add_step("add", call.index, {"type": _name_chunk_kind(call), "args": text})

    def _close_call(self, call: _Call) -> None:
        if call.closed:
            return
        call.closed = True
        written = arguments_text(call.entry)
        if not call.streams or (call.hosted and not written):
            whole = json.dumps(parse_arguments(written), ensure_ascii=False)
            self._add_step("add", call.index, {"type": _name_chunk_kind(call), "args": whole})
        block = void_call_block(call.block, written) if call.void else _close_block(call, written)
        self._add_step("close", call.index, block)

    def _take_run_end(self, record: RunEnd) -> None:
        call = self._calls.get(record.key)
        if call is None:
            call = self._open_run(record.key, record.entry)
        self._close_call(call)
        run = parse_entry({**record.entry, "name": name_of(record.entry.get("name")), "type": "tool.execution"})
        if isinstance(run, ToolExecution):
            self._add_block(result_block(run, record.key), record.key)
            self._cite_library([library_citation(hit) for hit in _find_library_hits(run)])
            self._linked.extend(ref for ref in Turn(None, [run]).files if ref.url is not None)

    def _take_call(self, record: CallDelta) -> None:
        call = self._calls.get(record.key)
        if call is None:
            call = self._open_function(record.key, record.entry)
        self._add_arguments(call, record.arguments)

    def _open_function(self, key: str, entry: JsonDict) -> _Call:
        name, call_id = name_of(entry.get("name")), entry.get("tool_call_id")
        block: JsonDict = {"id": call_id if call_id is None else name_of(call_id), "name": name}
        status = entry.get("confirmation_status")
        if not isinstance(status, str):
            return self._open_call(key, block, entry, hosted=False)
        block["name"] = standard_name(name)
        block["extras"] = {**run_extras(name, _name_function(entry)), "confirmation_status": status}
        return self._open_call(key, block, entry, hosted=True)

    # what is neither ----------------------------------------------------------------------------------------------

    def _take_handoff(self, record: HandoffDelta) -> None:
        for call in self._calls.values():
            call.void = not call.hosted and not call.closed
        if record.done:
            self._handoffs.pop(record.key, None)
            self._add_block(handoff_block(record.entry), record.key)
        else:
            self._note_id(record.key)
            self._handoffs[record.key] = record.entry

    def _take_other(self, record: OtherEntry) -> None:
        self._add_block(non_standard(record.entry))

    def _take_unknown(self, record: UnknownEvent) -> None:
        _logger.debug("unknown event %s", show_text(str(record.event.get("type")), one_line=True))
        self._unknown.append(record.event)


def _name_function(entry: JsonDict) -> str | None:
    value = entry.get("function")
    return None if value is None else name_of(value)


def _find_library_hits(run: ToolExecution) -> list[SearchHit]:
    return search_hits(run) if search_origin(run) == "library" and run.error is None else []


def _read_tool_file(chunk: JsonDict) -> FileRef:
    return Turn.from_response({"outputs": [{"type": "message.output", "content": [chunk]}]}).files[0]


def _name_chunk_kind(call: _Call) -> str:
    return "server_tool_call_chunk" if call.hosted else "tool_call_chunk"


def _close_block(call: _Call, written: str) -> JsonDict:
    if call.hosted:
        return {"type": "server_tool_call", **call.block, "args": parse_arguments(written)}
    return dict(read_call(call.block["name"], written, call.block["id"]))


_TAKERS: dict[type[Record], Callable[[Assembler, Any], None]] = {
    TextDelta: Assembler._take_text,
    ThinkingDelta: Assembler._take_thinking,
    ContentItem: Assembler._take_item,
    RunDelta: Assembler._take_run,
    RunEnd: Assembler._take_run_end,
    CallDelta: Assembler._take_call,
    HandoffDelta: Assembler._take_handoff,
    UnknownEvent: Assembler._take_unknown,
    OtherEntry: Assembler._take_other,
}
