"""LangChain messages as the foundation's items, which tell where in a stored conversation a history stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

from langchain_mistral_agents._content import human_content, result_content
from langchain_mistral_agents._messages_out import is_ours, make_human_entries
from mistral_agents._border.calls import ToldCall
from mistral_agents._border.fingerprints import Item, Mark, answer_item, chain, entry_words, input_words, result_words
from mistral_agents._json import JsonDict


def items_of(messages: Sequence[BaseMessage]) -> list[Item]:
    """The items of a history."""
    return [item_of(message) for message in messages]


def item_of(message: BaseMessage) -> Item:
    """The item of a message."""
    if isinstance(message, AIMessage):
        calls: list[ToldCall] = [(call["id"] or "", call["name"], call["args"]) for call in message.tool_calls]
        calls += [(call["id"] or "", call["name"] or "", call["args"]) for call in message.invalid_tool_calls]
        return answer_item(str(message.text), calls, mark_of(message))
    if isinstance(message, ToolMessage):
        content = result_content(message.content)
        words = result_words(message.tool_call_id, f"Error: {content.text}" if _is_failed(message) else content.text)
        return Item("result", [*words, *content.chunks])
    if isinstance(message, HumanMessage):
        return Item("input", [word for made in make_human_entries(message) for word in entry_words(made)])
    kind: Any = "system" if isinstance(message, SystemMessage) else "input"
    return Item(kind, input_words(human_content(message.content)))


def _is_failed(message: ToolMessage) -> bool:
    return message.status == "error"


def mark_of(message: BaseMessage) -> Mark | None:
    """Where an answer stands in a stored conversation; None for every other message."""
    facts = message.response_metadata if is_ours(message) else {}
    if not (facts.get("stored") and facts.get("conversation_id")):
        return None
    return Mark(
        conversation_id=facts["conversation_id"],
        entry_id=facts.get("last_entry_id"),
        history=facts.get("history_digest"),
        setup=facts.get("setup_digest"),
        continues=facts.get("continues"),
        skipped=facts.get("skipped_calls") or (),
        waiting=[call["tool_call_id"] for call in list_pending(message)],
        held=facts.get("held") is True,
    )


def list_pending(message: BaseMessage | None) -> list[JsonDict]:
    """The hosted calls that wait for a decision after an answer: `tool_call_id`, `name`, `args`."""
    found = message.response_metadata.get("pending_confirmations") if message is not None else None
    return found if isinstance(found, list) else []


def history_digest(messages: Sequence[BaseMessage], *, systems: bool, start: str = "") -> str:
    """The digest of a history up to its last message."""
    found = chain(items_of(messages), systems=systems, start=start)
    return found[-1] if found else start
