"""An immutable picture of libraries, ready to be searched."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from functools import cached_property
from hashlib import sha256
from typing import Any, Literal

from mistral_agents._display.shown import Shown
from mistral_agents.errors import ConfigurationError
from mistral_agents.retrieval._extras import load
from mistral_agents.retrieval.analysis import Analyzer, QueryTerm, title_of
from mistral_agents.retrieval.chunking import AnySplitter, Chunk, Page, chunks_of
from mistral_agents.retrieval.documents import LibraryDocument
from mistral_agents.retrieval.filters import Filter, fields, matches
from mistral_agents.retrieval.keyword import TITLE_WEIGHT, KeywordIndex, Vocabulary
from mistral_agents.retrieval.vectors import VectorIndex, fuse

Strategy = Literal["bm25", "vector", "hybrid"]
Unit = Literal["passages", "documents"]
_PER_DOCUMENT = 8
"""How many passages are looked at for each document wanted, at first."""
DEPTH = 100
"""How many hits of each ranking a fusion looks at, at least."""


@dataclass(frozen=True, slots=True)
class StoredText:
    """A document with its text, chunks and, per chunk, term numbers and vector."""

    document: LibraryDocument
    text: str
    pages: tuple[Page, ...]
    chunks: tuple[Chunk, ...]
    rows: tuple[Any, ...] = field(repr=False, compare=False)
    vectors: Any = field(default=None, repr=False, compare=False)

    def chunk_text(self, place: int) -> str:
        """The text of one chunk."""
        chunk = self.chunks[place]
        return self.text[chunk.start : chunk.end]


@dataclass(frozen=True, slots=True)
class Hit(Shown):
    """A passage found.

    Attributes:
        stored: Its document.
        place: Which of the document's chunks it is.
        score: Higher is better; what it means depends on the strategy (BM25, cosine, or reciprocal rank fusion).
    """

    stored: StoredText
    place: int
    score: float

    @property
    def chunk(self) -> Chunk:
        """The chunk."""
        return self.stored.chunks[self.place]

    @property
    def document(self) -> LibraryDocument:
        """The chunk's document."""
        return self.stored.document

    @property
    def text(self) -> str:
        """The passage."""
        return self.stored.chunk_text(self.place)

    @property
    def metadata(self) -> dict[str, Any]:
        """The document's metadata, with the page where known; a new dict each time."""
        return self.document.metadata(self.chunk.page)

    def neighbour(self, step: int) -> Chunk | None:
        """The chunk before (-1) or after (1) in the same document."""
        place = self.place + step
        return self.stored.chunks[place] if 0 <= place < len(self.stored.chunks) else None


def check_top_k(count: Any, name: str = "top_k") -> None:
    """Refuse a number of hits that is none.

    Args:
        count: The number.
        name: What the caller calls it.

    Raises:
        ConfigurationError: It is no whole number from 1.
    """
    if type(count) is not int or count < 1:
        raise ConfigurationError(f"{name} must be a whole number from 1, not {count!r}.")


@dataclass(frozen=True, slots=True)
class Query:
    """What is searched for.

    Attributes:
        text: The question.
        top_k: Most passages to return, from 1.
        strategy: `bm25`, `vector` or `hybrid`.
        vector: The question's vector; needed by `vector` and `hybrid`.
        filter: Applied before `top_k`.
        score_cutoff: Passages below it are left out.
        unit: `passages`, or `documents`: of each document only its best passage counts, and `top_k` counts documents.
    """

    text: str
    top_k: int = 5
    strategy: Strategy = "bm25"
    vector: Sequence[float] | None = None
    filter: Filter | None = None
    score_cutoff: float | None = None
    unit: Unit = "passages"

    def __post_init__(self) -> None:
        check_top_k(self.top_k)
        if self.strategy not in ("bm25", "vector", "hybrid"):
            raise ConfigurationError(f"strategy must be bm25, vector or hybrid, not {self.strategy!r}.")
        if self.unit not in ("passages", "documents"):
            raise ConfigurationError(f"retrieval_mode must be passages or documents, not {self.unit!r}.")


@dataclass(frozen=True, slots=True)
class Preparation:
    """Makes stored texts: how to cut, and how to make terms."""

    splitter: AnySplitter
    analyzer: Analyzer
    vocabulary: Vocabulary

    def store(self, document: LibraryDocument, text: str, pages: Sequence[Page]) -> StoredText:
        """Cut a text and make the terms of its chunks."""
        chunks = tuple(chunks_of(document.document_id, text, pages, self.splitter))
        return self.restore(document, text, pages, chunks)

    def restore(
        self, document: LibraryDocument, text: str, pages: Sequence[Page], chunks: Sequence[Chunk], vectors: Any = None
    ) -> StoredText:
        """Make the terms of known chunks."""
        title = self.analyzer.terms(title_of(document.name, text)) * TITLE_WEIGHT
        rows = tuple(
            self.vocabulary.add([*title, *self.analyzer.terms(text[chunk.start : chunk.end])]) for chunk in chunks
        )
        return StoredText(document, text, tuple(pages), tuple(chunks), rows, vectors)


