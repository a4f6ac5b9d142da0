"""`timeout` is what a call takes at most, tries and pauses included; of a stream it is the wait for its beginning."""

from __future__ import annotations

import threading

import pytest

from mistral_agents import MistralAgents
from mistral_agents._http import sdk
from mistral_agents._http.network import Deadline, DeadlineBackend, bound_wait
from mistral_agents.errors import RateLimitedError, TimeoutExceededError

from .conftest import CHUNKED, DONE, STARTED, WAYS, chunk, delta, sse, take_turn, whole


def drip(head, piece=None):
    """Bytes of a reply that never ends, until the client leaves."""
    more = piece if piece is not None else chunk(b" ") if head.endswith(b"\r\n\r\n") else b"a"

    def answer(connection, _):
        connection.sendall(head)
        for _ in range(2000):
            connection.sendall(more)
            threading.Event().wait(0.01)

    return answer


@pytest.mark.parametrize("way", ["call", "acall"])
@pytest.mark.parametrize("head", [CHUNKED, b"HTTP/1.1 200 OK\r\nx-slow: "], ids=["body", "head"])
def test_a_reply_that_drips_in_ends_with_the_deadline(serve, way, head):
    server = serve(drip(head))
    with pytest.raises(TimeoutExceededError, match=r"0\.2 s"):
        take_turn(MistralAgents(api_key="k", base_url=server.url, timeout=0.2), way)
    assert server.seen == ["POST /v1/conversations"]


@pytest.mark.parametrize("way", ["stream", "astream"])
def test_a_stream_that_does_not_begin_ends_with_the_deadline(serve, way):
    server = serve(drip(b"HTTP/1.1 200 OK\r\nx-slow: "))
    with pytest.raises(TimeoutExceededError, match=r"0\.2 s"):
        take_turn(MistralAgents(api_key="k", base_url=server.url, timeout=0.2, stream_idle_timeout=60), way)


@pytest.mark.parametrize("way", ["stream", "astream"])
@pytest.mark.parametrize("beginning", [b"", b'{"object":', b"<html>\n"], ids=["blanks", "JSON", "page"])
def test_a_whole_reply_that_drips_in_instead_of_a_stream_ends_with_the_deadline(serve, way, beginning):
    server = serve(drip(CHUNKED + (chunk(beginning) if beginning else b""), chunk(b" ")))
    with pytest.raises(TimeoutExceededError, match=r"0\.2 s"):
        take_turn(MistralAgents(api_key="k", base_url=server.url, timeout=0.2), way)
    assert server.seen == ["POST /v1/conversations"]


@pytest.mark.parametrize("way", ["stream", "astream"])
def test_comments_before_the_first_event_are_a_stream(serve, way):
    def answer(connection, _):
        connection.sendall(CHUNKED)
        for _ in range(30):
            threading.Event().wait(0.02)
            connection.sendall(chunk(b": wait\n\n"))
        connection.sendall(chunk(sse(STARTED, delta("a"), DONE)) + b"0\r\n\r\n")

    server = serve(answer)
    assert take_turn(MistralAgents(api_key="k", base_url=server.url, timeout=0.4), way).text == "a"


@pytest.mark.parametrize("way", ["stream", "astream"])
def test_a_stream_that_has_begun_may_last_longer_than_the_timeout(serve, way):
    def answer(connection, _):
        connection.sendall(CHUNKED + chunk(sse(STARTED)))
        for _ in range(30):
            threading.Event().wait(0.02)
            connection.sendall(chunk(sse(delta("a"))))
        connection.sendall(chunk(sse(DONE)) + b"0\r\n\r\n")

    server = serve(answer)
    assert take_turn(MistralAgents(api_key="k", base_url=server.url, timeout=0.4), way).text == "a" * 30


@pytest.mark.parametrize("way", WAYS)
def test_a_pause_beyond_the_deadline_is_the_callers(make_client, wire, waits, way):
    wire.answer((429, {"message": "slow down"}, {"retry-after": "8"}))
    with pytest.raises(RateLimitedError) as caught:
        take_turn(make_client(max_retries=2, timeout=1), way)
    assert (caught.value.retry_after, waits, len(wire.requests)) == (8.0, [], 1)


