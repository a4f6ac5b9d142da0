"""Whatever becomes of a recorded reply, both wings give its text or one of our errors: every field, every cut."""

from __future__ import annotations

import asyncio
import json
import warnings
from collections.abc import Callable, Iterator
from functools import reduce
from operator import add
from typing import Any
from zlib import crc32

import pytest
from llama_index.core.llms import ChatMessage

from langchain_mistral_agents import ChatMistralAgent
from llama_index_mistral_agents import MistralAgentLLM
from mistral_agents._http.sse import EventDecoder
from mistral_agents.errors import MistralAgentsError
from tests.payloads.test_decode import REPLIES, STREAMS, as_events
from tests.shapes.test_cassettes import NAMES, TURNS, body_of, damaged, interactions, is_turn, places
from tests.wire.conftest import make_client, wire

__all__ = ["make_client", "wire"]


def _keep_shapes(replies: dict[str, Any]) -> dict[str, Any]:
    """The first of the replies that have the same fields of the same types."""
    found: dict[str, Any] = {}
    shapes: set[str] = set()
    for name, reply in replies.items():
        kinds = [(path, type(reduce(lambda inner, step: inner[step], path, reply)).__name__) for path in places(reply)]
        if str(kinds) not in shapes:
            shapes.add(str(kinds))
            found[name] = reply
    return found


RECORDED = _keep_shapes({**TURNS, **{f"shared-{name}": reply for name, reply in REPLIES.items()}})
HUGE = "x" * 100_000
ODD = {
    "deleted": None,
    "null": None,
    "number": 7,
    "list": [1],
    "object": {"type": "brand_new"},
    "text": "brand new",
    "huge": HUGE,
}
PARTS = 4  # of a long test, so that it may run on several cores
pytestmark = pytest.mark.timeout(600)
Ask = Callable[[Any], Any]


def _invoke(client: Any) -> str:
    return str(ChatMistralAgent(model="m", store=True, client=client).invoke("q").text)


async def _ainvoke(client: Any) -> str:
    return str((await ChatMistralAgent(model="m", store=True, client=client).ainvoke("q")).text)


def _stream(client: Any) -> str:
    return str(reduce(add, ChatMistralAgent(model="m", store=True, client=client).stream("q")).text)


async def _astream(client: Any) -> str:
    chunks = [chunk async for chunk in ChatMistralAgent(model="m", store=True, client=client).astream("q")]
    return str(reduce(add, chunks).text)


def _chat(client: Any) -> str:
    found = MistralAgentLLM(model="m", store=True, client=client).chat([ChatMessage(content="q")])
    return found.message.content or ""


async def _achat(client: Any) -> str:
    found = await MistralAgentLLM(model="m", store=True, client=client).achat([ChatMessage(content="q")])
    return found.message.content or ""


def _stream_chat(client: Any) -> str:
    found = list(MistralAgentLLM(model="m", store=True, client=client).stream_chat([ChatMessage(content="q")]))
    return found[-1].message.content or ""


async def _astream_chat(client: Any) -> str:
    stream = await MistralAgentLLM(model="m", store=True, client=client).astream_chat([ChatMessage(content="q")])
    return [response async for response in stream][-1].message.content or ""


Both = tuple[Ask, Ask]
"""A way and its asynchronous twin."""
CALLS: dict[str, Both] = {"langchain": (_invoke, _ainvoke), "llama-index": (_chat, _achat)}
STREAMED: dict[str, Both] = {"langchain": (_stream, _astream), "llama-index": (_stream_chat, _astream_chat)}
WINGS = pytest.mark.parametrize("wing", CALLS)


def mutations(value: Any) -> Iterator[tuple[tuple[Any, ...], str, Any]]:
    """The value with each of its places odd in each way."""
    for path in places(value):
        for how in ODD:
            yield path, how, change(value, path, how)


def change(value: Any, path: tuple[Any, ...], how: str) -> Any:
    """A copy with one place changed."""
    if how != "huge":
        return damaged(value, path, how)
    made = damaged(value, path, "null")
    reduce(lambda inner, step: inner[step], path[:-1], made)[path[-1]] = HUGE
    return made


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """One for all asynchronous turns of the module."""
    made = asyncio.new_event_loop()
    yield made
    made.run_until_complete(made.shutdown_asyncgens())
    made.close()


