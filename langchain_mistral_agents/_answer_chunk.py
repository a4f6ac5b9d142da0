"""The chunks of an answer, and their sum.

LangChain adds up chunks by itself, and does two things that an answer can't bear: a text before blocks becomes a bare
string among them, and arguments of a call that are no JSON are repaired, so that half a call is run. A class of chunks
of our own adds up otherwise. Its sums are plain `AIMessageChunk`s, so that all that LangChain does with those works.
A piece of an answer, and the sum of a stream that was left, name only calls whose arguments are whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import Any, cast

from langchain_core.messages import AIMessage, AIMessageChunk, InvalidToolCall, ToolCall, message_chunk_to_message
from langchain_core.messages.ai import add_ai_message_chunks
from langchain_core.messages.tool import invalid_tool_call, tool_call
from pydantic import model_validator
from typing_extensions import Self, override

from langchain_mistral_agents._blocks import read_void_call
from mistral_agents._border.calls import find_call_fault, parse_call_arguments
from mistral_agents._json import JsonDict

_NONE: Mapping[Any, JsonDict] = MappingProxyType({})


class AnswerChunk(AIMessageChunk):
    """A piece of an answer; it and any other chunk add up to an `AIMessageChunk`."""

    @classmethod
    @override
    def lc_id(cls) -> list[str]:
        return AIMessageChunk.lc_id()

    @model_validator(mode="after")
    @override
    def init_tool_calls(self) -> Self:
        """Name the calls that are whole."""
        _name_calls(self)
        return self

    @override
    def __add__(self, other: Any) -> Any:
        others = list(other) if isinstance(other, (list, tuple)) else [other]
        if all(isinstance(each, AIMessageChunk) for each in others):
            return add_chunks([self, *others])
        return super().__add__(other)

    def __radd__(self, left: Any) -> Any:
        """Python asks this first where a plain chunk stands on the left."""
        return add_chunks([left, self]) if isinstance(left, AIMessageChunk) else NotImplemented


def add_chunks(chunks: Sequence[AIMessageChunk]) -> AIMessageChunk:
    """What chunks add up to; text before the first blocks becomes the first block.

    Where a further answer follows one that is complete (the stream of a runnable that ran functions), it is the last
    one, as of a call.
    """
    chunks = chunks[_find_last_start(chunks) :]
    place = next((i for i, chunk in enumerate(chunks) if not isinstance(chunk.content, str)), len(chunks))
    if 0 < place < len(chunks):
        head = _add_alike(chunks[:place])
        content = [text_block(head.content)] if isinstance(head.content, str) and head.content else []
        chunks = [head.model_copy(update={"content": content}), *chunks[place:]]
    whole = _add_alike(chunks)
    if whole.tool_call_chunks:
        void = _find_void_calls(chunks)
        calls = _name_calls(whole, void)
        if whole.chunk_position == "last":
            whole.tool_call_chunks = [chunk for chunk in whole.tool_call_chunks if chunk["index"] not in void]
            _finish_calls(whole, calls)
    return whole


def _find_last_start(chunks: Sequence[AIMessageChunk]) -> int:
    """Where the last answer among chunks begins."""
    pairs = enumerate(pairwise(chunks), 1)
    starts = [i for i, (one, other) in pairs if one.chunk_position == "last" and other.id not in (None, one.id)]
    return starts[-1] if starts else 0


def text_block(text: str) -> JsonDict:
    """The block of an answer that is text alone."""
    return {"type": "text", "text": text, "index": 0}


def _add_alike(chunks: Sequence[AIMessageChunk]) -> AIMessageChunk:
    """LangChain's own sum, as a plain chunk: its class is that of the first."""
    first, *others = chunks
    if type(first) is not AIMessageChunk:
        first = AIMessageChunk(
            content=first.content,
            additional_kwargs=first.additional_kwargs,
            tool_call_chunks=first.tool_call_chunks,
            response_metadata=first.response_metadata,
            usage_metadata=first.usage_metadata,
            id=first.id,
            chunk_position=first.chunk_position,
        )
    return add_ai_message_chunks(first, *others)


def merge_chunks(chunks: Sequence[AIMessageChunk]) -> AIMessage:
    """The message that chunks add up to."""
    message = message_chunk_to_message(add_chunks(chunks))
    if not isinstance(message, AIMessage):
        raise TypeError(f"expected an AIMessage, got {type(message).__name__}")
    return message


def read_call(name: str | None, arguments: str | None, call_id: str | None) -> ToolCall | InvalidToolCall:
    """A function call of a complete turn; the foundation says whether it can be run, and why not."""
    fault = find_call_fault(name, arguments)
    if fault is not None:
        return invalid_tool_call(name=name or None, args=arguments, id=call_id, error=fault)
    return tool_call(name=str(name), args=parse_call_arguments(arguments), id=call_id)


_Call = ToolCall | InvalidToolCall | JsonDict
"""A call, or the block of one that is void."""


def _find_void_calls(chunks: Sequence[AIMessageChunk]) -> dict[Any, JsonDict]:
    """The blocks of calls that a handoff followed, by their index: none of them is to be run."""
    blocks = (block for chunk in chunks if isinstance(chunk.content, list) for block in chunk.content)
    return {found["index"]: found for block in blocks if (found := read_void_call(block)) is not None}


def _name_calls(piece: AIMessageChunk, void: Mapping[Any, JsonDict] = _NONE) -> list[_Call]:
    """Name the calls that are whole, where LangChain repaired all of them; gives these and the others."""
    calls: list[_Call] = [
        void[chunk["index"]] if chunk["index"] in void else read_call(chunk["name"], chunk["args"], chunk["id"])
        for chunk in piece.tool_call_chunks
    ]
    piece.tool_calls = [cast("ToolCall", call) for call in calls if call["type"] == "tool_call"]
    piece.invalid_tool_calls = []
    return calls


def _finish_calls(whole: AIMessageChunk, calls: Sequence[_Call]) -> None:
    """The turn is complete: calls that are not whole by now are invalid."""
    whole.invalid_tool_calls = [cast("InvalidToolCall", call) for call in calls if call["type"] == "invalid_tool_call"]
    if whole.invalid_tool_calls:
        whole.tool_call_chunks = []  # else whatever copies the message (`loads`, a checkpoint) repairs them again
    if isinstance(whole.content, list):
        left = iter(calls)
        whole.content = [_finish_block(block, left) for block in whole.content]


def _finish_block(block: str | JsonDict, calls: Iterator[_Call]) -> str | JsonDict:
    """The blocks of calls are in the order of the calls."""
    if not isinstance(block, dict) or block.get("type") not in ("tool_call", "tool_call_chunk"):
        return block
    call = next(calls, None)
    return block if call is None else dict(call)
