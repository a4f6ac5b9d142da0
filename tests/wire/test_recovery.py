"""A lost answer is found in the history or reported as unknown; the turn is sent once."""

from __future__ import annotations

import asyncio

import pytest

from mistral_agents._border.turns import TurnRequest
from mistral_agents._http import sdk as _sdk
from mistral_agents.errors import (
    MistralAgentsError,
    ServerFailureError,
    StreamInterruptedError,
    TimeoutExceededError,
    TurnFailedError,
    UnknownOutcomeError,
)
from tests.wire.conftest import DONE, STARTED, delta, sse

OLD = [
    {"type": "message.input", "id": "in_0", "content": "a"},
    {"type": "message.output", "id": "out_0", "content": "b"},
]
ASKED = {"type": "message.input", "id": "in_1", "content": "again"}
RAN = {"type": "tool.execution", "id": "tool_1", "name": "web_search", "info": {}}
SAID = {"type": "message.output", "id": "out_1", "content": "found"}


def lost_then(make_client, wire, history, *, failure=(503, b"upstream connect error")):
    client = make_client(max_retries=0)
    for run in (
        lambda: client.conversations.append("conv_1", "again", after_entry_id="out_0"),
        lambda: asyncio.run(client.conversations.aappend("conv_1", "again", after_entry_id="out_0")),
    ):
        wire.requests.clear()
        wire.answer(failure, history)
        yield run


IN_BAND = [
    (200, b'{"error":{"message":"the upstream died"}}'),
    (200, b'{"conversation_id":"conv_2","outputs":[],"detail":"the upstream died"}'),
]
"""Failures of a gateway, told with a good status after the service had answered."""
FAILURES = [(503, b"upstream connect error"), (408, b"stream timeout"), *IN_BAND, "ReadTimeout", "RemoteProtocolError"]


@pytest.mark.parametrize("failure", FAILURES)
def test_an_answer_the_service_kept_is_found(make_client, wire, failure, caplog):
    caplog.set_level("INFO", "mistral_agents")
    lost = getattr(_sdk.http(), failure)("told") if isinstance(failure, str) else failure
    for run in lost_then(make_client, wire, (200, {"entries": [*OLD, ASKED, RAN, SAID]}), failure=lost):
        turn = run()
        assert (turn.text, turn.last_entry_id, len(turn.tool_executions)) == ("found", "out_1", 1)
        assert [request.method for request in wire.requests] == ["POST", "GET"]
        assert "after_entry_id" not in wire.bodies[0]
        (record,) = [one.getMessage() for one in caplog.records if one.name == "mistral_agents"]
        assert "found again" in record
        caplog.clear()


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (OLD, "does not hold the turn"),
        ([*OLD, ASKED], "no finished answer"),
        ([*OLD, ASKED, RAN], "no finished answer"),
        ([], "no entry out_0"),
    ],
)
def test_what_is_not_answered_is_reported_and_not_sent_again(make_client, wire, rows, says):
    for run in lost_then(make_client, wire, (200, {"entries": rows})):
        with pytest.raises(UnknownOutcomeError, match=says) as caught:
            run()
        assert caught.value.conversation_id == "conv_1"
        assert isinstance(caught.value.__cause__, ServerFailureError)
        assert [request.method for request in wire.requests] == ["POST", "GET"]


@pytest.mark.parametrize("failure", IN_BAND)
@pytest.mark.parametrize("rows", [OLD, [*OLD, ASKED]])
def test_a_reason_that_was_told_stays_the_reason_where_no_answer_was_kept(make_client, wire, rows, failure):
    for run in lost_then(make_client, wire, (200, {"entries": rows}), failure=failure):
        with pytest.raises(TurnFailedError, match="the upstream died") as caught:
            run()
        assert caught.value.conversation_id == "conv_1"
        assert [request.method for request in wire.requests] == ["POST", "GET"]


def test_an_answer_can_be_looked_for_later(make_client, wire):
    wire.answer((200, {"entries": [*OLD, ASKED, RAN, SAID]}))
    client = make_client()
    assert client.conversations.recover("conv_1", "out_0").text == "found"
    assert asyncio.run(client.conversations.arecover("conv_1", "out_0", "again")).text == "found"
    with pytest.raises(UnknownOutcomeError, match="something else"):
        client.conversations.recover("conv_1", "out_0", "other words")


def test_a_history_that_cannot_be_read_gives_the_first_failure(make_client, wire):
    for run in lost_then(make_client, wire, (500, b"down"), failure=_sdk.http().ReadTimeout("told")):
        with pytest.raises(TimeoutExceededError):
            run()


def test_without_a_known_entry_nothing_is_looked_up(make_client, wire):
    wire.answer((503, b"down"))
    with pytest.raises(ServerFailureError):
        make_client().conversations.append("conv_1", "again")
    assert len(wire.requests) == 1


