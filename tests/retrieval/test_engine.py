"""Ranking, filters, strategies, pages, and where the engine may be used."""

from __future__ import annotations

import asyncio
import copy
import pickle
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from mistral_agents.errors import ConfigurationError
from mistral_agents.retrieval.engine import LibraryEngine
from mistral_agents.retrieval.filters import Condition, Group
from mistral_agents.retrieval.settings import Settings, checked_library_ids
from mistral_agents.retrieval.snapshot import Query
from mistral_agents.retrieval.vectors import Fusion, VectorIndex, fuse
from tests.retrieval.conftest import LetterEmbedder
from tests.retrieval.service import LIBRARY, OTHER, LibraryService

Make = Callable[..., LibraryEngine]


@pytest.fixture
def pumps(service: LibraryService) -> LibraryService:
    service.add("pump manual.txt", "Close the inlet valve before service.\n\nThe filter is cleaned every month.")
    service.add("boiler.txt", "The boiler has a valve too. It needs water.", attributes={"year": 2020, "ok": True})
    service.add("gardening.txt", "Roses want sun. Tulips want patience.", attributes={"year": 2024, "ok": False})
    return service


def names(engine: LibraryEngine, text: str, **options: Any) -> list[str]:
    return [hit.document.name for hit in engine.search(Query(text, **options))]


def test_titles_count(pumps: LibraryService, make_engine: Make) -> None:
    engine = make_engine()
    assert names(engine, "pump") == ["pump manual.txt"]
    assert names(engine, "valve of the pump") == ["pump manual.txt", "boiler.txt"]


def test_nothing_that_holds_no_term_is_found(pumps: LibraryService, make_engine: Make) -> None:
    engine = make_engine()
    assert names(engine, "submarine") == []
    assert all(hit.score > 0 for hit in engine.search(Query("valve water roses", top_k=50)))


def test_stems_match_and_scores_fall(pumps: LibraryService, make_engine: Make) -> None:
    hits = make_engine().search(Query("cleaning filters monthly valves"))
    assert hits[0].document.name == "pump manual.txt"
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_a_document_that_answers_the_whole_question_beats_a_stray_mention(
    service: LibraryService, make_engine: Make
) -> None:
    filler = " ".join(f"Word{n} stands alone here." for n in range(12))
    service.add("whole.txt", f"Turbines are large. {filler} The gearbox was replaced. {filler} Lubrication matters.")
    service.add("stray.txt", f"The gearbox was replaced. {filler} {filler} Nothing else.")
    hits = make_engine().search(Query("gearbox lubrication turbines"))
    stray = next(place for place, hit in enumerate(hits) if hit.document.name == "stray.txt")
    gearbox = next(
        place for place, hit in enumerate(hits) if "gearbox" in hit.text and hit.document.name == "whole.txt"
    )
    assert gearbox < stray


def test_equal_scores_are_ordered_by_file_name_and_offset(service: LibraryService, make_engine: Make) -> None:
    for name in ("b1.txt", "a1.txt", "c1.txt"):
        service.add(name, "identical words")
    assert names(make_engine(), "identical") == ["a1.txt", "b1.txt", "c1.txt"]


def test_filters_come_before_top_k(pumps: LibraryService, make_engine: Make) -> None:
    engine = make_engine()
    assert names(engine, "valve want", top_k=1, filter=Condition("attr_year", ">", 2022)) == ["gardening.txt"]
    assert names(engine, "valve want", filter=Condition("attr_ok", "==", "true")) == ["boiler.txt"]
    assert names(engine, "valve want", filter=Group("not", (Condition("file_name", "contains", "en"),))) == [
        "boiler.txt",
        "pump manual.txt",
    ]
    assert names(engine, "valve", filter=Condition("file_name", "==", "none")) == []


def test_expired_documents_hide_without_a_refresh(service: LibraryService, make_engine: Make) -> None:
    service.add("old.txt", "walrus facts", expires_at="2020-01-01T00:00:00Z")
    service.add("new.txt", "walrus facts", expires_at="2999-01-01T00:00:00Z")
    assert names(make_engine(), "walrus") == ["new.txt"]


