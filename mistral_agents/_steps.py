"""Steps written once and run in two ways: blocking, or on an event loop.

Whatever has a synchronous and an asynchronous form is a generator that yields jobs and receives their results; `run`
and `arun` do the jobs. What a job raises is raised inside the generator, interrupts and cancellations too, so that it
can take note of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from typing import Any, Generic, TypeVar

T = TypeVar("T")
J = TypeVar("J")


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of I/O: a blocking function and its asynchronous twin."""

    call: Callable[[], Any]
    acall: Callable[[], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Work:
    """One piece of computation; on an event loop it runs in a thread."""

    call: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Many:
    """Jobs of which a few run at the same time.

    Attributes:
        jobs: A key and a job each; read as they are started.
        limit: How many run at once.
        take: Called with key and result as each ends, never twice at a time; an exception ends the rest.
        tolerate: Exceptions handed to `take` instead of raised.
    """

    jobs: Iterable[tuple[Any, Job]]
    limit: int
    take: Callable[[Any, Any], None]
    tolerate: tuple[type[Exception], ...] = ()


Steps = Generator[Job | Work | Many, Any, T]


class Walk(Generic[J, T]):
    """Walks a generator of jobs: each move takes a result or an error and gives the next job, None at the end."""

    def __init__(self, steps: Generator[J, Any, T]) -> None:
        self._steps = steps
        self._done = False
        self._result: Any = None

    def begin(self) -> J | None:
        """The first job."""
        return self._move(next, self._steps)

    def send(self, result: object) -> J | None:
        """What comes after a job that gave `result`."""
        return self._move(self._steps.send, result)

    def throw(self, error: BaseException) -> J | None:
        """What comes after a job that failed."""
        return self._move(self._steps.throw, error)

    def close(self) -> None:
        """Leave the rest undone."""
        self._steps.close()

    def _move(self, move: Callable[[Any], J], value: object) -> J | None:
        try:
            return move(value)
        except StopIteration as end:
            self._done, self._result = True, end.value
            return None

    @property
    def result(self) -> T:
        """What the generator returned, at its end."""
        if not self._done:
            raise RuntimeError("the steps are not at their end")
        found: T = self._result
        return found


def run(steps: Steps[T]) -> T:
    """Run a generator of jobs in this thread, and its `Many` in a pool of threads."""
    try:
        step = next(steps)
        while True:
            try:
                result = _perform(step)
            except BaseException as error:  # noqa: BLE001 - the generator decides what it means
                step = steps.throw(error)
            else:
                step = steps.send(result)
    except StopIteration as end:
        found: T = end.value
        return found
    finally:
        steps.close()


def _perform(step: Job | Work | Many) -> Any:
    if not isinstance(step, Many):
        return step.call()
    _perform_many(step)
    return None


def _perform_many(many: Many) -> None:
    jobs = iter(many.jobs)
    with ThreadPoolExecutor(many.limit, thread_name_prefix="mistral-agents-sync") as pool:
        running: dict[Future[Any], Any] = {}
        try:
            while True:
                for key, job in islice(jobs, many.limit - len(running)):
                    running[pool.submit(job.call)] = key
                if not running:
                    return
                for done in wait(running, return_when=FIRST_COMPLETED).done:
                    many.take(running.pop(done), _read_outcome(done, many.tolerate))
        finally:
            for left in running:
                left.cancel()


def _read_outcome(done: Any, tolerate: tuple[type[Exception], ...]) -> Any:
    error = done.exception()
    if error is None:
        return done.result()
    if isinstance(error, tolerate):
        return error
    raise error


def collect_results(many: Iterable[Steps[T]]) -> Steps[list[T]]:
    """Several generators of jobs one after the other; what each returned."""
    found = []
    for steps in many:
        found.append((yield from steps))  # noqa: PERF401 - a comprehension can't yield
    return found


async def arun(steps: Steps[T]) -> T:
    """Run a generator of jobs on the running event loop."""
    try:
        step = next(steps)
        while True:
            try:
                result = await _aperform(step)
            except BaseException as error:  # noqa: BLE001 - the generator decides what it means
                step = steps.throw(error)
            else:
                step = steps.send(result)
    except StopIteration as end:
        found: T = end.value
        return found
    finally:
        steps.close()


async def _aperform(step: Job | Work | Many) -> Any:
    if not isinstance(step, Many):
        return await (step.acall() if isinstance(step, Job) else asyncio.to_thread(step.call))
    await _aperform_many(step)
    return None


async def _aperform_many(many: Many) -> None:
    jobs = iter(many.jobs)
    running: dict[asyncio.Task[Any], Any] = {}
    try:
        while True:
            for key, job in islice(jobs, many.limit - len(running)):
                running[asyncio.ensure_future(job.acall())] = key
            if not running:
                return
            done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                many.take(running.pop(task), _read_outcome(task, many.tolerate))
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
