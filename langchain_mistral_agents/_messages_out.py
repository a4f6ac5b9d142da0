"""LangChain messages → entries the service takes as inputs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, ChatMessage, HumanMessage, SystemMessage, ToolMessage

from langchain_mistral_agents._content import human_content, result_content, system_content
from langchain_mistral_agents._translator import PROVIDER
from mistral_agents._border.blocks import UNTYPED, make_thought, note_instructions, warn_left_out
from mistral_agents._border.calls import (
    CALL_KINDS,
    EntryWithFiles,
    make_result_entry,
    place_files,
    read_told_call,
    replay_call,
    replay_run,
)
from mistral_agents._border.dialects import read_words
from mistral_agents._json import JsonDict
from mistral_agents.entries import assistant_message, user_message
from mistral_agents.errors import ConfigurationError

_CALLS = ("tool_call", "invalid_tool_call")
_FAILED = "Error: "


def is_ours(message: BaseMessage) -> bool:
    """Whether this package made the message."""
    return isinstance(message, AIMessage) and message.response_metadata.get("model_provider") == PROVIDER


def instructions_of(messages: Sequence[BaseMessage], own: str | None) -> str | None:
    """The model's own instructions and every system message, joined by a blank line."""
    found = [system_content(m.content) for m in messages if isinstance(m, SystemMessage)]
    parts = [part for part in [own, *found] if part is not None and part.strip()]
    return "\n\n".join(parts) if parts else None


def to_entries(messages: Sequence[BaseMessage], *, systems: bool) -> list[JsonDict]:
    """Messages as entries, in order.

    Args:
        messages: What to send.
        systems: System messages go in as inputs (an agent's instructions can't be changed); else they are left to
            `instructions`.

    Raises:
        ConfigurationError: A message is of a kind that can't be sent.
    """
    return place_files(made for message in messages for made in _make_entries(message, systems))


def _make_entries(message: BaseMessage, systems: bool) -> Iterator[EntryWithFiles]:
    if isinstance(message, SystemMessage):
        text = system_content(message.content) if systems else ""
        if text.strip():
            yield user_message(note_instructions(text))
    elif isinstance(message, HumanMessage):
        yield from make_human_entries(message)
    elif isinstance(message, AIMessage):
        yield from _make_assistant_entries(message)
    elif isinstance(message, ToolMessage):
        prefix = _FAILED if message.status == "error" else ""
        yield make_result_entry(message.tool_call_id, result_content(message.content), prefix)
    elif isinstance(message, ChatMessage) and message.role in ("user", "assistant"):
        yield (
            user_message(human_content(message.content)) if message.role == "user" else assistant_message(message.text)
        )
    else:
        role = f" of the role {message.role!r}" if isinstance(message, ChatMessage) else ""
        hint = "Say it as a SystemMessage, HumanMessage, AIMessage, or ToolMessage with the id of its call."
        raise ConfigurationError(f"A {type(message).__name__}{role} can't be sent to a conversation.", hint=hint)


def make_human_entries(message: HumanMessage) -> Iterator[EntryWithFiles]:
    """A human message; tool results inside it (Anthropic's dialect) become results of their own."""
    content = message.content
    if isinstance(content, list):
        results = [b for b in content if isinstance(b, dict) and b.get("type") == "tool_result"]
        for block in results:
            prefix = _FAILED if block.get("is_error") is True else ""
            yield make_result_entry(block.get("tool_use_id") or "", result_content(block.get("content") or ""), prefix)
        content = [block for block in content if block not in results]
        if results and not content:
            return
    yield user_message(human_content(content))


def _make_assistant_entries(message: AIMessage) -> Iterator[JsonDict]:
    """An answer: text and thoughts as messages, calls after the words before them."""
    words: list[JsonDict] = []
    hosted: dict[str, JsonDict] = {}
    for block in _list_blocks(message):
        chunk = _read_word(block, ours=is_ours(message))
        if chunk is not None:
            words.append(chunk)
            continue
        entries = list(_make_actions(block, hosted, ours=is_ours(message)))
        if entries:
            yield from _flush_words(words)
            words = []
            yield from entries
    yield from _flush_words(words)


def _list_blocks(message: AIMessage) -> list[Any]:
    try:
        blocks: list[Any] = list(message.content_blocks)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"A content block of an AIMessage can't be read: {error}.") from error
    calls: list[Any] = [{**call, "type": "tool_call"} for call in message.tool_calls]
    calls += [{**call, "type": "invalid_tool_call"} for call in message.invalid_tool_calls]
    read = map(_read_foreign_call, blocks)
    return _place_calls(read, calls) if calls or is_ours(message) else list(read)


def _place_calls(blocks: Iterable[JsonDict], calls: list[Any]) -> list[Any]:
    """The calls of a message in the places of their blocks: whoever edits a call does so in `tool_calls`."""
    placed = []
    for block in blocks:
        if block.get("type") not in _CALLS:
            placed.append(block)
            continue
        call = next((call for call in calls if call["id"] == block.get("id")), None)
        if call is not None:
            calls.remove(call)
            placed.append(call)
    return placed + calls


def _read_foreign_call(block: JsonDict) -> JsonDict:
    """The block, or the call that it is in another provider's form."""
    value = block.get("value") if block.get("type") == "non_standard" else None
    if not isinstance(value, dict) or value.get("type") not in CALL_KINDS:
        return block
    call_id, name, arguments = read_told_call(value)
    return {"type": "tool_call", "id": call_id, "name": name, "args": arguments}


def _flush_words(words: list[JsonDict]) -> Iterator[JsonDict]:
    if not words:
        return
    if all(chunk["type"] == "text" for chunk in words):
        text = "".join(chunk["text"] for chunk in words)
        if text:
            yield assistant_message(text)
    else:
        yield assistant_message(words)


def _read_word(block: JsonDict, *, ours: bool) -> JsonDict | None:
    kind = block.get("type")
    if kind == "reasoning" and ours:
        return make_thought(block.get("reasoning", ""))
    words = read_words(block.get("value") if kind == "non_standard" else block)
    return {"type": "text", "text": words} if words is not None else None


def _make_actions(block: JsonDict, hosted: dict[str, JsonDict], *, ours: bool) -> Iterator[JsonDict]:
    kind = block.get("type")
    if kind in ("tool_call", "invalid_tool_call"):
        yield replay_call(block.get("id"), block.get("name"), block.get("args"))
    elif kind == "server_tool_call" and ours:
        hosted[str(block.get("id"))] = block
    elif kind == "server_tool_result" and ours:
        run = hosted.get(str(block.get("tool_call_id")), {})
        name = run.get("extras", {}).get("name", run.get("name", "tool"))
        yield from replay_run(block.get("tool_call_id"), name, run.get("args"), block.get("output"))
    elif not ours and kind != "tool_call_chunk":  # a sum of chunks tells its calls beside them
        value = block.get("value") if kind == "non_standard" else None
        label = value.get("type") or UNTYPED if isinstance(value, dict) else kind
        warn_left_out(str(label), "of another provider's answer")
