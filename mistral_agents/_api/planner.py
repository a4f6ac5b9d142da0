"""From what a caller gives to a call to send: tools translated, policies found, safeguards applied.

A planner belongs to one client and remembers what that client has read: which models will be retired, which tools its
connectors have, and which agents' turns may be made twice.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from mistral_agents._api import conversations as calls
from mistral_agents._api.agents import get_agent_call
from mistral_agents._api.records import Agent, as_record
from mistral_agents._border.turns import TurnRequest
from mistral_agents._http.calls import Call, check_id, check_ids, check_mapping
from mistral_agents._json import JsonDict
from mistral_agents._steps import Job, Steps, Walk
from mistral_agents._tools.names import is_configured_connector, tell_unguarded, unknown_names, with_bare_names
from mistral_agents._tools.policy import Policy, PolicyBook, TranslationWarning
from mistral_agents._tools.translate import translate_tools
from mistral_agents._warnings import warn_user
from mistral_agents.entries import as_inputs
from mistral_agents.errors import ConfigurationError, MistralAgentsError
from mistral_agents.security import Safeguards

if TYPE_CHECKING:
    from mistral_agents._http.replies import Reply
    from mistral_agents._http.transport import Transport
    from mistral_agents.connector_api import Connectors

_NOT_KEPT = "The service keeps nothing of this turn; it may be sent again."
_NOT_KEPT_BUT_RUN = (
    "The service keeps nothing of this turn, but its tools may have run, and run again where it is sent again. "
    "(Retries are for turns whose tools are known to have no effects.)"
)
HARMLESS = frozenset(
    {"function", "web_search", "web_search_premium", "code_interpreter", "document_library", "library_search"}
)
"""Types of tools that do nothing but look.

A connector may do anything, an image is paid for by itself, and of a type that this version does not know nobody can
say; an agent brings tools of its own, which count as known once they were read.
"""
_KEPT = 1_000  # agents whose tools one client remembers
Known = tuple[frozenset[str], tuple[str, ...]]
"""The names of a connector's tools, and the connector's own names."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A turn ready to be sent.

    Attributes:
        call: The request.
        policy: What is enforced while its reply comes.
        agent_id: An agent whose libraries are compared with the allow-list first, if there is one.
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

    def redact(self, inputs: object) -> Any:
        """Inputs as they go out, and so as a history holds them."""
        if self.safeguards.redact is None or inputs is None or inputs == []:
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
        conversation_id, inputs, options = request.conversation_id, self.redact(request.inputs), request.options
        policy = self.book.of_conversation(conversation_id)
        if request.operation == "append":
            return Planned(calls.append_call(conversation_id, inputs, options), policy)
        given = options.get("metadata")
        check_mapping("metadata", given)
        ready = {**options, "metadata": {**given, **policy.to_metadata()}} if given is not None else options
        return Planned(calls.restart_call(conversation_id, request.entry_id, inputs, ready), policy)

    def guard_body(self, connectors: Connectors, body: Mapping[str, Any]) -> Steps[JsonDict]:
        """A first turn's body that was written by hand, as a job may send it: its tools are translated and checked.

        Raises:
            ConfigurationError: A tool can't be sent so, or a limit on it could not be enforced in a job.
        """
        ready, policy = _translate_tools(body)
        self.check_job(policy)
        self.safeguards.check_tools(ready.get("tools"))
        if ready.get("tools"):
            ready = {**ready, "tools": (yield from self.guards.check_tools(connectors, ready["tools"]))}
        return {**ready, "inputs": self.redact(ready["inputs"])} if "inputs" in ready else dict(ready)

    def check_agent(self, transport: Transport, agent_id: str) -> Steps[None]:
        """Read an agent and those it may hand over to, and compare their libraries with the allow-list.

        Raises:
            LibraryNotAllowedError: One is not on it.
        """
        if self.safeguards.allowed_library_ids is None:
            return
        walk = Walk(self.safeguards.agents_to_check(agent_id))
        wanted = walk.begin()
        while wanted is not None:
            call = get_agent_call(wanted)
            reply: Reply = yield Job(partial(transport.send, call), partial(transport.asend, call))
            wanted = walk.send(as_record(Agent, reply.json()))

    @staticmethod
    def check_job(policy: Policy) -> None:
        """Refuse what could not be enforced in a batch job."""
        if policy.watches_stream:
            raise ConfigurationError(_UNBOUNDED)

    def _plan_start(self, request: TurnRequest) -> Planned:
        agent_id = request.options.get("agent_id")
        self.notes.warn_of(request.options.get("model"))
        ready, policy = _translate_tools(request.options)
        self.safeguards.check_tools(ready.get("tools"))
        policy = self.book.of_agent(agent_id).joined(policy)
        call = calls.start_call(self.redact(request.inputs), ready)
        if ready.get("store") is False:
            harmless = may_repeat(ready, self.effects)
            call.once = not (harmless and self._retry_stateless)
            call.advice = _NOT_KEPT if harmless else _NOT_KEPT_BUT_RUN
        return Planned(call, policy, agent_id)


_UNBOUNDED = "Limits on tool runs or seconds end a turn while it runs; a batch job can't be."


