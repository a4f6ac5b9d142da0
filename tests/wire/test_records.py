"""The log has a record of each request, stream and sync: ids and figures, no content."""

from __future__ import annotations

import logging

import pytest

from mistral_agents._http import sdk as sdk_layer
from mistral_agents.errors import ConnectionFailedError, MistralAgentsError

from .conftest import DONE, REPLY, STARTED, WAYS, delta, sse, take_turn

ANSWERS = {
    "good": lambda stream: (200, sse(STARTED, delta("a private answer"), DONE) if stream else REPLY),
    "refused": lambda stream: (422, {"message": "a private reason", "code": 3051}, {"mistral-correlation-id": "req_7"}),
    "cut": lambda stream: (200, sse(STARTED, delta("a private answer")) if stream else b'{"private'),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("answer", "level", "told"),
    [
        ("good", logging.DEBUG, ("status 200", "conv_1", "tokens 3")),
        ("refused", logging.INFO, ("InvalidRequestError", "status 422", "code 3051", "req_7")),
        ("cut", logging.INFO, ("Error after",)),
    ],
)
def test_a_turn_leaves_a_record_of_ids_and_figures(make_client, wire, caplog, way, answer, level, told):
    caplog.set_level(logging.DEBUG, "mistral_agents")
    wire.answer(ANSWERS[answer]("stream" in way))
    try:
        take_turn(make_client(max_retries=0), way)
    except MistralAgentsError:
        assert answer != "good"
    records = [record for record in caplog.records if record.name == "mistral_agents.requests"]
    text = "\n".join(record.getMessage() for record in records)
    assert "POST /v1/conversations" in text
    assert [word for word in told if word not in text] == []
    assert records[-1].levelno == level
    assert [word for word in ("private", "hello", "secret-key") if word in text] == []


def test_a_stream_is_noted_once(make_client, wire, caplog):
    caplog.set_level(logging.DEBUG, "mistral_agents")
    wire.answer((200, sse(STARTED, delta("hi"), DONE)))
    stream = make_client().conversations.start_stream("hello", model="m")
    next(stream)
    stream.close()
    stream.close()
    texts = [record.getMessage() for record in caplog.records if record.name == "mistral_agents.requests"]
    assert [text.split(":")[1].split(" after")[0].strip() for text in texts] == ["status 200", "stream left"]


@pytest.mark.parametrize("way", WAYS)
def test_a_refused_connection_and_each_retry_leave_records(make_client, wire, caplog, way):
    caplog.set_level(logging.DEBUG, "mistral_agents")
    refused, busy = sdk_layer.http().ConnectError("refused"), (429, {"message": "private"}, {"retry-after": "0"})
    wire.answer(refused, busy, ANSWERS["good"]("stream" in way))
    take_turn(make_client(max_retries=2), way)
    again = [record for record in caplog.records if record.name == "mistral_agents"]
    assert [record.levelno for record in again] == [logging.INFO] * 2
    assert "sent again" in again[0].getMessage()
    assert "status 429" in again[1].getMessage()
    wire.answer(refused)
    with pytest.raises(ConnectionFailedError):
        take_turn(make_client(max_retries=0), way)
    last = [record for record in caplog.records if record.name == "mistral_agents.requests"][-1]
    assert (last.levelno, "ConnectionFailedError" in last.getMessage()) == (logging.INFO, True)
    assert "private" not in caplog.text
