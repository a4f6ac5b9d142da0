"""From what a caller gives to a call to send: tools translated, policies found, safeguards applied."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mistral_agents._api import conversations as calls
from mistral_agents._api.guards import ConnectorGuards
from mistral_agents._api.model_notes import ModelNotes
from mistral_agents._border.effects import AgentEffects, may_repeat
from mistral_agents._border.turns import TurnRequest
from mistral_agents._http.transport import Call, check_id, check_ids
from mistral_agents._json import JsonDict
from mistral_agents._tools.policy import Policy, PolicyBook, TranslationWarning
from mistral_agents._tools.translate import translate_tools
from mistral_agents._warnings import warn_user
from mistral_agents.entries import as_inputs
from mistral_agents.security import Safeguards

_NOT_KEPT = "The service keeps nothing of this turn; it may be sent again."
_NOT_KEPT_BUT_RUN = (
    "The service keeps nothing of this turn, but its tools may have run, and run again where it is sent again. "
    "(Retries are for turns whose tools are known to have no effects.)"
)


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

    def __init__(self, book: PolicyBook, safeguards: Safeguards, *, retry_stateless: bool = True) -> None:
        self.book = book
        self.safeguards = safeguards
        self.guards = ConnectorGuards()
        self.notes = ModelNotes()
        self.effects = AgentEffects()
        self._retry_stateless = retry_stateless

    def _redact(self, inputs: Any) -> Any:
        if self.safeguards.redact is None or inputs is None:
            return inputs
        return self.safeguards.redacted(as_inputs(inputs))

    def plan(self, request: TurnRequest) -> Planned:
        """The call of a turn.

        Raises:
            ConfigurationError: The request can't be sent so.
        """
        check_ids(request.options)
        if request.operation == "start":
            return self._plan_start(request)
        check_id("conversation_id", request.conversation_id)
        conversation_id, inputs, options = request.conversation_id, self._redact(request.inputs), request.options
        policy = self.book.of_conversation(conversation_id)
        if request.operation == "append":
            return Planned(calls.append_call(conversation_id, inputs, options), policy)
        given = options.get("metadata")
        ready = {**options, "metadata": {**given, **policy.to_metadata()}} if given is not None else options
        return Planned(calls.restart_call(conversation_id, request.entry_id, inputs, ready), policy)

    def _plan_start(self, request: TurnRequest) -> Planned:
        agent_id = request.options.get("agent_id")
        self.notes.warn_of(request.options.get("model"))
        ready, policy = _translate_tools(request.options)
        self.safeguards.check_tools(ready.get("tools"))
        policy = self.book.of_agent(agent_id).joined(policy)
        checks = agent_id if self.safeguards.allowed_library_ids is not None else None
        call = calls.start_call(self._redact(request.inputs), ready)
        if ready.get("store") is False:
            harmless = may_repeat(ready, self.effects)
            call.once = not (harmless and self._retry_stateless)
            call.advice = _NOT_KEPT if harmless else _NOT_KEPT_BUT_RUN
        return Planned(call, policy, checks)


def _translate_tools(options: Mapping[str, Any]) -> tuple[Mapping[str, Any], Policy]:
    tools = options.get("tools")
    if tools is None:
        return options, Policy()
    done = translate_tools(tools)
    ready: JsonDict = {**options, "tools": done.tools}
    if options.get("agent_id") is None:
        ready["instructions"] = done.added_to(options.get("instructions"))
    elif done.instructions:
        text = "With agent_id no instructions can be sent, so these hints are lost: " + done.instructions
        warn_user(f"{text} Add them to the agent's own instructions (client.agents.update).", TranslationWarning)
    if done.policy:
        ready["metadata"] = {**(options.get("metadata") or {}), **done.policy.to_metadata()}
    return ready, done.policy
