"""Sentences, and which of them speaks to a question: by words in common, rare ones counting more."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
_SENTENCE = re.compile(r"(?<=[.!?])[\"”’')\]]*\s+|\n+")
_WRAPPED = re.compile(r"(?<=[^\s.!?:|])\n(?=[a-z(])|(?<=[^\n.!?:|]{60})\n(?=[A-Z0-9\"“‘(])")
"""A line break inside a sentence: the next line goes on in lower case, or the line before was a long one."""
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
    """The sentences and lines of a text, without list and heading marks; hard-wrapped lines are joined."""
    found = (_MARKUP.sub("", part).strip() for part in _SENTENCE.split(_WRAPPED.sub(" ", text)))
    return [part for part in found if part and _WORD.search(part)]


def _weights(wanted: set[str], bags: Sequence[set[str]]) -> dict[str, float]:
    """What each wanted word counts, all together 1: the rarer among the candidates, the more."""
    seen = Counter(word for bag in bags for word in bag)
    weight = {word: 1.0 + math.log((1 + len(bags)) / (1 + seen[word])) for word in wanted}
    total = sum(weight.values())
    return {word: value / total for word, value in weight.items()}


def scores(question: str, candidates: Sequence[str]) -> list[float]:
    """How much of the question each candidate speaks to: 0 for nothing, 1 for every word of it."""
    wanted = content_words(question)
    bags = [set(words(candidate)) for candidate in candidates]
    weight = _weights(wanted, bags)
    return [sum(weight[word] for word in wanted & bag) for bag in bags]


def best(question: str, candidates: Sequence[str], at_most: int = 1, at_least: float = 0.2) -> list[int]:
    """The places of the best candidates: the best one, then those that speak to what is still left of the question.

    Args:
        question: what is asked.
        candidates: sentences.
        at_most: how many.
        at_least: what the first must reach, of 1; each further one half of it, counting only what is new.
    """
    wanted = content_words(question)
    bags = [set(words(candidate)) for candidate in candidates]
    weight = _weights(wanted, bags)
    chosen: list[int] = []
    left, needed = set(wanted), at_least
    while bags and len(chosen) < at_most:
        gains = [sum(weight[word] for word in left & bag) for bag in bags]
        top = max(range(len(bags)), key=lambda place: gains[place])
        if gains[top] < needed:
            break
        chosen.append(top)
        left -= bags[top]
        needed = at_least / 2
    return sorted(chosen)
