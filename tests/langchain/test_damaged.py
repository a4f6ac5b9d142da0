"""A paid answer is never lost: whatever field is missing or odd, a reply and a stream become an answer."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import reduce
from operator import add
from typing import Any

import pytest

from langchain_mistral_agents import MistralConversationHistory
from langchain_mistral_agents._chunks import AnswerChunks
from langchain_mistral_agents._events import ProtocolEvents
from langchain_mistral_agents._messages_in import Sent, make_answer
from mistral_agents._http.fold import EventFold
from mistral_agents.turn import Turn

from .turns import REPLY, events

SENT = Sent(stored=True, prefix="", setup="", model="m")
ODD: list[Any] = [None, 7, "", "odd", [], {}, [{"type": "text"}], True]


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in JSON data."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*at, key)
        yield from places(inner, (*at, key))


def damaged(value: Any, odds: list[Any]) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """The data with one place missing, or odd."""
    for at in places(value):
        for odd in (..., *odds):
            made = copy.deepcopy(value)
            inner = reduce(lambda found, key: found[key], at[:-1], made)
            if odd is ...:
                del inner[at[-1]]
            else:
                inner[at[-1]] = copy.deepcopy(odd)
            yield at, made


def streamed(given: list[Any]) -> Any:
    fold, chunks, protocol = EventFold(), AnswerChunks(SENT), ProtocolEvents(SENT)
    found = []
    for event in given:
        records = fold.apply(event)
        chunk = chunks.feed(records)
        found += [chunk] if chunk is not None else []
        protocol.feed(records)
    turn = Turn.from_response(fold.response())
    protocol.end(turn)
    return reduce(add, [*found, *chunks.end(turn)])


def test_replies() -> None:
    for at, reply in damaged(REPLY, ODD):
        message = make_answer(Turn.from_response(reply), SENT)
        assert message.response_metadata["model_provider"] == "mistral_agents", at
        if at[:2] == ("outputs", 0):
            assert "One and two" in str(message.text), at


@pytest.mark.parametrize("part", range(4))
def test_streams(part: int) -> None:
    for place, (at, given) in enumerate(damaged(events(), [None, 7, [{}]])):
        if place % 4 == part and all(isinstance(event, dict) for event in given):
            whole = streamed(given)
            assert whole.chunk_position == "last", at


@pytest.mark.parametrize("tools", [5, "x", [None, 7], {"a": 1}, [{"type": "document_library", "library_ids": 5}]])
async def test_a_conversation_with_unreadable_tools_has_its_messages(make_client, wire, tools):
    said = {"type": "message.output", "id": "msg_1", "role": "assistant", "content": "hi"}
    replies = (200, {"id": "conv_1", "tools": tools}), (200, {"entries": [said]})
    client = make_client()
    wire.answer(*replies)
    assert [message.text for message in MistralConversationHistory("conv_1", client=client).messages] == ["hi"]
    wire.answer(*replies)
    found = await MistralConversationHistory("conv_1", client=client).aget_messages()
    assert [message.text for message in found] == ["hi"]
