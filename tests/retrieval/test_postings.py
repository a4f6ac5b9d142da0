"""Postings against a plain count, whatever the size of the blocks they are built in."""

from __future__ import annotations

import math
import random
from array import array
from collections import Counter
from typing import Any

import numpy
import pytest

from mistral_agents.retrieval import postings
from mistral_agents.retrieval.analysis import Analyzer
from mistral_agents.retrieval.keyword import KeywordIndex, best
from mistral_agents.retrieval.postings import K1, B, Numbering, TermRows, Vocabulary, build_postings


def _plain(rows: list[list[int]], wanted: Any) -> dict[tuple[int, int], float]:
    """BM25 weights by term and passage."""
    kept = [[number for number in row if wanted[number]] for row in rows]
    mean = sum(map(len, kept)) / len(kept)
    holders = Counter(number for row in kept for number in set(row))
    weights = {}
    for passage, row in enumerate(kept):
        for number, count in Counter(row).items():
            rarity = math.log(1 + (len(kept) - holders[number] + 0.5) / (holders[number] + 0.5))
            weights[number, passage] = rarity * count / (count + K1 * (1 - B + B * len(row) / mean))
    return weights


@pytest.mark.parametrize("block", [1, 40, 10_000])
def test_postings_are_those_of_a_plain_count(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(postings, "_BLOCK", block)
    dice = random.Random(7)
    documents = [
        [[dice.randrange(30) for _ in range(dice.randrange(12))] for _ in range(dice.randrange(4))] for _ in range(20)
    ]
    wanted = numpy.array([number % 5 != 0 for number in range(30)])
    built = build_postings([TermRows.of([array("I", row) for row in rows]) for rows in documents], wanted)
    expected = _plain([row for rows in documents for row in rows], wanted)
    found = {
        (number, int(passage)): float(weight)
        for number in range(30)
        for passage, weight in zip(*built.of(number), strict=True)
    }
    assert found == pytest.approx(expected, rel=1e-5)
    assert all(numpy.all(numpy.diff(built.of(number)[0]) > 0) for number in range(30))


def test_nothing_at_all() -> None:
    index = KeywordIndex(Vocabulary(), [])
    assert len(index.rank(Analyzer().query_terms("walrus"), 5).places) == 0


def test_a_forgotten_token_keeps_its_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postings, "_REMEMBERED", 2)
    numbering = Numbering(Analyzer(), Vocabulary())
    text = "pumps and valves, boilers and filters; max_tokens"
    assert numbering.row(text) == numbering.row(text)
    assert len(numbering.row("pumps pumps")) == 2


@pytest.mark.parametrize("count", [1, 3, 5, 99])
def test_the_best_are_those_of_a_whole_sort(count: int) -> None:
    scores = numpy.array([1, 3, 2, 3, 1, 3, 0, 2], dtype="float32")
    places = numpy.arange(10, 18)
    order = numpy.argsort(-scores, kind="stable")[:count]
    assert best(places, scores, count)[0].tolist() == places[order].tolist()
