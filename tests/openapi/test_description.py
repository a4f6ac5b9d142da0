"""Recordings, stand-in and client against the official description, with a list of proven deviations."""

from __future__ import annotations

import json

import httpx
import pytest

from mistral_agents import MistralAgents
from mistral_agents._api.conversations import append_call, restart_call, start_call
from mistral_agents._http.sse import EventDecoder
from mistral_agents.tools import CodeInterpreter, DocumentLibrary, WebSearch
from tests.support.scripted import call, say

from .description import OVERLAY, SHARED, event_violations, overlaid, violations

pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason="the official description is not part of a user's clone")
PAYLOADS = SHARED / "payloads"
RECORDED = (
    "web_search_2026_response.json", "web_search_stateless_replay_response.json", "web_search_open_url_response.json",
    "code_interpreter_2026_response.json", "code_interpreter_stateless_replay_response.json",
    "image_generation_2026_response.json", "image_generation_no_tool_file_response.json",
    "document_library_2026_response.json", "code_interpreter_stream.sse", "code_interpreter_stream_short.sse",
    "plain_text_stream.sse",
)  # fmt: skip
EXCHANGES = ("conversation_start_append_exchange", "conversation_start_restart_exchange")


def check(file, components=None, schema="ConversationResponse"):
    path = PAYLOADS / file
    if path.suffix == ".sse":
        return event_violations(EventDecoder().feed(path.read_bytes()), components)
    return violations(schema, json.loads(path.read_text()), components)


@pytest.mark.parametrize("place", range(len(OVERLAY)))
def test_each_deviation_is_proven_and_needed(place):
    proof = (OVERLAY[place]["proof"], OVERLAY[place].get("of", "ConversationResponse"))
    assert check(proof[0], overlaid(without=place), proof[1])
    assert not check(proof[0], schema=proof[1])


@pytest.mark.parametrize("file", RECORDED)
def test_recordings_fit_the_overlaid_description(file):
    assert check(file) == []


@pytest.mark.parametrize("name", EXCHANGES)
def test_recorded_exchanges_fit(name):
    for step in json.loads((PAYLOADS / f"{name}.json").read_text()):
        assert violations("ConversationResponse", step["response"]["body"]) == []


ASKED = {
    None: "What is the mean of 3, 4 and 8?",
    "code_interpreter": "Run this:\n```python\nprint(6 * 7)\n```",
    "web_search": "Search the web for renewable energy.",
    "image_generation": "Draw a red circle.",
}


@pytest.mark.parametrize("tool", ASKED)
def test_the_stand_in_fits(client, tool):
    options = {"model": "mistral-small-latest", **({"tools": [{"type": tool}]} if tool else {})}
    turn = client.conversations.start(ASKED[tool], **options)
    assert violations("ConversationResponse", turn.raw) == []
    with client.conversations.start_stream(ASKED[tool], **options) as stream:
        assert event_violations(list(stream)) == []
    assert violations("ConversationHistory", client.conversations.get_history(turn.conversation_id).raw) == []
    assert violations("ConversationMessages", client.conversations.get_messages(turn.conversation_id).raw) == []
    assert violations("ModelConversation", dict(client.conversations.get(turn.conversation_id))) == []


def test_the_stand_ins_guardrails_fit(client):
    rule = {"moderation_llm_v2": {"action": "none", "custom_category_thresholds": {"pii": 0.1}}}
    turn = client.conversations.start("Hello", model="mistral-small-latest", guardrails=[rule])
    assert turn.raw["guardrails"]
    assert violations("ConversationResponse", turn.raw) == []


def test_the_stand_ins_connectors_fit(standin_factory):
    body = {"name": "tides", "description": "d", "server": "https://tides.example.org/mcp", "headers": {"X-Key": "k"}}
    headers = {"Authorization": "Bearer k"}
    with httpx.Client(base_url=f"{standin_factory().base_url}/v1", headers=headers) as http:
        made = http.post("/connectors", json=body).json()
        http.post("/connectors/tides/user/credentials", json={"name": "one"})
        assert violations("Connector", made) == []
        assert violations("PaginatedConnectors", http.get("/connectors").json()) == []
        assert violations("CredentialsResponse", http.get("/connectors/tides/user/credentials").json()) == []
        for method in http.get("/connectors/tides/authentication_methods").json():
            assert violations("PublicAuthenticationMethod", method) == []


def test_the_stand_ins_function_calls_fit(standin_factory, scripted):
    scripted.script(call("lookup", {"city": "Paris"}), say("It is mild."))
    client = MistralAgents(api_key="test-key", base_url=standin_factory(model_url=scripted.url).base_url)
    tool = {"type": "function", "function": {"name": "lookup", "parameters": {"type": "object", "properties": {}}}}
    with client.conversations.start_stream("Weather?", model="mistral-small-latest", tools=[tool]) as stream:
        assert event_violations(list(stream)) == []
    assert [found.name for found in stream.turn.function_calls] == ["lookup"]
    history = client.conversations.get_history(stream.turn.conversation_id)
    assert violations("ConversationHistory", history.raw) == []


OPTIONS = {"completion_args": {"temperature": 0.2, "stop": ["x"]}, "store": True}
TOOLS = [WebSearch(), CodeInterpreter(), DocumentLibrary(["01a07bff-b1ed-70bd-b7d4-34b652c070bb"])]


@pytest.mark.parametrize(
    ("schema", "call"),
    [
        (
            "ConversationRequest",
            start_call("hello", {"model": "m", "tools": TOOLS, "instructions": "be kind", **OPTIONS}),
        ),
        ("ConversationRequest", start_call("hello", {"agent_id": "ag_1", "agent_version": 0})),
        ("ConversationAppendRequest", append_call("conv_1", "hello", OPTIONS)),
        ("ConversationRestartRequest", restart_call("conv_1", "msg_1", "hello", OPTIONS)),
    ],
)
def test_what_the_client_sends_fits(schema, call):
    assert violations(schema, call.body) == []


def test_the_stand_ins_objects_fit(client):
    agent = client.agents.create(model="mistral-small-latest", name="described", tools=[{"type": "web_search"}])
    library = client.libraries.create("described")
    document = client.libraries.upload(library.id, ("facts.txt", b"The project is called paper robots."))
    file = client.files.upload(("facts.txt", b"Paper robots."), purpose="ocr")
    for name, value in (("Agent", agent), ("Library", library), ("Document", document), ("FileSchema", file)):
        assert violations(name, dict(value)) == []
