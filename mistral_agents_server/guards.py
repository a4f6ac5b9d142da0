"""What every request must show before it is looked at.

A page in a browser on this machine can reach a loopback port. It can't set `Authorization` or send JSON without a CORS
preflight, which is never granted here, and a foreign name that resolves to loopback shows in `Host`. Off loopback a
machine has names that nobody here can know, and a key of its own, which such a page does not have: there any is served.
"""

from __future__ import annotations

import hmac
import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mistral_agents_server.errors import ApiError, unauthorized
from mistral_agents_server.ids import uuid7_dashed
from mistral_agents_server.settings import LOOPBACK_NAMES, Settings

SIGNED_PATH = "/signed/"
"""Paths below it carry their permission in the URL, as the service's signed URLs do, and need no key."""

HEALTH_PATH = "/health"
"""Says only that the server is there, so it needs no key."""

MAX_JSON_BYTES = 64 * 1024 * 1024
MAX_UPLOAD_BYTES = 512 * 1024 * 1024


_HOST = re.compile(r"(?:\[(?P<address>[0-9A-Fa-f:.]+)\]|(?P<name>[^\[\]:/@]+))(?::[0-9]{1,5})?")


def _refused(status: int, detail: str, headers: dict[str, str] | None = None) -> ApiError:
    return ApiError(status, {"detail": detail}, headers)


def _host_name(value: str) -> str:
    """The name in a Host header, without its port; empty for what is none, which is served nowhere."""
    found = _HOST.fullmatch(value)
    return (found["address"] or found["name"]).lower() if found is not None else ""


_CLOSE = {"connection": "close"}
"""With a refusal that leaves a body unread: what follows on this connection can't be told from the next request."""


def _is_upload(path: str) -> bool:
    return path == "/v1/files" or (path.startswith("/v1/libraries/") and path.endswith("/documents"))


def _counted(receive: Receive, headers: Headers) -> Receive:
    """`receive`, checking at the end of a body that it was as long as declared."""
    declared, arrived = int(headers.get("content-length", "0")), 0

    async def counting() -> Message:
        nonlocal arrived
        message = await receive()
        if message["type"] == "http.request":
            arrived += len(message.get("body", b""))
            if arrived > declared or (arrived < declared and not message.get("more_body", False)):
                raise _refused(400, f"The body should have {declared} bytes, as declared.", _CLOSE)
        return message

    return counting


class Guard:
    """ASGI middleware: checks Host, key, content type and size, and names every reply with a correlation id."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        self._names = LOOPBACK_NAMES if settings.host in LOOPBACK_NAMES else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a good request on; answer a bad one with its error."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        correlation = uuid7_dashed()

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["mistral-correlation-id"] = correlation
            await send(message)

        headers = Headers(scope=scope)
        try:
            self._check(scope, headers)
        except ApiError as error:
            await JSONResponse(error.body, error.status, error.headers)(scope, receive, named)
            return
        await self._app(scope, _counted(receive, headers), named)

    def _check(self, scope: Scope, headers: Headers) -> None:
        name = _host_name(headers.get("host", ""))
        if not name or (self._names is not None and name not in self._names):
            raise _refused(403, "This host name is not served here.")
        if scope["path"] != HEALTH_PATH and not scope["path"].startswith(SIGNED_PATH):
            self._check_key(headers.get("authorization", ""))
        self._check_body(scope["path"], headers)

    def _check_key(self, authorization: str) -> None:
        scheme, _, key = authorization.partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            raise unauthorized()
        wanted = self._settings.api_key
        if wanted is not None and not hmac.compare_digest(key.strip().encode(), wanted.encode()):
            raise unauthorized()

    def _check_body(self, path: str, headers: Headers) -> None:
        length = headers.get("content-length")
        if "transfer-encoding" in headers and length is not None:
            raise _refused(400, "A body has a Content-Length or is sent in chunks, not both.", _CLOSE)
        if "transfer-encoding" not in headers and (length is None or length == "0"):
            return
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        wanted = "multipart/form-data" if _is_upload(path) else "application/json"
        if kind != wanted:
            raise _refused(415, f"The content type must be {wanted}.")
        limit = MAX_UPLOAD_BYTES if _is_upload(path) else MAX_JSON_BYTES
        if length is None or not length.isdigit():
            raise _refused(411, "The body needs a Content-Length.", _CLOSE)
        if len(length) > 18 or int(length) > limit:
            raise _refused(413, f"The body is larger than {limit} bytes.", _CLOSE)
