"""Every recorded reply decodes with nothing lost, as call and as stream, however it is damaged."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mistral_agents import Turn
from mistral_agents._http.fold import EventFold
from mistral_agents._http.sse import EventDecoder
from mistral_agents.entries import UnknownEntry, parse_entry, replayable

SHARED = Path(__file__).parents[3] / "shared" / "payloads"
CASSETTES = Path(__file__).parents[2] / "cassettes"
pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason="the recordings are not part of a user's clone")


def replies() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every recorded or printed reply of the conversations API."""
    for path in sorted(SHARED.glob("*.json")):
        data = json.loads(path.read_text())
        steps = data if isinstance(data, list) else [data]
        for place, step in enumerate(steps):
            body = (
                step["response"].get("body")
                if isinstance(step, dict) and isinstance(step.get("response"), dict)
                else step
            )
            if isinstance(body, dict) and isinstance(body.get("outputs"), list):
                yield f"{path.stem}-{place}", body


REPLIES = dict(replies()) if SHARED.is_dir() else {}
STREAMS = {path.stem: path.read_bytes() for path in sorted(SHARED.glob("*.sse"))} if SHARED.is_dir() else {}


def test_the_recordings_are_found():
    assert len(REPLIES) >= 15
    assert len(STREAMS) == 3


def leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner)
    else:
        yield value


def seen(turn: Turn) -> list[str]:
    """Everything a turn shows: its entries' raw dicts, its own fields, and unknown events."""
    whole = [entry.raw for entry in turn.entries] + [
        turn.conversation_id,
        turn.usage.raw,
        turn.guardrails,
        turn.raw.get("object"),
    ]
    return [json.dumps(value) for value in leaves([*whole, turn.unknown_events])]


@pytest.mark.parametrize("name", REPLIES)
def test_every_leaf_value_is_found_again(name):
    reply = REPLIES[name]
    kept = set(seen(Turn.from_response(reply)))
    assert {json.dumps(value) for value in leaves(reply)} <= kept


@pytest.mark.parametrize("name", REPLIES)
def test_known_kinds_are_known(name):
    turn = Turn.from_response(REPLIES[name])
    assert not [entry for entry in turn.entries if isinstance(entry, UnknownEntry)]
    texts = [
        chunk if isinstance(chunk, str) else chunk.get("text", "")
        for output in REPLIES[name]["outputs"]
        if output["type"] == "message.output"
        for chunk in (output["content"] if isinstance(output["content"], list) else [output["content"]])
    ]
    assert turn.text == "".join(texts)


def as_events(reply: dict[str, Any], cut: int) -> list[dict[str, Any]]:
    """The stream that would have given this reply; texts and arguments in pieces of `cut` characters."""
    events: list[dict[str, Any]] = [
        {"type": "conversation.response.started", "created_at": "x", "conversation_id": reply["conversation_id"]}
    ]
    for index, output in enumerate(reply["outputs"]):
        events += _output_events(output, index, cut)
    last = {key: value for key, value in reply.items() if key not in ("outputs", "conversation_id", "object")}
    return [*events, {"type": "conversation.response.done", **last}]


def pieces(text: str, cut: int) -> list[str]:
    return [text[start : start + cut] for start in range(0, len(text), cut)]


def _output_events(output: dict[str, Any], index: int, cut: int) -> list[dict[str, Any]]:
    same = {"output_index": index}
    fixed = {
        key: value
        for key, value in output.items()
        if key not in ("object", "type", "content", "arguments", "info", "created_at", "completed_at")
    }
    begun, ended = {"created_at": output.get("created_at")}, {"created_at": output.get("completed_at")}
    if output["type"] == "tool.execution":
        texts = pieces(output.get("arguments", ""), cut)
        info = {"info": output["info"]} if "info" in output else {}
        return [
            {
                "type": "tool.execution.started",
                **begun,
                **same,
                **fixed,
                **({"arguments": ""} if "arguments" in output else {}),
            },
            *({"type": "tool.execution.delta", **begun, **same, **fixed, "arguments": text} for text in texts),
            {"type": "tool.execution.done", **ended, **same, **fixed, **info},
        ]
    if output["type"] == "function.call":
        return [
            {"type": "function.call.delta", **begun, **same, **fixed, "arguments": text}
            for text in pieces(output["arguments"], cut)
        ]
    events = []
    content = output["content"]
    for place, chunk in enumerate(content if isinstance(content, list) else [content]):
        parts = (
            pieces(chunk if isinstance(chunk, str) else chunk.get("text", ""), cut)
            if isinstance(chunk, str) or chunk["type"] == "text"
            else [chunk]
        )
        events += [
            {"type": "message.output.delta", **begun, **same, **fixed, "content_index": place, "content": part}
            for part in parts
        ]
    return events


def normal(reply: dict[str, Any]) -> dict[str, Any]:
    """A reply without what a stream doesn't say: the end of a message or call, and whether one text is a list."""
    reply = copy.deepcopy(reply)
    reply.setdefault("object", "conversation.response")
    for output in reply["outputs"]:
        output.setdefault("created_at", None)
        if output["type"] != "tool.execution":
            output.pop("completed_at", None)
        content = output.get("content")
        if isinstance(content, list) and len(content) == 1 and content[0].get("type") == "text":
            output["content"] = content[0]["text"]
        output.setdefault("object", "entry")
    return reply


