"""Turns with everything in them, as a call and as a stream."""

from __future__ import annotations

import json
from typing import Any

Wire = dict[str, Any]
CONVERSATION = "conv_0123456789abcdef0123456789abcdef"
USAGE = {
    "prompt_tokens": 10,
    "completion_tokens": 5,
    "connector_tokens": 7,
    "total_tokens": 22,
    "connectors": {"web_search": 1},
}
SEARCH = {"a1": {"url": "https://a.test", "title": "A"}, "b2": {"url": "https://b.test", "title": "B"}}
LIBRARY = {
    "k1": {
        "url": "0199f7d2-0000-7000-8000-000000000001",
        "title": "paper.pdf",
        "snippets": ["found"],
        "metadata": {"relevant_pages": [3]},
    }
}


def reference(letter: str) -> Wire:
    return {"type": "tool_reference", "tool": "web_search", "title": letter, "url": f"https://{letter}.test"}


def execution(key: str, name: str, function: str, arguments: str, info: Wire) -> Wire:
    return {
        "object": "entry",
        "type": "tool.execution",
        "id": key,
        "name": name,
        "function": function,
        "arguments": arguments,
        "info": info,
    }


def message(key: str, content: Any) -> Wire:
    return {
        "object": "entry",
        "type": "message.output",
        "id": key,
        "role": "assistant",
        "model": "mistral-small-latest",
        "content": content,
    }


ENTRIES: list[Wire] = [
    execution("tool_exec_1", "web_search", "web_search", '{"query": "x"}', {"result": json.dumps(SEARCH)}),
    execution("tool_exec_2", "document_library", "library_search", '{"query": "y"}', {"result": json.dumps(LIBRARY)}),
    execution(
        "tool_exec_3",
        "code_interpreter",
        "code_interpreter",
        "print(1)",
        {"result": "Error executing tool code_interpreter: boom"},
    ),
    {
        "object": "entry",
        "type": "agent.handoff",
        "id": "handoff_1",
        "previous_agent_id": "ag_1",
        "previous_agent_name": "one",
        "next_agent_id": "ag_2",
        "next_agent_name": "two",
    },
    message(
        "msg_1",
        [
            {"type": "thinking", "thinking": [{"type": "text", "text": "Let me think."}], "closed": True},
            {"type": "text", "text": "One"},
            reference("a"),
            reference("b"),
            {"type": "text", "text": " and two"},
            reference("c"),
            {
                "type": "tool_file",
                "tool": "code_interpreter",
                "file_id": "f1",
                "file_name": "plot.png",
                "file_type": "png",
            },
            {
                "type": "tool_file",
                "tool": "code_interpreter",
                "file_id": "f2",
                "file_name": "data.csv",
                "file_type": "csv",
            },
            {"type": "surprise", "value": 1},
        ],
    ),
    {
        "object": "entry",
        "type": "function.call",
        "id": "fc_1",
        "tool_call_id": "abcdefghi",
        "name": "add",
        "arguments": '{"a": 1, "b": 2}',
    },
    {
        "object": "entry",
        "type": "function.call",
        "id": "fc_2",
        "tool_call_id": "jklmnopqr",
        "name": "now",
        "arguments": "{}",
    },
]
REPLY: Wire = {"object": "conversation.response", "conversation_id": CONVERSATION, "outputs": ENTRIES, "usage": USAGE}


def _pieces(text: str, size: int = 4) -> list[str]:
    return [text[start : start + size] for start in range(0, len(text), size)]


def _execution_events(entry: Wire) -> list[Wire]:
    base = {name: entry[name] for name in ("id", "name", "function")}
    begun = {"type": "tool.execution.started", **base, "arguments": ""}
    deltas = [{"type": "tool.execution.delta", **base, "arguments": piece} for piece in _pieces(entry["arguments"])]
    return [begun, *deltas, {"type": "tool.execution.done", **base, "info": entry["info"]}]


def _message_events(entry: Wire) -> list[Wire]:
    events = []
    base = {"type": "message.output.delta", "id": entry["id"], "model": entry["model"], "role": "assistant"}
    for place, chunk in enumerate(entry["content"]):
        if chunk["type"] == "text":
            contents: list[Any] = _pieces(chunk["text"], 2)
        elif chunk["type"] == "thinking":
            words = _pieces(chunk["thinking"][0]["text"])
            contents = [{"type": "thinking", "thinking": [{"type": "text", "text": w}], "closed": True} for w in words]
        else:
            contents = [chunk]
        events += [{**base, "content_index": place, "content": content} for content in contents]
    return events


def _call_events(entry: Wire) -> list[Wire]:
    base = {"type": "function.call.delta", **{name: entry[name] for name in ("id", "name", "tool_call_id")}}
    return [{**base, "arguments": piece} for piece in _pieces(entry["arguments"])]


def events(entries: list[Wire] | None = None, usage: Wire | None = None) -> list[Wire]:
    """The events of a turn with these entries."""
    made: list[Wire] = [{"type": "conversation.response.started", "conversation_id": CONVERSATION}]
    for entry in ENTRIES if entries is None else entries:
        if entry["type"] == "tool.execution":
            made += _execution_events(entry)
        elif entry["type"] == "message.output":
            made += _message_events(entry)
        elif entry["type"] == "function.call":
            made += _call_events(entry)
        else:
            made += [{**entry, "type": "agent.handoff.started"}, {**entry, "type": "agent.handoff.done"}]
    return [*made, {"type": "conversation.response.done", "usage": USAGE if usage is None else usage}]
