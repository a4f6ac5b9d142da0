"""What we enforce ourselves because the service has no field for it, and how it is found again at run time.

A policy is made by `translate_tools` (or by hand). It travels in the metadata of the agent or conversation it belongs
to, under `POLICY_KEY`, as JSON text; and each client keeps those it has met, so that `conversations.start(agent_id=…)`
and `append` find it without a request. Another process meets it when it reads the agent or the conversation
(`client.agents.get`, `client.agents.ensure`, `client.conversations.get`, `Conversation.resume`).
"""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from mistral_agents._json import load_json
from mistral_agents.errors import ConfigurationError


class TranslationWarning(UserWarning):
    """A part of a tool's configuration is only hinted to the model, can't be had at all, or names what is not there."""


POLICY_KEY = "mistral_agents_policy"
_KEPT = 10_000  # conversations of one client whose policy is remembered


def _check_limit(name: str, value: object, least: float, most: float | None = None, *, whole: bool = False) -> None:
    wanted = "a whole number" if whole else "a number"
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
        raise ConfigurationError(f"{name} must be {wanted}, not {value!r}.")
    if not least <= value < math.inf or (most is not None and value > most):
        limits = f"from {least}" if most is None else f"{least} to {most}"
        raise ConfigurationError(f"{name} must be {wanted} {limits}, not {value!r}.")


@dataclass(frozen=True, slots=True)
class Policy:
    """Limits on a turn, enforced by this package.

    Attributes:
        tool_seconds: Per tool, the longest one run may take; a run over it ends the turn with a
            `ToolBudgetExceededError` that keeps what had arrived. The service may go on working (and billing).
        tool_runs: Per tool, how many runs one turn may make; enforced the same way when one more begins.
        max_citations: How many web sources `Turn.citations` shows.
        max_documents: How many library documents `Turn.citations` shows. A retriever of a wing takes it as its top k.
        similarity_threshold: 0 to 1; a retriever that holds scores applies it, the service's own search can't.
        image_size: Width and height asked for; `client.files.save(turn, …)` warns of an image of another size.
    """

    tool_seconds: Mapping[str, float] = field(default_factory=dict)
    tool_runs: Mapping[str, int] = field(default_factory=dict)
    max_citations: int | None = None
    max_documents: int | None = None
    similarity_threshold: float | None = None
    image_size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        for tool, seconds in self.tool_seconds.items():
            _check_limit(f"{tool}: seconds", seconds, 0.001)
        for tool, runs in self.tool_runs.items():
            _check_limit(f"{tool}: runs", runs, 1, whole=True)
        for name in ("max_citations", "max_documents"):
            if getattr(self, name) is not None:
                _check_limit(name, getattr(self, name), 1, whole=True)
        if self.similarity_threshold is not None:
            _check_limit("similarity_threshold", self.similarity_threshold, 0, 1)

    def __bool__(self) -> bool:
        named = (self.max_citations, self.max_documents, self.similarity_threshold, self.image_size)
        return self.watches_stream or named != (None, None, None, None)

    @property
    def watches_stream(self) -> bool:
        """Whether a turn must be read as a stream, to be stopped in time."""
        return bool(self.tool_seconds or self.tool_runs)

    def joined(self, other: Policy) -> Policy:
        """Both policies; where both say something, `other` wins."""
        if not other:
            return self
        said = {f.name: getattr(other, f.name) for f in fields(other) if getattr(other, f.name) not in (None, {})}
        for name in ("tool_seconds", "tool_runs"):
            said[name] = {**getattr(self, name), **getattr(other, name)}
        return replace(self, **said)

    def to_metadata(self) -> dict[str, str]:
        """The policy as a metadata field; no field where it is empty."""
        said = {key: value for key, value in asdict(self).items() if value not in (None, {})}
        return {POLICY_KEY: json.dumps(said, sort_keys=True)} if said else {}

    @classmethod
    def from_metadata(cls, metadata: object) -> Policy:
        """The policy kept in an agent's or conversation's metadata; an empty one where there is none.

        Raises:
            ConfigurationError: What is kept there is no policy.
        """
        text = metadata.get(POLICY_KEY) if isinstance(metadata, Mapping) else None
        if text is None:
            return cls()
        try:
            data = load_json(text)
            size = data.pop("image_size", None)
            return cls(**data, image_size=tuple(size) if size is not None else None)
        except (TypeError, ValueError, AttributeError) as error:
            raise ConfigurationError(f"The metadata field {POLICY_KEY} holds no policy: {text!r}.") from error


NO_POLICY = Policy()
"""The policy that says nothing."""


class PolicyBook:
    """The policies one client has met, by agent and by conversation."""

    def __init__(self) -> None:
        self._agents: dict[str, Policy] = {}
        self._conversations: dict[str, Policy] = {}
        self._lock = threading.RLock()

    def __getstate__(self) -> dict[str, Any]:
        return {"_agents": dict(self._agents), "_conversations": dict(self._conversations)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.RLock()

    def of_agent(self, agent_id: Any) -> Policy:
        """The policy of an agent; an empty one where none is known."""
        return self._agents.get(agent_id, NO_POLICY)

    def of_conversation(self, conversation_id: Any) -> Policy:
        """The policy of a conversation; an empty one where none is known."""
        return self._conversations.get(conversation_id, NO_POLICY)

    def set_agent(self, agent_id: str, policy: Policy) -> None:
        """Remember an agent's policy; an empty one is forgotten."""
        with self._lock:
            self._agents.pop(agent_id, None)
            if policy:
                self._agents[agent_id] = policy

    def set_conversation(self, conversation_id: str | None, policy: Policy) -> None:
        """Remember a conversation's policy; the oldest is forgotten where there are too many."""
        if not policy or conversation_id is None:
            return
        with self._lock:
            self._conversations.pop(conversation_id, None)
            self._conversations[conversation_id] = policy
            while len(self._conversations) > _KEPT:
                del self._conversations[next(iter(self._conversations))]
