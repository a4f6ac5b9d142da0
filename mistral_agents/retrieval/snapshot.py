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
from mistral_agents.retrieval.keyword import TITLE_WEIGHT, KeywordIndex, best
from mistral_agents.retrieval.postings import Numbering, Postings, TermRows, Vocabulary
from mistral_agents.retrieval.vectors import EVEN, Fusion, VectorIndex

Strategy = Literal["bm25", "vector", "hybrid"]
Unit = Literal["passages", "documents"]
_PER_DOCUMENT = 8
"""How many passages are looked at for each document wanted, at first."""
DEPTH = 100
"""How many hits of each ranking a fusion looks at, at least."""


@dataclass(frozen=True, slots=True)
class StoredText:
    """A document with its text, chunks and, per chunk, term numbers (None where it has no chunks) and vector."""

    document: LibraryDocument
    text: str
    pages: tuple[Page, ...]
    chunks: Sequence[Chunk]
    rows: TermRows | None = field(default=None, repr=False, compare=False)
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
        score: Higher is better; what it means depends on the strategy (BM25, cosine, or 0 to 1 for `hybrid`).
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


def is_question(text: object) -> bool:
    """Whether a text asks for anything.

    Raises:
        ConfigurationError: It is no text.
    """
    if not isinstance(text, str):
        raise ConfigurationError(f"A search needs a text to search for, not {text!r}.")
    return bool(text.strip())


