"""BM25 over passages, with each document's own score joined to its passages'."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mistral_agents.retrieval._extras import load
from mistral_agents.retrieval.analysis import QueryTerm
from mistral_agents.retrieval.postings import KnownWay, Postings, TermRows, Vocabulary, build_postings

TITLE_WEIGHT = 1
"""How often a title's terms count in each passage of its document, beside what the passage says itself."""
DOCUMENT_WEIGHT = 0.5
"""How much a document's score adds to that of its passages."""
FEEDBACK_WEIGHT = 0.3
"""How far the weights of a question's terms follow what the best passages hold; 0 turns it off."""
FEEDBACK_PASSAGES = 5
_RERANKED = 200
"""At least so many of the best passages are ranked again with the weights that the very best give."""


@dataclass(frozen=True, slots=True, eq=False)
class _TermPart:
    """What one term of a question adds: to which passages (ascending), how much, and how often it is asked for."""

    passages: Any
    weights: Any
    times: int

    def at(self, places: Any) -> Any:
        """What it adds to given passages."""
        numpy = load("numpy")
        if not len(self.passages):
            return numpy.zeros(len(places), dtype="float32")
        near = numpy.minimum(numpy.searchsorted(self.passages, places), len(self.passages) - 1)
        return numpy.where(self.passages[near] == places, self.weights[near], 0)


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """Passages, best first, their scores, and those of the other passages that were asked about."""

    places: Any
    scores: Any
    others: Any = None


class KeywordIndex:
    """Ranks passages by the terms of a question.

    Args:
        vocabulary: The numbers' meaning.
        documents: Each document's passages; these are numbered through all documents.
        postings: Those of `documents` without stop words, where they are known.
    """

    def __init__(self, vocabulary: Vocabulary, documents: Sequence[TermRows], postings: Postings | None = None) -> None:
        numpy = load("numpy")
        self.vocabulary = vocabulary
        self.documents = documents
        self._count = len(vocabulary.numbers) if postings is None else len(postings.starts) - 1
        self._common = vocabulary.common(self._count)
        self.document_of = numpy.repeat(
            numpy.arange(len(documents)), numpy.array([len(rows) for rows in documents], dtype="int64")
        )
        self.postings = postings if postings is not None else build_postings(documents, ~self._common)
        self._common_postings: Postings | None = None

    def __len__(self) -> int:
        """How many passages there are."""
        return len(self.document_of)

    def scores(self, terms: Sequence[QueryTerm]) -> Any:
        """A score for each passage; 0 where it holds none of the terms."""
        places, scores = self._scored(self._parts(terms))
        every = load("numpy").zeros(len(self), dtype="float32")
        every[places] = scores
        return every

    def rank(self, terms: Sequence[QueryTerm], count: int, allowed: Any = None, others: object = None) -> Ranking:
        """The best passages that hold one of the terms, best first.

        A long question has words that say what it is about and words that only frame it. So the best passages are
        ranked again, with more weight for those of the question's own words that the very best passages hold
        (pseudo-relevance feedback after Lavrenko and Croft, 2001, without other words than the question's).

        Args:
            terms: The question's.
            count: Most passages to return.
            allowed: For each passage, whether it may be returned; None allows all.
            others: Further passages, ascending, to be given scores.
        """
        numpy = load("numpy")
        parts = self._parts(terms)
        matching, base = self._scored(parts)
        places, scores = (matching, base) if allowed is None else (matching[allowed[matching]], base[allowed[matching]])
        places, scores = best(places, scores, max(count, _RERANKED))
        change = _feedback(parts, places[:FEEDBACK_PASSAGES])
        order = numpy.argsort(places)
        places, scores = best(places[order], scores[order] + _changes(parts, change, places[order]), count)
        if others is None:
            return Ranking(places, scores)
        whole = _TermPart(matching, base, 1)
        return Ranking(places, scores, whole.at(others) + _changes(parts, change, others))

    def _scored(self, parts: Sequence[_TermPart]) -> tuple[Any, Any]:
        """The passages that hold a term, ascending, and their scores.

        A document's score sums, over the terms, the best that any of its passages reaches, so that a passage of a
        document that answers the whole question stands above a stray mention elsewhere.
        """
        numpy = load("numpy")
        own = numpy.zeros(len(self), dtype="float32")
        whole = numpy.zeros(len(self.documents), dtype="float32")
        for part in parts:
            if not len(part.passages):
                continue
            own[part.passages] += part.weights * part.times
            holders = self.document_of[part.passages]
            first = numpy.flatnonzero(numpy.concatenate([[True], holders[1:] != holders[:-1]]))
            whole[holders[first]] += numpy.maximum.reduceat(part.weights, first) * part.times
        places = numpy.flatnonzero(own)
        return places, own[places] + DOCUMENT_WEIGHT * whole[self.document_of[places]]

    def _parts(self, terms: Sequence[QueryTerm]) -> list[_TermPart]:
        asked: Counter[tuple[KnownWay, ...]] = Counter()
        for term, times in Counter(terms).items():
            if ways := self.vocabulary.find(term, self._count):
                asked[ways] += times
        postings = self._postings_of(asked)
        return [_TermPart(*_merge_ways(postings, ways), times) for ways, times in asked.items()]

    def _postings_of(self, asked: Counter[tuple[KnownWay, ...]]) -> Postings:
        """The postings of a question's terms; stop words have their own, made when a question has nothing else.

        Among the others they would count in the length of every passage, which costs quality, and memory.
        """
        numbers = [number for ways in asked for way, _ in ways for number in way]
        if not numbers or not self._common[numbers].all():
            return self.postings
        if self._common_postings is None:
            self._common_postings = build_postings(self.documents, self._common)
        return self._common_postings


