"""What searches and opened pages gave: passages to answer from, and where each stands."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from mistral_agents_server.planner.reading import Passage, Result
from mistral_agents_server.strict_json import read_json

Wire = dict[str, Any]

_TAG = re.compile(r"</?strong>")


@dataclass(slots=True, frozen=True)
class Hit:
    """One document or page that a search found.

    Attributes:
        url: the id of a document, or the address of a page.
        title: its name.
        mark: how an answer cites it: a mark that becomes a reference for a page, else its name.
    """

    url: str
    title: str
    mark: str

    @property
    def is_page(self) -> bool:
        """Whether it is a page of the web."""
        return self.url.startswith("http")


def _object(result: Result) -> Wire | None:
    try:
        parsed = read_json(result.text)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None


def is_search(parsed: Wire) -> bool:
    """Whether a result is a search's, which lists hits by a short id."""
    return all(isinstance(value, dict) and isinstance(value.get("snippets"), list) for value in parsed.values())


def list_passages(result: Result, *, named: bool = False) -> list[Passage] | None:
    """The passages that a search or an opened page gave; None when the result is something else.

    Args:
        result: what a call gave.
        named: whether passages of documents carry their document's name; those of pages always carry a mark.
    """
    parsed = _object(result)
    if parsed is None:
        return None
    if isinstance(parsed.get("content"), str) and "can_open" in parsed:
        return [Passage(clean(parsed["content"]))]
    if not is_search(parsed):
        return None
    return [
        Passage(clean(str(snippet)), hit.mark if named or hit.is_page else "")
        for value, hit in zip(parsed.values(), _hits_of(parsed), strict=True)
        for snippet in value["snippets"]
        if snippet != value.get("title")
    ]


def list_hits(results: Iterable[Result]) -> list[Hit]:
    """What the searches among some results found, in order."""
    found = (_object(result) for result in results)
    return [hit for parsed in found if parsed is not None and is_search(parsed) for hit in _hits_of(parsed)]


def _hits_of(parsed: Wire) -> Iterator[Hit]:
    for key, value in parsed.items():
        url, title = str(value.get("url", "")), str(value.get("title", ""))
        yield Hit(url, title, f"[[{key}]]" if url.startswith("http") else f"({title})")


def opened_url(result: Result) -> str | None:
    """What was opened: the `url` of a result that has a whole text; None for other results."""
    parsed = _object(result)
    if parsed is None or "can_open" not in parsed or not isinstance(parsed.get("content"), str):
        return None
    return str(parsed.get("url", ""))


def clean(text: str) -> str:
    """A snippet without its markup."""
    return html.unescape(_TAG.sub("", text))
