"""One call of the chat model → the request that it sends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import BaseMessage

from langchain_mistral_agents._items import history_digest, items_of, list_pending
from langchain_mistral_agents._messages_in import Sent
from langchain_mistral_agents._messages_out import instructions_of, to_entries
from langchain_mistral_agents._settings import AgentSettings
from langchain_mistral_agents._tools import as_tool
from mistral_agents._border.continuation import Continuation, Position
from mistral_agents._border.model_call import ModelSettings, plan_turn, sort_call
from mistral_agents._border.options import MODEL_OPTIONS
from mistral_agents._border.seals import unseal_headers, unseal_tool
from mistral_agents._border.turns import TurnRequest
from mistral_agents._json import JsonDict
from mistral_agents._steps import Steps
from mistral_agents.client import MistralAgents


@dataclass(frozen=True, slots=True)
class Fields:
    """The model's settings that shape a request or its answer.

    Attributes:
        settings: What the foundation must know.
        base_url: The service.
        headers: Whether answers show the reply's headers.
        blocks: Whether answers are blocks always.
        resumes: Whether functions of its answers run here.
    """

    settings: ModelSettings
    base_url: str
    headers: bool = False
    blocks: bool = False
    resumes: bool = False


def read_fields(model: AgentSettings) -> Fields:
    """The settings of a model that count for a call."""
    kept = {k: v for k, v in (model.metadata or {}).items() if not k.startswith("lc_")}
    settings = ModelSettings(
        model=model.model,
        agent_id=model.agent_id,
        agent_version=model.agent_version,
        conversation_id=model.conversation_id,
        instructions=model.instructions,
        tools=model.connectors,
        options={name: model.__dict__[name] for name in MODEL_OPTIONS},
        store=model.store,
        handoff_execution=model.handoff_execution,
        metadata=kept,
        on_divergence=model.on_divergence,
    )
    return Fields(
        settings=settings,
        base_url=model.mistral.base_url,
        headers=model.include_response_headers,
        blocks=model.output_version == "v1",
        resumes=model._resumes,
    )


@dataclass(frozen=True, slots=True)
class Request:
    """A request to the conversations API.

    Attributes:
        turn: The turn to make.
        sent: What the answer's metadata needs.
    """

    turn: TurnRequest
    sent: Sent


class TurnPlan:
    """The plan of a call: what the foundation must know of its messages, and what becomes of its answer.

    Raises:
        ConfigurationError: An option can't be honoured; it names it.
    """

    def __init__(
        self, fields: Fields, messages: Sequence[BaseMessage], stop: list[str] | None, given: Mapping[str, Any]
    ) -> None:
        self._fields = fields
        self._messages = messages
        stops = {"stop": stop} if stop is not None else {}
        call = sort_call(
            fields.settings, {**given, **stops}, what="ChatMistralAgent", describe=as_tool, passed=("stream",)
        )
        if "headers" in call.options:
            call.options["headers"] = unseal_headers(call.options["headers"])
        self._call = call
        instructions = None if call.is_agent else instructions_of(messages, fields.settings.instructions)
        self._wanted = call.make_wanted(fields.base_url, instructions, systems=call.is_agent, resumes=fields.resumes)
        self._target = call.make_target(instructions, [unseal_tool(tool) for tool in call.tools])
        self._continuation = Continuation(items_of(messages) if call.stored else [], self._wanted)

    @property
    def is_stored(self) -> bool:
        """Whether the service keeps the conversation."""
        return self._call.stored

    def make(self, client: MistralAgents) -> Steps[Request]:
        """The request, after what must be known of the service was read.

        Raises:
            ConfigurationError: There is nothing to send, or a message can't be sent.
            PendingCallsError: A tool call has no result.
            DivergenceError: The history is no continuation, and the policy is to raise.
        """
        return self._make_request((yield from plan_turn(client, self._continuation, self._target, self._say)))

    def preview(self) -> TurnRequest:
        """The turn as far as it is known without reading anything."""
        return self._continuation.request(self._target, self._say)

    def _say(self, position: Position) -> tuple[list[JsonDict], list[JsonDict]]:
        """The messages from a position on as inputs, and the decisions given with the call."""
        return to_entries(self._messages[position.first :], systems=self._wanted.systems), self._call.confirmations

    def _make_request(self, turn: TurnRequest) -> Request:
        fields, call = self._fields, self._call
        waiting = [one for message in self._messages for one in list_pending(message)]
        sent = Sent(
            stored=call.stored,
            prefix=history_digest(self._messages, systems=self._wanted.systems) if call.stored else "",
            setup=self._wanted.setup.key if call.stored else "",
            model=call.model if call.model is not None else fields.settings.agent_id,
            stop=call.stop,
            headers=fields.headers,
            blocks=fields.blocks,
            continues=turn.conversation_id if turn.operation == "restart" else None,
            first_call_only=call.first_call_only,
            undecided=[one for one in waiting if one["tool_call_id"] in turn.undecided],
        )
        return Request(turn, sent)
