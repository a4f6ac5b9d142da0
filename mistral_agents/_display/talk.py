"""What was said and done in a turn or a conversation, as blocks."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping, Sequence

from mistral_agents._display.blocks import (
    PICTURES,
    Block,
    Bubble,
    Fold,
    Picture,
    Prose,
    Source,
    Sources,
    View,
    Words,
)
from mistral_agents._display.words import shorten, write_price, write_seconds, write_time, write_usage
from mistral_agents._json import JsonDict
from mistral_agents._printable import show_text
from mistral_agents._turn.content import thinking_text
from mistral_agents._turn.media import FileData
from mistral_agents._turn.sources import Citation, search_hits, search_origin, write_pages
from mistral_agents._turn.timeline import timing_seconds
from mistral_agents.entries import (
    Entry,
    FunctionCall,
    FunctionResult,
    Handoff,
    Message,
    MessageInput,
    ToolExecution,
)
from mistral_agents.history import History
from mistral_agents.turn import Turn
from mistral_agents.usage import Prices

Pictures = Mapping[str, FileData]
"""Files of a conversation that were downloaded, by their id."""


def view_turn(turn: Turn, pictures: Pictures | None = None, prices: Prices | None = None) -> View:
    """A turn: the answer, what tools did, the sources, what it cost (in money where there is a price for its model)."""
    files = pictures if pictures is not None else {}
    answer: list[Block] = []
    runs: list[Block] = []
    offset = 0
    for entry in turn.entries:
        if isinstance(entry, Message):
            answer += _view_message(entry, files, turn.citations, offset)
            offset += len(entry.text)
        else:
            runs += _deed_blocks(entry, turn.entries)
    waiting = [f"{call.name} waits for its result" for call in turn.function_calls]
    waiting += [f"{call.name} waits for a decision" for call in turn.pending_confirmations]
    state = [] if turn.complete else ["the stream broke off here"]
    notes = [*state, *waiting, _make_footer(turn), write_price(turn.usage, turn.model, prices)]
    blocks = [*answer, *runs, *source_blocks(turn.citations), Words(" · ".join(filter(None, notes)))]
    return View(f"Turn of {turn.conversation_id or 'an unknown conversation'}", blocks, _plain_turn(turn, notes))


def _make_footer(turn: Turn) -> str:
    key = turn.agent_id
    who = _find_agent_names(turn.entries).get(key, key) if key is not None else turn.model
    return " · ".join(part for part in (who, turn.conversation_id, write_usage(turn.usage)) if part)


def _plain_turn(turn: Turn, notes: Sequence[str]) -> str:
    return show_text("\n".join(filter(None, [turn.footnotes(), f"({' · '.join(filter(None, notes))})"])))


def view_history(history: History, title: str | None = None, pictures: Pictures | None = None) -> View:
    """A conversation as bubbles."""
    files = pictures if pictures is not None else {}
    citations = Turn(None, history.entries).citations
    names = _find_agent_names(history.entries)
    blocks: list[Block] = []
    offset = 0
    for entry in history.entries:
        if isinstance(entry, Message):
            blocks.append(_make_bubble(entry, names, files, citations, offset))
            offset += len(entry.text)
        elif isinstance(entry, Handoff):
            blocks.append(Bubble("handoff", "middle", _deed_blocks(entry, history.entries)))
        else:
            blocks += _deed_blocks(entry, history.entries)
    blocks += source_blocks(citations)
    if not history.entries:
        blocks.append(Words("nothing was said yet"))
    return View(title if title is not None else f"Conversation {history.conversation_id}", blocks, str(history))


def _find_agent_names(entries: Sequence[Entry]) -> dict[str, str]:
    """The names of agents that handed over or were handed over to, by their id."""
    handoffs = [entry for entry in entries if isinstance(entry, Handoff)]
    pairs = [(one.previous_agent_id, one.previous_agent_name) for one in handoffs]
    pairs += [(one.next_agent_id, one.next_agent_name) for one in handoffs]
    return {key: name for key, name in pairs if key and name}


def _make_bubble(
    entry: Message, names: Mapping[str, str], files: Pictures, citations: Sequence[Citation], offset: int
) -> Bubble:
    mine = isinstance(entry, MessageInput)
    answered = names.get(entry.agent_id, entry.agent_id) if entry.agent_id is not None else entry.model
    who = "you" if mine else answered if answered is not None else "assistant"
    when = f" · {write_time(entry.created_at)}" if entry.created_at is not None else ""
    return Bubble(who + when, "right" if mine else "left", _view_message(entry, files, citations, offset))


def _view_message(entry: Message, files: Pictures, citations: Sequence[Citation], offset: int) -> list[Block]:
    blocks: list[Block] = []
    thoughts = "".join(map(thinking_text, entry.chunks))
    if thoughts:
        blocks.append(Fold("reasoning", [Prose(thoughts)]))
    text = _number_sources(entry.text, citations, offset)
    if text:
        blocks.append(Prose(text))
    blocks += [block for chunk in entry.chunks if (block := _attachment(chunk, files)) is not None]
    return blocks


def _number_sources(text: str, citations: Sequence[Citation], offset: int) -> str:
    """The text with the number of each source where it was referred to."""
    marks = [
        (citation.offset - offset, number)
        for number, citation in enumerate(citations, 1)
        if citation.offset is not None and 0 < citation.offset - offset <= len(text)
    ]
    for place, number in sorted(marks, reverse=True):
        before = text[:place]
        gap = "\n\n" if before.rpartition("\n")[2].lstrip().startswith(("```", "~~~")) else " "
        text = f"{before}{gap}\\[{number}\\]{text[place:]}"
    return text


def _attachment(chunk: JsonDict, files: Pictures) -> Block | None:
    kind = chunk.get("type")
    if kind == "tool_file":
        file_id = chunk.get("file_id")
        found = files.get(file_id) if isinstance(file_id, str) else None
        name = str(chunk.get("file_name") or file_id or "file")
        return picture_of(found) if found is not None else Words(f"file {name} ({file_id})")
    if kind == "image_url":
        given = chunk.get("image_url")
        url = given.get("url") if isinstance(given, dict) else given
        return _inline_picture(url) if isinstance(url, str) else None
    if kind in ("document_url", "file", "document"):
        return Words(f"document {shorten(str(chunk.get('document_name') or chunk.get('document_url') or ''), 80)}")
    return None


def _inline_picture(url: str) -> Block:
    """A picture given as data; one that stands elsewhere is named, never loaded."""
    head, comma, data = url.partition(",")
    if not (head.startswith("data:") and head.endswith(";base64") and comma):
        return Words(f"picture at {shorten(url, 100)}")
    return data_block(data)


def data_block(data: str) -> Block:
    """A picture of base64 text."""
    try:
        return picture_of(FileData.of("picture", base64.b64decode(data, validate=True)))
    except (binascii.Error, ValueError):
        return Words("a picture that can't be read")


def picture_of(file: FileData) -> Block:
    """A downloaded file: drawn where it is a picture, else named."""
    if file.media_type in PICTURES:
        return Picture(file.name, file.media_type, file.data)
    return Words(f"file {file.name} ({file.media_type}, {len(file.data)} bytes)")


def _deed_blocks(entry: Entry, others: Sequence[Entry]) -> list[Block]:
    """What an entry that is no message tells; a result is named by its call, where that is among the others."""
    if isinstance(entry, ToolExecution):
        return [fold_run(entry)]
    if isinstance(entry, FunctionCall):
        return [fold_call(entry.name, entry.arguments)]
    if isinstance(entry, FunctionResult):
        names = {call.tool_call_id: call.name for call in others if isinstance(call, FunctionCall)}
        return [fold_result(names.get(entry.tool_call_id, entry.tool_call_id), entry.result)]
    if isinstance(entry, Handoff):
        sides = (entry.previous_agent_name or entry.previous_agent_id, entry.next_agent_name or entry.next_agent_id)
        return [Words(" → ".join(name or "?" for name in sides))]
    return [Words(f"an entry of the unknown kind {entry.type or '?'}")]


def fold_call(name: str, arguments: str) -> Fold:
    """The call of a function."""
    return Fold(f"called {name}", [Words(arguments, "code")])


def fold_result(name: str, result: str) -> Fold:
    """The result of a function."""
    return Fold(f"result of {name}", [Words(result, "output")])


def fold_run(entry: ToolExecution) -> Fold:
    """A run of a hosted tool: its code or arguments, and what came of it."""
    name = entry.function if entry.function is not None else entry.name
    what = entry.args.get("query", entry.args.get("url"))
    title = f"{name}{f': {shorten(what, 80)}' if isinstance(what, str) else ''}{write_seconds(timing_seconds(entry))}"
    return Fold(title, list(_run_blocks(entry)), failed=entry.error is not None)


def _run_blocks(entry: ToolExecution) -> Iterator[Block]:
    code = entry.info.get("code", entry.args.get("code"))
    if isinstance(code, str):
        yield Words(code, "code")
    elif entry.arguments:
        yield Words(entry.arguments, "code")
    output = entry.info.get("code_output")
    if entry.error is not None:
        yield Words(entry.error, "error")
    elif isinstance(output, str):
        yield Words(output, "output")
    elif search_origin(entry) is not None:
        hits = search_hits(entry)
        yield Sources(tuple(_hit_source(n, hit.title, hit.url, hit.description) for n, hit in enumerate(hits, 1)))
    elif entry.info:
        text = entry.result_text
        yield Words(text if text is not None else json.dumps(entry.info, ensure_ascii=False, default=str), "output")


def _hit_source(number: int, title: str | None, url: str | None, detail: str | None) -> Source:
    return Source(number, title or url or "untitled", url, shorten(detail) if detail is not None else "")


def source_blocks(citations: Sequence[Citation]) -> list[Block]:
    """The numbered sources, if there are any."""
    if not citations:
        return []
    return [Sources(tuple(_view_source(number, citation) for number, citation in enumerate(citations, 1)))]


def _view_source(number: int, citation: Citation) -> Source:
    detail = " · ".join(filter(None, [citation.origin, citation.document_id, write_pages(citation)]))
    return Source(number, citation.title or citation.url or citation.document_id or "untitled", citation.url, detail)
