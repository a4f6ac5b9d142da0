"""No stream leaves anything behind: cancelled, dropped, or held until its event loop ends."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import random
import subprocess
import sys
import threading

import httpx
import httpx2
import pytest

from mistral_agents import Conversation, Meter, MistralAgents
from mistral_agents._border.turns import Heads
from mistral_agents._http import closing, sdk
from mistral_agents._http.network import make_reentrant, pools_of
from mistral_agents._tools.policy import Policy, PolicyBook
from mistral_agents.errors import ConfigurationError, ConnectionFailedError
from mistral_agents.threads import InMemoryConversations
from mistral_agents.usage import Usage

from .conftest import CHUNKED, DONE, STARTED, chunk, delta, sse, whole


def speak(connection, _):
    """A stream whose events come one by one."""
    connection.sendall(CHUNKED)
    for event in (STARTED, delta("a"), delta("b"), DONE):
        connection.sendall(chunk(sse(event)))
    connection.sendall(b"0\r\n\r\n")


class Endless:
    """Sends a stream without end; `left` is set when the client is gone."""

    def __init__(self):
        self.left = threading.Event()

    def __call__(self, connection, _):
        try:
            connection.sendall(CHUNKED + chunk(sse(STARTED)))
            while not connection.recv(1, 0):
                break
            connection.sendall(chunk(sse(delta("a"))))
        finally:
            self.left.set()


def pool_of(client):
    return client.async_sdk.sdk_configuration.async_client._transport._pool


@pytest.mark.parametrize("seed", range(3))
def test_cancelled_streams_leave_no_connection(serve, seed):
    server = serve(speak)
    chance = random.Random(seed)

    async def go():
        limits = sdk.http().Limits(max_connections=4)
        client = MistralAgents(
            api_key="k", base_url=server.url, async_http_client=sdk.http().AsyncClient(limits=limits)
        )

        async def one():
            async for _ in client.conversations.astart_stream("q", model="m"):
                pass

        await one()
        before = len(asyncio.all_tasks())
        for _ in range(40):
            tasks = [asyncio.create_task(one()) for _ in range(4)]
            for _ in range(chance.randrange(60)):
                await asyncio.sleep(0)
            for _ in range(chance.choice([1, 3])):  # some are cancelled again while they clean up
                for task in tasks:
                    task.cancel()
                await asyncio.sleep(0)
            await asyncio.gather(*tasks, return_exceptions=True)
        await one()
        await closing.keeper_of().settle()
        return len(asyncio.all_tasks()) - before, "Requests: 0 active, 0 queued" in repr(pool_of(client))

    assert asyncio.run(go()) == (0, True)


def test_a_dropped_stream_is_closed(serve):
    endless = Endless()
    server = serve(endless)

    async def go():
        client = MistralAgents(api_key="k", base_url=server.url)
        async for _ in client.conversations.astart_stream("q", model="m"):
            break
        gc.collect()
        await asyncio.sleep(0)
        await closing.keeper_of().settle()
        return repr(pool_of(client))

    assert "Requests: 0 active" in asyncio.run(go())
    assert endless.left.wait(10)


def test_a_dropped_blocking_stream_is_closed(serve):
    endless = Endless()
    server = serve(endless)
    client = MistralAgents(api_key="k", base_url=server.url)
    for _ in client.conversations.start_stream("q", model="m"):
        break
    gc.collect()
    assert endless.left.wait(10)
    assert "Requests: 0 active" in repr(client.sdk.sdk_configuration.client._transport._pool)


OWN_CLIENTS = {"ours": lambda: None, "httpx": httpx.Client, "httpx2": httpx2.Client}


@pytest.mark.parametrize("make_client", OWN_CLIENTS.values(), ids=OWN_CLIENTS)
def test_a_stream_that_the_collector_finds_inside_a_request_is_closed(serve, make_client):
    """The collector may run while its thread holds the pool's lock: closing there must not wait for that lock."""
    endless = Endless()
    client = MistralAgents(api_key="k", base_url=serve(endless).url, http_client=make_client())
    stream = client.conversations.start_stream("q", model="m")
    next(stream)
    (pool,) = pools_of(client.sdk.sdk_configuration.client)
    knot = [stream]
    knot.append(knot)

    def collect():
        with pool._optional_thread_lock:
            gc.collect()

    gc.disable()
    try:
        del stream, knot
        thread = threading.Thread(target=collect, daemon=True)
        thread.start()
        thread.join(30)
    finally:
        gc.enable()
    assert not thread.is_alive()
    assert endless.left.wait(10)
    assert "Requests: 0 active" in repr(pool)