@pytest.fixture
def ask(loop: asyncio.AbstractEventLoop) -> Callable[..., tuple[str | None, MistralAgentsError | None]]:
    """Gives the answer's text, or an error of ours; anything else fails the test.

    What is asked about decides between a way and its twin, which has a third of the changes: it takes longer.
    """

    def run(ways: Both, client: Any, *about: Any) -> tuple[str | None, MistralAgentsError | None]:
        asked = ways[crc32(repr(about).encode()) % 3 == 0]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is odd may be said
            try:
                found = asked(client)
                return loop.run_until_complete(found) if asyncio.iscoroutine(found) else found, None
            except MistralAgentsError as error:
                return None, error

    return run


def is_about_text(path: tuple[Any, ...]) -> bool:
    """Whether a changed place of a reply may change its text."""
    return path[0] == "outputs" and (len(path) <= 2 or "content" in path or path[-1] in ("type", "role"))


def holds(error: MistralAgentsError, text: str) -> bool:
    """Whether an error has the paid text with it."""
    turn = getattr(error, "turn", None)
    return text in (turn.text if turn is not None else "") or text in json.dumps(error.body, ensure_ascii=False)


@WINGS
@pytest.mark.parametrize("name", RECORDED)
def test_every_field_of_a_reply(make_client, wire, ask, name, wing):
    client, reply = make_client(max_retries=0), RECORDED[name]
    wire.answer((200, reply))
    whole, _ = ask(CALLS[wing], client)
    for path, how, made in mutations(reply):
        wire.answer((200, made))
        text, error = ask(CALLS[wing], client, path, how)
        if not is_about_text(path) and whole is not None:
            assert text == whole or (error is not None and holds(error, whole)), (path, how, text, error)


@WINGS
@pytest.mark.parametrize("name", RECORDED)
def test_every_field_of_the_events_of_a_stream(make_client, wire, ask, name, wing):
    """Of each type the first event: each of its fields, with the others as they were."""
    client, events = make_client(max_retries=0), as_events(RECORDED[name], 1000)
    wire.answer((200, write(events)))
    whole, first = ask(STREAMED[wing], client)
    assert whole is not None or first is not None
    firsts = {event["type"]: place for place, event in reversed(list(enumerate(events)))}
    for place in firsts.values():
        for path, how, made in mutations(events[place]):
            wire.answer((200, write([*events[:place], made, *events[place + 1 :]])))
            text, error = ask(STREAMED[wing], client, path, how)
            if path[-1] in ("created_at", "usage", "model", "agent_id"):
                assert text == whole or (error is not None and first is not None), (place, path, how, text, error)


def write(events: list[Any]) -> bytes:
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


def recorded_streams() -> dict[str, bytes]:
    """The streams as they were recorded."""
    found = {f"shared-{name}": data for name, data in STREAMS.items()}
    for name in NAMES:
        for place, one in enumerate(interactions(name)):
            if is_turn(one) and body_of(one).startswith(b"event:"):
                found[f"{name}-{place}"] = body_of(one)
    return found


RAW = recorded_streams()


def test_there_is_something_to_change():
    assert len(TURNS) >= 20
    assert any(name in RAW for name in TURNS)


@WINGS
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("name", RAW)
def test_every_byte_of_a_recorded_stream_as_a_cut(make_client, wire, ask, name, part, wing):
    """Before the end of the last event's data no cut is a whole answer, and none is untyped."""
    client, data = make_client(max_retries=0), RAW[name]
    last = data.rindex(b"}") + 1
    assert EventDecoder().feed(data)[-1]["type"] == "conversation.response.done"
    for cut in range(part, last, PARTS):
        wire.answer((200, data[:cut], {"content-type": "text/event-stream"}))
        text, error = ask(STREAMED[wing], client, cut)
        assert text is None, cut
        assert error is not None, cut
        assert cut == 0 or getattr(error, "turn", None) is None or not error.turn.complete, cut
    wire.answer((200, data[:last], {"content-type": "text/event-stream"}))
    assert ask(STREAMED[wing], client)[1] is None
