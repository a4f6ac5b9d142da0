"""What a request must show before anything is done for it."""

from __future__ import annotations

import http.client
import json
from urllib.parse import urlsplit

import httpx
import pytest

from mistral_agents_server.settings import Settings

BODY = json.dumps({"inputs": "hello", "model": "m"}).encode()


def post(standin, headers, body=BODY, path="/v1/conversations"):
    return httpx.post(standin.base_url + path, content=body, headers=headers)


def test_a_form_of_a_page_is_refused(standin):
    form = {
        "Authorization": "Bearer k",
        "Content-Type": "application/x-www-form-urlencoded",
        "Origin": "https://a.test",
    }
    assert post(standin, form).status_code == 415


def test_text_that_looks_like_json_is_refused(standin):
    plain = {"Authorization": "Bearer k", "Content-Type": "text/plain"}
    assert post(standin, plain).status_code == 415


def test_an_upload_must_be_multipart(standin):
    reply = post(standin, {"Authorization": "Bearer k", "Content-Type": "application/json"}, path="/v1/files")
    assert reply.status_code == 415


@pytest.mark.parametrize("host", ["evil.test", "evil.test:80", "127.0.0.1.evil.test", "localhost.evil.test:1", ""])
def test_a_foreign_host_is_refused(standin, host):
    assert httpx.get(
        standin.base_url + "/v1/agents", headers={"Authorization": "Bearer k", "Host": host}
    ).status_code in (
        400,
        403,
    )


@pytest.mark.parametrize("host", ["localhost", "localhost:1234", "[::1]:80", "127.0.0.1"])
def test_loopback_names_are_served(standin, host):
    headers = {"Authorization": "Bearer k", "Host": host}
    assert httpx.get(standin.base_url + "/v1/agents", headers=headers).status_code == 200


@pytest.mark.parametrize("value", [None, "", "Bearer", "Basic abc", "abc"])
def test_a_key_is_needed(standin, value):
    headers = {} if value is None else {"Authorization": value}
    reply = httpx.get(standin.base_url + "/v1/agents", headers=headers)
    assert (reply.status_code, reply.json()) == (401, {"detail": "Invalid API Key"})


def test_only_the_configured_key_is_taken(standin_factory, api_of):
    standin = standin_factory(api_key="right")
    assert api_of(standin.base_url, "wrong").send("GET", "/agents").status_code == 401
    assert api_of(standin.base_url, "right").send("GET", "/agents").status_code == 200


def test_no_reply_allows_other_origins_and_each_has_a_correlation_id(standin):
    headers = {"Authorization": "Bearer k", "Origin": "https://a.test", "Access-Control-Request-Method": "POST"}
    replies = [
        httpx.options(standin.base_url + "/v1/conversations", headers=headers),
        httpx.get(standin.base_url + "/v1/agents", headers=headers),
        httpx.get(standin.base_url + "/v1/agents"),
        httpx.get(standin.base_url + "/v1/nothing", headers=headers),
    ]
    assert not [name for reply in replies for name in reply.headers if name.startswith("access-control")]
    assert len({reply.headers["mistral-correlation-id"] for reply in replies}) == len(replies)


def test_a_body_without_a_length_is_refused(standin):
    headers = {"Authorization": "Bearer k", "Content-Type": "application/json"}
    reply = httpx.post(standin.base_url + "/v1/conversations", content=iter([BODY]), headers=headers)
    assert reply.status_code == 411


def test_a_huge_body_is_refused_before_it_is_read(standin):
    where = urlsplit(standin.base_url)
    connection = http.client.HTTPConnection(where.hostname, where.port, timeout=30)
    connection.putrequest("POST", "/v1/conversations")
    for name, value in {"Authorization": "Bearer k", "Content-Type": "application/json"}.items():
        connection.putheader(name, value)
    connection.putheader("Content-Length", str(10**12))
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def test_broken_json_is_a_422(standin):
    headers = {"Authorization": "Bearer k", "Content-Type": "application/json"}
    reply = post(standin, headers, b"{")
    assert reply.status_code == 422
    assert reply.json()["detail"][0]["type"] == "json_invalid"


def test_another_address_needs_a_key_and_turns_code_off():
    with pytest.raises(ValueError, match="api_key"):
        Settings(host="0.0.0.0")
    assert not Settings(host="0.0.0.0", api_key="k").code_allowed
    assert Settings(host="0.0.0.0", api_key="k", allow_code=True).code_allowed
    assert not Settings(model_url="http://127.0.0.1:1").code_allowed
    assert Settings().code_allowed


def test_off_loopback_a_machine_is_served_under_any_of_its_names(standin_factory):
    """A container, a machine of the network: nobody here knows its names, and the key keeps pages of others out."""
    standin = standin_factory(host="0.0.0.0", api_key="own")
    for host, key, status in (("box.lan:8484", "own", 200), ("box.lan", "other", 401), ("a@b", "own", 403)):
        headers = {"Authorization": f"Bearer {key}", "Host": host}
        assert httpx.get(f"{standin.base_url}/v1/agents", headers=headers).status_code == status