STREAMED = {"content-type": "text/event-stream"}
BEFORE = {  # how a stream is lost before its first event
    "status": (503, b"upstream connect error"),
    "timeout": _sdk.http().ReadTimeout("told"),
    "broken": _sdk.http().RemoteProtocolError("told"),
    "page": (200, b"<html>Please log in</html>"),
    "empty": (200, b"", STREAMED),
    "comment": (200, b": ping\n\n", STREAMED),
}
BEGUN = {  # and after it
    "cut": sse(STARTED, delta("fou")),
    "end cut": sse(STARTED, delta("found")) + sse(DONE)[:-9],
    "damaged": sse(STARTED, delta("fou"), b'data: {"type\n\n', DONE),
    "page behind": sse(STARTED) + b"<html>",
}


@pytest.fixture(params=["stream", "astream", "open", "aopen"])
def read(request, make_client, wire):
    """Stream one turn after `out_0`: the texts that came, the turn or what there is of it, and the error."""
    client = make_client(max_retries=0)
    asked = TurnRequest("append", "again", {"timeout": 7}, "conv_1", "out_0")
    pieces: list[str] = []

    def take(event):
        if event["type"] == "message.output.delta":
            pieces.append(event["content"])

    async def aread(stream):
        async with stream as opened:
            async for event in opened:
                take(event)
            return opened.turn

    def follow(stream):
        with stream as opened:
            for event in opened:
                take(event)
            return opened.turn

    def run():
        conversations = client.conversations
        options = {"after_entry_id": "out_0", "timeout": 7}
        way = {
            "stream": lambda: follow(conversations.append_stream("conv_1", "again", **options)),
            "astream": lambda: asyncio.run(aread(conversations.aappend_stream("conv_1", "again", **options))),
            "open": lambda: follow(conversations.open(asked)),
            "aopen": lambda: asyncio.run(aread(conversations.aopen(asked))),
        }[request.param]
        pieces.clear()
        error = None
        try:
            turn = way()
        except MistralAgentsError as raised:
            turn, error = raised.turn, raised
        assert "after_entry_id" not in wire.bodies[0]
        return "".join(pieces), turn, error

    return run


@pytest.mark.parametrize("lost", [*BEFORE.values(), *IN_BAND], ids=[*BEFORE, "told", "told beside an id"])
def test_a_stream_lost_before_its_first_event_is_told_from_the_history(wire, read, lost):
    wire.answer(lost, (200, {"entries": [*OLD, ASKED, RAN, SAID]}))
    text, turn, error = read()
    assert error is None
    assert (text, turn.text, turn.last_entry_id, turn.complete) == ("found", "found", "out_1", True)
    assert [request.method for request in wire.requests] == ["POST", "GET"]
    assert max(wire.requests[1].extensions["timeout"].values()) <= 7.0


@pytest.mark.parametrize("rows", [OLD, [*OLD, ASKED], [*OLD, {**ASKED, "content": "else"}, SAID]])
@pytest.mark.parametrize("lost", BEFORE.values(), ids=BEFORE)
def test_a_lost_stream_that_is_not_there_is_of_unknown_outcome(wire, read, lost, rows):
    wire.answer(lost, (200, {"entries": rows}))
    text, _, error = read()
    assert text == ""
    assert isinstance(error, UnknownOutcomeError)
    assert error.conversation_id == "conv_1"


@pytest.mark.parametrize("lost", BEGUN.values(), ids=BEGUN)
def test_a_stream_that_broke_off_carries_the_whole_of_the_history(wire, read, lost):
    """A part was told, and nothing is told twice: an error, never a complete turn, with the whole beside it."""
    wire.answer((200, lost, STREAMED), (200, {"entries": [*OLD, ASKED, RAN, SAID]}))
    text, part, error = read()
    assert isinstance(error, StreamInterruptedError)
    assert text == part.text
    assert "found".startswith(text)
    assert not part.complete
    assert (error.found.text, error.found.last_entry_id, error.found.complete) == ("found", "out_1", True)
    assert [request.method for request in wire.requests] == ["POST", "GET"]


@pytest.mark.parametrize("rows", [OLD, [*OLD, ASKED], [*OLD, {**ASKED, "content": "else"}, SAID]])
def test_what_is_not_in_the_history_is_not_made_up(wire, read, rows):
    wire.answer((200, BEGUN["cut"], STREAMED), (200, {"entries": rows}))
    text, part, error = read()
    assert isinstance(error, StreamInterruptedError)
    assert (text, part.text, error.found) == ("fou", "fou", None)


def test_a_history_that_answers_with_an_error_hides_no_failure(wire, read):
    wire.answer((200, BEGUN["cut"], STREAMED), (500, b"down"))
    assert isinstance(read()[2], StreamInterruptedError)
    wire.answer((503, b"down"), (500, b"down"))
    assert isinstance(read()[2], ServerFailureError)
