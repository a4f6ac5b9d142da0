"""The local index in stores that LlamaIndex users already run: Qdrant (embedded), and LlamaIndex's simple store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from llama_index.core.bridge.pydantic import Field
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.llms import MockLLM
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.vector_stores import FilterOperator, MetadataFilter, MetadataFilters, SimpleVectorStore
from llama_index.core.vector_stores.utils import node_to_metadata_dict
from llama_index.vector_stores.qdrant import QdrantVectorStore
from qdrant_client import AsyncQdrantClient, QdrantClient

from llama_index_mistral_agents import MistralLibraryIndex, MistralLibraryRetriever
from mistral_agents.errors import ConfigurationError, ServerFailureError
from mistral_agents.retrieval.events import SyncReport
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


# --- stores that lack something ---


class FlatStore(SimpleVectorStore):
    """Takes flat metadata only and keeps texts, as the usual databases do."""

    stores_text: bool = True
    flat_metadata: bool = True
    kept: dict[str, Any] = Field(default_factory=dict)

    def add(self, nodes: Any, **options: Any) -> list[str]:
        for node in nodes:
            node_to_metadata_dict(node, flat_metadata=True)  # refuses what is not flat
            self.kept[node.node_id] = node.model_copy(deep=True)
        return super().add(nodes, **options)

    def query(self, query: Any, **options: Any) -> Any:
        found = super().query(query, **options)
        found.nodes = [self.kept[key] for key in found.ids]
        return found


class KeepingStore(FlatStore):
    """Can't delete."""

    def delete(self, ref_doc_id: str, **_: Any) -> None:
        raise ValueError(f"no field {ref_doc_id}")


class Unfiltered(SimpleVectorStore):
    """Can't filter, as Faiss."""

    def query(self, query: Any, **options: Any) -> Any:
        if query.filters is not None:
            raise ValueError("Metadata filters not implemented for this one yet.")
        return super().query(query, **options)


class Counting(Letters):
    """Keeps what it embedded."""

    texts: list[str] = Field(default_factory=list)

    def _get_text_embedding(self, text: str) -> list[float]:
        self.texts.append(text)
        return super()._get_text_embedding(text)


@pytest.mark.parametrize("how", ["sync", "async"])
def test_a_store_without_filters_is_refused_before_anything_is_read_or_embedded(
    pumps: LibraryService, how: str
) -> None:
    model = Counting(embed_dim=26)
    options: dict[str, Any] = {"vector_store": Unfiltered(), "strategy": "vector", "embed_model": model}
    retriever = MistralLibraryRetriever(LIBRARY, client=pumps.client(), **options)

    async def ask() -> Any:
        async with retriever:
            return await retriever.aretrieve("roses")

    with pytest.raises(ConfigurationError, match=r"(?s)Unfiltered can't filter.*QdrantVectorStore") as caught:
        retriever.retrieve("roses") if how == "sync" else asyncio.run(ask())
    assert "not implemented" in str(caught.value)
    assert (model.texts, pumps.texts) == ([], 0)


@pytest.mark.parametrize("kind", [FlatStore, KeepingStore, SimpleVectorStore])
@pytest.mark.parametrize("with_docstore", [True, False])
@pytest.mark.filterwarnings("ignore:.*can't delete:UserWarning")
@pytest.mark.filterwarnings("ignore:.*without docstore:UserWarning")
def test_after_restarts_a_store_finds_what_the_libraries_hold(
    pumps: LibraryService, kind: Any, with_docstore: bool
) -> None:
    store, docstore = kind(), SimpleDocumentStore()
    if kind is not SimpleVectorStore:
        store.kept = {}
    first, second, third = pumps.libraries[LIBRARY]
    pumps.change(second, attributes={"year": 2020, "tags": ["x", "y"]})

    def found(**options: Any) -> list[str]:
        """As a program would that has just started."""
        kept: dict[str, Any] = {"docstore": docstore} if with_docstore else {}
        common: dict[str, Any] = {"strategy": "vector", "embed_model": Letters(embed_dim=26), "similarity_top_k": 9}
        retriever = MistralLibraryRetriever(
            LIBRARY, client=pumps.client(), vector_store=store, **common, **kept, **options
        )
        nodes = retriever.retrieve("valve roses")
        tags = [node.metadata["tags"] for node in nodes if "tags" in node.metadata]
        assert tags in ([["x", "y"]], [])
        return sorted(files(nodes))

    assert found() == ["boiler.txt", "gardening.txt", "pump manual.txt"]
    pumps.change(first, "Another valve.", name="renamed.txt")
    assert found() == ["boiler.txt", "gardening.txt", "renamed.txt"]
    pumps.remove(second)
    assert found() == ["gardening.txt", "renamed.txt"]
    pumps.change(third, expires_at="2020-01-01T00:00:00Z")
    assert found() == ["renamed.txt"]
    assert found() == ["renamed.txt"]


