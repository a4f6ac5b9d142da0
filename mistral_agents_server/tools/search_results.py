"""The shape that all searches of the service answer in: a JSON object of hits by a short id."""

from __future__ import annotations

import json
import secrets
import string
from typing import Any

Wire = dict[str, Any]

_ID_CHARACTERS = string.ascii_letters + string.digits
_ID_LENGTH = 8


def hit(
    url: str,
    title: str,
    description: str,
    snippets: list[str],
    *,
    rank: int,
    source: str,
    metadata: Wire,
    date: str | None = None,
) -> Wire:
    """One hit."""
    return {
        "url": url,
        "title": title,
        "description": description,
        "snippets": snippets,
        "date": date,
        "rank": rank,
        "source": source,
        "metadata": metadata,
        "can_open": True,
    }


def keyed(hits: list[Wire]) -> str:
    """The hits as JSON, each under an id of its own."""
    return json.dumps({_short_id(): found for found in hits})


def opened(url: str, title: str, content: str, *, can_open: bool, **more: Any) -> str:
    """An opened hit as JSON, without spaces, as on the service."""
    body = {"url": url, "content": content, "can_open": can_open, "title": title, **more}
    return json.dumps(body, separators=(",", ":"))


def _short_id() -> str:
    return "".join(secrets.choice(_ID_CHARACTERS) for _ in range(_ID_LENGTH))
