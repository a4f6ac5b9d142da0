"""Connectors of the service: listing, tools and calls, against prepared replies of the described shapes."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest

from mistral_agents import Connector, Conversation, MistralAgents
from mistral_agents.connector_api import ConnectorTool, ConnectorToolError
from mistral_agents.errors import InvalidRequestError, ResponseFormatError
from mistral_agents_server.settings import LocalConnector, LocalTool
from tests.support.scripted import ScriptedModel, call, say
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


class Endless(list[Any]):
    """Pages without end: ever new names and cursors."""

    def __len__(self) -> int:
        return 2

    def pop(self, _: Any = 0) -> Any:
        self.append(None)
        number = super().__len__()
        rows = [{"id": f"{number}-{place}", "name": f"{number}-{place}"} for place in range(1000)]
        return 200, {"items": rows, "pagination": {"next_cursor": str(number), "page_size": 1000}}


async def test_a_list_that_makes_up_rows_for_ever_is_an_error(make_client: Make, wire: Wire) -> None:
    connectors = make_client().connectors
    wire.replies = Endless()
    with pytest.raises(ResponseFormatError, match="Listing the connector's tools does not end: 10,000 rows"):
        connectors.tools("meteo", page_size=1000)
    with pytest.raises(ResponseFormatError, match="does not end"):
        await connectors.atools("meteo", page_size=1000)
    with pytest.raises(ResponseFormatError, match="Listing connectors does not end"):
        list(connectors.list(page_size=1000))
    with pytest.raises(ResponseFormatError, match="does not end"):
        [one async for one in connectors.alist(page_size=1000)]
    assert len(wire.requests) == 4 * 11


async def test_tools_become_functions_for_any_model(make_client: Make, wire: Wire) -> None:
    connectors = make_client().connectors
    wire.answer((200, [TOOL, {"name": "bare"}]))
    for tools in (connectors.tools("my server"), await connectors.atools("my server")):
        assert tools[0].as_function() == {
            "type": "function",
            "function": {"name": "search", "description": "Finds.", "parameters": TOOL["inputSchema"]},
        }
        assert tools[1].schema == {"type": "object", "properties": {}}
    older = ConnectorTool({"name": "x", "inputSchema": None, "jsonschema": TOOL["inputSchema"]})
    assert older.schema == TOOL["inputSchema"]
    assert wire.requests[0].url.raw_path.startswith(b"/v1/connectors/my%20server/tools")
    wire.answer((200, {"id": "1", "name": "my server"}))
    assert (await connectors.aget("my server")).id == connectors.get("my server").id
    wire.answer((200, {"items": [], "pagination": {"page_size": 100}}))
    assert [one async for one in connectors.alist()] == []


async def test_tools_are_asked_anew_with_credentials_and_where_to_authorize_them(make_client: Make, wire: Wire) -> None:
    connectors = make_client().connectors
    wire.answer((200, []))
    connectors.tools("gh", credentials="mine", refresh=True)
    await connectors.atools("gh", credentials="mine", refresh=True)
    sent = [dict(request.url.params) for request in wire.requests]
    assert sent == [{"page": "1", "page_size": "100", "credentials_name": "mine", "refresh": "true"}] * 2
    wire.answer((200, {"auth_url": "https://x"}))
    connectors.auth_url("gh", credentials="mine", title="Mine")
    await connectors.aauth_url("gh", credentials="mine", title="Mine")
    sent = [dict(request.url.params) for request in wire.requests[2:]]
    assert sent == [{"credentials_name": "mine", "credentials_title": "Mine"}] * 2


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


PICTURE = {"type": "image", "data": base64.b64encode(b"\x89PNG").decode(), "mimeType": "image/png"}


@pytest.mark.parametrize(
    ("reply", "text", "pictures"),
    [
        ({"content": [{"type": "resource", "resource": {"uri": "a", "text": "inside"}}]}, "inside", []),
        ({"content": [{"type": "resource_link", "name": "manual", "uri": "https://x"}]}, "manual: https://x", []),
        ({"content": [], "metadata": {"mcp_meta": {"structuredContent": {"ö": 1}}}}, '{"ö": 1}', []),
        ({"content": [], "metadata": {"structuredContent": {}}}, "{}", []),
        ({"content": [{"type": "text", "text": "one"}], "metadata": {"structuredContent": {"a": 1}}}, "one", []),
        ({"content": [PICTURE], "metadata": None}, "", [("image/png", b"\x89PNG")]),
        ({"content": [{**PICTURE, "data": "…"}, {**PICTURE, "mimeType": None}]}, "", [("image/png", b"\x89PNG")]),
    ],
)
def test_what_a_tool_gave_is_not_lost(make_client: Make, wire: Wire, reply: Any, text: str, pictures: Any) -> None:
    """MCP's tools may give resources, links, pictures and an object instead of a text."""
    wire.answer((200, reply))
    result = make_client().connectors.call("gh", "search")
    assert (result.text, result.images) == (text, pictures)


@pytest.mark.parametrize(
    "failed", [{"isError": True}, {"metadata": {"isError": True}}, {"metadata": {"mcp_meta": {"isError": True}}}]
)
def test_a_tool_that_fails_is_an_error(make_client: Make, wire: Wire, failed: dict[str, Any]) -> None:
    wire.answer((200, {"content": [{"type": "text", "text": "no such repo"}], **failed}))
    with pytest.raises(ConnectorToolError, match="Calling search of gh failed: no such repo"):
        make_client().connectors.call("gh", "search")
    wire.answer((200, []))
    with pytest.raises(ResponseFormatError):
        make_client().connectors.call("gh", "search")


def test_a_connector_of_the_stand_in_by_hand_and_by_an_agent(standin_factory: Any, scripted: ScriptedModel) -> None:
    def weather(arguments: dict[str, Any]) -> str:
        if arguments.get("city") == "Atlantis":
            raise ValueError("no such city")
        return f"sun in {arguments['city']}"

    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    local = LocalConnector("meteo", "Weather.", [LocalTool("weather", "Weather of a city.", schema, weather)])
    served = standin_factory(model_url=scripted.url, connectors=[local])
    client = MistralAgents(api_key="k", base_url=served.base_url, max_retries=0)
    [info] = client.connectors.list()
    assert client.connectors.get("meteo").id == info.id
    [tool] = client.connectors.tools(info.id)
    assert tool.as_function()["function"]["parameters"]["properties"] == schema["properties"]
    assert client.connectors.call("meteo", tool.name, {"city": "Paris"}).text == "sun in Paris"
    with pytest.raises((ConnectorToolError, InvalidRequestError), match="no such city"):
        client.connectors.call("meteo", tool.name, {"city": "Atlantis"})

    scripted.script(call("meteo_weather", {"city": "Rome"}), say("Sunny."))
    turn = Conversation(client, model="m", tools=[Connector("meteo")]).append("Weather in Rome?")
    assert [(run.name, run.result) for run in turn.tool_executions] == [("meteo_weather", "sun in Rome")]
    scripted.script(call("meteo_weather", {"city": "Rome"}), say("I was not allowed."))
    guarded = [Connector("meteo", requires_confirmation=["meteo_weather"])]
    turn = Conversation(client, model="m", tools=guarded, confirm="deny").append("Weather in Rome?")
    assert (turn.tool_executions, turn.text) == ([], "I was not allowed.")
