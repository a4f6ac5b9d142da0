"""What a sync costs and what it leaves: exact counts against a service on loopback."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mistral_agents.errors import ServerFailureError
from mistral_agents.retrieval.engine import LibraryEngine
from mistral_agents.retrieval.errors import (
    DocumentProcessingError,
    LibraryEmptyError,
    LibraryNotFoundError,
    LibraryNotReadyError,
    SnapshotError,
)
from mistral_agents.retrieval.events import (
    DocumentSkipped,
    SnapshotStale,
    SyncEnded,
    SyncProgress,
    SyncReport,
    SyncStarted,
)
from mistral_agents.retrieval.snapshot import Query
from tests.retrieval.conftest import LetterEmbedder
from tests.retrieval.service import LIBRARY, LibraryService

Make = Callable[..., LibraryEngine]
Refresh = Callable[[LibraryEngine], SyncReport]


@pytest.fixture(params=["sync", "async"])
def refresh(request: pytest.FixtureRequest) -> Refresh:
    def run(engine: LibraryEngine) -> SyncReport:
        return engine.refresh() if request.param == "sync" else asyncio.run(_arefresh(engine))

    return run


async def _arefresh(engine: LibraryEngine) -> SyncReport:
    report = await engine.arefresh()
    await engine.client.aclose()
    return report


def fill(service: LibraryService, count: int = 12) -> list[str]:
    return [service.add(f"note{n:03}.txt", f"Note number {n} is about topic{n}. " * 12) for n in range(count)]


def test_a_second_sync_of_an_unchanged_library_downloads_and_embeds_nothing(
    service: LibraryService, make_engine: Make, refresh: Refresh, embedder: LetterEmbedder
) -> None:
    fill(service)
    engine = make_engine(embedder=embedder)
    first = refresh(engine)
    assert (len(first.added), first.texts, first.requests) == (12, 12, 13)
    assert first.embedded == len(embedder.asked) > 12
    service.clear()
    embedder.asked.clear()
    snapshot = engine.snapshot
    second = refresh(engine)
    assert (second.unchanged, second.texts, second.embedded, second.requests) == (12, 0, 0, 1)
    assert (service.counts(), embedder.asked) == ({"GET documents": 1}, [])
    assert engine.snapshot is snapshot
    assert second.snapshot_id == first.snapshot_id


def test_one_changed_document_costs_one_text_and_only_its_new_chunks(
    service: LibraryService, make_engine: Make, refresh: Refresh, embedder: LetterEmbedder
) -> None:
    keys = fill(service)
    engine = make_engine(embedder=embedder)
    first = refresh(engine)
    service.clear()
    embedder.asked.clear()
    old = service.libraries[LIBRARY][keys[3]].text
    service.change(keys[3], old + "\n\nA last paragraph was added about zebras.")
    second = refresh(engine)
    assert (second.updated, second.unchanged, second.texts) == ([keys[3]], 11, 1)
    assert service.texts == 1
    assert 1 <= len(embedder.asked) <= 2
    assert second.snapshot_id != first.snapshot_id
    assert engine.search(Query("zebras"))[0].document.document_id == keys[3]


def test_a_thousand_documents(service: LibraryService, make_engine: Make, embedder: LetterEmbedder) -> None:
    keys = fill(service, 1000)
    engine = make_engine(embedder=embedder)
    assert engine.refresh().texts == 1000
    service.clear()
    embedder.asked.clear()
    again = engine.refresh()
    assert (again.texts, again.embedded, service.counts()) == (0, 0, {"GET documents": 10})
    service.change(keys[500], "Entirely new words: xylophone.")
    assert (engine.refresh().texts, len(embedder.asked)) == (1, 1)


def test_reprocessing_changes_the_text_under_the_same_hash(service: LibraryService, make_engine: Make) -> None:
    key = fill(service, 1)[0]
    engine = make_engine()
    engine.refresh()
    service.change(key, last_processed_at="2026-10-01T00:00:00Z")
    assert engine.refresh().updated == [key]


def test_new_attributes_and_names_cost_no_text_and_no_vector(
    service: LibraryService, make_engine: Make, refresh: Refresh, embedder: LetterEmbedder
) -> None:
    keys = fill(service, 3)
    engine = make_engine(embedder=embedder)
    refresh(engine)
    service.clear()
    embedder.asked.clear()
    service.change(keys[0], attributes={"team": "sales"}, name="walrus.txt")
    report = refresh(engine)
    assert (report.metadata_only, report.texts, report.embedded, service.texts) == ([keys[0]], 0, 0, 0)
    assert engine.search(Query("walrus"))[0].metadata["team"] == "sales"


def test_a_deleted_document_is_gone_after_the_next_sync(
    service: LibraryService, make_engine: Make, refresh: Refresh
) -> None:
    keys = fill(service, 3)
    engine = make_engine()
    refresh(engine)
    service.remove(keys[1])
    assert refresh(engine).deleted == [keys[1]]
    assert engine.search(Query("topic1")) == []


def test_a_document_missed_by_a_shifting_walk_is_not_taken_for_deleted(
    service: LibraryService, make_engine: Make
) -> None:
    fill(service, 150)
    engine = make_engine()
    engine.refresh()
    victim = next(iter(service.libraries[LIBRARY]))
    walked: list[str] = []

    def shift(method: str, target: str) -> None:
        if "page=1" in target and not walked:  # between the first walk's pages a document of page 0 disappears
            walked.append(target)
            service.remove(victim)

    service.fail = shift
    report = engine.refresh()
    assert report.deleted == []  # the row that slid from page 1 to page 0 was found by the second listing
    assert not report.consistent
    assert engine.refresh().deleted == [victim]


def test_a_text_deleted_meanwhile_is_dropped_and_an_empty_one_failed(
    service: LibraryService, make_engine: Make, refresh: Refresh
) -> None:
    keys = fill(service, 2)
    empty = service.add("scan.pdf", "  \n ")
    service.fail = lambda method, target: (404, {"message": "gone"}) if f"{keys[0]}/text" in target else None
    report = refresh(make_engine())
    assert (report.added, report.failed) == ([keys[1]], {empty: "missing_content"})


def test_a_library_that_is_deleted_while_it_is_read_is_not_an_empty_one(
    service: LibraryService, make_engine: Make, refresh: Refresh
) -> None:
    def delete(_: str, target: str) -> None:
        if "page=0" in target:
            service.libraries.clear()

    fill(service, 2)
    engine = make_engine()
    service.spoil = delete
    with pytest.raises(LibraryNotFoundError):
        refresh(engine)
    assert engine.snapshot is None


@pytest.mark.parametrize(
    ("status", "place"),
    [
        ("done", "added"),
        ("self_managed", "added"),
        ("something_new", "added"),
        ("todo", "pending"),
        ("in_progress", "pending"),
        ("waiting_for_capacity", "pending"),
        ("error", "failed"),
        ("missing_content", "failed"),
    ],
)
def test_what_the_services_words_mean(service: LibraryService, make_engine: Make, status: str, place: str) -> None:
    key = service.add("a.txt", "Some text.", process_status=status)
    assert key in getattr(make_engine().refresh(), place)


def test_pending_documents_can_be_refused_or_waited_for(
    service: LibraryService, make_engine: Make, refresh: Refresh
) -> None:
    key = service.add("late.txt", "Late text.", process_status="in_progress")
    with pytest.raises(LibraryNotReadyError) as caught:
        refresh(make_engine(on_pending="error"))
    assert caught.value.pending == [key]

    def finish(method: str, target: str) -> None:
        if target.endswith("/status"):
            service.change(key, process_status="done")

    service.fail = finish
    assert refresh(make_engine(on_pending="wait")).added == [key]


def test_a_document_being_processed_again_keeps_serving_its_old_text(
    service: LibraryService, make_engine: Make
) -> None:
    key = service.add("a.txt", "About walruses.")
    engine = make_engine()
    engine.refresh()
    service.change(key, process_status="in_progress")
    assert key in engine.refresh().pending
    assert len(engine.search(Query("walruses"))) == 1
    service.change(key, process_status="error")
    assert key in engine.refresh().failed
    assert engine.search(Query("walruses")) == []


def test_failed_documents_and_empty_libraries_as_the_settings_say(
    service: LibraryService, make_engine: Make, caplog: pytest.LogCaptureFixture
) -> None:
    assert make_engine().search(Query("anything")) == []
    with pytest.raises(LibraryEmptyError):
        make_engine(on_empty="error").refresh()
    key = service.add("bad.pdf", "x", process_status="error")
    with pytest.raises(DocumentProcessingError, match=rf"1 document\(s\): bad\.pdf {key} \(error\)") as caught:
        make_engine(on_failed="error").refresh()
    assert caught.value.failed == {key: "error"}
    make_engine(on_failed="warn").refresh()
    assert f"bad.pdf {key} (error)" in caplog.text
    caplog.clear()
    make_engine(on_failed="skip").refresh()
    assert caplog.text == ""


def test_a_missing_library_is_named(make_engine: Make, refresh: Refresh) -> None:
    absent = "0197f425-5e85-7353-b8e7-e8b974b9c614"
    with pytest.raises(LibraryNotFoundError, match=absent) as caught:
        refresh(make_engine((absent,)))
    assert caught.value.status_code == 404
    assert "owner" in str(caught.value)


# stored snapshots ------------------------------------------------------------------------------------------------


def test_a_stored_snapshot_saves_the_texts_and_vectors(
    service: LibraryService, make_engine: Make, refresh: Refresh, embedder: LetterEmbedder, tmp_path: Path
) -> None:
    fill(service)
    first = make_engine(embedder=embedder, persist_dir=tmp_path)
    refresh(first)
    service.clear()
    asked = len(embedder.asked)
    second = make_engine(embedder=embedder, persist_dir=tmp_path)
    report = refresh(second)
    assert (report.texts, report.embedded, len(embedder.asked)) == (0, 0, asked)
    query = Query("topic7", strategy="hybrid", vector=embedder.query("topic7"))
    assert [(h.chunk, h.score) for h in first.search(query)] == [(h.chunk, h.score) for h in second.search(query)]
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".bin", ".jsonl", ".npy"]


def test_never_serves_the_stored_snapshot_without_a_request(
    service: LibraryService, make_engine: Make, tmp_path: Path
) -> None:
    fill(service, 2)
    make_engine(persist_dir=tmp_path).refresh()
    service.clear()
    assert len(make_engine(persist_dir=tmp_path, refresh="never").search(Query("topic1"))) > 0
    assert service.requests == []


def test_another_splitter_or_model_rebuilds_without_downloading(
    service: LibraryService, make_engine: Make, embedder: LetterEmbedder, tmp_path: Path
) -> None:
    from mistral_agents.retrieval.chunking import Splitter

    fill(service, 3)
    make_engine(embedder=embedder, persist_dir=tmp_path).refresh()
    other = LetterEmbedder("other")
    report = make_engine(embedder=other, persist_dir=tmp_path).refresh()
    assert (report.texts, len(other.asked)) == (0, len(embedder.asked))
    engine = make_engine(embedder=other, persist_dir=tmp_path, splitter=Splitter(100, 0))
    report = engine.refresh()
    assert report.texts == 0
    assert engine.snapshot is not None
    assert max(chunk.end - chunk.start for t in engine.snapshot.texts.values() for chunk in t.chunks) <= 100


def test_a_killed_sync_goes_on_where_it_stopped(
    service: LibraryService, make_engine: Make, refresh: Refresh, tmp_path: Path
) -> None:
    fill(service, 10)
    engine = make_engine(persist_dir=tmp_path, max_concurrency=1)
    service.fail = lambda m, target: (500, "broken") if service.texts > 6 else None
    with pytest.raises(ServerFailureError):
        refresh(engine)
    service.fail = None
    service.clear()
    with (tmp_path / next(tmp_path.glob("journal-*.jsonl")).name).open("a") as file:
        file.write('{"id": "cut off in the mid')  # what a kill may leave
    report = refresh(make_engine(persist_dir=tmp_path))
    assert (report.resumed, report.texts, service.texts) == (6, 4, 4)
    assert not list(tmp_path.glob("journal-*"))


SYNC_ELSEWHERE = """
import sys
from pathlib import Path
from mistral_agents import MistralAgents
from mistral_agents.retrieval.chunking import Splitter
from mistral_agents.retrieval.engine import LibraryEngine
from mistral_agents.retrieval.settings import Settings

