"""A long conversation made short: what to ask for a summary, and what the new conversation begins with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mistral_agents._archive import replay_seed
from mistral_agents.entries import MessageInput, user_message
from mistral_agents.errors import ConfigurationError
from mistral_agents.history import History

Wire = dict[str, Any]
REQUEST = (
    "Summarise the conversation below for someone who has to carry it on: facts, decisions, preferences, names, "
    "numbers and open questions. Write only the summary.\n\n{}"
)
OPENING = "Summary of our conversation so far:\n{}"


def request(history: History, info: Mapping[str, Any], model: str | None) -> Wire:
    """What to start for a summary.

    Raises:
        ConfigurationError: No model is known (an agent's conversation whose entries name none).
    """
    named = [model, info.get("model"), *(entry.model for entry in reversed(history.entries))]
    found = next((name for name in named if isinstance(name, str)), None)
    if found is None:
        raise ConfigurationError("Which model shall write the summary? Pass model=.")
    return {"inputs": REQUEST.format(history), "model": found, "store": False}


def seed(summary: str, history: History, keep: int) -> list[Wire]:
    """The summary, and the last messages from a message of the user on."""
    places = [place for place, entry in enumerate(history.entries) if entry.role is not None]
    start = places[-keep] if 0 < keep <= len(places) else (0 if keep > 0 else len(history.entries))
    while start < len(history.entries) and not isinstance(history.entries[start], MessageInput):
        start += 1
    return [user_message(OPENING.format(summary)), *replay_seed(history.entries[start:])]
