"""A service made of prepared replies, inside the HTTP library: no sockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from mistral_agents import MistralAgents
from mistral_agents._http import sdk as _sdk

REPLY = {
    "object": "conversation.response",
    "conversation_id": "conv_1",
    "outputs": [{"type": "message.output", "id": "msg_1", "role": "assistant", "content": "hi"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
}


class Wire:
    """Answers each request with the next prepared reply (the last one for ever) and keeps what was asked."""

    def __init__(self) -> None:
        self.replies: list[Any] = [(200, REPLY)]
        self.requests: list[Any] = []

    def answer(self, *replies: Any) -> None:
        self.replies = list(replies)

    @property
    def bodies(self) -> list[Any]:
        return [json.loads(request.content) for request in self.requests if request.content]

    def __call__(self, request: Any) -> Any:
        self.requests.append(request)
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if isinstance(reply, Exception):
            raise reply
        status, body, *headers = reply
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return _sdk.http().Response(status, content=content, headers=headers[0] if headers else {})


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def make_client(wire: Wire) -> Callable[..., MistralAgents]:
    def make(**settings: Any) -> MistralAgents:
        library = _sdk.http()
        transport = library.MockTransport(wire)

        async def answer(request: Any) -> Any:
            return wire(request)

        settings.setdefault("api_key", "secret-key")
        settings.setdefault("base_url", "https://service.test")
        return MistralAgents(
            http_client=library.Client(transport=transport),
            async_http_client=library.AsyncClient(transport=library.MockTransport(answer)),
            **settings,
        )

    return make


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were asked for, instead of waiting."""
    asked: list[float] = []

    async def asleep(seconds: float) -> None:
        asked.append(seconds)

    # The module's names are replaced, not the functions of `time`: servers in other threads of the tests sleep too.
    monkeypatch.setattr("mistral_agents._http.transport.time", SimpleNamespace(sleep=asked.append))
    monkeypatch.setattr("mistral_agents._http.transport.asyncio", SimpleNamespace(sleep=asleep))
    return asked


WAYS = ("call", "stream", "acall", "astream")
"""The four ways to one turn."""
STARTED = {"type": "conversation.response.started", "conversation_id": "conv_1", "created_at": "2026-01-01T00:00:00Z"}
DONE = {"type": "conversation.response.done", "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}}


def delta(text: str) -> dict[str, Any]:
    """Some words of a stream."""
    place = {"id": "msg_1", "output_index": 0, "content_index": 0, "role": "assistant"}
    return {"type": "message.output.delta", "content": text, **place}


def sse(*events: dict[str, Any] | bytes) -> bytes:
    """Events as they go over the wire; bytes go as they are."""
    return b"".join(
        event
        if isinstance(event, bytes)
        else f"event: {event['type']}\ndata: {json.dumps(event, ensure_ascii=False)}\n\n".encode()
        for event in events
    )


def take_turn(client: MistralAgents, way: str, **options: Any) -> Any:
    """One turn of a new conversation, in one of the four ways."""
    conversations, options = client.conversations, {"model": "m", **options}
    if way == "call":
        return conversations.start("hello", **options)
    if way == "stream":
        return conversations.start_stream("hello", **options).read()

    async def go() -> Any:
        if way == "acall":
            return await conversations.astart("hello", **options)
        return await conversations.astart_stream("hello", **options).aread()

    return asyncio.run(go())


class Loopback:
    """A server on a free port: `answer(socket, head)` writes what it likes; `seen` holds the first line of each request."""

    def __init__(self, answer: Callable[[socket.socket, bytes], None]) -> None:
        self.seen: list[str] = []
        self.heads: list[bytes] = []
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            reader = connection.makefile("rb")
            while line := reader.readline():
                head = line + b"".join(iter(reader.readline, b"\r\n"))
                length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
                reader.read(int(length[1]) if length else 0)
                self.seen.append(line.decode().rpartition(" ")[0])
                self.heads.append(head)
                self._answer(connection, head)

    def stop(self) -> None:
        self._listener.close()


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[[socket.socket, bytes], None]], Loopback]]:
    """Start servers of a test's own; they end with the test."""
    made: list[Loopback] = []

    def start(answer: Callable[[socket.socket, bytes], None]) -> Loopback:
        made.append(Loopback(answer))
        return made[-1]

    yield start
    for server in made:
        server.stop()


def whole(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """A whole HTTP reply."""
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


CHUNKED = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    """A piece of a chunked reply."""
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"