@pytest.mark.parametrize("way", ["call", "acall"])
def test_the_timeout_of_a_call_goes_before_the_clients(make_client, wire, waits, way):
    wire.answer((429, {"message": "slow down"}, {"retry-after": "8"}), (200, {"outputs": [], "conversation_id": "c"}))
    assert take_turn(make_client(timeout=1), way, timeout=20).conversation_id == "c"
    assert waits == [8.0]


def test_a_file_takes_as_long_as_it_takes(serve):
    def answer(connection, _):
        connection.sendall(CHUNKED)
        for _ in range(30):
            threading.Event().wait(0.02)
            connection.sendall(chunk(b"x"))
        connection.sendall(b"0\r\n\r\n")

    server = serve(answer)
    client = MistralAgents(api_key="k", base_url=server.url, timeout=0.3)
    assert client.files.download("file_1") == b"x" * 30
    assert client.files.read(_link(server)).data == b"x" * 30


def _link(server):
    from mistral_agents.turn import FileRef

    return FileRef(None, "x", url=f"{server.url}/x")


def test_every_wait_on_a_socket_is_cut_to_what_is_left(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("mistral_agents._http.network.time.monotonic", lambda: now[0])
    asked = []

    class Network:
        def connect_tcp(self, host, port, timeout=None, **_):
            asked.append(timeout)
            return self

        def read(self, _most, timeout=None):
            asked.append(timeout)
            return b""

        def write(self, _data, timeout=None):
            asked.append(timeout)

    deadline = Deadline(10)
    with deadline.enforced():
        stream = DeadlineBackend(Network(), OSError).connect_tcp("host", 1, timeout=10)
        now[0] += 4
        stream.write(b"", timeout=10)
        now[0] += 5
        stream.read(1, timeout=10)
        now[0] += 5
        stream.read(1, timeout=None)
    stream.read(1, timeout=7)
    assert asked == [10, 6, 1, 0.001, 7]
    assert deadline.expired
    assert bound_wait(None) is None


@pytest.mark.parametrize("way", ["acall", "astream"])
def test_a_call_needs_no_thread_of_the_loop(serve, way):
    """The loop's default executor refuses all work, as a full one would keep it waiting."""
    import asyncio
    import json
    from concurrent.futures import ThreadPoolExecutor

    from .conftest import REPLY

    server = serve(
        lambda connection, _: connection.sendall(
            whole(sse(STARTED, delta("hi"), DONE) if way == "astream" else json.dumps(REPLY).encode())
        )
    )

    async def go():
        closed = ThreadPoolExecutor(1)
        closed.shutdown()
        asyncio.get_running_loop().set_default_executor(closed)
        client = MistralAgents(api_key="k", base_url=server.url.replace("127.0.0.1", "localhost"))
        found = client.conversations
        if way == "acall":
            return await found.astart("hello", model="m")
        return await found.astart_stream("hello", model="m").aread()

    assert asyncio.run(go()).text == "hi"


def test_the_waits_of_a_client_of_the_user_end_with_the_deadline(monkeypatch):
    """What a reply may still be silent for is what the call has left when its body begins."""
    now, waits = [100.0], []
    monkeypatch.setattr("mistral_agents._http.network.time.monotonic", lambda: now[0])
    library = sdk.http()

    def answer(request):
        now[0] += 4

        class Body(library.SyncByteStream):
            def __iter__(self):
                waits.append(request.extensions["timeout"]["read"])
                yield b'{"outputs": [], "conversation_id": "c"}'

        waits.append(request.extensions["timeout"]["read"])
        return library.Response(200, stream=Body())

    own = library.Client(transport=library.MockTransport(answer))
    client = MistralAgents(api_key="k", base_url="https://service.test", timeout=10, http_client=own)
    assert take_turn(client, "call").conversation_id == "c"
    assert waits == [10, 6]
