"""The retriever inside LlamaIndex's engines: sync, async, streaming."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from llama_index.core.base.response.schema import Response
from llama_index.core.indices.query.query_transform.base import HyDEQueryTransform
from llama_index.core.llms import CompletionResponse, CustomLLM, LLMMetadata, MockLLM
from llama_index.core.postprocessor import SimilarityPostprocessor
from llama_index.core.query_engine import CitationQueryEngine, RetrieverQueryEngine, RouterQueryEngine
from llama_index.core.retrievers import QueryFusionRetriever, RouterRetriever, TransformRetriever
from llama_index.core.selectors import LLMSingleSelector
from llama_index.core.settings import Settings
from llama_index.core.tools import QueryEngineTool, RetrieverTool

from llama_index_mistral_agents import MistralLibraryIndex, MistralLibraryRetriever
from llama_index_mistral_agents.auto import metadata_schema
from mistral_agents.errors import ConfigurationError
from tests.retrieval.service import LIBRARY, LibraryService


class Says(CustomLLM):
    """Always says the same."""

    text: str = ""

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata()

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return CompletionResponse(text=self.text)

    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
        yield CompletionResponse(text=self.text, delta=self.text)


@pytest.fixture
def retriever(pumps: LibraryService) -> MistralLibraryRetriever:
    return MistralLibraryRetriever(LIBRARY, client=pumps.client())


@pytest.fixture
def index(pumps: LibraryService) -> MistralLibraryIndex:
    return MistralLibraryIndex(LIBRARY, client=pumps.client())


@pytest.fixture(params=["sync", "async"])
def ask(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Calls `name` of an object, or its asynchronous twin `aname`."""

    async def awaited(target: Any, name: str, *args: Any) -> Any:
        return await getattr(target, f"a{name}")(*args)

    def call(target: Any, name: str, *args: Any) -> Any:
        if request.param == "sync":
            return getattr(target, name)(*args)
        return asyncio.run(awaited(target, name, *args))

    return call


def files(response: Any) -> list[str]:
    return [node.metadata["file_name"] for node in response.source_nodes]


def test_retriever_query_engine(retriever: MistralLibraryRetriever, ask: Callable[..., Any]) -> None:
    engine = RetrieverQueryEngine.from_args(retriever, llm=MockLLM())
    response = ask(engine, "query", "boiler water")
    assert "The boiler has a valve too" in response.response
    assert files(response) == ["boiler.txt"]
    assert str(ask(engine, "query", "submarine")) == "Empty Response"


def test_streaming(retriever: MistralLibraryRetriever) -> None:
    engine = RetrieverQueryEngine.from_args(retriever, llm=MockLLM(), streaming=True)
    response = engine.query("boiler")
    assert "boiler" in "".join(response.response_gen)  # type: ignore[union-attr]

    async def stream() -> str:
        engine = RetrieverQueryEngine.from_args(retriever, llm=MockLLM(), streaming=True, use_async=True)
        response: Any = await engine.aquery("boiler")
        return "".join([token async for token in response.async_response_gen()])

    assert "boiler" in asyncio.run(stream())


def test_citations_keep_document_and_page(service: LibraryService, ask: Callable[..., Any]) -> None:
    service.add("book.pdf", "Apples grow in the north.", "Pears grow in the south.")
    retriever = MistralLibraryRetriever(LIBRARY, client=service.client(), pages="exact")
    engine = CitationQueryEngine.from_args(_Indexless(), retriever=retriever, llm=MockLLM())
    response: Response = ask(engine, "query", "pears")
    [source] = response.source_nodes
    assert source.node.get_content().startswith("Source 1:")
    assert source.metadata["page_label"] == "2"
    assert source.metadata["file_name"] == "book.pdf"
    assert source.node.ref_doc_id == source.metadata["document_id"]
    assert source.score is not None


class _Indexless:
    """CitationQueryEngine asks an index only where no retriever is given."""


def test_citation_engine_over_the_index(index: MistralLibraryIndex) -> None:
    engine = CitationQueryEngine.from_args(index, llm=MockLLM(), similarity_top_k=1)
    assert len(engine.query("boiler").source_nodes) == 1


@pytest.mark.parametrize("mode", ["context", "condense_question", "condense_plus_context", "best"])
def test_chat_engines(index: MistralLibraryIndex, ask: Callable[..., Any], mode: str) -> None:
    engine = index.as_chat_engine(chat_mode=mode, llm=MockLLM(), similarity_top_k=2)
    response = ask(engine, "chat", "boiler water")
    assert "boiler.txt" in files(response)
    streamed = engine.stream_chat("valve of the boiler")
    assert "".join(streamed.response_gen)
    assert "boiler.txt" in files(streamed)


@pytest.mark.parametrize("mode", ["reciprocal_rerank", "relative_score", "dist_based_score", "simple"])
def test_fusion(index: MistralLibraryIndex, ask: Callable[..., Any], mode: str) -> None:
    one, other = index.as_retriever(similarity_top_k=3), index.as_retriever(similarity_top_k=1)
    fusion = QueryFusionRetriever([one, other], num_queries=1, mode=mode, use_async=False, llm=MockLLM())
    before = [(n.node_id, n.score) for n in one.retrieve("valve of the pump")]
    nodes = ask(fusion, "retrieve", "valve of the pump")
    assert nodes[0].metadata["file_name"] == "pump manual.txt"
    assert len({node.node_id for node in nodes}) == len(nodes) == 2
    assert [(n.node_id, n.score) for n in one.retrieve("valve of the pump")] == before


