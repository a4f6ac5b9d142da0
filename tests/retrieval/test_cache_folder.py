"""`persist_dir` is a convenience: a folder that can't be used costs a warning, or an error that names it."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mistral_agents.errors import ConfigurationError
from mistral_agents.retrieval.engine import LibraryEngine
from mistral_agents.retrieval.errors import SnapshotError
from mistral_agents.retrieval.snapshot import Query
from tests.retrieval.conftest import LetterEmbedder
from tests.retrieval.service import LibraryService

Make = Callable[..., LibraryEngine]


def found(engine: LibraryEngine) -> list[str]:
    return sorted(hit.text for hit in engine.search(Query("word")))


@pytest.fixture
def words(service: LibraryService) -> LibraryService:
    service.add("a.txt", "word one")
    service.add("b.txt", "word two")
    return service


@pytest.mark.parametrize("place", ["a file", "below a file"])
def test_a_place_that_can_be_no_folder_is_named_once(
    words: LibraryService, make_engine: Make, tmp_path: Path, place: str
) -> None:
    (tmp_path / "taken").write_text("x")
    folder = tmp_path / "taken" if place == "a file" else tmp_path / "taken" / "below"
    with pytest.warns(UserWarning, match="can't be written") as seen:
        assert found(make_engine(persist_dir=folder)) == ["word one", "word two"]
    told = [str(one.message) for one in seen if one.category is UserWarning]
    assert [str(folder) in text for text in told] == [True]
    assert (tmp_path / "taken").read_text() == "x"


@pytest.mark.parametrize("folder", ["", " ", "a\0b", Path("a\0b"), "a\ud800", 3, b"folder"], ids=repr)
def test_what_names_no_folder_is_refused_before_anything_is_read(
    words: LibraryService, make_engine: Make, folder: object
) -> None:
    with pytest.raises(ConfigurationError, match="persist_dir"):
        make_engine(persist_dir=folder)
    assert words.requests == []


@pytest.mark.parametrize("where", ["snapshot", "journal", "vectors"])
def test_a_full_volume_leaves_the_search_and_what_was_kept_before(
    words: LibraryService, make_engine: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    found(make_engine(persist_dir=tmp_path, embedder=LetterEmbedder()))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    words.add("c.txt", "word three")
    opened = Path.open

    def full(path: Path, mode: str = "r", *args: Any, **options: Any) -> Any:
        if path.name.startswith(where) and set(mode) & set("wax"):
            raise OSError(28, "No space left on device", str(path))
        return opened(path, mode, *args, **options)

    monkeypatch.setattr(Path, "open", full)
    with pytest.warns(UserWarning, match="No space left"):
        assert found(make_engine(persist_dir=tmp_path, embedder=LetterEmbedder())) == [
            "word one",
            "word three",
            "word two",
        ]
    monkeypatch.undo()
    assert {name: data for name, data in before.items() if (tmp_path / name).exists()} == before
    assert not list(tmp_path.glob("*.tmp"))


def test_a_read_only_folder_still_serves_what_it_holds(
    words: LibraryService, make_engine: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found(make_engine(persist_dir=tmp_path))
    words.clear()
    opened = Path.open

    def read_only(path: Path, mode: str = "r", *args: Any, **options: Any) -> Any:
        if set(mode) & set("wax"):
            raise OSError(30, "Read-only file system", str(path))
        return opened(path, mode, *args, **options)

    monkeypatch.setattr(Path, "open", read_only)
    assert found(make_engine(persist_dir=tmp_path)) == ["word one", "word two"]
    assert words.texts == 0


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("journal-1.jsonl", b'{"id": 3}\nnot json\n[1, 2]\n{"id": "x", "key": "y", "text": null, "pages": []}\n'),
        ("journal-1.jsonl", b'{"id": "x", "key": "y", "te'),
        ("journal-1.jsonl", b"[" * 100_000),
        ("journal-1.jsonl", b"\x00\xff\x00"),
        ("journal-1-000001.npz", b"xx"),
        ("journal-1-000001.npz", b""),
        ("journal-1-000001.npz", b"PK\x03\x04" + bytes(40)),
    ],
)
def test_a_damaged_journal_is_left_aside(
    words: LibraryService, make_engine: Make, tmp_path: Path, name: str, data: bytes
) -> None:
    (tmp_path / name).write_bytes(data)
    assert found(make_engine(persist_dir=tmp_path, embedder=LetterEmbedder())) == ["word one", "word two"]
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("seed", range(20))
def test_any_damage_to_a_snapshot_is_an_error_that_names_it_or_none(
    words: LibraryService, make_engine: Make, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    found(make_engine(persist_dir=tmp_path, embedder=LetterEmbedder()))
    path = chance.choice(sorted(tmp_path.iterdir()))
    data = bytearray(path.read_bytes())
    if seed % 2:
        del data[chance.randrange(len(data)) :]
    else:
        data[chance.randrange(len(data))] ^= 0x55
    path.write_bytes(bytes(data))
    told = ""
    try:
        assert len(found(make_engine(persist_dir=tmp_path, embedder=LetterEmbedder()))) <= 2
    except SnapshotError as error:
        told = str(error)
    assert told == "" or (str(tmp_path) in told and "persist_dir" in told)


@pytest.mark.parametrize("place", [-1, 99_999_999_999, None])
def test_a_passage_at_no_place_is_a_damaged_snapshot(
    words: LibraryService, make_engine: Make, tmp_path: Path, place: int | None
) -> None:
    found(make_engine(persist_dir=tmp_path))
    [path] = tmp_path.glob("*.jsonl")
    head, *lines = path.read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    rows[0]["chunks"][0][1] = place
    path.write_text("\n".join([head, *map(json.dumps, rows)]) + "\n")
    with pytest.raises(SnapshotError, match="can't be read"):
        found(make_engine(persist_dir=tmp_path))


def test_the_home_folder_is_expanded(
    words: LibraryService, make_engine: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    found(make_engine(persist_dir="~/cache"))
    assert (tmp_path / "cache" / "snapshot.jsonl").exists()
    monkeypatch.chdir(tmp_path)
    found(make_engine(persist_dir="~nobody-of-this-name/cache"))
    assert (tmp_path / "~nobody-of-this-name" / "cache" / "snapshot.jsonl").exists()


def test_a_snapshot_of_0_1_0_is_read(words: LibraryService, make_engine: Make, tmp_path: Path) -> None:
    """Its header knows neither pages nor the analysis; its documents are the service's as they came."""
    import json

    found(make_engine(persist_dir=tmp_path))
    path = tmp_path / "snapshot.jsonl"
    header, *lines = path.read_text().splitlines()
    known = ("format", "version", "library_ids", "splitter", "embedder", "vectors", "documents")
    path.write_text("\n".join([json.dumps({key: json.loads(header)[key] for key in known}), *lines]) + "\n")
    words.clear()
    assert found(make_engine(persist_dir=tmp_path)) == ["word one", "word two"]
    assert words.texts == 0