def test_a_lock_that_is_held_while_it_is_made_reentrant_is_released_as_it_was_taken():
    """The client of a user may be at work in another thread when we are given it."""
    with httpx.Client() as client:
        (pool,) = pools_of(client)
        with pool._optional_thread_lock:
            make_reentrant(client)
        with pool._optional_thread_lock, pool._optional_thread_lock:
            assert pool.connections == []


BOOKS = {
    "heads": (Heads(), lambda heads: heads.set("https://example.org", "conv_1", "e1")),
    "meter": (Meter(), lambda meter: meter.count(Usage(), "m")),
    "threads": (InMemoryConversations(), lambda threads: threads.set("t", "m", "conv_1")),
    "policies": (PolicyBook(), lambda book: book.set_conversation("conv_1", Policy(max_documents=3))),
}


@pytest.mark.parametrize(("book", "write"), BOOKS.values(), ids=BOOKS)
def test_what_a_dropped_stream_writes_down_waits_for_no_lock_of_its_thread(book, write):
    def write_within():
        with book._lock:
            write(book)

    thread = threading.Thread(target=write_within, daemon=True)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()


def test_a_stream_that_was_never_asked_for_an_event_is_closed_too(serve):
    endless = Endless()
    client = MistralAgents(api_key="k", base_url=serve(endless).url)
    with client.conversations.start_stream("q", model="m"):
        pass
    assert endless.left.wait(10)


LOOPS = """
import asyncio, sys
from mistral_agents import Conversation, MistralAgents
kept = []
async def go(kind):
    client = MistralAgents(api_key="k", base_url=sys.argv[1])
    if kind.startswith("stream"):
        events = client.conversations.astart_stream("q", model="m")
    else:
        events = Conversation(client, model="m").astream("q")
    async def read():
        async for _ in events:
            if not kind.endswith("task"):
                break
    if kind.endswith("task"):
        kept.append(asyncio.create_task(read()))
        await asyncio.sleep(0.05)
    else:
        await read()
    if kind.endswith("held"):
        kept.append(events)
for kind in ("stream held", "stream dropped", "stream task", "talk held", "talk dropped", "talk task"):
    asyncio.run(go(kind))
kept.clear()
"""


def test_a_loop_that_ends_with_open_streams_prints_nothing(serve):
    def hold(connection, _):
        connection.sendall(CHUNKED + chunk(sse(STARTED)) + chunk(sse(delta("a"))))
        connection.recv(1)

    # httpcore 1 (under mistralai 2) leaves sockets of a loop that ends to the garbage collector.
    strict = ["-W", "error::ResourceWarning"] if sdk.http().__name__ == "httpx2" else []
    command = [sys.executable, *strict, "-c", LOOPS, serve(hold).url]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


IDLE = """
import asyncio, gc, sys
from mistral_agents import MistralAgents
client = MistralAgents(api_key="k", base_url=sys.argv[1])
async def ask():
    return await client.conversations.astart("q", model="mistral-small-latest")
for _ in range(3):
    asyncio.run(ask())
    gc.collect()
"""
LATE = (
    IDLE
    + """
async def ask_at_the_end():
    try:
        yield
    finally:
        print((await ask()).complete)
async def leave(kept):
    kept.append(ask_at_the_end())
    await ask()
    await anext(kept[0])
kept = []
asyncio.run(leave(kept))
"""
)


def test_a_loop_that_ends_leaves_no_connection_open(standin):
    """The client keeps its connection for the next call; where the loop ends there is none."""
    if sdk.http().__name__ != "httpx2":
        pytest.skip("httpcore 1 leaves sockets of a loop that ends to the garbage collector")
    command = [sys.executable, "-W", "error::ResourceWarning", "-c", IDLE, standin.base_url]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


def test_what_is_asked_while_a_loop_ends_is_answered(standin):
    """The loop closes all asynchronous generators at once; one of the user's may still ask something."""
    command = [sys.executable, "-W", "ignore", "-c", LATE, standin.base_url]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stdout.strip(), ran.stderr) == (0, "True", "")


def test_a_call_that_is_cancelled_while_a_hook_of_the_user_runs_frees_its_connection(serve):
    import json

    from .conftest import REPLY

    server = serve(lambda connection, _: connection.sendall(whole(json.dumps(REPLY).encode())))
    entered, go_on = threading.Event(), threading.Event()

    class Hook:
        def after_success(self, _context, response):
            entered.set()
            go_on.wait(10)
            return response

    async def go():
        client = MistralAgents(api_key="k", base_url=server.url)
        hooks = client.async_sdk.sdk_configuration.__dict__["_hooks"]
        hooks.register_after_success_hook(Hook())
        task = asyncio.create_task(client.conversations.astart_stream("q", model="m").aread())
        while not entered.is_set():
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        go_on.set()
        async with asyncio.timeout(10) if hasattr(asyncio, "timeout") else contextlib.nullcontext():
            while "Requests: 0 active" not in repr(pool_of(client)):
                await asyncio.sleep(0)
        return True

    assert asyncio.run(go())


