"""A server process that sends prepared bytes, so that a benchmark measures the client alone.

`python -m benchmarks._server --events 1000` prints its address. It speaks just enough HTTP/1.1 for the clients
compared. The `model` of the request says how a stream is written: `single-events` sends each event by itself, as a
service that streams tokens does; any other name sends the events in writes of 64 kB: what is left is the client's work.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

WRITE = 65536
SINGLE = "single-events"
_ID = "0" * 32
_TIME = "2026-06-29T14:13:28.545632Z"


def event_bytes(count: int) -> list[bytes]:
    """The stream of a conversation turn with `count` text deltas, as the service writes it."""
    conversation, message = f"conv_{_ID}", f"msg_{_ID}"
    events: list[dict[str, object]] = [
        {"type": "conversation.response.started", "created_at": _TIME, "conversation_id": conversation}
    ]
    delta = {
        "type": "message.output.delta",
        "created_at": _TIME,
        "output_index": 0,
        "id": message,
        "content_index": 0,
        "model": "mistral-small-latest",
        "role": "assistant",
    }
    events.extend({**delta, "content": f"word{place} "} for place in range(count))
    usage = {"prompt_tokens": 16, "completion_tokens": count, "total_tokens": count + 16}
    events.append({"type": "conversation.response.done", "created_at": _TIME, "usage": usage})
    return [b"event: %s\ndata: %s\n\n" % (str(e["type"]).encode(), _compact(e)) for e in events]


def chat_bytes(count: int) -> list[bytes]:
    """The same answer as a stream of the chat completions API."""
    head = {"id": _ID, "object": "chat.completion.chunk", "created": 1782742408, "model": "mistral-small-latest"}
    chunks = [
        {**head, "choices": [{"index": 0, "delta": {"content": f"word{n} "}, "finish_reason": None}]}
        for n in range(count)
    ]
    usage = {"prompt_tokens": 16, "completion_tokens": count, "total_tokens": count + 16}
    last = {**head, "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "stop"}], "usage": usage}
    return [b"data: %s\n\n" % _compact(chunk) for chunk in [*chunks, last]] + [b"data: [DONE]\n\n"]


def conversation_reply() -> bytes:
    """A short reply of `POST /v1/conversations`."""
    entry = {
        "object": "entry",
        "type": "message.output",
        "created_at": _TIME,
        "completed_at": _TIME,
        "id": f"msg_{_ID}",
        "model": "mistral-small-latest",
        "role": "assistant",
        "content": "The answer is 7.",
    }
    usage = {"prompt_tokens": 16, "completion_tokens": 6, "total_tokens": 22}
    reply = {"object": "conversation.response", "conversation_id": f"conv_{_ID}", "outputs": [entry], "usage": usage}
    return _compact({**reply, "guardrails": None})


def chat_reply() -> bytes:
    """A short reply of the chat completions API."""
    message = {"role": "assistant", "content": "The answer is 7."}
    usage = {"prompt_tokens": 16, "completion_tokens": 6, "total_tokens": 22}
    reply = {"id": _ID, "object": "chat.completion", "created": 1782742408, "model": "mistral-small-latest"}
    return _compact({**reply, "choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage})


def _compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _chunked(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


class PreparedServer:
    """Answers every POST with bytes made beforehand."""

    def __init__(self, events: int) -> None:
        self._streams = {False: event_bytes(events), True: chat_bytes(events)}
        self._replies = {False: conversation_reply(), True: chat_reply()}
        self._joined = {chat: self._in_writes(b"".join(stream)) for chat, stream in self._streams.items()}

    @staticmethod
    def _in_writes(data: bytes) -> list[bytes]:
        return [data[start : start + WRITE] for start in range(0, len(data), WRITE)]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, for as long as the client keeps it."""
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                body = json.loads(await reader.readexactly(_content_length(head)))
                await self._answer(writer, body, chat=b"/chat/completions" in head.split(b"\r\n", 1)[0])
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def _answer(self, writer: asyncio.StreamWriter, body: dict[str, object], *, chat: bool) -> None:
        if body.get("stream") is not True:
            reply = self._replies[chat]
            writer.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(reply)
            )
            writer.write(reply)
            await writer.drain()
            return
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        single = body.get("model") == SINGLE
        for piece in self._streams[chat] if single else self._joined[chat]:
            writer.write(_chunked(piece))
            await writer.drain()
            if single:
                await asyncio.sleep(0)
        writer.write(b"0\r\n\r\n")
        await writer.drain()


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


async def _main(events: int) -> None:
    server = await asyncio.start_server(PreparedServer(events).serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    print(f"http://127.0.0.1:{port}", flush=True)
    async with server:
        await server.serve_forever()


@contextmanager
def prepared_server(events: int) -> Iterator[str]:
    """Run the server as a process of its own; gives its address."""
    command = [sys.executable, "-m", "benchmarks._server", "--events", str(events)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1000)
    asyncio.run(_main(parser.parse_args().events))
