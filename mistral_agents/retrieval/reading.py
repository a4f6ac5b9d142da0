"""Reading texts, whole or page by page; how the service counts pages is found out, not assumed."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from mistral_agents._steps import Job
from mistral_agents.errors import InvalidRequestError, NotFoundError
from mistral_agents.retrieval.chunking import Page
from mistral_agents.retrieval.documents import LibraryDocument
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


Wanted = tuple[int, int] | None
"""What to ask for: the whole text (None), or `page_start` and `page_end`."""
Reading = Generator[Wanted, "str | None", ReadText]


@dataclass(slots=True)
class PageReader:
    """Reads documents; with `exact`, page by page (one request more for each page).

    Whether the service counts pages from 0 or 1, and whether `page_end` is included, is undocumented: the ways are
    tried on a document of several pages. A way that alone fits is remembered; where several fit, the white space around
    blank pages tells them apart, and where it does not, the document has no page labels.
    """

    libraries: LibraryApi
    exact: bool = False
    counting: Counting | None = field(default=None)

    def job(self, document: LibraryDocument) -> Job:
        """The job that reads a document."""
        return Job(lambda: self._read(document), lambda: self._aread(document))

    def _read(self, document: LibraryDocument) -> ReadText:
        reading = self._steps(document)
        try:
            wanted = next(reading)
            while True:
                wanted = reading.send(self._ask(document, wanted))
        except StopIteration as done:
            found: ReadText = done.value
            return found

    async def _aread(self, document: LibraryDocument) -> ReadText:
        reading = self._steps(document)
        try:
            wanted = next(reading)
            while True:
                wanted = reading.send(await self._aask(document, wanted))
        except StopIteration as done:
            found: ReadText = done.value
            return found

    def _ask(self, document: LibraryDocument, wanted: Wanted) -> str | None:
        ids = document.library_id, document.document_id
        if wanted is None:
            return self.libraries.text(*ids)
        try:
            return self.libraries.text(*ids, page_start=wanted[0], page_end=wanted[1])
        except (InvalidRequestError, NotFoundError):  # a way of counting that asks for a page that isn't there
            return None

    async def _aask(self, document: LibraryDocument, wanted: Wanted) -> str | None:
        ids = document.library_id, document.document_id
        if wanted is None:
            return await self.libraries.atext(*ids)
        try:
            return await self.libraries.atext(*ids, page_start=wanted[0], page_end=wanted[1])
        except (InvalidRequestError, NotFoundError):
            return None

    def _steps(self, document: LibraryDocument) -> Reading:
        given = yield None
        text = given if given is not None else ""
        count = document.pages
        if not self.exact or count is None or count < 1:
            return ReadText(text)
        if count == 1:
            return ReadText(text, (Page("1", 0, len(text)),))
        asked: dict[tuple[int, int], str | None] = {}
        fitting: list[tuple[Counting, _Fit]] = []
        for way in _COUNTINGS if self.counting is None else (self.counting,):
            pieces: list[str] = []
            for place in range(count):
                wanted = _pages_of(way, place)
                if wanted not in asked:
                    asked[wanted] = yield wanted
                piece = asked[wanted]
                if piece is None:
                    break
                pieces.append(piece)
            fit = _fit(text, pieces, count)
            if fit is not None:
                fitting.append((way, fit))
                if all(page.end > page.start for page in fit.pages):  # every page holds text: no other way can fit
                    break
        return ReadText(text, self._chosen(fitting), 1 + len(asked))

    def _chosen(self, fitting: list[tuple[Counting, _Fit]]) -> tuple[Page, ...]:
        if len(fitting) > 1:
            fitting = [(way, fit) for way, fit in fitting if fit.exact]
        if len(fitting) == 1:
            self.counting = fitting[0][0]
        same = len({fit.pages for _, fit in fitting}) == 1
        return fitting[0][1].pages if same else ()


@dataclass(frozen=True, slots=True)
class _Fit:
    """Pages as one way of counting gives them; `exact` where they also account for all white space of the text."""

    pages: tuple[Page, ...]
    exact: bool


def _pages_of(way: Counting, place: int) -> tuple[int, int]:
    first, inclusive = way[0] + place, way[1]
    return first, first if inclusive else first + 1


def _fit(text: str, pieces: Sequence[str], count: int) -> _Fit | None:
    """Where the pages lie; None where they don't follow one another with nothing but white space between."""
    if len(pieces) < count:
        return None
    pages: list[Page] = []
    cursor = 0
    for number, piece in enumerate(pieces, start=1):
        bare = piece.strip()
        begin = text.find(bare, cursor) if bare else cursor
        if begin < 0 or text[cursor:begin].strip():
            return None
        cursor = begin + len(bare)
        pages.append(Page(str(number), begin, cursor))
    filled = [place for place, page in enumerate(pages) if page.end > page.start]
    if text[cursor:].strip() or not filled:
        return None
    return _Fit(tuple(pages), any(text == separator.join(pieces) for separator in _separators(text, pages, filled)))


def _separators(text: str, pages: Sequence[Page], filled: Sequence[int]) -> set[str]:
    """What may stand between two pages: the white space before, between and behind those with text, in equal parts."""
    first, last = pages[filled[0]], pages[filled[-1]]
    spaces = [(text[: first.start], filled[0]), (text[last.end :], len(pages) - 1 - filled[-1])]
    spaces += [(text[pages[one].end : pages[other].start], other - one) for one, other in pairwise(filled)]
    return {space[: len(space) // parts] for space, parts in spaces if parts and len(space) >= parts}


def reason_of(outcome: ReadText | NotFoundError) -> str | None:
    """Why a document can't be used: gone meanwhile, or without text; None where it can."""
    if isinstance(outcome, NotFoundError):
        return "deleted"
    return "missing_content" if not outcome.text.strip() else None
