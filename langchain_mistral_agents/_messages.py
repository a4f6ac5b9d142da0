"""Steps of blocks as LangChain messages and chunks, with the metadata of a turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk, message_chunk_to_message
from langchain_core.messages.ai import add_ai_message_chunks
from langchain_core.messages.tool import ToolCallChunk, tool_call_chunk
from langchain_core.utils._merge import merge_lists

from langchain_mistral_agents._blocks import VERSION
from langchain_mistral_agents._items import history_digest
from langchain_mistral_agents._stopping import Stopper
from langchain_mistral_agents._streaming import Assembler, Step
from langchain_mistral_agents._usage import usage_metadata
from mistral_agents._json import JsonDict
from mistral_agents.turn import Turn

_DELTAS = frozenset({"text", "reasoning", "tool_call_chunk", "server_tool_call_chunk"})


def chunk_of(steps: Sequence[Step], **fields: Any) -> AIMessageChunk:
    """The steps as one chunk. Each field of a block stands in one chunk only, since repeated text concatenates."""
    blocks: list[str | dict[Any, Any]] = []
    calls: list[ToolCallChunk] = []
    for step in steps:
        block = _increment(step)
        if block is None:
            continue
        blocks.append({**block, "index": step.index})
        if block["type"] == "tool_call_chunk":
            name, call_id = block.get("name"), block.get("id")
            calls.append(tool_call_chunk(name=name, args=block["args"], id=call_id, index=step.index))
    if len(blocks) > 1:
        blocks, calls = merge_lists([], blocks) or [], merge_lists([], calls) or []
    metadata = {**VERSION, **fields.pop("response_metadata", {})}
    return AIMessageChunk(content=blocks, tool_call_chunks=calls, response_metadata=metadata, **fields)


def _increment(step: Step) -> JsonDict | None:
    """What a step adds to the message built of chunks."""
    kind = step.block["type"]
    if step.kind == "add":
        return step.block
    if step.kind == "open":
        return step.block if kind.endswith("_chunk") else None
    if kind == "text":
        notes = step.block.get("annotations")
        return {"type": "text", "text": "", "annotations": notes} if notes else None
    return None if kind in ("reasoning", "tool_call", "invalid_tool_call", "server_tool_call") else step.block


@dataclass(frozen=True, slots=True)
class Sent:
    """What must be known of a request to describe its answer.

    Attributes:
        stored: Whether the service keeps the conversation.
        prefix: Digest of all messages given.
        setup: Digest of the tools and instructions.
        model: The model asked for (or the agent), where the answer names none.
        stop: Stop sequences that we must enforce.
        headers: Whether to show the reply's headers.
        first_call_only: Whether only the first function call of the turn is kept.
        continues: The conversation that the turn branches from.
    """

    stored: bool
    prefix: str
    setup: str
    model: str | None
    stop: tuple[str, ...] = ()
    headers: bool = False
    first_call_only: bool = False
    continues: str | None = None


def _without_none(values: JsonDict) -> JsonDict:
    return {name: value for name, value in values.items() if value is not None}


def finish_reason(turn: Turn) -> str:
    """Why the turn ended; the service tells no reason, so it is read from the entries."""
    if turn.function_calls:
        return "tool_calls"
    return "confirmation" if turn.pending_confirmations else "stop"


def closing_metadata(turn: Turn, sent: Sent, answer: AIMessage) -> dict[str, Any]:
    """What is known of an answer at its end; `conversation_id` is told at its beginning."""
    skipped = [call.tool_call_id for call in turn.function_calls[1:]] if sent.first_call_only else []
    pending = [
        {"tool_call_id": call.tool_call_id, "name": call.name, "args": call.args} for call in turn.pending_confirmations
    ]
    return _without_none(
        {
            "model_name": turn.model if turn.model is not None else sent.model,
            "agent_id": turn.agent_id,
            "finish_reason": finish_reason(turn),
            "stored": sent.stored or None,
            "last_entry_id": turn.last_entry_id,
            "entry_ids": [entry.id for entry in turn.entries if entry.id is not None],
            "history_digest": history_digest([answer], systems=False, start=sent.prefix) if sent.stored else None,
            "setup_digest": sent.setup if sent.stored else None,
            "continues": sent.continues,
            "pending_confirmations": pending or None,
            "skipped_calls": skipped or None,
            "guardrails": turn.guardrails,
            "connectors": turn.usage.connectors or None,
            "quotas": _quotas(turn) or None,
            "request_id": turn.request_id,
            "headers": dict(turn.headers) if sent.headers else None,
        }
    )


def _quotas(turn: Turn) -> dict[str, Any]:
    return {f"{q.name}/{q.window}": {"limit": q.limit, "remaining": q.remaining} for q in turn.quotas}


def message_of(turn: Turn, sent: Sent) -> AIMessage:
    """The answer of a turn that came as a call."""
    assembler = Assembler()
    steps = Stopper(sent.stop, first_call_only=sent.first_call_only).steps(assembler.take_turn(turn))
    message = merged([chunk_of(steps, id=assembler.first_id), AIMessageChunk(content=[], chunk_position="last")])
    message.usage_metadata = usage_metadata(turn.usage)
    opening = {"conversation_id": turn.conversation_id} if turn.conversation_id is not None else {}
    message.response_metadata.update({**opening, **closing_metadata(turn, sent, message)})
    return message


def merged(chunks: Sequence[AIMessageChunk]) -> AIMessage:
    """The message that chunks add up to."""
    first, *rest = chunks
    message = message_chunk_to_message(add_ai_message_chunks(first, *rest))
    if not isinstance(message, AIMessage):
        raise TypeError(f"expected an AIMessage, got {type(message).__name__}")
    return message


def last_chunk(turn: Turn, sent: Sent, message_id: str | None) -> AIMessageChunk:
    """The end of a stream: usage, and all metadata but the conversation's id, which stood at the beginning."""
    whole = message_of(turn, sent)
    metadata = {name: value for name, value in whole.response_metadata.items() if name != "conversation_id"}
    return AIMessageChunk(
        content=[],
        id=message_id,
        usage_metadata=whole.usage_metadata,
        response_metadata=metadata,
        chunk_position="last",
    )
