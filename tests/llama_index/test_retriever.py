"""What only some modes have: filters, vectors, links, events, reports, arguments."""

from __future__ import annotations

import asyncio
import pickle
from itertools import pairwise
from typing import Any

import pytest
from llama_index.core.callbacks import CallbackManager, CBEventType, LlamaDebugHandler
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events.exception import ExceptionEvent
from llama_index.core.node_parser import TextSplitter, TokenTextSplitter
from llama_index.core.schema import NodeRelationship, QueryBundle
from llama_index.core.vector_stores import FilterCondition, FilterOperator, MetadataFilter, MetadataFilters
from pydantic import PrivateAttr

from llama_index_mistral_agents import MistralLibraryRetriever
from llama_index_mistral_agents._filters import filter_of
from llama_index_mistral_agents.retrieval_events import (
    LibraryRetrievalEvent,
    LibrarySyncEndEvent,
    LibrarySyncStartEvent,
    SnapshotStaleEvent,
)
from mistral_agents.errors import ConfigurationError, ServerFailureError
from mistral_agents.retrieval.errors import UnsupportedFilterError
from mistral_agents.retrieval.filters import matches
from tests.retrieval.service import LIBRARY, LibraryService
from tests.retrieval.test_filters import METADATA, TABLE


class Heard(BaseEventHandler):
    _events: list[Any] = PrivateAttr(default_factory=list)

    @classmethod
    def class_name(cls) -> str:
        return "Heard"

    def handle(self, event: Any, **_: Any) -> None:
        self._events.append(event)

    def kinds(self) -> list[str]:
        return [type(event).__name__ for event in self._events]


@pytest.fixture
def heard() -> Any:
    root, handler = get_dispatcher(), Heard()
    root.add_event_handler(handler)
    yield handler
    root.event_handlers.remove(handler)


def make(service: LibraryService, **options: Any) -> MistralLibraryRetriever:
    return MistralLibraryRetriever(LIBRARY, client=service.client(), **options)


def files(nodes: list[Any]) -> list[str]:
    return [node.metadata["file_name"] for node in nodes]


# filters ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("field", "operator", "value", "expected"), TABLE)
def test_the_truth_table_through_llama_indexs_classes(field: str, operator: str, value: Any, expected: bool) -> None:
    filters = MetadataFilters(filters=[MetadataFilter(key=field, operator=FilterOperator(operator), value=value)])
    converted = filter_of(filters)
    assert converted is not None
    assert matches(converted, METADATA) is expected


def test_nested_filters_and_not(pumps: LibraryService) -> None:
    def one(key: str, value: Any, operator: FilterOperator = FilterOperator.EQ) -> MetadataFilter:
        return MetadataFilter(key=key, value=value, operator=operator)

    new_or_ok = MetadataFilters(
        filters=[one("attr_year", 2022, FilterOperator.GT), one("attr_ok", "true")], condition=FilterCondition.OR
    )
    no_garden = MetadataFilters(filters=[one("file_name", "gardening.txt")], condition=FilterCondition.NOT)
    both = MetadataFilters(filters=[new_or_ok, no_garden])
    assert files(make(pumps, filters=both).retrieve("valve sun")) == ["boiler.txt"]
    assert filter_of(MetadataFilters(filters=[])) is None


def test_a_filter_that_can_not_be_applied_is_refused(service: LibraryService) -> None:
    wrong = MetadataFilters(filters=[MetadataFilter(key="attr_year", value=3, operator=FilterOperator.TEXT_MATCH)])
    with pytest.raises(UnsupportedFilterError, match="attr_year") as caught:
        make(service, filters=wrong)
    assert caught.value.operator == "text_match"
    with pytest.raises(UnsupportedFilterError, match="conversation"):
        make(service, mode="conversation", filters=MetadataFilters(filters=[MetadataFilter(key="a", value=1)]))


# vectors ---------------------------------------------------------------------------------------------------------


class Counting(MockEmbedding):
    _asked: list[str] = PrivateAttr(default_factory=list)

    def _get_query_embedding(self, query: str) -> list[float]:
        self._asked.append(query)
        return [1.0] * self.embed_dim

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_query_embedding(query)


