"""The events of a streamed exchange, as users hold them, and what becomes of streams that nobody reads on.

A stream holds its conversation until it ends. Where its reader has gone away and the object is still in a variable, the
next turn of the conversation gives it up: at once in the reader's own thread or task, which can't read on meanwhile,
and elsewhere once nobody has asked for an event for as long as a call may take.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from typing import Any

from mistral_agents._conversation.lock import Hold
from mistral_agents._json import JsonDict
from mistral_agents.errors import StreamInterruptedError

_GIVEN_UP = "The stream was given up: another turn of the conversation began while nobody read it."


def _current_task() -> Any:
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


class _Reader:
    """Who reads a stream, and since when nobody does."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()
        self._task = _current_task()
        self._reading = False
        self._left_at = time.monotonic()
        self._given_up = False

    @contextlib.contextmanager
    def _asking(self) -> Iterator[None]:
        if self._given_up:
            raise StreamInterruptedError(_GIVEN_UP)
        self._thread, self._task, self._reading = threading.get_ident(), _current_task(), True
        try:
            yield
        finally:
            self._reading, self._left_at = False, time.monotonic()

    def _is_left(self, patience: float) -> bool:
        if self._reading or self._given_up:
            return False
        own = (self._thread, self._task) == (threading.get_ident(), _current_task())
        return own or time.monotonic() - self._left_at >= patience


class ExchangeEvents(_Reader, Iterator[JsonDict]):
    """Events of an exchange; leaving the loop and dropping the object frees the connection and the conversation."""

    def __init__(self, events: Generator[JsonDict, None, None]) -> None:
        super().__init__()
        self._events = events

    def __next__(self) -> JsonDict:
        with self._asking():
            return next(self._events)

    def close(self) -> None:
        """End the exchange here."""
        self._events.close()

    def give_up(self, patience: float) -> None:
        """See `Hold`."""
        if self._is_left(patience):
            try:
                self._events.close()
            except ValueError:  # its reader asked for an event just now
                return
            self._given_up = True


class AsyncExchangeEvents(_Reader, AsyncIterator[JsonDict]):
    """As `ExchangeEvents`, without blocking."""

    def __init__(self, events: AsyncGenerator[JsonDict, None]) -> None:
        super().__init__()
        self._events = events
        self._loop: asyncio.AbstractEventLoop | None = None

    async def __anext__(self) -> JsonDict:
        self._loop = asyncio.get_running_loop()
        with self._asking():
            return await anext(self._events)

    async def aclose(self) -> None:
        """End the exchange here."""
        await self._events.aclose()

    def give_up(self, patience: float) -> None:
        """See `Hold`; it is closed by the event loop it is read on."""
        if self._is_left(patience) and self._loop is not None and not self._loop.is_closed():
            self._given_up = True
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._close_soon)

    def _close_soon(self) -> None:
        closing = asyncio.ensure_future(self._events.aclose())
        closing.add_done_callback(lambda task: task.cancelled() or task.exception())


class WeakHold:
    """A hold that does not keep its stream alive, so that one which is dropped ends by itself."""

    def __init__(self) -> None:
        self._held: weakref.ref[Any] | None = None

    def set(self, hold: Hold) -> None:
        """Say which stream it is."""
        self._held = weakref.ref(hold)

    def give_up(self, patience: float) -> None:
        """See `Hold`."""
        held = self._held() if self._held is not None else None
        if held is not None:
            held.give_up(patience)
