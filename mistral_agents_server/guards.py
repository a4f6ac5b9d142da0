"""What every request must show before it is looked at.

A page in a browser on this machine can reach a loopback port. It can't set `Authorization` or send JSON without a CORS
preflight, which is never granted here, and a foreign name that resolves to loopback shows in `Host`.
"""

from __future__ import annotations

import hmac

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mistral_agents_server.errors import ApiError, unauthorized
from mistral_agents_server.ids import uuid7_dashed
from mistral_agents_server.settings import LOOPBACK_NAMES, Settings

SIGNED_PATH = "/signed/"
"""Paths below it carry their permission in the URL, as the service's signed URLs do, and need no key."""

MAX_JSON_BYTES = 64 * 1024 * 1024
MAX_UPLOAD_BYTES = 512 * 1024 * 1024


def _refused(status: int, detail: str) -> ApiError:
    return ApiError(status, {"detail": detail})


def _host_name(value: str) -> str:
    if value.startswith("["):
        return value[1:].partition("]")[0].lower()
    return value.rpartition(":")[0].lower() if ":" in value else value.lower()


def _is_upload(path: str) -> bool:
    return path == "/v1/files" or (path.startswith("/v1/libraries/") and path.endswith("/documents"))


class Guard:
    """ASGI middleware: checks Host, key, content type and size, and names every reply with a correlation id."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        self._names = LOOPBACK_NAMES | {settings.host}

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
        await self._app(scope, receive, named)

    def _check(self, scope: Scope, headers: Headers) -> None:
        if _host_name(headers.get("host", "")) not in self._names:
            raise _refused(403, "This host name is not served here.")
        if not scope["path"].startswith(SIGNED_PATH):
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
        if "transfer-encoding" not in headers and (length is None or length == "0"):
            return
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        wanted = "multipart/form-data" if _is_upload(path) else "application/json"
        if kind != wanted:
            raise _refused(415, f"The content type must be {wanted}.")
        limit = MAX_UPLOAD_BYTES if _is_upload(path) else MAX_JSON_BYTES
        if length is None or not length.isdigit():
            raise _refused(411, "The body needs a Content-Length.")
        if int(length) > limit:
            raise _refused(413, f"The body is larger than {limit} bytes.")
