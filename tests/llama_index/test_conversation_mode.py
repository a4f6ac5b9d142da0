"""Mode `conversation`: passages only from what the tool returned; every other case has a name."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from llama_index.core.schema import NodeWithScore

from llama_index_mistral_agents import MistralLibraryRetriever
from mistral_agents.retrieval.errors import PassagesUnavailableError
from mistral_agents.retrieval.passages import find_passages
from mistral_agents.turn import Turn
from tests.llama_index.conftest import hit, search_run, turn
from tests.retrieval.service import LIBRARY, OTHER, LibraryService

DOC = "5f0c1f6e-3d54-4f7b-9c38-0d8f7b1f0001"
OPENED = [
    {"type": "text", "text": json.dumps({"url": DOC, "source": "library_search", "content": "The whole passage."})}
]
RECORDED = Path(__file__).parents[3] / "shared" / "payloads" / "document_library_2026_response.json"


@pytest.fixture(params=["sync", "async"])
def ask(request: pytest.FixtureRequest, service: LibraryService) -> Any:
    def run(events: list[dict[str, Any]], **options: Any) -> list[NodeWithScore]:
        service.turns = [events]
        retriever = MistralLibraryRetriever(LIBRARY, client=service.client(), mode="conversation", **options)
        if request.param == "sync":
            return retriever.retrieve("paper robots")
        return asyncio.run(in_loop(retriever))

    async def in_loop(retriever: MistralLibraryRetriever) -> list[NodeWithScore]:
        async with retriever:
            return await retriever.aretrieve("paper robots")

    return run


def found(*hits: dict[str, Any], **arguments: Any) -> list[dict[str, Any]]:
    result = json.dumps({f"key{n}": one for n, one in enumerate(hits)})
    return search_run(result, {"query": "robots", **arguments})


def test_snippets_become_nodes_and_summaries_do_not(ask: Any, service: LibraryService) -> None:
    nodes = ask(turn(found(hit(DOC, "Seven paper robots.", title="facts.txt", page=2)), text="Hallucinated answer."))
    assert [node.text for node in nodes] == ["Seven paper robots."]
    assert nodes[0].metadata == {
        "document_id": DOC,
        "file_name": "facts.txt",
        "library_id": LIBRARY,
        "page_label": "3",
    }
    assert nodes[0].score is None
    body = service.bodies[0]
    assert body["store"] is False
    assert body["tools"] == [{"type": "document_library", "library_ids": [LIBRARY]}]
    assert "tool_choice" not in body["completion_args"]


def test_opened_results_give_their_text_and_repeats_count_once(ask: Any) -> None:
    search = found(hit(DOC, "Seven paper robots.", title="facts.txt"))
    opened = search_run(OPENED, {"document_id": DOC}, "open_library_result", 2)
    again = found(hit(DOC, "Seven paper robots.", title="facts.txt"))
    nodes = ask(turn(search, opened, again))
    assert [node.text for node in nodes] == ["Seven paper robots.", "The whole passage."]
    assert nodes[1].metadata["library_id"] == LIBRARY


def test_rescoring_gives_every_node_a_score(ask: Any) -> None:
    nodes = ask(turn(found(hit(DOC, "Nothing here."), hit(DOC, "Paper robots walk."))), rescore=True)
    assert [node.text for node in nodes] == ["Paper robots walk.", "Nothing here."]
    assert nodes[0].score > nodes[1].score == 0.0


def test_searched_and_nothing_found_is_an_honest_empty_list(ask: Any) -> None:
    assert ask(turn(search_run("{}", {"query": "robots"}))) == []


FAILURES: dict[str, list[dict[str, Any]]] = {
    "tool_not_called": turn(text="I believe there are robots."),
    "tool_failed": turn(search_run("Error executing tool library_search: bad id", {"query": "robots"})),
    "id_mangled": turn(search_run(None, {"query": "robots", "libraries_ids": [LIBRARY[:-12]]})),
    "unreadable": turn(search_run("a text of no known shape", {"query": "robots"})),
    "documents_only": turn(found(hit(DOC))),
    "stream_error": turn(found(hit(DOC, "Robots.")), end=False),
}


@pytest.mark.parametrize("outcome", list(FAILURES))
def test_every_other_outcome_has_its_name(ask: Any, outcome: str) -> None:
    with pytest.raises(PassagesUnavailableError) as caught:
        ask(FAILURES[outcome])
    assert caught.value.outcome == outcome
    assert caught.value.conversation_id == "conv_1"
    assert isinstance(caught.value.answer, str)


@pytest.mark.parametrize("outcome", list(FAILURES))
def test_on_request_the_local_search_takes_over(ask: Any, service: LibraryService, outcome: str) -> None:
    service.add("robots.txt", "Local paper robots.")
    nodes = ask(FAILURES[outcome], on_no_passages="local")
    assert [node.text for node in nodes] == ["Local paper robots."]
    assert nodes[0].score > 0


@pytest.mark.parametrize("outcome", list(FAILURES))
def test_on_request_nothing_is_an_empty_list(ask: Any, outcome: str) -> None:
    assert ask(FAILURES[outcome], on_no_passages="empty") == []


def test_hits_of_a_library_that_was_not_asked_for_are_left_out(ask: Any) -> None:
    nodes = ask(turn(found(hit(DOC, "Foreign robots.", library=OTHER), hit(DOC, "Own robots."))))
    assert [node.text for node in nodes] == ["Own robots."]
    with pytest.raises(PassagesUnavailableError) as caught:
        ask(turn(found(hit(DOC, "Foreign robots.", library=OTHER))))
    assert caught.value.outcome == "id_mangled"


def test_the_report_has_the_cost_and_the_models_query(service: LibraryService) -> None:
    service.turns = [turn(found(hit(DOC, "Robots.")))]
    retriever = MistralLibraryRetriever(LIBRARY, client=service.client(), mode="conversation")
    _, report = retriever.retrieve_with_report("paper robots")
    assert (report.outcome, report.queries, report.usage["connector_tokens"]) == ("passages", ["robots"], 30)


def test_an_agent_is_asked_without_instructions(service: LibraryService) -> None:
    service.turns = [turn(found(hit(DOC, "Robots.")))]
    MistralLibraryRetriever(LIBRARY, client=service.client(), mode="conversation", agent_id="ag_1").retrieve("robots")
    assert set(service.bodies[0]) <= {"inputs", "agent_id", "store", "stream"}


@pytest.mark.skipif(not RECORDED.exists(), reason="recorded replies are not in this clone")
def test_the_recorded_search_of_the_service_gives_its_passage() -> None:
    reply = json.loads(RECORDED.read_text())
    result = find_passages(Turn.from_response(reply), ["01a07bff-b1ed-70bd-b7d4-34b652c070bb"])
    assert result.outcome == "passages"
    assert {passage.file_name for passage in result.passages} == {"facts.txt"}
    assert all("seven paper robots" in passage.text for passage in result.passages)
