"""Chunks with true character offsets: `document.text[chunk.start:chunk.end]` is the chunk's text."""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import overload
from uuid import NAMESPACE_DNS, uuid5

from mistral_agents.errors import ConfigurationError

Span = tuple[int, int]
_BREAKS = (
    re.compile(r"\n\s*\n"),  # paragraphs
    re.compile(r"(?<=[.!?])[\"'”’)\]]*\s+|(?<=[。！？])"),  # sentences
    re.compile(r"\n"),
    re.compile(r"\s+"),
)


@dataclass(frozen=True, slots=True)
class Page:
    """Where a page lies in its document's text; `label` is how people count (from "1")."""

    label: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage: characters `start` to `end` of its document's text.

    Attributes:
        document_id: Its document.
        start: First character.
        end: Character after the last.
        page: The page's label, where known.
    """

    document_id: str
    start: int
    end: int
    page: str | None = None

    @property
    def locator(self) -> str:
        """Where it is, in the grammar that Mistral's search toolkit uses."""
        place = f"char:{self.start}-{self.end}"
        return f"page:{self.page}:{place}" if self.page is not None else place

    @property
    def id(self) -> str:
        """The same in every process and mode: uuid5 of document and locator, as Mistral's search toolkit does."""
        return str(uuid5(NAMESPACE_DNS, f"{self.document_id}:{self.locator}"))


class Chunks(Sequence[Chunk]):
    """The chunks of a document, made when asked for: a library's would take many times the memory of their offsets.

    Args:
        document_id: Their document.
        spans: First character and character after the last of each chunk, one after another.
        pages: The page's label of each; None where no chunk has one.
    """

    __slots__ = ("_document_id", "_pages", "_spans")

    def __init__(self, document_id: str, spans: array[int], pages: tuple[str | None, ...] | None = None) -> None:
        self._document_id = document_id
        self._spans = spans
        self._pages = pages

    @classmethod
    def of(cls, document_id: str, places: Sequence[tuple[int, int, str | None]]) -> Chunks:
        """Of start, end and page of each chunk."""
        spans = array("I", chain.from_iterable((start, end) for start, end, _ in places))
        pages = tuple(page for _, _, page in places)
        return cls(document_id, spans, pages if any(page is not None for page in pages) else None)

    def __len__(self) -> int:
        return len(self._spans) // 2

    @overload
    def __getitem__(self, place: int) -> Chunk: ...
    @overload
    def __getitem__(self, place: slice) -> list[Chunk]: ...
    def __getitem__(self, place: int | slice) -> Chunk | list[Chunk]:
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(len(self)))]
        at = range(len(self))[place]
        page = self._pages[at] if self._pages is not None else None
        return Chunk(self._document_id, self._spans[2 * at], self._spans[2 * at + 1], page)


@dataclass(frozen=True, slots=True)
class Splitter:
    """Cuts a text at paragraphs, else sentences, else lines, else words.

    Args:
        chunk_size: Most characters of a chunk.
        overlap: Most characters that a chunk repeats of the one before.

    Raises:
        ConfigurationError: A size that can't work.
    """

    chunk_size: int = 1500
    overlap: int = 150

    def __post_init__(self) -> None:
        if self.chunk_size < 50 or not 0 <= self.overlap <= self.chunk_size // 2:
            message = (
                "chunk_size must be at least 50 characters and overlap at most half of it, "
                f"not {self.chunk_size} and {self.overlap}."
            )
            raise ConfigurationError(message)

    @property
    def key(self) -> str:
        """Names these settings in a stored snapshot."""
        return f"characters:{self.chunk_size}:{self.overlap}"

    def spans(self, text: str, start: int = 0, end: int | None = None) -> Iterator[Span]:
        """Spans of the chunks between two offsets, without surrounding white space, in order."""
        end = len(text) if end is None else end
        while start < end:
            cut = end if end - start <= self.chunk_size else self._cut(text, start)
            span = _strip_span(text, start, cut)
            if span is not None:
                yield span
            if cut >= end:
                return
            start = self._resume(text, start, cut)

    def _cut(self, text: str, start: int) -> int:
        """The last good place to end a chunk in its second half."""
        earliest, latest = start + self.chunk_size // 2, start + self.chunk_size
        for pattern in _BREAKS:
            places = [found.end() for found in pattern.finditer(text, earliest, latest)]
            if places:
                return places[-1]
        return latest

    def _resume(self, text: str, start: int, cut: int) -> int:
        """Where the next chunk begins: at a sentence, else a word, at most `overlap` before the cut."""
        for pattern in _BREAKS[1:]:
            found = pattern.search(text, max(start + 1, cut - self.overlap), cut)
            if found is not None and found.end() < cut:
                return found.end()
        return cut


Pieces = Callable[[str], Sequence[str]]


@dataclass(frozen=True, slots=True)
class PieceSplitter:
    """Wraps a splitter of another library, which gives texts: their offsets are found again by a cursor.

    Args:
        pieces: Cuts a text; each piece must be a part of it, in order.
        key: Names the splitter and its settings in a stored snapshot.
    """

    pieces: Pieces
    key: str

    def spans(self, text: str, start: int = 0, end: int | None = None) -> Iterator[Span]:
        """Spans of the pieces between two offsets.

        Raises:
            ConfigurationError: A piece is no part of the text.
        """
        part = text[start:end]
        cursor = 0
        for piece in self.pieces(part):
            found = part.find(piece, cursor)
            if found < 0:
                raise ConfigurationError(f"The splitter {self.key} changed the text; its pieces have no offsets.")
            cursor = found + 1
            span = _strip_span(part, found, found + len(piece))
            if span is not None:
                yield start + span[0], start + span[1]


AnySplitter = Splitter | PieceSplitter


def _strip_span(text: str, start: int, end: int) -> Span | None:
    piece = text[start:end]
    bare = piece.strip()
    if not bare:
        return None
    begin = start + len(piece) - len(piece.lstrip())
    return begin, begin + len(bare)


def chunks_of(document_id: str, text: str, pages: Sequence[Page], splitter: AnySplitter) -> Chunks:
    """A document's chunks; none spans two pages where pages are known. Repeated spans are kept once."""
    ranges: Iterable[tuple[str | None, int, int]] = (
        [(page.label, page.start, page.end) for page in pages] if pages else [(None, 0, len(text))]
    )
    found = ((start, end, label) for label, first, last in ranges for start, end in splitter.spans(text, first, last))
    return Chunks.of(document_id, list(dict.fromkeys(found)))
