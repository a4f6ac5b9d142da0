"""What the service refuses beyond the shape of a body."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from mistral_agents_server.errors import ApiError, invalid
from mistral_agents_server.wire import AppendRequest, RestartRequest, StartRequest

Wire = dict[str, Any]

MAX_TOOLS = 128
"""As the service documents among its known limitations."""


def _refuse(message: str, *where: str | int) -> ApiError:
    return invalid(("body", *where), "value_error", message)


def check_start(body: StartRequest) -> None:
    """Check which fields go together.

    Raises:
        ApiError: 422, in the words users of the service report.
    """
    if (body.agent_id is None) == (body.model is None):
        raise _refuse("Exactly one of 'agent_id' and 'model' is required")
    if body.agent_id is not None:
        _forbid(body, "agent", ("completion_args", "instructions", "tools"))
    else:
        _forbid(body, "model", ("handoff_execution", "agent_version"))
    require_inputs(body)


def _forbid(body: StartRequest | RestartRequest, kind: str, names: Sequence[str]) -> None:
    given = [name for name in names if getattr(body, name) is not None]
    if given:
        article = "an" if kind == "agent" else "a"
        raise _refuse(f"Conversation with {article} '{kind}' can't contain the following fields {', '.join(given)}")


def check_restart(body: RestartRequest, agent_id: str | None) -> None:
    """Check a restart: only an agent has versions. Without inputs the conversation goes on from its kept entries.

    Raises:
        ApiError: 422.
    """
    if agent_id is None:
        _forbid(body, "model", ("agent_version",))


def require_inputs(body: StartRequest | AppendRequest) -> None:
    """Check that something is said.

    Raises:
        ApiError: 422 when `inputs` is missing or empty.
    """
    if not body.inputs:
        raise _refuse("inputs is required", "inputs")


def check_tools(tools: Sequence[Wire], args: Wire) -> None:
    """Check declared tools, of an agent or a conversation, together with its completion arguments.

    Raises:
        ApiError: 422.
    """
    if len(tools) > MAX_TOOLS:
        raise _refuse(f"At most {MAX_TOOLS} tools are allowed", "tools")
    kinds = {tool["type"] for tool in tools}
    if {"web_search", "web_search_premium"} <= kinds:
        raise _refuse("Can't add web_search and web_search_premium together", "tools")
    check_choice(tools, args)
    for place, tool in enumerate(tools):
        for library_id in tool.get("library_ids", []):
            if not _is_uuid(library_id):
                raise _refuse(f"{library_id} is not a valid UUID", "tools", place, "document_library", "library_ids")


def check_choice(tools: Sequence[Wire], args: Wire) -> None:
    """Check that no call is forced where hosted tools are.

    Raises:
        ApiError: 422.
    """
    hosted = any(tool["type"] != "function" for tool in tools)
    if hosted and args.get("tool_choice") == "required":
        raise _refuse(
            "Can't set 'tool_choice' to 'required' when using built in connectors", "completion_args", "tool_choice"
        )


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True
