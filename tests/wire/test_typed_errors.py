"""Whatever comes back, and whatever was given: an error of ours, or the answer; nothing else."""

from __future__ import annotations

import asyncio
import gzip
import json
from email.utils import formatdate

import pytest

from mistral_agents.errors import (
    ConfigurationError,
    ConnectionFailedError,
    MissingFieldError,
    MistralAgentsError,
    RateLimitedError,
    ResponseFormatError,
    read_retry_after,
)
from mistral_agents.usage import quotas_from_headers

from .conftest import DONE, REPLY, STARTED, WAYS, delta, sse, take_turn

EVERY_WAY = pytest.mark.parametrize("way", WAYS)
DEEP = b"[" * 100_000 + b"]" * 100_000
PACKED = bytearray(gzip.compress(json.dumps(REPLY).encode()))
PACKED[len(PACKED) // 2] ^= 0xFF
GOOD = {"call": json.dumps(REPLY).encode(), "stream": sse(STARTED, delta("hi"), DONE)}


def good(way):
    return GOOD["stream" if "stream" in way else "call"]


@EVERY_WAY
@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"not packed", {"content-encoding": "gzip"}),
        (bytes(PACKED), {"content-encoding": "gzip"}),
        (b'{"conversation_id":"c","outputs":' + DEEP + b"}", {}),
        (b"\xff\xfe\x00", {}),
        (b'"a text"', {}),
    ],
    ids=["no gzip", "damaged gzip", "deep", "no text", "a string"],
)
def test_a_reply_that_cannot_be_read_is_one_error_and_is_not_asked_for_again(make_client, serve, way, body, headers):
    from .conftest import whole

    lines = [f"{name}: {value}" for name, value in headers.items()]
    server = serve(lambda connection, _: connection.sendall(whole(body, *lines)))
    from mistral_agents import MistralAgents

    with pytest.raises(ResponseFormatError) as caught:
        take_turn(MistralAgents(api_key="k", base_url=server.url), way)
    assert caught.value.retryable is False
    assert len(server.seen) == 1


@EVERY_WAY
def test_a_deep_error_body_keeps_the_kind_of_its_status(make_client, wire, way):
    wire.answer((422, b'{"detail":' * 50_000 + b"1" + b"}" * 50_000))
    with pytest.raises(MistralAgentsError) as caught:
        take_turn(make_client(), way)
    assert caught.value.status_code == 422


@pytest.mark.parametrize("way", ["stream", "astream"])
def test_an_event_that_is_nested_too_deeply_makes_no_whole_turn(make_client, wire, way):
    wire.answer((200, sse(STARTED, b'data: {"type":"x","y":' + DEEP + b"}\n\n", delta("hi"), DONE)))
    with pytest.raises(MistralAgentsError) as caught:
        take_turn(make_client(), way)
    assert (caught.value.turn.text, caught.value.turn.complete) == ("hi", False)


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        (" 3 ", 3.0),
        ("Wed Oct 21 07:28:00 2015", 0.0),
        ("Wed, 21 Oct 2015 07:28:00", 0.0),
        ("Wed, 21 Oct 2015 07:28:00 -0000", 0.0),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 0.0),
        ("Wed, 21 Oct 99999999999 07:28:00 GMT", None),
        ("soon", None),
        ("", None),
        ("nan", None),
        ("inf", None),
        ("1e400", None),
        ("-1", None),
        (None, None),
    ],
)
def test_retry_after_is_a_number_or_none(told, seconds):
    assert read_retry_after(told) == seconds


def test_a_date_to_come_is_the_seconds_until_it():
    import time

    assert 50 < read_retry_after(formatdate(time.time() + 60)) <= 60


@EVERY_WAY
@pytest.mark.parametrize("told", ["Wed Oct 21 07:28:00 2015", "nan", "99999999999999", "soon"])
def test_an_odd_retry_after_hides_no_rate_limit(make_client, wire, waits, way, told):
    wire.answer((429, {"message": "slow down"}, {"retry-after": told}))
    with pytest.raises(RateLimitedError, match="slow down"):
        take_turn(make_client(max_retries=1), way)