def check_top_k(count: object, name: str = "top_k") -> None:
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
        fusion: How `hybrid` joins words and vectors.
    """

    text: str
    top_k: int = 5
    strategy: Strategy = "bm25"
    vector: Sequence[float] | None = None
    filter: Filter | None = None
    score_cutoff: float | None = None
    unit: Unit = "passages"
    fusion: Fusion = EVEN

    def __post_init__(self) -> None:
        is_question(self.text)
        check_top_k(self.top_k)
        cutoff: object = self.score_cutoff
        if cutoff is not None and (type(cutoff) not in (int, float) or cutoff != cutoff):
            raise ConfigurationError(f"score_cutoff must be a number, or None for none, not {cutoff!r}.")
        if self.strategy not in ("bm25", "vector", "hybrid"):
            raise ConfigurationError(f"strategy must be bm25, vector or hybrid, not {self.strategy!r}.")
        if self.unit not in ("passages", "documents"):
            raise ConfigurationError(f"retrieval_mode must be passages or documents, not {self.unit!r}.")


SCORE_KINDS: dict[Strategy, str] = {"bm25": "bm25", "vector": "cosine", "hybrid": "fused"}
"""What the scores of a strategy are."""


def scale_scores(scores: Sequence[float]) -> list[float]:
    """Scores from 0 to 1 within one result; equal scores all become 1."""
    low, span = min(scores, default=0.0), max(scores, default=0.0) - min(scores, default=0.0)
    return [(score - low) / span if span else 1.0 for score in scores]


def fusion_of(strategy: Strategy, **given: Any) -> Fusion:
    """The fusion that a retriever's options describe.

    Args:
        strategy: The retriever's.
        given: As of `Fusion`.

    Raises:
        ConfigurationError: A value is wrong, or one is given for a strategy that fuses nothing.
    """
    fusion = Fusion(**given)
    if fusion != EVEN and strategy != "hybrid":
        raise ConfigurationError(f"{', '.join(given)} go only with strategy='hybrid', not {strategy!r}.")
    return fusion


@dataclass(frozen=True, slots=True)
class Preparation:
    """Makes stored texts: how to cut, and how to make terms."""

    splitter: AnySplitter
    analyzer: Analyzer
    vocabulary: Vocabulary
    numbering: Numbering = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "numbering", Numbering(self.analyzer, self.vocabulary))

    @property
    def key(self) -> str:
        """Names how texts are cut and analysed."""
        return f"{self.splitter.key} {self.analyzer.language}"

    def store(self, document: LibraryDocument, text: str, pages: Sequence[Page]) -> StoredText:
        """Cut a text and make the terms of its chunks."""
        chunks = chunks_of(document.document_id, text, pages, self.splitter)
        return self.restore(document, text, pages, chunks)

    def restore(
        self,
        document: LibraryDocument,
        text: str,
        pages: Sequence[Page],
        chunks: Sequence[Chunk],
        vectors: object = None,
    ) -> StoredText:
        """Make the terms of known chunks."""
        row = self.numbering.row
        title = row(title_of(document.name, text)) * TITLE_WEIGHT
        rows = TermRows.of([title + row(text[chunk.start : chunk.end]) for chunk in chunks])
        return StoredText(document, text, tuple(pages), chunks, rows, vectors)


def sort_key_of(stored: StoredText) -> tuple[str, str]:
    """What the documents of a snapshot are sorted by."""
    return stored.document.name, stored.document.document_id


class Snapshot:
    """Documents of libraries with indexes over their chunks. Never changes; safe to share between threads.

    Args:
        texts: The documents; kept in order of name, so that equal scores are ordered by file name and offset.
        vocabulary: The terms' numbers.
        settings: Names what else decides the results (splitter, language, embedding model).
        postings: Those of the documents' passages, where they are known.
    """

    def __init__(
        self, texts: Iterable[StoredText], vocabulary: Vocabulary, settings: str = "", postings: Postings | None = None
    ) -> None:
        numpy = load("numpy")
        ordered = sorted(texts, key=sort_key_of)
        self.settings = settings
        matrix = _joined(ordered)
        self.texts = {stored.document.document_id: stored for stored in ordered}
        self._chunked = [stored for stored in ordered if stored.chunks]
        sizes = numpy.array([len(stored.chunks) for stored in self._chunked], dtype="int64")
        self._starts = numpy.cumsum(sizes) - sizes
        self._expiring = [place for place, stored in enumerate(self._chunked) if stored.document.expires_at is not None]
        rows = [stored.rows for stored in self._chunked if stored.rows is not None]
        self.keyword = KeywordIndex(vocabulary, rows, postings)
        self._vectors = VectorIndex(matrix, self.keyword.document_of) if matrix is not None else None

    @property
    def vectors(self) -> Any:
        """The vectors of all chunks, in their order; None where one has none."""
        return self._vectors.matrix if self._vectors is not None else None

    @property
    def has_vectors(self) -> bool:
        """Whether every chunk has a vector."""
        return self._vectors is not None or not len(self)

    def __len__(self) -> int:
        """How many chunks there are."""
        return len(self.keyword)

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

    def find_around(
        self, document_id: str, chunk_id: str, before: int, after: int
    ) -> tuple[StoredText, list[int]] | None:
        """A passage's document, and the places of the passage and its neighbours; None where it is not held."""
        stored = self.texts.get(document_id)
        ids = [chunk.id for chunk in stored.chunks] if stored is not None else []
        if stored is None or chunk_id not in ids:
            return None
        at = ids.index(chunk_id)
        return stored, list(range(max(0, at - before), min(len(ids), at + after + 1)))

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
        if not len(self):
            return []
        allowed = self._allowed(query.filter)
        if query.strategy == "bm25":
            ranking = self.keyword.rank(terms, query.top_k, allowed)
            places, scores = ranking.places, ranking.scores
        elif query.strategy == "vector":
            places, scores = _nearest(self._similarities(query), allowed, query.top_k)
        else:
            places, scores = best(*self._fused(query, terms, allowed), query.top_k)
        cutoff = query.score_cutoff
        pairs = zip(places.tolist(), scores.tolist(), strict=True)
        return [self._hit(place, score) for place, score in pairs if cutoff is None or score >= cutoff]

    def _hit(self, place: int, score: float) -> Hit:
        document = int(self.keyword.document_of[place])
        return Hit(self._chunked[document], place - int(self._starts[document]), score)

    def _fused(self, query: Query, terms: Sequence[QueryTerm], allowed: object) -> tuple[Any, Any]:
        """The candidates of `hybrid`, ascending, and their scores: the best by words and the best by vectors."""
        numpy = load("numpy")
        fusion, usual = query.fusion, max(DEPTH, query.top_k)
        similarities = self._similarities(query)
        by_vectors = fusion.vectors_top_k if fusion.vectors_top_k is not None else usual
        by_words = fusion.words_top_k if fusion.words_top_k is not None else usual
        near = numpy.sort(_nearest(similarities, allowed, by_vectors)[0])
        ranking = self.keyword.rank(terms, by_words, allowed, others=near)
        places, first = numpy.unique(numpy.concatenate([ranking.places, near]), return_index=True)
        words = numpy.concatenate([ranking.scores, ranking.others])[first]
        return places, fusion.join(words, similarities[places])

    def find(self, query: Query, terms: Sequence[QueryTerm]) -> list[Hit]:
        """As `search`, by the query's unit."""
        if query.unit == "passages":
            return self.search(query, terms)
        size = _PER_DOCUMENT * query.top_k
        while True:
            hits = self.search(replace(query, top_k=size, unit="passages"), terms)
            tops = {hit.document.document_id: hit for hit in reversed(hits)}
            ranked = [hit for hit in hits if tops[hit.document.document_id] is hit]
            if len(ranked) >= query.top_k or len(hits) < size:
                return ranked[: query.top_k]
            size *= _PER_DOCUMENT

    def _similarities(self, query: Query) -> Any:
        if self._vectors is None or query.vector is None:
            raise ConfigurationError(f"strategy {query.strategy!r} needs an embedding model.")
        return self._vectors.scores(query.vector)

    def _allowed(self, filter_: Filter | None) -> Any:
        """Which chunks may be found: those that pass the filter, of documents that have not expired; None for all."""
        now = datetime.now(timezone.utc)
        expired = [place for place in self._expiring if self._chunked[place].document.expired(now)]
        if filter_ is None and not expired:
            return None
        numpy = load("numpy")
        if filter_ is not None and "page_label" in fields(filter_):
            chunks = ((stored.document, chunk.page) for stored in self._chunked for chunk in stored.chunks)
            passes = (matches(filter_, document.metadata(page)) for document, page in chunks)
            allowed = numpy.fromiter(passes, bool, len(self))
            by_document = numpy.ones(len(self._chunked), dtype=bool)
        else:
            allowed = True
            passes = (filter_ is None or matches(filter_, stored.document.metadata()) for stored in self._chunked)
            by_document = numpy.fromiter(passes, bool, len(self._chunked))
        by_document[expired] = False
        return by_document[self.keyword.document_of] & allowed


