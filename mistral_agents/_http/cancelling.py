"""Cancels a request only where the HTTP library can clean up after it.

The library under mistralai 2 (httpx, on httpcore 1) waits for its own locks at two places where it keeps no note of the
connection: after it has got one and before it sends, and while it closes a response. A task that is cancelled there
leaves the connection in the pool for ever. So the exchange runs in a task of its own; where it is cancelled at such a
place it goes on until the library announces (by its `trace` extension) that it is past it, and ends there. The library
under mistralai 3 (httpx2) has mended this, and is cancelled directly.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
_CLEANED_UP_AFTER = (
    "connect_tcp.started",
    "connect_unix_socket.started",
    "start_tls.started",
    "send_request_headers.started",
)
_NOT_CLEANED_UP_AFTER = (
    "connect_tcp.complete",
    "connect_unix_socket.complete",
    "start_tls.complete",
    "response_closed.started",
)


class CancelPoint:
    """Follows one request, and knows whether it may be cancelled now."""

    def __init__(self, request: Any) -> None:
        self._cancelled = False
        self._may_cancel = False
        request.extensions["trace"] = self._follow

    async def _follow(self, event: str, _info: object) -> None:
        if event.endswith(_CLEANED_UP_AFTER):
            if self._cancelled:
                raise asyncio.CancelledError
            self._may_cancel = True
        elif event.endswith(_NOT_CLEANED_UP_AFTER):
            self._may_cancel = False

    def cancel(self, task: asyncio.Task[Any]) -> None:
        """Cancel now, or as soon as that does no harm."""
        self._cancelled = True
        if self._may_cancel:
            task.cancel()


async def run_to_a_safe_end(
    request: object, exchange: Coroutine[Any, Any, T], close: Callable[[T], Awaitable[None]]
) -> T:
    """The result of an exchange; where the caller is cancelled, the exchange ends behind its back.

    Args:
        request: The request that the exchange sends.
        exchange: What to run.
        close: Closes a result that nobody waits for any more.
    """
    point = CancelPoint(request)
    task = asyncio.ensure_future(exchange)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        _finish_alone(task, close)
        point.cancel(task)
        raise


_alone: set[asyncio.Task[None]] = set()


def _finish_alone(task: asyncio.Task[T], close: Callable[[T], Awaitable[None]]) -> None:
    async def finish() -> None:
        await asyncio.wait({task})
        if not task.cancelled() and task.exception() is None:
            await close(task.result())

    finishing = asyncio.ensure_future(finish())
    _alone.add(finishing)
    finishing.add_done_callback(_alone.discard)
