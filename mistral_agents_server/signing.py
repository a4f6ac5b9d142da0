"""URLs that carry their permission, as the service's signed URLs do: whoever has one may read, until it expires."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from mistral_agents_server.errors import ApiError
from mistral_agents_server.guards import SIGNED_PATH
from mistral_agents_server.paging import number_of


class Signer:
    """Signs paths with a secret of this process: a URL is worth nothing after a restart.

    Args:
        clock: seconds since 1970; for tests.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._secret = secrets.token_bytes(32)
        self._clock = clock

    def sign(self, path: str, seconds: float) -> str:
        """Path and query below the server's root that may be read for so many seconds."""
        end = int(self._clock() + seconds)
        place = f"{SIGNED_PATH}{path}"
        return f"{place}?se={end}&sig={self._signature(place, end)}"

    def check(self, request: Request) -> None:
        """Check the URL of a request.

        Raises:
            ApiError: 403 when it isn't ours, was changed, or has expired; 422 when its end is no time.
        """
        end, signature = number_of(request, "se", 0, 0), request.query_params.get("sig", "")
        good = hmac.compare_digest(signature.encode(), self._signature(request.url.path, end).encode())
        if not good or end < self._clock():
            raise ApiError(403, {"detail": "The signature of this URL is wrong or has expired."})

    def _signature(self, path: str, end: int) -> str:
        return hmac.new(self._secret, f"{path} {end}".encode(), hashlib.sha256).hexdigest()


def absolute(request: Request, path: str) -> str:
    """A path of this server as the client of a request reaches it."""
    return str(request.base_url).rstrip("/") + path


class Place:
    """Where this server is reached, as the last request said: for addresses made where no request is at hand."""

    def __init__(self) -> None:
        self.base_url = "http://127.0.0.1"


class Located:
    """ASGI middleware that notes the server's address in a :class:`Place`."""

    def __init__(self, app: ASGIApp, place: Place) -> None:
        self._app = app
        self._place = place

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Note the address and pass the request on."""
        if scope["type"] == "http":
            self._place.base_url = str(Request(scope).base_url).rstrip("/")
        await self._app(scope, receive, send)
