"""One turn at a time per conversation, for threads and event loops of this process together.

Who waits does not wait for a stream that nobody reads any more: one that can't be read on while somebody waits (its
reader is who waits, or runs in the thread that the wait stops) is closed at once, any other when it was not read for
`ABANDONED_AFTER` seconds. A turn that is at work is waited for as long as it takes, unless one and the same turn
outlasts the patience of who waits; one that waits for this very call is told at once.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol
from weakref import ReferenceType, WeakValueDictionary, ref

from mistral_agents._forks import renew_in_children
from mistral_agents.errors import ConfigurationError, TimeoutExceededError

ABANDONED_AFTER = 5.0
"""Seconds without a reader after which a stream counts as left, where another turn waits for its conversation."""
_BUSY = "Another turn of this conversation has been at work for {:g} seconds; this one was not sent."
_KNOT = "A turn of this conversation is at work that can't go on while this call waits for it; this one was not sent."


class Leavable(Protocol):
    """A stream that holds locks while it is read."""

    @property
    def unread_seconds(self) -> float | None:
        """For how long it has been waiting for its reader; None while it waits for the service."""

    def leave(self) -> None:
        """Close it for its reader."""

    async def aleave(self) -> None:
        """As `leave`, on an event loop."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads a stream, or called.

    Attributes:
        thread: The thread.
        task: The task where there is one.
    """

    thread: int
    task: ReferenceType[Any] | None

    def is_stopped_by(self, other: Reader, *, blocking: bool) -> bool:
        """Whether this one can't go on while the other waits, which stops its thread or only its task."""
        return self.thread == other.thread and (blocking or self.task is None or self.task == other.task)


