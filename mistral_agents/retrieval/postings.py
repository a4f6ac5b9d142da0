"""Numbers for terms, the terms of passages, and for each term the passages that hold it with their BM25 weights."""

from __future__ import annotations

import threading
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain
from typing import Any

from mistral_agents._forks import renew_in_children
from mistral_agents.retrieval._extras import load
from mistral_agents.retrieval.analysis import COMMON, Analyzer, QueryTerm, Way

K1, B = 1.5, 0.75
"""The usual constants of BM25 (Robertson and Zaragoza, 2009): saturation of repeats, and length normalisation."""
_BLOCK = 1_000_000  # terms that are sorted at once, which bounds memory
_REMEMBERED = 200_000  # tokens whose numbers are remembered

KnownWay = tuple[tuple[int, ...], bool]
"""A `Way` whose terms are numbers."""


class Vocabulary:
    """Numbers for terms; grows, and never changes a number, so that old arrays stay valid."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self.renew()
        renew_in_children(self)

    def renew(self) -> None:
        """In a forked process: a thread of its parent may have held the lock."""
        self._lock = threading.Lock()

    def number(self, terms: Sequence[str]) -> tuple[int, ...]:
        """The terms' numbers, new ones included."""
        numbers = self.numbers
        with self._lock:
            return tuple([numbers.setdefault(term, len(numbers)) for term in terms])

    def find(self, term: QueryTerm, limit: int) -> tuple[KnownWay, ...]:
        """The ways of a question's term as numbers, as far as these are known and below a limit."""
        return tuple(way for one in term if (way := self._known(one, limit)) is not None)

    def _known(self, way: Way, limit: int) -> KnownWay | None:
        numbers = tuple(number for term in way.terms if (number := self.numbers.get(term, limit)) < limit)
        complete = len(numbers) == len(way.terms)
        return (numbers, way.together) if numbers and (complete or not way.together) else None

    def common(self, count: int) -> Any:
        """Which of the first `count` terms are stop words."""
        found = load("numpy").zeros(count, dtype=bool)
        found[[number for term, number in self.numbers.items() if number < count and term.startswith(COMMON)]] = True
        return found


class Numbering(dict[str, tuple[int, ...]]):
    """Texts to numbers of terms. Most tokens of a text repeat, so what each gives is remembered.

    Args:
        analyzer: Makes the terms.
        vocabulary: Numbers them.
    """

    def __init__(self, analyzer: Analyzer, vocabulary: Vocabulary) -> None:
        super().__init__()
        self._analyzer = analyzer
        self._vocabulary = vocabulary

    def __missing__(self, token: str) -> tuple[int, ...]:
        if len(self) > _REMEMBERED:
            self.clear()
        found = self[token] = self._vocabulary.number(self._analyzer.token_terms(token))
        return found

    def row(self, text: str) -> array[int]:
        """The numbers of a text's terms, in order, repeats included."""
        return array("I", chain.from_iterable(map(self.__getitem__, self._analyzer.tokens(text))))


@dataclass(frozen=True, slots=True, eq=False)
class TermRows:
    """The term numbers of a document's passages.

    Attributes:
        numbers: Of all passages, one after another (uint32).
        starts: Where each passage begins, and where the last ends.
    """

    numbers: Any
    starts: Any

    @classmethod
    def of(cls, rows: Sequence[array[int]]) -> TermRows:
        """Of one row per passage."""
        numpy = load("numpy")
        joined = array("I", chain.from_iterable(rows))
        starts = numpy.array([0, *accumulate(map(len, rows))], dtype="int64")
        return cls(numpy.frombuffer(joined, dtype="uint32") if joined else numpy.zeros(0, "uint32"), starts)

    def __len__(self) -> int:
        return len(self.starts) - 1


