"""One turn at a time per conversation, for threads and event loops of this process together."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from weakref import WeakValueDictionary


class TurnLock:
    """A fair lock that a thread may wait for by blocking and a coroutine by awaiting."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._held = False
        self._waiting: deque[Callable[[], bool]] = deque()

    def _take_or_queue(self, wake: Callable[[], bool]) -> bool:
        with self._mutex:
            if not self._held:
                self._held = True
                return True
            self._waiting.append(wake)
            return False

    def _leave(self, wake: Callable[[], bool]) -> None:
        """Stop waiting; where the lock was handed over already, hand it on."""
        with self._mutex:
            if wake in self._waiting:
                self._waiting.remove(wake)
                return
        self.release()

    def release(self) -> None:
        """Hand the lock to who waits longest."""
        while True:
            with self._mutex:
                if not self._waiting:
                    self._held = False
                    return
                wake = self._waiting.popleft()
            if wake():
                return

    def acquire(self) -> None:
        """Wait for the lock."""
        gate = threading.Event()

        def wake() -> bool:
            gate.set()
            return True

        if self._take_or_queue(wake):
            return
        try:
            gate.wait()
        except BaseException:
            self._leave(wake)
            raise

    async def aacquire(self) -> None:
        """Wait for the lock without blocking the event loop."""
        loop = asyncio.get_running_loop()
        gate: asyncio.Future[None] = loop.create_future()

        def open_gate() -> None:
            if not gate.done():
                gate.set_result(None)

        def wake() -> bool:
            try:
                loop.call_soon_threadsafe(open_gate)
            except RuntimeError:  # the loop of this waiter is closed: nobody is there to take the lock
                return False
            return True

        if self._take_or_queue(wake):
            return
        try:
            await gate
        except BaseException:
            self._leave(wake)
            raise

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock in a `with` block."""
        self.acquire()
        try:
            yield
        finally:
            self.release()

    @asynccontextmanager
    async def aheld(self) -> AsyncIterator[None]:
        """Hold the lock in an `async with` block."""
        await self.aacquire()
        try:
            yield
        finally:
            self.release()


_locks: WeakValueDictionary[tuple[str, str], TurnLock] = WeakValueDictionary()
_mutex = threading.Lock()


def lock_of(base_url: str, conversation_id: str) -> TurnLock:
    """The lock of a conversation, the same for every object of this process that holds it."""
    with _mutex:
        key: Any = (base_url, conversation_id)
        lock = _locks.get(key)
        if lock is None:
            lock = _locks[key] = TurnLock()
        return lock
