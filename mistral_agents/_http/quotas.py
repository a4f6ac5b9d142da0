"""Quotas, as the headers of a reply report them."""

from __future__ import annotations

import re
from dataclasses import dataclass

WINDOW_SECONDS = {"minute": 60.0, "day": 86_400.0, "month": 2_592_000.0}
"""Length of each quota window, in seconds."""
_QUOTA = re.compile(r"^x-ratelimit-(limit|remaining)-(.+)-(minute|day|month)$")
_WHOLE = re.compile(r"\s*-?[0-9]{1,18}\s*")


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