class Snapshot:
    """Documents of libraries with indexes over their chunks. Never changes; safe to share between threads.

    Args:
        texts: The documents; kept in order of name, so that equal scores are ordered by file name and offset.
        vocabulary: The terms' numbers.
        settings: Names what else decides the results (splitter, language, embedding model).
    """

    def __init__(self, texts: Iterable[StoredText], vocabulary: Vocabulary, settings: str = "") -> None:
        ordered = sorted(texts, key=lambda stored: (stored.document.name, stored.document.document_id))
        self.settings = settings
        self._vectors = _joined(ordered)
        self.texts = {stored.document.document_id: stored for stored in ordered}
        self._places = [(stored, place) for stored in ordered for place in range(len(stored.chunks))]
        self._chunked = [stored for stored in ordered if stored.chunks]
        self._keyword = KeywordIndex(vocabulary, [stored.rows[place] for stored, place in self._places], self._starts())

    @property
    def has_vectors(self) -> bool:
        """Whether every chunk has a vector."""
        return self._vectors is not None or not self._places

    def _starts(self) -> list[int]:
        starts, at = [], 0
        for stored in self._chunked:
            starts.append(at)
            at += len(stored.chunks)
        return starts

    def __len__(self) -> int:
        """How many chunks there are."""
        return len(self._places)

    @property
    def documents(self) -> dict[str, LibraryDocument]:
        """The documents by id."""
        return {key: stored.document for key, stored in self.texts.items()}

    @cached_property
    def fields(self) -> frozenset[str]:
        """The metadata fields that some document or chunk has."""
        found = {key for stored in self.texts.values() for key in stored.document.metadata()}
        has_pages = any(chunk.page is not None for stored in self._chunked for chunk in stored.chunks)
        return frozenset(found | {"page_label"} if has_pages else found)

    @cached_property
    def id(self) -> str:
        """The same for the same documents and settings, in every process."""
        known = sorted(f"{doc.document_id} {doc.text_key} {doc.metadata_key}" for doc in self.documents.values())
        return sha256("\n".join([self.settings, *known]).encode()).hexdigest()[:16]

    def search(self, query: Query, terms: Sequence[QueryTerm]) -> list[Hit]:
        """The best passages, best first; `terms` are the question's.

        Raises:
            ConfigurationError: The strategy needs vectors and there are none.
        """
        if not self._places:
            return []
        allowed = self._allowed(query.filter)
        depth = query.top_k if query.strategy != "hybrid" else max(DEPTH, 4 * query.top_k)
        rankings = []
        if query.strategy != "vector":
            scores = self._keyword.scores(terms)
            rankings.append(_best(scores, allowed & (scores > 0), depth))
        if query.strategy != "bm25":
            rankings.append(_best(self._similarities(query), allowed, depth))
        ranked = rankings[0] if len(rankings) == 1 else fuse([list(ranking) for ranking in rankings])
        ordered = sorted(ranked.items(), key=lambda item: (-item[1], item[0]))
        cutoff = query.score_cutoff
        kept = [(place, score) for place, score in ordered if cutoff is None or score >= cutoff]
        return [Hit(*self._places[place], score) for place, score in kept[: query.top_k]]

    def find(self, query: Query, terms: Sequence[QueryTerm]) -> list[Hit]:
        """As `search`, by the query's unit."""
        if query.unit == "passages":
            return self.search(query, terms)
        size = _PER_DOCUMENT * query.top_k
        while True:
            hits = self.search(replace(query, top_k=size, unit="passages"), terms)
            best = {hit.document.document_id: hit for hit in reversed(hits)}
            ranked = [hit for hit in hits if best[hit.document.document_id] is hit]
            if len(ranked) >= query.top_k or len(hits) < size:
                return ranked[: query.top_k]
            size *= _PER_DOCUMENT

    def _similarities(self, query: Query) -> Any:
        if self._vectors is None or query.vector is None:
            raise ConfigurationError(f"strategy {query.strategy!r} needs an embedding model.")
        return self._vectors.scores(query.vector)

    def _allowed(self, filter_: Filter | None) -> Any:
        """Which chunks may be found: those that pass the filter, of documents that have not expired."""
        numpy = load("numpy")
        now = datetime.now(timezone.utc)
        per_page = filter_ is not None and "page_label" in fields(filter_)
        allowed = numpy.zeros(len(self._places), dtype=bool)
        for start, stored in zip(self._starts(), self._chunked, strict=True):
            if stored.document.expired(now):
                continue
            part = slice(start, start + len(stored.chunks))
            if filter_ is None:
                allowed[part] = True
            elif per_page:
                allowed[part] = [matches(filter_, stored.document.metadata(chunk.page)) for chunk in stored.chunks]
            else:
                allowed[part] = matches(filter_, stored.document.metadata())
        return allowed


def _joined(texts: list[StoredText]) -> VectorIndex | None:
    """One matrix of all vectors, of which the texts then hold their parts; None where a chunk has no vector."""
    chunked = [place for place, stored in enumerate(texts) if stored.chunks]
    if not chunked or any(texts[place].vectors is None for place in chunked):
        return None
    matrix, at = load("numpy").concatenate([texts[place].vectors for place in chunked]), 0
    for place in chunked:
        count = len(texts[place].chunks)
        texts[place] = replace(texts[place], vectors=matrix[at : at + count])
        at += count
    return VectorIndex(matrix)


def _best(scores: Any, allowed: Any, count: int) -> dict[int, float]:
    """The best of the allowed chunks and their scores, best first; equals in order of the chunks."""
    numpy = load("numpy")
    candidates = numpy.flatnonzero(allowed)
    order = candidates[numpy.argsort(-scores[candidates], kind="stable")[:count]]
    return {int(place): float(scores[place]) for place in order}
