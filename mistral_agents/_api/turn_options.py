"""What turns take, as typed dicts: the names and types of `start`, `append` and `restart`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict

HandoffExecution = Literal["server", "client"]


class TurnOptions(TypedDict, total=False):
    """What every turn takes.

    Attributes:
        store: Whether the service keeps the conversation; one that is not kept can't be continued.
        handoff_execution: Who runs handoffs; only with an agent.
        completion_args: Sampling and format options by the service's names (`temperature`, `stop`, ...).
        timeout: Seconds that the whole call may take, retries included; of a stream, seconds until it begins, and of
            silence where the client has no `stream_idle_timeout`. None takes the client's setting.
        headers: Further HTTP headers.
    """

    store: bool | None
    handoff_execution: HandoffExecution | None
    completion_args: Mapping[str, Any] | None
    timeout: float | None
    headers: Mapping[str, str] | None


class StartOptions(TurnOptions, total=False):
    """What `start` takes.

    Attributes:
        model: The model; give this or `agent_id`.
        agent_id: The agent; it brings its own model, instructions and tools.
        agent_version: A version number (they start at 0) or an alias.
        instructions: System prompt; only with `model`.
        tools: Tools as dicts (see `mistral_agents.tools`); fixed for the life of the conversation.
        guardrails: As the service takes them.
        name: A name for the conversation.
        description: A description of it.
        metadata: Your own keys, kept with the conversation.
    """

    model: str | None
    agent_id: str | None
    agent_version: int | str | None
    instructions: str | None
    tools: Sequence[Mapping[str, Any]] | None
    guardrails: Sequence[Mapping[str, Any]] | None
    name: str | None
    description: str | None
    metadata: Mapping[str, Any] | None


class AppendOptions(TurnOptions, total=False):
    """What `append` takes.

    Attributes:
        tool_confirmations: Answers to pending hosted tools: `{"tool_call_id", "confirmation": "allow"|"deny"}` each.
        after_entry_id: The last entry you know of. With it, an answer lost on the way (timeout, broken connection,
            5xx) is looked up in the history, within `timeout` once more; without it such a failure is raised as it is.
            A stream that had begun raises all the same: its error's `.found` is the whole answer.
    """

    tool_confirmations: Sequence[Mapping[str, Any]] | None
    after_entry_id: str | None


class RestartOptions(TurnOptions, total=False):
    """What `restart` takes.

    Attributes:
        agent_version: A version number or an alias.
        guardrails: As the service takes them.
        metadata: Your own keys, kept with the new conversation.
    """

    agent_version: int | str | None
    guardrails: Sequence[Mapping[str, Any]] | None
    metadata: Mapping[str, Any] | None
