"""One turn at a time per conversation, for threads and event loops of this process together.

Who waits does not wait for a stream that nobody reads any more: a stream that the waiting reader itself has left is
closed at once, one that another reader left when the wait grew too long. A turn that is at work is waited for as long
as it takes, unless one and the same turn outlasts the patience of who waits.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol
from weakref import ReferenceType, WeakValueDictionary, ref

from mistral_agents.errors import TimeoutExceededError

_BUSY = "Another turn of this conversation has been at work for {:.0f} seconds; this one was not sent."


class Leavable(Protocol):
    """A stream that holds locks while it is read."""

    @property
    def is_suspended(self) -> bool:
        """Whether it waits for its reader, not for the service."""

    def leave(self) -> None:
        """Close it for its reader."""

    async def aleave(self) -> None:
        """As `leave`, on an event loop."""


Reader = tuple[int, ReferenceType[Any] | None]


def current_reader() -> Reader:
    """The thread, and the task where there is one."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        task = None
    return threading.get_ident(), ref(task) if task is not None else None


@dataclass(eq=False, slots=True)
class Hold:
    """Who holds locks: a call, or a stream.

    Attributes:
        reader: Who reads it, or who called.
        stream: The stream; None for a call, and once nobody has it any more.
        locks: The locks that it holds.
    """

    reader: Reader = field(default_factory=current_reader)
    stream: Callable[[], Leavable | None] = lambda: None
    locks: list[TurnLock] = field(default_factory=list)

    def release(self) -> None:
        """Release whatever is held."""
        while self.locks:
            self.locks[-1].release(self)

    def suspended_stream(self) -> Leavable | None:
        """The stream, where it waits for its reader."""
        stream = self.stream()
        return stream if stream is not None and stream.is_suspended else None


class TurnLock:
    """A fair lock that a thread may wait for by blocking and a coroutine by awaiting."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._holder: Hold | None = None
        self._waiting: deque[tuple[Hold, Callable[[], bool]]] = deque()

    def _take_or_queue(self, hold: Hold, wake: Callable[[], bool]) -> bool:
        with self._mutex:
            if self._holder is None:
                self._give(hold)
                return True
            self._waiting.append((hold, wake))
            return False

    def _give(self, hold: Hold) -> None:
        self._holder = hold
        hold.locks.append(self)

    def _leave_queue(self, hold: Hold) -> None:
        """Stop waiting; where the lock was handed over already, hand it on."""
        with self._mutex:
            for entry in self._waiting:
                if entry[0] is hold:
                    self._waiting.remove(entry)
                    return
        self.release(hold)

    def release(self, hold: Hold) -> None:
        """Hand the lock to who waits longest; nothing happens where `hold` does not have it (any more)."""
        while True:
            with self._mutex:
                if self._holder is not hold:
                    return
                hold.locks.remove(self)
                self._holder = None
                if not self._waiting:
                    return
                hold, wake = self._waiting.popleft()
                self._give(hold)
            if wake():
                return

    def _stream_of_same_reader(self, hold: Hold) -> Leavable | None:
        holder = self._holder
        return holder.suspended_stream() if holder is not None and holder.reader == hold.reader else None

    def acquire(self, hold: Hold, patience: float | None = None) -> None:
        """Wait for the lock.

        Args:
            hold: Who wants it.
            patience: Seconds to wait for one and the same turn; None waits for ever.

        Raises:
            TimeoutExceededError: That turn is still at work.
        """
        gate = threading.Event()

        def wake() -> bool:
            gate.set()
            return True

        if self._take_or_queue(hold, wake):
            return
        try:
            stream = self._stream_of_same_reader(hold)
            if stream is not None:
                stream.leave()
            waited_for = self._holder
            while not gate.wait(patience):
                stream, waited_for = self._stream_to_leave(waited_for, patience)
                if stream is not None:
                    stream.leave()
        except BaseException:
            self._leave_queue(hold)
            raise

    async def aacquire(self, hold: Hold, patience: float | None = None) -> None:
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

        if self._take_or_queue(hold, wake):
            return
        try:
            stream = self._stream_of_same_reader(hold)
            if stream is not None:
                await stream.aleave()
            waited_for = self._holder
            while not (await asyncio.wait([gate], timeout=patience))[0]:
                stream, waited_for = self._stream_to_leave(waited_for, patience)
                if stream is not None:
                    await stream.aleave()
        except BaseException:
            self._leave_queue(hold)
            raise

    def _stream_to_leave(self, waited_for: Hold | None, patience: float | None) -> tuple[Leavable | None, Hold | None]:
        """After a wait in vain: the stream that nobody reads, and whom to wait for next."""
        holder = self._holder
        if holder is None or holder is not waited_for:
            return None, holder
        stream = holder.suspended_stream()
        if stream is None:
            raise TimeoutExceededError(_BUSY.format(patience), hint="Send it again when the other turn is done.")
        return stream, None

    @contextmanager
    def held(self, hold: Hold | None = None, patience: float | None = None) -> Iterator[None]:
        """Hold the lock in a `with` block."""
        mine = hold if hold is not None else Hold()
        self.acquire(mine, patience)
        try:
            yield
        finally:
            self.release(mine)

    @asynccontextmanager
    async def aheld(self, hold: Hold | None = None, patience: float | None = None) -> AsyncIterator[None]:
        """Hold the lock in an `async with` block."""
        mine = hold if hold is not None else Hold()
        await self.aacquire(mine, patience)
        try:
            yield
        finally:
            self.release(mine)


_locks: WeakValueDictionary[tuple[str, ...], TurnLock] = WeakValueDictionary()
_mutex = threading.Lock()


def lock_of(*key: str) -> TurnLock:
    """The lock of a conversation (by the service's address and its id), the same everywhere in this process."""
    with _mutex:
        lock = _locks.get(key)
        if lock is None:
            lock = _locks[key] = TurnLock()
        return lock