def test_several_libraries_are_one_corpus(service: LibraryService, make_engine: Make) -> None:
    service.add("a.txt", "walrus", library=LIBRARY)
    service.add("b.txt", "walrus walrus", library=OTHER)
    engine = make_engine((LIBRARY, OTHER))
    hits = engine.search(Query("walrus"))
    assert {hit.metadata["library_id"] for hit in hits} == {LIBRARY, OTHER}
    assert names(engine, "walrus", filter=Condition("library_id", "==", OTHER)) == ["b.txt"]


def test_vector_and_hybrid(pumps: LibraryService, make_engine: Make, embedder: LetterEmbedder) -> None:
    engine = make_engine(embedder=embedder)
    text = "Roses want sun. Tulips want patience."
    vector = embedder.query(text)
    hits = engine.search(Query(text, strategy="vector", vector=vector))
    assert hits[0].document.name == "gardening.txt"
    assert hits[0].score == pytest.approx(1.0, abs=1e-5)
    hybrid = engine.search(Query(text, strategy="hybrid", vector=vector))
    assert hybrid[0].document.name == "gardening.txt"
    assert 0.5 < hybrid[0].score < 1
    assert all(0 < hit.score <= hybrid[0].score for hit in hybrid)
    filtered = engine.search(Query(text, strategy="vector", vector=vector, filter=Condition("attr_year", "==", 2020)))
    assert [hit.document.name for hit in filtered] == ["boiler.txt"]


def test_a_strategy_with_vectors_needs_a_model(pumps: LibraryService, make_engine: Make) -> None:
    with pytest.raises(ConfigurationError, match="embedding model"):
        make_engine().search(Query("a", strategy="hybrid"))


def test_a_query_vector_of_another_length_is_refused(
    pumps: LibraryService, make_engine: Make, embedder: LetterEmbedder
) -> None:
    with pytest.raises(ConfigurationError, match="3 numbers"):
        make_engine(embedder=embedder).search(Query("a", strategy="vector", vector=[1.0, 2.0, 3.0]))


def test_reciprocal_rank_fusion() -> None:
    assert fuse([[5, 7], [7]]) == {5: pytest.approx(1 / 61), 7: pytest.approx(1 / 62 + 1 / 61)}


def test_score_cutoff(pumps: LibraryService, make_engine: Make) -> None:
    engine = make_engine()
    best, second = (hit.score for hit in engine.search(Query("valve pump")))
    assert len(engine.search(Query("valve pump", score_cutoff=(best + second) / 2))) == 1
    assert len(engine.search(Query("valve pump", score_cutoff=0.0))) == 2


@pytest.mark.parametrize("top_k", [0, -1, True, 1.5, None])
def test_top_k_is_checked(top_k: Any) -> None:
    with pytest.raises(ConfigurationError, match="top_k"):
        Query("a", top_k=top_k)


