"""Connectors are made, changed, shared, switched and authorized; of credentials the names are shown."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest
from mistralai import client as mistral_sdk

from mistral_agents_server.connectors_api import connector_id

from ..conftest import API_KEY
from ..support.connectors import METEO

SERVER = "https://tides.example.org/mcp"
SECRET = "s3cret-of-a-test"


@pytest.fixture
def api(standin_factory, api_of):
    return api_of(standin_factory(connectors=[METEO]).base_url)


def made(api, name="tides", **fields):
    return api.ok("POST", "/connectors", {"name": name, "description": "Tide tables.", "server": SERVER, **fields})


def test_a_connector_from_beginning_to_end(api):
    reply = api.send("POST", "/connectors", {"name": "tides", "description": "Tides.", "server": SERVER})
    assert reply.status_code == 201
    connector = reply.json()
    assert UUID(connector["id"])
    assert (connector["visibility"], connector["owner_type"], connector["active"]) == ("private", "user", True)
    place = f"/connectors/{connector['id']}"
    assert api.ok("GET", place) == api.ok("GET", "/connectors/tides") == connector
    changed = api.ok("PATCH", place, {"title": "Tides of the North Sea", "name": "north"})
    assert (changed["title"], changed["name"], changed["server"]) == ("Tides of the North Sea", "north", SERVER)
    assert [one["name"] for one in api.ok("GET", "/connectors")["items"]] == ["meteo", "north"]
    assert api.ok("GET", "/connectors/north/tools") == []
    assert api.send("POST", "/connectors/north/tools/any/call", {"arguments": {}}).status_code == 404
    assert api.ok("DELETE", place)["message"]
    assert api.send("GET", place).status_code == 404
    assert api.send("DELETE", place).status_code == 404


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ({"name": "two words"}, 422),
        ({"server": "ftp://x"}, 422),
        ({"protocol": "http"}, 422),
        ({"visibility": "shared_global"}, 422),
        ({"title": "x" * 256}, 422),
        ({"name": "meteo"}, 409),
        ({"name": "taken"}, 409),
    ],
)
def test_wrong_connectors_are_refused(api, wrong, status):
    made(api, "taken")
    body = {"name": "tides", "description": "d", "server": SERVER, **wrong}
    assert api.send("POST", "/connectors", body).status_code == status


def test_a_name_is_not_changed_to_another_ones(api):
    made(api, "taken")
    connector = made(api)
    for name in ("taken", "meteo"):
        assert api.send("PATCH", f"/connectors/{connector['id']}", {"name": name}).status_code == 409
    assert api.ok("PATCH", f"/connectors/{connector['id']}", {"name": "tides", "title": "t"})["title"] == "t"


def test_what_was_given_at_the_start_is_not_changed(api):
    place = f"/connectors/{connector_id(METEO)}"
    for method, path, body in (
        ("PATCH", place, {"title": "t"}),
        ("DELETE", place, None),
        ("PUT", f"{place}/share", None),
    ):
        assert "at the start" in api.send(method, path, body).json()["message"]
    assert api.send("DELETE", "/connectors/meteo").status_code == 422, "changes go by id"


def test_connectors_are_shared_and_taken_back(api):
    place = f"/connectors/{made(api)['id']}"
    for path, method, visibility, owner in (
        (f"{place}/share", "PUT", "shared_workspace", "workspace"),
        (f"{place}/organization/share", "PUT", "shared_org", "org"),
        (f"{place}/organization/share", "DELETE", "private", "user"),
    ):
        assert visibility in api.ok(method, path)["message"]
        assert api.send(method, path).status_code == 400
        shown = api.ok("GET", place)
        assert (shown["visibility"], shown["owner_type"]) == (visibility, owner)


def test_connectors_are_switched_for_somebody(api):
    place = f"/connectors/{made(api)['id']}"
    api.ok("POST", f"{place}/user/deactivate")
    assert [one["name"] for one in api.ok("GET", "/connectors", active="false")["items"]] == ["tides"]
    api.ok("POST", f"{place}/workspace/activate")
    assert api.ok("GET", place)["active"]
    assert api.send("POST", f"{place}/planet/activate").status_code == 422


def test_the_authorization_url(api):
    metadata = {"authorization_endpoint": "https://login.example.org/authorize", "issuer": "https://login.example.org"}
    made(api, auth_data={"client_id": "me", "client_secret": SECRET}, oauth2_server_metadata=metadata)
    reply = api.ok("GET", "/connectors/tides/auth_url", app_return_url="https://app.example.org/back")
    parts = urlsplit(reply["auth_url"])
    query = parse_qs(parts.query)
    assert (parts.netloc, query["client_id"]) == ("login.example.org", ["me"])
    assert query["redirect_uri"] == ["https://app.example.org/back"]
    assert reply["ttl"] > 0
    assert api.send("GET", "/connectors/tides/auth_url", method_type="bearer").status_code == 400
    assert api.send("GET", "/connectors/tides/auth_url", method_type="magic").status_code == 422
    assert api.send("GET", "/connectors/meteo/auth_url").status_code == 400
    assert SECRET not in api.send("GET", "/connectors/tides").text


def test_methods_are_added_and_changed(api):
    connector = made(api, headers={"X-Key": SECRET})
    assert [one["method_type"] for one in api.ok("GET", "/connectors/tides/authentication_methods")] == ["bearer"]
    changed = api.ok("PATCH", f"/connectors/{connector['id']}", {"auth_methods": [{"method_type": "oauth2"}]})
    assert [one["method_type"] for one in changed["supported_auth_methods"]] == ["bearer", "oauth2"]
    assert api.ok("GET", "/connectors/tides/auth_url")["auth_url"].startswith("https://tides.example.org/authorize?")


def credentials(api, name, scope="user", method="POST", **fields):
    body = {"name": name, "credentials": {"bearer_token": SECRET}, **fields}
    return api.send(method, f"/connectors/tides/{scope}/credentials", body)


def defaults(api, scope="user"):
    found = api.ok("GET", f"/connectors/tides/{scope}/credentials")["credentials"]
    return {one["name"]: one["is_default"] for one in found}


@pytest.mark.parametrize("scope", ["user", "workspace", "organization"])
def test_credentials_of_each_scope(api, scope):
    made(api, headers={"X-Key": "k"})
    assert credentials(api, "one", scope, is_default=False).status_code == 400, "the first must be the default"
    assert credentials(api, "one", scope, title="First").status_code == 200
    assert credentials(api, "two", scope).status_code == 200
    assert defaults(api, scope) == {"one": True, "two": False}
    assert credentials(api, "two", scope, "PATCH", is_default=True).status_code == 200
    assert defaults(api, scope) == {"one": False, "two": True}
    assert credentials(api, "two", scope, "PATCH", is_default=False).status_code == 400
    shown = api.ok("GET", f"/connectors/tides/{scope}/credentials", auth_type="bearer")["credentials"]
    assert {one["scope"] for one in shown} == {"org" if scope == "organization" else scope}
    assert {one["title"] for one in shown} == {"First", None}
    assert SECRET not in str(shown)
    assert api.ok("GET", f"/connectors/tides/{scope}/credentials", auth_type="oauth2")["credentials"] == []
    assert api.ok("DELETE", f"/connectors/tides/{scope}/credentials/one")["message"]
    assert api.send("DELETE", f"/connectors/tides/{scope}/credentials/one").status_code == 404
    assert credentials(api, "no spaces", scope).status_code == 422


def test_all_credentials_of_a_user_go_at_once(api):
    made(api, headers={"X-Key": "k"})
    assert not api.ok("GET", "/connectors/tides")["is_authenticated"]
    for scope in ("user", "workspace"):
        credentials(api, "one", scope)
    shown = api.ok("GET", "/connectors/tides", fetch_user_data="true")
    assert shown["is_authenticated"]
    assert [one["name"] for one in shown["connection_credentials"]] == ["one"]
    assert api.ok("DELETE", "/connectors/tides/user/credentials")["message"]
    assert (defaults(api), defaults(api, "workspace")) == ({}, {"one": True})
    assert api.send("DELETE", "/connectors/tides/workspace/credentials").status_code == 400


def test_a_made_connector_offers_no_tools_to_a_turn(thinking, scripted):
    api = thinking()
    made(api)
    api.start("q", tools=[{"type": "connector", "connector_id": "tides"}])
    assert "tools" not in scripted.requests[0]


def test_the_sdks_own_methods(api):
    connector = made(api)
    with mistral_sdk.Mistral(api_key=API_KEY, server_url=str(api.http.base_url)) as sdk:
        connectors = sdk.beta.connectors
        assert connectors.get(connector_id_or_name="tides").server == SERVER
        listed = connectors.list()  # version 2 wraps it
        assert [one.name for one in getattr(listed, "result", listed).items] == ["meteo", "tides"]
        assert connectors.delete(connector_id=connector["id"]).message
