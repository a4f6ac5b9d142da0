"""The local index in stores that LlamaIndex users already run: Qdrant (embedded), and LlamaIndex's simple store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.llms import MockLLM
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.vector_stores import FilterOperator, MetadataFilter, MetadataFilters, SimpleVectorStore
from llama_index.vector_stores.qdrant import QdrantVectorStore
from qdrant_client import AsyncQdrantClient, QdrantClient

from llama_index_mistral_agents import MistralLibraryRetriever
from mistral_agents.errors import ConfigurationError, ServerFailureError
from mistral_agents.retrieval.listing import SyncReport
from tests.retrieval.service import LIBRARY, OTHER, LibraryService


class Letters(MockEmbedding):
    """Counts letters."""

    def _vector(self, text: str) -> list[float]:
        return [float(text.lower().count(letter)) for letter in "abcdefghijklmnopqrstuvwxyz"]

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._vector(text)

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._vector(query)

    async def _aget_text_embedding(self, text: str) -> list[float]:
        return self._vector(text)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._vector(query)


def qdrant() -> QdrantVectorStore:
    client, aclient = QdrantClient(":memory:"), AsyncQdrantClient(":memory:")
    return QdrantVectorStore("library", client=client, aclient=aclient)


STORES: dict[str, Callable[[], Any]] = {"qdrant": qdrant, "simple": SimpleVectorStore}
Make = Callable[..., MistralLibraryRetriever]


@pytest.fixture(params=list(STORES))
def stores(request: pytest.FixtureRequest) -> dict[str, Any]:
    return {"vector_store": STORES[request.param](), "docstore": SimpleDocumentStore()}


@pytest.fixture
def make(pumps: LibraryService, stores: dict[str, Any]) -> Make:
    model = Letters(embed_dim=26)
    return lambda ids=LIBRARY, **options: MistralLibraryRetriever(
        ids, client=pumps.client(), **{"strategy": "vector", "embed_model": model, **stores, **options}
    )


def files(nodes: list[Any]) -> list[str]:
    return [node.metadata["file_name"] for node in nodes]


def test_search_finds_nodes_with_the_same_contract(make: Make, pumps: LibraryService) -> None:
    nodes = make(similarity_top_k=2).retrieve("Roses want sun. Tulips want patience.")
    assert files(nodes)[0] == "gardening.txt"
    assert nodes[0].score == pytest.approx(1.0, abs=1e-4)
    local = MistralLibraryRetriever(LIBRARY, client=pumps.client()).retrieve("roses")[0]
    assert nodes[0].node_id == local.node_id
    assert nodes[0].node.ref_doc_id == local.node.ref_doc_id
    assert nodes[0].metadata == local.metadata
    assert nodes[0].text == local.text


def test_a_second_sync_writes_nothing_and_one_change_writes_one_document(make: Make, pumps: LibraryService) -> None:
    first = make().refresh()
    assert (first.texts, first.embedded) == (3, 3)
    pumps.clear()
    again = make().refresh()  # another retriever, as in another process
    assert (again.unchanged, again.texts, again.embedded, pumps.texts) == (3, 0, 0, 0)
    key = next(iter(pumps.libraries[LIBRARY]))
    pumps.change(key, "zzzz zzzz")
    assert make().refresh().updated == [key]
    assert files(make(similarity_top_k=1).retrieve("zzz")) == ["pump manual.txt"]
    pumps.change(key, attributes={"team": "red"})
    report = make().refresh()
    assert report.metadata_only == [key]
    assert make(similarity_top_k=1).retrieve("zzz")[0].metadata["team"] == "red"
    pumps.remove(key)
    assert make().refresh().deleted == [key]
    assert "pump manual.txt" not in files(make(similarity_top_k=9).retrieve("zzz"))


def test_a_killed_sync_writes_the_rest(make: Make, pumps: LibraryService) -> None:
    for n in range(20):
        pumps.add(f"n{n}.txt", f"number {n}")
    pumps.fail = lambda method, target: (500, "down") if pumps.texts > 10 else None
    with pytest.raises(ServerFailureError):
        make(max_concurrency=4).refresh()
    pumps.fail = None
    report: SyncReport = make(max_concurrency=4).refresh()
    assert (len(report.added) + len(report.updated), report.unchanged) == (15, 8)


def test_filters_and_other_tenants_of_the_store(make: Make, pumps: LibraryService) -> None:
    pumps.add("secret.txt", "Roses want sun.", library=OTHER)
    make(OTHER).refresh()
    assert "secret.txt" not in files(make(similarity_top_k=10).retrieve("roses"))
    year = MetadataFilters(filters=[MetadataFilter(key="year", value=2022, operator=FilterOperator.GT)])
    assert files(make(similarity_top_k=10, filters=year).retrieve("roses")) == ["gardening.txt"]


def test_in_a_query_engine(make: Make) -> None:
    engine = RetrieverQueryEngine.from_args(make(similarity_top_k=1), llm=MockLLM())
    assert "Roses" in str(engine.query("Roses want sun. Tulips want patience."))


def test_asynchronously(make: Make) -> None:
    retriever = make(similarity_top_k=1)

    async def ask() -> list[Any]:
        async with retriever:
            assert (await retriever.arefresh()).embedded == 3
            assert (await retriever.arefresh()).embedded == 0
            return await retriever.aretrieve("Roses want sun. Tulips want patience.")

    assert files(asyncio.run(ask())) == ["gardening.txt"]


@pytest.mark.parametrize(
    "wrong",
    [{"strategy": "bm25"}, {"persist_dir": "here"}, {"normalize_scores": "minmax"}, {"lazy_top_documents": 2}],
)
def test_what_does_not_go_together_is_refused(make: Make, wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        make(**wrong)


def test_a_docstore_alone_is_refused(service: LibraryService) -> None:
    with pytest.raises(ConfigurationError, match="docstore"):
        MistralLibraryRetriever(LIBRARY, client=service.client(), docstore=SimpleDocumentStore())
