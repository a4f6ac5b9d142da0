from __future__ import annotations

from itertools import pairwise
from uuid import NAMESPACE_DNS, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mistral_agents.errors import ConfigurationError
from mistral_agents.retrieval.chunking import Chunk, Page, PieceSplitter, Splitter, chunks_of

TEXTS = st.text(st.sampled_from("ab c.\n!?é—\u2028中。"), max_size=1200)


@given(TEXTS, st.integers(50, 300), st.integers(0, 25))
def test_spans_are_true_ordered_bounded_and_lose_nothing(text: str, size: int, overlap: int) -> None:
    spans = list(Splitter(size, overlap).spans(text))
    covered = [False] * len(text)
    for start, end in spans:
        assert 0 <= start < end <= len(text)
        assert end - start <= size
        assert text[start:end] == text[start:end].strip()
        covered[start:end] = [True] * (end - start)
    assert spans == sorted(spans)
    assert all(seen or text[place].isspace() for place, seen in enumerate(covered))


def test_repetitive_text_has_distinct_true_offsets() -> None:
    text = "The same line again. " * 60
    spans = list(Splitter(200, 0).spans(text))
    assert len(set(spans)) == len(spans) > 5
    assert all(start >= before for (_, before), (start, _) in pairwise(spans))


def test_cuts_at_paragraphs_before_sentences() -> None:
    text = "First paragraph. It has two sentences.\n\nSecond paragraph, which is somewhat longer than the first one."
    assert next(text[a:b] for a, b in Splitter(70, 0).spans(text)) == "First paragraph. It has two sentences."


def test_overlap_repeats_whole_sentences() -> None:
    text = " ".join(f"Sentence number {n} stands here." for n in range(40))
    spans = list(Splitter(200, 60).spans(text))
    assert all(start < end for (_, end), (start, _) in pairwise(spans))
    assert all(text[start:].startswith("Sentence number") for start, _ in spans)


def test_ids_follow_the_toolkits_grammar() -> None:
    assert Chunk("doc", 0, 5).id == str(uuid5(NAMESPACE_DNS, "doc:char:0-5"))
    assert Chunk("doc", 0, 5, "2").locator == "page:2:char:0-5"


def test_no_chunk_spans_two_pages() -> None:
    text = "alpha beta\n\ngamma delta"
    pages = [Page("1", 0, 10), Page("2", 12, 23)]
    chunks = chunks_of("doc", text, pages, Splitter(1000, 0))
    assert [(chunk.page, text[chunk.start : chunk.end]) for chunk in chunks] == [
        ("1", "alpha beta"),
        ("2", "gamma delta"),
    ]


def test_pieces_of_another_splitter_get_their_offsets_back() -> None:
    text = "aa bb aa bb aa"
    pieces = PieceSplitter(lambda part: ["aa", "bb aa", "bb aa"], "test")
    assert [text[a:b] for a, b in pieces.spans(text)] == ["aa", "bb aa", "bb aa"]
    assert len(set(pieces.spans(text))) == 3


def test_a_splitter_that_changes_the_text_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="changed the text"):
        list(PieceSplitter(lambda part: [part.upper()], "upper").spans("abc"))


@pytest.mark.parametrize(("size", "overlap"), [(10, 0), (100, 90), (100, -1)])
def test_impossible_sizes_are_refused(size: int, overlap: int) -> None:
    with pytest.raises(ConfigurationError, match="chunk_size"):
        Splitter(size, overlap)
