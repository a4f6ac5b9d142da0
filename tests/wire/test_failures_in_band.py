"""A failure that is told in a 200, or in a stream, is an error with its reason and body."""

from __future__ import annotations

import json

import pytest

from mistral_agents.errors import (
    AuthenticationError,
    MistralAgentsError,
    RateLimitedError,
    ResponseFormatError,
    ServerFailureError,
    TurnFailedError,
)

from .conftest import DONE, REPLY, STARTED, WAYS, delta, sse, take_turn

BODIES = [
    ({"object": "error", "message": "all taken", "type": "busy", "code": "3505"}, TurnFailedError, "all taken"),
    ({"detail": "no route"}, TurnFailedError, "no route"),
    ({"message": "no Route matched"}, TurnFailedError, "no Route"),
    ({"error": "it died"}, TurnFailedError, "it died"),
    ({"error": {"message": "it died", "code": 502}}, ServerFailureError, "it died"),
    ({"error": {"message": "slow down", "code": "429"}}, RateLimitedError, "slow down"),
    ({"status": 401, "message": "who are you"}, AuthenticationError, "who are you"),
    ({**REPLY, "outputs": [{"object": "error", "message": "it died"}]}, TurnFailedError, "it died"),
    ({**REPLY, "outputs": [{"object": "error", "message": "slow", "code": 429}]}, TurnFailedError, "slow"),
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("body", "kind", "says"), BODIES, ids=[json.dumps(row[0]) for row in BODIES])
def test_a_turn_that_failed_in_a_200_is_an_error_with_its_reason(make_client, wire, way, body, kind, says):
    wire.answer((200, body))
    with pytest.raises(kind, match=says) as caught:
        take_turn(make_client(max_retries=0), way)
    assert caught.value.body == body
    assert len(wire.requests) == 1


@pytest.mark.parametrize("body", [{"object": "error", "message": "no"}, {"detail": "no"}, {"error": {"message": "no"}}])
def test_other_resources_tell_failures_the_same_way(make_client, wire, body):
    client = make_client()
    wire.answer((200, body))
    for read in (client.agents.get, client.conversations.get, client.files.get):
        with pytest.raises(ServerFailureError, match="no"):
            read("some_id")


def test_a_record_with_a_field_called_error_is_a_record(make_client, wire):
    wire.answer((200, {"id": "x", "error": "of its processing"}))
    assert make_client().files.get("x")["error"] == "of its processing"


@pytest.mark.parametrize("way", ["stream", "astream"])
@pytest.mark.parametrize(
    "event",
    [
        b'data: {"object":"error","message":"all taken","code":"3505"}\n\n',
        b'event: error\ndata: {"message":"all taken"}\n\n',
        b'event: brand.new\ndata: {"error":{"message":"all taken"}}\n\n',
        b"event: error\ndata: all taken\n\n",
        b'{"object":"error","message":"all taken"}',
        b'{"detail":"all taken"}\n',
    ],
    ids=["object", "named error", "unknown kind", "no JSON", "no event", "a line"],
)
def test_an_error_of_any_form_in_a_stream_is_its_reason(make_client, wire, way, event):
    wire.answer((200, sse(STARTED, delta("hal"), event)))
    with pytest.raises(TurnFailedError, match="all taken") as caught:
        take_turn(make_client(), way)
    assert (caught.value.conversation_id, caught.value.turn.text) == ("conv_1", "hal")


@pytest.mark.parametrize("way", ["stream", "astream"])
def test_an_unknown_event_about_an_error_is_no_failure_where_the_answer_comes(make_client, wire, way):
    wire.answer((200, sse(STARTED, {"type": "tool.hiccup", "error": "tried again"}, delta("hi"), DONE)))
    assert take_turn(make_client(), way).text == "hi"


@pytest.mark.parametrize("way", ["stream", "astream"])
def test_an_unknown_event_about_an_error_is_the_reason_where_no_answer_comes(make_client, wire, way):
    wire.answer((200, sse(STARTED, {"type": "response.halted", "error": {"message": "all taken"}}, DONE)))
    with pytest.raises(TurnFailedError, match="all taken"):
        take_turn(make_client(), way)


