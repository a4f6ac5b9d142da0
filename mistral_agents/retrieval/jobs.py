"""Steps of a sync written once and run in two ways: with threads, or on an event loop.

A sync is a generator that yields jobs and receives their results; `run` and `arun` do the jobs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

T = TypeVar("T")


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


def run(steps: Steps[T]) -> T:
    """Run a generator of jobs in this thread, and its `Many` in a pool of threads."""
    resume: Callable[[Any], Any] = steps.send
    value: Any = None
    try:
        while True:
            step = resume(value)
            try:
                resume, value = steps.send, _perform(step)
            except Exception as error:  # noqa: BLE001 - the generator decides what it means
                resume, value = steps.throw, error
    except StopIteration as done:
        result: T = done.value
        return result
    finally:
        steps.close()


def _perform(step: Job | Work | Many) -> Any:
    if not isinstance(step, Many):
        return step.call()
    _many(step)
    return None


def _many(many: Many) -> None:
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
                    many.take(running.pop(done), _outcome(done, many.tolerate))
        finally:
            for left in running:
                left.cancel()


def _outcome(done: Any, tolerate: tuple[type[Exception], ...]) -> Any:
    error = done.exception()
    if error is None:
        return done.result()
    if isinstance(error, tolerate):
        return error
    raise error


async def arun(steps: Steps[T]) -> T:
    """Run a generator of jobs on the running event loop."""
    resume: Callable[[Any], Any] = steps.send
    value: Any = None
    try:
        while True:
            step = resume(value)
            try:
                resume, value = steps.send, await _astep(step)
            except Exception as error:  # noqa: BLE001 - the generator decides what it means
                resume, value = steps.throw, error
    except StopIteration as done:
        result: T = done.value
        return result
    finally:
        steps.close()


async def _astep(step: Job | Work | Many) -> Any:
    if not isinstance(step, Many):
        return await (step.acall() if isinstance(step, Job) else asyncio.to_thread(step.call))
    await _amany(step)
    return None


async def _amany(many: Many) -> None:
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
                many.take(running.pop(task), _outcome(task, many.tolerate))
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
