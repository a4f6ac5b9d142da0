"""A loopback server with one prepared answer, as OpenAI Responses, Mistral chat or Mistral conversations write it.

The answer has three cited sources, each marked by a string of its own: all at the end, or, for the model `APART`, one
after each piece of text. The formats carry them as `url_citation` annotations (in a stream an
`response.output_text.annotation.added` event each), as `reference` chunks and as `tool_reference` chunks, one a delta.
Connections are kept open, as services do.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HOSTS = ("s1.test", "s2.test", "s3.test")
"""What marks a source where an address is sent."""
NUMBERS = ("90001", "90002", "90003")
"""What marks a source in Mistral chat, which sends the number of a reference."""
TOGETHER = "sources-together"
APART = "sources-apart"
_PIECES: dict[str, list[str | int]] = {
    TOGETHER: ["It rained on Monday, ", "on Tuesday ", "and on Friday.", 0, 1, 2],
    APART: ["It rained on Monday, ", 0, "on Tuesday ", 1, "and on Friday.", 2],
}
"""An answer by model: pieces of text and numbers of sources."""
_TEXT = "It rained on Monday, on Tuesday and on Friday."
_TIME = "2026-06-29T14:13:28.545632Z"
_ID = "0" * 32
_USAGE = {"prompt_tokens": 16, "completion_tokens": 6, "total_tokens": 22}


def _sse(events: list[dict[str, Any]], *, named: bool) -> bytes:
    heads = [f"event: {event['type']}\n" if named else "" for event in events]
    return b"".join(
        f"{head}data: {json.dumps(event, separators=(',', ':'))}\n\n".encode()
        for head, event in zip(heads, events)  # noqa: B905
    )


def openai_reply(_model: str = TOGETHER) -> dict[str, Any]:
    """A finished reply of `POST /v1/responses`."""
    search = {
        "id": "ws_1",
        "type": "web_search_call",
        "status": "completed",
        "action": {"type": "search", "query": "x"},
    }
    text = {"type": "output_text", "text": _TEXT, "annotations": [_url_citation(n) for n in range(3)], "logprobs": []}
    message = {"id": "msg_1", "type": "message", "status": "completed", "role": "assistant", "content": [text]}
    usage = {"input_tokens": 16, "output_tokens": 6, "total_tokens": 22}
    details = {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
    return {**_openai_head("completed"), "output": [search, message], "usage": {**usage, **details}}


def _openai_head(status: str) -> dict[str, Any]:
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1782742408,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": "gpt-5",
        "output": [],
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [{"type": "web_search"}],
        "top_p": 1.0,
        "usage": None,
    }


def _url_citation(number: int) -> dict[str, Any]:
    span = {"type": "url_citation", "start_index": 0, "end_index": len(_TEXT)}
    return {**span, "title": f"Report {number}", "url": f"https://{HOSTS[number]}/"}


def _openai_piece(piece: str | int, place: dict[str, Any]) -> dict[str, Any]:
    if isinstance(piece, str):
        return {"type": "response.output_text.delta", **place, "delta": piece, "logprobs": []}
    added = {"type": "response.output_text.annotation.added", **place, "annotation_index": piece}
    return {**added, "annotation": _url_citation(piece)}


def openai_stream(model: str) -> bytes:
    """The same as a stream."""
    reply = openai_reply(model)
    search, message = reply["output"]
    part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    place = {"item_id": "msg_1", "output_index": 1, "content_index": 0}
    searched = {"item_id": "ws_1", "output_index": 0}
    running = {"id": "ws_1", "type": "web_search_call", "status": "in_progress"}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": _openai_head("in_progress")},
        {"type": "response.in_progress", "response": _openai_head("in_progress")},
        {"type": "response.output_item.added", "output_index": 0, "item": running},
        *({"type": f"response.web_search_call.{s}", **searched} for s in ("in_progress", "searching", "completed")),
        {"type": "response.output_item.done", "output_index": 0, "item": search},
        {
            "type": "response.output_item.added",
            "output_index": 1,
            "item": {**message, "status": "in_progress", "content": []},
        },
        {"type": "response.content_part.added", **place, "part": part},
        *(_openai_piece(piece, place) for piece in _PIECES[model]),
        {"type": "response.output_text.done", **place, "text": _TEXT, "logprobs": []},
        {"type": "response.content_part.done", **place, "part": message["content"][0]},
        {"type": "response.output_item.done", "output_index": 1, "item": message},
        {"type": "response.completed", "response": reply},
    ]
    return _sse([{**event, "sequence_number": n} for n, event in enumerate(events)], named=True)


def chat_reply(model: str) -> dict[str, Any]:
    """A finished reply of `POST /v1/chat/completions`."""
    message = {"role": "assistant", "content": [_chat_chunk(piece) for piece in _PIECES[model]]}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return {**_chat_head("chat.completion"), "choices": [choice], "usage": _USAGE}


def _chat_head(kind: str) -> dict[str, Any]:
    return {"id": _ID, "object": kind, "created": 1782742408, "model": "mistral-small-latest"}


def _chat_chunk(piece: str | int) -> dict[str, Any]:
    if isinstance(piece, str):
        return {"type": "text", "text": piece}
    return {"type": "reference", "reference_ids": [int(NUMBERS[piece])]}


def chat_stream(model: str) -> bytes:
    """The same as a stream: text as strings, references in lists of their own."""
    contents = [piece if isinstance(piece, str) else [_chat_chunk(piece)] for piece in _PIECES[model]]
    deltas: list[dict[str, Any]] = [{"content": content} for content in ["", *contents]]
    deltas[0]["role"] = "assistant"
    choices = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    head = _chat_head("chat.completion.chunk")
    last = {"index": 0, "delta": {"content": ""}, "finish_reason": "stop"}
    chunks = [{**head, "choices": [choice]} for choice in choices] + [{**head, "choices": [last], "usage": _USAGE}]
    return _sse(chunks, named=False) + b"data: [DONE]\n\n"


def conversations_reply(model: str) -> dict[str, Any]:
    """A finished reply of `POST /v1/conversations`."""
    entry = {
        "object": "entry",
        "type": "message.output",
        "created_at": _TIME,
        "completed_at": _TIME,
        "id": f"msg_{_ID}",
        "model": "mistral-small-latest",
        "role": "assistant",
        "content": [_conversation_chunk(piece) for piece in _PIECES[model]],
    }
    head = {"object": "conversation.response", "conversation_id": f"conv_{_ID}"}
    return {**head, "outputs": [entry], "usage": _USAGE, "guardrails": None}


def _conversation_chunk(piece: str | int) -> dict[str, Any]:
    if isinstance(piece, str):
        return {"type": "text", "text": piece}
    found = {"title": f"Report {piece}", "url": f"https://{HOSTS[piece]}/"}
    return {"type": "tool_reference", "tool": "web_search", **found}


def conversations_stream(model: str) -> bytes:
    """The same as a stream."""
    delta = {
        "type": "message.output.delta",
        "created_at": _TIME,
        "output_index": 0,
        "id": f"msg_{_ID}",
        "model": "mistral-small-latest",
        "role": "assistant",
    }
    started = {"type": "conversation.response.started", "created_at": _TIME, "conversation_id": f"conv_{_ID}"}
    done = {"type": "conversation.response.done", "created_at": _TIME, "usage": _USAGE}
    pieces, place, deltas = _PIECES[model], 0, []
    for before, piece in zip(["", *pieces], pieces):  # noqa: B905
        place += not (isinstance(before, str) and isinstance(piece, str))
        content = piece if isinstance(piece, str) else _conversation_chunk(piece)
        deltas.append({**delta, "content_index": place, "content": content})
    return _sse([started, *deltas, done], named=True)


_ANSWERS = {
    "/v1/responses": (openai_reply, openai_stream),
    "/v1/chat/completions": (chat_reply, chat_stream),
    "/v1/conversations": (conversations_reply, conversations_stream),
}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle(self) -> None:
        """Serve until the client leaves, which it may do in the middle of anything."""
        with suppress(ConnectionError):
            super().handle()

    def do_POST(self) -> None:
        """Answer by path."""
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        reply, stream = _ANSWERS[self.path]
        streams = request.get("stream") is True
        model = request["model"]
        body = stream(model) if streams else json.dumps(reply(model)).encode()
        self.send_response(200)
        self.send_header("content-type", "text/event-stream" if streams else "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def peer_server() -> Iterator[str]:
    """Run the server in a thread; gives its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
