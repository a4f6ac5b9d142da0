"""Watches the stream of one turn and says when a policy's limit on tool runs or their seconds is passed."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Any

from mistral_agents._json import JsonDict
from mistral_agents._tools.policy import Policy
from mistral_agents.errors import ToolBudgetExceededError

_HINT = "The answer so far is in `.turn`. The service may go on with the turn: read the history before you continue."


def exceeded(message: str) -> ToolBudgetExceededError:
    """The error that ends a turn."""
    return ToolBudgetExceededError(message, hint=_HINT)


class TurnGuard:
    """Counts the runs of each tool, and times those that are under way."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._runs: dict[str, int] = {}
        self._due: dict[Any, tuple[float, str]] = {}

    def take(self, event: JsonDict) -> None:
        """Note an event.

        Raises:
            ToolBudgetExceededError: A tool began one run too many, or one took too long.
        """
        self.check_time()
        kind, key = event.get("type"), event.get("id")
        if kind == "tool.execution.started":
            for tool in {event.get("name"), event.get("function")}:
                if isinstance(tool, str):
                    self._note_start(tool, key)
        elif kind == "tool.execution.done":
            self._due.pop(key, None)

    def _note_start(self, tool: str, key: object) -> None:
        self._runs[tool] = self._runs.get(tool, 0) + 1
        most = self._policy.tool_runs.get(tool)
        if most is not None and self._runs[tool] > most:
            raise exceeded(f"{tool} began run {self._runs[tool]} of this turn; {most} are allowed.")
        seconds = self._policy.tool_seconds.get(tool)
        if seconds is not None:
            self._due[key] = (time.monotonic() + seconds, tool)

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the first run under way is overdue; None where none is timed."""
        return min(due for due, _ in self._due.values()) - time.monotonic() if self._due else None

    def check_time(self) -> None:
        """Look at the clock.

        Raises:
            ToolBudgetExceededError: A run is overdue.
        """
        now = time.monotonic()
        for due, tool in self._due.values():
            if now >= due:
                raise exceeded(f"A run of {tool} took more than {self._policy.tool_seconds[tool]} s.")

    def watch(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """The same chunks, but given up when a run is overdue while nothing arrives.

        A thread reads, since a blocked read can't be stopped; it ends with the connection.
        """
        if not self._policy.tool_seconds:
            yield from chunks
            return
        arrived: queue.SimpleQueue[tuple[bytes | None, BaseException | None]] = queue.SimpleQueue()
        threading.Thread(target=_pump, args=(chunks, arrived), name="mistral-agents-turn", daemon=True).start()
        while True:
            left = self.seconds_left
            try:
                chunk, error = arrived.get(timeout=None if left is None else max(left, 0.0))
            except queue.Empty:
                self.check_time()
                continue
            if error is not None:
                raise error
            if chunk is None:
                return
            yield chunk

    async def awatch(self, chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        """As `watch`, without blocking."""
        while True:
            left = self.seconds_left
            try:
                chunk = await asyncio.wait_for(chunks.__anext__(), None if left is None else max(left, 0.0))
            except StopAsyncIteration:
                return
            except asyncio.TimeoutError:
                self.check_time()
                raise
            yield chunk


def _pump(chunks: Iterator[bytes], arrived: queue.SimpleQueue[tuple[bytes | None, BaseException | None]]) -> None:
    try:
        for chunk in chunks:
            arrived.put((chunk, None))
    except BaseException as error:  # noqa: BLE001 - handed to the reader, who raises it
        arrived.put((None, error))
    else:
        arrived.put((None, None))
