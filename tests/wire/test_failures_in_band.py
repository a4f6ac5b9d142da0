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
    StreamInterruptedError,
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
    ({**REPLY, "outputs": [{"type": "error", "message": "it died"}]}, TurnFailedError, "it died"),
    ({**REPLY, "outputs": [], "error": {"message": "it died"}}, TurnFailedError, "it died"),
    ({**REPLY, "outputs": None, "detail": "it died"}, TurnFailedError, "it died"),
    ({"conversation_id": "conv_1", "message": "it died"}, TurnFailedError, "it died"),
    ({"conversation_id": "conv_1", "message": "it died", "code": 502}, ServerFailureError, "it died"),
    ({"errors": [{"message": "it died"}]}, TurnFailedError, "it died"),
    ({"error": "busy", "error_description": "all taken"}, TurnFailedError, "busy: all taken"),
    ({"title": "it died", "status": 503}, ServerFailureError, "it died"),
    ({"title": "it died"}, TurnFailedError, "it died"),
    ({"statusCode": 429, "message": "slow down"}, RateLimitedError, "slow down"),
    ({"message": "Internal error", "detail": "it died"}, TurnFailedError, "Internal error: it died"),
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("body", "kind", "says"), BODIES, ids=[json.dumps(row[0]) for row in BODIES])
def test_a_turn_that_failed_in_a_200_is_an_error_with_its_reason(make_client, wire, way, body, kind, says):
    wire.answer((200, body))
    with pytest.raises(kind, match=says) as caught:
        take_turn(make_client(max_retries=0), way)
    assert caught.value.body == body
    assert caught.value.conversation_id == body.get("conversation_id")
    assert len(wire.requests) == 1


@pytest.mark.parametrize("way", WAYS)
def test_an_answer_beside_a_report_is_an_answer(make_client, wire, way):
    outputs = [*REPLY["outputs"], {"type": "error", "message": "a tool died"}]
    wire.answer((200, {**REPLY, "outputs": outputs, "detail": "a tool died"}))
    turn = take_turn(make_client(), way)
    assert (turn.text, turn.complete, [entry.type for entry in turn.entries]) == (
        "hi",
        True,
        ["message.output", "error"],
    )


@pytest.mark.parametrize(
    "body",
    [
        {"object": "error", "message": "no"},
        {"detail": "no"},
        {"error": {"message": "no"}},
        {"message": "no", "code": 500},
        {"status": 503, "message": "no", "detail": None},
    ],
)
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
        b'event: ERROR\ndata: {"message":"all taken"}\n\n',
        b'event: exception\ndata: {"message":"all taken"}\n\n',
        b'data: {"type":"response.failed","response":{"error":{"message":"all taken"}}}\n\n',
        b'data: {"message":"all taken","code":500}\n\n',
        b'data: ["all taken"]\n\n',
        b'data: {"type":"conversation.response.done","error":{"message":"all taken"}}\n\n',
    ],
    ids=[
        "object",
        "named error",
        "unknown kind",
        "no JSON",
        "no event",
        "a line",
        "capitals",
        "exception",
        "failed",
        "no name",
        "a list",
        "in the end",
    ],
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


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "events",
    [
        [STARTED, b'data: {"message":"all taken","code":3505}\n\n', DONE],
        [STARTED, {"type": "response.failed", "message": "all taken"}, DONE],
        [{**STARTED, "error": {"message": "all taken"}}, DONE],
        [STARTED, {**DONE, "detail": "all taken"}],
        [b'{"object":"error","message":"all taken"}\n\n', DONE],
    ],
    ids=["no name", "failed", "in the start", "in the end", "a line"],
)
def test_an_end_without_an_answer_does_not_hide_the_reason(make_client, wire, way, events):
    wire.answer((200, sse(*events)))
    with pytest.raises(MistralAgentsError, match="all taken"):
        take_turn(make_client(), way)


@pytest.mark.parametrize("way", ["stream", "astream"])
@pytest.mark.parametrize("last", [b"data: all taken\n\n", {"type": "brand.new", "why": "all taken"}])
def test_what_came_last_in_a_broken_stream_is_told(make_client, wire, way, last):
    wire.answer((200, sse(STARTED, delta("hal"), last)))
    with pytest.raises(StreamInterruptedError, match="all taken") as caught:
        take_turn(make_client(), way)
    assert caught.value.turn.text == "hal"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("before", [b"\xef\xbb\xbf", b"\n\r\n"], ids=["mark", "blank lines"])
def test_a_stream_is_one_whatever_stands_before_it(make_client, wire, way, before):
    wire.answer((200, before + sse(STARTED, delta("hi"), DONE)))
    assert take_turn(make_client(), way).text == "hi"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\n\n"])
