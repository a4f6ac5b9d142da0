"""The tests' own failures do what they say."""

from __future__ import annotations

import httpx
import pytest

BODY = {"inputs": "hello", "model": "m"}


@pytest.fixture
def pair(standin_factory, api_of):
    standin = standin_factory()
    return standin.faults, api_of(standin.base_url)


def test_answers_count_down(pair):
    faults, api = pair
    faults.answer(429, times=2, headers={"retry-after": "1"}, path="/conversations")
    assert api.send("GET", "/agents").status_code == 200
    replies = [api.send("POST", "/conversations", BODY) for _ in range(3)]
    assert [reply.status_code for reply in replies] == [429, 429, 200]
    assert replies[0].headers["retry-after"] == "1"
    faults.answer(503, "upstream connect error")
    assert api.send("GET", "/agents").text == "upstream connect error"


def test_dropped_before_nothing_happened(pair):
    faults, api = pair
    faults.drop_before(method="POST")
    with pytest.raises(httpx.TransportError):
        api.send("POST", "/conversations", BODY)
    assert api.ok("GET", "/conversations") == []


def test_dropped_after_the_turn_is_kept(pair):
    faults, api = pair
    conversation_id = api.start("hello")["conversation_id"]
    faults.drop_after()
    with pytest.raises(httpx.TransportError):
        api.append(conversation_id, "more")
    assert len(api.history(conversation_id)) == 4
    assert faults.requests[1].json == {"inputs": "more"}


@pytest.mark.parametrize("clean", [False, True])
def test_a_cut_stream(pair, clean):
    faults, api = pair
    faults.cut_stream(200, clean=clean)
    got = b""
    try:
        with api.http.stream("POST", "/v1/conversations", json={**BODY, "stream": True}) as reply:
            for part in reply.iter_raw():
                got += part
    except httpx.TransportError:
        assert not clean
    else:
        assert clean
    assert len(got) == 200 if clean else len(got) <= 200
    assert len(api.ok("GET", "/conversations")) == 1


def test_a_stream_cut_before_the_turn_is_kept(pair):
    faults, api = pair
    faults.cut_stream(10, recorded=False)
    with (
        pytest.raises(httpx.TransportError),
        api.http.stream("POST", "/v1/conversations", json={**BODY, "stream": True}) as reply,
    ):
        reply.read()