def _joined(texts: list[StoredText]) -> Any:
    """One matrix of all vectors, of which the texts then hold their parts; None where a chunk has no vector."""
    chunked = [place for place, stored in enumerate(texts) if stored.chunks]
    if not chunked or any(texts[place].vectors is None for place in chunked):
        return None
    parts = [texts[place].vectors for place in chunked]
    matrix, at = _find_whole(parts), 0
    if matrix is not None:
        return matrix
    matrix = load("numpy").concatenate(parts)
    for place in chunked:
        count = len(texts[place].chunks)
        texts[place] = replace(texts[place], vectors=matrix[at : at + count])
        at += count
    return matrix


def _find_whole(parts: Sequence[Any]) -> Any:
    """The array whose parts these are, one after another; None where they are not, so that they must be copied."""
    whole, at = parts[0].base, 0
    if whole is None or whole.ndim != 2 or len(whole) != sum(map(len, parts)):
        return None
    for part in parts:
        if part.base is not whole or _address(part) != _address(whole) + at:
            return None
        at += part.nbytes
    return load("numpy").asarray(whole)


def _address(array: Any) -> int:
    return int(array.__array_interface__["data"][0])


def _nearest(scores: Any, allowed: object, count: int) -> tuple[Any, Any]:
    """The best of the allowed chunks and their scores, best first."""
    numpy = load("numpy")
    places = numpy.flatnonzero(allowed) if allowed is not None else numpy.arange(len(scores))
    return best(places, scores[places], count)
