"""A layer around the stand-in that spoils replies: a turn names its fault, and its first request meets it."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvicorn

Message = dict[str, Any]
Send = Callable[[Message], Awaitable[None]]
MARK = re.compile(rb"\[([a-z0-9-]+)/([0-9]+)\]")
_PAGE = b"<html><head><title>504 Gateway Time-out</title></head><body>gateway</body></html>"


class Spoiler:
    """Wraps the stand-in's application."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self._met: set[bytes] = set()

    async def __call__(self, scope: Message, receive: Any, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        body = await _read_body(receive)
        marks = MARK.findall(body)
        fault, turn = marks[-1] if marks else (b"none", b"")
        first = turn not in self._met
        self._met.add(turn)
        await FAULTS[fault.decode() if first else "none"](self.app, scope, _replay(body), send)


async def _read_body(receive: Any) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


def _replay(body: bytes) -> Any:
    """A client that sends this body and never goes away, as the stand-in sees it: it always finishes the turn."""
    sent = False

    async def receive() -> Message:
        nonlocal sent
        if not sent:
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}
        await asyncio.Event().wait()
        raise AssertionError

    return receive


def _abort(send: Any) -> None:
    """Cut the TCP connection at once; uvicorn keeps it on the object whose method `send` is."""
    send.__self__.transport.abort()


async def _answer(send: Send, status: int, body: bytes, **headers: str) -> None:
    pairs = {"content-type": "application/json", "content-length": str(len(body)), **headers}
    names = [(name.replace("_", "-").encode(), value.encode()) for name, value in pairs.items()]
    await send({"type": "http.response.start", "status": status, "headers": names})
    await send({"type": "http.response.body", "body": body})


async def _reply_of(app: Any, scope: Message, receive: Any) -> tuple[Message, bytes]:
    """What the stand-in answers, after it has applied the turn."""
    start: Message = {}
    parts: list[bytes] = []

    async def gather(message: Message) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
        else:
            parts.append(message.get("body", b""))

    await app(scope, receive, gather)
    return start, b"".join(parts)


Fault = Callable[[Any, Message, Any, Send], Awaitable[None]]
FAULTS: dict[str, Fault] = {}


async def _pass(app: Any, scope: Message, receive: Any, send: Send) -> None:
    await app(scope, receive, send)


def _refuse(name: str, status: int, body: bytes = b'{"object":"error","message":"spoilt"}', **headers: str) -> None:
    """Answered before the stand-in sees the turn."""

    async def run(app: Any, scope: Message, receive: Any, send: Send) -> None:  # noqa: ARG001
        await _answer(send, status, body, **headers)

    FAULTS[name] = run


def _replace(name: str, status: int, body: bytes, **headers: str) -> None:
    """Answered with something else after the stand-in has applied the turn."""

    async def run(app: Any, scope: Message, receive: Any, send: Send) -> None:
        await _reply_of(app, scope, receive)
        await _answer(send, status, body, **headers)

    FAULTS[name] = run


def _change(name: str, change: Callable[[bytes], bytes], *, cut: bool = False, **headers: str) -> None:
    """The stand-in's own reply, changed; with `cut` the connection breaks behind it."""

    async def run(app: Any, scope: Message, receive: Any, send: Send) -> None:
        start, body = await _reply_of(app, scope, receive)
        changed = change(body)
        names = [pair for pair in start["headers"] if pair[0].lower() not in (b"content-length", b"content-encoding")]
        names += [(key.replace("_", "-").encode(), value.encode()) for key, value in headers.items()]
        if cut:
            names.append((b"content-length", str(len(body) + 1).encode()))
        await send({**start, "headers": names})
        await send({"type": "http.response.body", "body": changed, "more_body": cut})
        if cut:
            await asyncio.sleep(0)
            _abort(send)

    FAULTS[name] = run


async def _drop_before(app: Any, scope: Message, receive: Any, send: Send) -> None:  # noqa: ARG001
    _abort(send)


async def _drop_after(app: Any, scope: Message, receive: Any, send: Send) -> None:
    await _reply_of(app, scope, receive)
    _abort(send)


