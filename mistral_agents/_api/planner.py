"""From what a caller gives to a call to send: tools translated, policies found, safeguards applied."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mistral_agents._api import conversations as calls
from mistral_agents._http.transport import Call
from mistral_agents._json import JsonDict
from mistral_agents._tools.policy import Policy, PolicyBook
from mistral_agents._tools.translate import TranslationWarning, translate_tools
from mistral_agents.entries import as_inputs
from mistral_agents.security import Safeguards


@dataclass(frozen=True, slots=True)
class Planned:
    """A turn ready to be sent.

    Attributes:
        call: The request.
        policy: What is enforced while its reply comes.
        agent_id: An agent whose libraries must be checked first; None where there is nothing to check.
    """

    call: Call
    policy: Policy
    agent_id: str | None = None


class Planner:
    """Plans the turns of one client."""

    def __init__(self, book: PolicyBook, safeguards: Safeguards) -> None:
        self.book = book
        self.safeguards = safeguards

    def _inputs(self, inputs: Any) -> Any:
        if self.safeguards.redact is None or inputs is None:
            return inputs
        return self.safeguards.redacted(as_inputs(inputs))

    def start(self, inputs: Any, options: Mapping[str, Any]) -> Planned:
        """A conversation's first turn."""
        agent_id = options.get("agent_id")
        ready, policy = _with_tools(options)
        self.safeguards.check_tools(ready.get("tools"))
        policy = self.book.of_agent(agent_id).joined(policy)
        checks = agent_id if self.safeguards.allowed_library_ids is not None else None
        return Planned(calls.start_call(self._inputs(inputs), ready), policy, checks)

    def append(self, conversation_id: str, inputs: Any, options: Mapping[str, Any]) -> Planned:
        """A further turn."""
        call = calls.append_call(conversation_id, self._inputs(inputs), options)
        return Planned(call, self.book.of_conversation(conversation_id))

    def restart(self, conversation_id: str, from_entry_id: Any, inputs: Any, options: Mapping[str, Any]) -> Planned:
        """A branch, which keeps the policy."""
        policy = self.book.of_conversation(conversation_id)
        given = options.get("metadata")
        ready = {**options, "metadata": {**given, **policy.to_metadata()}} if given is not None else options
        return Planned(calls.restart_call(conversation_id, from_entry_id, self._inputs(inputs), ready), policy)


def _with_tools(options: Mapping[str, Any]) -> tuple[Mapping[str, Any], Policy]:
    tools = options.get("tools")
    if tools is None:
        return options, Policy()
    done = translate_tools(tools)
    ready: JsonDict = {**options, "tools": done.tools}
    if options.get("agent_id") is None:
        ready["instructions"] = done.added_to(options.get("instructions"))
    elif done.instructions:
        text = "With agent_id no instructions can be sent, so these hints are lost: " + done.instructions
        warnings.warn(text, TranslationWarning, stacklevel=5)
    if done.policy:
        ready["metadata"] = {**(options.get("metadata") or {}), **done.policy.to_metadata()}
    return ready, done.policy