def test_fusion_with_several_queries_at_once(index: MistralLibraryIndex) -> None:
    llm = Says(text="boiler\nroses\npump")
    fusion = QueryFusionRetriever([index.as_retriever()], num_queries=3, use_async=True, llm=llm)
    assert len(fusion.retrieve("machines")) >= 1


def test_router(index: MistralLibraryIndex, ask: Callable[..., Any]) -> None:
    Settings.llm = MockLLM()  # the router's summarizer takes it
    choice = Says(text='[{"choice": 2, "reason": "garden"}]')
    plain = RetrieverTool.from_defaults(index.as_retriever(similarity_top_k=1), description="one")
    wide = RetrieverTool.from_defaults(index.as_retriever(similarity_top_k=2), description="two")
    router = RouterRetriever(selector=LLMSingleSelector.from_defaults(llm=choice), retriever_tools=[plain, wide])
    assert len(ask(router, "retrieve", "valve")) == 2
    engines = [
        QueryEngineTool.from_defaults(index.as_query_engine(llm=MockLLM(), similarity_top_k=k), description=str(k))
        for k in (1, 2)
    ]
    routed = RouterQueryEngine(
        selector=LLMSingleSelector.from_defaults(llm=choice), query_engine_tools=engines, llm=MockLLM()
    )
    assert len(ask(routed, "query", "valve").source_nodes) == 2


def test_transform_calls_the_blocking_form_inside_a_running_loop(
    retriever: MistralLibraryRetriever, ask: Callable[..., Any]
) -> None:
    transform = TransformRetriever(retriever, HyDEQueryTransform(llm=MockLLM(max_tokens=4)))
    assert [n.metadata["file_name"] for n in ask(transform, "retrieve", "boiler")] == ["boiler.txt"]


def test_retriever_tool(retriever: MistralLibraryRetriever, ask: Callable[..., Any]) -> None:
    tool = RetrieverTool.from_defaults(retriever, description="library")
    output = ask(tool, "call", "boiler")
    assert "file_name: boiler.txt" in output.content
    assert LIBRARY not in output.content
    by_name = tool.call(input="boiler")
    assert [n.score for n in by_name.raw_output] == [n.score for n in output.raw_output]


def test_similarity_postprocessor(pumps: LibraryService) -> None:
    cutoff = SimilarityPostprocessor(similarity_cutoff=0.5)
    scaled = MistralLibraryRetriever(LIBRARY, client=pumps.client(), normalize_scores="minmax")
    engine = RetrieverQueryEngine.from_args(scaled, llm=MockLLM(), node_postprocessors=[cutoff])
    assert files(engine.query("valve of the pump")) == ["pump manual.txt"]


def test_an_llm_chooses_filters_from_the_fields_that_exist(index: MistralLibraryIndex, ask: Callable[..., Any]) -> None:
    plan = {"query": "valve sun", "filters": [{"key": "year", "value": 2022, "operator": ">"}], "top_k": 1}
    llm = Says(text=f"```json\n{json.dumps(plan)}\n```")
    auto: Any = index.as_auto_retriever(llm=llm)
    nodes = ask(auto, "retrieve", "what about the sun since 2022?")
    assert [node.metadata["file_name"] for node in nodes] == ["gardening.txt"]
    fields = {info.name: info for info in auto._vector_store_info.metadata_info}
    assert fields["year"].type == "int"
    assert "2020" in fields["year"].description
    assert "library_id" not in fields


def test_a_plan_that_can_not_be_read_falls_back_to_the_question(index: MistralLibraryIndex) -> None:
    auto = index.as_auto_retriever(llm=Says(text="no plan"))
    assert [node.metadata["file_name"] for node in auto.retrieve("boiler")] == ["boiler.txt"]


def test_the_schema_shows_types_and_values() -> None:
    rows = [{"attr_a": 1, "library_id": "x", "creation_date": "2026"}, {"attr_a": 2}]
    assert [(info.name, info.type, info.description) for info in metadata_schema(rows)] == [
        ("attr_a", "int", "for example: 1, 2"),
        ("creation_date", "str", "for example: 2026"),
    ]


@pytest.mark.parametrize("wrong", [None, 3, b"boiler", ["boiler"]])
def test_what_is_no_question_is_refused(index: MistralLibraryIndex, wrong: Any) -> None:
    engine, auto = index.as_query_engine(llm=Says(text="yes")), index.as_auto_retriever(llm=Says(text="no plan"))
    for ask in (engine.query, auto.retrieve, index.as_chat_engine(llm=Says(text="yes")).chat):
        with pytest.raises(ConfigurationError, match="needs a text"):
            ask(wrong)
    for ask_async in (engine.aquery, auto.aretrieve):
        with pytest.raises(ConfigurationError, match="needs a text"):
            asyncio.run(ask_async(wrong))