def test_hooks_of_the_user_run_in_order_and_may_change_the_request(make_client, wire):
    seen = []

    class Hook:
        def before_request(self, context, request):
            seen.append(("before", context.operation_id))
            request.headers["x-hook"] = "1"
            return request

        def after_success(self, _, response):
            seen.append(("after", response.status_code))
            return response

        def after_error(self, _, response, error):
            seen.append(("error", response.status_code if response is not None else type(error).__name__))
            return response, error

    client, hook = make_client(max_retries=0), Hook()
    for one in (client.sdk,):
        hooks = one.sdk_configuration.__dict__["_hooks"]
        hooks.register_before_request_hook(hook)
        hooks.register_after_success_hook(hook)
        hooks.register_after_error_hook(hook)
    client.conversations.start("q", model="m")
    assert wire.requests[0].headers["x-hook"] == "1"
    wire.answer((500, {"message": "boom"}))
    with pytest.raises(Exception, match="boom"):
        client.conversations.start("q", model="m")
    wire.answer(sdk.http().ConnectError("nobody"))
    with pytest.raises(ConnectionFailedError):
        client.conversations.start("q", model="m")
    name = "agents_api_v1_conversations_start"
    assert seen == [
        ("before", name), ("after", 200), ("before", name), ("error", 500), ("before", name), ("error", "ConnectError"),
    ]  # fmt: skip


def test_a_hook_of_the_sdk_that_stumbles_over_a_reply_costs_no_answer(make_client, wire):
    from .conftest import REPLY

    wire.answer((200, REPLY, {"x-model-deprecation-timestamp": "2030"}))
    assert make_client().conversations.start("q", model="m").text == "hi"


def test_a_key_file_that_cannot_be_read_is_a_wrong_setting(make_client, monkeypatch, tmp_path):
    if sdk.http().__name__ != "httpx2":
        pytest.skip("mistralai 2 knows no service accounts")
    from mistral_agents.errors import ConfigurationError

    monkeypatch.delenv("MISTRAL_API_KEY", raising=False)
    monkeypatch.setenv("MISTRAL_SA_TOKEN_PATH", str(tmp_path / "absent"))
    with pytest.raises(ConfigurationError, match="absent"):
        make_client(api_key=None).conversations.start("q", model="m")


def test_a_conversation_goes_on_after_a_stream_that_is_still_held(serve):
    import json

    from .conftest import REPLY

    def answer(connection, head):
        if b"GET " in head[:4]:
            entries = {"entries": [], "conversation_id": "conv_1"}
            connection.sendall(whole(json.dumps(entries).encode()))
        elif b"text/event-stream" in head:
            speak(connection, head)
        else:
            connection.sendall(whole(json.dumps(REPLY).encode()))

    conversation = Conversation(MistralAgents(api_key="k", base_url=serve(answer).url), model="m")
    events = conversation.stream("hello")
    assert next(events)["type"] == STARTED["type"]
    assert conversation.id == "conv_1"
    assert conversation.append("again").text == "hi"
    with pytest.raises(Exception, match="left"):
        next(events)


class Pausing:
    """Sends the beginning of a stream and then nothing; `asked` is set when a request is there, `ended` at its end."""

    def __init__(self, *events):
        self.events = events
        self.asked = threading.Event()
        self.ended = threading.Event()

    def __call__(self, connection, _):
        self.asked.set()
        if self.events:
            connection.sendall(CHUNKED + b"".join(chunk(sse(event)) for event in self.events))
        with contextlib.suppress(OSError):
            connection.recv(1)
        self.ended.set()


def test_a_stream_that_another_thread_closes_ends(serve):
    """A reader that waited was told of a bad file descriptor, and to look whether his turn was applied."""
    service = Pausing(STARTED, delta("a"))
    client = MistralAgents(api_key="k", base_url=serve(service).url)
    stream = client.conversations.start_stream("q", model="m")
    kinds = []
    for event in stream:
        kinds.append(event["type"])
        if len(kinds) == 2:
            threading.Timer(0.05, stream.close).start()
    assert kinds == [STARTED["type"], delta("a")["type"]]
    assert (stream.turn.text, stream.turn.complete) == ("a", False)
    assert service.ended.wait(5)


