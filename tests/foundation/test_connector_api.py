"""Connectors of the service: listing, tools and calls, against prepared replies of the described shapes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mistral_agents import MistralAgents
from mistral_agents.connector_api import ConnectorToolError
from mistral_agents.errors import ResponseFormatError
from tests.wire.conftest import Wire

Make = Callable[..., MistralAgents]
TOOL = {
    "name": "search",
    "description": "Finds.",
    "inputSchema": {"type": "object", "properties": {"q": {"type": "string"}}},
}


def test_connectors_are_walked_by_cursor_and_their_secrets_masked(make_client: Make, wire: Wire) -> None:
    wire.answer(
        (
            200,
            {
                "items": [{"id": "1", "name": "a", "connection_credentials": [{"value": "s3cret"}]}],
                "pagination": {"next_cursor": "c2", "page_size": 1},
            },
        ),
        (200, {"items": [{"id": "2", "name": "b"}], "pagination": {"next_cursor": None, "page_size": 1}}),
    )
    found = list(make_client().connectors.list(page_size=1))
    assert [one.name for one in found] == ["a", "b"]
    assert wire.requests[1].url.params["cursor"] == "c2"
    assert "s3cret" not in repr(found[0])


async def test_tools_become_functions_for_any_model(make_client: Make, wire: Wire) -> None:
    connectors = make_client().connectors
    wire.answer((200, [TOOL, {"name": "bare"}]))
    for tools in (connectors.tools("my server"), await connectors.atools("my server")):
        assert tools[0].as_function() == {
            "type": "function",
            "function": {"name": "search", "description": "Finds.", "parameters": TOOL["inputSchema"]},
        }
        assert tools[1].schema == {"type": "object", "properties": {}}
    assert wire.requests[0].url.raw_path.startswith(b"/v1/connectors/my%20server/tools")
    wire.answer((200, {"id": "1", "name": "my server"}))
    assert (await connectors.aget("my server")).id == connectors.get("my server").id
    wire.answer((200, {"items": [], "pagination": {"page_size": 100}}))
    assert [one async for one in connectors.alist()] == []


async def test_a_tool_is_called_with_its_arguments(make_client: Make, wire: Wire) -> None:
    connectors = make_client().connectors
    items = [{"type": "text", "text": "one"}, {"type": "image", "data": "…"}, {"type": "text", "text": "two"}]
    wire.answer((200, {"content": items, "metadata": {"took": 1}}))
    result = connectors.call("gh", "search", {"q": "x"}, credentials="mine")
    assert (result.text, result.metadata, len(result.content)) == ("one\ntwo", {"took": 1}, 3)
    assert wire.bodies[-1] == {"arguments": {"q": "x"}}
    assert wire.requests[-1].url.params["credentials_name"] == "mine"
    assert (await connectors.acall("gh", "search")).text == "one\ntwo"
    assert wire.bodies[-1] == {"arguments": {}}


@pytest.mark.parametrize("place", ["top", "metadata"])
def test_a_tool_that_fails_is_an_error(make_client: Make, wire: Wire, place: str) -> None:
    body = {"content": [{"type": "text", "text": "no such repo"}]}
    wire.answer((200, {**body, "isError": True} if place == "top" else {**body, "metadata": {"isError": True}}))
    with pytest.raises(ConnectorToolError, match="Calling search of gh failed: no such repo"):
        make_client().connectors.call("gh", "search")
    wire.answer((200, []))
    with pytest.raises(ResponseFormatError):
        make_client().connectors.call("gh", "search")
