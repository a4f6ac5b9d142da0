"""How long a call may take: one deadline for all its attempts, checked at every step that waits.

The deadline of a synchronous call is a context variable that the network layer of our own clients reads (see
`network`), so that each wait on a socket ends with it. An asynchronous call runs in a cancel scope instead.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from mistral_agents.errors import ConfigurationError

LONGEST = 1e8
"""The longest wait that is handed to a socket, in seconds (about three years); larger ones overflow it."""
_SHORTEST = 0.001
_current: ContextVar[Deadline | None] = ContextVar("mistral_agents_deadline", default=None)


def check_seconds(name: str, value: Any) -> float:
    """A number of seconds above 0.

    Raises:
        ConfigurationError: It is something else.
    """
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not 0 < value < math.inf:
        raise ConfigurationError(f"{name} must be a number of seconds above 0, not {value!r}.")
    return min(float(min(value, LONGEST)), LONGEST)


class Deadline:
    """A moment after which a call is over.

    Attributes:
        seconds: How long the call may take in all; None for a transfer, which only silence ends.
    """

    __slots__ = ("_end", "seconds")

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds
        self._end = math.inf if seconds is None else time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds left; infinite where there is no end."""
        return self._end - time.monotonic()

    @property
    def expired(self) -> bool:
        """Whether the time is up."""
        return self.left <= 0

    @contextmanager
    def enforced(self) -> Iterator[None]:
        """Bound every wait on a socket of this thread."""
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)


def bound_wait(timeout: float | None) -> float | None:
    """A wait on a socket, cut to what the call under way has left."""
    deadline = _current.get()
    if deadline is None or deadline.seconds is None:
        return timeout
    left = max(deadline.left, _SHORTEST)
    return left if timeout is None else min(timeout, left)
