"""A clock that stands still, and ids that are the same in every run."""

from __future__ import annotations

import random
from typing import Any

from typing_extensions import Self

from mistral_agents_server import ids

_START = 1_767_225_600
"""2026-01-01T00:00:00Z, in seconds since 1970."""


class FrozenClock:
    """Holds the clock and the ids of every stand-in of this process, as a context manager.

    What it reaches: ids of all kinds, and the times of conversations, agents, entries, libraries and documents. Times
    in whole seconds (files, batch jobs, chat completions), expiry and quotas go on by the real clock. Ids depend on
    the order of requests, so requests at the same time may exchange theirs.

    Args:
        at: the time, in seconds since 1970; without it the start of 2026.
        seed: what the ids follow from.
    """

    def __init__(self, at: float = _START, seed: int = 0) -> None:
        self._at = int(at * 1_000_000_000)
        self._random = random.Random(seed)  # noqa: S311 - made to repeat itself
        self._before: Any = None

    def advance(self, seconds: float) -> None:
        """Move the clock."""
        self._at += int(seconds * 1_000_000_000)

    def time_ns(self) -> int:
        """The time in nanoseconds since 1970."""
        return self._at

    def bits(self, count: int) -> int:
        """The next so many bits of an id."""
        return self._random.getrandbits(count)

    def __enter__(self) -> Self:
        self._before, ids.source = ids.source, self
        return self

    def __exit__(self, *_: object) -> None:
        ids.source = self._before
