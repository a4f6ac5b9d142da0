"""A turn whose answer was lost on the way, found again in the conversation's history instead of being sent twice."""

from __future__ import annotations

from mistral_agents.entries import Entry, FunctionCall, FunctionResult, MessageInput, MessageOutput
from mistral_agents.errors import ServerFailureError, TimeoutExceededError, UnknownOutcomeError
from mistral_agents.turn import Turn

LOST = (ServerFailureError, TimeoutExceededError, UnknownOutcomeError)
"""Failures after which nobody knows whether the turn was applied."""
_WAIT = "Read the history again in a while; send the input once more only when you are sure that it was not applied."


def recovered_turn(conversation_id: str, entries: list[Entry], after_entry_id: str) -> Turn:
    """The turn that follows an entry in a history.

    Args:
        conversation_id: The conversation.
        entries: Its whole history.
        after_entry_id: The last entry known before the turn was sent.

    Raises:
        UnknownOutcomeError: The history holds no finished answer after that entry (yet).
    """
    ids = [entry.id for entry in entries]
    if after_entry_id not in ids:
        raise _unknown(
            conversation_id, f"The history holds no entry {after_entry_id}, so the turn can't be told apart."
        )
    new = entries[ids.index(after_entry_id) + 1 :]
    outputs = [entry for entry in new if not isinstance(entry, (MessageInput, FunctionResult))]
    if not new:
        raise _unknown(conversation_id, "The history does not hold the turn (yet).")
    if not outputs or not isinstance(outputs[-1], (MessageOutput, FunctionCall)):
        raise _unknown(conversation_id, "The history holds the input, but no finished answer (yet).")
    raw = {"conversation_id": conversation_id, "outputs": [entry.raw for entry in outputs]}
    return Turn.from_response(raw)


def _unknown(conversation_id: str, message: str) -> UnknownOutcomeError:
    return UnknownOutcomeError(message, conversation_id=conversation_id, hint=_WAIT)
