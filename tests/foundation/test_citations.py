"""Searches and citations, read from entries of the shapes the service sends."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mistral_agents import turn as turn_module
from mistral_agents.turn import Turn

DOCUMENT = "bb25e610-377a-4800-b8a4-7e2b82374d30"
LIBRARY = "01a07bff-b1ed-70bd-b7d4-34b652c070bb"


def library_hit(**changes: Any) -> dict[str, Any]:
    hit = {
        "url": DOCUMENT,
        "title": "facts.txt",
        "description": "A summary.",
        "snippets": ["Seven robots.", "A summary.", "facts.txt"],
        "date": None,
        "rank": 0,
        "source": "library_search",
        "metadata": {"relevant_pages": [3, 4], "library_id": LIBRARY, "library_name": "facts"},
        "can_open": True,
    }
    return {**hit, **changes}


def search(function: str, result: Any, name: str = "document_library", **arguments: Any) -> dict[str, Any]:
    return {
        "type": "tool.execution",
        "id": f"tool_exec_{function}",
        "name": name,
        "function": function,
        "arguments": json.dumps(arguments),
        "info": {"result": result if isinstance(result, (str, list)) else json.dumps(result)},
    }


def message(content: Any) -> dict[str, Any]:
    return {"type": "message.output", "id": "msg_1", "role": "assistant", "content": content}


def turn_of(*outputs: dict[str, Any]) -> Turn:
    return Turn.from_response({"conversation_id": "conv_1", "outputs": list(outputs)})


def test_library_hits_become_citations_with_document_library_and_pages() -> None:
    turn = turn_of(search("library_search", {"Aq2aQmCY": library_hit()}, query="robots"), message("Seven."))
    [found] = turn.citations
    assert (found.origin, found.title, found.document_id, found.library_id) == (
        "library",
        "facts.txt",
        DOCUMENT,
        LIBRARY,
    )
    assert found.pages == (3, 4)
    assert found.snippet == "Seven robots."
    assert found.url is None
    assert found.offset is None
    [asked] = turn.searches
    assert (asked.origin, asked.query, asked.error) == ("library", "robots", None)
    assert [hit.rank for hit in asked.hits] == [0]


def test_references_carry_the_place_in_the_text_where_they_stood() -> None:
    turn = turn_of(
        message(
            [
                {"type": "text", "text": "Spain won"},
                {"type": "tool_reference", "tool": "web_search", "title": "A", "url": "https://a.test"},
                {"type": "tool_reference", "tool": "web_search", "title": "B", "url": "https://b.test"},
                {"type": "text", "text": "."},
                {"type": "tool_reference", "tool": "web_search", "title": "A again", "url": "https://a.test"},
            ]
        )
    )
    assert [(c.title, c.offset) for c in turn.citations] == [("A", 9), ("B", 9)]
    assert turn.text[: turn.citations[0].offset] == "Spain won"


def test_a_reference_with_no_field_at_all_is_a_citation_and_no_error() -> None:
    [found] = turn_of(message([{"type": "tool_reference"}])).citations
    assert (found.origin, found.title, found.url) == ("web", None, None)


def test_a_failed_search_says_so_and_cites_nothing() -> None:
    failed = search("library_search", "Error executing tool library_search: no such library", query="x")
    turn = turn_of(failed, message("I could not."))
    assert turn.searches[0].error == "Error executing tool library_search: no such library"
    assert turn.searches[0].hits == ()
    assert turn.citations == []


def test_an_opened_page_is_a_search_with_its_address_as_query() -> None:
    page = {"url": "https://a.test", "content": "Body.", "can_open": False, "title": "A"}
    opened = search("open_url", [{"type": "text", "text": json.dumps(page)}], name="web_search", url="https://a.test")
    [found] = turn_of(opened).searches
    assert (found.origin, found.query) == ("web", "https://a.test")
    assert found.hits[0].snippets == ("Body.",)


@pytest.mark.parametrize("result", ["[]", "null", "3", '"text"', "{}", "not json"])
def test_any_result_shape_is_survived(result: str) -> None:
    turn = turn_of(search("library_search", result))
    assert turn.citations == []
    assert turn.searches[0].hits == ()


def test_the_names_of_the_turn_module_stay() -> None:
    for name in turn_module.__all__:
        assert getattr(turn_module, name) is not None
