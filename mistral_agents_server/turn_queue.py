"""How many turns are run, and how many wait, before the next is sent away."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import cached_property, partial
from typing import Any, Final, ParamSpec, TypeVar

import anyio
import anyio.to_thread

from mistral_agents_server.errors import rate_limited

P = ParamSpec("P")
Result = TypeVar("Result")
Item = TypeVar("Item")

_END: Final = object()
_RETRY_AFTER_SECONDS = "1"


class TurnQueue:
    """A bounded queue with threads of its own, so that turns never take the threads that answer everything else.

    A turn that finds no place is refused with a 429, not a 503: it surely was not run, and clients may repeat it.

    Args:
        places: turns at once, running and waiting.
        threads: turns of which a step runs at the same time.
    """

    def __init__(self, places: int, threads: int = 32) -> None:
        self._places = places
        self._threads = threads
        self._taken = 0

    @cached_property
    def _limiter(self) -> anyio.CapacityLimiter:
        return anyio.CapacityLimiter(self._threads)  # belongs to the running event loop, so not made before

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Hold a place for one turn.

        Raises:
            ApiError: 429 with `Retry-After` when all are taken.
        """
        if self._taken >= self._places:
            raise rate_limited({"retry-after": _RETRY_AFTER_SECONDS})
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1

    async def run(self, work: Callable[P, Result], *args: P.args, **kwargs: P.kwargs) -> Result:
        """Do something in a thread and wait for it."""
        return await anyio.to_thread.run_sync(partial(work, *args, **kwargs), limiter=self._limiter)

    async def iterate(self, items: Iterator[Item]) -> AsyncIterator[Item]:
        """The items of a blocking iterator; each step is made in a thread."""
        while (item := await self.run(_next, items)) is not _END:
            yield item


def _next(items: Iterator[Any]) -> Any:
    return next(items, _END)