def _translate_tools(options: Mapping[str, Any]) -> tuple[Mapping[str, Any], Policy]:
    """Options as they are sent, and the policy: that of the tools, else of metadata that were read of the service."""
    tools = options.get("tools")
    told = Policy.from_metadata(options.get("metadata"))
    if tools is None:
        return options, told
    done = translate_tools(tools)
    policy = told.joined(done.policy)
    ready: JsonDict = {**options, "tools": done.tools}
    if options.get("agent_id") is None:
        ready["instructions"] = done.added_to(options.get("instructions"))
    elif done.instructions:
        text = "With agent_id no instructions can be sent, so these hints are lost: " + done.instructions
        warn_user(f"{text} Add them to the agent's own instructions (client.agents.update).", TranslationWarning)
    if policy:
        check_mapping("metadata", options.get("metadata"))
        ready["metadata"] = {**(options.get("metadata") or {}), **policy.to_metadata()}
    return ready, policy


# Models that go -------------------------------------------------------------------------------------------------------


class ModelDeprecationWarning(FutureWarning):
    """A model will be retired; the text names what the service recommends instead."""


class ModelNotes:
    """The models with an end that a client has read of, each warned of once."""

    def __init__(self) -> None:
        self._ends: dict[str, str] = {}
        self._told: set[str] = set()

    def keep(self, card: Mapping[str, Any]) -> None:
        """Remember what a model as listed says of its end."""
        end = card.get("deprecation")
        if not isinstance(end, str):
            return
        other = card.get("deprecation_replacement_model")
        advice = f"use {other} instead" if isinstance(other, str) and other else "choose one of client.models"
        text = f"The model {card.get('id')} will be retired on {end}; {advice}."
        aliases = card.get("aliases")
        for name in (card.get("id"), *(aliases if isinstance(aliases, list) else ())):
            self._ends[str(name)] = text

    def warn_of(self, model: object) -> None:
        """Warn of a model that is about to be used, once.

        Warns:
            ModelDeprecationWarning: It is known to have an end.
        """
        text = self._ends.get(model) if isinstance(model, str) else None
        if text is not None and text not in self._told:
            self._told.add(text)
            warn_user(text, ModelDeprecationWarning)


# Connectors and their tools -------------------------------------------------------------------------------------------


class ConnectorGuards:
    """What one client has read of connectors."""

    def __init__(self) -> None:
        self._known: dict[str, Known] = {}
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {"_known": dict(self._known)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()

    def check_tools(self, connectors: Connectors, tools: Sequence[Mapping[str, Any]] | None) -> Steps[list[JsonDict]]:
        """Tools as they may be sent: the names that configure connectors are the connectors' own.

        Raises:
            UnknownToolNameError: A connector has no tool of a name in `requires_confirmation`.

        Warns:
            TranslationWarning: Nor one in `include` or `exclude`; or its tools can't be read.
        """
        ready: list[JsonDict] = []
        for tool in tools if tools is not None else ():
            checked = (yield from self._check_tool(connectors, tool)) if is_configured_connector(tool) else tool
            ready.append(checked)  # type: ignore[arg-type]
        return ready

    def _check_tool(self, connectors: Connectors, tool: Mapping[str, Any]) -> Steps[Mapping[str, Any]]:
        key = str(tool.get("connector_id"))
        kept = self._known.get(key)
        if kept is not None and not unknown_names(tool, *kept):
            return with_bare_names(tool, *kept)
        # A name that is not known may be new: the connector is read again before anything is refused.
        try:
            known = yield from _read_connector(connectors, key)
        except MistralAgentsError as error:
            tell_unguarded(tool, str(error.message))
            return tool
        if not known[0]:
            tell_unguarded(tool, "it shows none")
            return tool
        with self._lock:
            self._known[key] = known
        return with_bare_names(tool, *known)


def _read_connector(connectors: Connectors, key: str) -> Steps[Known]:
    rows = yield Job(lambda: connectors.tools(key), lambda: connectors.atools(key))
    info = yield Job(lambda: connectors.get(key), lambda: connectors.aget(key))
    names = frozenset(row["name"] for row in rows if isinstance(row.get("name"), str))
    return names, tuple(dict.fromkeys(name for name in (key, info.get("name")) if isinstance(name, str)))


# Turns that may be made twice -----------------------------------------------------------------------------------------


def have_effects(tools: object) -> bool:
    """Whether running one of these tools twice may do something twice; what is no list of tools may do anything."""
    if not isinstance(tools, (list, tuple)):
        return bool(tools)
    return not all(isinstance(tool, Mapping) and tool.get("type") in HARMLESS for tool in tools)


class AgentEffects:
    """Whether the tools of agents have effects, as far as one client has read them; bounded, safe in threads."""

    def __init__(self) -> None:
        self._harmless: dict[tuple[str, str], bool] = {}
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {"_harmless": dict(self._harmless)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()

    def learn(self, agent: Mapping[str, Any], version: object = None) -> None:
        """Remember an agent's record, read at a version or alias (None: its latest); handoffs lead to others."""
        harmless = not agent.get("handoffs") and not have_effects(agent.get("tools"))
        with self._lock:
            if len(self._harmless) >= _KEPT:
                self._harmless.clear()
            for known in {str(version), str(agent.get("version"))}:
                self._harmless[str(agent.get("id")), known] = harmless

    def is_harmless(self, agent_id: object, version: object) -> bool:
        """Whether an agent is known to have only tools without effects."""
        return self._harmless.get((str(agent_id), str(version)), False)


def may_repeat(options: Mapping[str, Any], agents: AgentEffects) -> bool:
    """Whether a first turn with these options, of which nothing is kept, may be made twice without harm."""
    if have_effects(options.get("tools")):
        return False
    agent_id = options.get("agent_id")
    return agent_id is None or agents.is_harmless(agent_id, options.get("agent_version"))
