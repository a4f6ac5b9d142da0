"""Small texts that several views share."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from mistral_agents._display.blocks import Table
from mistral_agents._http.concealed import masked
from mistral_agents._turn.content import parse_time
from mistral_agents.usage import Prices, Usage

_LONGEST = 200  # characters of a table's cell
_WIDE = 40  # characters of a column in plain text


def shorten(text: str, most: int = _LONGEST) -> str:
    """At most so many characters, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"


def write_value(value: object) -> str:
    """A value of a record as a table shows it; secrets are masked."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    if isinstance(value, (str, int, float)):
        return shorten(str(value))
    return shorten(json.dumps(masked(value), ensure_ascii=False, default=str))


def write_time(text: str) -> str:
    """A time of the service to the minute; as it came where it can't be read."""
    time = parse_time(text)
    return time.strftime("%Y-%m-%d %H:%M %Z") if time is not None else text


def write_seconds(seconds: float | None) -> str:
    """How long something took; nothing where that is not known."""
    return f" · {seconds:.2f} s" if seconds is not None else ""


def write_usage(usage: Usage) -> str:
    """Tokens and connector calls in one line."""
    calls = "".join(f" · {name} × {count}" for name, count in usage.connectors.items())
    parts = f"{usage.prompt_tokens} in, {usage.completion_tokens} out"
    tools = f", {usage.connector_tokens} by tools" if usage.connector_tokens else ""
    return f"{usage.total_tokens} tokens ({parts}{tools}){calls}"


def write_price(usage: Usage, model: str | None, prices: Prices | None) -> str:
    """What a turn cost by the caller's table; nothing where that is not known."""
    price = prices.of(usage, model) if prices is not None else None
    return f"{price:.4f} {prices.currency}" if prices is not None and price is not None else ""


def write_table(table: Table) -> str:
    """A table as text."""
    rows = [table.head, *table.rows]
    widths = [min(_WIDE, max(len(row[place]) for row in rows)) for place in range(len(table.head))]
    return "\n".join(
        "  ".join(shorten(cell, _WIDE).ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def make_pairs(values: Mapping[str, Any]) -> Table:
    """A table of names and values."""
    return Table(("", "value"), tuple((str(name), write_value(value)) for name, value in values.items()))