def test_top_k_is_filled_though_the_store_holds_what_is_gone(pumps: LibraryService) -> None:
    store = FlatStore(kept={})
    for number in range(30):
        pumps.add(f"old{number}.txt", "Roses want sun. Tulips want patience.")
    common: dict[str, Any] = {"strategy": "vector", "embed_model": Letters(embed_dim=26), "vector_store": store}

    def make() -> MistralLibraryRetriever:
        return MistralLibraryRetriever(LIBRARY, client=pumps.client(), similarity_top_k=3, **common)

    with pytest.warns(UserWarning, match="without docstore"):
        make().refresh()
    for key in [key for key, stored in pumps.libraries[LIBRARY].items() if stored.record["name"].startswith("old")]:
        pumps.remove(key)
    with pytest.warns(UserWarning, match="without docstore"):
        assert len(make().retrieve("Roses want sun. Tulips want patience.")) == 3


def test_a_store_that_can_not_delete_is_said_once(pumps: LibraryService) -> None:
    options: dict[str, Any] = {"vector_store": KeepingStore(kept={}), "docstore": SimpleDocumentStore()}
    common: dict[str, Any] = {"strategy": "vector", "embed_model": Letters(embed_dim=26), "refresh": "always"}
    retriever = MistralLibraryRetriever(LIBRARY, client=pumps.client(), **common, **options)
    retriever.retrieve("valve")
    for key in list(pumps.libraries[LIBRARY])[:2]:
        pumps.remove(key)
    with pytest.warns(UserWarning, match="can't delete") as seen:
        assert files(retriever.retrieve("valve")) == ["gardening.txt"]
    assert len([one for one in seen if "can't delete" in str(one.message)]) == 1


class Deaf(SimpleVectorStore):
    """A store that takes filters and ignores them, as some small ones do."""

    def query(self, query: Any, **kwargs: Any) -> Any:
        query.filters = None
        return super().query(query, **kwargs)


class EqualOnly(SimpleVectorStore):
    """A store that knows equality alone, as several do."""

    def query(self, query: Any, **kwargs: Any) -> Any:
        if any(one.operator != FilterOperator.EQ for one in query.filters.filters):
            raise ValueError("Only the operator == is supported in a filter")
        return super().query(query, **kwargs)


def test_one_library_needs_a_store_with_equality_alone(pumps: LibraryService) -> None:
    options: dict[str, Any] = {"vector_store": EqualOnly(), "docstore": SimpleDocumentStore(), "strategy": "vector"}
    chosen = MetadataFilters(filters=[MetadataFilter(key="file_name", value="boiler.txt")])
    common: dict[str, Any] = {"embed_model": Letters(embed_dim=26), "filters": chosen, **options}
    retriever = MistralLibraryRetriever(LIBRARY, client=pumps.client(), **common)
    assert files(retriever.retrieve("roses")) == ["boiler.txt"]


def test_a_store_that_ignores_filters_is_looked_through(pumps: LibraryService) -> None:
    for number in range(8):
        pumps.add(f"more{number}.txt", f"pump {number}", attributes={"number": number})
    index = MistralLibraryIndex(LIBRARY, client=pumps.client())
    chosen = MetadataFilters(filters=[MetadataFilter(key="number", value=6, operator=FilterOperator.GTE)])
    options: dict[str, Any] = {"vector_store": Deaf(), "docstore": SimpleDocumentStore(), "strategy": "vector"}
    retriever = index.as_retriever(similarity_top_k=2, filters=chosen, embed_model=Letters(embed_dim=26), **options)
    assert sorted(found.metadata["number"] for found in retriever.retrieve("pump")) == [6, 7]