async def _slow_pieces(app: Any, scope: Message, receive: Any, send: Send) -> None:
    start, body = await _reply_of(app, scope, receive)
    await send({**start, "headers": [pair for pair in start["headers"] if pair[0].lower() != b"content-length"]})
    for at in range(0, len(body), 37):
        await send({"type": "http.response.body", "body": body[at : at + 37], "more_body": True})
        await asyncio.sleep(0)
    await send({"type": "http.response.body", "body": b""})


def _part(share: float) -> Callable[[bytes], bytes]:
    return lambda body: body[: int(len(body) * share)]


def _without_last_event(body: bytes) -> bytes:
    return body.rstrip(b"\n").rpartition(b"\n\n")[0] + b"\n\n" if b"\n\n" in body else body[:-1]


def _damage_line(body: bytes) -> bytes:
    lines = body.split(b"\n\n")
    place = len(lines) // 2
    return b"\n\n".join([*lines[:place], b'data: {"type": "mess', *lines[place + 1 :]]) if len(lines) > 3 else body[:-2]


def _told_error(body: bytes) -> bytes:
    event = json.dumps({"type": "conversation.response.error", "message": "spoilt", "code": 3500}).encode()
    first, separator, _ = body.partition(b"\n\n")
    return first + separator + b"data: " + event + separator if separator else event


FAULTS.update({"none": _pass, "drop-before": _drop_before, "drop-after": _drop_after, "slow-pieces": _slow_pieces})
_refuse("429", 429, retry_after="0")
_refuse("429-plain", 429)
_refuse("429-date", 429, retry_after="Wed, 21 Oct 2015 07:28:00")
_refuse("429-words", 429, retry_after="soon")
_refuse("400", 400)
_refuse("401", 401)
_refuse("404", 404)
_refuse("422", 422, b'{"detail":[{"loc":["body"],"msg":"spoilt","type":"x"}]}')
_refuse("500-before", 500)
_refuse("503-before", 503, retry_after="1")
_refuse("redirect-307", 307, b"", location="http://127.0.0.1:9/v1/conversations")
_refuse("redirect-308", 308, b"", location="/elsewhere")
_refuse("redirect-loop", 302, b"", location="/v1/conversations")
_refuse("error-in-200", 200, b'{"object":"error","message":"spoilt","code":3000}')
_refuse("detail-in-200", 200, b'{"detail":"spoilt"}')
_replace("500-after", 500, b'{"object":"error","message":"spoilt"}')
_replace("502-after", 502, _PAGE, content_type="text/html")
_replace("504-after", 504, b"")
_replace("page-in-200", 200, _PAGE, content_type="text/html")
_replace("empty-200", 200, b"")
_replace("deep-json", 200, b"[" * 200_000)
_replace("false-gzip", 200, b"no gzip", content_encoding="gzip")
_replace("cut-gzip", 200, gzip.compress(b"{" + b" " * 5000)[:-12], content_encoding="gzip")
_replace("null", 200, b"null")
_change("cut-at-a-byte", _part(0.001), cut=True)
_change("cut-in-the-middle", _part(0.5), cut=True)
_change("cut-near-the-end", lambda body: body[:-3], cut=True)
_change("short-clean-end", _part(0.7))
_change("no-last-event", _without_last_event)
_change("damaged-line", _damage_line)
_change("error-event", _told_error)
_change("comments", lambda body: b": keep\n\n" * 50 + body if b"\n\n" in body else body)
_change("windows-lines", lambda body: body.replace(b"\n", b"\r\n"))
_change("rubbish-quotas", lambda body: body, x_ratelimit_limit_tokens_minute="many", retry_after="never")
_change("bad-utf8-comment", lambda body: b": \xff\xfe\n\n" + body if b"\n\n" in body else body)


def serve(folder: str, ready: Any) -> None:
    """Serve a stand-in behind a spoiler, in a process of its own; its address goes through `ready`."""
    from mistral_agents_server.app import create_app
    from mistral_agents_server.settings import Settings

    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # or each reply waits 40 ms for an acknowledgement
    ready.send(f"http://127.0.0.1:{listener.getsockname()[1]}")
    config = uvicorn.Config(Spoiler(create_app(Settings(data=Path(folder)))), log_level="critical", access_log=False)
    uvicorn.Server(config).run(sockets=[listener])