@EVERY_WAY
@pytest.mark.parametrize("value", ["²", "--5", "9" * 5000, "1.5", "", "many", "٣"])
def test_rubbish_in_a_quota_header_costs_no_answer(make_client, wire, way, value):
    wire.answer((200, good(way), {"x-ratelimit-remaining-tokens-minute": value.encode()}))
    turn = take_turn(make_client(), way)
    assert turn.text == "hi"
    assert turn.quotas == []


def test_quotas_that_are_numbers_are_read():
    headers = {"x-ratelimit-remaining-tokens-minute": "-1", "x-ratelimit-limit-tokens-minute": " 5 "}
    (quota,) = quotas_from_headers(headers)
    assert (quota.remaining, quota.limit) == (-1, 5)


@EVERY_WAY
@pytest.mark.parametrize("whose", ["call", "client"])
@pytest.mark.parametrize(
    "headers",
    [
        {"x-a": "a\nb"},
        {"x-a": "a\r\nx-b: 1"},
        {"x-a": "café"},
        {"x-a": 5},
        {"a b": "c"},
        {"": "c"},
        "x-a: b",
        {"Content-Length": "3"},
        {"transfer-encoding": "chunked"},
    ],
    ids=repr,
)
def test_a_header_that_cannot_be_sent_is_refused_without_its_value(make_client, wire, way, whose, headers):
    def ask():
        if whose == "call":
            return take_turn(make_client(), way, headers=headers)
        return take_turn(make_client(headers=headers), way)

    with pytest.raises(ConfigurationError, match="header") as caught:
        ask()
    assert "café" not in str(caught.value)
    assert wire.requests == []


def test_a_header_of_none_is_not_given(make_client, wire):
    make_client(headers={"x-a": None, "x-b": "b"}).conversations.start("hello", model="m", headers={"x-c": None})
    sent = wire.requests[0].headers
    assert ("x-a" in sent, sent["x-b"], "x-c" in sent) == (False, "b", False)


@pytest.mark.parametrize("name", ["Authorization", "authorization"])
def test_an_authorization_of_the_users_own_is_the_only_one(make_client, wire, name):
    make_client().conversations.start("hello", model="m", headers={name: "Own x"})
    assert wire.requests[0].headers.get_list("authorization") == ["Own x"]


@EVERY_WAY
@pytest.mark.parametrize("value", [0, -1, "5", float("nan"), float("inf"), True], ids=repr)
def test_a_timeout_must_be_seconds_above_zero(make_client, wire, way, value):
    with pytest.raises(ConfigurationError, match="timeout"):
        take_turn(make_client(), way, timeout=value)
    assert wire.requests == []


@pytest.mark.parametrize("name", ["timeout", "stream_idle_timeout", "stream_event_timeout"])
def test_none_is_the_default_of_a_timeout_and_a_large_one_is_taken(make_client, name):
    assert make_client(**{name: None}).timeout == 300.0
    assert make_client(**{name: 10**30}).conversations.start("hello", model="m").text == "hi"
    with pytest.raises(ConfigurationError, match=name):
        make_client(**{name: float("nan")})


@pytest.mark.parametrize("given", [".", "..", " .. ", "a\nb", "a\x00", "a\x7fb", "a\x85", "a\ud800"], ids=repr)
def test_an_id_that_names_another_address_is_refused(make_client, wire, given):
    client = make_client()
    for call in (client.conversations.delete, client.files.delete, client.agents.get, client.libraries.get):
        with pytest.raises(ConfigurationError, match="_id"):
            call(given)
    assert wire.requests == []


@EVERY_WAY
def test_a_full_pool_says_so(make_client, wire, way):
    from mistral_agents._http import sdk

    wire.answer(sdk.http().PoolTimeout("no place"))
    with pytest.raises(ConnectionFailedError, match="pool is full"):
        take_turn(make_client(max_retries=0), way)


@EVERY_WAY
def test_a_closed_client_of_the_users_is_named(make_client, way):
    client = make_client()
    client.sdk.sdk_configuration.client.close()
    if "a" in way[0]:
        pytest.skip("an asynchronous client is closed by its loop")
    with pytest.raises(ConfigurationError, match="closed"):
        take_turn(client, way)


@EVERY_WAY
def test_a_body_beyond_the_limit_is_an_error_that_names_it(make_client, wire, way):
    wire.answer((200, good(way)))
    with pytest.raises(ResponseFormatError, match="max_body_bytes"):
        take_turn(make_client(max_body_bytes=20), way)


