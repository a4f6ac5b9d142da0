"""One turn at a time per conversation, for threads and event loops of this process together."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol
from weakref import WeakValueDictionary

_PATIENCE = 300.0


class Hold(Protocol):
    """What holds the lock and may have been left by who reads it (see `streams`)."""

    def give_up(self, patience: float) -> None:
        """End it, where it was left for `patience` seconds or by the caller itself."""


class TurnLock:
    """A fair lock that a thread may wait for by blocking and a coroutine by awaiting.

    Who waits looks after the holder: a stream that was left is given up.
    """

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._held = False
        self._hold: Hold | None = None
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

    def _give_up_hold(self, patience: float) -> None:
        hold = self._hold
        if hold is not None:
            hold.give_up(patience)

    def release(self) -> None:
        """Hand the lock to who waits longest."""
        while True:
            with self._mutex:
                self._hold = None
                if not self._waiting:
                    self._held = False
                    return
                wake = self._waiting.popleft()
            if wake():
                return

    def acquire(self, hold: Hold | None = None, patience: float = _PATIENCE) -> None:
        """Wait for the lock.

        Args:
            hold: A stream that is to hold it.
            patience: Seconds after which a stream that holds it and is not read on is given up.
        """
        gate = threading.Event()

        def wake() -> bool:
            gate.set()
            return True

        if not self._take_or_queue(wake):
            try:
                self._give_up_hold(patience)
                while not gate.wait(patience):
                    self._give_up_hold(patience)
            except BaseException:
                self._leave(wake)
                raise
        self._hold = hold

    async def aacquire(self, hold: Hold | None = None, patience: float = _PATIENCE) -> None:
        """As `acquire`, without blocking the event loop."""
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

        if not self._take_or_queue(wake):
            try:
                self._give_up_hold(patience)
                while not (await asyncio.wait({gate}, timeout=patience))[0]:
                    self._give_up_hold(patience)
            except BaseException:
                self._leave(wake)
                raise
        self._hold = hold

    @contextmanager
    def held(self, hold: Hold | None = None, patience: float = _PATIENCE) -> Iterator[None]:
        """Hold the lock in a `with` block."""
        self.acquire(hold, patience)
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
