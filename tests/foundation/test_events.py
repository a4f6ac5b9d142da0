"""The events of a stream and the entries of a reply are read once, into the same records."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mistral_agents._border import events
from mistral_agents._border.events import (
    CallDelta,
    ContentItem,
    EventReader,
    HandoffDelta,
    Record,
    RunDelta,
    RunEnd,
    TextDelta,
    ThinkingDelta,
    UnknownEvent,
    read_entries,
)
from mistral_agents.entries import parse_entries

Wire = dict[str, Any]


def delta(content: Any, place: int = 0, entry: str = "msg_1") -> Wire:
    return {"type": "message.output.delta", "id": entry, "content_index": place, "content": content}


def read(*given: Wire) -> tuple[list[Record], EventReader]:
    reader = EventReader()
    return [record for event in given for record in reader.read(event)], reader


def test_a_record_holds_what_came_before() -> None:
    (first, second), reader = read(delta("Hel"), delta("lo"))
    assert isinstance(first, TextDelta)
    assert isinstance(second, TextDelta)
    assert first.piece is second.piece
    assert second.piece.text_from(0) == "Hello"
    assert reader.entries()[0]["content"] == "Hello"


def test_items_of_one_message_are_told_apart() -> None:
    reference = {"type": "tool_reference", "title": "A"}
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "so"}, {"type": "odd"}]}
    records, reader = read(delta(thought, 0), delta("a", 1), delta(reference, 2), delta("b", 3))
    assert [type(record) for record in records] == [ThinkingDelta, TextDelta, ContentItem, TextDelta]
    assert isinstance(records[0], ThinkingDelta)
    assert (records[0].text, records[0].others) == ("so", [{"type": "odd"}])
    texts = [{"type": "text", "text": text} for text in "ab"]
    assert reader.entries()[0]["content"] == [thought, texts[0], reference, texts[1]]


@pytest.mark.parametrize("nothing", ["", None])
def test_a_later_part_of_a_call_need_not_name_it_again(nothing: str | None) -> None:
    first = {"type": "function.call.delta", "id": "fc_1", "name": "add", "tool_call_id": "aBcDeF123", "model": "m"}
    later = dict.fromkeys(("name", "tool_call_id", "model"), nothing)
    _, reader = read({**first, "arguments": '{"a":'}, {**first, **later, "arguments": " 1}"})
    [entry] = reader.entries()
    assert (entry["name"], entry["tool_call_id"], entry["model"]) == ("add", "aBcDeF123", "m")
    assert entry["arguments"] == '{"a": 1}'


@pytest.mark.parametrize("end", [{}, {"arguments": None}, {"arguments": ""}, {"arguments": '{"a": 1}'}])
def test_the_end_of_a_run_repeats_no_arguments(end: Wire) -> None:
    records, reader = read(
        {"type": "tool.execution.started", "id": "t", "name": "web_search", "arguments": ""},
        {"type": "tool.execution.delta", "id": "t", "arguments": '{"a": 1}'},
        {"type": "tool.execution.done", "id": "t", "info": {"result": "ok"}, **end},
    )
    assert [type(record) for record in records] == [RunDelta, RunDelta, RunEnd]
    assert reader.entries()[0]["arguments"] == '{"a": 1}'


def test_arguments_that_come_with_the_end_are_told_before_it() -> None:
    done = {"type": "tool.execution.done", "id": "t", "name": "web_search", "arguments": "{}"}
    records, _ = read(done)
    assert [type(record) for record in records] == [RunDelta, RunEnd]


@pytest.mark.parametrize("kind", ["brand.new.event", "", None, 7, ["x"]])
def test_an_unknown_event_is_told_as_it_came(kind: Any) -> None:
    event = {"type": kind, "x": 1}
    assert read(event)[0] == [UnknownEvent(event)]


def test_a_further_kind_of_event_is_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    row = events._KINDS["message.output.delta"]
    monkeypatch.setitem(events._KINDS, "message.output.revised", row)
    (record,), reader = read({**delta("new"), "type": "message.output.revised"})
    assert isinstance(record, TextDelta)
    assert reader.entries()[0]["content"] == "new"


def told(records: list[Record]) -> list[Any]:
    """What records say, pieces of one text joined."""
    found: list[Any] = []
    for record in records:
        if isinstance(record, (TextDelta, ThinkingDelta)):
            if found and found[-1][:2] == [type(record), id(record.piece)]:
                found[-1][2] += record.text
            else:
                found.append([type(record), id(record.piece), record.text])
        elif isinstance(record, ContentItem):
            found.append([ContentItem, record.chunk])
        elif isinstance(record, (CallDelta, RunDelta)):
            if not found or found[-1] != [type(record), record.key]:
                found.append([type(record), record.key])
        elif isinstance(record, (RunEnd, HandoffDelta)):
            found.append([type(record), record.key])
    return [[part for part in each if not isinstance(part, int)] for each in found]


ITEM = st.sampled_from(["text", "reference", "thinking"])


def _content(kind: str, place: int) -> Any:
    if kind == "text":
        return {"type": "text", "text": f"word{place}"}
    if kind == "thinking":
        return {"type": "thinking", "thinking": [{"type": "text", "text": f"thought{place}"}]}
    return {"type": "tool_reference", "title": f"page{place}"}


@given(st.lists(st.one_of(st.lists(ITEM, max_size=4), st.sampled_from(["run", "call", "handoff"])), max_size=6))
def test_a_stream_and_its_reply_say_the_same(turn: list[Any]) -> None:
    given_events: list[Wire] = []
    for place, part in enumerate(turn):
        key = f"e{place}"
        at = {"id": key, "output_index": place, "created_at": f"2026-01-01T00:00:{place:02d}Z"}
        if part == "run":
            given_events += [{"type": "tool.execution.started", "arguments": "{", **at}]
            given_events += [{"type": "tool.execution.delta", "arguments": "}", **at}]
            given_events += [{"type": "tool.execution.done", "info": {}, **at}]
        elif part == "call":
            given_events += [{"type": "function.call.delta", "arguments": half, **at} for half in "{}"]
        elif part == "handoff":
            given_events += [{"type": f"agent.handoff.{step}", **at} for step in ("started", "done")]
        else:
            given_events += [
                {"type": "message.output.delta", "content_index": i, "content": _content(kind, i), **at}
                for i, kind in enumerate(part)
            ]
    records, reader = read(*given_events)
    records = [record for record in records if not (isinstance(record, HandoffDelta) and not record.done)]
    assert told(records) == told(read_entries(parse_entries(reader.entries())))


def test_words_behind_a_run_come_when_it_is_over_whatever_the_clock_says() -> None:
    at = {"created_at": "2026-01-01T00:00:00Z", "completed_at": "2026-01-01T00:00:01Z"}
    run = {"type": "tool.execution", "name": "web_search", "arguments": "{}", "info": {}, **at}
    words = {"type": "message.output", "id": "m", "content": "Found.", **at}
    records = read_entries(parse_entries([{**run, "id": "a"}, {**run, "id": "b"}, words]))
    assert [type(record) for record in records] == [RunDelta, RunDelta, RunEnd, RunEnd, TextDelta]