def test_a_line_of_json_for_each_event_is_a_stream(make_client, wire, way, newline):
    wire.answer((200, newline.join(map(json.dumps, (STARTED, delta("hel"), delta("lo"), DONE))).encode()))
    turn = take_turn(make_client(), way)
    assert (turn.text, turn.conversation_id, turn.complete, turn.usage.total_tokens) == ("hello", "conv_1", True, 3)


@pytest.mark.parametrize("way", WAYS)
def test_lines_of_json_that_break_off_are_no_answer(make_client, wire, way):
    wire.answer((200, "\n".join(map(json.dumps, (STARTED, delta("hel")))).encode()))
    with pytest.raises(MistralAgentsError) as caught:
        take_turn(make_client(), way)
    assert caught.value.conversation_id == "conv_1"


@pytest.mark.parametrize("way", ["stream", "astream"])
@pytest.mark.parametrize("name", ["", "event: error\n", "event: conversation.response.error\n"])
def test_a_stream_that_is_refused_before_it_began_has_the_kind_of_its_status(make_client, wire, way, name):
    wire.answer((200, f'{name}data: {{"error":{{"message":"slow down","code":429}}}}\n\n'.encode()))
    with pytest.raises(RateLimitedError, match="slow down"):
        take_turn(make_client(max_retries=0), way)


@pytest.mark.parametrize("way", WAYS)
def test_a_whole_reply_as_one_event_is_the_answer(make_client, wire, way):
    wire.answer((200, b"data: " + json.dumps(REPLY).encode() + b"\n\n"))
    turn = take_turn(make_client(), way)
    assert (turn.text, turn.complete, turn.unknown_events) == ("hi", True, [])


@pytest.mark.parametrize("way", ["call", "acall"])
def test_a_stream_instead_of_a_whole_reply_is_the_answer(make_client, wire, way):
    wire.answer((200, sse(STARTED, delta("hel"), delta("lo"), DONE), {"content-type": "text/event-stream"}))
    turn = take_turn(make_client(), way)
    assert (turn.text, turn.conversation_id, turn.usage.total_tokens) == ("hello", "conv_1", 3)


@pytest.mark.parametrize("way", WAYS)
def test_a_turn_that_had_begun_is_not_refused(make_client, wire, waits, way):
    """A stream instead of a whole reply was taken for a refusal by its last event, and the turn sent three times."""
    slow = {"error": {"message": "slow down", "code": 429}}
    wire.answer((200, sse(STARTED, delta("h"), f"data: {json.dumps(slow)}\n\n".encode())))
    with pytest.raises(TurnFailedError, match="slow down") as caught:
        take_turn(make_client(), way)
    assert caught.value.conversation_id == "conv_1"
    assert len(wire.requests) == 1


@pytest.mark.parametrize("way", ["stream", "astream"])
def test_a_turn_that_had_begun_is_not_refused_by_a_line_between_its_events(make_client, wire, way):
    wire.answer((200, sse(STARTED, delta("h")) + b'{"error": {"message": "slow down", "code": 429}}\n'))
    with pytest.raises(TurnFailedError, match="slow down") as caught:
        take_turn(make_client(), way)
    assert (caught.value.conversation_id, caught.value.turn.text) == ("conv_1", "h")


def test_a_stream_instead_of_a_whole_reply_may_be_cut_or_tell_of_a_failure(make_client, wire):
    failed = {"type": "conversation.response.error", "message": "it died"}
    wire.answer((200, sse(STARTED, delta("hel"))), (200, sse(STARTED, failed)))
    with pytest.raises(ResponseFormatError) as cut:
        take_turn(make_client(max_retries=0), "call")
    assert "hel" in cut.value.body
    assert cut.value.conversation_id == "conv_1"
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


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("body", [{"fault": "it died"}, ["it died"], "it died", 5])
def test_json_that_is_neither_an_answer_nor_says_why_is_shown_the_same_way_in_calls_and_streams(
    make_client, wire, way, body
):
    wire.answer((200, body))
    with pytest.raises(ResponseFormatError, match=r"it died|5") as caught:
        take_turn(make_client(), way)
    assert (caught.value.status_code, caught.value.body) == (200, body)


@pytest.mark.parametrize("way", ["stream", "astream"])
def test_a_page_in_the_middle_of_a_stream_is_a_broken_stream(make_client, wire, way):
    wire.answer((200, sse(STARTED, delta("hal"), b"<html>bad gateway</html>")))
    with pytest.raises(MistralAgentsError, match="bad gateway") as caught:
        take_turn(make_client(), way)
    assert caught.value.turn.text == "hal"
