"""A kept snapshot is searched from its arrays; what does not fit is analysed anew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mistral_agents.retrieval import analysis
from mistral_agents.retrieval.chunking import Splitter
from mistral_agents.retrieval.engine import LibraryEngine
from mistral_agents.retrieval.snapshot import Query
from tests.retrieval.service import LibraryService

Make = Callable[..., LibraryEngine]
QUESTIONS = ("inlet valve", "of the", "max_tokens", "boiler water service", "roses")


@pytest.fixture
def kept(service: LibraryService, make_engine: Make, tmp_path: Path) -> Path:
    service.add("pump manual.txt", "Close the inlet valve before service.\n\nThe filter is cleaned every month. " * 9)
    service.add("boiler.txt", "The boiler has a valve too. It needs water; see max_tokens of the controller.")
    service.add("empty.txt", " ")
    service.add("gardening.txt", "Roses want sun.", "Tulips want patience.")
    make_engine(persist_dir=tmp_path).refresh()
    return tmp_path


def results(engine: LibraryEngine) -> list[list[tuple[Any, float]]]:
    return [[(hit.chunk, hit.score) for hit in engine.search(Query(text))] for text in QUESTIONS]


def count_analysed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    seen: list[str] = []
    tokens = analysis.Analyzer.tokens

    def counted(self: analysis.Analyzer, text: str) -> list[str]:
        seen.append(text)
        return tokens(self, text)

    monkeypatch.setattr(analysis.Analyzer, "tokens", counted)
    return seen


def test_opening_analyses_no_text_and_finds_the_same(
    service: LibraryService, make_engine: Make, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = results(make_engine())
    seen = count_analysed(monkeypatch)
    assert results(make_engine(persist_dir=kept)) == expected
    assert seen == []
    assert all(expected)


def test_a_change_analyses_only_what_changed(
    service: LibraryService, make_engine: Make, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.add("new.txt", "An inlet valve of the new kind.")
    expected = results(make_engine())
    seen = count_analysed(monkeypatch)
    assert results(make_engine(persist_dir=kept)) == expected
    assert {text for text in seen if "new" not in text.lower()} == set()
    assert len(list(kept.glob("index-*.bin"))) == 1


def _drop(kept: Path) -> None:
    next(kept.glob("index-*.bin")).unlink()


def _cut(kept: Path) -> None:
    path = next(kept.glob("index-*.bin"))
    path.write_bytes(path.read_bytes()[:-40])


def _spoil(kept: Path) -> None:
    path = next(kept.glob("index-*.bin"))
    path.write_bytes(b"nonsense\n" + path.read_bytes())


@pytest.mark.parametrize("damage", [_drop, _cut, _spoil])
def test_arrays_that_do_not_fit_are_left_aside(make_engine: Make, kept: Path, damage: Callable[[Path], None]) -> None:
    expected = results(make_engine())
    damage(kept)
    assert results(make_engine(persist_dir=kept)) == expected


def test_no_damage_to_the_arrays_ends_a_search(make_engine: Make, kept: Path) -> None:
    path = next(kept.glob("index-*.bin"))
    data = path.read_bytes()
    for place in range(0, len(data), 7):
        path.write_bytes(data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :])
        for text in QUESTIONS:
            make_engine(persist_dir=kept, refresh="never").search(Query(text))


@pytest.mark.parametrize("options", [{"language": "french"}, {"splitter": Splitter(60, 0)}])
def test_other_settings_analyse_anew(make_engine: Make, kept: Path, options: dict[str, Any]) -> None:
    assert results(make_engine(persist_dir=kept, **options)) == results(make_engine(**options))


def test_another_analysis_analyses_anew(make_engine: Make, kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analysis, "VERSION", analysis.VERSION + 1)
    seen = count_analysed(monkeypatch)
    results(make_engine(persist_dir=kept))
    assert seen
