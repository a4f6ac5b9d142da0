"""Agents over HTTP: versions, aliases, pages, and conversations with them."""

from __future__ import annotations

import re

import pytest

NAMES = {
    *("instructions", "tools", "completion_args", "guardrails", "model", "name", "description", "handoffs", "metadata"),
    *(
        "object",
        "id",
        "version",
        "versions",
        "created_at",
        "updated_at",
        "deployment_chat",
        "source",
        "version_message",
    ),
}


def made(api, name="helper", **fields):
    return api.ok("POST", "/agents", {"model": "m", "name": name, **fields})


def test_a_new_agent_has_the_service_s_shape(api):
    reply = api.send("POST", "/agents", {"model": "m", "name": "helper", "completion_args": {"temperature": 0.3}})
    agent = reply.json()
    assert reply.status_code == 200
    assert set(agent) == NAMES
    assert re.fullmatch(r"ag_[0-9a-f]{32}", agent["id"])
    assert (agent["version"], agent["versions"], agent["tools"], agent["guardrails"]) == (0, [], [], [])
    assert agent["completion_args"]["temperature"] == 0.3
    assert agent["completion_args"]["tool_choice"] == "auto"


def test_each_change_is_a_version(api):
    agent = made(api, instructions="one", description="d")
    changed = api.ok("PATCH", f"/agents/{agent['id']}", {"instructions": "two"})
    assert (changed["version"], changed["versions"], changed["description"]) == (1, [0, 1], "d")
    assert api.ok("GET", f"/agents/{agent['id']}", agent_version=0)["instructions"] == "one"
    back = api.ok("PATCH", f"/agents/{agent['id']}/version", version=0)
    assert (back["version"], back["instructions"]) == (0, "one")
    assert api.ok("GET", f"/agents/{agent['id']}")["instructions"] == "one"
    assert [a["version"] for a in api.ok("GET", f"/agents/{agent['id']}/versions")] == [1, 0]
    assert api.ok("GET", f"/agents/{agent['id']}/versions/1")["instructions"] == "two"
    assert api.send("GET", f"/agents/{agent['id']}/versions/7").status_code == 404
    assert api.ok("PATCH", f"/agents/{agent['id']}", {"name": "n"})["version"] == 2


def test_aliases(api):
    agent = made(api, instructions="one")
    path = f"/agents/{agent['id']}/aliases"
    api.ok("PATCH", f"/agents/{agent['id']}", {"instructions": "two"})
    assert api.ok("PUT", path, alias="prod", version=0)["version"] == 0
    assert api.ok("GET", f"/agents/{agent['id']}", agent_version="prod")["instructions"] == "one"
    assert api.ok("PUT", path, alias="prod", version=1)["version"] == 1
    assert [alias["alias"] for alias in api.ok("GET", path)] == ["prod"]
    assert api.send("PUT", path, alias="prod", version=9).status_code == 404
    assert api.send("PUT", path, alias="1st", version=0).status_code == 422
    assert api.send("PUT", path, version=0).status_code == 422
    assert api.send("DELETE", path, alias="prod").status_code == 204
    assert api.send("DELETE", path, alias="prod").status_code == 404


def test_lists_and_pages(standin_factory, api_of):
    api = api_of(standin_factory().base_url)
    ids = [made(api, f"agent {n}", metadata={"team": n % 2})["id"] for n in range(5)][::-1]
    assert [a["id"] for a in api.ok("GET", "/agents")] == ids
    assert [a["id"] for a in api.ok("GET", "/agents", page=1, page_size=2)] == ids[2:4]
    assert [a["name"] for a in api.ok("GET", "/agents", name="agent 3")] == ["agent 3"]
    assert len(api.ok("GET", "/agents", search="AGENT")) == 5
    assert len(api.ok("GET", "/agents", metadata='{"team": 1}')) == 2
    seen, token = [], None
    while True:
        page = api.ok("GET", "/agents/pages", page_size=2, **({"page_token": token} if token else {}))
        assert page["object"] == "list"
        seen += [a["id"] for a in page["data"]]
        token = page["next_page_token"]
        if token is None:
            break
    assert seen == ids
    assert api.send("GET", "/agents/pages", page_token="!!").status_code == 422
    assert api.send("GET", "/agents", page_size=1001).status_code == 422


def test_delete(api):
    agent = made(api)
    assert api.send("DELETE", f"/agents/{agent['id']}").status_code == 204
    reply = api.send("GET", f"/agents/{agent['id']}")
    assert (reply.status_code, reply.json()["code"]) == (404, 3000)
    body = {"inputs": "x", "agent_id": agent["id"]}
    assert api.send("POST", "/conversations", body).status_code == 404


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"name": None}, "string_type"),
        ({"temperature": 1}, "extra_forbidden"),
        ({"handoffs": []}, "too_short"),
        ({"version_message": "x" * 501}, "string_too_long"),
        ({"tools": [{"type": "web_search"}, {"type": "web_search_premium"}]}, "value_error"),
    ],
)
def test_create_refuses(api, fields, kind):
    reply = api.send("POST", "/agents", {"model": "m", "name": "n", **fields})
    assert reply.status_code == 422
    assert reply.json()["detail"][0]["type"] == kind


def test_a_refused_change_makes_no_version(api):
    agent = made(api, tools=[{"type": "web_search"}])
    reply = api.send("PATCH", f"/agents/{agent['id']}", {"completion_args": {"tool_choice": "required"}})
    assert reply.status_code == 422
    assert api.ok("GET", f"/agents/{agent['id']}")["version"] == 0


def test_a_conversation_with_an_agent(api):
    agent = made(api, instructions="The mill is green.")
    reply = api.start("What is the mill like?", agent_id=agent["id"])
    (entry,) = reply["outputs"]
    assert (entry["agent_id"], entry["model"]) == (agent["id"], "stand-in:m")
    assert "green" in entry["content"]
    shown = api.ok("GET", f"/conversations/{reply['conversation_id']}")
    assert shown["agent_id"] == agent["id"]
    assert "model" not in shown


@pytest.mark.parametrize(("version", "word"), [(0, "green"), ("old", "green"), (None, "blue")])
def test_an_agent_version_is_kept_for_the_conversation(api, version, word):
    agent = made(api, instructions="The mill is green.")
    api.ok("PUT", f"/agents/{agent['id']}/aliases", alias="old", version=0)
    api.ok("PATCH", f"/agents/{agent['id']}", {"instructions": "The mill is blue."})
    started = api.start("hello", agent_id=agent["id"], **({} if version is None else {"agent_version": version}))
    assert word in api.append(started["conversation_id"], "What is the mill like?")["outputs"][0]["content"]


def test_restart_may_change_an_agents_version_only(api):
    agent = made(api, instructions="The mill is green.")
    api.ok("PATCH", f"/agents/{agent['id']}", {"instructions": "The mill is blue."})
    first = api.start("hello", agent_id=agent["id"])
    body = {"inputs": "What is the mill like?", "from_entry_id": first["outputs"][0]["id"], "agent_version": 0}
    again = api.ok("POST", f"/conversations/{first['conversation_id']}/restart", body)
    assert "green" in again["outputs"][0]["content"]
    plain = api.start("hello")
    body["from_entry_id"] = plain["outputs"][0]["id"]
    reply = api.send("POST", f"/conversations/{plain['conversation_id']}/restart", body)
    assert reply.status_code == 422
