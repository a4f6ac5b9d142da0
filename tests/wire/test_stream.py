"""A stream gives what a call gives, whatever the byte splits, and never ends silently."""

from __future__ import annotations

import asyncio
import json
import socket
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mistral_agents import MistralAgents
from mistral_agents._http.fold import EventFold
from mistral_agents._http.sse import EventDecoder
from mistral_agents.errors import StreamInterruptedError, TimeoutExceededError, TurnFailedError

EVENTS = [
    {"type": "conversation.response.started", "conversation_id": "conv_1", "created_at": "2026-01-01T00:00:00Z"},
    {"type": "tool.execution.started", "id": "tool_1", "output_index": 0, "name": "code_interpreter", "arguments": "",
     "function": "code_interpreter", "created_at": "2026-01-01T00:00:01Z"},
    {"type": "tool.execution.delta", "id": "tool_1", "output_index": 0, "name": "code_interpreter", "arguments": '{"code"'},
    {"type": "tool.execution.delta", "id": "tool_1", "output_index": 0, "name": "code_interpreter", "arguments": ': "1+1"}'},
    {"type": "tool.execution.done", "id": "tool_1", "output_index": 0, "name": "code_interpreter",
     "info": {"code": "1+1", "code_output": "2\n"}, "created_at": "2026-01-01T00:00:02Z"},
    {"type": "brand.new.event", "id": "x"},
    {"type": "message.output.delta", "id": "msg_1", "output_index": 1, "content_index": 0, "role": "assistant", "content": "Zwölf "},
    {"type": "message.output.delta", "id": "msg_1", "output_index": 1, "content_index": 0, "role": "assistant", "content": "€ 🎈"},
    {"type": "conversation.response.done", "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}},
]  # fmt: skip


def sse(events, newline="\n"):
    return "".join(
        f"event: {event['type']}{newline}data: {json.dumps(event, ensure_ascii=False)}{newline}{newline}"
        for event in events
    ).encode()


@given(st.lists(st.integers(0, 2000), max_size=30), st.sampled_from(["\n", "\r\n", "\r"]))
def test_events_survive_any_split_and_any_line_ending(cuts, newline):
    data = sse(EVENTS, newline)
    places = sorted({cut % len(data) for cut in cuts})
    decoder, found = EventDecoder(), []
    for start, end in zip([0, *places], [*places, len(data)], strict=True):
        found += decoder.feed(data[start:end])
    assert found + decoder.flush() == EVENTS


def test_a_stream_reads_to_a_turn(make_client, wire):
    wire.answer((200, sse(EVENTS), {"content-type": "text/event-stream", "mistral-correlation-id": "trace"}))
    client = make_client()
    with client.conversations.start_stream("hello", model="m") as stream:
        assert list(stream) == EVENTS
    turn = stream.turn
    assert (turn.text, turn.conversation_id, turn.usage.total_tokens, turn.complete) == (
        "Zwölf € 🎈",
        "conv_1",
        3,
        True,
    )
    assert (turn.code_runs[0].code, turn.code_runs[0].output, turn.code_runs[0].seconds) == ("1+1", "2\n", 1.0)
    assert turn.unknown_events == [{"type": "brand.new.event", "id": "x"}]
    assert turn.request_id == "trace"
    later = asyncio.run(client.conversations.astart_stream("hello", model="m").aread())
    assert (later.raw, later.usage) == (turn.raw, turn.usage)


@pytest.mark.parametrize("kept", range(len(EVENTS)))
def test_a_stream_that_ends_early_is_an_error_with_what_arrived(make_client, wire, kept):
    wire.answer((200, sse(EVENTS[:kept])))
    expected = EventFold()
    for event in EVENTS[:kept]:
        expected.apply(event)
    client = make_client()
    runs = [
        lambda: client.conversations.append_stream("conv_1", "hello").read(),
        lambda: asyncio.run(client.conversations.aappend_stream("conv_1", "hello").aread()),
    ]
    for run in runs:
        with pytest.raises(StreamInterruptedError) as caught:
            run()
        assert caught.value.conversation_id == "conv_1"
        assert caught.value.turn.raw["outputs"] == expected.response()["outputs"]
        assert caught.value.turn.complete is False


def test_an_error_event_is_raised_with_what_arrived(make_client, wire):
    failure = {"type": "conversation.response.error", "message": "Response failed", "code": 3000}
    wire.answer((200, sse([*EVENTS[:7], failure])))
    with pytest.raises(TurnFailedError, match="Response failed") as caught:
        make_client().conversations.start_stream("hello", model="m").read()
    assert (caught.value.code, caught.value.conversation_id, caught.value.turn.text) == (3000, "conv_1", "Zwölf ")


class SlowServer:
    """Sends the head and some events, then holds the connection until the client leaves."""

    def __init__(self, events):
        self.left = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._data = sse(events)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        connection, _ = self._listener.accept()
        with connection:
            connection.recv(65536)
            head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
            connection.sendall(head + f"{len(self._data):x}\r\n".encode() + self._data + b"\r\n")
            while connection.recv(65536):
                pass
        self.left.set()

    def close(self):
        self._listener.close()


@pytest.fixture
def slow_server():
    server = SlowServer(EVENTS[:3])
    yield server
    server.close()


def test_leaving_early_frees_the_connection(slow_server):
    client = MistralAgents(api_key="k", base_url=slow_server.url)
    with client.conversations.start_stream("hello", model="m") as stream:
        for _ in stream:
            break
    assert slow_server.left.wait(10)


async def test_leaving_early_frees_the_connection_async(slow_server):
    client = MistralAgents(api_key="k", base_url=slow_server.url)
    async with client.conversations.astart_stream("hello", model="m") as stream:
        async for _ in stream:
            break
    assert await asyncio.to_thread(slow_server.left.wait, 10)
    await client.aclose()


def test_silence_is_a_timeout_with_what_arrived(slow_server):
    client = MistralAgents(api_key="k", base_url=slow_server.url, stream_idle_timeout=0.05)
    with pytest.raises(TimeoutExceededError, match="silent") as caught:
        client.conversations.start_stream("hello", model="m").read()
    assert caught.value.conversation_id == "conv_1"
    assert caught.value.turn.tool_executions[0].arguments == '{"code"'