async def close_while_read(stream):
    """Close a stream whose reader has two events and waits for more; the events' kinds, once the reader has ended."""
    kinds, waiting = [], asyncio.Event()

    async def read():
        async for event in stream:
            kinds.append(event["type"])
            if len(kinds) == 2:
                waiting.set()

    reading = asyncio.create_task(read())
    await waiting.wait()
    await asyncio.sleep(0)
    await asyncio.wait_for(stream.aclose(), 5)
    await asyncio.wait_for(reading, 5)
    return kinds


def test_a_stream_that_another_task_closes_ends(serve):
    """With mistralai 2 who closed it waited for the next words."""
    service = Pausing(STARTED, delta("a"))

    async def go():
        client = MistralAgents(api_key="k", base_url=serve(service).url)
        stream = client.conversations.astart_stream("q", model="m")
        kinds = await close_while_read(stream)
        assert (kinds, stream.turn.complete) == ([STARTED["type"], delta("a")["type"]], False)

    asyncio.run(go())
    assert service.ended.wait(5)


def test_a_stream_that_is_closed_while_it_is_opened_gives_its_connection_back(serve):
    sent = threading.Event()

    def answer_late(connection, _):
        sent.wait(5)
        speak(connection, _)

    client = MistralAgents(api_key="k", base_url=serve(answer_late).url)
    stream = client.conversations.start_stream("q", model="m")

    def close():
        stream.close()
        sent.set()

    threading.Timer(0.05, close).start()
    assert list(stream) == []
    (pool,) = pools_of(client.sdk.sdk_configuration.client)
    assert pool.connections == []


def test_two_readers_of_one_stream_send_one_turn(serve):
    """Both opened it: a turn that is paid for and kept was sent twice."""
    service = Pausing(STARTED)
    server = serve(service)

    async def go():
        client = MistralAgents(api_key="k", base_url=server.url)
        stream = client.conversations.astart_stream("q", model="m")
        told = await asyncio.gather(anext(stream), anext(stream), return_exceptions=True)
        await stream.aclose()
        return told

    first, second = asyncio.run(go())
    assert first["type"] == STARTED["type"]
    assert isinstance(second, ConfigurationError)
    assert len(server.seen) == 1


def test_two_threads_that_read_one_stream_send_one_turn(serve):
    service = Pausing()
    server = serve(service)
    client = MistralAgents(api_key="k", base_url=server.url, timeout=5, max_retries=0)
    stream = client.conversations.start_stream("q", model="m")
    first = threading.Thread(target=lambda: list(stream), daemon=True)
    first.start()
    assert service.asked.wait(5)
    with pytest.raises(ConfigurationError, match="read by another thread"):
        next(stream)
    stream.close()
    assert len(server.seen) == 1


def test_a_conversations_stream_that_another_thread_closes_ends(serve):
    """It said that a generator is at work already, and read on."""
    service = Pausing(STARTED, delta("a"))
    talk = Conversation(MistralAgents(api_key="k", base_url=serve(service).url), model="m")
    stream = talk.stream("q")
    kinds = []
    for event in stream:
        kinds.append(event["type"])
        if len(kinds) == 2:
            threading.Timer(0.05, stream.close).start()
    assert (kinds, talk.id) == ([STARTED["type"], delta("a")["type"]], "conv_1")
    assert service.ended.wait(5)
    assert list(stream) == []


def test_a_conversations_stream_that_another_task_closes_ends(serve):
    service = Pausing(STARTED, delta("a"))

    async def go():
        talk = Conversation(MistralAgents(api_key="k", base_url=serve(service).url), model="m")
        stream = talk.astream("q")
        kinds = await close_while_read(stream)
        assert (kinds, talk.id) == ([STARTED["type"], delta("a")["type"]], "conv_1")

    asyncio.run(go())
    assert service.ended.wait(5)


def test_a_stream_that_is_closed_while_a_function_runs_makes_no_further_turn(make_client, wire):
    call = {"type": "function.call.delta", "id": "fc_1", "tool_call_id": "abcdefgh1", "name": "look", "arguments": "{}"}
    wire.answer((200, sse(STARTED, call, DONE)))
    streams = []

    def look():
        streams[0].close()
        return "seen"

    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
    talk = Conversation(make_client(), model="m", tools=[tool], functions={"look": look})
    streams.append(talk.stream("q"))
    assert [event["type"] for event in streams[0]] == [STARTED["type"], call["type"], DONE["type"]]
    assert len(wire.requests) == 1
