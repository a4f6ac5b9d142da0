"""LlamaIndex messages as the foundation's items, which tell where in a stored conversation a history stands."""

from __future__ import annotations

from collections.abc import Sequence

from llama_index.core.base.llms.types import ChatMessage

from llama_index_mistral_agents._content import result_content, user_content
from llama_index_mistral_agents._messages_out import SYSTEM, fingerprint, is_answer, is_result, text_of, tool_calls
from mistral_agents._border.fingerprints import Item, Mark, answer_item, chain, input_words, result_words
from mistral_agents._json import JsonDict


def items_of(messages: Sequence[ChatMessage]) -> list[Item]:
    """The items of a history."""
    return [item_of(message) for message in messages]


def item_of(message: ChatMessage) -> Item:
    """The item of a message."""
    mark = mark_of(message)
    if message.role in SYSTEM:
        return Item("system", input_words(text_of(message)))
    if is_answer(message):
        kept = message.additional_kwargs.get("kept") is True
        return answer_item(text_of(message), tool_calls(message), mark, kept=kept)
    if is_result(message):
        call_id = message.additional_kwargs.get("tool_call_id", "")
        content = result_content(message)
        return Item("result", [*result_words(str(call_id), content.text), *content.chunks], mark)
    return Item("input", input_words(user_content(message)), mark)


def mark_of(message: ChatMessage) -> Mark | None:
    """Where a message stands in a stored conversation; None where it belongs to none."""
    kwargs = message.additional_kwargs
    conversation_id = kwargs.get("conversation_id")
    if kwargs.get("stored") is not True or not isinstance(conversation_id, str):
        return None
    return Mark(
        conversation_id,
        entry_id=kwargs.get("entry_id"),
        history=kwargs.get("history_digest"),
        setup=kwargs.get("setup_digest"),
        continues=kwargs.get("continues"),
        covers=kwargs.get("covers") is True,
        branch=kwargs.get("branch") is True,
        skipped=kwargs.get("skipped_calls") or (),
        waiting=[call["id"] for call in list_pending(message)],
        held="memory" in kwargs,
    )


def list_pending(message: ChatMessage) -> list[JsonDict]:
    """The hosted calls that wait for a decision after an answer: `id` and `function` of each."""
    found = message.additional_kwargs.get("pending_confirmations")
    return found if isinstance(found, list) else []


def history_digest(messages: Sequence[ChatMessage], start: str = "") -> str:
    """The digest of a history up to its last message."""
    found = chain(items_of(messages), systems=False, start=start)
    return found[-1] if found else start


def with_marks(message: ChatMessage, **marks: object) -> ChatMessage:
    """A copy of a message with further marks."""
    return message.model_copy(update={"additional_kwargs": {**message.additional_kwargs, **marks}})


def drop_repetitions(messages: Sequence[ChatMessage]) -> list[ChatMessage]:
    """The messages without those that stand there twice: an agent shows what is in its memory and in its scratchpad.

    A result is repeated only with the answer that called for it: other models use the ids of calls again.
    """
    kept: list[ChatMessage] = []
    seen: set[tuple[str, str]] = set()
    repeated: set[str] = set()
    for message in messages:
        key = _identify(message)
        if key is None or key not in seen:
            kept.append(message)
        elif is_result(message):
            kept += [message] if key[0] not in repeated else []
        else:
            repeated.update(call_id for call_id, _, _ in tool_calls(message))
        if key is not None:
            seen.add(key)
    return kept


def split_repetition(messages: Sequence[ChatMessage]) -> tuple[list[ChatMessage], list[ChatMessage]]:
    """The messages, without those behind what a memory gave that only say its end again, and these.

    LlamaIndex's agents that read an answer as text keep what they said in a scratchpad, which a memory on the service
    holds already.
    """
    given = next((n for n, one in reversed([*enumerate(messages, 1)]) if "memory" in one.additional_kwargs), 0)
    held, rest = messages[:given], messages[given:]
    prints = [(fingerprint(one), is_answer(one) and tool_calls(one)) for one in messages] if given and rest else []
    for size in range(min(given, len(rest)), 0, -1):
        if is_answer(rest[size - 1]) and prints[given - size : given] == prints[given : given + size]:
            return [*held, *rest[size:]], list(rest[:size])
    return list(messages), []


def _identify(message: ChatMessage) -> tuple[str, str] | None:
    """What tells an answer of a conversation, or a call's result, from every other message."""
    if is_result(message):
        call_id = message.additional_kwargs.get("tool_call_id")
        return (str(call_id), text_of(message)) if call_id is not None else None
    mark = mark_of(message)
    return (mark.conversation_id, mark.entry_id) if mark is not None and mark.entry_id else None
