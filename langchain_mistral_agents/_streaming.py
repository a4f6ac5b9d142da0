"""The service's events, or the entries of a reply, as steps of content blocks.

One assembler serves all forms: a call's entries, a stream's chunks and LangChain's native events; so all say the same.
It gives every block an index of its own, in the order in which the blocks began.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from langchain_mistral_agents._blocks import (
    citation_block,
    file_block,
    handoff_block,
    non_standard,
    result_block,
    run_extras,
    standard_name,
)
from mistral_agents._http.fold import DONE, ERROR, STARTED
from mistral_agents._json import JsonDict
from mistral_agents.entries import (
    ToolExecution,
    chunk_text,
    content_chunks,
    parse_arguments,
    parse_entry,
    thinking_text,
)
from mistral_agents.turn import Citation, FileRef, Turn, library_citation, reference_citation, search_hits

_logger = logging.getLogger(__name__)


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
    """The text or reasoning block that is being written."""

    kind: Literal["text", "reasoning"]
    key: tuple[Any, Any]
    index: int
    parts: list[str] = field(default_factory=list)
    length: int = 0
    annotations: list[JsonDict] = field(default_factory=list)
    sealed: bool = False


@dataclass(slots=True)
class _Call:
    """A function call or hosted run that is being written."""

    index: int
    block: JsonDict
    hosted: bool
    run: JsonDict
    written: str = ""
    streams: bool = True
    closed: bool = False


class Assembler:
    """Takes events (`take`) or a whole turn (`take_turn`), then `finish`; gives the steps of the blocks."""

    def __init__(self) -> None:
        self._steps: list[Step] = []
        self._count = 0
        self._prose: _Prose | None = None
        self._calls: dict[Any, _Call] = {}
        self._handoffs: dict[Any, JsonDict] = {}
        self._waiting: list[JsonDict] = []
        self._cited: set[str] = set()
        self._linked: list[FileRef] = []
        self._drew = False
        self._unknown: list[JsonDict] = []
        self.first_id: str | None = None

    # events ------------------------------------------------------------------------------------------------------

    def take(self, event: JsonDict) -> list[Step]:
        """The steps that an event makes."""
        handler = _HANDLERS.get(str(event.get("type")))
        if handler is None:
            self._unknown.append(event)
            _logger.debug("unknown event %s", event.get("type"))
        else:
            if self.first_id is None and isinstance(event.get("id"), str):
                self.first_id = event["id"]
            handler(self, _sound(event, None))
        return self._taken()

    def finish(self) -> list[Step]:
        """The last steps: what is still open is closed."""
        for call in self._calls.values():
            self._close_call(call)
        for handoff in self._handoffs.values():
            self._whole(handoff_block(handoff))
        self._handoffs.clear()
        if any("document_id" not in note["extras"] for note in self._waiting):
            self._open_prose("text", (None, None))
        self._close_prose()
        for ref in [] if self._drew else self._linked:
            self._whole(file_block(ref))
        for event in self._unknown:
            self._whole(non_standard(event))
        return self._taken()

    def _taken(self) -> list[Step]:
        steps, self._steps = self._steps, []
        return steps

    def _step(self, kind: Literal["open", "add", "close"], index: int, block: JsonDict) -> None:
        self._steps.append(Step(kind, index, block))

    def _next(self) -> int:
        self._count += 1
        return self._count - 1

    def _whole(self, block: JsonDict) -> None:
        index = self._next()
        self._step("open", index, block)
        self._step("close", index, block)

    # messages ----------------------------------------------------------------------------------------------------

    def _message_delta(self, event: JsonDict) -> None:
        key = (event.get("id"), event.get("content_index"))
        for chunk in content_chunks(event.get("content")):
            self._chunk(chunk, key)

    def _chunk(self, chunk: JsonDict, key: tuple[Any, Any]) -> None:
        kind = chunk.get("type", "text")
        if kind == "text" and isinstance(chunk.get("text"), str):
            self._write("text", key, chunk_text(chunk))
        elif kind == "thinking":
            self._think(key, chunk)
        elif kind == "tool_reference":
            self._cite(key[0], chunk)
        elif kind == "tool_file" and isinstance(chunk.get("file_id"), str):
            self._close_prose()
            ref = _file_ref(chunk)
            self._drew = self._drew or ref.tool == "image_generation"
            self._whole(file_block(ref))
        else:
            self._close_prose()
            self._whole(non_standard(chunk))

    def _think(self, key: tuple[Any, Any], chunk: JsonDict) -> None:
        self._write("reasoning", key, thinking_text(chunk))
        parts = chunk.get("thinking")
        for part in parts if isinstance(parts, list) else ():
            if not (isinstance(part, dict) and chunk_text(part)) and not isinstance(part, str):
                self._close_prose()
                self._whole(non_standard({"type": "thinking", "thinking": [part]}))

    def _write(self, kind: Literal["text", "reasoning"], key: tuple[Any, Any], text: str) -> None:
        prose = self._prose
        if prose is None or prose.kind != kind or prose.key != key or prose.sealed:
            if not text:
                return
            self._close_prose()
            prose = self._open_prose(kind, key)
        if text:
            prose.parts.append(text)
            prose.length += len(text)
            self._step("add", prose.index, {"type": kind, kind: text})

    def _open_prose(self, kind: Literal["text", "reasoning"], key: tuple[Any, Any]) -> _Prose:
        self._close_prose()
        self._prose = prose = _Prose(kind, key, self._next())
        if kind == "text":
            prose.annotations, self._waiting = self._waiting, []
        self._step("open", prose.index, {"type": kind, kind: ""})
        return prose

    def _close_prose(self) -> None:
        prose, self._prose = self._prose, None
        if prose is not None:
            block: JsonDict = {"type": prose.kind, prose.kind: "".join(prose.parts)}
            if prose.annotations:
                block["annotations"] = prose.annotations
            self._step("close", prose.index, block)

    def _cite(self, entry_id: Any, chunk: JsonDict) -> None:
        """A reference belongs to the text before it; where none is, to the next."""
        citation = reference_citation(chunk)
        self._cited.add(citation.key)
        prose = self._prose
        if prose is not None and prose.kind == "text" and prose.key[0] == entry_id:
            prose.sealed = True
            prose.annotations.append(citation_block(citation, prose.length))
        else:
            self._waiting.append(citation_block(citation, 0))

    def _cite_library(self, citations: list[Citation]) -> None:
        for citation in citations:
            if citation.key not in self._cited:
                self._cited.add(citation.key)
                self._waiting.append(citation_block(citation, None))

    # calls -------------------------------------------------------------------------------------------------------

    def _open_run(self, event: JsonDict) -> _Call:
        name, function = str(event.get("name", "")), event.get("function")
        block = {"id": event.get("id"), "name": standard_name(name), "extras": run_extras(name, function)}
        return self._open_call(event.get("id"), block, hosted=True, run=event)

    def _open_call(self, key: Any, block: JsonDict, *, hosted: bool, run: JsonDict) -> _Call:
        call = _Call(self._next(), block, hosted, dict(run))
        self._calls[key] = call
        kind = "server_tool_call_chunk" if hosted else "tool_call_chunk"
        self._step("open", call.index, {"type": kind, "args": "", **block})
        return call

    def _arguments(self, call: _Call, piece: Any) -> None:
        """Pass arguments on as they come; a hosted run's plain text is held back, since its block wants an object."""
        if piece is None or piece == "":
            return
        text = piece if isinstance(piece, str) else json.dumps(piece, ensure_ascii=False)
        if call.hosted and not call.written.strip() and text.strip():
            call.streams = text.lstrip().startswith("{")
        call.written += text
        if call.streams:
            self._add_arguments(call, text)

    def _add_arguments(self, call: _Call, text: str) -> None:
        kind = "server_tool_call_chunk" if call.hosted else "tool_call_chunk"
        self._step("add", call.index, {"type": kind, "args": text})

    def _close_call(self, call: _Call) -> None:
        if call.closed:
            return
        call.closed = True
        if not call.streams or (call.hosted and not call.written):
            self._add_arguments(call, json.dumps(parse_arguments(call.written), ensure_ascii=False))
        self._step("close", call.index, _closed(call))

    def _tool_started(self, event: JsonDict) -> None:
        call = self._calls.get(event.get("id"))
        self._arguments(call if call is not None else self._open_run(event), event.get("arguments"))

    def _tool_done(self, event: JsonDict) -> None:
        call = self._calls.get(event.get("id"))
        if call is None:
            call = self._open_run(event)
        if not call.written:
            self._arguments(call, event.get("arguments"))
        self._close_call(call)
        kept = {key: value for key, value in event.items() if value is not None}
        run = parse_entry({**call.run, **kept, "type": "tool.execution", "arguments": call.written})
        if isinstance(run, ToolExecution):
            self._whole(result_block(run, str(event.get("id"))))
            self._note_run(run)

    def _note_run(self, run: ToolExecution) -> None:
        turn = Turn(None, [run])
        self._cite_library([library_citation(hit) for hit in _library_hits(run)])
        self._linked.extend(ref for ref in turn.files if ref.url is not None)

    def _function_delta(self, event: JsonDict) -> None:
        call = self._calls.get(event.get("id"))
        if call is None:
            call = self._open_function(event)
        self._arguments(call, event.get("arguments"))

    def _open_function(self, event: JsonDict) -> _Call:
        name = str(event.get("name", ""))
        call_id = event.get("tool_call_id")
        status = event.get("confirmation_status")
        if not isinstance(status, str):
            return self._open_call(event.get("id"), {"id": call_id, "name": name}, hosted=False, run=event)
        extras = {**run_extras(name, event.get("function")), "confirmation_status": status}
        block = {"id": call_id, "name": standard_name(name), "extras": extras}
        return self._open_call(event.get("id"), block, hosted=True, run=event)

    def _handoff(self, event: JsonDict) -> None:
        key = event.get("id")
        known = self._handoffs.setdefault(key, {})
        known.update({name: value for name, value in event.items() if value is not None})
        if event.get("type") == "agent.handoff.done":
            self._whole(handoff_block(self._handoffs.pop(key)))

    def _ignore(self, event: JsonDict) -> None:
        """Events that make no block."""

    # a whole turn ------------------------------------------------------------------------------------------------

    def take_turn(self, turn: Turn) -> list[Step]:
        """All steps of a turn that came as a call, in the order in which things happened by the service's clock."""
        running: list[JsonDict] = []
        for place, entry in enumerate(turn.entries):
            raw = _sound(entry.raw, place)
            running = self._end_runs(running, str(raw.get("created_at") or ""))
            if self.first_id is None:
                self.first_id = entry.id
            reader = _ENTRIES.get(entry.type)
            if reader is None:
                self._whole(non_standard(raw))
            elif entry.type == "tool.execution":
                self._tool_started(raw)
                running.append(raw)
            else:
                reader(self, raw)
        self._end_runs(running, None)
        self._unknown.extend(turn.unknown_events)
        steps = self._taken()
        return steps + self.finish()

    def _end_runs(self, running: list[JsonDict], now: str | None) -> list[JsonDict]:
        """End the runs that were over at a time (None: all); those without times count as over."""

        def ended(run: JsonDict) -> str:
            return str(run.get("completed_at") or "")

        over = [run for run in running if now is None or not now or ended(run) <= now]
        for run in sorted(over, key=ended):
            self._tool_done(run)
        return [run for run in running if run not in over]

    def _message_entry(self, raw: JsonDict) -> None:
        for place, chunk in enumerate(content_chunks(raw.get("content"))):
            self._chunk(chunk, (raw.get("id"), place))

    def _handoff_entry(self, raw: JsonDict) -> None:
        self._whole(handoff_block(raw))


