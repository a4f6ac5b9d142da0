"""A kept snapshot is searched from its arrays; what does not fit is analysed anew."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mistral_agents.retrieval import analysis, store
from mistral_agents.retrieval.chunking import Splitter
from mistral_agents.retrieval.engine import LibraryEngine
from mistral_agents.retrieval.errors import SnapshotError
from mistral_agents.retrieval.snapshot import Query
from tests.retrieval.conftest import LetterEmbedder
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
    seen.clear()
    results(make_engine(persist_dir=kept))  # the first has kept what it made
    assert seen == []


@pytest.mark.parametrize("other", [{"language": "french"}, {"splitter": Splitter(60, 0)}])
def test_a_search_with_other_settings_leaves_what_is_kept(
    make_engine: Make, kept: Path, monkeypatch: pytest.MonkeyPatch, other: dict[str, Any]
) -> None:
    results(make_engine(persist_dir=kept, **other))
    seen = count_analysed(monkeypatch)
    results(make_engine(persist_dir=kept))
    assert seen == []


# --- vectors ---


@pytest.fixture
def with_vectors(service: LibraryService, make_engine: Make, embedder: LetterEmbedder, kept: Path) -> Path:
    make_engine(persist_dir=kept, embedder=embedder).refresh()
    embedder.asked.clear()
    return kept


def near(engine: LibraryEngine, embedder: LetterEmbedder) -> list[tuple[Any, float]]:
    hits = engine.search(Query("valve", strategy="vector", vector=embedder.query("valve")))
    return [(hit.chunk, hit.score) for hit in hits]


def test_vectors_are_mapped_into_memory(make_engine: Make, with_vectors: Path, embedder: LetterEmbedder) -> None:
    import numpy

    expected = near(make_engine(embedder=embedder), embedder)
    embedder.asked.clear()
    engine = make_engine(persist_dir=with_vectors, embedder=embedder)
    assert near(engine, embedder) == expected
    assert embedder.asked == []
    assert engine.snapshot is not None
    whole = engine.snapshot.vectors
    while whole is not None and not isinstance(whole, numpy.memmap):
        whole = whole.base
    assert isinstance(whole, numpy.memmap)
    [path] = with_vectors.glob("vectors-*")
    assert path.suffix == ".npy"


def _write_as_before(folder: Path, engine: LibraryEngine) -> None:
    """Vectors as version 0.1.0 kept them: an archive with an array for each document."""
    import numpy

    assert engine.snapshot is not None
    parts = {key: stored.vectors for key, stored in engine.snapshot.texts.items() if stored.vectors is not None}
    [path] = folder.glob("vectors-*")
    path.unlink()
    with (folder / "vectors-old.npz").open("wb") as file:
        numpy.savez(file, **parts)
    snapshot = folder / "snapshot.jsonl"
    snapshot.write_text(snapshot.read_text().replace(path.name, "vectors-old.npz"))


def test_vectors_of_an_older_version_are_read(
    service: LibraryService, make_engine: Make, with_vectors: Path, embedder: LetterEmbedder
) -> None:
    first = make_engine(persist_dir=with_vectors, embedder=embedder)
    expected = near(first, embedder)
    _write_as_before(with_vectors, first)
    assert near(make_engine(persist_dir=with_vectors, embedder=embedder), embedder) == expected
    assert embedder.asked == []
    service.add("new.txt", "A new valve.")
    make_engine(persist_dir=with_vectors, embedder=embedder).refresh()
    assert embedder.asked == ["A new valve."]
    assert [path.suffix for path in with_vectors.glob("vectors-*")] == [".npy"]


def test_vectors_outlast_changes_that_a_search_by_words_alone_keeps(
    service: LibraryService, make_engine: Make, with_vectors: Path, embedder: LetterEmbedder
) -> None:
    key = service.add("new.txt", "A new valve.")
    service.add("other.txt", "An older valve.")
    by_words = make_engine(persist_dir=with_vectors)
    by_words.refresh()
    service.change(key, "A newer valve.")
    by_words.refresh()
    engine = make_engine(persist_dir=with_vectors, embedder=embedder)
    engine.refresh()
    assert sorted(embedder.asked) == ["A newer valve.", "An older valve."]
    assert near(engine, embedder) == near(make_engine(embedder=embedder), embedder)


def test_vectors_are_kept_where_words_alone_are_searched(
    make_engine: Make, with_vectors: Path, embedder: LetterEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as later:
        later.setattr(analysis, "VERSION", analysis.VERSION + 1)
        results(make_engine(persist_dir=with_vectors))
    near(make_engine(persist_dir=with_vectors, embedder=embedder), embedder)
    assert embedder.asked == []


@pytest.mark.parametrize("keep", [0, 60, 200])
def test_damaged_vectors_are_a_typed_error(
    make_engine: Make, with_vectors: Path, embedder: LetterEmbedder, keep: int
) -> None:
    [path] = with_vectors.glob("vectors-*")
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(SnapshotError, match=re.escape(str(with_vectors))):
        near(make_engine(persist_dir=with_vectors, embedder=embedder), embedder)


# --- several at once ---


@pytest.mark.parametrize("target", ["snapshot.jsonl", "index", "vectors"])
def test_two_that_write_into_one_folder_at_once_leave_a_whole_snapshot(
    service: LibraryService,
    make_engine: Make,
    with_vectors: Path,
    embedder: LetterEmbedder,
    monkeypatch: pytest.MonkeyPatch,
    target: str,
) -> None:
    one, other = (make_engine(persist_dir=with_vectors, embedder=embedder) for _ in range(2))
    for engine in (one, other):
        engine.refresh()
    service.add("new.txt", "A new valve.")
    replaced, waiting = os.replace, [other]

    def replace(source: Path, place: Path) -> None:
        if waiting and place.name.startswith(target):
            waiting.pop().refresh()
        replaced(source, place)

    monkeypatch.setattr(os, "replace", replace)
    one.refresh()
    assert waiting == []
    embedder.asked.clear()
    third = make_engine(persist_dir=with_vectors, embedder=embedder, refresh="never")
    assert near(third, embedder) == near(one, embedder)
    assert embedder.asked == []
    assert not list(with_vectors.glob("*.tmp"))


def test_a_snapshot_that_is_replaced_while_it_is_opened_is_opened_again(
    service: LibraryService,
    make_engine: Make,
    with_vectors: Path,
    embedder: LetterEmbedder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    writer = make_engine(persist_dir=with_vectors, embedder=embedder)
    near(writer, embedder)
    service.add("new.txt", "A new valve.")
    mapped, waiting = store._map_matrix, [writer]

    def replaced_before(path: Path) -> Any:
        if waiting:
            waiting.pop().refresh()
        return mapped(path)

    monkeypatch.setattr(store, "_map_matrix", replaced_before)
    reader = make_engine(persist_dir=with_vectors, embedder=embedder, refresh="never")
    assert near(reader, embedder) == near(writer, embedder)


def test_files_that_nobody_needs_are_deleted_in_the_end(
    service: LibraryService, make_engine: Make, with_vectors: Path, embedder: LetterEmbedder
) -> None:
    left = [with_vectors / name for name in ("index-x-1.bin", "vectors-x-1.npy", "snapshot.1-x.tmp")]
    for number, path in enumerate(left):
        path.write_bytes(b"x")
        if number:
            os.utime(path, (0, 0))
    service.add("new.txt", "A new valve.")
    make_engine(persist_dir=with_vectors, embedder=embedder).refresh()
    assert [path.exists() for path in left] == [True, False, False]
    assert len(list(with_vectors.iterdir())) == 4


def test_a_snapshot_that_names_a_file_that_is_gone_is_a_typed_error(
    make_engine: Make, with_vectors: Path, embedder: LetterEmbedder
) -> None:
    next(with_vectors.glob("vectors-*")).unlink()
    with pytest.raises(SnapshotError, match="gone"):
        near(make_engine(persist_dir=with_vectors, embedder=embedder), embedder)


def test_what_another_process_has_open_may_stay(
    service: LibraryService,
    make_engine: Make,
    with_vectors: Path,
    embedder: LetterEmbedder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (with_vectors / "journal-1-x.jsonl").write_text("")

    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "used by another process", str(path))

    monkeypatch.setattr(Path, "unlink", refuse)
    engine = make_engine(persist_dir=with_vectors, embedder=embedder)
    engine.refresh()
    for text in ("A new valve.", "A newer valve."):  # both are kept, without a warning
        service.add("new.txt", text)
        engine.refresh()
    embedder.asked.clear()
    assert near(make_engine(persist_dir=with_vectors, embedder=embedder, refresh="never"), embedder) == near(
        engine, embedder
    )
    assert embedder.asked == []
