"""A stand-in that lies on purpose: each lie is one rule of the service turned over."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from typing import Any

Message = dict[str, Any]
Body = dict[str, Any]
LIES = ("no context", "hidden agents", "no bare restart", "any include", "vague refusal")


def _drop_include(path: str, body: Body) -> Body:
    for tool in body.get("tools") or ():
        (tool.get("tool_configuration") or {}).pop("include", None)
    return body


class Liar:
    """Wraps an application; the lies that are told can be chosen.

    Attributes:
        lies: Those told.
    """

    def __init__(self, app: Any, lies: Collection[str] = LIES) -> None:
        self.app = app
        self.lies = frozenset(lies)

    async def __call__(self, scope: Message, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body = await _read(receive)
        path, method = scope["path"], scope["method"]
        told = json.loads(body) if method == "POST" and body.startswith(b"{") else {}
        if "no bare restart" in self.lies and path.endswith("/restart") and "inputs" not in told:
            await _answer(send, 400, {"object": "Error", "message": "inputs is required", "code": 3000})
            return
        if "any include" in self.lies and told:
            body = json.dumps(_drop_include(path, told)).encode()
            length = (b"content-length", str(len(body)).encode())
            scope = {**scope, "headers": [h for h in scope["headers"] if h[0] != b"content-length"] + [length]}
        await self.app(scope, _replay(body, receive), self._changing(method, path, send))

    def _changing(self, method: str, path: str, send: Any) -> Callable[[Message], Any]:
        change = self._change_of(method, path)
        if change is None:
            return send
        begun: list[Message] = []
        parts: list[bytes] = []

        async def changed(message: Message) -> None:
            if message["type"] == "http.response.start":
                begun.append(message)
            if (b"content-type", b"text/event-stream; charset=utf-8") in begun[0]["headers"]:
                await send(message)
                return
            if message["type"] == "http.response.start":
                return
            parts.append(message.get("body", b""))
            if not message.get("more_body"):
                await _answer(send, begun[0]["status"], change(json.loads(b"".join(parts))))

        return changed

    def _change_of(self, method: str, path: str) -> Callable[[Any], Any] | None:
        if "no context" in self.lies and path.startswith("/v1/models"):
            return lambda data: {
                **data,
                "data": [{k: v for k, v in row.items() if k != "max_context_length"} for row in data["data"]],
            }
        if "hidden agents" in self.lies and path == "/v1/agents/pages":
            return lambda data: {**data, "data": []}
        if "vague refusal" in self.lies and (method, path) == ("POST", "/v1/conversations"):
            return lambda data: {**data, "message": "no"} if data.get("code") == 3003 else data
        return None


async def _read(receive: Any) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body


def _replay(body: bytes, receive: Any) -> Callable[[], Any]:
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return waiting.pop() if waiting else await receive()

    return again


async def _answer(send: Any, status: int, data: Any) -> None:
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(data).encode()})
