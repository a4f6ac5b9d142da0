"""The sources an answer rests on: references in its text, and hits of library searches."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from mistral_agents._json import JsonDict, text_or_none
from mistral_agents._tools.policy import Policy
from mistral_agents.entries import Entry, Message, ToolExecution, chunk_text


@dataclass(frozen=True, slots=True)
class SearchHit:
    """One result of a web or library search (`url` is the document id for libraries)."""

    key: str
    url: str | None
    title: str | None
    description: str | None
    snippets: tuple[str, ...]
    rank: int | None
    metadata: JsonDict = field(default_factory=dict, hash=False)
    raw: JsonDict = field(default_factory=dict, repr=False, hash=False, compare=False)


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
        return [_read_hit(str(key), value) for key, value in keyed]
    if isinstance(result, list):
        return [_read_hit(str(place), item) for place, item in enumerate(result) if isinstance(item, dict)]
    return []


def _read_hit(key: str, data: JsonDict) -> SearchHit:
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


@dataclass(frozen=True, slots=True)
class Citation:
    """A source the answer rests on.

    Attributes:
        origin: `web` or `library`.
        title: The page's title or the document's file name, where told.
        url: The page's address; None for library documents.
        document_id: The library document; None for web pages.
        library_id: Its library, where told.
        pages: Pages of the document, as the search reported them; a recorded reply names the only page 0.
        snippet: The passage, where told.
        offset: Where in `Turn.text` the reference stood (characters); None where the service gave no place.
        raw: The chunk or search hit it was read from.
    """

    origin: str
    title: str | None = None
    url: str | None = None
    document_id: str | None = None
    library_id: str | None = None
    pages: tuple[int, ...] = ()
    snippet: str | None = None
    offset: int | None = None
    raw: JsonDict = field(default_factory=dict, repr=False, hash=False, compare=False)

    @property
    def key(self) -> str:
        """What makes two citations the same source."""
        return self.url or self.document_id or self.title or json.dumps(self.raw, sort_keys=True, default=str)


def cite(entries: list[Entry]) -> list[Citation]:
    """Citations of `tool_reference` chunks with their place in the text, then of library hits, without repeats."""
    found: dict[str, Citation] = {}
    for citation in [*_find_references(entries), *_find_library_citations(entries)]:
        found.setdefault(citation.key, citation)
    return list(found.values())


def _find_references(entries: list[Entry]) -> list[Citation]:
    offset, found = 0, []
    for entry in entries:
        for chunk in entry.chunks if isinstance(entry, Message) else ():
            if chunk.get("type") == "tool_reference":
                found.append(reference_citation(chunk, offset))
            offset += len(chunk_text(chunk))
    return found


def reference_citation(chunk: JsonDict, offset: int | None = None) -> Citation:
    """The citation of a `tool_reference` chunk; every field may be missing."""
    is_library = chunk.get("tool") == "document_library"
    return Citation(
        origin="library" if is_library else "web",
        title=text_or_none(chunk.get("title")),
        url=None if is_library else text_or_none(chunk.get("url")),
        document_id=text_or_none(chunk.get("url")) if is_library else None,
        snippet=text_or_none(chunk.get("description")),
        offset=offset,
        raw=chunk,
    )


def _find_library_citations(entries: list[Entry]) -> list[Citation]:
    runs = [e for e in entries if isinstance(e, ToolExecution) and search_origin(e) == "library" and e.error is None]
    return [library_citation(hit) for run in runs for hit in search_hits(run)]


def library_citation(hit: SearchHit) -> Citation:
    """The citation of a library hit; the service itself sends none for libraries."""
    pages = hit.metadata.get("relevant_pages")
    return Citation(
        origin="library",
        title=hit.title,
        document_id=hit.url,
        library_id=text_or_none(hit.metadata.get("library_id")),
        pages=tuple(page for page in pages if isinstance(page, int)) if isinstance(pages, list) else (),
        snippet=hit.snippets[0] if hit.snippets else None,
        raw=hit.raw,
    )


def limited(citations: list[Citation], policy: Policy) -> list[Citation]:
    """As many citations of each origin as a policy lets `Turn.citations` show."""
    most = {"web": policy.max_citations, "library": policy.max_documents}
    shown: list[Citation] = []
    for citation in citations:
        limit = most.get(citation.origin)
        if limit is None or sum(other.origin == citation.origin for other in shown) < limit:
            shown.append(citation)
    return shown


def with_footnotes(text: str, citations: list[Citation]) -> str:
    """A text with `[1]` where each source was referred to (at the end where no place is known), and a list of them."""
    if not citations:
        return text
    marks: dict[int, str] = {}
    for number, citation in enumerate(citations, 1):
        place = citation.offset if citation.offset is not None else len(text)
        marks[place] = marks.get(place, "") + f"[{number}]"
    pieces, before = [], 0
    for place in sorted(marks):
        pieces += [text[before:place], marks[place]]
        before = place
    listed = [f"[{number}] {_write_footnote(citation)}" for number, citation in enumerate(citations, 1)]
    return "".join([*pieces, text[before:]]) + "\n\n" + "\n".join(listed)


def write_pages(citation: Citation) -> str:
    """The pages of a source as people count them; a recorded reply names the only page of a document 0."""
    return f"p. {', '.join(str(page + 1) for page in citation.pages)}" if citation.pages else ""


def _write_footnote(citation: Citation) -> str:
    pages = f", {write_pages(citation)}" if citation.pages else ""
    where = citation.url if citation.url is not None else citation.document_id
    title = citation.title if citation.title is not None else "untitled"
    return f"{title}{pages} ({citation.origin}{f', {where}' if where is not None else ''})"
