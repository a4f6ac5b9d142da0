"""Conversation entries as chat messages, and the rules about open calls."""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import Sequence
from typing import Any

from mistral_agents_server import ids
from mistral_agents_server.errors import CALLS_AND_RESULTS_DIFFER, bad_request

Wire = dict[str, Any]

DENIED = "The user did not allow this call."


def stored_entry(entry: Wire) -> Wire:
    """A checked input entry as it is kept: with its kind, an id and a time."""
    prefix = {"function.result": "fr", "function.call": "fc", "tool.execution": "tool_exec", "agent.handoff": "handoff"}
    defaults = {
        "object": "entry",
        "created_at": ids.now(),
        "completed_at": None,
        "id": ids.new_id(prefix.get(entry["type"], "msg")),
    }
    given = {key: value for key, value in entry.items() if value is not None or key not in defaults}
    return {**defaults, **given}


def user_entry(text: str) -> Wire:
    """A plain string input as an entry."""
    return stored_entry({"type": "message.input", "role": "user", "content": text})


def content_text(content: Any) -> str:
    """The text of a message's content: text chunks joined, other chunks left out."""
    if isinstance(content, str):
        return content
    return "".join(chunk.get("text", "") for chunk in content if chunk.get("type") == "text")


def result_text(info: Wire) -> str:
    """`info.result` of a tool run as text, whether it is a string or a list of text items."""
    result = info.get("result", "")
    if isinstance(result, str):
        return result
    return "".join(item.get("text", "") for item in result if isinstance(item, dict))


def input_content(content: Any) -> Any:
    """The content of a user message: text, or a list of parts when it shows an image."""
    if isinstance(content, str):
        return content
    parts: list[Wire] = []
    for chunk in content:
        kind = chunk.get("type", "text")
        if kind == "text":
            parts.append({"type": "text", "text": chunk["text"]})
        elif kind == "image_url":
            image = chunk["image_url"]
            parts.append({"type": "image_url", "image_url": {"url": image} if isinstance(image, str) else image})
        elif kind == "document_url":
            parts.append({"type": "text", "text": f"[document {chunk.get('document_name') or chunk['document_url']}]"})
        elif kind == "tool_file":
            parts.append({"type": "text", "text": f"[file {chunk.get('file_name') or chunk['file_id']}]"})
    if all(part["type"] == "text" for part in parts):
        return "".join(part["text"] for part in parts)
    return parts


def _arguments(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _call(call_id: str, name: str, arguments: Any) -> Wire:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": _arguments(arguments)}}


def _result(call_id: str, name: str, text: str) -> Wire:
    return {"role": "tool", "tool_call_id": call_id, "name": name, "content": text}


class _Writer:
    """Writes messages in an order every chat endpoint takes: each call's result right behind its message."""

    def __init__(self, entries: Sequence[Wire]) -> None:
        self.messages: list[Wire] = []
        self._results: dict[str, deque[str]] = defaultdict(deque)  # a model may give two calls one id
        for entry in entries:
            if entry["type"] == "function.result":
                self._results[entry["tool_call_id"]].append(entry["result"])
        self._waiting: list[Wire] = []

    def write(self, entry: Wire) -> None:
        kind = entry["type"]
        if kind == "function.call":
            self._waiting.append(entry)
            return
        self.flush()
        if kind == "function.result":
            return
        if kind == "message.input":
            self.messages.append({"role": entry["role"], "content": input_content(entry["content"])})
        elif kind == "message.output":
            self.messages.append({"role": "assistant", "content": content_text(entry["content"])})
        elif kind == "tool.execution":
            name: str = entry.get("function") or entry["name"]
            self._calls([(_call(entry["id"][-9:], name, entry["arguments"]), result_text(entry.get("info", {})))])

    def flush(self) -> None:
        """Write the calls that waited, with their results. A call that a handover made void is left out."""
        pairs = []
        for entry in self._waiting:
            call = _call(entry["tool_call_id"], entry["name"], entry["arguments"])
            results = self._results[entry["tool_call_id"]]
            if entry.get("confirmation_status") == "denied":
                pairs.append((call, DENIED))
            elif results:
                pairs.append((call, results.popleft()))
        self._waiting = []
        if pairs:
            self._calls(pairs)

    def _calls(self, pairs: list[tuple[Wire, str]]) -> None:
        self.messages.append({"role": "assistant", "content": "", "tool_calls": [call for call, _ in pairs]})
        self.messages.extend(_result(call["id"], call["function"]["name"], text) for call, text in pairs)


def chat_messages(instructions: str | None, entries: Sequence[Wire]) -> list[Wire]:
    """A conversation as chat messages in OpenAI's form."""
    writer = _Writer(entries)
    for entry in entries:
        writer.write(entry)
    writer.flush()
    if instructions:
        return [{"role": "system", "content": instructions}, *writer.messages]
    return writer.messages


def open_calls(entries: Sequence[Wire]) -> dict[str, Wire]:
    """The calls still without a result, by `tool_call_id`. A handover makes earlier calls void."""
    waiting: dict[str, Wire] = {}
    for entry in entries:
        if entry["type"] == "agent.handoff":
            waiting.clear()
        elif entry["type"] == "function.call" and entry.get("confirmation_status") not in ("allowed", "denied"):
            waiting[entry["tool_call_id"]] = entry
        elif entry["type"] == "function.result":
            waiting.pop(entry["tool_call_id"], None)
    return waiting


def check_results(history: Sequence[Wire], inputs: Sequence[Wire]) -> None:
    """Check that every open call is answered, before anything else is said, and nothing else is answered.

    Raises:
        ApiError: 400 with 3001 for an unknown call or a message before the results, with 3230 when some lack.
    """
    waiting = open_calls(history)
    answered = 0
    for entry in inputs:
        kind = entry["type"]
        if kind == "function.result":
            if waiting.pop(entry["tool_call_id"], None) is None:
                raise bad_request(f"Unexpected tool call id {entry['tool_call_id']} in tool results")
            answered += 1
        elif kind == "function.call":
            waiting[entry["tool_call_id"]] = entry
        elif kind == "agent.handoff":
            waiting.clear()
        elif waiting and not answered:
            raise bad_request("The results of all open function calls must come before other inputs")
        elif waiting:
            raise bad_request("Not the same number of function calls and responses", CALLS_AND_RESULTS_DIFFER)
    if waiting:
        raise bad_request("Not the same number of function calls and responses", CALLS_AND_RESULTS_DIFFER)