def test_a_querys_own_vector_is_used_and_not_made_again(pumps: LibraryService) -> None:
    model = Counting(4)
    retriever = make(pumps, strategy="vector", embed_model=model)
    assert len(retriever.retrieve(QueryBundle("valve", embedding=[0.5, 0.5, 0.5, 0.5]))) == 3
    assert model._asked == []
    retriever.retrieve(QueryBundle("valve", custom_embedding_strs=["a hypothetical answer", "another"]))
    assert model._asked == ["a hypothetical answer", "another"]
    asyncio.run(retriever.aretrieve("valve"))
    assert model._asked[-1] == "valve"


def test_the_global_embedding_model_is_the_default(pumps: LibraryService) -> None:
    from llama_index.core.settings import Settings

    Settings.embed_model = MockEmbedding(4)
    assert len(make(pumps, strategy="hybrid").retrieve("valve")) > 0


def test_only_changed_texts_are_embedded_again(pumps: LibraryService) -> None:
    model = MockEmbedding(4)
    retriever = make(pumps, strategy="vector", embed_model=model)
    assert retriever.refresh().embedded == 3
    assert retriever.refresh().embedded == 0


# queries ---------------------------------------------------------------------------------------------------------


def test_the_dress_of_a_retriever_tool_is_taken_off(pumps: LibraryService) -> None:
    retriever = make(pumps)
    plain = [(n.node_id, n.score) for n in retriever.retrieve("inlet valve")]
    assert [(n.node_id, n.score) for n in retriever.retrieve("\ninput is inlet valve\n")] == plain
    assert retriever.retrieve_with_report("  inlet valve \n")[1].queries == ["inlet valve"]
    assert retriever.retrieve_with_report("what the input is of pumps")[1].queries == ["what the input is of pumps"]


def test_an_image_alone_is_refused(service: LibraryService) -> None:
    with pytest.raises(ConfigurationError, match="image"):
        make(service).retrieve(QueryBundle("", image_path="a.png"))


# splitting -------------------------------------------------------------------------------------------------------


class Sentences(TextSplitter):
    """Cuts at full stops."""

    def split_text(self, text: str) -> list[str]:
        return [f"{part}." for part in text.split(".") if part.strip()]


@pytest.mark.parametrize("parser", [Sentences(), TokenTextSplitter(chunk_size=20, chunk_overlap=4)])
def test_a_node_parser_of_llama_index_gets_true_offsets(service: LibraryService, parser: Any) -> None:
    key = service.add("a.txt", "".join(f"The same valve again, time {n}. " for n in range(80)))
    text = service.libraries[LIBRARY][key].text
    nodes = make(service, node_parser=parser, similarity_top_k=50).retrieve("valve")
    assert len(nodes) > 5
    assert len({node.node_id for node in nodes}) == len(nodes)
    assert all(text[n.node.start_char_idx : n.node.end_char_idx] == n.text for n in nodes)


def test_neighbours_are_related(service: LibraryService) -> None:
    service.add("a.txt", " ".join(f"Valve {n} is round." for n in range(60)))
    nodes = make(service, chunk_size=200, chunk_overlap=0, similarity_top_k=50).retrieve("valves")
    ordered = sorted(nodes, key=lambda node: node.node.start_char_idx)
    for before, after in pairwise(ordered):
        assert before.node.relationships[NodeRelationship.NEXT].node_id == after.node_id
        assert after.node.relationships[NodeRelationship.PREVIOUS].node_id == before.node_id
    assert NodeRelationship.PREVIOUS not in ordered[0].node.relationships


def test_page_labels(service: LibraryService) -> None:
    service.add("book.pdf", "Apples grow.", "Pears grow.")
    assert make(service, pages="exact").retrieve("pears")[0].metadata["page_label"] == "2"


# reports, events, links ------------------------------------------------------------------------------------------


