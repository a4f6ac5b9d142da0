"""One refresh at a time: whoever comes meanwhile, from any thread or event loop, waits for the same result."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

from mistral_agents._forks import renew_in_children

T = TypeVar("T")


class _AbandonedError(Exception):
    """The one who led was cancelled; another takes over."""


class SingleFlight(Generic[T]):
    """Runs a piece of work for all who ask while it runs."""

    def __init__(self) -> None:
        self.renew()
        renew_in_children(self)

    def renew(self) -> None:
        """Forget what is at work: in a copy and in a forked process nobody is."""
        self._lock = threading.Lock()
        self._flight: tuple[Future[T], int] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.renew()
        renew_in_children(self)

    def _join(self) -> tuple[Future[T], bool, bool]:
        """The flight to wait for, whether the caller leads it, and whether it is led from this thread."""
        here = threading.get_ident()
        with self._lock:
            if self._flight is not None:
                return self._flight[0], False, self._flight[1] == here
            self._flight = (Future(), here)
            return self._flight[0], True, False

    def _land(self, flight: Future[T], result: T | None, error: BaseException | None) -> None:
        with self._lock:
            self._flight = None
        if error is None:
            flight.set_result(result)  # type: ignore[arg-type]
        else:
            flight.set_exception(error if isinstance(error, Exception) else _AbandonedError())

    def run(self, work: Callable[[], T]) -> T:
        """Do the work, or wait for whoever is doing it.

        A blocking call made on a thread whose event loop is doing the work can't wait for it, so it does its own.
        """
        while True:
            flight, leads, same_thread = self._join()
            if same_thread:
                return work()
            if leads:
                try:
                    result = work()
                except BaseException as error:
                    self._land(flight, None, error)
                    raise
                self._land(flight, result, None)
                return result
            try:
                return flight.result()
            except _AbandonedError:
                continue

    async def arun(self, work: Callable[[], Awaitable[T]]) -> T:
        """As `run`, without blocking."""
        while True:
            flight, leads, _ = self._join()
            if leads:
                try:
                    result = await work()
                except BaseException as error:
                    self._land(flight, None, error)
                    raise
                self._land(flight, result, None)
                return result
            try:
                return await asyncio.shield(asyncio.wrap_future(flight))
            except _AbandonedError:
                continue
