"""Responses and nodes of LlamaIndex to look at in notebooks and terminals."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from llama_index.core.agent.workflow import AgentOutput
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, CompletionResponse, ImageBlock, TextBlock
from llama_index.core.base.response.schema import PydanticResponse, Response, StreamingResponse
from llama_index.core.chat_engine.types import AgentChatResponse
from llama_index.core.schema import NodeWithScore

from llama_index_mistral_agents._messages_in import THINKING, TOOL_CALL
from llama_index_mistral_agents._messages_out import tool_calls
from mistral_agents._display.answers import FoundPassage, make_bubble, view_passages, view_sources
from mistral_agents._display.blocks import Block, Fold, Prose, View, Words
from mistral_agents._display.shown import Display
from mistral_agents._display.talk import data_block, fold_call, fold_run
from mistral_agents._display.words import shorten
from mistral_agents.display import show as show_own
from mistral_agents.entries import ToolExecution, parse_entries

__all__ = ["show"]


def show(value: Any) -> Display:
    """A response, a chat message, nodes or a list of these to look at; the foundation's own is shown as well.

    Args:
        value: What a query engine, a chat engine, an agent, an LLM or a retriever returned. The stream of a query
            engine is read to its end.

    Raises:
        ConfigurationError: There is no drawing of it.
    """
    if isinstance(value, (StreamingResponse, PydanticResponse)):
        value = _finish_response(value)
    blocks = _view_value(value)
    return Display(View(type(value).__name__, blocks, _write_text(value))) if blocks is not None else show_own(value)


def _finish_response(value: StreamingResponse | PydanticResponse) -> Response:
    if isinstance(value, StreamingResponse):
        return value.get_response()
    return Response(str(value), value.source_nodes, value.metadata)


def _view_value(value: Any) -> list[Block] | None:
    if isinstance(value, (Response, AgentChatResponse)):
        text = value.response if value.response is not None else ""
        return [Prose(text), *_view_nodes(value.source_nodes)]
    if isinstance(value, ChatResponse):
        return _view_chat_message(value.message)
    if isinstance(value, CompletionResponse):
        return [Prose(value.text), *_view_extra(value.additional_kwargs)]
    if isinstance(value, AgentOutput):
        return _view_chat_message(value.response)
    if isinstance(value, ChatMessage):
        return _view_chat_message(value)
    if isinstance(value, NodeWithScore):
        return _view_nodes([value])
    if isinstance(value, Sequence) and value and all(isinstance(one, NodeWithScore) for one in value):
        return _view_nodes(value)
    if isinstance(value, Sequence) and value and all(isinstance(one, ChatMessage) for one in value):
        return [make_bubble(one.role.value, _view_chat_message(one), is_user=one.role.value == "user") for one in value]
    return None


def _write_text(value: Any) -> str:
    if isinstance(value, NodeWithScore):
        return shorten(value.node.get_content(), 300)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "\n".join(map(_write_text, value))
    return str(value)


def _view_chat_message(message: ChatMessage) -> list[Block]:
    blocks: list[Block] = []
    for block in message.blocks:
        if isinstance(block, TextBlock):
            blocks.append(Prose(block.text))
        elif isinstance(block, ImageBlock) and isinstance(block.image, bytes):
            blocks.append(data_block(_encode_image(block.image)))
        elif THINKING is not None and isinstance(block, THINKING):
            blocks.append(Fold("reasoning", [Prose(block.content if block.content is not None else "")]))
        elif TOOL_CALL is None or not isinstance(block, TOOL_CALL):
            blocks.append(Words(block.block_type))
    calls = [fold_call(name, arguments) for _, name, arguments in tool_calls(message)]
    return [*blocks, *calls, *_view_extra(message.additional_kwargs)]


def _encode_image(data: bytes) -> str:
    """The picture in base64, as the block may hold it already."""
    try:
        base64.b64decode(data, validate=True)
    except ValueError:
        return base64.b64encode(data).decode()
    return data.decode()


def _view_extra(extra: Mapping[str, Any]) -> list[Block]:
    """The tools, sources and tokens of an answer of ours."""
    runs = parse_entries([{"type": ToolExecution.kind, **run} for run in extra.get("server_tools") or ()])
    blocks: list[Block] = [fold_run(run) for run in runs if isinstance(run, ToolExecution)]
    cited = (one for one in extra.get("citations") or () if isinstance(one, Mapping))
    blocks += view_sources(cited, "snippet")
    usage = extra.get("usage")
    tokens = f"{usage['total_tokens']} tokens" if isinstance(usage, Mapping) and "total_tokens" in usage else ""
    foot = " · ".join(str(part) for part in (extra.get("conversation_id"), tokens) if part)
    return [*blocks, *([Words(foot)] if foot else [])]


def _view_nodes(nodes: Iterable[NodeWithScore]) -> list[Block]:
    return view_passages(
        FoundPassage(one.node.get_content(), one.node.metadata, one.node.node_id, one.score) for one in nodes
    )
