"""LlamaIndex messages as inputs of the service."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, CitationBlock, MessageRole, TextBlock

from llama_index_mistral_agents._content import result_content, system_content, user_content
from llama_index_mistral_agents._messages_in import THINKING, TOOL_CALL
from mistral_agents._border.blocks import make_thought, warn_left_out, write_json
from mistral_agents._border.calls import (
    EntryWithFiles,
    ToldCall,
    add_untold,
    make_result_entry,
    place_files,
    read_told_call,
    replay_call,
    replay_run,
)
from mistral_agents._border.histories import Identity
from mistral_agents._border.text import mend_text
from mistral_agents._json import JsonDict
from mistral_agents.confirmation import confirm_each
from mistral_agents.entries import (
    assistant_message,
    user_message,
)
from mistral_agents.errors import ConfigurationError

SYSTEM = frozenset({MessageRole.SYSTEM, MessageRole.DEVELOPER})
_ASSISTANT = frozenset({MessageRole.ASSISTANT, MessageRole.CHATBOT, MessageRole.MODEL})
_RESULT = frozenset({MessageRole.TOOL, MessageRole.FUNCTION})


def check_messages(messages: object) -> None:
    """Look at what is asked before anything is made of it.

    Raises:
        ConfigurationError: It is no list of messages.
    """
    given = messages if isinstance(messages, (list, tuple)) else [messages]
    wrong = next((one for one in given if not isinstance(one, ChatMessage)), None)
    if wrong is not None or given is not messages:
        kind = type(wrong if wrong is not None else messages).__name__
        hint = "complete(), acomplete(), stream_complete() and astream_complete() take a text."
        raise ConfigurationError(f"Messages must be a list of ChatMessage; this is a {kind}.", hint=hint)


def is_answer(message: ChatMessage) -> bool:
    """Whether the assistant said it."""
    return message.role in _ASSISTANT


def is_result(message: ChatMessage) -> bool:
    """Whether it is the result of a function call."""
    return message.role in _RESULT


def is_confirmation(message: ChatMessage) -> bool:
    """Whether it allows or denies a hosted tool that waits for the user."""
    return is_result(message) and "confirmation" in message.additional_kwargs


def confirmations(message: ChatMessage, *, allow: bool | Collection[str]) -> list[ChatMessage]:
    """The messages that answer the confirmations an answer waits for.

    Args:
        message: The answer, with `additional_kwargs["pending_confirmations"]`.
        allow: Whether all are allowed, or the ids of those that are.
    """
    pending = [call["id"] for call in message.additional_kwargs.get("pending_confirmations", ())]
    return [
        ChatMessage(role=MessageRole.TOOL, content=told["confirmation"], additional_kwargs=told)
        for told in confirm_each(pending, allow)
    ]


def text_of(message: ChatMessage) -> str:
    """All text of a message, joined without separators."""
    return "".join(block.text for block in message.blocks if isinstance(block, TextBlock))


def short_hash(text: str) -> str:
    """A short fingerprint, for comparisons only."""
    return hashlib.sha256(mend_text(text).encode()).hexdigest()[:12]


def fingerprint(message: ChatMessage) -> str:
    """What makes two messages the same to the service: who said what, and which call a result belongs to."""
    kind = "answer" if is_answer(message) else "result" if is_result(message) else "input"
    return short_hash(f"{kind}\0{message.additional_kwargs.get('tool_call_id', '')}\0{text_of(message).strip()}")


def _is_system(message: ChatMessage) -> bool:
    return message.role in SYSTEM


def _read_entry_id(message: ChatMessage) -> str | None:
    found: str | None = message.additional_kwargs.get("entry_id")
    return found


IDENTITY: Identity[ChatMessage] = Identity(
    print_of=fingerprint,
    key_of=_read_entry_id,
    is_result=is_result,
    is_system=_is_system,
)
"""How a memory tells messages apart."""


def system_text(messages: Sequence[ChatMessage]) -> str:
    """The system messages, joined: the service knows no such role, only instructions."""
    return "\n\n".join(
        text for message in messages if message.role in SYSTEM and (text := system_content(message).strip())
    )


def to_inputs(messages: Sequence[ChatMessage]) -> list[JsonDict]:
    """Messages as entries, system messages left out; the messages are not changed.

    Hosted runs go in as a function call with its result (accepted in a recording); citations and files are not sent,
    since the service refuses them as inputs.

    Raises:
        ConfigurationError: A message holds something the service can't take.
    """
    answered = {_call_id(message) for message in messages if is_result(message)}
    return place_files(made for message in messages for made in _make_entries(message, answered))


def _make_entries(message: ChatMessage, answered: Collection[str]) -> Sequence[EntryWithFiles]:
    if message.role in SYSTEM or is_confirmation(message):
        return []
    if is_result(message):
        return [make_result_entry(_call_id(message), result_content(message))]
    return _make_answer_entries(message, answered) if is_answer(message) else _make_user_entries(message)


def _call_id(message: ChatMessage) -> str:
    if "tool_call_id" not in message.additional_kwargs:
        raise ConfigurationError("A message with the role tool needs additional_kwargs={'tool_call_id': ...}.")
    return _read_id(message.additional_kwargs["tool_call_id"])


def _read_id(call_id: object) -> str:
    """A call's id; an engine that gives none leaves it empty."""
    return str(call_id) if call_id is not None else ""


