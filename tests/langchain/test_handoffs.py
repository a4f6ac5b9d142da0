"""Handoffs carried out by a graph of our own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.messages import AIMessage

from langchain_mistral_agents import ChatMistralAgent
from langchain_mistral_agents.handoffs import handoff_command, handoff_graph, handoff_of
from mistral_agents import MistralAgents
from mistral_agents.errors import ConfigurationError
from tests.support.running import Standin
from tests.support.scripted import ScriptedModel, call, say


@pytest.fixture
def agents(scripted: ScriptedModel, standin_factory: Callable[..., Standin]) -> dict[str, ChatMistralAgent]:
    client = MistralAgents(api_key="test-key", base_url=standin_factory(model_url=scripted.url).base_url)
    writer = client.agents.create(model="m", name="writer")
    clerk = client.agents.create(model="m", name="clerk", handoffs=[writer.id])
    made = {"clerk": clerk, "writer": writer}
    return {
        name: ChatMistralAgent(agent_id=agent.id, handoff_execution="client", client=client)
        for name, agent in made.items()
    }


def hand_over(body: dict[str, Any]) -> Any:
    """Call whatever function the service offers for a handoff."""
    return call(body["tools"][0]["function"]["name"])


def test_the_graph_goes_where_the_agents_hand_over(
    agents: dict[str, ChatMistralAgent], scripted: ScriptedModel
) -> None:
    scripted.script(hand_over, say("A poem."))
    messages = handoff_graph(agents, "clerk").invoke({"messages": "Write a poem"})["messages"]
    handoff = handoff_of(messages[1])
    assert handoff is not None
    assert handoff["next_agent_name"] == "writer"
    assert messages[-1].text == "A poem."
    assert messages[-1].response_metadata["agent_id"] == agents["writer"].agent_id


async def test_the_same_without_blocking(agents: dict[str, ChatMistralAgent], scripted: ScriptedModel) -> None:
    scripted.script(hand_over, say("A poem."))
    done = await handoff_graph(agents, "clerk").ainvoke({"messages": "Write a poem"})
    assert done["messages"][-1].text == "A poem."
    await agents["clerk"].mistral.aclose()


def test_an_answer_that_goes_on_after_its_handoff_is_no_handoff() -> None:
    block = {"type": "non_standard", "value": {"type": "agent_handoff", "next_agent_id": "ag_2"}}
    blocks: list[Any] = [block, {"type": "text", "text": "x"}]
    assert handoff_of(AIMessage(content_blocks=blocks)) is None
    assert handoff_of(AIMessage("")) is None


def test_an_agent_without_a_node_is_named() -> None:
    block: Any = {"type": "non_standard", "value": {"type": "agent_handoff", "next_agent_id": "ag_2"}}
    with pytest.raises(ConfigurationError, match="ag_2"):
        handoff_command(AIMessage(content_blocks=[block]), {})


def test_agents_must_leave_handoffs_to_the_graph(agents: dict[str, ChatMistralAgent]) -> None:
    wrong = agents["clerk"].model_copy(update={"handoff_execution": "server"})
    with pytest.raises(ConfigurationError, match="clerk"):
        handoff_graph({**agents, "clerk": wrong}, "clerk")