def test_a_report_says_what_a_search_did(pumps: LibraryService) -> None:
    nodes, report = make(pumps).retrieve_with_report("valve")
    assert (report.mode, report.score_kind, report.outcome, report.usage) == ("local", "bm25", "passages", {})
    assert len(nodes) == 2
    assert report.seconds > 0
    assert report.snapshot_id
    empty, report = asyncio.run(make(pumps).aretrieve_with_report("submarine"))
    assert (empty, report.outcome) == ([], "nothing_found")


def test_events_on_the_dispatcher(pumps: LibraryService, heard: Any) -> None:
    retriever = make(pumps)
    retriever.retrieve("valve")
    assert heard.kinds() == [
        "RetrievalStartEvent",
        LibrarySyncStartEvent.class_name(),
        LibrarySyncEndEvent.class_name(),
        LibraryRetrievalEvent.class_name(),
        "RetrievalEndEvent",
    ]
    assert heard._events[2].report["texts"] == 3
    heard._events.clear()
    pumps.fail = lambda method, target: (500, "down")
    with pytest.raises(ServerFailureError):
        retriever.refresh()
    kinds = heard.kinds()
    assert SnapshotStaleEvent.class_name() in kinds
    assert kinds[-1] == ExceptionEvent.class_name()


def test_a_failure_is_an_error_and_never_an_empty_list(pumps: LibraryService, heard: Any) -> None:
    pumps.fail = lambda method, target: (401, {"detail": "Unauthorized"})
    with pytest.raises(Exception, match="Unauthorized"):
        make(pumps).retrieve("valve")
    assert ExceptionEvent.class_name() in heard.kinds()


def test_the_legacy_callback_manager_is_honoured(pumps: LibraryService) -> None:
    from llama_index.core.settings import Settings

    handler = LlamaDebugHandler(print_trace_on_end=False)
    Settings.callback_manager = CallbackManager([handler])
    make(pumps).retrieve("valve")
    assert len(handler.get_event_pairs(CBEventType.RETRIEVE)) == 1
    other = LlamaDebugHandler(print_trace_on_end=False)
    make(pumps, callback_manager=CallbackManager([other])).retrieve("valve")
    assert len(other.get_event_pairs(CBEventType.RETRIEVE)) == 1


def test_links_are_made_when_asked_for(pumps: LibraryService) -> None:
    retriever = make(pumps)
    node = retriever.retrieve("valve")[0]
    first, second = retriever.get_download_url(node), retriever.get_download_url(node.node)
    assert first != second
    assert node.node.ref_doc_id in first
    assert "signature" in retriever.get_text_url(node)
    assert "signature" not in str(node.metadata)

    async def links() -> list[str]:
        async with retriever:
            return [await retriever.aget_download_url(node), await retriever.aget_text_url(node)]

    assert len(set(asyncio.run(links()))) == 2


def test_progress_is_shown_on_request(pumps: LibraryService, capsys: pytest.CaptureFixture[str]) -> None:
    make(pumps).refresh()
    assert capsys.readouterr().err == ""
    make(pumps, show_progress=True).refresh()
    assert "Reading texts" in capsys.readouterr().err


# lazy ------------------------------------------------------------------------------------------------------------


def test_lazy_reads_only_the_best_documents_and_keeps_them(service: LibraryService) -> None:
    for n in range(30):
        service.add(f"doc{n}.txt", f"Text {n} on valves.", summary=f"About subject{n}." if n else None)
    retriever = make(service, lazy_top_documents=2)
    nodes = retriever.retrieve("subject7 valves")
    assert files(nodes) == ["doc7.txt"]
    assert service.texts == 1
    retriever.retrieve("subject7 valves")
    assert service.texts == 1
    assert retriever.refresh().without_summary == 1
    assert asyncio.run(retriever.aretrieve("subject9"))[0:] == []
    assert service.texts == 2


