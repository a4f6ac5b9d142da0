"""BM25 over chunks, by bm25s, with each document's own score joined to its chunks'."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from mistral_agents.retrieval._extras import load

K1, B = 1.5, 0.75
"""The usual constants of BM25 (Robertson and Zaragoza, 2009): saturation of repeats, and length normalisation."""
TITLE_WEIGHT = 2
"""How often a title's terms count in each chunk of its document."""
DOCUMENT_WEIGHT = 0.5
"""How much a document's score adds to that of its chunks."""


class Vocabulary:
    """Numbers for terms; grows, and never changes a number, so that old arrays stay valid."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}

    def add(self, terms: Sequence[str]) -> Any:
        """The terms' numbers, new ones included, as an array."""
        numbers = self.numbers
        found = [numbers.setdefault(term, len(numbers)) for term in terms]
        return load("numpy").array(found, dtype="uint32")

    def find(self, terms: Sequence[str], limit: int) -> list[int]:
        """Numbers of the terms that are known and below a limit."""
        numbers = (self.numbers.get(term, limit) for term in terms)
        return [number for number in numbers if number < limit]


class _Rows:
    """Arrays of numbers read as lists, one at a time: the whole would take many times the memory."""

    def __init__(self, arrays: Sequence[Any]) -> None:
        self._arrays = arrays

    def __len__(self) -> int:
        return len(self._arrays)

    def __iter__(self) -> Iterator[list[int]]:
        return (array.tolist() for array in self._arrays)


class KeywordIndex:
    """BM25 scores of a query for every chunk.

    Args:
        vocabulary: The numbers' meaning.
        rows: Each chunk's term numbers; chunks of a document stand together.
        starts: Each document's first chunk.
    """

    def __init__(self, vocabulary: Vocabulary, rows: Sequence[Any], starts: Sequence[int]) -> None:
        self._vocabulary = vocabulary
        self._starts = load("numpy").asarray(starts, dtype="int64")
        self._size = len(rows)
        self._terms = len(vocabulary.numbers)
        self._engine: Any = None
        if any(len(row) for row in rows):
            self._engine = load("bm25s").BM25(k1=K1, b=B, method="lucene")
            everything = list(range(self._terms))
            self._engine.nonoccurrence_array = None
            self._engine.scores = self._engine.build_index_from_ids(everything, _Rows(rows), show_progress=False)

    def scores(self, terms: Sequence[str]) -> Any:
        """A score for each chunk; 0 where it holds none of the terms.

        A document's score sums, over the terms, the best that any of its chunks reaches, so that a passage of a
        document that answers the whole question stands above a stray mention elsewhere.
        """
        numpy = load("numpy")
        own = numpy.zeros(self._size, dtype="float32")
        if self._engine is None:
            return own
        whole = numpy.zeros(len(self._starts), dtype="float32")
        for number in self._vocabulary.find(terms, self._terms):
            part = self._engine.get_scores_from_ids([number])
            own += part
            whole += numpy.maximum.reduceat(part, self._starts)
        lengths = numpy.diff(numpy.append(self._starts, self._size))
        joined = own + DOCUMENT_WEIGHT * numpy.repeat(whole, lengths)
        return numpy.where(own > 0, joined, 0)
