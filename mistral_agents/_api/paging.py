"""Lists of the service walked to their end, page after page."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mistral_agents._api.records import rows_of
from mistral_agents._http.calls import Call
from mistral_agents._json import JsonDict
from mistral_agents.errors import ResponseFormatError

if TYPE_CHECKING:
    from mistral_agents._http.replies import Reply

MOST_ROWS = 10_000_000
"""A list that is longer goes on for ever."""
NextCall = Callable[[Call, Any, list[JsonDict]], "Call | None"]


def by_token(call: Call, data: object, _: list[JsonDict]) -> Call | None:
    """The next page of a list that hands out `next_page_token`."""
    token = data.get("next_page_token") if isinstance(data, dict) else None
    return replace(call, params={**call.params, "page_token": token}) if token else None


def by_number(call: Call, data: object, rows: list[JsonDict]) -> Call | None:
    """The next page of a list with page numbers from 0, which may or may not tell whether there is more."""
    told = data.get("pagination") if isinstance(data, dict) else None
    more = told.get("has_more") if isinstance(told, Mapping) else None
    if more is None:
        more = len(rows) >= call.params["page_size"]
    return replace(call, params={**call.params, "page": call.params["page"] + 1}) if more else None


def _read_key(row: JsonDict) -> Any:
    """What makes a row itself: its id and version; of a row without an id its name, or all it holds."""
    if row.get("id") is not None:
        return row["id"], row.get("version")
    name = row.get("name")
    return ("name", name) if isinstance(name, str) else json.dumps(row, sort_keys=True, default=str)


class _Fresh:
    """Lets each row through once: a list that repeats a page (reported of the service) ends instead of looping.

    One that has ever new rows is an error at `most` of them.
    """

    def __init__(self, what: str, most: int) -> None:
        self._seen: set[Any] = set()
        self._what = what
        self._most = most

    def rows(self, rows: list[JsonDict]) -> list[JsonDict]:
        if len(self._seen) >= self._most:
            raise ResponseFormatError(f"{self._what} does not end: {len(self._seen):,} rows were read, all different.")
        fresh = []
        for row in rows:
            key = _read_key(row)
            if key not in self._seen:
                self._seen.add(key)
                fresh.append(row)
        return fresh


def walk(
    send: Callable[[Call], Reply], call: Call, following: NextCall, *keys: str, most: int = MOST_ROWS
) -> Iterator[JsonDict]:
    """Every row of a list, page after page, until there is no further page or one brings nothing fresh.

    `keys` name the array in a page.

    Raises:
        ResponseFormatError: The list has `most` rows and still goes on.
    """
    fresh = _Fresh(call.what, most)
    page: Call | None = call
    while page is not None:
        data = send(page).json()
        rows = rows_of(data, *keys)
        new = fresh.rows(rows)
        yield from new
        page = following(page, data, rows) if new else None


async def awalk(
    send: Callable[[Call], Awaitable[Reply]], call: Call, following: NextCall, *keys: str, most: int = MOST_ROWS
) -> AsyncIterator[JsonDict]:
    """As `walk`, without blocking."""
    fresh = _Fresh(call.what, most)
    page: Call | None = call
    while page is not None:
        data = (await send(page)).json()
        rows = rows_of(data, *keys)
        new = fresh.rows(rows)
        for row in new:
            yield row
        page = following(page, data, rows) if new else None
