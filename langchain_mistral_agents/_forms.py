"""An answer of a given form that hosted tools were used for: one turn with the tools, then one that writes the form.

Whether the service mixes words, tool runs and JSON in one turn is not known, and nobody could tell them apart there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage
from langchain_core.messages.ai import add_usage

from langchain_mistral_agents._answer_chunk import text_block
from langchain_mistral_agents._blocks import VERSION
from langchain_mistral_agents._items import history_digest
from mistral_agents._json import JsonDict

FORM_QUESTION = HumanMessage("Now give that answer in the required format, with nothing else.")
_OF_TOOLS = ("tools", "tool_choice", "parallel_tool_calls", "strict", "tool_confirmations")
_OF_CONVERSATION = ("store", "conversation_id", "metadata", "conversation_metadata")


def writing_options(kwargs: JsonDict, form: Mapping[str, Any]) -> JsonDict:
    """The options of the turn that writes the form: it has no tools and is not kept."""
    left = {name: value for name, value in kwargs.items() if name not in (*_OF_TOOLS, *_OF_CONVERSATION)}
    return {**left, "response_format": form}


def is_finished(answer: AIMessage) -> bool:
    """Whether nothing has to be run or decided before the form can be written."""
    waits = answer.tool_calls or answer.invalid_tool_calls or answer.response_metadata.get("pending_confirmations")
    return not waits


def join_answers(messages: Sequence[BaseMessage], found: AIMessage, form: AIMessage) -> AIMessage:
    """The form as the text of an answer, behind the runs of tools; the words of the first turn are `draft`.

    It stands for the first turn, which is the one that may be kept, so that the conversation goes on from it.
    """
    blocks: list[Any] = list(found.content_blocks)
    runs = [block for block in blocks if block["type"] != "text"]
    notes = [_without_place(note) for block in blocks for note in block.get("annotations", ())]
    metadata = {**found.response_metadata, "draft": found.text}
    content: Any = form.text
    if runs or notes or isinstance(form.content, list):
        text = {**text_block(form.text), **({"annotations": notes} if notes else {})}
        content = [{**block, "index": place} for place, block in enumerate([*runs, text])]
        metadata |= VERSION
    answer = AIMessage(content, id=found.id, response_metadata=metadata)
    answer.usage_metadata = add_usage(found.usage_metadata, form.usage_metadata)
    if metadata.get("history_digest") is not None:
        metadata["history_digest"] = history_digest([*messages, answer], systems=False)
        answer.response_metadata = metadata
    return answer


def _without_place(note: JsonDict) -> JsonDict:
    """A citation of the first turn's words has no place in the form."""
    extras = {name: value for name, value in note.get("extras", {}).items() if name != "offset"}
    return {**note, "extras": extras}


def as_chunk(answer: AIMessage) -> AIMessageChunk:
    """A whole answer as the only chunk of a stream."""
    return AIMessageChunk(
        content=answer.content,
        id=answer.id,
        tool_calls=answer.tool_calls,
        invalid_tool_calls=answer.invalid_tool_calls,
        response_metadata=cast("dict[str, Any]", answer.response_metadata),
        usage_metadata=answer.usage_metadata,
        chunk_position="last",
    )