# arguments -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"mode": "server"},
        {"strategy": "magic"},
        {"similarity_top_k": 0},
        {"pages": "some"},
        {"normalize_scores": "max"},
        {"refresh": "daily"},
        {"language": "klingon"},
        {"chunk_size": 3},
        {"lazy_top_documents": 0},
        {"lazy_top_documents": 3, "strategy": "vector", "embed_model": MockEmbedding(2)},
        {"mode": "conversation", "score_cutoff": 0.5},
        {"mode": "conversation", "on_no_passages": "shrug"},
        {"api_key": "k"},
    ],
)
def test_wrong_arguments_are_refused(service: LibraryService, wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        make(service, **wrong)
    assert service.requests == []


@pytest.mark.parametrize("ids", ["not-a-uuid", [], [LIBRARY, "a/../b"]])
def test_library_ids_must_be_uuids(ids: Any) -> None:
    with pytest.raises(ConfigurationError, match="library_ids"):
        MistralLibraryRetriever(ids, api_key="k")


# neighbours ------------------------------------------------------------------------------------------------------


def test_passages_are_widened_in_reading_order_without_repeats(service: LibraryService) -> None:
    from llama_index.core.schema import NodeWithScore, TextNode

    from llama_index_mistral_agents.postprocessor import MistralNeighbourPostprocessor

    service.add(
        "a.txt", "\n\n".join(f"Paragraph {word} has its own words in it." for word in ("ant", "bee", "cow", "dog"))
    )
    retriever = make(service, chunk_size=60, chunk_overlap=0)
    found = retriever.retrieve("bee")
    assert len(found) == 1
    wide = MistralNeighbourPostprocessor(retriever).postprocess_nodes(found)
    assert [node.text.split()[1] for node in wide] == ["ant", "bee", "cow"]
    assert {node.score for node in wide} == {found[0].score}
    both = MistralNeighbourPostprocessor(retriever, before=0, after=2).postprocess_nodes(retriever.retrieve("bee cow"))
    assert sorted(node.text.split()[1] for node in both) == ["bee", "cow", "dog"]
    foreign = [NodeWithScore(node=TextNode(text="x"))]
    assert MistralNeighbourPostprocessor(retriever).postprocess_nodes(foreign) == foreign


async def test_a_model_of_the_service_makes_the_vectors(pumps: LibraryService) -> None:
    from llama_index.core.schema import QueryBundle

    text = "Roses want sun. Tulips want patience."
    with pumps.client() as client:
        for strategy in ("vector", "hybrid"):
            retriever = MistralLibraryRetriever(LIBRARY, client=client, strategy=strategy, embed_model="mistral-embed")
            assert retriever.retrieve(text)[0].node.get_content() == text
            assert (await retriever.aretrieve(text))[0].node.get_content() == text
            several = QueryBundle("garden", custom_embedding_strs=[text, text])
            assert retriever.retrieve(several)[0].node.get_content() == text
            copied = pickle.loads(pickle.dumps(retriever))
            assert copied.retrieve(text)[0].node.get_content() == text
        await client.aclose()


def test_depths_and_weights_of_words_and_vectors(pumps: LibraryService) -> None:
    with pumps.client() as client:
        options: Any = {"client": client, "strategy": "hybrid", "embed_model": "mistral-embed"}
        shallow = MistralLibraryRetriever(LIBRARY, **options, words_top_k=1, vectors_top_k=1)
        assert len(shallow.retrieve("valve of the pump")) <= 2
        assert len(MistralLibraryRetriever(LIBRARY, **options).retrieve("valve of the pump")) == 3
        by_words = MistralLibraryRetriever(LIBRARY, **options, words_weight=2, vectors_weight=0)
        assert by_words.retrieve("inlet")[0].metadata["file_name"] == "pump manual.txt"


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"words_weight": 2.0}, "hybrid"),
        ({"strategy": "hybrid", "embed_model": "mistral-embed", "vectors_top_k": 0}, "vectors_top_k"),
        ({"strategy": "vector", "embed_model": " "}, "model"),
        ({"strategy": "vector", "embed_model": 5}, "embed_model"),
        ({"score_cutoff": "0.5"}, "score_cutoff"),
        ({"strategy": "hybrid", "words_weight": 2.0, "mode": "index", "index_name": "a"}, "Depths and weights"),
    ],
)
def test_vectors_are_checked_early(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        MistralLibraryRetriever(LIBRARY, api_key="k", **wrong)