def _sound(data: JsonDict, place: int | None) -> JsonDict:
    """An event or entry whose id and names are text, whatever was sent; without an id its place tells it apart."""
    fixed: JsonDict = {}
    if not isinstance(data.get("id"), str):
        kind = str(data.get("type")).removesuffix(".started").removesuffix(".delta").removesuffix(".done")
        fixed["id"] = f"{kind}@{data.get('output_index', place)}"
    for name in ("name", "tool_call_id", "function"):
        value = data.get(name)
        if value is not None and not isinstance(value, str):
            fixed[name] = str(value)
    return {**data, **fixed} if fixed else data


def _library_hits(run: ToolExecution) -> list[Any]:
    from mistral_agents._turn.sources import search_origin

    return search_hits(run) if search_origin(run) == "library" and run.error is None else []


def _file_ref(chunk: JsonDict) -> FileRef:
    return Turn.from_response({"outputs": [{"type": "message.output", "content": [chunk]}]}).files[0]


def _closed(call: _Call) -> JsonDict:
    if call.hosted:
        return {"type": "server_tool_call", **call.block, "args": parse_arguments(call.written)}
    try:
        args = json.loads(call.written) if call.written else {}
    except ValueError:
        args = None
    if isinstance(args, dict):
        return {"type": "tool_call", **call.block, "args": args}
    error = "The arguments are no JSON object."
    return {"type": "invalid_tool_call", **call.block, "args": call.written, "error": error}


_HANDLERS: dict[str, Callable[[Assembler, JsonDict], None]] = {
    STARTED: Assembler._ignore,
    DONE: Assembler._ignore,
    ERROR: Assembler._ignore,
    "message.output.delta": Assembler._message_delta,
    "tool.execution.started": Assembler._tool_started,
    "tool.execution.delta": Assembler._tool_started,
    "tool.execution.done": Assembler._tool_done,
    "function.call.delta": Assembler._function_delta,
    "agent.handoff.started": Assembler._handoff,
    "agent.handoff.done": Assembler._handoff,
}
_ENTRIES: dict[str, Callable[[Assembler, JsonDict], None]] = {
    "message.output": Assembler._message_entry,
    "tool.execution": Assembler._tool_started,
    "function.call": Assembler._function_delta,
    "agent.handoff": Assembler._handoff_entry,
}
