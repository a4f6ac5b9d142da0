"""Where the numbers of a computation come from: the message, what tools gave, or documents that are to be opened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from mistral_agents_server.planner import compute
from mistral_agents_server.planner.passages import Hit, list_hits, list_passages, opened_url
from mistral_agents_server.planner.reading import Reading, Result

Wire = dict[str, Any]

_OPENERS = ("open_library_result", "open_url")
_MOST_OPENED = 4


@dataclass(slots=True, frozen=True)
class FoundSeries:
    """Numbers, and how their source is cited; empty when they stand in the message."""

    series: compute.Series
    source: str = ""


def find_series(reading: Reading) -> FoundSeries | None:
    """The numbers that a message asks about: its own, else a table that was opened or found."""
    given = compute.series_in(reading.asked, reading.asked)
    if given is not None:
        return FoundSeries(given)
    results = [*reading.results, *reading.earlier]
    own = _first_series(reading.asked, [result for result in results if _is_own(result)], compute.series_in)
    if own is not None:
        return FoundSeries(own[0])
    opened = [result for result in results if opened_url(result) is not None]
    others = [] if any(reading.has(name) for name in _OPENERS) else [r for r in results if r not in opened]
    found = _first_series(reading.asked, [*opened, *others], compute.table_in)
    if found is None and not reading.is_task and not open_next(reading):
        found = _first_series(reading.asked, [*opened, *others], compute.series_in)
    return FoundSeries(found[0], _source(found[1], results)) if found is not None else None


def _first_series(
    asked: str, results: list[Result], read: Callable[[str, str], compute.Series | None]
) -> tuple[compute.Series, Result] | None:
    for result in results:
        for text in _texts(result):
            series = read(asked, text)
            if series is not None:
                return series, result
    return None


def _is_own(result: Result) -> bool:
    """Whether a function of the client gave it, whose text is taken as it is."""
    return result.name not in HOSTED


def _texts(result: Result) -> list[str]:
    passages = list_passages(result)
    if passages is not None:
        return [passage.text for passage in passages]
    return [result.text] if _is_own(result) else []


def _source(result: Result, results: list[Result]) -> str:
    url = opened_url(result)
    hit = next((hit for hit in list_hits(results) if hit.url == url), None)
    if hit is None:
        return ""
    return f"{hit.title} {hit.mark}" if hit.is_page else hit.title


def open_next(reading: Reading) -> list[tuple[str, Wire]]:
    """Open the next document or page that a search found, in search of a table; a few at most."""
    results = [*reading.results, *reading.earlier]
    opened = {opened_url(result) for result in results} | {str(result.arguments.get("url", "")) for result in results}
    tried = [result for result in reading.results if result.name in _OPENERS]
    if len(tried) >= _MOST_OPENED:
        return []
    for hit in _in_turns([list_hits([result]) for result in results]):
        name = "open_url" if hit.is_page else "open_library_result"
        if hit.url in opened or not reading.has(name):
            continue
        if hit.is_page:
            return [(name, {"url": hit.url})]
        return [(name, {"document_id": hit.url, "relevant_snippet_positions_in_text": ""})]  # all of it
    return []


def _in_turns(searches: list[list[Hit]]) -> list[Hit]:
    """The first hit of each search, then the second of each, and so on."""
    return [hit for rank in zip_longest(*searches) for hit in rank if hit is not None]


HOSTED = frozenset(
    {
        "code_interpreter",
        "web_search",
        "news_search",
        "open_url",
        "library_search",
        "library_list_documents",
        "open_library_result",
        "generate_image",
    }
)
"""The functions of the stand-in's own tools."""