@pytest.mark.parametrize(
    "wrong", [{"refresh": "daily"}, {"on_pending": ""}, {"max_concurrency": 0}, {"ttl": -1}, {"on_empty": None}]
)
def test_settings_are_checked(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        Settings((LIBRARY,), **wrong)


@pytest.mark.parametrize("ids", [[], "abc", [LIBRARY, "a/../b"], ""])
def test_library_ids_are_checked_before_any_request(ids: Any) -> None:
    with pytest.raises(ConfigurationError, match="library_ids"):
        checked_library_ids(ids)


def test_metadata_is_flat_sorted_and_fresh(pumps: LibraryService, make_engine: Make) -> None:
    hit = make_engine().search(Query("boiler"))[0]
    assert list(hit.metadata) == sorted(hit.metadata)
    assert hit.metadata["ok"] is True
    assert hit.metadata["creation_date"] == "2026-09-07T13:12:30.383658+00:00"
    assert None not in hit.metadata.values()
    hit.metadata["score"] = 1
    assert "score" not in hit.metadata


def test_offsets_and_neighbours(service: LibraryService, make_engine: Make) -> None:
    key = service.add("a.txt", " ".join(f"Sentence {n} speaks of walrus." for n in range(30)))
    text = service.libraries[LIBRARY][key].text
    hits = make_engine().search(Query("walrus", top_k=20))
    assert all(text[hit.chunk.start : hit.chunk.end] == hit.text for hit in hits)
    first = min(hits, key=lambda hit: hit.chunk.start)
    second = first.neighbour(1)
    assert first.neighbour(-1) is None
    assert second is not None
    assert second.start <= first.chunk.end + 1


# pages -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("base", [0, 1])
@pytest.mark.parametrize("inclusive", [True, False])
def test_pages_are_labelled_whatever_way_the_service_counts(
    service: LibraryService, make_engine: Make, base: int, inclusive: bool
) -> None:
    service.base, service.inclusive = base, inclusive
    service.add("book.pdf", "Apples grow.", "Pears grow.", "Plums grow.")
    service.add("more.pdf", "Figs.", "Dates.")
    service.add("single.pdf", "Olives.")
    engine = make_engine(exact_pages=True, max_concurrency=1)
    report = engine.refresh()
    assert report.pages_unreadable == []
    found = {
        text: engine.search(Query(text))[0].metadata["page_label"] for text in ("apples", "pears", "plums", "dates")
    }
    assert found == {"apples": "1", "pears": "2", "plums": "3", "dates": "2"}
    assert engine.search(Query("olives"))[0].metadata["page_label"] == "1"
    assert engine.search(Query("grow", filter=Condition("page_label", "==", "3")))[0].text == "Plums grow."


async def test_pages_are_labelled_on_an_event_loop(service: LibraryService, make_engine: Make) -> None:
    service.add("book.pdf", "Apples grow.", "Pears grow.")
    engine = make_engine(exact_pages=True)
    assert (await engine.asearch(Query("pears")))[0].metadata["page_label"] == "2"
    await engine.client.aclose()


def test_pages_that_do_not_join_fall_back_to_none(
    service: LibraryService, make_engine: Make, caplog: pytest.LogCaptureFixture
) -> None:
    key = service.add("odd.pdf", "Apples grow.", "Pears grow.", separator=" -- page break -- ")
    engine = make_engine(exact_pages=True)
    assert engine.refresh().pages_unreadable == [key]
    assert "page_label" not in engine.search(Query("pears"))[0].metadata
    assert "page label" in caplog.text


def test_a_sync_leaves_a_record_of_figures(
    service: LibraryService, make_engine: Make, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "mistral_agents.retrieval")
    service.add("private-name.txt", "A private text.")
    engine = make_engine()
    engine.refresh()
    (record,) = [one.getMessage() for one in caplog.records if one.name == "mistral_agents.retrieval"]
    assert record.startswith(f"Synced {engine.settings.library_ids[0]} in ")
    assert "1 added, 0 updated, 0 deleted, 0 unchanged" in record
    assert "private" not in record


def test_page_by_page_costs_one_request_more_for_each_page(service: LibraryService, make_engine: Make) -> None:
    service.base, service.inclusive = 1, True
    service.add("book.pdf", "Apples.", "Pears.", "Plums.")
    report = make_engine(exact_pages=True).refresh()
    assert report.requests == 1 + 1 + 3 == len(service.requests)


def labels(engine: LibraryEngine, word: str) -> list[str | None]:
    return sorted(str(hit.metadata.get("page_label")) for hit in engine.search(Query(word, top_k=20)))


@pytest.mark.parametrize("base", [0, 1])
@pytest.mark.parametrize("inclusive", [True, False])
@pytest.mark.parametrize(
    ("pages", "expected"),
    [
        (("", "Apples.", "Apples."), ["2", "3"]),
        (("Apples.", "", "Apples."), ["1", "3"]),
        (("Apples.", "Apples.", ""), ["1", "2"]),
        (("", "Apples."), ["2"]),
        (("", "", "Apples."), ["3"]),
        (("Apples.", ""), ["1"]),
        (("", "Apples.", "", ""), ["2"]),
        (("", "Apples.", "", "Apples.", ""), ["2", "4"]),
    ],
)
def test_a_blank_page_shifts_no_label(
    service: LibraryService, make_engine: Make, base: int, inclusive: bool, pages: tuple[str, ...], expected: list[str]
) -> None:
    service.base, service.inclusive = base, inclusive
    service.add("book.pdf", *pages)
    assert labels(make_engine(exact_pages=True), "apples") == expected


@pytest.mark.parametrize("lenient", [True, False])
def test_a_page_among_blank_ones_that_could_be_any_of_them_has_no_label(
    service: LibraryService, make_engine: Make, lenient: bool
) -> None:
    """Without white space only a refusal of pages that are not there tells the ways of counting apart."""
    service.lenient = lenient
    service.add("book.pdf", "", "Apples.", separator="")
    assert labels(make_engine(exact_pages=True), "apples") == (["None"] if lenient else ["2"])


def test_exact_pages_over_a_folder_kept_without_them(
    service: LibraryService, make_engine: Make, tmp_path: Path
) -> None:
    service.add("book.pdf", "Apples.", "More apples.")
    assert labels(make_engine(persist_dir=tmp_path), "apples") == ["None"]
    assert labels(make_engine(persist_dir=tmp_path, exact_pages=True), "apples") == ["1", "2"]
    service.requests.clear()
    assert labels(make_engine(persist_dir=tmp_path, exact_pages=True), "apples") == ["1", "2"]
    assert len(service.requests) == 1  # the listing: what was kept with pages is used


# where it may be used --------------------------------------------------------------------------------------------


def test_constructing_does_nothing(make_engine: Make, service: LibraryService) -> None:
    make_engine()
    assert service.requests == []


async def test_async_equals_sync(pumps: LibraryService, make_engine: Make) -> None:
    first, second = make_engine(), make_engine()
    here = await first.asearch(Query("valve"))
    there = second.search(Query("valve"))  # blocking, inside a running loop
    assert [(hit.chunk.id, hit.score) for hit in here] == [(hit.chunk.id, hit.score) for hit in there]
    await first.client.aclose()


def test_several_loops_and_threads(pumps: LibraryService, make_engine: Make) -> None:
    engine = make_engine(refresh="always")

    async def once() -> str:
        hits = await engine.asearch(Query("valve"))
        await engine.client.aclose()
        return hits[0].chunk.id

    assert len({asyncio.run(once()) for _ in range(3)}) == 1
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda n: engine.search(Query("valve"))[0].chunk.id, range(24)))
    assert len(set(found)) == 1


