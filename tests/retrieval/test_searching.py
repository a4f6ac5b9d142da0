"""Searching without a framework: `client.libraries.search`."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from mistral_agents.errors import ConfigurationError
from mistral_agents.retrieval.vectors import Fusion
from tests.retrieval.conftest import LetterEmbedder
from tests.retrieval.service import LIBRARY, OTHER, LibraryService


@pytest.fixture
def words(service: LibraryService) -> LibraryService:
    service.add("a.txt", "word one", attributes={"team": "x"})
    service.add("b.txt", "word two", library=OTHER)
    return service


async def test_passages_are_found_sync_and_async(words: LibraryService) -> None:
    with words.client() as client:
        libraries = client.libraries
        hits = libraries.search([LIBRARY, OTHER], "word")
        assert sorted(hit.text for hit in hits) == ["word one", "word two"]
        assert [hit.text for hit in await libraries.asearch([LIBRARY, OTHER], "word")] == [hit.text for hit in hits]
        assert [hit.text for hit in libraries.search(LIBRARY, "word", filter={"team": "x"})] == ["word one"]
        assert libraries.search(LIBRARY, "  ") == []
        assert len(libraries.search([LIBRARY, OTHER], "word", top_k=1)) == 1
        await client.aclose()


def test_texts_are_read_once_and_own_writes_seen(words: LibraryService) -> None:
    with words.client() as client:
        libraries = client.libraries
        for _ in range(3):
            libraries.search(LIBRARY, "word")
        assert words.texts == 1
        libraries.upload(LIBRARY, ("c.txt", b"word three"), wait=True)
        assert len(libraries.search(LIBRARY, "word")) == 2


async def test_a_document_that_was_waited_for_is_told_as_it_is_then(service: LibraryService) -> None:
    def finish(method: str, target: str) -> None:
        for stored in service.libraries[LIBRARY].values():
            stored.record["process_status"] = "todo" if method == "POST" else "done"

    service.fail = finish
    service.spoil = finish
    with service.client() as client:
        for document in (
            client.libraries.upload(LIBRARY, ("a.txt", b"one"), wait=True),
            await client.libraries.aupload(LIBRARY, ("b.txt", b"two"), wait=True),
        ):
            assert document["process_status"] == "done"
        assert client.libraries.upload(LIBRARY, ("c.txt", b"three"))["process_status"] == "todo"
        await client.aclose()


def test_vectors_documents_and_a_folder(words: LibraryService, tmp_path: Path) -> None:
    with words.client() as client:
        [hit] = client.libraries.search(
            LIBRARY,
            "word",
            strategy="hybrid",
            embedder=LetterEmbedder(),
            retrieval_mode="documents",
            persist_dir=tmp_path,
        )
        assert hit.stored.text == "word one"
        assert (tmp_path / "snapshot.jsonl").exists()


@pytest.mark.parametrize(
    "wrong",
    [
        {"k": 3},
        {"top_k": 0},
        {"strategy": "best"},
        {"strategy": "vector"},
        {"filter": "x"},
        {"retrieval_mode": "files"},
        *({"score_cutoff": value} for value in ("0.5", float("nan"), True)),
        *({"ttl": value} for value in (-1, "300", float("nan"), None)),
        *({"max_concurrency": value} for value in (0, 2.5, "8")),
        {"wait_timeout": "long"},
    ],
)
def test_wrong_options_are_refused_by_name(words: LibraryService, wrong: dict[str, Any]) -> None:
    with words.client() as client, pytest.raises(ConfigurationError):
        client.libraries.search(LIBRARY, "word", **wrong)
    assert words.requests == []


@pytest.mark.parametrize("wrong", [None, 5, {"id": LIBRARY}, b"x", [], [None], [[LIBRARY]], "handbook"])
def test_what_names_no_library_is_refused(words: LibraryService, wrong: Any) -> None:
    with words.client() as client, pytest.raises(ConfigurationError, match="library_ids must"):
        client.libraries.search(wrong, "word")
    assert words.requests == []


@pytest.mark.parametrize("given", [UUID(LIBRARY), [UUID(LIBRARY), LIBRARY.upper()], {LIBRARY}])
def test_a_library_is_known_by_its_id_however_it_is_written(words: LibraryService, given: Any) -> None:
    with words.client() as client:
        assert [hit.text for hit in client.libraries.search(given, "word")] == ["word one"]


def test_a_client_that_searched_can_be_pickled(words: LibraryService) -> None:
    with words.client() as client:
        client.libraries.search(LIBRARY, "word")
        again = pickle.loads(pickle.dumps(client))
        assert [hit.text for hit in again.libraries.search(LIBRARY, "word")] == ["word one"]
        again.close()


async def test_a_model_of_the_service_makes_the_vectors(words: LibraryService) -> None:
    options: Any = {"strategy": "hybrid", "embed_model": "mistral-embed", "fusion": Fusion(words_weight=0.5)}
    with words.client() as client:
        hits = client.libraries.search([LIBRARY, OTHER], "word one", **options)
        assert [hit.text for hit in hits] == ["word one", "word two"]
        again = await client.libraries.asearch([LIBRARY, OTHER], "word one", **options)
        assert [hit.text for hit in again] == [hit.text for hit in hits]
        assert [target for _, target in words.requests].count("/v1/embeddings") == 3  # passages once, each question
        with pytest.raises(ConfigurationError, match="not both"):
            client.libraries.search(LIBRARY, "word", **options, embedder=LetterEmbedder())
        await client.aclose()


@pytest.mark.parametrize("question", [None, 7, ["valve"], b"valve"])
async def test_what_is_no_text_is_refused(words: LibraryService, question: Any) -> None:
    from langchain_mistral_agents import MistralLibraryRetriever

    with words.client() as client:
        retriever = MistralLibraryRetriever(library_ids=[LIBRARY], client=client)
        for search in (lambda text: client.libraries.search(LIBRARY, text), retriever.invoke):
            with pytest.raises(ConfigurationError, match="text to search for"):
                search(question)
        with pytest.raises(ConfigurationError, match="text to search for"):
            await client.libraries.asearch(LIBRARY, question)
        with pytest.raises(ConfigurationError, match="text to search for"):
            await retriever.ainvoke(question)
