"""Sending a request: by call or stream, without or with blocking."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.messages import BaseMessage

from langchain_mistral_agents._errors import DivergenceError
from langchain_mistral_agents._plan import Asked, Request
from langchain_mistral_agents._state import anchors, tool_keys
from mistral_agents import MistralAgents
from mistral_agents._json import JsonDict
from mistral_agents.tools import translate_tools
from mistral_agents.turn import Turn


def _arguments(request: Request) -> tuple[Any, ...]:
    position = request.position
    if position.operation == "start":
        return (request.inputs,)
    if position.operation == "append":
        return (position.conversation_id, request.inputs)
    return (position.conversation_id, position.entry_id, request.inputs)


def _options(request: Request) -> JsonDict:
    """With the last known entry, the foundation finds a lost answer in the history instead of sending again."""
    position = request.position
    known = position.entry_id if position.operation == "append" else None
    return {**request.options, "after_entry_id": known} if known is not None else request.options


def send(client: MistralAgents, request: Request) -> Turn:
    """Send, and wait for the turn."""
    turn: Turn = getattr(client.conversations, request.position.operation)(*_arguments(request), **_options(request))
    return turn


async def asend(client: MistralAgents, request: Request) -> Turn:
    """As `send`, without blocking."""
    method = getattr(client.conversations, f"a{request.position.operation}")
    turn: Turn = await method(*_arguments(request), **_options(request))
    return turn


def open_stream(client: MistralAgents, request: Request) -> Any:
    """The turn as a stream; a context manager."""
    method = getattr(client.conversations, f"{request.position.operation}_stream")
    return method(*_arguments(request), **request.options)


def aopen_stream(client: MistralAgents, request: Request) -> Any:
    """As `open_stream`, without blocking."""
    method = getattr(client.conversations, f"a{request.position.operation}_stream")
    return method(*_arguments(request), **request.options)


def unseen(messages: Sequence[BaseMessage], asked: Asked) -> str | None:
    """A conversation that is gone on with by its id alone, so that its tools and instructions are not known."""
    wanted = asked.wanted
    if wanted.systems or not (asked.tools or asked.instructions) or anchors(messages, wanted.given):
        return None
    return wanted.given if wanted.given is not None else wanted.fallback


def check_setup(info: JsonDict, asked: Asked) -> None:
    """Compare what a conversation was begun with and what is asked now; both are fixed at its start.

    Raises:
        DivergenceError: They differ.
    """
    changed = []
    sent = translate_tools(asked.tools).added_to(asked.instructions)
    if asked.instructions is not None and info.get("instructions") != sent:
        changed.append("instructions")
    if asked.tools and tool_keys(asked.tools) != tool_keys(info.get("tools") or []):
        changed.append("tools")
    if changed:
        raise DivergenceError(
            f"The conversation was begun with other {' and '.join(changed)}, which can't be changed afterwards.",
            conversation_id=info.get("id"),
            hint="Leave them out, give the same ones, or begin a new conversation.",
        )
