"""A turn whose answer was lost on the way, found again in the conversation's history instead of being sent twice.

An answer belongs to whoever asked: it is ours only where exactly what we sent stands behind the last entry we knew, and
only what follows that. Everything else (another writer's turn, a turn that still runs, an entry we never heard of) is
an outcome that nobody knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mistral_agents._border.text import mend_json
from mistral_agents._json import JsonDict
from mistral_agents.entries import (
    Entry,
    FunctionCall,
    FunctionResult,
    Inputs,
    Message,
    MessageOutput,
    content_chunks,
    is_input,
    parse_entries,
    user_message,
)
from mistral_agents.errors import (
    MistralAgentsError,
    ResponseFormatError,
    ServerFailureError,
    StreamInterruptedError,
    TimeoutExceededError,
    TurnFailedError,
    UnknownOutcomeError,
)
from mistral_agents.turn import Turn

LOST = (
    ResponseFormatError,
    ServerFailureError,
    StreamInterruptedError,
    TimeoutExceededError,
    TurnFailedError,
    UnknownOutcomeError,
)
"""Failures after which nobody knows whether the turn was applied. A reply that can't be read is one of them, and so is
one that tells of a failure with a good status: a gateway may have written it after the service had answered."""
_WAIT = "Read the history again in a while; send the input once more only when you are sure that it was not applied."


def find_turn(
    conversation_id: str,
    entries: Sequence[Entry],
    after_entry_id: str | None,
    inputs: Inputs | None,
    *,
    confirms: bool = False,
) -> Turn | None:
    """The turn of what was sent after an entry; None where nothing stands behind that entry.

    Args:
        conversation_id: The conversation.
        entries: Its whole history.
        after_entry_id: The last entry known before the turn was sent; None where it was the conversation's first.
        inputs: What was sent, as the request's body had it; None where only confirmations were.
        confirms: Whether confirmations were sent; they leave no entry of their own.

    Raises:
        UnknownOutcomeError: Something else stands there, or no finished answer (yet).
    """
    ids = [entry.id for entry in entries]
    if after_entry_id is not None and after_entry_id not in ids:
        raise unknown_outcome(
            conversation_id, f"The history holds no entry {after_entry_id}, so the turn can't be told apart."
        )
    new = list(entries if after_entry_id is None else entries[ids.index(after_entry_id) + 1 :])
    if not new:
        return None
    sent = sent_entries(inputs)
    if not (sent or confirms) or [_read_words(entry) for entry in new[: len(sent)]] != [_read_words(e) for e in sent]:
        raise unknown_outcome(conversation_id, "The history holds something else than what was sent behind that entry.")
    return _build_turn(conversation_id, new[len(sent) :])


def was_said(entries: Sequence[Entry], after_entry_id: str | None, inputs: Inputs | None) -> bool:
    """Whether what was sent stands anywhere behind an entry (None: anywhere)."""
    ids = [entry.id for entry in entries]
    start = ids.index(after_entry_id) + 1 if after_entry_id in ids else 0
    words = [_read_words(entry) for entry in entries[start:]]
    sent = [_read_words(entry) for entry in sent_entries(inputs)]
    return bool(sent) and any(words[i : i + len(sent)] == sent for i in range(len(words) - len(sent) + 1))


def sent_entries(inputs: Inputs | None) -> list[Entry]:
    """What a request's `inputs` are as entries."""
    if inputs is None:
        return []
    return parse_entries(mend_json([user_message(inputs)] if isinstance(inputs, str) else inputs))


def find_last_turn(conversation_id: str, entries: Sequence[Entry], inputs: Inputs | None) -> Turn | None:
    """The last turn of a history, where it is the finished answer to these inputs; else None."""
    sent = [_read_words(entry) for entry in sent_entries(inputs)]
    end = next((place for place in range(len(entries), 0, -1) if is_input(entries[place - 1])), 0)
    if not sent or [_read_words(entry) for entry in entries[max(end - len(sent), 0) : end]] != sent:
        return None
    is_finished = bool(entries[end:]) and isinstance(entries[-1], (MessageOutput, FunctionCall))
    return _build_turn(conversation_id, entries[end:]) if is_finished else None


def recovered_turn(
    conversation_id: str, entries: Sequence[Entry], after_entry_id: str, inputs: Inputs | None = None
) -> Turn:
    """The turn that follows an entry in a history, where it must be there.

    Args:
        conversation_id: The conversation.
        entries: Its whole history.
        after_entry_id: The last entry known before the turn was sent.
        inputs: What was sent; None takes whatever one turn was said there, and refuses several.

    Raises:
        UnknownOutcomeError: The history holds no finished answer after that entry (yet), or not ours.
    """
    told = inputs if inputs is not None else _find_inputs_after(entries, after_entry_id)
    found = find_turn(conversation_id, entries, after_entry_id, told, confirms=inputs is None and not told)
    if found is None:
        raise unknown_outcome(conversation_id, "The history does not hold the turn (yet).")
    if inputs is None and found.last_entry_id != next((e.id for e in reversed(entries) if e.id is not None), None):
        raise unknown_outcome(conversation_id, "The history holds several turns behind that entry; say what was sent.")
    return found


def _find_inputs_after(entries: Sequence[Entry], after_entry_id: str) -> list[JsonDict]:
    place = next((place for place, entry in enumerate(entries) if entry.id == after_entry_id), len(entries))
    found: list[JsonDict] = []
    for entry in entries[place + 1 :]:
        if not is_input(entry):
            break
        found.append(entry.raw)
    return found


def _build_turn(conversation_id: str, new: Sequence[Entry]) -> Turn:
    """The outputs up to the next input, which is somebody else's."""
    end = next((place for place, entry in enumerate(new) if is_input(entry)), len(new))
    outputs = new[:end]
    if not outputs or not isinstance(outputs[-1], (MessageOutput, FunctionCall)):
        raise unknown_outcome(conversation_id, "The history holds the input, but no finished answer (yet).")
    return Turn.from_response({"conversation_id": conversation_id, "outputs": [entry.raw for entry in outputs]})


def _read_words(entry: Entry) -> Any:
    """What an entry says, whatever fields the service adds and in whichever of its forms the text came."""
    if isinstance(entry, Message):
        return (entry.type, entry.role, _normalise_content(entry.content))
    if isinstance(entry, FunctionResult):
        return (entry.type, entry.tool_call_id, entry.result)
    if isinstance(entry, FunctionCall):
        return (entry.type, entry.tool_call_id, entry.name, entry.args)
    return (entry.type, entry.raw)


def _normalise_content(content: object) -> list[Any]:
    """Content as chunks without what is not told; texts that follow one another count as one."""
    found: list[Any] = []
    for chunk in content_chunks(content):
        known = {name: value for name, value in chunk.items() if value is not None}
        if known.get("type") == "text" and found and isinstance(found[-1], str):
            found[-1] += str(known.get("text", ""))
        else:
            found.append(str(known.get("text", "")) if known.get("type") == "text" else known)
    return found


def unknown_outcome(conversation_id: str, message: str) -> UnknownOutcomeError:
    """The error for a turn of which nobody knows whether it was applied."""
    return UnknownOutcomeError(message, conversation_id=conversation_id, hint=_WAIT)


def explain_loss(error: UnknownOutcomeError, lost: MistralAgentsError) -> UnknownOutcomeError:
    """An outcome that stayed unknown, with the facts of the failure it began with."""
    for name in ("status_code", "code", "request_id", "body", "response", "turn"):
        if getattr(error, name) is None:
            setattr(error, name, getattr(lost, name))
    return error
