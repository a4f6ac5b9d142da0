"""A lost answer is found in the history or reported as unknown; the turn is sent once."""

from __future__ import annotations

import asyncio

import pytest

from mistral_agents._http import sdk as _sdk
from mistral_agents.errors import ServerFailureError, TimeoutExceededError, UnknownOutcomeError

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


@pytest.mark.parametrize("failure", [(503, b"upstream connect error"), "ReadTimeout", "RemoteProtocolError"])
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
