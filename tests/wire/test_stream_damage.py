"""A part is never called the whole, whatever becomes of the bytes."""

from __future__ import annotations

import gzip
import json
import socket
from types import SimpleNamespace

import pytest

from mistral_agents import MistralAgents
from mistral_agents._http.sse import EventDecoder
from mistral_agents.errors import (
    MistralAgentsError,
    ResponseFormatError,
    StreamInterruptedError,
    TimeoutExceededError,
    UnknownOutcomeError,
)

from .conftest import CHUNKED, DONE, REPLY, STARTED, WAYS, chunk, delta, sse, take_turn, whole

BYTES = sse(STARTED, delta("forty"), delta("-two"), DONE)
LAST = BYTES.rindex(b"}") + 1
STREAMS = pytest.mark.parametrize("way", ["stream", "astream"])


@pytest.mark.parametrize("cut", range(LAST))
def test_no_cut_before_the_end_of_the_last_event_is_a_whole_answer(make_client, wire, cut):
    wire.answer((200, BYTES[:cut]))
    with pytest.raises(MistralAgentsError) as caught:
        take_turn(make_client(), "stream")
    assert caught.value.turn.complete is False
    assert "forty-two".startswith(caught.value.turn.text)


@STREAMS
def test_a_cut_after_the_last_event_does_no_harm(make_client, wire, way):
    wire.answer((200, BYTES[:LAST]))
    assert take_turn(make_client(), way).text == "forty-two"


@STREAMS
@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_one_unreadable_event_means_that_the_turn_is_not_complete(make_client, wire, way, place):
    events = [STARTED, delta("forty"), delta("-two"), DONE]
    events.insert(place, b'event: message.output.delta\ndata: {"type":"message.output.delta","content":" and fi\n\n')
    wire.answer((200, sse(*events)))
    with pytest.raises(StreamInterruptedError, match="damaged") as caught:
        take_turn(make_client(), way)
    turn = caught.value.turn
    assert (turn.text, turn.complete, turn.usage.total_tokens) == ("forty-two", False, 3)
    assert caught.value.conversation_id == "conv_1"


@STREAMS
@pytest.mark.parametrize(
    "odd",
    [
        b'ta: {"type":"message.output.delta","content":" and fi"}\n\n',
        b"<html>\n<p>Bad gateway\n</html>\n\n",
        b"event: conversation.response.done\ndata: null\n\n",
        b'event: message.output.delta\ndata: "fi"\n\n',
    ],
    ids=["a field's name", "a page", "an end of nothing", "a text that is no event"],
)
def test_what_stands_where_an_event_was_means_that_the_turn_is_not_complete(make_client, wire, way, odd):
    wire.answer((200, sse(STARTED, delta("forty"), odd, delta("-two"), DONE)))
    with pytest.raises(StreamInterruptedError) as caught:
        take_turn(make_client(), way)
    assert (caught.value.turn.text, caught.value.turn.complete) == ("forty-two", False)


def test_nobody_who_reads_events_sees_the_end_of_a_damaged_stream(make_client, wire):
    wire.answer((200, sse(STARTED, b"data: {nonsense\n\n", DONE)))
    seen = []
    with pytest.raises(StreamInterruptedError):
        seen.extend(make_client().conversations.start_stream("hello", model="m"))
    assert DONE["type"] not in [event["type"] for event in seen]


@STREAMS
def test_what_is_no_damage_is_passed_over(make_client, wire, way):
    odd = [
        b": ping\n\n",
        b"data: [DONE]\n\n",
        b"id: 7\nretry: 10\nx-later: 1\n\0\n\n",
        b"data: null\n\n",
        STARTED,
        {"type": "new"},
    ]
    wire.answer((200, sse(STARTED, *odd, delta("42"), DONE, b"data: [DONE]\n\n")))
    assert take_turn(make_client(), way).text == "42"


def test_a_long_line_is_joined_once():
    """Pieces are kept until the line ends: each byte is copied a fixed number of times, whatever the line's length."""
    decoder = EventDecoder()
    event = sse(delta("x" * 1_000_000))
    held = []
    for start in range(0, len(event), 1000):
        assert decoder.feed(event[start : start + 1000]) == [] or start + 1000 >= len(event)
        held.append(max(map(len, decoder._held), default=0))
    assert max(held) <= 1000