def current_reader() -> Reader:
    """The thread, and the task where there is one."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        task = None
    return Reader(threading.get_ident(), ref(task) if task is not None else None)


@dataclass(eq=False, slots=True)
class Hold:
    """Who holds locks: a call, or a stream.

    Attributes:
        reader: Who reads it, or who called.
        stream: The stream; None for a call, and once nobody has it any more.
        locks: The locks that it holds.
        note_left: Told where another turn takes its place before its stream was closed, which its loop does later.
        reading: The turn's own stream, while it is read.
        stopped: Whether its stream was closed by another thread or task while it was read.
    """

    reader: Reader = field(default_factory=current_reader)
    stream: Callable[[], Leavable | None] = lambda: None
    locks: list[TurnLock] = field(default_factory=list)
    note_left: Callable[[], None] = lambda: None
    reading: Any = None
    stopped: bool = False

    def give_way(self) -> None:
        """Release whatever is held, for another turn."""
        self.note_left()
        self.release()

    def release(self) -> None:
        """Release whatever is held."""
        while self.locks:
            self.locks[-1].release(self)

    def begin_reading(self, stream: Any) -> None:
        """Note the stream of a turn, which who closes this one closes too.

        Raises:
            GeneratorExit: It was closed already.
        """
        self.reading = stream
        self.check_stop()

    def check_stop(self) -> None:
        """End the exchange as where its reader leaves.

        Raises:
            GeneratorExit: Another thread or task closed the stream.
        """
        if self.stopped:
            raise GeneratorExit

    @property
    def is_orphan(self) -> bool:
        """Whether its stream is gone: an event loop closes what is left of it, once it gets to run."""
        return isinstance(self.stream, ReferenceType) and self.stream() is None

    def unread_stream(self, seconds: float) -> Leavable | None:
        """The stream, where it has been waiting for its reader for so long."""
        stream = self.stream()
        unread = stream.unread_seconds if stream is not None else None
        return stream if unread is not None and unread >= seconds else None


class Wait:
    """Watches for whom a turn waits, and says which stream to close, or that the wait is over."""

    def __init__(self, lock: TurnLock, hold: Hold, patience: float | None) -> None:
        self._lock = lock
        self._hold = hold
        self._patience = patience
        self._note_holder(lock.holder)

    def _note_holder(self, holder: Hold | None) -> None:
        self._holder, self._since = holder, time.monotonic()

    @property
    def step(self) -> float | None:
        """Seconds until it is time to look again; None for never."""
        return min(self._patience, ABANDONED_AFTER) if self._patience is not None else None

    def find_knot(self, *, blocking: bool) -> Leavable | None:
        """The stream that can't be read on while this turn waits.

        Raises:
            ConfigurationError: What can't go on is no stream that could be closed.
        """
        holder = self._holder
        if holder is None or not holder.reader.is_stopped_by(self._hold.reader, blocking=blocking):
            return None
        stream = holder.unread_stream(0.0)
        if stream is None and holder.is_orphan:
            if blocking:
                holder.give_way()
        elif stream is None and self._lock.holder is holder:
            raise ConfigurationError(
                _KNOT,
                hint="On an event loop use the asynchronous methods (aappend, astream); a function of a conversation "
                "must not ask the same conversation.",
            )
        return stream

    def find_abandoned(self) -> Leavable | None:
        """After a step in vain: the stream that nobody reads.

        Raises:
            TimeoutExceededError: One and the same turn outlasts the patience.
        """
        holder = self._lock.holder
        if holder is None or holder is not self._holder or self._patience is None:
            self._note_holder(holder)
            return None
        stream = holder.unread_stream(min(self._patience, ABANDONED_AFTER))
        if stream is None and time.monotonic() - self._since >= self._patience:
            raise TimeoutExceededError(_BUSY.format(self._patience), hint="Send it again when the other turn is done.")
        return stream


class TurnLock:
    """A fair lock that a thread may wait for by blocking and a coroutine by awaiting."""

    def __init__(self) -> None:
        self._holder: Hold | None = None
        self.renew()
        renew_in_children(self)

    def renew(self) -> None:
        """In a forked process: who holds the lock and who waits for it are threads of its parent."""
        self._mutex = threading.RLock()
        self._waiting: deque[tuple[Hold, Callable[[], bool]]] = deque()
        holder, self._holder = self._holder, None
        if holder is not None:
            holder.locks[:] = [lock for lock in holder.locks if lock is not self]

    def __reduce__(self) -> tuple[type[TurnLock], tuple[()]]:
        return TurnLock, ()  # nobody holds a copy

    def _take_or_queue(self, hold: Hold, wake: Callable[[], bool]) -> bool:
        entry = (hold, wake)
        with self._mutex:
            self._waiting.append(entry)  # first: a stream that is dropped meanwhile hands the lock to who waits
            if self._holder is None:
                self._waiting.remove(entry)
                self._give(hold)
            return self._holder is hold

    def _give(self, hold: Hold) -> None:
        self._holder = hold
        hold.locks.append(self)

    def _leave_queue(self, hold: Hold) -> None:
        """Stop waiting; where the lock was handed over already, hand it on."""
        with self._mutex:
            for entry in tuple(self._waiting):
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

    @property
    def holder(self) -> Hold | None:
        """Who holds it now."""
        return self._holder

    def acquire(self, hold: Hold, patience: float | None = None) -> None:
        """Wait for the lock.

        Args:
            hold: Who wants it.
            patience: Seconds to wait for one and the same turn; None waits for ever.

        Raises:
            ConfigurationError: That turn can't go on while this call waits.
            TimeoutExceededError: That turn is still at work.
        """
        gate = threading.Event()

        def wake() -> bool:
            gate.set()
            return True

        if self._take_or_queue(hold, wake):
            return
        try:
            wait = Wait(self, hold, patience)
            stream = wait.find_knot(blocking=True)
            if stream is not None:
                stream.leave()
            while not gate.wait(wait.step):
                stream = wait.find_abandoned()
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
            wait = Wait(self, hold, patience)
            stream = wait.find_knot(blocking=False)
            if stream is not None:
                await stream.aleave()
            while not (await asyncio.wait([gate], timeout=wait.step))[0]:
                stream = wait.find_abandoned()
                if stream is not None:
                    await stream.aleave()
        except BaseException:
            self._leave_queue(hold)
            raise

    @contextmanager
    def held(self, hold: Hold | None = None, patience: float | None = None) -> Iterator[None]:
        """Hold the lock in a `with` block."""
        mine = hold if hold is not None else Hold()
        self.acquire(mine, patience)
        try:
            yield
        finally:
            self.release(mine)

    async def aheld(self, hold: Hold | None = None, patience: float | None = None) -> ExitStack:
        """As `held`, without blocking: `with await lock.aheld():`.

        To let go needs no waiting. An asynchronous context made of a generator would: an event loop that ends closes
        all generators at once, and a stream would find its own context being closed already.
        """
        mine = hold if hold is not None else Hold()
        await self.aacquire(mine, patience)
        with ExitStack() as stack:
            stack.callback(self.release, mine)
            return stack.pop_all()


_locks: WeakValueDictionary[tuple[str, ...], TurnLock] = WeakValueDictionary()
_mutex = threading.Lock()


def lock_of(*key: str) -> TurnLock:
    """The lock of a conversation (by the service's address and its id), the same everywhere in this process."""
    with _mutex:
        lock = _locks.get(key)
        if lock is None:
            lock = _locks[key] = TurnLock()
        return lock