def test_concurrent_searches_share_one_sync(pumps: LibraryService, make_engine: Make) -> None:
    engine = make_engine()

    async def together() -> None:
        await asyncio.gather(*(engine.asearch(Query("valve")) for _ in range(10)))
        await engine.client.aclose()

    asyncio.run(together())
    assert pumps.counts() == {"GET documents": 1, "GET text_content": 3}


def test_pickle_and_deepcopy_keep_settings_and_leave_the_snapshot(pumps: LibraryService, make_engine: Make) -> None:
    engine = make_engine()
    before = engine.search(Query("valve"))
    for twin in (pickle.loads(pickle.dumps(engine)), copy.deepcopy(engine)):
        assert twin.snapshot is None
        assert [hit.chunk.id for hit in twin.search(Query("valve"))] == [hit.chunk.id for hit in before]
        twin.client.close()


def test_importing_loads_nothing_heavy() -> None:
    code = "import sys, mistral_agents.retrieval.engine as e; print(sorted({'numpy','Stemmer','mistralai','httpx','llama_index','tqdm'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_missing_library_of_python_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    from mistral_agents.retrieval._extras import load

    monkeypatch.setitem(sys.modules, "Stemmer", None)
    with pytest.raises(ConfigurationError, match=r"Stemmer.*mistral-agents\[retrieval\]"):
        load("Stemmer")


