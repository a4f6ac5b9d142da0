"""What a `MistralWorkflowAgent` puts into the stream of its run, beside LlamaIndex's own events."""

from __future__ import annotations

from typing import Any

from llama_index.core.workflow import Event, InputRequiredEvent


class ServerToolCall(Event):
    """A hosted tool began to run on the service (only when streaming)."""

    tool_name: str
    tool_id: str | None = None
    function: str | None = None
    server_side: bool = True


class ServerToolResult(Event):
    """A hosted tool ran on the service: `id`, `name`, `function`, `arguments`, `info`, `error` in `tool`."""

    tool_name: str
    tool: dict[str, Any]
    server_side: bool = True


class ServerHandoff(Event):
    """The service moved the conversation to another agent: `next_agent_id`, `next_agent_name`, ... in `handoff`."""

    handoff: dict[str, Any]


class ConversationReset(Event):
    """The agent left its stored conversation and starts a new one with the whole history.

    Attributes:
        conversation_id: The conversation that was left.
        reason: `memory` (its messages were edited) or `tools` (other tools or another model than at its start).
    """

    conversation_id: str | None
    reason: str


class ConfirmationRequest(InputRequiredEvent):
    """Hosted tools wait for the user; answer with `HumanResponseEvent(allow=True)`, `False`, or a list of call ids.

    Attributes:
        calls: `id` and `function` (`name`, `arguments`) of each.
    """

    calls: list[dict[str, Any]]
