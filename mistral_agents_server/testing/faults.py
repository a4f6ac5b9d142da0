"""Failures on demand, as a layer around the stand-in. The product knows nothing of it."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Message = dict[str, Any]
Send = Callable[[Message], Any]


@dataclass
class _Fault:
    run: Callable[..., Any]
    matches: Callable[[Message], bool]


@dataclass
class Seen:
    """One request that came in."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)


@dataclass
class Faults:
    """Wraps an ASGI application. Each planned fault meets the next request that fits it, once.

    `method` and `path` (a part of it) choose the requests; without them every request fits.

    Attributes:
        requests: everything that came in, in order.
    """

    app: Any
    requests: list[Seen] = field(default_factory=list)
    _planned: deque[_Fault] = field(default_factory=deque)

    # --- plans ---

    def answer(
        self,
        status: int,
        body: Any = None,
        *,
        times: int = 1,
        headers: Mapping[str, str] | None = None,
        method: str | None = None,
        path: str = "",
    ) -> None:
        """Answer with a status instead of asking the server; a str body is sent as plain text."""
        if body is None:
            body = {"object": "Error", "message": f"planned {status}", "type": "invalid_request_error", "code": 3000}

        async def run(_scope: Message, _receive: Any, send: Send) -> None:
            text = isinstance(body, str)
            kind = "text/plain" if text else "application/json"
            pairs = {"content-type": kind, "mistral-correlation-id": "planned", **(headers or {})}
            await send(_start(status, pairs))
            await send({"type": "http.response.body", "body": (body if text else json.dumps(body)).encode()})

        for _ in range(times):
            self._plan(run, method, path)

    def drop_before(self, *, method: str | None = None, path: str = "") -> None:
        """Cut the connection before the server sees the request."""

        async def run(_scope: Message, _receive: Any, send: Send) -> None:
            _abort(send)

        self._plan(run, method, path)

    def drop_after(self, *, method: str | None = None, path: str = "") -> None:
        """Let the server do its work to the end, then cut the connection without a byte of the reply."""

        async def run(scope: Message, receive: Any, send: Send) -> None:
            async def swallow(_message: Message) -> None:
                return None

            await self.app(scope, _staying(receive), swallow)
            _abort(send)

        self._plan(run, method, path)

    def cut_stream(
        self, after: int, *, clean: bool = False, recorded: bool = True, method: str | None = None, path: str = ""
    ) -> None:
        """Cut the reply after so many bytes of its body.

        Args:
            after: bytes of the body that arrive (with a hard cut, at most so many).
            clean: end as if it were the regular end, instead of cutting the connection.
            recorded: let the server finish the turn first; else it sees the client go and keeps nothing.
            method: the requests it fits.
            path: the requests it fits.
        """

        async def run(scope: Message, receive: Any, send: Send) -> None:
            left = after

            async def limited(message: Message) -> None:
                nonlocal left
                if message["type"] == "http.response.start":
                    names = [(k, v) for k, v in message["headers"] if k.lower() != b"content-length"]
                    await send({**message, "headers": names})
                elif left > 0:
                    part = message.get("body", b"")[:left]
                    left -= len(part)
                    if part:
                        await send({"type": "http.response.body", "body": part, "more_body": True})
                if left == 0 and not recorded:
                    _abort(send)

            await self.app(scope, _staying(receive) if recorded else receive, limited)
            if clean:
                await send({"type": "http.response.body", "body": b""})
            else:
                _abort(send)

        self._plan(run, method, path)

    def _plan(self, run: Callable[..., Any], method: str | None, path: str) -> None:
        def matches(scope: Message) -> bool:
            return (method is None or scope["method"] == method) and path in scope["path"]

        self._planned.append(_Fault(run, matches))

    # --- ASGI ---

    async def __call__(self, scope: Message, receive: Any, send: Send) -> None:
        """Serve one request, or let the fault befall it that was planned for it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        names = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in scope["headers"]}
        seen = Seen(scope["method"], scope["path"], names)
        self.requests.append(seen)

        async def noted() -> Message:
            message: Message = await receive()
            if message["type"] == "http.request":
                seen.body += message.get("body", b"")
            return message

        fault = next((fault for fault in self._planned if fault.matches(scope)), None)
        if fault is None:
            await self.app(scope, noted, send)
        else:
            self._planned.remove(fault)
            await fault.run(scope, noted, send)


def _start(status: int, headers: Mapping[str, str]) -> Message:
    pairs = [(key.lower().encode(), value.encode()) for key, value in headers.items()]
    return {"type": "http.response.start", "status": status, "headers": pairs}


def _staying(receive: Any) -> Callable[[], Any]:
    """A client that never goes away, as the server sees it."""

    async def stay() -> Message:
        message: Message = await receive()
        if message["type"] == "http.disconnect":
            await asyncio.Event().wait()
        return message

    return stay


def _abort(send: Any) -> None:
    """Cut the TCP connection at once; uvicorn keeps it on the object whose method `send` is."""
    send.__self__.transport.abort()