def test_a_hook_of_the_users_client_that_raises_for_statuses_is_read_as_a_status():
    from mistral_agents import MistralAgents
    from mistral_agents._http import sdk

    library = sdk.http()
    transport = library.MockTransport(lambda _: library.Response(429, json={"message": "slow down"}))
    hooks = {"response": [lambda response: response.raise_for_status()]}
    client = MistralAgents(
        api_key="k",
        base_url="https://service.test",
        max_retries=0,
        http_client=library.Client(transport=transport, event_hooks=hooks),
    )
    with pytest.raises(RateLimitedError):
        client.conversations.start("hello", model="m")


def test_blanks_around_a_header_are_not_part_of_it(make_client, wire):
    make_client().conversations.start("hello", model="m", headers={"x-a": " a\t"})
    assert wire.requests[0].headers["x-a"] == "a"


# records that lack what is needed ---------------------------------------------------------------------------------

LIBRARY = "3f9b7f6a-0000-4000-8000-000000000001"


def finish(found):
    return asyncio.run(found) if asyncio.iscoroutine(found) else found


NEEDY = {
    "upload": lambda c, a: getattr(c.libraries, f"{a}upload")(LIBRARY, ("f.txt", b"x")),
    "search": lambda c, a: getattr(c.libraries, f"{a}search")(LIBRARY, "robots"),
    "batch": lambda c, a: getattr(c.batches, f"{a}create")([{"inputs": "q"}], model="m"),
    "ensure": lambda c, a: getattr(c.agents, f"{a}ensure")("n", {"model": "m"}),
}


@pytest.mark.parametrize("prefix", ["", "a"], ids=["sync", "async"])
@pytest.mark.parametrize("needy", NEEDY)
def test_a_record_without_its_id_is_a_typed_error(make_client, wire, needy, prefix):
    """It was a KeyError without the record, which may be of a file that was uploaded and paid."""
    wire.answer((200, {"data": [{"name": "n"}], "name": "n", "pagination": {"has_more": False}}))
    client = make_client()
    with pytest.raises(MissingFieldError, match="without 'id'") as caught:
        finish(NEEDY[needy](client, prefix))
    assert isinstance(caught.value, KeyError)
    assert caught.value.body["name"] == "n"


@pytest.mark.parametrize("tools", [5, "x", [None], {"type": "function"}])
@pytest.mark.parametrize("prefix", ["", "a"], ids=["sync", "async"])
def test_an_agent_with_unreadable_tools_is_read(make_client, wire, prefix, tools):
    wire.answer((200, {"id": "ag_1", "name": "n", "tools": tools}))
    agents = make_client().agents
    assert finish(getattr(agents, f"{prefix}get")("ag_1"))["tools"] == tools


@pytest.mark.parametrize("reply", [[], [None], 5, "x"])
@pytest.mark.parametrize("prefix", ["", "a"], ids=["sync", "async"])
def test_an_agent_that_is_no_object_is_a_typed_error(make_client, wire, prefix, reply):
    wire.answer((200, {"data": []}), (200, reply))
    agents = make_client().agents
    with pytest.raises(ResponseFormatError, match="no Agent object"):
        finish(getattr(agents, f"{prefix}ensure")("n", {"model": "m"}))


@EVERY_WAY
@pytest.mark.parametrize("body", [b"<html>", b": wait\n\n", b'{"object": "error", "message": "no"}'])
def test_a_lost_first_turn_sends_nobody_to_a_history(make_client, wire, way, body):
    """Streams said that the history of the conversation is to be read, whose id nobody knows."""
    wire.answer((200, body))
    with pytest.raises(MistralAgentsError) as caught:
        take_turn(make_client(max_retries=0), way)
    assert caught.value.conversation_id is None
    assert "no history can tell" in caught.value.hint


@pytest.mark.parametrize("prefix", ["", "a"], ids=["sync", "async"])
def test_a_page_for_an_answer_says_where_the_answer_may_be(make_client, wire, prefix):
    wire.answer((200, b"<html>"))
    conversations = make_client(max_retries=0).conversations
    with pytest.raises(ResponseFormatError) as caught:
        finish(getattr(conversations, f"{prefix}append")("conv_1", "hello"))
    assert "read the conversation's history" in caught.value.hint
