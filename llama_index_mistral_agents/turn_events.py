"""Events on LlamaIndex's instrumentation dispatcher: what a turn cost, and what ran on the service's side."""

from __future__ import annotations

from typing import Any

from llama_index_instrumentation import get_dispatcher
from llama_index_instrumentation.span import active_span_id

from llama_index_mistral_agents._messages_in import server_tool, usage_dict
from llama_index_mistral_agents._named_event import NamedEvent
from llama_index_mistral_agents._traces import has_listeners
from mistral_agents.turn import Turn

dispatcher = get_dispatcher(__name__)


class TurnUsageEvent(NamedEvent):
    """Tokens and connector calls of one turn, as the service reported them (zeros are possible).

    Attributes:
        usage: `prompt_tokens`, `completion_tokens`, `connector_tokens`, `total_tokens`, `connectors`.
        conversation_id: The conversation.
        answered_by: The model's name or the agent's id.
    """

    usage: dict[str, Any]
    conversation_id: str | None = None
    answered_by: str | None = None


class ServerToolExecutionEvent(NamedEvent):
    """A hosted tool ran on the service.

    Attributes:
        tool: `id`, `name`, `function`, `arguments` (JSON text), `info`, and `error` for a run that failed.
        conversation_id: The conversation.
    """

    tool: dict[str, Any]
    conversation_id: str | None = None


class ServerHandoffEvent(NamedEvent):
    """The service moved the conversation from one agent to another.

    Attributes:
        handoff: `previous_agent_id`, `previous_agent_name`, `next_agent_id`, `next_agent_name`, ...
        conversation_id: The conversation.
    """

    handoff: dict[str, Any]
    conversation_id: str | None = None


def announce(turn: Turn, span_id: str | None = None) -> None:
    """Send the events of a turn, where somebody listens.

    Args:
        turn: The turn.
        span_id: The span that they belong to, since a stream ends outside of its own; None for the one that is open.
    """
    if not has_listeners(dispatcher):
        return
    facts: dict[str, Any] = {
        "conversation_id": turn.conversation_id,
        "span_id": span_id if span_id is not None else active_span_id.get(),
    }
    for entry in turn.tool_executions:
        dispatcher.event(ServerToolExecutionEvent(tool=server_tool(entry), **facts))
    for handoff in turn.handoffs:
        dispatcher.event(ServerHandoffEvent(handoff=handoff.raw, **facts))
    answered_by = turn.model if turn.model is not None else turn.agent_id
    dispatcher.event(TurnUsageEvent(usage=usage_dict(turn), answered_by=answered_by, **facts))