def test_an_event_has_a_limit_that_is_named():
    decoder = EventDecoder(most=100)
    assert decoder.feed(b"data: " + b"1" * 90) == []
    with pytest.raises(ResponseFormatError, match="max_body_bytes"):
        decoder.feed(b"2" * 10)


def test_many_small_events_are_no_large_one():
    decoder = EventDecoder(most=100)
    events = [event for _ in range(50) for event in decoder.feed(b'data: {"type":"x"}\n\n')]
    assert len(events) == 50


@STREAMS
def test_comments_keep_a_stream_open_only_for_so_long(make_client, wire, way, monkeypatch):
    now = [0.0]

    def tick():
        now[0] += 250.0
        return now[0]

    monkeypatch.setattr("mistral_agents._http.reading.time", SimpleNamespace(monotonic=tick))
    from mistral_agents._http import sdk

    library = sdk.http()
    pieces = [sse(STARTED), *[b": still there\n\n"] * 4, sse(DONE)]

    class Pieces(library.SyncByteStream, library.AsyncByteStream):
        def __iter__(self):
            yield from pieces

        async def __aiter__(self):
            for piece in pieces:
                yield piece

    from mistral_agents import MistralAgents

    def answer(_):
        return library.Response(200, stream=Pieces())

    client = MistralAgents(
        api_key="k",
        base_url="https://service.test",
        http_client=library.Client(transport=library.MockTransport(answer)),
        async_http_client=library.AsyncClient(transport=library.MockTransport(answer)),
    )
    with pytest.raises(TimeoutExceededError, match="stream_event_timeout") as caught:
        take_turn(client, way)
    assert caught.value.conversation_id == "conv_1"


def test_the_data_of_an_unreadable_event_is_kept():
    decoder = EventDecoder()
    assert decoder.feed(b"event: x\ndata: {oops\n\n") == [{"type": "unreadable", "event": "x", "data": "{oops"}]
    assert decoder.damaged == 1
    assert decoder.feed(f"data: {json.dumps({'type': 'y'})}\n\n".encode()) == [{"type": "y"}]


@pytest.mark.parametrize("before", ["", " ", "\t"])
@pytest.mark.parametrize("after", ["", "  ", "\t"])
def test_spaces_around_an_events_json_are_no_damage(before, after):
    decoder = EventDecoder()
    line = f'data:{before}{{"type": "x", "a": [1, {{}}]}}{after}\n\n'
    assert decoder.feed(line.encode()) == [{"type": "x", "a": [1, {}]}]
    assert decoder.damaged == 0


@pytest.mark.parametrize("data", ['{"type": "x"} {}', '{"type": "x"}]', '{"type": "x"', "{", '{"type": NaN2}'])
def test_what_is_no_single_json_value_is_damage(data):
    decoder = EventDecoder()
    [event] = decoder.feed(f"data: {data}\n\n".encode())
    assert (event["type"], event["data"], decoder.damaged) == ("unreadable", data, 1)


def _send_all(connection, data):
    connection.sendall(data)
    connection.shutdown(socket.SHUT_RDWR)


LENGTHS = {
    "a length too long": lambda body: whole(body + b"x" * 9)[:-9],
    "no last chunk": lambda body: CHUNKED + chunk(body),
    "a broken chunk": lambda body: CHUNKED + chunk(body) + b"zz\r\n",
    "a cut gzip": lambda body: whole(gzip.compress(body)[:-8], "content-encoding: gzip"),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("frame", LENGTHS.values(), ids=LENGTHS.keys())
def test_a_whole_answer_in_a_broken_frame_is_an_answer(serve, way, frame):
    body = BYTES if "stream" in way else json.dumps(REPLY).encode()
    server = serve(lambda connection, _: _send_all(connection, frame(body)))
    turn = take_turn(MistralAgents(api_key="k", base_url=server.url), way)
    assert (turn.text, turn.complete) == ("forty-two" if "stream" in way else "hi", True)
    assert len(server.seen) == 1


@pytest.mark.parametrize("way", ["call", "acall"])
def test_half_an_answer_in_a_broken_frame_is_none(serve, way):
    body = json.dumps(REPLY).encode()
    server = serve(lambda connection, _: _send_all(connection, whole(body)[:-9]))
    with pytest.raises(UnknownOutcomeError):
        take_turn(MistralAgents(api_key="k", base_url=server.url), way)
