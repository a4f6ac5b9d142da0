"""Closes what asynchronous streams leave open, whatever becomes of the task, the stream or the event loop.

Three things can happen to an open response that nobody closes by hand:

- The task is cancelled while it closes. A close that is interrupted half-way keeps its connection for ever, so it
  runs in a task of its own that the cancellation does not reach.
- The stream is dropped. Its response is closed by the loop it belongs to.
- The loop ends (`asyncio.run`) while the stream is still held. The loop closes asynchronous generators all at once;
  those of the HTTP library are nested, get in each other's way and print errors. So a task per loop, which lives while
  streams are open, closes them when the loop cancels its tasks, which comes first.

A loop that ends also leaves the idle connections of its client. `IdleCloser` closes them: one asynchronous generator
per client, around nothing, which the loop closes with all others (`shutdown_asyncgens`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Any
from weakref import WeakKeyDictionary

from mistral_agents._http.network import pools_of
from mistral_agents._http.sdk import loses_cancelled_requests


class OpenStream:
    """A response that is being read, and the iterators that read it."""

    __slots__ = ("_chunks", "_closed", "_closing", "_inner", "_keeper", "_reading", "_response", "_stopped")

    def __init__(self, keeper: LoopKeeper, response: Any, chunks: AsyncGenerator[bytes, None], inner: Any) -> None:
        self._keeper = keeper
        self._response = response
        self._inner = inner
        self._closing: asyncio.Task[None] | None = None
        self._closed = False
        self._reading: asyncio.Task[bytes | None] | None = None
        self._stopped: asyncio.Task[bytes | None] | None = None
        self._chunks = chunks

    async def read(self) -> bytes | None:
        """The next bytes; None at the end."""
        if not loses_cancelled_requests():
            return await anext(self._chunks, None)
        self._reading = asyncio.ensure_future(_take_next(self._chunks))
        try:
            await asyncio.wait({self._reading})
        except asyncio.CancelledError:
            self._stop(self._reading)
            raise
        return None if self._reading.cancelled() else self._reading.result()

    def _stop(self, reading: asyncio.Task[bytes | None]) -> None:
        """Cancel a reading once: it cleans up undisturbed, however often the caller is cancelled, and then closes."""
        if self._stopped is not reading:
            self._stopped = reading
            reading.cancel()

    async def aclose(self) -> None:
        """Close the response; a cancellation that comes meanwhile is obeyed, but the close goes on.

        Where it is closed already this does not suspend: at the loop's end generators close in any order.
        """
        if not self._closed:
            await asyncio.shield(self.start_closing())

    def start_closing(self) -> asyncio.Task[None]:
        """Begin to close, once; the task that does it."""
        if self._closing is None:
            self._closing = asyncio.get_running_loop().create_task(self._close())
        return self._closing

    async def finish(self) -> None:
        """Close at the end of the loop, which may have cancelled the task that was to do it."""
        if self._closing is not None:
            await asyncio.wait({self._closing})
        await self._close()

    async def _close(self) -> None:
        if self._reading is not None:
            self._stop(self._reading)  # another task closes what this one waits for
            await asyncio.wait({self._reading})
        for one in (self._chunks, self._inner):
            with contextlib.suppress(Exception):  # errors of reading were raised where it was read
                await one.aclose()
        with contextlib.suppress(Exception):
            await self._response.aclose()
        self._closed = True
        self._keeper.forget(self)

    def abandon(self) -> None:
        """Nobody reads any more: close on the loop that reads, if it still runs. Called from any thread."""
        self._keeper.close_soon(self)


async def _take_next(chunks: AsyncGenerator[bytes, None]) -> bytes | None:
    return await anext(chunks, None)


class LoopKeeper:
    """The open streams of one event loop, and the task that closes them where the loop ends before they do."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._open: set[OpenStream] = set()
        self._users = 0
        self._unused = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._started = asyncio.Event()

    async def enter(self) -> None:
        """Announce a stream before it is opened; `keep` or `leave` follows.

        The task must run before anything is open: one that is cancelled before its first step does nothing.
        """
        self._users += 1
        self._unused.clear()
        if self._task is None or self._task.done():
            self._started.clear()
            self._task = self._loop.create_task(self._wait())
        try:
            await self._started.wait()
        except BaseException:
            self.leave()
            raise

    def leave(self) -> None:
        """A stream that was announced is closed, or was never opened."""
        self._users -= 1
        if self._users == 0:
            self._unused.set()

    def keep(self, response: object, chunks: AsyncGenerator[bytes, None], inner: object) -> OpenStream:
        """Note an open stream."""
        opened = OpenStream(self, response, chunks, inner)
        self._open.add(opened)
        return opened

    def forget(self, opened: OpenStream) -> None:
        """Note that a stream is closed."""
        if opened in self._open:
            self._open.discard(opened)
            self.leave()

    def close_soon(self, opened: OpenStream) -> None:
        """Close a stream from wherever it is noticed that nobody reads it."""
        if not self._loop.is_closed():
            with contextlib.suppress(RuntimeError):  # the loop was closed just now
                self._loop.call_soon_threadsafe(opened.start_closing)

    async def settle(self) -> None:
        """Wait until no stream of this loop is open."""
        if self._task is not None:
            await asyncio.wait({self._task})

    async def _wait(self) -> None:
        self._started.set()
        try:
            while self._users:
                await self._unused.wait()
        finally:
            for opened in list(self._open):
                await opened.finish()


class IdleCloser:
    """Closes the idle connections of a client when its event loop ends; what is under way then is left alone."""

    def __init__(self, client: Any) -> None:
        self._waiting = _wait_for_the_end(client)
        with contextlib.suppress(StopIteration):  # that is how a step without waiting ends
            self._waiting.asend(None).send(None)

    async def aclose(self) -> None:
        """Close them now."""
        await self._waiting.aclose()


async def _wait_for_the_end(client: Any) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        for pool in pools_of(client):
            for connection in pool.connections:
                if connection.is_idle():
                    with contextlib.suppress(Exception):  # it is dropped anyway
                        await connection.aclose()


async def aclose_surely(response: Any) -> None:
    """Close a response whatever happens to the task meanwhile."""
    closing = asyncio.ensure_future(response.aclose())
    try:
        await asyncio.shield(closing)
    except asyncio.CancelledError:
        closing.add_done_callback(_take_exception)
        raise


def _take_exception(task: asyncio.Future[Any]) -> None:
    if not task.cancelled():
        task.exception()


_keepers: WeakKeyDictionary[asyncio.AbstractEventLoop, LoopKeeper] = WeakKeyDictionary()


def keeper_of() -> LoopKeeper:
    """The keeper of the running event loop."""
    loop = asyncio.get_running_loop()
    keeper = _keepers.get(loop)
    if keeper is None:
        keeper = _keepers[loop] = LoopKeeper(loop)
    return keeper
