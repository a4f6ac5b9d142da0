"""The skeletons hold no text of a recording, recordings fit them, and the checker can fail."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from mistral_agents._http.sse import EventDecoder
from scripts.shapes import derive, replies, streams, written
from tests.shapes_check import (
    SHAPES,
    differences,
    header_differences,
    shape,
    sse_differences,
    stream_differences,
    unproven,
)

RECORDINGS = Path(__file__).parents[3] / "shared" / "payloads"
with_recordings = pytest.mark.skipif(not RECORDINGS.is_dir(), reason="recordings are not part of a user's clone")
NAMES = sorted(path.stem for path in SHAPES.glob("*.json"))
ID = "0" * 32
TIME = "2026-01-01T00:00:00.000001Z"
ENTRY = {"object": "entry", "created_at": TIME, "completed_at": TIME, "model": "m"}
SAID = {**ENTRY, "type": "message.output", "id": f"msg_{ID}", "role": "assistant", "content": "hi"}
RAN = {
    **ENTRY, "type": "tool.execution", "id": f"tool_exec_{ID}", "name": "code_interpreter", "arguments": "{}",
    "function": "code_interpreter",
    "info": {"result": [{"type": "text", "text": "1\n"}], "code": "1", "code_output": "1\n"},
}  # fmt: skip
REPLY = {
    "object": "conversation.response", "conversation_id": f"conv_{ID}", "outputs": [RAN, SAID],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}, "guardrails": None,
}  # fmt: skip


def test_a_good_reply_has_no_differences():
    assert differences("turn", REPLY) == []
    assert unproven(REPLY) == set()


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (("conversation_id",), 7, "conversation_id: 7 is not of type 'string'"),
        (("conversation_id",), "conversation-1", "conversation_id: 'conversation-1' does not match"),
        (("outputs", 1, "content"), 7, "outputs.1.content: 7"),
        (("outputs", 1, "mood"), "good", "'mood' was unexpected"),
        (("outputs", 1, "content"), [{"type": "text"}], "outputs.1.content.0: 'text' is a required"),
        (("outputs", 0, "info"), {"result": "1"}, "outputs.0.info"),
        (("usage", "prompt_tokens"), "1", "usage.prompt_tokens: '1' is not of type 'integer'"),
    ],
)
def test_a_wrong_reply_is_told(path, value, says):
    reply = copy.deepcopy(REPLY)
    inner: Any = reply
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    assert any(says in text for text in differences("turn", reply))


def test_a_failed_run_may_report_a_text():
    reply = copy.deepcopy(REPLY)
    reply["outputs"][0]["info"] = {"result": "Error executing tool code_interpreter: timed out"}
    assert differences("turn", reply) == []


def test_a_missing_field_is_told():
    assert differences("turn", {key: REPLY[key] for key in REPLY if key != "guardrails"}) == [
        "turn: reply: 'guardrails' is a required property"
    ]


def test_json_inside_a_text_is_checked():
    reply = copy.deepcopy(REPLY)
    reply["outputs"][0] |= {"function": "generate_image", "name": "image_generation"}
    for result, good in (({"url": "http://x"}, True), ({"link": "http://x"}, False)):
        reply["outputs"][0]["info"] = {"result": json.dumps(result)}
        assert (differences("turn", reply) == []) is good
    reply["outputs"][0]["info"] = {"result": "no json"}
    assert differences("turn", reply) != []


DELTA = {
    "type": "message.output.delta", "created_at": TIME, "output_index": 0, "id": f"msg_{ID}", "content_index": 0,
    "model": "m", "role": "assistant", "content": "hi",
}  # fmt: skip
STARTED = {"type": "conversation.response.started", "created_at": TIME, "conversation_id": f"conv_{ID}"}
DONE = {"type": "conversation.response.done", "created_at": TIME, "usage": REPLY["usage"]}


def test_the_order_of_a_stream_is_checked():
    assert stream_differences([STARTED, DELTA, DELTA, DONE]) == []
    assert stream_differences([STARTED, DELTA]) != []
    assert stream_differences([DELTA, STARTED, DONE]) != []
    tool = {"created_at": TIME, "output_index": 0, "id": f"tool_exec_{ID}", "name": "c", "function": "c"}
    late = [{**tool, "type": "tool.execution.started", "model": "m", "arguments": ""}]
    assert any("an entry's events are" in text for text in stream_differences([STARTED, *late, DONE]))
    assert unproven([STARTED, {"type": "agent.handoff.started", "id": "h"}, DONE]) == {"agent.handoff.started"}


def test_chunks_in_a_stream_are_those_of_calls():
    chunk = {"type": "tool_file", "tool": "t", "file_id": "f", "file_name": "n", "file_type": "png"}
    good = {**chunk, "file_id": "966d989c-5a7f-41de-a1c2-0871c865ce99"}
    assert stream_differences([STARTED, {**DELTA, "content": good}, DONE]) == []
    assert any(
        "'f' does not match" in text for text in stream_differences([STARTED, {**DELTA, "content": chunk}, DONE])
    )


def test_event_names_are_checked():
    lines = [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in (STARTED, DELTA, DONE)]
    assert sse_differences("".join(lines).encode()) == []
    assert sse_differences("".join(lines).replace("event: message.output.delta", "event: text").encode()) != []


def test_headers_are_checked():
    assert header_differences({"Content-Type": "x", "mistral-correlation-id": "y"}, stream=True) == []
    assert header_differences({"content-type": "x", "mistral-correlation-id": "y"}, stream=False) != []
    assert header_differences({"content-type": "x", "x-ratelimit-limit-tokens-minute": "1"}, stream=True) != []


def test_skeletons_hold_only_names_types_and_patterns():
    words = {"$comment", "evidence", "type", "items", "properties", "required", "allOf", "anyOf", "if", "then", "else",
             "const", "enum", "pattern", "additionalProperties", "contentMediaType", "contentSchema", "order"}  # fmt: skip

    def walk(schema: Any) -> None:
        assert set(schema) <= words
        for value in [schema.get("const"), *schema.get("enum", [])]:
            assert value is None or len(value) < 40
        for inner in schema.get("properties", {}).values():
            walk(inner)
        for key in ("items", "if", "then", "else", "contentSchema", "additionalProperties"):
            if isinstance(schema.get(key), dict):
                walk(schema[key])
        for key in ("allOf", "anyOf"):
            for inner in schema.get(key, []):
                walk(inner)

    for name in NAMES:
        if name != "headers":
            walk(shape(name))


@with_recordings
def test_the_committed_skeletons_are_those_of_the_recordings():
    derived = derive(RECORDINGS)
    assert sorted(derived) == NAMES
    for name, schema in derived.items():
        assert written(schema) == (SHAPES / f"{name}.json").read_text("utf-8"), name


@with_recordings
def test_recordings_fit_their_skeletons():
    for name, reply in replies(RECORDINGS):
        if reply.get("object") == "conversation.response" and not name.startswith("docs_"):
            assert differences("turn", reply) == [], name
    for name, events in streams(RECORDINGS):
        assert stream_differences(events) == [], name


def test_a_decoder_reads_what_the_check_reads():
    data = f"event: {STARTED['type']}\ndata: {json.dumps(STARTED)}\n\n".encode()
    assert EventDecoder().feed(data) == [STARTED]
