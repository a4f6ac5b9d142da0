"""Counts of what was used, the headers that show them, and the limits that run out.

The numbers shown without `--quota` are those seen on accounts of the service; they are shown and never enforced.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from mistral_agents_server.errors import rate_limited
from mistral_agents_server.settings import Quota

MINUTE = 60.0
DAY = 86_400.0

_SHOWN_PER_MINUTE = {
    "tokens": 500_000,
    "web_search": 30,
    "image_generation": 10,
    "document_library": 30,
    "document_library_mcp": 30,
    "open_library_result": 30,
    "code_interpreter": 30,
    "document": 100,
}
_SHOWN_PER_DAY = {
    "web_search": 10_000,
    "image_generation": 10_000,
    "document_library": 30_000,
    "document_library_mcp": 30_000,
    "open_library_result": 30_000,
    "code_interpreter": 10_000,
    "document": 5_000,
}
_ALSO_COUNTED = ("web_search_premium",)
_OTHER_PER_MINUTE = 30
_OTHER_PER_DAY = 10_000


def check_quotas(limits: Sequence[Quota], connector_functions: Sequence[str] = ()) -> None:
    """Check that each limit is one of something that is counted.

    Raises:
        ValueError: nothing of that name is counted here, or a tool has two limits.
    """
    known = {*_SHOWN_PER_MINUTE, *_ALSO_COUNTED, *connector_functions}
    for limit in limits:
        if limit.tool not in known:
            raise ValueError(f"a quota of {limit.tool} would limit nothing; there are {', '.join(sorted(known))}")
    tools = [limit.tool for limit in limits]
    if twice := sorted({tool for tool in tools if tools.count(tool) > 1}):
        raise ValueError(f"there are two quotas of {', '.join(twice)}; give each tool one")


class QuotaBook:
    """Counts uses over the last minute and day.

    Args:
        limits: the limits that are enforced.
        clock: seconds; for tests.
    """

    def __init__(self, limits: Sequence[Quota] = (), clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = {limit.tool: limit.per_minute for limit in limits}
        self._clock = clock
        self._uses: dict[str, deque[tuple[float, int]]] = {}
        self._lock = threading.Lock()

    def count(self, tool: str, amount: int = 1) -> None:
        """Note a use."""
        with self._lock:
            self._uses.setdefault(tool, deque()).append((self._clock(), amount))

    def used(self, tool: str, seconds: float) -> int:
        """Uses in the last `seconds`, which are at most a day."""
        now = self._clock()
        with self._lock:
            uses = self._uses.get(tool)
            if uses is None:
                return 0
            while uses and uses[0][0] < now - DAY:
                uses.popleft()
            return sum(amount for at, amount in uses if at >= now - seconds)

    def is_empty(self, tool: str) -> bool:
        """Whether an enforced limit has run out."""
        limit = self._limits.get(tool)
        return limit is not None and self.used(tool, MINUTE) >= limit

    def require(self, tools: Iterable[str]) -> None:
        """Check that something is left of each.

        Raises:
            ApiError: 429 with the headers of the tool that ran out.
        """
        for tool in tools:
            if self.is_empty(tool):
                raise rate_limited(self.headers([tool]))

    def headers(self, tools: Iterable[str]) -> dict[str, str]:
        """The `x-ratelimit-…` headers of the given tools; tools of connectors are shown with the same numbers."""
        found: dict[str, str] = {}
        for tool in tools:
            limit = self._limits.get(tool, _SHOWN_PER_MINUTE.get(tool, _OTHER_PER_MINUTE))
            found |= _pair(tool, "minute", limit, self.used(tool, MINUTE))
            if tool != "tokens":
                found |= _pair(tool, "day", _SHOWN_PER_DAY.get(tool, _OTHER_PER_DAY), self.used(tool, DAY))
        return found


def _pair(tool: str, unit: str, limit: int, used: int) -> dict[str, str]:
    name = tool.replace("_", "-")
    return {
        f"x-ratelimit-limit-{name}-{unit}": str(limit),
        f"x-ratelimit-remaining-{name}-{unit}": str(max(limit - used, 0)),
    }
