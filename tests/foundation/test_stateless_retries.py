"""A turn of which nothing is kept, and whose tools only look, is sent again as other clients do; others are not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mistral_agents import CodeInterpreter, Connector, ImageGeneration, MistralAgents, WebSearch
from mistral_agents._api.planner import AgentEffects, have_effects
from mistral_agents.errors import MistralAgentsError
from tests.wire.conftest import Wire, make_client, waits, wire

__all__ = ["make_client", "waits", "wire"]

Make = Callable[..., MistralAgents]
GOOD = (200, {"object": "conversation.response", "conversation_id": "conv_1", "outputs": []})
BUSY = (503, {"object": "error", "message": "busy"})
FUNCTION = {"type": "function", "function": {"name": "f", "parameters": {}}}
LOOK = [None, [WebSearch()], [CodeInterpreter()], [FUNCTION], [WebSearch(), FUNCTION]]
ACT = [[Connector("c")], [ImageGeneration()], [WebSearch(), ImageGeneration()]]


def posts(wire: Wire) -> int:
    return sum(request.method == "POST" for request in wire.requests)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize("tools", LOOK)
def test_a_stateless_turn_that_only_looks_is_sent_again(
    wire: Wire, make_client: Make, waits: Any, tools: Any, status: int
) -> None:
    wire.answer((status, BUSY[1]), GOOD)
    turn = make_client().conversations.start("q", model="m", tools=tools, store=False)
    assert turn.conversation_id == "conv_1"
    assert posts(wire) == 2


@pytest.mark.parametrize("tools", ACT)
def test_one_with_effects_is_not(wire: Wire, make_client: Make, waits: Any, tools: Any) -> None:
    wire.answer(BUSY, GOOD)
    with pytest.raises(MistralAgentsError, match="its tools may have run") as caught:
        make_client().conversations.start("q", model="m", tools=tools, store=False)
    assert posts(wire) == 1
    assert "history" not in str(caught.value)


@pytest.mark.parametrize("options", [{}, {"store": True}, {"store": None}])
def test_one_that_is_kept_is_not(wire: Wire, make_client: Make, waits: Any, options: Any) -> None:
    wire.answer(BUSY, GOOD)
    with pytest.raises(MistralAgentsError, match="busy"):
        make_client().conversations.start("q", model="m", **options)
    assert posts(wire) == 1


def test_it_can_be_turned_off(wire: Wire, make_client: Make, waits: Any) -> None:
    wire.answer(BUSY, GOOD)
    with pytest.raises(MistralAgentsError, match="busy"):
        make_client(retry_stateless=False).conversations.start("q", model="m", store=False)
    assert posts(wire) == 1


@pytest.mark.parametrize("retries", [0, 1, 3])
def test_it_follows_max_retries(wire: Wire, make_client: Make, waits: Any, retries: int) -> None:
    wire.answer(*[BUSY] * 5)
    with pytest.raises(MistralAgentsError) as caught:
        make_client(max_retries=retries).conversations.start("q", model="m", store=False)
    assert posts(wire) == retries + 1
    assert "history" not in str(caught.value)


def test_a_stateless_stream_that_broke_off_may_be_asked_again(wire: Wire, make_client: Make) -> None:
    wire.answer((200, b'event: x\ndata: {"type": "conversation.response.started"}\n\n'))
    with pytest.raises(MistralAgentsError, match="may be sent again") as caught:
        make_client().conversations.start_stream("q", model="m", store=False).read()
    assert "history" not in str(caught.value)


async def test_without_blocking_and_as_a_stream(wire: Wire, make_client: Make, waits: Any) -> None:
    client = make_client()
    wire.answer(BUSY, GOOD)
    assert (await client.conversations.astart("q", model="m", store=False)).conversation_id == "conv_1"
    wire.answer(BUSY, GOOD)
    async with client.conversations.astart_stream("q", model="m", store=False) as stream:
        assert (await stream.aread()).conversation_id == "conv_1"
    wire.answer(BUSY, GOOD)
    with client.conversations.start_stream("q", model="m", store=False) as stream:
        assert stream.read().conversation_id == "conv_1"


AGENTS = {
    "only looks": ({"tools": [{"type": "web_search"}]}, True),
    "without tools": ({}, True),
    "acts": ({"tools": [{"type": "connector", "connector_id": "c"}]}, False),
    "hands over": ({"handoffs": ["ag_2"]}, False),
}


@pytest.mark.parametrize(("record", "again"), AGENTS.values(), ids=AGENTS.keys())
def test_an_agents_tools_count_once_they_were_read(
    wire: Wire, make_client: Make, waits: Any, record: Any, again: bool
) -> None:
    client = make_client()
    wire.answer((200, {"id": "ag_1", "version": 0, **record}), BUSY, GOOD)
    client.agents.get("ag_1")
    if again:
        client.conversations.start("q", agent_id="ag_1", store=False)
    else:
        with pytest.raises(MistralAgentsError):
            client.conversations.start("q", agent_id="ag_1", store=False)
    assert posts(wire) == 1 + again


def test_an_agent_that_was_not_read_may_do_anything(wire: Wire, make_client: Make, waits: Any) -> None:
    wire.answer(BUSY, GOOD)
    with pytest.raises(MistralAgentsError):
        make_client().conversations.start("q", agent_id="ag_1", store=False)
    assert posts(wire) == 1


def test_each_version_of_an_agent_counts_for_itself() -> None:
    effects = AgentEffects()
    effects.learn({"id": "ag_1", "version": 3, "tools": []})
    assert effects.is_harmless("ag_1", None)
    assert effects.is_harmless("ag_1", 3)
    assert not effects.is_harmless("ag_1", 2)
    effects.learn({"id": "ag_1", "version": 4, "tools": [{"type": "image_generation"}]})
    assert not effects.is_harmless("ag_1", None)
    assert effects.is_harmless("ag_1", 3)


def test_an_odd_tool_has_effects() -> None:
    assert have_effects([{}])
    assert not have_effects(None)
