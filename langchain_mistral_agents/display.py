"""Messages of LangChain to look at in notebooks and terminals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from langchain_core.documents import Document
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage

from mistral_agents._display.answers import FoundPassage, make_bubble, view_passages, view_sources, write_data
from mistral_agents._display.blocks import Block, Fold, Prose, View, Words
from mistral_agents._display.shown import Display
from mistral_agents._display.talk import data_block, fold_call, fold_result, fold_run
from mistral_agents._display.words import shorten
from mistral_agents.display import show as show_own
from mistral_agents.entries import ToolExecution

__all__ = ["show"]


def show(value: object) -> Display:
    """A message, several of them, or documents to look at; what the foundation returns is shown as well.

    Args:
        value: A `BaseMessage`, a `Document`, a list of these, or a mapping with `messages` (an agent's state).

    Raises:
        ConfigurationError: There is no drawing of it.
    """
    rows = value["messages"] if isinstance(value, Mapping) and "messages" in value else value
    if isinstance(rows, BaseMessage):
        blocks = _view_blocks(rows)
    elif isinstance(rows, Document):
        blocks = _view_documents([rows])
    elif isinstance(rows, Sequence) and rows and all(isinstance(row, BaseMessage) for row in rows):
        blocks = [_view_bubble(row) for row in rows]
    elif isinstance(rows, Sequence) and rows and all(isinstance(row, Document) for row in rows):
        blocks = _view_documents(rows)
    else:
        return show_own(value)
    return Display(View(type(rows).__name__, blocks, plain_text(rows)))


def plain_text(rows: Any) -> str:
    """Messages or documents as text."""
    found = [rows] if isinstance(rows, (BaseMessage, Document)) else list(rows)
    return "\n".join(row.text if isinstance(row, BaseMessage) else shorten(row.page_content, 300) for row in found)


def _view_bubble(message: BaseMessage) -> Block:
    name = message.name if message.name is not None else message.type
    return make_bubble(name, _view_blocks(message), is_user=isinstance(message, HumanMessage))


def _view_blocks(message: BaseMessage) -> list[Block]:
    if isinstance(message, ToolMessage):
        return [fold_result(message.name or message.tool_call_id, message.text)]
    parts = list(_join_runs([dict(part) for part in message.content_blocks]))
    blocks = [block for part in parts for block in _view_part(part)]
    blocks += view_sources((note for part in parts for note in _list_notes(part)), "cited_text")
    if isinstance(message, AIMessage):
        blocks.append(Words(_write_foot(message)))
    return blocks


def _join_runs(parts: list[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    """The parts, each hosted call with its result, which has no name of its own."""
    calls = {part.get("id") for part in parts if part.get("type") == "server_tool_call"}
    results = {part.get("tool_call_id"): part for part in parts if part.get("type") == "server_tool_result"}
    for part in parts:
        if part.get("type") == "server_tool_call":
            yield {**part, "result": results.get(part.get("id"))}
        elif part.get("type") != "server_tool_result" or part.get("tool_call_id") not in calls:
            yield part


def _list_notes(part: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    return (
        note for note in part.get("annotations") or () if isinstance(note, Mapping) and note.get("type") == "citation"
    )


def _view_part(part: dict[str, Any]) -> list[Block]:
    kind = part.get("type")
    if kind == "text":
        return [Prose(str(part.get("text", "")))]
    if kind == "reasoning":
        return [Fold("reasoning", [Prose(str(part.get("reasoning", "")))])]
    if kind == "tool_call":
        return [fold_call(str(part.get("name")), write_data(part.get("args")))]
    if kind == "server_tool_call":
        return [_fold_hosted(part, part.get("result") or {})]
    if kind == "server_tool_result":
        return [_fold_hosted({"name": f"result of {part.get('tool_call_id')}"}, part)]
    if kind == "image" and isinstance(part.get("base64"), str):
        return [data_block(part["base64"])]
    if kind == "non_standard" and isinstance(part.get("value"), Mapping):
        return [Words(_name_other(part["value"]))]
    return [Words(f"{kind} {part.get('file_id') or part.get('url') or part.get('id') or ''}".strip())]


def _fold_hosted(call: Mapping[str, Any], result: Mapping[str, Any]) -> Fold:
    output, extras = result.get("output"), call.get("extras")
    run = ToolExecution(
        name=str(call.get("name")),
        function=extras.get("function") if isinstance(extras, Mapping) else None,
        arguments=write_data(call["args"]) if call.get("args") else "",
        info=output if isinstance(output, dict) else {"result": output} if output is not None else {},
    )
    return replace(fold_run(run), failed=result.get("status") == "error")


def _name_other(value: Mapping[str, Any]) -> str:
    """What LangChain has no kind for: a handoff by its agents, all else by its type."""
    if value.get("type") == "agent_handoff":
        sides = ("previous_agent", "next_agent")
        return " → ".join(str(value.get(f"{side}_name") or value.get(f"{side}_id") or "?") for side in sides)
    return str(value.get("type") or "a block of another kind")


def _write_foot(message: AIMessage) -> str:
    usage = message.usage_metadata
    tokens = (
        f"{usage['total_tokens']} tokens ({usage['input_tokens']} in, {usage['output_tokens']} out)"
        if usage is not None
        else ""
    )
    told = message.response_metadata
    return " · ".join(str(part) for part in (told.get("model_name"), told.get("conversation_id"), tokens) if part)


def _view_documents(documents: Iterable[Document]) -> list[Block]:
    found = ((one, one.metadata) for one in documents)
    return view_passages(
        FoundPassage(one.page_content, told, one.id, told.get("score", told.get("relevance_score")))
        for one, told in found
    )
