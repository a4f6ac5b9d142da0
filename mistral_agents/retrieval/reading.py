"""Reading texts, whole or page by page; how the service counts pages is found out, not assumed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from mistral_agents.errors import InvalidRequestError, NotFoundError
from mistral_agents.retrieval.chunking import Page
from mistral_agents.retrieval.documents import LibraryDocument
from mistral_agents.retrieval.jobs import Job
from mistral_agents.retrieval.service import LibraryApi

Counting = tuple[int, bool]
"""Number of the first page, and whether `page_end` is itself part of the answer."""
_COUNTINGS: tuple[Counting, ...] = ((1, True), (0, True), (0, False), (1, False))


@dataclass(frozen=True, slots=True)
class ReadText:
    """A document's text as read.

    Attributes:
        text: All of it.
        pages: Where its pages lie; empty where unknown.
        requests: How many requests that took.
    """

    text: str
    pages: tuple[Page, ...] = ()
    requests: int = 1


@dataclass(slots=True)
class PageReader:
    """Reads documents; with `exact`, page by page (one request more for each page).

    Whether the service counts pages from 0 or 1, and whether `page_end` is included, is undocumented: each way is
    tried until the pieces of a document of several pages join to its text, and the way that fits is kept.
    """

    libraries: LibraryApi
    exact: bool = False
    counting: Counting | None = field(default=None)

    def job(self, document: LibraryDocument) -> Job:
        """The job that reads a document."""
        return Job(lambda: self._read(document), lambda: self._aread(document))

    def _ways(self) -> Sequence[Counting]:
        return _COUNTINGS if self.counting is None else (self.counting,)

    def _wants_pages(self, document: LibraryDocument) -> bool:
        return self.exact and document.pages is not None and document.pages > 1

    def _whole(self, document: LibraryDocument, text: str) -> ReadText:
        single = self.exact and document.pages == 1
        return ReadText(text, (Page("1", 0, len(text)),) if single else ())

    def _read(self, document: LibraryDocument) -> ReadText:
        text = self.libraries.text(document.library_id, document.document_id)
        if not self._wants_pages(document):
            return self._whole(document, text)
        requests = 1
        for way in self._ways():
            steps = _Pieces(text, document, way)
            while (wanted := steps.wanted()) is not None:
                steps.take(self._page(wanted))
                requests += 1
            if steps.joined:
                self.counting = way
                return ReadText(text, tuple(steps.pages), requests)
        return ReadText(text, (), requests)

    async def _aread(self, document: LibraryDocument) -> ReadText:
        text = await self.libraries.atext(document.library_id, document.document_id)
        if not self._wants_pages(document):
            return self._whole(document, text)
        requests = 1
        for way in self._ways():
            steps = _Pieces(text, document, way)
            while (wanted := steps.wanted()) is not None:
                steps.take(await self._apage(wanted))
                requests += 1
            if steps.joined:
                self.counting = way
                return ReadText(text, tuple(steps.pages), requests)
        return ReadText(text, (), requests)

    def _page(self, call: _PageCall) -> str | None:
        try:
            return self.libraries.text(
                call.library_id, call.document_id, page_start=call.page_start, page_end=call.page_end
            )
        except (InvalidRequestError, NotFoundError):  # a way of counting that asks for a page that isn't there
            return None

    async def _apage(self, call: _PageCall) -> str | None:
        try:
            return await self.libraries.atext(
                call.library_id, call.document_id, page_start=call.page_start, page_end=call.page_end
            )
        except (InvalidRequestError, NotFoundError):
            return None


@dataclass(frozen=True, slots=True)
class _PageCall:
    library_id: str
    document_id: str
    page_start: int
    page_end: int


class _Pieces:
    """The pages of one document by one way of counting, found one after the other in its text."""

    def __init__(self, text: str, document: LibraryDocument, way: Counting) -> None:
        self._text, self._document, self._way = text, document, way
        self._count = document.pages if document.pages is not None else 0
        self._cursor = 0
        self._broken = False
        self.pages: list[Page] = []

    def wanted(self) -> _PageCall | None:
        """The next request; None where there is nothing more to ask."""
        if self._broken or len(self.pages) == self._count:
            return None
        base, inclusive = self._way
        first = base + len(self.pages)
        ids = self._document.library_id, self._document.document_id
        return _PageCall(*ids, first, first if inclusive else first + 1)

    def take(self, piece: str | None) -> None:
        """The next page; it must follow the one before with nothing but white space between."""
        bare = piece.strip() if piece is not None else ""
        begin = self._text.find(bare, self._cursor) if bare else self._cursor
        if piece is None or begin < 0 or self._text[self._cursor : begin].strip():
            self._broken = True
            return
        self._cursor = begin + len(bare)
        self.pages.append(Page(str(len(self.pages) + 1), begin, self._cursor))

    @property
    def joined(self) -> bool:
        """Whether the pages make up the whole text, and more than one of them holds any."""
        full = len(self.pages) == self._count and not self._text[self._cursor :].strip()
        return not self._broken and full and sum(page.end > page.start for page in self.pages) > 1


def reason_of(outcome: Any) -> str | None:
    """Why a document can't be used: gone meanwhile, or without text; None where it can."""
    if isinstance(outcome, NotFoundError):
        return "deleted"
    return "missing_content" if not outcome.text.strip() else None
