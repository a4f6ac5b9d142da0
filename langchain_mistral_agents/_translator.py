"""Registers how our messages say their content as standard blocks, where they lost the mark that says they do."""

from __future__ import annotations

from typing import Any

from langchain_core.messages import AIMessage
from langchain_core.messages.block_translators import register_translator

PROVIDER = "mistral_agents"
"""The `model_provider` of our messages; the translator that others register as `mistralai` loses citations."""

_KNOWN = frozenset(
    {
        "text",
        "reasoning",
        "tool_call",
        "tool_call_chunk",
        "invalid_tool_call",
        "server_tool_call",
        "server_tool_call_chunk",
        "server_tool_result",
        "image",
        "file",
        "non_standard",
    }
)

_CALLS = frozenset({"tool_call", "tool_call_chunk", "invalid_tool_call"})


def _make_standard_block(item: object) -> dict[str, Any]:
    from langchain_mistral_agents._blocks import non_standard

    if isinstance(item, str):
        return {"type": "text", "text": item}
    return item if isinstance(item, dict) and item.get("type") in _KNOWN else non_standard(item)


def translate_content(message: AIMessage) -> list[Any]:
    """The content as blocks: it already is, but for text given as a string and calls given beside it."""
    from langchain_mistral_agents._answer_chunk import text_block

    if isinstance(message.content, str):
        blocks = [text_block(message.content)] if message.content else []
    else:
        blocks = [_make_standard_block(item) for item in message.content if item != ""]
    shown = {block.get("id") for block in blocks if block["type"] in _CALLS}
    calls = [*message.tool_calls, *message.invalid_tool_calls]
    return blocks + [dict(call) for call in calls if call["id"] not in shown]


def add_translator() -> None:
    """Register the translator; harmless when repeated."""
    register_translator(PROVIDER, translate_content, translate_content)
