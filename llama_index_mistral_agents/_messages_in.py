"""Answers and histories of the service as LlamaIndex messages.

A message has the blocks thinking, text, citations, tool calls, images, in this order. The text is one block, so that
`message.content` is the joined text of the answer; where a citation stood in it is in its `offset`. Everything a block
can't say is in `additional_kwargs`, as plain JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from llama_index.core.base.llms import types
from llama_index.core.base.llms.types import (
    ChatMessage,
    CitationBlock,
    DocumentBlock,
    ImageBlock,
    MessageRole,
    TextBlock,
)

from mistral_agents._border.calls import find_call_fault, parse_call_arguments
from mistral_agents._border.fingerprints import group_entries
from mistral_agents._border.stops import cut_turn
from mistral_agents._json import JsonDict
from mistral_agents._turn.content import chunk_text
from mistral_agents.entries import (
    Entry,
    FunctionCall,
    FunctionResult,
    MessageInput,
    ToolExecution,
)
from mistral_agents.turn import Citation, FileRef, Turn

# Older releases of llama-index-core 0.14 have neither; there `additional_kwargs` alone holds what they would.
THINKING: Any = getattr(types, "ThinkingBlock", None)
TOOL_CALL: Any = getattr(types, "ToolCallBlock", None)
_FILES = ("image_url", "document_url")
_CITED = ("origin", "title", "url", "document_id", "library_id", "snippet", "offset")


def answer_message(
    turn: Turn,
    *,
    stored: bool,
    first_call_only: bool = False,
    stop: Sequence[str] = (),
    undecided: Sequence[JsonDict] = (),
    **marks: object,
) -> ChatMessage:
    """The message of a turn.

    Args:
        turn: What the service answered.
        stored: Whether the service keeps the conversation, so that the message can be continued from.
        first_call_only: Keep one function call; the others are named in `skipped_calls`.
        stop: The answer ends before the first of these; calls behind it are named in `skipped_calls`.
        undecided: Hosted calls of earlier answers that go on waiting for a decision.
        marks: What the next turn must know (see `_plan`).
    """
    whole, turn = turn, cut_turn(turn, stop) if stop else turn
    calls, citations, files = turn.function_calls, turn.citations, turn.files
    kept = calls[:1] if first_call_only else calls
    kwargs: JsonDict = {
        "citations": [citation_dict(citation) for citation in citations],
        "server_tools": [server_tool(entry) for entry in turn.tool_executions],
        "usage": usage_dict(turn),
        "conversation_id": turn.conversation_id,
        "stored": stored,
    }
    optional = {
        "entry_id": whole.last_entry_id,
        "tool_calls": [tool_call(call) for call in kept],
        "skipped_calls": [call.tool_call_id for call in whole.function_calls if call not in kept],
        "pending_confirmations": [*undecided, *(tool_call(call) for call in whole.pending_confirmations)],
        "handoffs": [handoff.raw for handoff in turn.handoffs],
        "files": [file_dict(ref) for ref in files],
        "guardrails": turn.guardrails,
        "thinking": turn.reasoning if THINKING is None else "",
        **marks,
    }
    kwargs.update({name: value for name, value in optional.items() if value})
    blocks = _make_blocks(turn, citations, kept, files)
    return ChatMessage(role=MessageRole.ASSISTANT, blocks=blocks, additional_kwargs=kwargs)


def _make_blocks(turn: Turn, citations: list[Citation], calls: list[FunctionCall], files: list[FileRef]) -> list[Any]:
    text, reasoning = turn.text, turn.reasoning
    blocks: list[Any] = []
    if reasoning and THINKING is not None:
        blocks.append(THINKING(content=reasoning))
    if text:
        blocks.append(TextBlock(text=text))
    blocks.extend(citation_block(citation) for citation in citations)
    blocks.extend(call_block(call.name, call.tool_call_id, call.arguments) for call in calls if TOOL_CALL is not None)
    blocks.extend(ImageBlock(url=ref.url) for ref in files if ref.is_image and ref.url is not None)
    return blocks


def call_block(name: str, call_id: str, arguments: str) -> Any:
    """A tool call block; arguments that are no JSON object (yet) stay text."""
    readable = find_call_fault(name, arguments) is None
    kwargs = parse_call_arguments(arguments) if readable else arguments
    return TOOL_CALL(tool_call_id=call_id, tool_name=name, tool_kwargs=kwargs)


def tool_call(call: FunctionCall) -> JsonDict:
    """A function call in the form that LlamaIndex and most providers keep in `additional_kwargs`."""
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.tool_call_id, "type": "function", "function": function}


def citation_dict(citation: Citation) -> JsonDict:
    """A citation as plain JSON, without what is not known."""
    found = {name: getattr(citation, name) for name in _CITED}
    known = {name: value for name, value in found.items() if value is not None}
    return {**known, "pages": list(citation.pages)} if citation.pages else known


def citation_block(citation: Citation) -> CitationBlock:
    """A citation as a block; the place is in numbers only, as the block demands."""
    place = {"offset": citation.offset, "page": citation.pages[0] if citation.pages else None}
    return CitationBlock(
        cited_content=TextBlock(text=citation.snippet if citation.snippet is not None else ""),
        source=citation.url or citation.document_id or "",
        title=citation.title or "",
        additional_location_info={name: value for name, value in place.items() if value is not None},
    )


def server_tool(entry: ToolExecution) -> JsonDict:
    """One run of a hosted tool as plain JSON."""
    return {
        "id": entry.id,
        "name": entry.name,
        "function": entry.function,
        "arguments": entry.arguments,
        "info": entry.info,
        "error": entry.error,
    }


def usage_dict(turn: Turn) -> JsonDict:
    """Tokens and connector calls as the service reported them."""
    usage = turn.usage
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "connector_tokens": usage.connector_tokens,
        "total_tokens": usage.total_tokens,
        "connectors": dict(usage.connectors),
    }


def file_dict(ref: FileRef) -> JsonDict:
    """A file that the turn made; fetch it with `MistralAgentLLM.fetch_files`."""
    return {
        "file_id": ref.file_id,
        "name": ref.name,
        "declared_type": ref.declared_type,
        "tool": ref.tool,
        "url": ref.url,
    }


# Histories ----------------------------------------------------------------------------------------------------------


def history_messages(entries: Iterable[Entry], conversation_id: str) -> list[ChatMessage]:
    """The entries of a stored conversation as messages: one per input, one per answer, one per function result."""
    return [make_history_message(group, conversation_id) for group in group_entries(list(entries))]


def make_history_message(group: Sequence[Entry], conversation_id: str) -> ChatMessage:
    """The message of an input, or of the entries of an answer."""
    if isinstance(group[0], (MessageInput, FunctionResult)):
        return _make_input_message(group[0], conversation_id)
    return answer_message(Turn(conversation_id, list(group)), stored=True)


def _make_input_message(entry: MessageInput | FunctionResult, conversation_id: str) -> ChatMessage:
    mark: JsonDict = {"conversation_id": conversation_id, "stored": True, "entry_id": entry.id}
    if isinstance(entry, FunctionResult):
        mark["tool_call_id"] = entry.tool_call_id
        return ChatMessage(role=MessageRole.TOOL, content=entry.result, additional_kwargs=mark)
    role = MessageRole.ASSISTANT if entry.role == "assistant" else MessageRole.USER
    other = [chunk for chunk in entry.chunks if not chunk_text(chunk) and _make_file_block(chunk) is None]
    if other:
        mark["other_chunks"] = other
    return ChatMessage(role=role, blocks=_make_input_blocks(entry.chunks), additional_kwargs=mark)


def _make_input_blocks(chunks: Sequence[JsonDict]) -> list[Any]:
    """The blocks of what was said, in its order; text without anything between is one block."""
    blocks: list[Any] = []
    for is_text, group in groupby(chunks, lambda chunk: bool(chunk_text(chunk))):
        if is_text:
            blocks.append(TextBlock(text="".join(map(chunk_text, group))))
        else:
            blocks += filter(None, map(_make_file_block, group))
    return blocks


def _make_file_block(chunk: JsonDict) -> Any:
    """A picture or document of a message; None for anything else."""
    given = chunk.get(str(chunk.get("type")))
    told = given if isinstance(given, dict) else {"url": given}
    url, detail, name = told.get("url"), told.get("detail"), chunk.get("document_name")
    if chunk.get("type") not in _FILES or not isinstance(url, str):
        return None
    if chunk["type"] == "image_url":
        return ImageBlock(url=url, detail=detail if isinstance(detail, str) else None)
    return DocumentBlock(url=url, title=name) if isinstance(name, str) else DocumentBlock(url=url)