@dataclass(frozen=True, slots=True, eq=False)
class Postings:
    """For each term the passages that hold it, ascending, and what it adds to their scores.

    Attributes:
        starts: Where each term begins, and where the last ends.
        passages: Numbers of passages (int32).
        weights: BM25 weights (float32).
    """

    starts: Any
    passages: Any
    weights: Any

    def of(self, number: int) -> tuple[Any, Any]:
        """The passages that hold a term, and its weights in them."""
        part = slice(self.starts[number], self.starts[number + 1])
        return self.passages[part], self.weights[part]


def build_postings(documents: Sequence[TermRows], wanted: Any) -> Postings:
    """Postings of the wanted terms.

    The weights are those of Lucene's BM25. Terms are sorted block by block, twice where there are several blocks:
    first to count, then to place them; holding all sorted terms would take a multiple of the memory.

    Args:
        documents: Passages are numbered through all of them.
        wanted: For each term number, whether it counts.
    """
    numpy = load("numpy")
    groups = list(_group_documents(documents))
    holders, lengths = numpy.zeros(len(wanted), dtype="int64"), []
    block: _Block | None = None
    for first, group in groups:
        block = _sort_block(group, first, wanted)
        holders += numpy.bincount(block.terms, minlength=len(wanted))
        lengths.append(block.lengths)
    starts = numpy.concatenate([[0], numpy.cumsum(holders)])
    length = numpy.concatenate([*lengths, numpy.zeros(0, "int64")])
    norm = (K1 * (1 - B + B * length / max(float(length.mean()) if len(length) else 0.0, 1e-9))).astype("float32")
    rarity = numpy.log1p((len(length) - holders + 0.5) / (holders + 0.5)).astype("float32")
    postings = Postings(starts, numpy.empty(starts[-1], "int32"), numpy.empty(starts[-1], "float32"))
    cursors = starts[:-1].copy()
    for first, group in groups:
        if block is None or len(groups) > 1:
            block = _sort_block(group, first, wanted)
        counts = numpy.bincount(block.terms, minlength=len(wanted))
        runs = numpy.cumsum(counts) - counts  # where each term begins in the block
        at = (cursors - runs)[block.terms] + numpy.arange(len(block.terms))
        postings.passages[at] = block.passages
        postings.weights[at] = rarity[block.terms] * block.counts / (block.counts + norm[block.passages])
        cursors += counts
    return postings


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """Each term of each passage once, by term and then passage, how often it is there, and the passages' lengths."""

    terms: Any
    passages: Any
    counts: Any
    lengths: Any


def _group_documents(documents: Sequence[TermRows]) -> Iterator[tuple[int, list[TermRows]]]:
    """Documents in groups of bounded size, each with the number of its first passage."""
    group: list[TermRows] = []
    first, size, at = 0, 0, 0
    for rows in documents:
        if group and size + len(rows.numbers) > _BLOCK:
            yield first, group
            group, first, size = [], at, 0
        group.append(rows)
        size += len(rows.numbers)
        at += len(rows)
    if group:
        yield first, group


def _sort_block(documents: Sequence[TermRows], first: int, wanted: Any) -> _Block:
    numpy = load("numpy")
    terms = numpy.concatenate([rows.numbers for rows in documents])
    sizes = numpy.concatenate([numpy.diff(rows.starts) for rows in documents])
    places = numpy.repeat(numpy.arange(len(sizes), dtype="uint64"), sizes)
    if not wanted.all():
        kept = wanted[terms]
        terms, places = terms[kept], places[kept]
    keys = (terms.astype("uint64") << numpy.uint64(32)) | places
    keys.sort()
    changes = numpy.flatnonzero(numpy.concatenate([[True], keys[1:] != keys[:-1]])) if len(keys) else keys[:0]
    counts = numpy.diff(numpy.append(changes, len(keys))).astype("float32")
    keys = keys[changes.astype("int64")]
    return _Block(
        terms=(keys >> numpy.uint64(32)).astype("int64"),
        passages=(keys & numpy.uint64(0xFFFFFFFF)).astype("int64") + first,
        counts=counts,
        lengths=numpy.bincount(places.astype("int64"), minlength=len(sizes)),
    )
