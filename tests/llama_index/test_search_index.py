"""Mode `index` and its vector store, against the stand-in's search indexes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from llama_index.core import StorageContext, VectorStoreIndex
from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.vector_stores import FilterOperator, MetadataFilter, MetadataFilters, VectorStoreQuery
from llama_index.core.vector_stores.types import VectorStoreQueryMode

from llama_index_mistral_agents import MistralLibraryIndex, MistralLibraryRetriever
from llama_index_mistral_agents.vector_store import MistralSearchIndexVectorStore
from mistral_agents import MistralAgents
from mistral_agents.errors import ConfigurationError, NotFoundError
from mistral_agents.retrieval.errors import IngestError, UnsupportedFilterError
from mistral_agents.retrieval.filters import Condition, Group
from mistral_agents.retrieval.search_indexes import compile_filter
from tests.llama_index.test_vector_stores import Letters
from tests.retrieval.test_filters import GROUPS, TABLE

TYPES = {"file_name": "keyword", "attr_year": "int", "attr_score": "float", "missing": "keyword"}
ROSES = "Roses want sun. Tulips want patience."


@pytest.fixture
def name() -> str:
    return f"i{uuid4().hex}"


@pytest.fixture
def library(client: MistralAgents) -> MistralLibraryIndex:
    index = MistralLibraryIndex.create("Machines", client=client)
    index.upload(("pump manual.txt", b"Close the inlet valve before service. The filter is cleaned every month."))
    index.upload(("boiler.txt", b"The boiler has a valve too. It needs water."), attributes={"year": 2020})
    index.upload(("gardening.txt", ROSES.encode()), attributes={"year": 2024})
    index.wait_until_ready(raise_on_error=True)
    return index


@pytest.fixture
def make(client: MistralAgents, library: MistralLibraryIndex, name: str) -> Callable[..., MistralLibraryRetriever]:
    docstore, model = SimpleDocumentStore(), Letters(embed_dim=26)
    common = {"mode": "index", "index_name": name, "docstore": docstore, "embed_model": model}
    return lambda **options: MistralLibraryRetriever(
        library.library_id, client=client, attribute_fields={"attr_year": "int"}, **{**common, **options}
    )


def files(nodes: list[Any]) -> list[str]:
    return [node.metadata["file_name"] for node in nodes]


@pytest.mark.parametrize("strategy", ["vector", "hybrid", "bm25"])
def test_the_same_nodes_as_locally(make: Callable[..., Any], library: MistralLibraryIndex, strategy: str) -> None:
    node = make(strategy=strategy, similarity_top_k=1).retrieve(ROSES)[0]
    local = library.as_retriever(similarity_top_k=1).retrieve("roses")[0]
    assert (node.node_id, node.node.hash, node.text) == (local.node_id, local.node.hash, local.text)
    assert node.node.ref_doc_id == local.node.ref_doc_id
    assert (
        node.node.relationships[NodeRelationship.SOURCE].hash == local.node.relationships[NodeRelationship.SOURCE].hash
    )
    assert node.score > 0


def test_only_differences_are_put_in(make: Callable[..., Any], library: MistralLibraryIndex) -> None:
    assert make().refresh().embedded == 3
    assert make().refresh().embedded == 0
    [gone] = [key for key, info in library.ref_doc_info.items() if info.metadata["file_name"] == "gardening.txt"]
    library.delete_ref_doc(gone)
    assert make().refresh().deleted == [gone]
    assert "gardening.txt" not in files(make(strategy="vector", similarity_top_k=9).retrieve(ROSES))


def test_asynchronously(make: Callable[..., Any], client: MistralAgents) -> None:
    async def ask() -> list[Any]:
        async with client:
            nodes, report = await make(strategy="hybrid", similarity_top_k=2).aretrieve_with_report(ROSES)
            assert (report.mode, report.outcome) == ("index", "passages")
            return nodes

    assert files(asyncio.run(ask()))[0] == "gardening.txt"


def test_filters_are_the_indexs_own_and_checked_first(make: Callable[..., Any]) -> None:
    year = MetadataFilters(filters=[MetadataFilter(key="attr_year", value=2022, operator=FilterOperator.GT)])
    assert files(make(strategy="bm25", filters=year).retrieve("valve sun")) == ["gardening.txt"]
    for wrong in (
        MetadataFilter(key="attr_team", value="red"),
        MetadataFilter(key="file_name", value="a", operator=FilterOperator.TEXT_MATCH),
        MetadataFilter(key="attr_year", value="2022"),
    ):
        with pytest.raises(UnsupportedFilterError) as caught:
            make(filters=MetadataFilters(filters=[wrong]))
        assert (caught.value.field, caught.value.mode) == (wrong.key, "index")


# the truth table, compiled and run on the stand-in ---------------------------------------------------------------


@pytest.fixture(scope="module")
def table(standin: Any) -> Any:
    client = MistralAgents(api_key="test-key", base_url=standin.base_url)
    name = f"i{uuid4().hex}"
    schema = {"document_fields": {key: {"type": kind} for key, kind in TYPES.items()}}
    embedding = {"type": "custom", "name": "m", "dimensions": 1}
    client.search_indexes.ensure(name, embedding=embedding, schema=schema)
    chunk = {"content": "word", "locator": "char:0-4", "content_embedding": [1.0]}
    own = {"file_name": "guide.md", "attr_year": 2024, "attr_score": 0.5}
    client.search_indexes.ingest(name, [{"source_id": "s", **own, "chunks": [chunk]}])

    def passes(compiled: Any) -> bool:
        return bool(client.search_indexes.search(name, {"type": "keyword", "query": "word", "filter": compiled}))

    yield passes
    client.search_indexes.delete(name)
    client.close()


def test_the_index_agrees_with_the_local_evaluator_or_refuses(table: Any) -> None:
    refused = []
    for field, operator, value, expected in TABLE:
        try:
            compiled = compile_filter(Condition(field, operator, value), TYPES)
        except UnsupportedFilterError as error:
            refused.append((error.field, error.operator))
            continue
        assert table(compiled) is expected, (field, operator, value)
    assert len(TABLE) - len(refused) >= 18
    assert {operator for _, operator in refused} >= {"contains", "any", "all", "text_match", "is_empty"}


def test_groups_agree_too(table: Any) -> None:
    for filter_, expected in GROUPS:
        assert table(compile_filter(filter_, TYPES)) is expected, filter_


def test_a_bool_is_refused_instead_of_sent_as_one() -> None:
    with pytest.raises(UnsupportedFilterError):
        compile_filter(Condition("attr_year", "==", True), TYPES)
    with pytest.raises(UnsupportedFilterError):
        compile_filter(Group("and", (Condition("attr_year", "in", [1, True]),)), TYPES)


# the vector store by itself --------------------------------------------------------------------------------------


def node(text: str, vector: list[float], ref: str | None = None, **metadata: Any) -> TextNode:
    made = TextNode(text=text, embedding=vector, metadata=metadata)
    if ref is not None:
        made.relationships[NodeRelationship.SOURCE] = RelatedNodeInfo(node_id=ref)
    return made


def test_in_a_vector_store_index(client: MistralAgents, name: str) -> None:
    store = MistralSearchIndexVectorStore(name, client=client, attribute_fields={"year": "int"})
    context = StorageContext.from_defaults(vector_store=store)
    nodes = [node("alpha beta", [1.0, 0.0], "d1", year=1), node("gamma", [0.0, 1.0], "d2", year=2)]
    index = VectorStoreIndex(nodes, storage_context=context, embed_model=Letters(embed_dim=26))
    found = store.query(VectorStoreQuery(query_embedding=[0.0, 1.0], similarity_top_k=1))
    assert (found.ids, found.nodes[0].metadata["year"]) == ([nodes[1].node_id], 2)
    index.delete_ref_doc("d2")
    assert len(store.query(VectorStoreQuery(query_embedding=[0.0, 1.0], similarity_top_k=5)).nodes) == 1
    store.delete("never there")
    store.clear()
    with pytest.raises(NotFoundError):
        client.search_indexes.get(name)


@pytest.mark.parametrize(
    "query",
    [
        VectorStoreQuery(query_embedding=[1.0], mode=VectorStoreQueryMode.MMR),
        VectorStoreQuery(query_embedding=[1.0], similarity_top_k=101),
        VectorStoreQuery(query_str="a"),
        VectorStoreQuery(query_embedding=[1.0], mode=VectorStoreQueryMode.TEXT_SEARCH),
    ],
)
def test_what_the_index_can_not_do_is_refused(client: MistralAgents, name: str, query: VectorStoreQuery) -> None:
    with pytest.raises(ConfigurationError):
        MistralSearchIndexVectorStore(name, client=client).query(query)


def test_rejected_documents_and_foreign_vectors_are_named(client: MistralAgents, name: str) -> None:
    store = MistralSearchIndexVectorStore(name, client=client, attribute_fields={"year": "int"})
    with pytest.raises(IngestError) as caught:
        store.add([node("good", [1.0], "d1", year=1), node("bad", [1.0], "d2", year="last")])
    assert list(caught.value.rejected) == ["d2"]
    with pytest.raises(ConfigurationError, match="vectors of 1 numbers"):
        store.add([node("longer", [1.0, 2.0], "d3")])


async def test_a_store_whose_index_is_not_made_yet_has_nothing_to_delete(client: MistralAgents, name: str) -> None:
    store = MistralSearchIndexVectorStore(name, client=client)
    store.clear()
    store.delete("a")
    await store.aclear()
    await store.adelete("a")
    with pytest.raises(NotFoundError, match=name):
        store.query(VectorStoreQuery(query_embedding=[1.0], similarity_top_k=1))


def test_a_store_is_made_of_its_dict(client: MistralAgents, name: str) -> None:
    store = MistralSearchIndexVectorStore(name, client=client, attribute_fields={"year": "int"})
    store.add([TextNode(text="pump", embedding=[1.0, 0.0])])
    again = MistralSearchIndexVectorStore.from_dict(store.to_dict(), client=client)
    assert again.attribute_fields == {"year": "int"}
    query = VectorStoreQuery(query_embedding=[1.0, 0.0], similarity_top_k=1)
    assert [node.get_content() for node in again.query(query).nodes or ()] == ["pump"]
    with pytest.raises(ConfigurationError, match="did you mean attribute_fields"):
        MistralSearchIndexVectorStore(name, client=client, atribute_fields={})


@pytest.mark.parametrize("bad", ["a/b", "1st", "", "x" * 64])
def test_index_names_are_checked(client: MistralAgents, bad: str) -> None:
    with pytest.raises(ConfigurationError, match="index name"):
        MistralSearchIndexVectorStore(bad, client=client)


@pytest.mark.parametrize(
    "wrong",
    [{"index_name": None}, {"mode": "local"}, {"vector_store": "x"}, {"lazy_top_documents": 2, "strategy": "bm25"}],
)
def test_what_does_not_go_together_is_refused(make: Callable[..., Any], wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        make(**wrong)
