"""One contract for every mode, sync and async."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.schema import NodeRelationship, NodeWithScore, QueryBundle

from llama_index_mistral_agents import MistralLibraryIndex, MistralLibraryRetriever
from mistral_agents.errors import ConfigurationError
from tests.llama_index.conftest import hit, search_run, turn
from tests.retrieval.service import LIBRARY, LibraryService

MODES: dict[str, dict[str, Any]] = {
    "bm25": {},
    "vector": {"strategy": "vector", "embed_model": MockEmbedding(8)},
    "hybrid": {"strategy": "hybrid", "embed_model": MockEmbedding(8)},
    "lazy": {"lazy_top_documents": 3},
    "minmax": {"normalize_scores": "minmax"},
    "conversation": {"mode": "conversation"},
    "conversation rescored": {"mode": "conversation", "rescore": True},
}
Make = Callable[..., MistralLibraryRetriever]
FIXED = "5f0c1f6e-3d54-4f7b-9c38-0d8f7b1f0001"


@pytest.fixture(params=list(MODES))
def mode(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def corpus(service: LibraryService) -> LibraryService:
    filler = "The valve is opened and closed by hand. " * 60
    service.add("pump valve.txt", f"Close the inlet valve. {filler}", id=FIXED, attributes={"team": "water"})
    service.add("boiler valve.txt", "The boiler has a valve too.")
    service.turns = [
        turn(
            search_run(
                json.dumps({"k1": hit(FIXED, "Close the inlet valve."), "k2": hit(FIXED, "Opened by hand.", page=1)}),
                {"query": "valve"},
            )
        )
        for _ in range(60)
    ]
    return service


@pytest.fixture
def make(corpus: LibraryService, mode: str) -> Make:
    return lambda **options: MistralLibraryRetriever(LIBRARY, client=corpus.client(), **{**MODES[mode], **options})


@pytest.fixture(params=["sync", "async"])
def retrieve(request: pytest.FixtureRequest) -> Callable[..., list[NodeWithScore]]:
    async def in_loop(retriever: MistralLibraryRetriever, query: Any) -> list[NodeWithScore]:
        async with retriever:
            return await retriever.aretrieve(query)

    def run(retriever: MistralLibraryRetriever, query: Any = "inlet valve") -> list[NodeWithScore]:
        if request.param == "async":
            return asyncio.run(in_loop(retriever, query))
        with retriever:
            return retriever.retrieve(query)

    return run


def shape(nodes: list[NodeWithScore]) -> list[tuple[Any, ...]]:
    return [(n.node_id, n.score, n.node.hash, n.text, json.dumps(n.metadata)) for n in nodes]


def test_nodes_keep_the_contract(make: Make, retrieve: Callable[..., Any]) -> None:
    nodes = retrieve(make())
    assert 2 <= len(nodes) <= 5
    assert len({node.node_id for node in nodes}) == len(nodes)
    scores = [node.score for node in nodes]
    assert all(score is None for score in scores) or all(isinstance(score, float) for score in scores)
    assert scores == sorted(scores, key=lambda score: -score if score is not None else 0)
    for node in nodes:
        source = node.node.relationships[NodeRelationship.SOURCE]
        assert source.node_id == node.node.ref_doc_id == node.metadata["document_id"]
        assert node.metadata["library_id"] == LIBRARY
        assert node.metadata["file_name"]
        assert list(node.metadata) == sorted(node.metadata)
        assert not any(isinstance(value, (dict, type(None))) for value in node.metadata.values())
        assert not {"score", "rank", "url"} & set(node.metadata)
        assert FIXED not in node.node.get_content("llm")
        assert node.metadata["file_name"] in node.node.get_content("llm")


def test_results_are_equal_and_fresh_each_time(make: Make, retrieve: Callable[..., Any]) -> None:
    retriever = make()
    first = retrieve(retriever)
    before = shape(first)
    for node in first:  # as QueryFusionRetriever does
        node.score = 99.0
        node.node.metadata["touched"] = True
    second = retrieve(retriever)
    assert shape(second) == before
    assert not {id(node.node) for node in first} & {id(node.node) for node in second}


def test_how_many_are_wanted_may_be_changed(make: Make, retrieve: Callable[..., Any]) -> None:
    """As of LlamaIndex's own retrievers; `engine.retriever.similarity_top_k = 3` is a habit."""
    retriever = make(similarity_top_k=5)
    found = retrieve(retriever)
    retriever.similarity_top_k = 1
    assert shape(retrieve(retriever)) == shape(found)[:1]
    with pytest.raises(ConfigurationError, match="similarity_top_k"):
        retriever.similarity_top_k = 0
    assert retriever.similarity_top_k == 1
    assert retriever.library_ids == [LIBRARY]
    for name in ("library_ids", "mode"):
        with pytest.raises(AttributeError, match=name):
            setattr(retriever, name, "another")


