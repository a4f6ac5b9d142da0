"""BM25 over chunks, by bm25s, with each document's own score joined to its chunks'."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from mistral_agents.retrieval._extras import load
from mistral_agents.retrieval.analysis import COMMON, QueryTerm, Way

K1, B = 1.5, 0.75
"""The usual constants of BM25 (Robertson and Zaragoza, 2009): saturation of repeats, and length normalisation."""
TITLE_WEIGHT = 2
"""How often a title's terms count in each chunk of its document."""
DOCUMENT_WEIGHT = 0.5
"""How much a document's score adds to that of its chunks."""


KnownWay = tuple[list[int], bool]
"""A `Way` whose terms are numbers."""


class Vocabulary:
    """Numbers for terms; grows, and never changes a number, so that old arrays stay valid."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}

    def add(self, terms: Sequence[str]) -> Any:
        """The terms' numbers, new ones included, as an array."""
        numbers = self.numbers
        found = [numbers.setdefault(term, len(numbers)) for term in terms]
        return load("numpy").array(found, dtype="uint32")

    def find(self, terms: Sequence[QueryTerm], limit: int) -> list[list[KnownWay]]:
        """The ways of a question's terms as numbers, as far as these are known and below a limit."""
        found = [[way for one in term if (way := self._known(one, limit)) is not None] for term in terms]
        return [ways for ways in found if ways]

    def _known(self, way: Way, limit: int) -> KnownWay | None:
        numbers = [number for term in way.terms if (number := self.numbers.get(term, limit)) < limit]
        complete = len(numbers) == len(way.terms)
        return (numbers, way.together) if numbers and (complete or not way.together) else None


class _Rows:
    """Arrays of numbers read as lists, one at a time: the whole would take many times the memory.

    Args:
        arrays: The chunks' term numbers.
        wanted: Per number, whether it counts.
    """

    def __init__(self, arrays: Sequence[Any], wanted: Any) -> None:
        self._arrays = arrays
        self._wanted = wanted

    def __len__(self) -> int:
        return len(self._arrays)

    def __iter__(self) -> Iterator[list[int]]:
        return (array[self._wanted[array]].tolist() for array in self._arrays)


class KeywordIndex:
    """BM25 scores of a query for every chunk.

    Args:
        vocabulary: The numbers' meaning.
        rows: Each chunk's term numbers; chunks of a document stand together.
        starts: Each document's first chunk.
    """

    def __init__(self, vocabulary: Vocabulary, rows: Sequence[Any], starts: Sequence[int]) -> None:
        numpy = load("numpy")
        self._vocabulary = vocabulary
        self._starts = numpy.asarray(starts, dtype="int64")
        self._rows = rows
        self._terms = len(vocabulary.numbers)
        self._common = numpy.zeros(self._terms, dtype=bool)
        self._common[[number for term, number in vocabulary.numbers.items() if term.startswith(COMMON)]] = True
        self._engine = self._build(~self._common)
        self._common_engine: Any = None

    def _build(self, wanted: Any) -> Any:
        """An engine over the terms wanted; None where no chunk has one."""
        if not any(wanted[row].any() for row in self._rows):
            return None
        engine = load("bm25s").BM25(k1=K1, b=B, method="lucene")
        engine.nonoccurrence_array = None
        everything = list(range(self._terms))
        engine.scores = engine.build_index_from_ids(everything, _Rows(self._rows, wanted), show_progress=False)
        return engine

    def _engine_of(self, asked: Sequence[Sequence[KnownWay]]) -> Any:
        """The engine of a question's terms; stop words have their own, made when a question has nothing else.

        In one engine they would count in the length of every chunk, which costs quality, and in its size.
        """
        numbers = [number for ways in asked for numbers, _ in ways for number in numbers]
        if not numbers or not self._common[numbers].all():
            return self._engine
        if self._common_engine is None:
            self._common_engine = self._build(self._common)
        return self._common_engine

    def scores(self, terms: Sequence[QueryTerm]) -> Any:
        """A score for each chunk; 0 where it holds none of the terms.

        A document's score sums, over the terms, the best that any of its chunks reaches, so that a passage of a
        document that answers the whole question stands above a stray mention elsewhere.
        """
        numpy = load("numpy")
        own = numpy.zeros(len(self._rows), dtype="float32")
        asked = self._vocabulary.find(terms, self._terms)
        engine = self._engine_of(asked)
        if engine is None:
            return own
        whole = numpy.zeros(len(self._starts), dtype="float32")
        for ways in asked:
            part = _score_way(engine, ways[0])
            for way in ways[1:]:
                part = numpy.maximum(part, _score_way(engine, way))
            own += part
            whole += numpy.maximum.reduceat(part, self._starts)
        lengths = numpy.diff(numpy.append(self._starts, len(self._rows)))
        joined = own + DOCUMENT_WEIGHT * numpy.repeat(whole, lengths)
        return numpy.where(own > 0, joined, 0)


def _score_way(engine: Any, way: KnownWay) -> Any:
    numbers, together = way
    if not together or len(numbers) == 1:
        return engine.get_scores_from_ids(numbers)
    parts = [engine.get_scores_from_ids([number]) for number in numbers]
    numpy = load("numpy")
    return numpy.where(numpy.all([part > 0 for part in parts], axis=0), sum(parts), 0)
