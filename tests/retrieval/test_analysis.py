from __future__ import annotations

import pytest

from mistral_agents.errors import ConfigurationError
from mistral_agents.retrieval.analysis import Analyzer, title_of


def test_english_words_are_stemmed_and_stop_words_left_out() -> None:
    assert Analyzer().terms("The libraries are Retrieving DOCUMENTS") == ["librari", "retriev", "document"]


def test_another_language_has_its_own_stems_and_stop_words() -> None:
    assert Analyzer("french").terms("Les bibliothèques et la recherche") == ["bibliothequ", "recherch"]
    assert Analyzer("german").terms("die Bücher und das Buch")[0] == Analyzer("german").terms("Bücher")[0]


def test_without_language_words_stay_as_they_are() -> None:
    assert Analyzer("none").terms("The Libraries") == ["the", "libraries"]


def test_text_without_spaces_becomes_pairs() -> None:
    assert Analyzer("none").terms("図書館は本") == ["図書", "書館", "館は", "は本"]
    assert Analyzer("none").terms("本") == ["本"]


def test_width_and_ligatures_make_no_difference() -> None:
    assert Analyzer().terms("ﬁnding Ｔｅｘｔ") == Analyzer().terms("finding text")


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="klingon"):
        Analyzer("klingon")


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("annual_report-2025.pdf", "It was a good year. More text.", "annual report 2025"),
        ("doc17.txt", "# Pump maintenance\nClose the valve.", "doc17\nPump maintenance"),
        ("notes", "only line", "notes"),
        ("v1.2 release notes.md", "Fixes:\nmany", "v1 2 release notes"),
    ],
)
def test_a_title_is_the_file_name_and_a_heading(name: str, text: str, expected: str) -> None:
    assert title_of(name, text) == expected
