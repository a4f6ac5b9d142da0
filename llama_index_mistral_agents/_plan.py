"""Which request a list of messages becomes; where it goes is decided by the foundation.

State travels with the messages. An answer of a stored conversation carries in `additional_kwargs`: `conversation_id`,
`stored` (True), `entry_id` (the last entry known), `history_digest`, `setup_digest`, `system` (which system messages
the conversation knows), `continues` (the conversation it branched from) and `skipped_calls`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from llama_index.core.base.llms.types import ChatMessage

from llama_index_mistral_agents._items import drop_repetitions, history_digest, items_of, mark_of
from llama_index_mistral_agents._messages import (
    SYSTEM,
    is_confirmation,
    short_hash,
    system_text,
    to_inputs,
)
from llama_index_mistral_agents._options import CallOptions
from llama_index_mistral_agents._sessions import Session, session_of
from mistral_agents._border import continuation
from mistral_agents._border.continuation import Continuation, OnDivergence, Position, Wanted, plan_turn
from mistral_agents._border.fingerprints import Setup
from mistral_agents._border.turns import TurnRequest
from mistral_agents._json import JsonDict
from mistral_agents._steps import Steps
from mistral_agents.client import MistralAgents
from mistral_agents.entries import user_message

SYSTEM_NOTE = "Instructions for what follows:\n\n{}"


@dataclass(frozen=True, slots=True)
class Target:
    """What the model is set to: who answers, and where the conversation is kept.

    Attributes:
        model: The model; None with an agent.
        agent_id: The agent; None with a model.
        agent_version: Its version or alias.
        store: Whether a new conversation is kept.
        conversation_id: The conversation to go on with.
        handoff_execution: Who runs handoffs of an agent.
        on_divergence: What to do where the messages are no continuation.
    """

    model: str | None = None
    agent_id: str | None = None
    agent_version: int | str | None = None
    store: bool = False
    conversation_id: str | None = None
    handoff_execution: Literal["server", "client"] | None = None
    on_divergence: OnDivergence = "restart"


@dataclass(frozen=True, slots=True)
class Request:
    """One turn to be made.

    Attributes:
        turn: The turn.
        stored: Whether the service keeps the result.
        first_call_only: Whether one function call at a time is wanted.
        prefix: Digest of the messages given.
        marks: What the answer must carry for the next turn.
        sent: The messages that the turn says.
        session: The memory to tell.
    """

    turn: TurnRequest
    stored: bool = False
    first_call_only: bool = False
    prefix: str = ""
    marks: JsonDict = field(default_factory=dict)
    sent: Sequence[ChatMessage] = ()
    session: Session | None = None


def setup_of(target: Target, tools: Sequence[Mapping[str, Any]]) -> Setup:
    """What a conversation is started with; system messages may change, they reach it as words."""
    if target.agent_id is not None:
        return Setup(target.agent_id, target.agent_version)
    return Setup.of(None, tools)


class Plan:
    """The plan of a call: what the foundation must know of its messages, and what becomes of its answer."""

    def __init__(self, messages: Sequence[ChatMessage], target: Target, options: CallOptions) -> None:
        self._messages = drop_repetitions(messages)
        target = replace(target, **options.target)
        self._settings = target
        self._options = options
        self._session = session_of(messages)
        self._system = system_text(messages)
        self._stored = target.store or target.conversation_id is not None or self._session is not None
        is_agent = target.agent_id is not None
        self._wanted = Wanted(
            base_url="",
            stored=self._stored,
            setup=replace(setup_of(target, options.tools), guardrails=options.request.get("guardrails")),
            given=target.conversation_id,
            declared=options.tools if is_agent else (),
            notes=bool(self._system),
            policy=target.on_divergence,
            confirms=(bool(messages) and is_confirmation(messages[-1])) or "tool_confirmations" in options.request,
        )
        self._target = continuation.Target(
            model=target.model,
            agent_id=target.agent_id,
            agent_version=target.agent_version,
            instructions=None if is_agent else self._system or None,
            tools=[] if is_agent else options.tools,
            completion_args=options.completion_args,
            handoff_execution=target.handoff_execution,
            metadata=options.metadata,
            options={name: value for name, value in options.request.items() if name != "tool_confirmations"},
        )
        self._position = Position("start")

    def make(self, client: MistralAgents) -> Steps[Request]:
        """The request, after what must be known of the service was read.

        Raises:
            ConfigurationError: The messages can't be sent so; nothing was sent.
        """
        wanted = replace(self._wanted, base_url=client.base_url)
        plan = Continuation(items_of(self._messages) if self._stored else [], wanted)
        turn = yield from plan_turn(client, plan, self._target, self._say)
        return self._request(turn)

    def _say(self, position: Position) -> tuple[list[JsonDict], list[JsonDict]]:
        """The messages from a position on as inputs, and the confirmations among them."""
        self._position = position
        new = self._messages[position.first :]
        if not any(message.role not in SYSTEM for message in new):
            return [], []
        if position.operation == "start":
            return self._say_start(new), []
        inputs = to_inputs(new)
        confirmations = self._confirmations(new) if position.operation == "append" else []
        if self._system and (inputs or confirmations) and short_hash(self._system) != self._known_system():
            place = sum(entry["type"] == "function.result" for entry in inputs)
            inputs.insert(place, user_message(SYSTEM_NOTE.format(self._system)))
        return inputs, confirmations

    def _say_start(self, messages: Sequence[ChatMessage]) -> list[JsonDict]:
        inputs = to_inputs(messages)
        if inputs and self._system and self._settings.agent_id is not None:
            inputs.insert(0, user_message(SYSTEM_NOTE.format(self._system)))
        return inputs

    @property
    def _anchor(self) -> ChatMessage | None:
        """The message after which the turn goes on."""
        return self._messages[self._position.first - 1] if self._position.first > 0 else None

    def _mark(self, name: str) -> Any:
        anchor = self._anchor
        return anchor.additional_kwargs.get(name) if anchor is not None and mark_of(anchor) is not None else None

    def _confirmations(self, new: Sequence[ChatMessage]) -> list[JsonDict]:
        """The decisions on hosted tools that wait; a tool nothing is said about is denied, since it blocks the rest."""
        decisions = {call["id"]: "deny" for call in self._mark("pending_confirmations") or ()}
        said = [message.additional_kwargs for message in new if is_confirmation(message)]
        said += self._options.request.get("tool_confirmations", ())
        decisions.update((kwargs["tool_call_id"], kwargs["confirmation"]) for kwargs in said)
        return [{"tool_call_id": call_id, "confirmation": decision} for call_id, decision in decisions.items()]

    def _known_system(self) -> str | None:
        known, info = self._mark("system"), self._position.info
        if known is None and info is not None and isinstance(info.get("instructions"), str):
            return short_hash(info["instructions"].strip())
        return known if isinstance(known, str) else None

    def _request(self, turn: TurnRequest) -> Request:
        first = self._position.first if turn.operation != "start" else 0
        known = self._mark("system") if turn.operation != "start" else None
        return Request(
            turn,
            stored=self._stored,
            first_call_only=self._options.first_call_only,
            prefix=history_digest(self._messages) if self._stored else "",
            marks={
                "setup_digest": self._wanted.setup.key,
                "system": short_hash(self._system) if self._system else known,
                "continues": turn.conversation_id if turn.operation == "restart" else None,
            },
            sent=[message for message in self._messages[first:] if message.role not in SYSTEM],
            session=self._session,
        )
