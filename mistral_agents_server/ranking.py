"""Ranking of passages by BM25, each document stemmed in its own language."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from mistral_agents.retrieval.analysis import Analyzer, QueryTerm
from mistral_agents.retrieval.keyword import TITLE_WEIGHT, KeywordIndex
from mistral_agents.retrieval.postings import Numbering, TermRows, Vocabulary

LANGUAGES = (
    *("english", "french", "german", "spanish", "italian", "portuguese"),
    *("dutch", "swedish", "norwegian", "danish", "russian", "turkish"),
)
_SAMPLE_CHARACTERS = 4000
_UNMISTAKABLE = 3


@cache
def _analyzer(language: str) -> Analyzer:
    return Analyzer(language)


def language_of(text: str) -> str:
    """The language whose function words a text has most of; English when none stands out."""
    words = text[:_SAMPLE_CHARACTERS].lower().split()
    counts = {language: sum(word in _analyzer(language).stop_words for word in words) for language in LANGUAGES}
    best = max(LANGUAGES, key=lambda language: counts[language])
    return best if counts[best] >= counts["english"] + _UNMISTAKABLE else "english"


@dataclass(slots=True, frozen=True)
class Source:
    """A document to rank.

    Attributes:
        title: what it is called; counts in each of its passages.
        passages: its passages, in order.
    """

    title: str
    passages: Sequence[str]


class Ranker:
    """An index over the passages of some documents.

    Args:
        sources: the documents. Passages are numbered through all of them.
    """

    def __init__(self, sources: Sequence[Source]) -> None:
        vocabulary = Vocabulary()
        numberings = {language: Numbering(_analyzer(language), vocabulary) for language in LANGUAGES}
        rows: list[TermRows] = []
        languages = {"english"}
        for source in sources:
            language = language_of("\n".join(source.passages))
            languages.add(language)
            row = numberings[language].row
            title = row(source.title) * TITLE_WEIGHT
            rows.append(TermRows.of([row(passage) + title for passage in source.passages]))
        self._languages = sorted(languages)
        self._index = KeywordIndex(vocabulary, rows)

    def search(self, query: str, count: int) -> list[int]:
        """Numbers of the best passages, best first; those without any word of the query are left out."""
        terms: Counter[QueryTerm] = Counter()
        for language in self._languages:
            terms |= Counter(_analyzer(language).query_terms(query))  # a word that is repeated in the query counts more
        places: list[int] = self._index.rank(list(terms.elements()), count).places.tolist()
        return places
