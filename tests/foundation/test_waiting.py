"""Who waits for a conversation waits for no stream that nobody reads, and never for himself."""

from __future__ import annotations

import asyncio
import threading
from collections import deque

import pytest

from mistral_agents import Conversation
from mistral_agents._conversation import lock as lock_module
from mistral_agents._conversation.lock import Hold, TurnLock
from mistral_agents.errors import ConfigurationError, StreamInterruptedError, TimeoutExceededError

MODEL = "mistral-medium-latest"


@pytest.fixture
def talk(client):
    return Conversation(client, model=MODEL)


@pytest.fixture
def soon(monkeypatch):
    monkeypatch.setattr(lock_module, "ABANDONED_AFTER", 0.01)


def read_in_a_thread(work):
    found = []
    thread = threading.Thread(target=lambda: found.append(work()))
    thread.start()
    thread.join(60)
    assert not thread.is_alive()
    return found[0]


def test_a_stream_that_another_thread_left_is_closed_although_the_timeout_is_long(talk, soon):
    assert talk._exchanges.client.timeout >= 300
    stream = talk.stream("hello")
    read_in_a_thread(lambda: next(stream))
    assert talk.append("again").complete
    with pytest.raises(StreamInterruptedError, match="another turn"):
        next(stream)


async def test_a_stream_whose_every_read_was_a_task_of_its_own_is_closed(talk, soon):
    stream = talk.astream("hello")
    await asyncio.create_task(anext(stream))
    assert (await talk.aappend("again")).complete
    with pytest.raises(StreamInterruptedError, match="another turn"):
        await anext(stream)


async def test_an_asynchronous_stream_is_closed_for_a_turn_in_another_thread(talk, soon):
    stream = talk.astream("hello")
    await anext(stream)
    assert (await asyncio.to_thread(talk.append, "again")).complete


def test_a_blocking_stream_is_closed_at_once_for_an_event_loop_in_its_thread(talk):
    stream = talk.stream("hello")
    next(stream)
    assert asyncio.run(talk.aappend("again")).complete


async def test_a_blocking_turn_closes_a_stream_of_the_loop_that_it_stops(talk):
    stream = talk.astream("hello")
    await asyncio.create_task(anext(stream))
    assert talk.append("again").complete


async def test_a_blocking_turn_on_the_loop_of_a_turn_at_work_is_refused_at_once(talk, monkeypatch):
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def send(_):
        begun.set()
        await go_on.wait()
        raise asyncio.CancelledError

    monkeypatch.setattr(talk._exchanges, "asend", send)
    at_work = asyncio.create_task(talk.aappend("hello"))
    await begun.wait()
    with pytest.raises(ConfigurationError, match="can't go on") as caught:
        talk.append("again")
    assert "aappend" in caught.value.hint
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await at_work


def test_a_function_that_asks_its_own_conversation_is_refused_at_once(talk):
    def ask() -> str:
        with talk._exchanges.held():
            return "never"

    with talk._exchanges.held(), pytest.raises(ConfigurationError, match="must not ask"):
        ask()


class Stream:
    """A stream whose reader comes back again and again, or that waits for the service."""

    def __init__(self, unread):
        self.unread_seconds = unread
        self.closed = False

    def leave(self):
        self.closed = True

    async def aleave(self):
        self.closed = True


@pytest.mark.parametrize("unread", [None, 0.0])
def test_a_stream_that_is_read_is_waited_for_as_long_as_the_timeout(unread, soon):
    lock, stream = TurnLock(), Stream(unread)
    holder = read_in_a_thread(lambda: Hold(stream=lambda: stream))
    lock.acquire(holder)
    with pytest.raises(TimeoutExceededError, match=r"0\.05 seconds") as caught:
        lock.acquire(Hold(), patience=0.05)
    assert "Send it again" in caught.value.hint
    assert not stream.closed


@pytest.mark.parametrize("unread", [None, 0.0])
async def test_a_stream_that_is_read_is_waited_for_on_a_loop_too(unread, soon):
    lock, stream = TurnLock(), Stream(unread)
    holder = await asyncio.to_thread(lambda: Hold(stream=lambda: stream))
    await lock.aacquire(holder)
    with pytest.raises(TimeoutExceededError, match=r"0\.05 seconds"):
        await lock.aacquire(Hold(), patience=0.05)
    assert not stream.closed


def test_a_reader_who_comes_back_just_now_keeps_his_stream(talk):
    stream = talk.stream("hello")
    next(stream)
    with stream._at_work:
        assert stream.unread_seconds is None
        stream.leave()
    assert [event["type"] for event in stream][-1] == "conversation.response.done"


@pytest.mark.parametrize("begun", [False, True], ids=["first turn", "later turn"])
@pytest.mark.parametrize("blocking", [False, True], ids=["aappend", "append"])
async def test_a_loop_left_with_break_is_no_turn_at_work(talk, begun, blocking):
    """Nobody has the stream any more, and its event loop has not got round to closing it yet."""
    if begun:
        await talk.aappend("at first")
    async for _ in talk.astream("hello"):
        break
    turn = talk.append("again") if blocking else await talk.aappend("again")
    assert turn.complete
    assert turn.conversation_id == talk.id


def test_a_lock_that_is_released_while_somebody_queues_for_it_is_his():
    """As the garbage collector does it, where it finds a dropped stream of the conversation at that moment."""
    lock, first, second = TurnLock(), Hold(), Hold()
    lock.acquire(first)

    class Queue(deque):
        def append(self, entry):
            super().append(entry)
            lock.release(first)

    lock._waiting = Queue()
    read_in_a_thread(lambda: lock.acquire(second))
    assert lock.holder is second
    lock.release(second)
    assert lock.holder is None
    assert not lock._waiting
