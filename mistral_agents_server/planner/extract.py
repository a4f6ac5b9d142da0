"""Sentences, and which of them speaks to a question: by words in common, rare ones counting more."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
_SENTENCE = re.compile(r"(?<=[.!?])[\"”’')\]]*\s+|\n+")
_MARKUP = re.compile(r"^\s*(?:#+|[-*>•]|\d+[.)])\s+")

_STOP_WORDS = """
    a about above after again all also am an and answer any are as at be because been before being below between
    both but by can could describe did do does doing down during each explain few find for from further give had
    has have having he her here hers him his how i if in into is it its just let list me more most my no nor not
    now of off on once one only or other our out over own please query question same she should show so some such
    tell than that the their them then there these they this those through to too under until up us use used using
    very was we were what when where which while who whom why will with would you your yours
"""


def words(text: str) -> list[str]:
    """The words of a text, lower-cased and without common endings."""
    return [_stem(word) for word in _WORD.findall(text.lower())]


def _stem(word: str) -> str:
    word = word.removesuffix("'s")
    for ending in ("ing", "ies", "es", "ed", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            return word[: -len(ending)]
    return word


_STOP_STEMS = frozenset(_stem(word) for word in _STOP_WORDS.split())


def content_words(text: str) -> set[str]:
    """The words that carry meaning."""
    return {word for word in words(text) if word not in _STOP_STEMS}


def sentences(text: str) -> list[str]:
    """The sentences and lines of a text, without list and heading marks."""
    found = (_MARKUP.sub("", part).strip() for part in _SENTENCE.split(text))
    return [part for part in found if part and _WORD.search(part)]


def scores(question: str, candidates: Sequence[str]) -> list[float]:
    """How much of the question each candidate speaks to: 0 for nothing, 1 for every word of it."""
    wanted = content_words(question)
    if not wanted:
        return [0.0] * len(candidates)
    bags = [set(words(candidate)) for candidate in candidates]
    seen = Counter(word for bag in bags for word in bag)
    weight = {word: 1.0 + math.log((1 + len(bags)) / (1 + seen[word])) for word in wanted}
    total = sum(weight.values())
    return [sum(weight[word] for word in wanted & bag) / total for bag in bags]


def best(question: str, candidates: Sequence[str], at_most: int = 1, at_least: float = 0.2) -> list[int]:
    """The places of the best candidates, best first. A second one must be nearly as good as the first."""
    rated = scores(question, candidates)
    order = sorted(range(len(candidates)), key=lambda place: (-rated[place], place))
    if not order or rated[order[0]] < at_least:
        return []
    return [place for place in order[:at_most] if rated[place] >= 0.8 * rated[order[0]]]