def _make_user_entries(message: ChatMessage) -> list[JsonDict]:
    return [user_message(user_content(message))]


def _make_answer_entries(message: ChatMessage, answered: Collection[str]) -> list[JsonDict]:
    kwargs = message.additional_kwargs
    runs = ((run.get("id"), run["name"], run["arguments"], run["info"]) for run in kwargs.get("server_tools", ()))
    entries = [entry for run in runs for entry in replay_run(*run)]
    ours = "conversation_id" in kwargs
    thoughts = [
        block.content for block in message.blocks if ours and THINKING is not None and isinstance(block, THINKING)
    ]
    if not ours:
        _warn_of_left_out(message)
    text = text_of(message)
    chunks = [*map(make_thought, filter(None, thoughts)), *([{"type": "text", "text": text}] if text else [])]
    if chunks:
        entries.append(assistant_message(text if len(chunks) == 1 and text else chunks))
    return [*entries, *(replay_call(_find_id(call, answered), *call[1:]) for call in tool_calls(message))]


def _find_id(call: ToldCall, answered: Collection[str]) -> str:
    """The id of a call; models that give none (Ollama's, Gemini's) have their results under its name."""
    call_id, name, _ = call
    return call_id or (name if name in answered else "")


def _warn_of_left_out(message: ChatMessage) -> None:
    """The service takes no files as words of the assistant; those of its own answers it has, and their thoughts."""
    for block in message.blocks:
        if not isinstance(block, _SENT):
            warn_left_out(type(block).__name__, "of another provider's answer")


_SENT = tuple(kind for kind in (TextBlock, CitationBlock, TOOL_CALL) if kind is not None)


def tool_calls(message: ChatMessage) -> list[ToldCall]:
    """The function calls of an answer: id, name and arguments as JSON text, from blocks or `additional_kwargs`."""
    told = [_read_call(item) for item in message.additional_kwargs.get("tool_calls") or ()]
    blocks = [block for block in message.blocks if TOOL_CALL is not None and isinstance(block, TOOL_CALL)]
    return add_untold(told, map(_read_block, blocks))


def _read_block(block: Any) -> ToldCall:
    return _read_id(block.tool_call_id), block.tool_name, _write_json(block.tool_kwargs)


def _read_call(item: object) -> ToldCall:
    call_id, name, arguments = read_told_call(item)
    return call_id, name, _write_json(arguments if arguments is not None else "")


def _write_json(arguments: object) -> str:
    if isinstance(arguments, str):
        return arguments or "{}"
    return write_json(arguments)
