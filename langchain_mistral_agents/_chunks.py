"""A stream's records as message chunks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages.ai import UsageMetadata
from langchain_core.messages.tool import ToolCallChunk, tool_call_chunk
from langchain_core.outputs import ChatGenerationChunk
from langchain_core.utils._merge import merge_lists

from langchain_mistral_agents._answer_chunk import AnswerChunk
from langchain_mistral_agents._blocks import VERSION
from langchain_mistral_agents._messages_in import Sent, closing_metadata, make_answer, make_cut, usage_metadata
from langchain_mistral_agents._streaming import Assembler, Step
from langchain_mistral_agents._translator import PROVIDER
from mistral_agents._border.copies import copy_with
from mistral_agents._border.events import Record, StreamStart
from mistral_agents._json import JsonDict
from mistral_agents.turn import Turn


class ChunkWriter:
    """Writes steps as chunks: strings as long as only text has come, then blocks.

    Args:
        blocks: Whether to write blocks from the start.
    """

    def __init__(self, *, blocks: bool) -> None:
        self._plain = not blocks
        self._alone = True

    def write(self, steps: Sequence[Step], message_id: str | None, metadata: JsonDict) -> AnswerChunk | None:
        """The steps as one chunk; None where they add nothing.

        Each field of a block stands in one chunk only, since repeated text concatenates.
        """
        text = _join_text(steps) if self._plain else None
        if text is not None:
            if not text:
                return None
            self._alone = False
            return write_text(text, message_id, {"model_provider": PROVIDER, **metadata})
        blocks = [{**block, "index": step.index} for step in steps if (block := _increment(step)) is not None]
        if not blocks:
            return None
        self._plain = self._alone = False
        calls = [_call_chunk(block) for block in blocks if block["type"] == "tool_call_chunk"]
        return AnswerChunk(
            content=merge_lists([], [*blocks]) or [],
            tool_call_chunks=merge_lists([], [*calls]) or [],
            id=message_id,
            response_metadata={**VERSION, **metadata},
        )

    def write_last(self, message_id: str | None, metadata: JsonDict, usage: UsageMetadata | None) -> AIMessageChunk:
        """The last chunk, which adds no content; where it is the only one, it is its own sum."""
        return (AIMessageChunk if self._alone else AnswerChunk)(
            content="" if self._plain else [],
            id=message_id,
            usage_metadata=usage,
            response_metadata={**({"model_provider": PROVIDER} if self._plain else VERSION), **metadata},
            chunk_position="last",
        )


_BLANK = AnswerChunk(content="", id="", response_metadata={})
_GENERATION = ChatGenerationChunk(message=_BLANK)


def write_text(text: str, message_id: str | None, metadata: JsonDict) -> AnswerChunk:
    """A chunk of text. A stream has thousands, and a copy costs a third of what the checks of a new one do."""
    return copy_with(
        _BLANK,
        content=text,
        id=message_id,
        response_metadata=metadata,
        additional_kwargs={},
        tool_calls=[],
        invalid_tool_calls=[],
        tool_call_chunks=[],
    )


def generation_of(message: AIMessageChunk) -> ChatGenerationChunk:
    """The generation of a chunk, copied as in `write_text`."""
    content = message.content
    text = content if isinstance(content, str) else str(message.text)
    if message.chunk_position != "last":
        return copy_with(_GENERATION, message=message, text=text)
    facts = {"finish_reason": message.response_metadata.get("finish_reason")}
    return copy_with(_GENERATION, message=message, text=text, generation_info=facts)


def _join_text(steps: Sequence[Step]) -> str | None:
    """What steps add to an answer that is text alone; None where it is more from here on."""
    text = ""
    for step in steps:
        block = step.block
        if step.index != 0 or block["type"] != "text" or "annotations" in block:
            return None
        if step.kind == "add":
            text += block["text"]
    return text


def _call_chunk(block: JsonDict) -> ToolCallChunk:
    return tool_call_chunk(name=block.get("name"), args=block["args"], id=block.get("id"), index=block["index"])


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


class AnswerChunks:
    """Takes records of events, then the turn; gives chunks. All carry one id; the first tells the conversation."""

    def __init__(self, sent: Sent) -> None:
        self._sent = sent
        self._assembler = Assembler()
        self._cut = make_cut(sent)
        self._writer = ChunkWriter(blocks=sent.blocks)
        self._opening: JsonDict = {}

    @property
    def is_over(self) -> bool:
        """Whether nothing more is shown, so that a stream that nobody keeps may be left."""
        return self._cut.hit and not self._sent.stored

    def feed(self, records: Sequence[Record]) -> AnswerChunk | None:
        """The chunk of an event, if it makes one."""
        for record in records:
            if isinstance(record, StreamStart) and record.event.get("conversation_id") is not None:
                self._opening = {"conversation_id": record.event["conversation_id"]}
        return self._write(self._assembler.take(self._cut.take(records)))

    def end(self, turn: Turn) -> Iterator[AIMessageChunk]:
        """What was held back, then the last chunk: usage, and all metadata that was not told yet."""
        chunk = self._write([*self._assembler.take(self._cut.end()), *self._assembler.finish()])
        if chunk is not None:
            yield chunk
        closing = closing_metadata(turn, self._sent, make_answer(turn, self._sent))
        metadata = {**closing, **self._opening}
        yield self._writer.write_last(self._assembler.first_id, metadata, usage_metadata(turn.usage))

    def _write(self, steps: list[Step]) -> AnswerChunk | None:
        if not steps:
            return None
        chunk = self._writer.write(steps, self._assembler.first_id, self._opening)
        if chunk is not None and self._opening:
            self._opening = {}
        return chunk


def as_chunk(answer: AIMessage) -> AIMessageChunk:
    """A whole answer as the only chunk of a stream."""
    return AIMessageChunk(
        content=answer.content,
        id=answer.id,
        tool_calls=answer.tool_calls,
        invalid_tool_calls=answer.invalid_tool_calls,
        response_metadata=dict(answer.response_metadata),
        usage_metadata=answer.usage_metadata,
        chunk_position="last",
    )
