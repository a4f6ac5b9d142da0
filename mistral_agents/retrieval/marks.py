"""Hits that know what was searched for, so that the words found can be marked in their passages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mistral_agents._display.shown import Shown
from mistral_agents.retrieval.analysis import Analyzer, QueryTerm, find_words
from mistral_agents.retrieval.snapshot import Hit


class Hits(list[Hit], Shown):
    """The passages a search found, best first.

    Attributes:
        terms: What was searched for, as the index knows it.
        language: Whose stems these are.
    """

    def __init__(self, found: Iterable[Hit] = (), query: Iterable[QueryTerm] = (), language: str = "english") -> None:
        super().__init__(found)
        self.terms = frozenset(term for ways in query for way in ways for term in way.terms)
        self.language = language


def mark_words(text: str, terms: frozenset[str], language: str) -> Iterator[tuple[str, bool]]:
    """The text in pieces, each with whether it is a word that was searched for."""
    if not terms:
        yield text, False
        return
    analyzer = Analyzer(language)
    before = 0
    for start, end in find_words(text):
        if terms.intersection(analyzer.terms(text[start:end])):
            if start > before:
                yield text[before:start], False
            yield text[start:end], True
            before = end
    if before < len(text):
        yield text[before:], False