def test_an_index_is_of_one_library(corpus: LibraryService) -> None:
    """Its uploads and its deletions would go to different ones."""
    index: Any = MistralLibraryIndex(LIBRARY, client=corpus.client())
    with pytest.raises(AttributeError, match="library_id"):
        index.library_id = str(uuid4())
    assert index.library_id == LIBRARY


def test_sync_equals_async(make: Make) -> None:
    async def both() -> None:
        one, other = make(), make()
        async with one:
            here = shape(await one.aretrieve("inlet valve"))
        with other:
            assert shape(other.retrieve("inlet valve")) == here  # blocking, inside a running loop

    asyncio.run(both())


def test_threads_and_several_loops(make: Make) -> None:
    retriever = make()

    async def once() -> Any:
        async with retriever:
            return shape(await retriever.aretrieve("inlet valve"))

    expected = asyncio.run(once())
    assert [asyncio.run(once()) for _ in range(2)] == [expected, expected]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: shape(retriever.retrieve("inlet valve")), range(8)))
    assert all(one == expected for one in found)
    retriever.close()


def test_pickle_and_deepcopy(make: Make, retrieve: Callable[..., Any]) -> None:
    retriever = make()
    expected = shape(retrieve(retriever))
    for twin in (pickle.loads(pickle.dumps(retriever)), copy.deepcopy(retriever)):
        assert shape(retrieve(twin)) == expected


def test_constructing_sends_nothing(make: Make, corpus: LibraryService) -> None:
    assert BaseRetriever.__name__ in [base.__name__ for base in type(make()).__mro__]
    assert corpus.requests == []


@pytest.mark.parametrize("wrong", [None, 3, b"valve", ["valve"], QueryBundle(None)])  # type: ignore[arg-type]
def test_what_is_no_question_is_refused(make: Make, corpus: LibraryService, wrong: Any) -> None:
    retriever = make()
    for ask in (retriever.retrieve, retriever.retrieve_with_report):
        with pytest.raises(ConfigurationError, match="needs a text"):
            ask(wrong)
    for ask_async in (retriever.aretrieve, retriever.aretrieve_with_report):
        with pytest.raises(ConfigurationError, match="needs a text"):
            asyncio.run(ask_async(wrong))
    assert corpus.requests == []


@pytest.mark.parametrize("query", ["", "  \n", "input is \n"])
def test_a_blank_query_is_empty_or_an_error(
    make: Make, retrieve: Callable[..., Any], corpus: LibraryService, query: str
) -> None:
    assert retrieve(make(), query) == []
    with pytest.raises(ValueError, match="blank"):
        retrieve(make(on_blank="error"), query)
    assert corpus.requests == []


def test_ids_are_the_same_in_another_process(corpus: LibraryService) -> None:
    code = f"""
from mistral_agents import MistralAgents
from llama_index_mistral_agents import MistralLibraryRetriever
from mistral_agents.errors import ConfigurationError
client = MistralAgents(api_key="k", base_url={corpus.url!r})
r = MistralLibraryRetriever({LIBRARY!r}, client=client)
print([(n.node_id, n.node.hash) for n in r.retrieve("inlet valve")])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    here = MistralLibraryRetriever(LIBRARY, client=corpus.client()).retrieve("inlet valve")
    assert done.stdout.strip() == str([(node.node_id, node.node.hash) for node in here])


def test_importing_the_wing_loads_no_other_framework() -> None:
    code = (
        "import sys, llama_index_mistral_agents as wing; light = 'llama_index.core' not in sys.modules;"
        "[getattr(wing, name) for name in wing.__all__];"
        "print(light, sorted({'langchain', 'langchain_core', 'mistralai', 'langgraph', 'Stemmer'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True []"
