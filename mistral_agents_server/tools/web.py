"""Web search, over a folder of local pages."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from mistral_agents.retrieval.chunking import Splitter
from mistral_agents_server.documents import summarize
from mistral_agents_server.ranking import Ranker, Source, language_of
from mistral_agents_server.readers.html import decode_html, html_text, parse_html
from mistral_agents_server.readers.plain import decode
from mistral_agents_server.tools.calls import HostedFunction
from mistral_agents_server.tools.results import ToolError, ToolResult, text_items
from mistral_agents_server.tools.search_results import hit, keyed, opened

Wire = dict[str, Any]

OWN_PAGES = Path(__file__).resolve().parents[1] / "pages"
PLACE = "https://pages.example/"
"""Where pages that name no address of their own are said to be: a reserved name that leads nowhere."""

MAX_HITS = 10
_SOURCE = "local"
_ICON = f"{PLACE}favicon.ico"
_SUFFIXES = (".html", ".htm", ".md", ".txt")
_SNIPPETS = 4
_SPLITTER = Splitter(400, 0)
_FRONT_MATTER = re.compile(r"---\n(.*?)\n---\n", re.DOTALL)
_ISO_CODES = {"english": "en", "french": "fr", "german": "de", "spanish": "es", "italian": "it", "portuguese": "pt"}


class Query(BaseModel):
    """Arguments of `web_search` and `news_search`."""

    query: str = Field(min_length=1, description="What to look for.")
    limit: int = Field(MAX_HITS, ge=1, le=20, description="How many results.")


class Address(BaseModel):
    """Arguments of `open_url`."""

    url: str = Field(description="The url of a search result.")


@dataclass(slots=True, frozen=True)
class Page:
    """A page.

    Attributes:
        url: its address.
        title: its title.
        description: a sentence or two about it.
        content: its text, as Markdown.
        date: when it was published, as the page says.
    """

    url: str
    title: str
    description: str
    content: str
    date: str | None


def read_page(path: Path, folder: Path) -> Page:
    """Read a page: HTML with `title`, `link rel=canonical` and `meta`, or Markdown with such front matter, or text."""
    data = path.read_bytes()
    facts: dict[str, str] = {}
    if path.suffix.lower() in (".html", ".htm"):
        source = decode_html(data)
        facts, content = _html_facts(source), html_text(source)
    else:
        source = decode(data)
        front = _FRONT_MATTER.match(source)
        content = source[front.end() :] if front is not None else source
        lines = front[1].splitlines() if front is not None else []
        facts = {key.strip().lower(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    heading = re.search(r"^#\s+(.+)$", content, re.MULTILINE)
    title = facts.get("title") or (heading[1].strip() if heading is not None else path.stem.replace("-", " "))
    url = facts.get("url") or PLACE + path.relative_to(folder).as_posix()
    return Page(url, title, facts.get("description") or summarize(content), content.strip(), facts.get("date"))


def _html_facts(source: str) -> dict[str, str]:
    page = parse_html(source)
    wanted = {
        "url": ('link[rel~="canonical"]', "href"),
        "description": ('meta[name="description"]', "content"),
        "date": ('meta[property="article:published_time"]', "content"),
    }
    facts = {}
    title = page.css_first("head > title")
    if title is not None:
        facts["title"] = title.text().strip()
    for name, (place, attribute) in wanted.items():
        node = page.css_first(place)
        if node is not None:
            facts[name] = node.attributes.get(attribute) or ""
    return facts


class _Site:
    """Some pages and their index."""

    def __init__(self, pages: Sequence[Page]) -> None:
        self.flat = [(page, page.content[start:end]) for page in pages for start, end in _SPLITTER.spans(page.content)]
        texts: dict[str, list[str]] = {page.url: [] for page in pages}
        for page, text in self.flat:
            texts[page.url].append(text)
        self._ranker = Ranker([Source(page.title, texts[page.url]) for page in pages])

    def search(self, query: str, count: int) -> list[tuple[Page, list[str]]]:
        """The best pages with their best passages."""
        found: dict[str, tuple[Page, list[str]]] = {}
        for number in self._ranker.search(query, len(self.flat)):
            page, text = self.flat[number]
            if page.url in found or len(found) < count:
                found.setdefault(page.url, (page, []))[1].append(text)
        return [(page, texts[:_SNIPPETS]) for page, texts in found.values()]


class WebSearch:
    """Searches and opens pages of a folder, as if they were the web.

    Args:
        folder: HTML, Markdown and text files, read once; None takes the few that come with this package.
        premium: whether it also searches news: the pages that say when they were published.
    """

    def __init__(self, folder: Path | None, *, premium: bool = False) -> None:
        self._folder = folder if folder is not None else OWN_PAGES
        self._premium = premium

    @cached_property
    def _pages(self) -> list[Page]:
        paths = sorted(path for path in self._folder.rglob("*") if path.suffix.lower() in _SUFFIXES and path.is_file())
        return list({page.url: page for page in (read_page(path, self._folder) for path in paths)}.values())

    @cached_property
    def _site(self) -> _Site:
        return _Site(self._pages)

    @cached_property
    def _news_site(self) -> _Site:
        return _Site([page for page in self._pages if page.date])

    def functions(self) -> list[HostedFunction[Any]]:
        """The functions it offers."""
        search = HostedFunction("web_search", "Search the web.", Query, self._search)
        news = HostedFunction("news_search", "Search the news.", Query, self._search_news)
        reading = HostedFunction("open_url", "Read a page that a search found.", Address, self._open)
        return [search, *([news] if self._premium else []), reading]

    def _search(self, arguments: Query, tool: Wire) -> ToolResult:
        return _answer(self._site.search(arguments.query, arguments.limit), tool["type"])

    def _search_news(self, arguments: Query, tool: Wire) -> ToolResult:
        return _answer(self._news_site.search(arguments.query, arguments.limit), tool["type"])

    def _open(self, arguments: Address, _: Wire) -> ToolResult:
        wanted = arguments.url.rstrip("/")
        page = next((page for page in self._pages if page.url.rstrip("/") == wanted), None)
        if page is None:
            raise ToolError(f"{arguments.url} is not among the pages of this server")
        more = {"description": page.description, "date": page.date}
        return ToolResult({"result": text_items(opened(page.url, page.title, page.content, can_open=True, **more))})


def _answer(found: list[tuple[Page, list[str]]], tool: str) -> ToolResult:
    hits, references = [], []
    for rank, (page, texts) in enumerate(found):
        description = f"<strong>{html.escape(page.description)}</strong>"
        language = _ISO_CODES.get(language_of(page.content), "en")
        metadata = {"lang": language, "thumbnail": None, "favicon": _ICON, "source": _SOURCE}
        snippets = [description, *map(html.escape, texts)]
        shown = (page.url, page.title, description, snippets)
        hits.append(hit(*shown, rank=rank, source=_SOURCE, metadata=metadata, date=page.date))
        references.append(
            {
                "type": "tool_reference",
                "tool": tool,
                "title": page.title,
                "url": page.url,
                "favicon": _ICON,
                "description": description,
            }
        )
    return ToolResult({"result": keyed(hits)}, references=references)
