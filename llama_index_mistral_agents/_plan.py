"""Which request a list of messages becomes; where it goes is decided by the foundation.

State travels with the messages. An answer of a stored conversation carries in `additional_kwargs`: `conversation_id`,
`stored` (True), `entry_id` (the last entry known), `history_digest`, `setup_digest`, `system` (which system messages
the conversation knows), `continues` (the conversation it branched from) and `skipped_calls`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from llama_index.core.base.llms.types import ChatMessage

from llama_index_mistral_agents._items import (
    drop_repetitions,
    history_digest,
    items_of,
    list_pending,
    mark_of,
    split_repetition,
)
from llama_index_mistral_agents._messages_out import (
    SYSTEM,
    check_messages,
    is_confirmation,
    short_hash,
    system_text,
    to_inputs,
)
from llama_index_mistral_agents._sessions import Session, session_of
from llama_index_mistral_agents._tools import describe_tool
from mistral_agents._border.blocks import note_instructions
from mistral_agents._border.continuation import Continuation, Position
from mistral_agents._border.model_call import ModelSettings, plan_turn, sort_call
from mistral_agents._border.seals import unseal_options
from mistral_agents._border.turns import TurnRequest
from mistral_agents._json import JsonDict
from mistral_agents._steps import Steps
from mistral_agents.client import MistralAgents
from mistral_agents.entries import user_message


@dataclass(frozen=True, slots=True)
class Request:
    """One turn to be made.

    Attributes:
        turn: The turn.
        stored: Whether the service keeps the result.
        first_call_only: Whether one function call at a time is wanted.
        stop: Stop sequences that we must enforce.
        prefix: Digest of the messages given.
        marks: What the answer must carry for the next turn.
        sent: The messages that the conversation holds with the turn, those that only repeat it included.
        session: The memory to tell.
        draft: The words of the turn that used tools, where another one wrote the answer in a form.
        undecided: Hosted calls of earlier answers that go on waiting for a decision.
    """

    turn: TurnRequest
    stored: bool = False
    first_call_only: bool = False
    stop: tuple[str, ...] = ()
    prefix: str = ""
    marks: JsonDict = field(default_factory=dict)
    sent: Sequence[ChatMessage] = ()
    session: Session | None = None
    draft: str | None = None
    undecided: Sequence[JsonDict] = ()


_NO_INSTRUCTIONS = None
"""What a conversation is fixed to: system messages may change, so they reach it as words."""


class TurnPlan:
    """The plan of a call: what the foundation must know of its messages, and what becomes of its answer.

    Raises:
        ConfigurationError: An option can't be honoured; it names it.
    """

    def __init__(self, messages: Sequence[ChatMessage], settings: ModelSettings, given: Mapping[str, Any]) -> None:
        check_messages(messages)
        self._messages, self._repeated = split_repetition(drop_repetitions(messages))
        self._session = session_of(messages)
        self._system = system_text(messages)
        call = sort_call(settings, unseal_options(given), what="MistralAgentLLM", describe=describe_tool)
        self._call = call if self._session is None else replace(call, stored=True)
        self._confirms = bool(messages) and is_confirmation(messages[-1])
        self._target = self._call.make_target(self._system or None)
        self._position = Position("start")

    def make(self, client: MistralAgents) -> Steps[Request]:
        """The request, after what must be known of the service was read.

        Raises:
            ConfigurationError: The messages can't be sent so; nothing was sent.
        """
        wanted = self._call.make_wanted(
            client.base_url, _NO_INSTRUCTIONS, notes=bool(self._system), confirms=self._confirms
        )
        plan = Continuation(items_of(self._messages) if self._call.stored else [], wanted)
        turn = yield from plan_turn(client, plan, self._target, self._say)
        return self._make_request(turn)

    def _say(self, position: Position) -> tuple[list[JsonDict], list[JsonDict]]:
        """The messages from a position on as inputs, and the confirmations among them."""
        self._position = position
        new = self._messages[position.first :]
        confirmations = self._list_confirmations(new) if position.operation == "append" else []
        if not any(message.role not in SYSTEM for message in new):
            return [], confirmations
        if position.operation == "start":
            return self._say_start(new), []
        inputs = to_inputs(new)
        if self._system and (inputs or confirmations) and short_hash(self._system) != self._find_known_system():
            place = sum(entry["type"] == "function.result" for entry in inputs)
            inputs.insert(place, user_message(note_instructions(self._system)))
        return inputs, confirmations

    def _say_start(self, messages: Sequence[ChatMessage]) -> list[JsonDict]:
        inputs = to_inputs(messages)
        if inputs and self._system and self._call.is_agent:
            inputs.insert(0, user_message(note_instructions(self._system)))
        return inputs

    @property
    def _anchor(self) -> ChatMessage | None:
        """The message after which the turn goes on."""
        return self._messages[self._position.first - 1] if self._position.first > 0 else None

    def _mark(self, name: str) -> Any:
        anchor = self._anchor
        return anchor.additional_kwargs.get(name) if anchor is not None and mark_of(anchor) is not None else None

    def _list_confirmations(self, new: Sequence[ChatMessage]) -> list[JsonDict]:
        """The decisions on hosted tools that wait, the last word on each."""
        said = [message.additional_kwargs for message in new if is_confirmation(message)] + self._call.confirmations
        decisions = {kwargs["tool_call_id"]: kwargs["confirmation"] for kwargs in said}
        return [{"tool_call_id": call_id, "confirmation": decision} for call_id, decision in decisions.items()]

    def _find_known_system(self) -> str | None:
        known, info = self._mark("system"), self._position.info
        if known is None and info is not None and isinstance(info.get("instructions"), str):
            return short_hash(info["instructions"].strip())
        return known if isinstance(known, str) else None

    def _make_request(self, turn: TurnRequest) -> Request:
        first = self._position.first if turn.operation != "start" else 0
        known = self._mark("system") if turn.operation != "start" else None
        waiting = [one for message in self._messages for one in list_pending(message)]
        return Request(
            turn,
            stored=self._call.stored,
            first_call_only=self._call.first_call_only,
            stop=self._call.stop,
            prefix=history_digest(self._messages) if self._call.stored else "",
            marks={
                "setup_digest": self._call.describe_setup(_NO_INSTRUCTIONS).key,
                "system": short_hash(self._system) if self._system else known,
                "continues": turn.conversation_id if turn.operation == "restart" else None,
            }
            if self._call.stored
            else {},
            sent=[*self._repeated, *(message for message in self._messages[first:] if message.role not in SYSTEM)],
            session=self._session,
            undecided=[one for one in waiting if one["id"] in turn.undecided],
        )
