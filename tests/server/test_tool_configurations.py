"""Which tools a configuration means, calls confirmed one by one, and turns that go on without new words."""

from __future__ import annotations

from uuid import UUID

import pytest

from mistral_agents_server.connectors_api import connector_id

from ..support.connectors import METEO
from ..support.scripted import call, calls, say

TWO = calls(call("meteo_weather", {"city": "Rome"}), call("meteo_weather", {"city": "Oslo"}))


@pytest.fixture
def api(thinking):
    return thinking(connectors=[METEO])


def connector(name="meteo", **configuration):
    return {"type": "connector", "connector_id": name, "tool_configuration": configuration}


@pytest.mark.parametrize("place", ["include", "exclude", "requires_confirmation"])
@pytest.mark.parametrize("name", ["meteo", connector_id(METEO)])
def test_an_unknown_tool_is_refused_by_name(api, scripted, place, name):
    scripted.script(say("never"))
    tools = [connector(name, **{place: ["weather", "wheather"]})]
    for path, body in (("/conversations", {"inputs": "q"}), ("/agents", {"name": "a"})):
        reply = api.send("POST", path, {"model": "m", "tools": tools, **body})
        assert reply.status_code == 422
        [item] = reply.json()["detail"]
        assert item["loc"][-1] == place
        assert "'wheather'" in item["msg"]
        assert item["msg"].endswith("has weather")
    assert not scripted.requests


def test_an_agent_is_not_changed_to_an_unknown_tool(api):
    agent = api.ok("POST", "/agents", {"model": "m", "name": "a", "tools": [connector(include=["weather"])]})
    changed = {"tools": [connector(include=["snow"])]}
    assert api.send("PATCH", f"/agents/{agent['id']}", changed).status_code == 422
    assert api.ok("GET", f"/agents/{agent['id']}")["version"] == 0


@pytest.mark.parametrize("tool", ["web_search", "code_interpreter", "document_library", "image_generation"])
def test_built_in_tools_know_their_functions(api, tool):
    extra = {"library_ids": [str(UUID(int=7))]} if tool == "document_library" else {}
    body = {
        "inputs": "q",
        "model": "m",
        "tools": [{"type": tool, "tool_configuration": {"exclude": ["nothing"]}, **extra}],
    }
    assert "nothing" in api.send("POST", "/conversations", body).json()["detail"][0]["msg"]


def test_including_and_excluding_at_once_is_refused(api):
    body = {"inputs": "q", "model": "m", "tools": [connector(include=["weather"], exclude=["weather"])]}
    assert "together" in api.send("POST", "/conversations", body).json()["detail"][0]["msg"]


@pytest.mark.parametrize("spelling", ["weather", "meteo_weather"])
@pytest.mark.parametrize("name", ["meteo", connector_id(METEO)])
def test_bare_and_prefixed_names_guard_a_call(api, scripted, spelling, name):
    scripted.script(call("meteo_weather", {"city": "Rome"}))
    reply = api.start("q", tools=[connector(name, requires_confirmation=[spelling])])
    assert reply["outputs"][0]["confirmation_status"] == "pending"


def confirm(api, conversation_id, waiting, decision, **fields):
    given = [{"tool_call_id": waiting["tool_call_id"], "confirmation": decision}]
    return api.append(conversation_id, tool_confirmations=given, **fields)


@pytest.mark.parametrize("decisions", [("allow", "allow"), ("allow", "deny"), ("deny", "allow"), ("deny", "deny")])
def test_pending_calls_are_confirmed_one_by_one(api, scripted, decisions):
    scripted.script(TWO, say("done"))
    reply = api.start("q", tools=[connector(requires_confirmation=["weather"])])
    first, second = reply["outputs"]
    conversation_id = reply["conversation_id"]
    half = confirm(api, conversation_id, first, decisions[0])
    assert [entry["type"] for entry in half["outputs"]] == ["tool.execution"] * (decisions[0] == "allow")
    assert len(scripted.requests) == 1, "the model goes on once all calls are decided"
    refused = {"inputs": "something else"}
    assert api.send("POST", f"/conversations/{conversation_id}", refused).status_code == 400
    whole = confirm(api, conversation_id, second, decisions[1])
    assert whole["outputs"][-1]["content"] == "done"
    statuses = {"allow": "allowed", "deny": "denied"}
    history = api.history(conversation_id)
    assert [e["confirmation_status"] for e in history if e["type"] == "function.call"] == [
        statuses[d] for d in decisions
    ]
    told = [message["content"] for message in scripted.requests[1]["messages"] if message["role"] == "tool"]
    assert len(told) == 2
    assert sum("sun in" in text for text in told) == decisions.count("allow")


def test_one_of_two_is_confirmed_in_a_stream(api, scripted):
    scripted.script(TWO)
    reply = api.start("q", tools=[connector(requires_confirmation=["weather"])])
    given = [{"tool_call_id": reply["outputs"][1]["tool_call_id"], "confirmation": "allow"}]
    events = api.events(f"/conversations/{reply['conversation_id']}", {"tool_confirmations": given})
    assert events[-2]["type"] == "tool.execution.done"
    assert events[-1]["type"] == "conversation.response.done"


def test_a_restart_without_inputs_answers_again(api, scripted):
    scripted.script(say("one"), say("another"))
    reply = api.start("q")
    asked = api.history(reply["conversation_id"])[0]["id"]
    again = api.ok("POST", f"/conversations/{reply['conversation_id']}/restart", {"from_entry_id": asked})
    assert again["outputs"][0]["content"] == "another"
    assert [m["content"] for m in scripted.requests[1]["messages"]] == ["q"]
    kept = [entry["type"] for entry in api.history(again["conversation_id"])]
    assert kept == ["message.input", "message.output"]


def test_a_restart_without_inputs_does_not_pass_over_an_open_call(api, scripted):
    scripted.script(call("meteo_weather", {"city": "Rome"}))
    reply = api.start("q", tools=[connector(requires_confirmation=["weather"])])
    body = {"from_entry_id": reply["outputs"][0]["id"]}
    assert api.send("POST", f"/conversations/{reply['conversation_id']}/restart", body).status_code == 400


@pytest.mark.parametrize("effort", ["none", "high", "max"])
def test_every_effort_is_taken(api, scripted, effort):
    scripted.script(say("ok"))
    api.start("q", completion_args={"reasoning_effort": effort})
    assert scripted.requests[0]["reasoning_effort"] == effort


def test_agents_are_filtered_by_source(api):
    api.ok("POST", "/agents", {"model": "m", "name": "a"})
    assert len(api.ok("GET", "/agents", sources=["api", "playground"])) == 1
    assert api.ok("GET", "/agents", sources=["playground"]) == []


@pytest.mark.parametrize("path", ["/conversations", "/agents", "/agents/pages"])
def test_the_sdks_leaked_sentinel_is_refused_with_its_cause(api, path):
    reply = api.send("GET", path, metadata='"~?~unset~?~sentinel~?~"')
    assert reply.status_code == 422
    assert "metadata={}" in reply.json()["detail"][0]["msg"]
    assert api.send("GET", path, metadata="{}").status_code == 200
