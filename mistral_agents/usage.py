"""Tokens, connector calls and quotas, as the service reports them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mistral_agents._display.shown import Shown

WINDOW_SECONDS = {"minute": 60.0, "day": 86_400.0, "month": 2_592_000.0}
"""Length of each quota window, in seconds."""
_QUOTA = re.compile(r"^x-ratelimit-(limit|remaining)-(.+)-(minute|day|month)$")
_WHOLE = re.compile(r"\s*-?[0-9]{1,18}\s*")


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


@dataclass(frozen=True, slots=True)
class Usage(Shown):
    """Tokens of one turn.

    In every reply recorded `total_tokens` is prompt + completion + connector tokens; the service may also send zeros.

    Attributes:
        prompt_tokens: Tokens of the input and history.
        completion_tokens: Tokens written by the model.
        connector_tokens: Tokens that hosted tools added (search results, code output).
        total_tokens: As reported; the sum of the others where the service left it out.
        connectors: Calls per connector; the keys are open-ended and differ from the entries' names.
        raw: The usage object as it came.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    connector_tokens: int = 0
    total_tokens: int = 0
    connectors: dict[str, int] = field(default_factory=dict)
    raw: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_wire(cls, data: Any) -> Usage:
        """Read a usage object; anything missing or null counts as zero."""
        if not isinstance(data, dict):
            return cls()
        prompt, completion = _count(data.get("prompt_tokens")), _count(data.get("completion_tokens"))
        connector, calls = _count(data.get("connector_tokens")), data.get("connectors")
        total = data.get("total_tokens")
        return cls(
            prompt_tokens=prompt,
            completion_tokens=completion,
            connector_tokens=connector,
            total_tokens=_count(total) if total is not None else prompt + completion + connector,
            connectors={str(k): _count(v) for k, v in calls.items()} if isinstance(calls, dict) else {},
            raw=data,
        )

    def __add__(self, other: Usage) -> Usage:
        calls = dict(self.connectors)
        for name, count in other.connectors.items():
            calls[name] = calls.get(name, 0) + count
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.connector_tokens + other.connector_tokens,
            self.total_tokens + other.total_tokens,
            calls,
        )


@dataclass(frozen=True, slots=True)
class Quota:
    """One quota read from the headers of a reply.

    Attributes:
        name: What is counted, e.g. `tokens`, `web-search`, `code-interpreter`.
        window: `minute`, `day` or `month`.
        limit: Calls (or tokens) allowed in the window; None where not told.
        remaining: What is left of it; None where not told.
    """

    name: str
    window: str
    limit: int | None
    remaining: int | None


def quotas_from_headers(headers: dict[str, str]) -> list[Quota]:
    """Every quota named by `x-ratelimit-{limit,remaining}-<name>-<window>` headers (streams carry none).

    A value that is no whole number is passed over: an answer is never lost for a header.
    """
    found: dict[tuple[str, str], dict[str, int]] = {}
    for key, value in headers.items():
        match = _QUOTA.match(key.lower())
        if match and _WHOLE.fullmatch(value):
            side, name, window = match.groups()
            found.setdefault((name, window), {})[side] = int(value)
    return [Quota(name, window, q.get("limit"), q.get("remaining")) for (name, window), q in sorted(found.items())]


@dataclass(frozen=True, slots=True)
class Prices:
    """A price table of your own: none is built in, since prices change and depend on the plan.

    Attributes:
        tokens: Per model: price of a million tokens read, and of a million written. `*` stands for the rest.
        calls: Per connector, by the keys of `usage.connectors`: price of one call.
        currency: For display.
    """

    tokens: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    calls: Mapping[str, float] = field(default_factory=dict)
    currency: str = "USD"

    def of(self, usage: Usage, model: str | None) -> float | None:
        """The price of a turn; None where the table has no price for its model.

        Tokens that connectors added are counted as read, which they are by the model; how the service bills them is
        not documented. A connector that is not in the table costs nothing here.
        """
        found = self.tokens.get(model if model is not None else "*", self.tokens.get("*"))
        if found is None:
            return None
        read, written = found
        total = (usage.prompt_tokens + usage.connector_tokens) * read + usage.completion_tokens * written
        return total / 1e6 + sum(self.calls.get(name, 0.0) * count for name, count in usage.connectors.items())