url, library, folder = sys.argv[1:]
settings = Settings((library,), splitter=Splitter(200, 40), max_concurrency=1)
LibraryEngine(MistralAgents(api_key="k", base_url=url), settings, persist_dir=Path(folder)).refresh()
"""


def test_a_process_killed_while_it_syncs_loses_nothing(
    service: LibraryService, make_engine: Make, tmp_path: Path
) -> None:
    fill(service, 10)
    child = subprocess.Popen([sys.executable, "-c", SYNC_ELSEWHERE, service.url, LIBRARY, str(tmp_path)])

    def kill(_: str, __: str) -> None:
        if service.texts > 6:
            child.kill()

    service.fail = kill
    assert child.wait(60) == -signal.SIGKILL
    service.fail = None
    service.clear()
    report = make_engine(persist_dir=tmp_path).refresh()
    assert report.resumed in (6, 7)  # the last answer may have been written before the signal came
    assert (report.texts, service.texts) == (10 - report.resumed, 10 - report.resumed)


def test_vectors_of_another_model_are_not_gone_on_with(
    service: LibraryService, make_engine: Make, embedder: LetterEmbedder, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr("mistral_agents.retrieval.syncing._SEGMENT", 1)
    fill(service, 3)

    class Stopped(LetterEmbedder):
        def texts(self, texts: list[str]) -> list[list[float]]:
            if self.batches:
                raise ValueError("stopped")
            return super().texts(texts)

    first = Stopped("first")
    first.batch_size = 1
    with pytest.raises(ValueError, match="stopped"):
        make_engine(embedder=first, persist_dir=tmp_path).refresh()
    assert list(tmp_path.glob("journal-*.npz"))
    make_engine(embedder=embedder, persist_dir=tmp_path).refresh()
    assert set(first.asked) < set(embedder.asked)


def test_embedding_goes_on_where_it_stopped(
    service: LibraryService, make_engine: Make, embedder: LetterEmbedder, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr("mistral_agents.retrieval.syncing._SEGMENT", 16)
    fill(service, 20)
    make, total = embedder.texts, 0

    def breaks(texts: list[str]) -> list[list[float]]:
        if len(embedder.batches) == 2:
            raise ConnectionError("the model is gone")
        return make(texts)

    embedder.texts = breaks  # type: ignore[method-assign]
    with pytest.raises(ConnectionError):
        make_engine(embedder=embedder, persist_dir=tmp_path).refresh()
    embedder.texts = make  # type: ignore[method-assign]
    engine = make_engine(embedder=embedder, persist_dir=tmp_path)
    report = engine.refresh()
    assert engine.snapshot is not None
    total = len({t.chunk_text(n) for t in engine.snapshot.texts.values() for n in range(len(t.chunks))})
    assert (report.texts, report.embedded) == (0, total - 32)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: "{", "can't be read"),
        (lambda text: text.replace('"version": 1', '"version": 99'), "version"),
        (lambda text: text.replace(LIBRARY, LIBRARY[:-1] + "0", 1), "other libraries"),
        (lambda text: "\n".join(text.split("\n")[:-2]) + "\n", "documents instead of"),
        (lambda text: "", "can't be read"),
    ],
)
def test_a_damaged_or_foreign_snapshot_is_refused_with_its_path(
    service: LibraryService, make_engine: Make, tmp_path: Path, damage: Callable[[str], str], message: str
) -> None:
    fill(service, 2)
    make_engine(persist_dir=tmp_path).refresh()
    path = tmp_path / "snapshot.jsonl"
    path.write_text(damage(path.read_text()))
    with pytest.raises(SnapshotError, match=message) as caught:
        make_engine(persist_dir=tmp_path).refresh()
    assert str(path) in str(caught.value)


def test_the_stored_file_is_plain_json(service: LibraryService, make_engine: Make, tmp_path: Path) -> None:
    service.add("odd\u2028name.txt", "Line\u2028separator and \x0b tab. Über.")
    make_engine(persist_dir=tmp_path).refresh()
    lines = (tmp_path / "snapshot.jsonl").read_text(encoding="utf-8").split("\n")
    assert [json.loads(line) for line in lines if line][1]["text"] == "Line\u2028separator and \x0b tab. Über."
    assert make_engine(persist_dir=tmp_path).refresh().unchanged == 1


# failing, single flight ------------------------------------------------------------------------------------------


def test_a_failing_refresh_keeps_serving_the_old_snapshot_and_says_so(
    service: LibraryService, make_engine: Make, caplog: pytest.LogCaptureFixture
) -> None:
    fill(service, 3)
    events: list[Any] = []
    now = [0.0]
    engine = make_engine(notify=events.append, clock=lambda: now[0], ttl=60.0)
    assert len(engine.search(Query("topic1"))) > 0
    service.fail = lambda method, target: (503, "down")
    now[0] = 61.0
    service.clear()
    assert len(engine.search(Query("topic1"))) > 0
    assert len(service.requests) == 1
    assert [type(event) for event in events[-2:]] == [SyncStarted, SnapshotStale]
    assert "still served" in caplog.text
    engine.search(Query("topic1"))
    assert len(service.requests) == 1  # not tried at every search
    now[0] = 92.0
    engine.search(Query("topic1"))
    assert len(service.requests) == 2


def test_always_raises_the_failure(service: LibraryService, make_engine: Make) -> None:
    fill(service, 1)
    engine = make_engine(refresh="always")
    engine.search(Query("topic0"))
    service.fail = lambda method, target: (503, "down")
    with pytest.raises(ServerFailureError):
        engine.search(Query("topic0"))


def test_a_failing_first_refresh_serves_the_stored_snapshot(
    service: LibraryService, make_engine: Make, tmp_path: Path
) -> None:
    fill(service, 2)
    make_engine(persist_dir=tmp_path).refresh()
    service.fail = lambda method, target: (503, "down")
    assert len(make_engine(persist_dir=tmp_path).search(Query("topic1"))) > 0
    with pytest.raises(ServerFailureError):
        make_engine().search(Query("topic1"))


@pytest.mark.parametrize(("policy", "listings"), [("never", 1), ("on_start", 1), ("ttl", 2), ("always", 4)])
def test_when_a_search_looks_for_changes(
    service: LibraryService, make_engine: Make, policy: str, listings: int
) -> None:
    fill(service, 1)
    now = [0.0]
    engine = make_engine(refresh=policy, clock=lambda: now[0], ttl=60.0)
    if policy == "never":
        engine.refresh()
    for moment in (0.0, 30.0, 61.0, 62.0):
        now[0] = moment
        engine.search(Query("topic0"))
    assert service.counts()["GET documents"] == listings


def test_the_events_of_a_sync(service: LibraryService, make_engine: Make) -> None:
    fill(service, 2)
    pending = service.add("late.txt", "x", process_status="todo")
    events: list[Any] = []
    report = make_engine(notify=events.append).refresh()
    assert events[0] == SyncStarted((LIBRARY,))
    assert SyncProgress("texts", 2, 2) in events
    assert DocumentSkipped(pending, "todo") in events
    assert events[-1] == SyncEnded((LIBRARY,), report)