@pytest.mark.parametrize("way", ["stream", "astream"])
@pytest.mark.parametrize("name", ["", "event: error\n", "event: conversation.response.error\n"])
def test_a_stream_that_is_refused_before_it_began_has_the_kind_of_its_status(make_client, wire, way, name):
    wire.answer((200, f'{name}data: {{"error":{{"message":"slow down","code":429}}}}\n\n'.encode()))
    with pytest.raises(RateLimitedError, match="slow down"):
        take_turn(make_client(max_retries=0), way)


@pytest.mark.parametrize("way", ["stream", "astream"])
def test_a_whole_reply_as_one_event_is_the_answer(make_client, wire, way):
    wire.answer((200, b"data: " + json.dumps(REPLY).encode() + b"\n\n"))
    turn = take_turn(make_client(), way)
    assert (turn.text, turn.complete, turn.unknown_events) == ("hi", True, [])


@pytest.mark.parametrize("way", ["call", "acall"])
def test_a_stream_instead_of_a_whole_reply_is_the_answer(make_client, wire, way):
    wire.answer((200, sse(STARTED, delta("hel"), delta("lo"), DONE), {"content-type": "text/event-stream"}))
    turn = take_turn(make_client(), way)
    assert (turn.text, turn.conversation_id, turn.usage.total_tokens) == ("hello", "conv_1", 3)


def test_a_stream_instead_of_a_whole_reply_may_be_cut_or_tell_of_a_failure(make_client, wire):
    failed = {"type": "conversation.response.error", "message": "it died"}
    wire.answer((200, sse(STARTED, delta("hel"))), (200, sse(STARTED, failed)))
    with pytest.raises(ResponseFormatError) as cut:
        take_turn(make_client(max_retries=0), "call")
    assert "hel" in cut.value.body
    with pytest.raises(TurnFailedError, match="it died"):
        take_turn(make_client(max_retries=0), "call")


@pytest.mark.parametrize("way", ["stream", "astream"])
@pytest.mark.parametrize("indent", [None, 2])
def test_a_whole_reply_instead_of_a_stream_is_the_answer(make_client, wire, way, indent):
    outputs = [
        {"type": "tool.execution", "id": "t", "name": "web_search", "arguments": "{}", "info": {"a": 1}},
        {"type": "brand.new", "id": "n"},
        {"type": "message.output", "id": "m", "content": [{"type": "text", "text": "hi"}]},
    ]
    body = {**REPLY, "outputs": outputs}
    wire.answer((200, json.dumps(body, indent=indent).encode()))
    turn = take_turn(make_client(), way)
    assert (turn.text, turn.conversation_id, turn.complete, turn.usage.total_tokens) == ("hi", "conv_1", True, 3)
    assert [entry.type for entry in turn.entries] == ["tool.execution", "brand.new", "message.output"]


def test_a_whole_reply_comes_as_events_too(make_client, wire):
    calls = [{"type": "function.call", "id": "f", "tool_call_id": "c", "name": "add", "arguments": '{"a":1}'}]
    wire.answer((200, {**REPLY, "outputs": [*REPLY["outputs"], *calls]}))
    stream = make_client().conversations.start_stream("hello", model="m")
    kinds = [event["type"] for event in stream]
    assert kinds == [STARTED["type"], "message.output.delta", "function.call.delta", DONE["type"]]
    assert stream.turn.function_calls[0].arguments == '{"a":1}'


@pytest.mark.parametrize("way", WAYS)
def test_a_page_instead_of_an_answer_is_shown(make_client, wire, way):
    wire.answer((200, b"<html>\n<body>\n\nPlease log in</body></html>", {"content-type": "text/html"}))
    with pytest.raises(ResponseFormatError) as caught:
        take_turn(make_client(), way)
    assert "Please log in" in caught.value.body
    assert "<html>" in str(caught.value)


@pytest.mark.parametrize("way", ["stream", "astream"])
def test_a_page_in_the_middle_of_a_stream_is_a_broken_stream(make_client, wire, way):
    wire.answer((200, sse(STARTED, delta("hal"), b"<html>bad gateway</html>")))
    with pytest.raises(MistralAgentsError, match="bad gateway") as caught:
        take_turn(make_client(), way)
    assert caught.value.turn.text == "hal"
