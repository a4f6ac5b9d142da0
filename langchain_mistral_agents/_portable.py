"""Our history for models of other providers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage, convert_to_messages

from langchain_mistral_agents._local_tools import answer_unreadable
from langchain_mistral_agents._messages_out import is_ours

Block = dict[str, Any]


def to_portable_messages(messages: LanguageModelInput) -> list[BaseMessage]:
    """Messages that every chat model of LangChain understands; use it before a fallback to another provider.

    It takes what a model takes: messages in any form, a prompt's value, a text.

    Answers of ours keep their text and their function calls; sources are listed after the text, what hosted tools did
    is told in a line each, and files by name. Calls that can't be read keep their text, with a result behind them that
    says so where there is none. Messages of others are passed on as they are.
    """
    given = convert_to_messages([messages] if isinstance(messages, str) else messages)
    answered = {message.tool_call_id for message in given if isinstance(message, ToolMessage)}
    found: list[BaseMessage] = []
    for message in given:
        if isinstance(message, AIMessage) and is_ours(message):
            found.append(_make_portable(message))
            found += [result for result in answer_unreadable(message) if result.tool_call_id not in answered]
        else:
            found.append(message)
    return found


def _make_portable(message: AIMessage) -> AIMessage:
    lines = [line for block in message.content_blocks if (line := _tell_block(dict(block)))]
    return AIMessage(
        "\n\n".join(lines),
        tool_calls=message.tool_calls,
        invalid_tool_calls=message.invalid_tool_calls,
        id=message.id,
        name=message.name,
    )


def _tell_block(block: Block) -> str:
    kind = block["type"]
    if kind == "text":
        return str(block["text"]) + _list_sources(block.get("annotations") or [])
    if kind == "server_tool_call":
        return f"[{block['name']}: {json.dumps(block['args'], ensure_ascii=False)}]"
    if kind == "server_tool_result":
        output = block.get("output")
        result = output.get("result") if isinstance(output, dict) else output
        return f"[result: {result if isinstance(result, str) else json.dumps(result, ensure_ascii=False)}]"
    if kind in ("image", "file"):
        return f"[{kind}: {block.get('extras', {}).get('name') or block.get('url') or block.get('file_id')}]"
    return ""


def _list_sources(notes: Sequence[Block]) -> str:
    named = [f"{note.get('title') or 'source'} {note.get('url', '')}".strip() for note in notes]
    return f" ({'; '.join(named)})" if named else ""
