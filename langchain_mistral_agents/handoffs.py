"""Handoffs between agents that your own graph carries out (`handoff_execution="client"`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from langchain_core.messages import AIMessage
from langchain_core.runnables import Runnable, RunnableLambda

from langchain_mistral_agents.chat_models import ChatMistralAgent
from mistral_agents.errors import ConfigurationError

if TYPE_CHECKING:
    from langgraph.graph.state import CompiledStateGraph
    from langgraph.types import Command

Handoff = dict[str, Any]


def handoff_of(message: AIMessage) -> Handoff | None:
    """The handoff that an answer ends with: `next_agent_id`, `next_agent_name` and the agent before.

    Returns:
        None where the answer goes on after its handoffs, or has none: then there is nothing left to carry out.
    """
    blocks: list[Any] = list(message.content_blocks)
    last = blocks[-1] if blocks else {}
    value = last.get("value") if last.get("type") == "non_standard" else None
    return value if isinstance(value, dict) and value.get("type") == "agent_handoff" else None


def handoff_command(message: AIMessage, nodes: Mapping[str, str]) -> Command[Any]:
    """What a node of a graph returns: the answer, and where to go: to the agent it hands over to, else to the end.

    Args:
        message: The node's answer.
        nodes: The node of each agent, by the agent's id.

    Raises:
        ConfigurationError: The answer hands over to an agent that has no node.
    """
    from langgraph.graph import END
    from langgraph.types import Command

    handoff = handoff_of(message)
    if handoff is None:
        return Command(goto=END, update={"messages": [message]})
    agent_id = str(handoff.get("next_agent_id"))
    if agent_id not in nodes:
        raise ConfigurationError(
            f"The answer hands over to {agent_id} ({handoff.get('next_agent_name')}), which has no node.",
            conversation_id=message.response_metadata.get("conversation_id"),
        )
    return Command(goto=nodes[agent_id], update={"messages": [message]})


def handoff_graph(agents: Mapping[str, ChatMistralAgent], entry: str) -> CompiledStateGraph[Any, Any, Any, Any]:
    """A graph with a node for each agent, between which their handoffs lead.

    Each agent answers the whole history in a conversation of its own, so the models keep `store=False`.

    Args:
        agents: The agents by the name of their node; each with `agent_id` and `handoff_execution="client"`.
        entry: The node to begin with.

    Raises:
        ConfigurationError: A model is no agent, runs its handoffs on the service, or stores its conversation.
    """
    from langgraph.graph import START, MessagesState, StateGraph

    for name, model in agents.items():
        if model.agent_id is None or model.handoff_execution != "client" or model.store:
            raise ConfigurationError(f'{name}: give agent_id=, handoff_execution="client" and store=False.')
    nodes = {str(model.agent_id): name for name, model in agents.items()}
    graph: Any = StateGraph(MessagesState)
    for name, model in agents.items():
        graph.add_node(name, _make_agent_node(model, nodes), destinations=(*agents, "__end__"))
    graph.add_edge(START, entry)
    compiled: CompiledStateGraph[Any, Any, Any, Any] = graph.compile()
    return compiled


def _make_agent_node(model: ChatMistralAgent, nodes: Mapping[str, str]) -> Runnable[Mapping[str, Any], Command[Any]]:
    def run(state: Mapping[str, Any]) -> Command[Any]:
        return handoff_command(model.invoke(state["messages"]), nodes)

    async def arun(state: Mapping[str, Any]) -> Command[Any]:
        return handoff_command(await model.ainvoke(state["messages"]), nodes)

    return RunnableLambda(run, arun)