def test_the_words_that_the_best_passages_hold_weigh_more(service: LibraryService, make_engine: Make) -> None:
    """`apricot` and `survey` are equally rare; five passages that answer the rest of the question hold `apricot`."""
    for number in range(5):
        service.add(f"best{number}.txt", "Harvest of orchards: an apricot harvest in old orchards.")
        service.add(f"frame{number}.txt", "Answers to a survey on roads, bridges and other public works here.")
    service.add("apricot.txt", "The apricot alone stands here, among plain words of a text.")
    service.add("survey.txt", "The survey alone stands here, among plain words of a text.")
    found = [
        (hit.document.name, hit.score) for hit in make_engine().search(Query("survey apricot orchards harvest", 20))
    ]
    scores = dict(found)
    assert scores["apricot.txt"] > scores["survey.txt"]
    assert [name for name, _ in found[:5]] == [f"best{number}.txt" for number in range(5)]


def test_a_weight_of_nothing_leaves_one_kind_to_decide(
    pumps: LibraryService, make_engine: Make, embedder: LetterEmbedder
) -> None:
    engine = make_engine(embedder=embedder)
    vector = embedder.query("Roses want sun. Tulips want patience.")
    hits = {}
    for words, vectors in ((1.0, 0.0), (0.0, 1.0)):
        fusion = Fusion(words_weight=words, vectors_weight=vectors)
        hits[words] = names(engine, "inlet pump", strategy="hybrid", vector=vector, fusion=fusion)
    assert hits[1.0][0] == "pump manual.txt"
    assert hits[0.0][0] == "gardening.txt"


def test_depths_bound_the_candidates_of_each_kind(
    pumps: LibraryService, make_engine: Make, embedder: LetterEmbedder
) -> None:
    engine = make_engine(embedder=embedder)
    vector = embedder.query("Roses want sun. Tulips want patience.")
    shallow = Fusion(words_top_k=1, vectors_top_k=1)
    found = names(engine, "valve of the pump", strategy="hybrid", vector=vector, fusion=shallow)
    assert sorted(found) == ["gardening.txt", "pump manual.txt"]
    assert len(names(engine, "valve of the pump", strategy="hybrid", vector=vector)) == 3


@pytest.mark.parametrize(
    "options",
    [
        {"words_top_k": 0},
        {"vectors_top_k": 1.5},
        {"words_weight": -1},
        {"vectors_weight": float("nan")},
        {"words_weight": True},
        {"words_weight": 0, "vectors_weight": 0},
    ],
)
def test_a_fusion_is_checked(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        Fusion(**options)


def test_a_document_counts_in_the_vectors_of_its_passages() -> None:
    """Two passages alike; the one whose document is about the question comes first."""
    numpy = pytest.importorskip("numpy")
    side = numpy.sqrt(0.5)
    matrix = numpy.array([[1, 0, 0], [side, side, 0], [side, side, 0], [0, 0, 1]], dtype="float32")
    scores = VectorIndex(matrix, numpy.array([0, 0, 1, 1])).scores([1.0, 0.0, 0.0])
    assert scores[1] > scores[2]
    alone = VectorIndex(matrix, numpy.arange(4)).scores([1.0, 0.0, 0.0])
    assert alone.tolist() == pytest.approx([1, side, side, 0], abs=1e-6)


async def test_a_question_is_looked_at_and_its_vector_made_by_the_engine(
    service: LibraryService, make_engine: Callable[..., LibraryEngine], embedder: LetterEmbedder
) -> None:
    service.add("a.txt", "word one")
    engine = make_engine(embedder=embedder)
    assert engine.search(Query(" ", strategy="vector")) == []
    assert await engine.asearch(Query("", strategy="vector")) == []
    assert service.requests == []
    [hit] = engine.search(Query("word", strategy="vector"))
    assert [one.score for one in await engine.asearch(Query("word", strategy="vector"))] == [hit.score]