@pytest.mark.parametrize("name", REPLIES)
@settings(max_examples=15, deadline=None)
@given(cut=st.integers(1, 400), split=st.integers(1, 97))
def test_the_stream_form_equals_the_call_form(name, cut, split):
    reply = REPLIES[name]
    lines = "".join(
        f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in as_events(reply, cut)
    ).encode()
    decoder, fold = EventDecoder(), EventFold()
    for start in range(0, len(lines), split):
        for event in decoder.feed(lines[start : start + split]):
            fold.apply(event)
    assert fold.done
    assert normal(fold.response()) == normal(reply)
    call, stream = Turn.from_response(reply), Turn.from_response(fold.response())
    for part in ("text", "citations", "code_runs", "files", "searches", "usage", "reasoning", "function_calls"):
        assert repr(getattr(stream, part)) == repr(getattr(call, part)) or part == "function_calls"


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("size", [1, 7, 64, 10_000])
def test_recorded_streams_decode_whatever_the_splits(name, size):
    data = STREAMS[name]
    decoder, fold, count = EventDecoder(), EventFold(), 0
    for start in range(0, len(data), size):
        for event in decoder.feed(data[start : start + size]):
            fold.apply(event)
            count += 1
    assert (count, fold.done, fold.unknown) == (data.count(b"\nevent:") + data.startswith(b"event:"), True, [])
    turn = Turn.from_response(fold.response())
    wanted = "".join(
        json.loads(line[6:])["content"]
        for line in data.decode().splitlines()
        if line.startswith('data: {"type":"message.output.delta"')
        or ('"message.output.delta"' in line and line.startswith("data: "))
    )
    assert turn.text == wanted
    assert all(run.code and run.output for run in turn.code_runs)


def mutations(value: Any) -> Iterator[tuple[tuple[Any, ...], str, Any]]:
    """Each place of a JSON value: deleted, nulled, or of another type."""

    def walk(inner: Any, path: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
        items = inner.items() if isinstance(inner, dict) else enumerate(inner) if isinstance(inner, list) else ()
        for key, child in items:
            yield (*path, key)
            yield from walk(child, (*path, key))

    for path in walk(value, ()):
        for how in ("deleted", "null", "number", "list", "object", "text"):
            yield path, how, None


NEW = {"null": None, "number": 7, "list": [1], "object": {"type": "brand_new"}, "text": "brand new"}


def mutated(value: Any, path: tuple[Any, ...], how: str) -> Any:
    changed = copy.deepcopy(value)
    inner = changed
    for step in path[:-1]:
        inner = inner[step]
    if how == "deleted":
        del inner[path[-1]]
    else:
        inner[path[-1]] = NEW[how]
    return changed


def read_everything(turn: Turn) -> None:
    for part in ("text", "citations", "code_runs", "files", "images", "searches", "usage", "reasoning", "function_calls",
                 "pending_confirmations", "handoffs", "timings", "model", "agent_id", "last_entry_id", "quotas"):  # fmt: skip
        getattr(turn, part)
    replayable(turn.entries)


@pytest.mark.parametrize("name", REPLIES)
def test_no_damage_to_a_reply_raises_or_loses_its_text(name):
    reply = REPLIES[name]
    whole = Turn.from_response(reply).text
    for path, how, _ in mutations(reply):
        turn = Turn.from_response(mutated(reply, path, how))
        read_everything(turn)
        touches_text = path[0] == "outputs" and (len(path) <= 2 or "content" in path or path[-1] == "type")
        assert touches_text or turn.text == whole, (path, how)


@pytest.mark.parametrize("name", STREAMS)
def test_no_damage_to_an_event_raises_or_loses_its_text(name):
    found = EventDecoder().feed(STREAMS[name])
    fold = EventFold()
    for event in found:
        fold.apply(event)
    whole = Turn.from_response(fold.response()).text
    for place, event in enumerate(found):
        for path, how, _ in mutations(event):
            damaged = EventFold()
            for other in (*found[:place], mutated(event, path, how), *found[place + 1 :]):
                damaged.apply(other)
            turn = Turn.from_response(damaged.response())
            read_everything(turn)
            touches = event["type"] == "message.output.delta" and path[-1] in (
                "content",
                "type",
                "id",
                "content_index",
                "output_index",
            )
            assert touches or turn.text == whole, (place, path, how)


@pytest.mark.parametrize("value", [None, 7, "text", [], {}, {"type": None}, {"type": "new.kind", "x": 1}])
def test_anything_can_be_an_entry(value):
    entry = parse_entry(value)
    assert isinstance(entry, UnknownEntry)
    assert entry.raw == (value if isinstance(value, dict) else {"value": value})


@pytest.mark.parametrize("name", ["docs_conversation_history", "docs_conversation_messages"])
def test_old_histories_are_read(name):
    data = json.loads((SHARED / f"{name}.json").read_text())
    rows = data.get("entries", data.get("messages"))
    assert [parse_entry(row).raw for row in rows] == rows
    assert not any(isinstance(parse_entry(row), UnknownEntry) for row in rows)
