"""Hits that know what was searched for, so that the words found can be marked in their passages."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from mistral_agents._display.shown import Shown
from mistral_agents.retrieval.analysis import Analyzer, QueryTerm
from mistral_agents.retrieval.snapshot import Hit

_WORD = re.compile(r"\w[\w.\-/'’]*\w|\w")


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
    for found in _WORD.finditer(text):
        if terms.intersection(analyzer.terms(found.group())):
            if found.start() > before:
                yield text[before : found.start()], False
            yield found.group(), True
            before = found.end()
    if before < len(text):
        yield text[before:], False