def _feedback(parts: Sequence[_TermPart], places: object) -> list[float]:
    """How much more or less each term counts, given what the best passages hold."""
    if len(parts) < 2:
        return [0.0] * len(parts)
    shares = [float(part.at(places).sum()) for part in parts]
    asked, total = sum(part.times for part in parts), sum(shares)
    if total <= 0:
        return [0.0] * len(parts)
    return [FEEDBACK_WEIGHT * (asked * share / total - part.times) for part, share in zip(parts, shares, strict=True)]


def _changes(parts: Sequence[_TermPart], change: Sequence[float], places: Any) -> Any:
    """What the changed weights of the terms add to passages, term by term so that equal passages stay equal."""
    total = load("numpy").zeros(len(places), dtype="float32")
    for part, more in zip(parts, change, strict=True):
        if more:
            total += part.at(places) * more
    return total


def best(places: Any, scores: Any, count: int) -> tuple[Any, Any]:
    """The best `count` of passages in ascending order, best first; equals stay in that order."""
    numpy = load("numpy")
    if len(places) > count:
        least = numpy.partition(scores, len(scores) - count)[len(scores) - count]
        above = scores > least
        equal = numpy.flatnonzero(scores == least)[: count - int(above.sum())]
        above[equal] = True
        places, scores = places[above], scores[above]
    order = numpy.argsort(-scores, kind="stable")
    return places[order], scores[order]


def _merge_ways(postings: Postings, ways: Sequence[KnownWay]) -> tuple[Any, Any]:
    """The passages of the best way to satisfy a term, and its weights."""
    found = [_merge_terms(postings, *way) for way in ways]
    if len(found) == 1:
        return found[0]
    return _merge(found, load("numpy").maximum)


def _merge_terms(postings: Postings, numbers: Sequence[int], together: bool) -> tuple[Any, Any]:
    found = [postings.of(number) for number in numbers]
    if len(found) == 1:
        return found[0]
    numpy = load("numpy")
    if together:
        shared = found[0][0]
        for passages, _ in found[1:]:
            shared = numpy.intersect1d(shared, passages, assume_unique=True)
        found = [(shared, _TermPart(*one, 1).at(shared)) for one in found]
    return _merge(found, numpy.add)


def _merge(found: Sequence[tuple[Any, Any]], join: Any) -> tuple[Any, Any]:
    numpy = load("numpy")
    passages = numpy.concatenate([one for one, _ in found])
    if not len(passages):
        return found[0]
    weights = numpy.concatenate([one for _, one in found])
    order = numpy.argsort(passages, kind="stable")
    passages, weights = passages[order], weights[order]
    first = numpy.flatnonzero(numpy.concatenate([[True], passages[1:] != passages[:-1]]))
    return passages[first], join.reduceat(weights, first)
