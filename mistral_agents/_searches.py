"""Searches of the web and of libraries, read from the runs of the hosted tools."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from mistral_agents.entries import ToolExecution

Wire = dict[str, Any]


@dataclass(frozen=True, slots=True)
class SearchHit:
    """One result of a web or library search (`url` is the document id for libraries)."""

    key: str
    url: str | None
    title: str | None
    description: str | None
    snippets: tuple[str, ...]
    rank: int | None
    metadata: Wire = field(default_factory=dict, hash=False)
    raw: Wire = field(default_factory=dict, repr=False, hash=False, compare=False)


@dataclass(frozen=True, slots=True)
class Search:
    """One search the turn made.

    Attributes:
        origin: `web` or `library`.
        query: What was asked; None where the arguments don't say.
        hits: What was found, in rank order.
        error: The message of a search that failed, else None.
        entry: The tool run itself.
    """

    origin: str
    query: str | None
    hits: tuple[SearchHit, ...]
    error: str | None
    entry: ToolExecution = field(repr=False, hash=False, compare=False)


def search_origin(entry: ToolExecution) -> str | None:
    """`web` or `library` for a search or an opened page; None for every other tool."""
    if entry.function in ("library_search", "open_library_result") or entry.name == "document_library":
        return "library"
    if entry.name.startswith("web_search") or entry.function in ("web_search", "news_search", "open_url"):
        return "web"
    return "library" if entry.name == "open_library_result" else None


def search_of(entry: ToolExecution) -> Search:
    """The search that a run of a hosted tool made."""
    query = entry.args.get("query", entry.args.get("url"))
    return Search(
        origin=search_origin(entry) or "",
        query=query if isinstance(query, str) else None,
        hits=tuple(search_hits(entry)),
        error=entry.error,
        entry=entry,
    )


def search_hits(entry: ToolExecution) -> list[SearchHit]:
    """The hits in `info.result`: an object keyed by short ids, a list of objects, or one opened page."""
    result = entry.result
    if isinstance(result, dict):
        keyed = result.items() if all(isinstance(v, dict) for v in result.values()) else [("", result)]
        return [_hit(str(key), value) for key, value in keyed]
    if isinstance(result, list):
        return [_hit(str(place), item) for place, item in enumerate(result) if isinstance(item, dict)]
    return []


def _hit(key: str, data: Wire) -> SearchHit:
    snippets, metadata = data.get("snippets"), data.get("metadata")
    texts = snippets if isinstance(snippets, list) else [data.get("content")]
    rank = data.get("rank")
    return SearchHit(
        key=key,
        url=text_or_none(data.get("url")),
        title=text_or_none(data.get("title")),
        description=text_or_none(data.get("description")),
        snippets=tuple(text for text in texts if isinstance(text, str)),
        rank=rank if isinstance(rank, int) else None,
        metadata=metadata if isinstance(metadata, dict) else {},
        raw=data,
    )


def text_or_none(value: Any) -> str | None:
    """The value where it is text."""
    return value if isinstance(value, str) else None
