"""Streams of a conversation that another turn may close, once their reader has left them."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from typing import Any, TypeVar
from weakref import ref

from typing_extensions import Self

from mistral_agents._conversation.lock import Hold, current_reader
from mistral_agents.errors import StreamInterruptedError

T = TypeVar("T")
_LEFT = "This stream was left: another turn of the conversation began before it was read to its end."


class LeavableStream(Iterator[T]):
    """What an exchange tells as it happens; leaving it early, or closing it, frees the connection and the conversation.

    Raises:
        StreamInterruptedError: It was left for another turn of the same reader, and is read on.
    """

    def __init__(self, generate: Callable[[Hold], Generator[T, None, None]]) -> None:
        self._hold = Hold(stream=ref(self))
        self._events = generate(self._hold)
        self._left = False
        self._at_work = threading.Lock()
        self._read_at = time.monotonic()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        with self._at_work:
            if self._left:
                raise StreamInterruptedError(_LEFT)
            self._hold.reader = current_reader()
            try:
                return next(self._events)
            except GeneratorExit as error:  # another thread closed it
                raise StopIteration from error
            finally:
                self._read_at = time.monotonic()

    def close(self) -> None:
        """Leave the stream; a reader in another thread comes to its end, once a function that runs is done."""
        if self._at_work.acquire(blocking=False):
            try:
                self._events.close()
            finally:
                self._at_work.release()
            return
        self._hold.stopped = True
        if self._hold.reading is not None:
            self._hold.reading.close()

    @property
    def unread_seconds(self) -> float | None:
        """For how long it has been waiting for its reader; None while it waits for the service."""
        return None if self._at_work.locked() else time.monotonic() - self._read_at

    def leave(self) -> None:
        """Close it for its reader, unless that one has just come back."""
        if self._at_work.acquire(blocking=False):
            try:
                self._left = True
                self._events.close()
                self._hold.release()
            finally:
                self._at_work.release()

    async def aleave(self) -> None:
        """As `leave`, which needs no event loop."""
        self.leave()


class AsyncLeavableStream(AsyncIterator[T]):
    """As `LeavableStream`, without blocking."""

    def __init__(self, generate: Callable[[Hold], AsyncGenerator[T, None]]) -> None:
        self._hold = Hold(stream=ref(self))
        self._events = generate(self._hold)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._left = self._running = False
        self._read_at = time.monotonic()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        if self._left:
            raise StreamInterruptedError(_LEFT)
        self._hold.reader, self._loop, self._running = current_reader(), asyncio.get_running_loop(), True
        try:
            return await anext(self._events)
        except GeneratorExit as error:  # another task closed it
            raise StopAsyncIteration from error
        finally:
            self._running, self._read_at = False, time.monotonic()

    async def aclose(self) -> None:
        """Leave the stream; a reader in another task comes to its end, once a function that runs is done."""
        if not self._running:
            await self._events.aclose()
            return
        self._hold.stopped = True
        if self._hold.reading is not None:
            await self._hold.reading.aclose()

    @property
    def unread_seconds(self) -> float | None:
        """For how long it has been waiting for its reader; None while it waits for the service."""
        return None if self._running else time.monotonic() - self._read_at

    def leave(self) -> None:
        """Close it for its reader; its connection is closed by its own event loop, where that still runs."""
        self._left = True
        loop, events = self._loop, self._events
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(_close_later, loop, events)
        self._hold.give_way()

    async def aleave(self) -> None:
        """Close it for its reader."""
        if self._loop is not asyncio.get_running_loop():
            self.leave()
            return
        self._left = True
        await self.aclose()
        self._hold.release()


_closing: set[asyncio.Task[None]] = set()


def _close_later(loop: asyncio.AbstractEventLoop, events: AsyncGenerator[Any, None]) -> None:
    task = loop.create_task(_close_events(events))
    _closing.add(task)
    task.add_done_callback(_closing.discard)


async def _close_events(events: AsyncGenerator[Any, None]) -> None:
    await events.aclose()
