"""One call of the chat model → the request that it sends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from langchain_core.messages import BaseMessage

from langchain_mistral_agents._items import history_digest, items_of
from langchain_mistral_agents._messages import Sent
from langchain_mistral_agents._requests import instructions_of, to_entries
from langchain_mistral_agents._tools import as_tool, unsealed, unsealed_headers
from mistral_agents._border.continuation import Continuation, OnDivergence, Position, Target, Wanted, plan_turn
from mistral_agents._border.fingerprints import Setup
from mistral_agents._border.options import (
    check_agent_options,
    choose_tools,
    resolve_options,
    take_completion,
)
from mistral_agents._border.turns import TurnRequest
from mistral_agents._json import JsonDict
from mistral_agents._steps import Steps
from mistral_agents.client import MistralAgents


@dataclass(frozen=True, slots=True)
class Fields:
    """The model's settings that shape a request."""

    model: str | None
    agent_id: str | None
    agent_version: int | str | None
    conversation_id: str | None
    instructions: str | None
    connectors: Sequence[Any]
    completion_args: JsonDict
    stop: list[str] | None
    store: bool
    handoff_execution: str | None
    metadata: JsonDict
    on_divergence: OnDivergence
    base_url: str
    headers: bool = False
    blocks: bool = False
    guardrails: Sequence[Any] | None = None
    parallel_tool_calls: bool = True
    resumes: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """A call with its options sorted.

    Attributes:
        tools: Tools to declare (model mode), or declared locally (agent mode).
        instructions: The system prompt; None in agent mode.
        completion: The service's `completion_args`.
        stop: Stop sequences that we must enforce ourselves.
        options: Other options of the request.
        stored: Whether the conversation is kept.
        wanted: What is asked of a kept conversation.
        model: The model, after an override.
        first_call_only: Whether one function call at a time is wanted.
    """

    tools: list[JsonDict]
    instructions: str | None
    completion: JsonDict
    stop: tuple[str, ...]
    options: JsonDict
    stored: bool
    wanted: Wanted
    model: str | None
    first_call_only: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """A request to the conversations API.

    Attributes:
        turn: The turn to make.
        sent: What the answer's metadata needs.
    """

    turn: TurnRequest
    sent: Sent


def ask(fields: Fields, messages: Sequence[BaseMessage], stop: list[str] | None, kwargs: Mapping[str, Any]) -> Asked:
    """Sort the options of a call.

    Raises:
        ConfigurationError: An option can't be honoured; it names it.
    """
    given = resolve_options(kwargs, what="ChatMistralAgent", where="call", others=("stream",))
    given.pop("stream", None)
    completion = {**fields.completion_args, **take_completion(given)}
    choice = completion.pop("tool_choice", None)
    stored, explicit = given.pop("store", fields.store), given.pop("conversation_id", None)
    model = given.pop("model", None)
    if fields.guardrails is not None:
        given.setdefault("guardrails", fields.guardrails)
    parallel, strict = given.pop("parallel_tool_calls", fields.parallel_tool_calls), given.pop("strict", None)
    tools = [*fields.connectors, *(as_tool(tool, strict=strict) for tool in given.pop("tools", ()))]
    words = [stop, completion.pop("stop", None), fields.stop]
    stops = next((found for found in words if found is not None), None)
    in_agent_mode = fields.agent_id is not None
    if in_agent_mode:
        own = {"model": model, "instructions": fields.instructions, "connectors": list(fields.connectors)}
        check_agent_options({**own, **completion, "tool_choice": choice}, enforced=("stop",))
        instructions = None
    else:
        tools, word = choose_tools(tools, choice)
        completion |= {"tool_choice": word} if word is not None else {}
        completion |= {"stop": stops} if stops else {}
        instructions = instructions_of(messages, fields.instructions)
    kept = stored or explicit is not None or fields.conversation_id is not None
    setup = Setup(fields.agent_id, fields.agent_version) if in_agent_mode else Setup.of(instructions, tools)
    wanted = Wanted(
        base_url=fields.base_url,
        stored=kept,
        setup=replace(setup, guardrails=given.get("guardrails")),
        given=explicit,
        fallback=fields.conversation_id,
        systems=in_agent_mode,
        declared=tools if in_agent_mode else (),
        policy=fields.on_divergence,
        confirms=bool(given.get("tool_confirmations")),
        resumes=fields.resumes,
    )
    return Asked(
        tools=tools,
        instructions=instructions,
        completion=completion,
        stop=tuple([stops] if isinstance(stops, str) else stops or ()) if in_agent_mode else (),
        options={**given, "headers": unsealed_headers(given["headers"])} if "headers" in given else given,
        stored=kept,
        wanted=wanted,
        model=model if model is not None else fields.model,
        first_call_only=not parallel,
    )


class Plan:
    """The plan of a call: what the foundation must know of its messages, and what becomes of its answer."""

    def __init__(self, fields: Fields, asked: Asked, messages: Sequence[BaseMessage]) -> None:
        self._fields = fields
        self._asked = asked
        self._messages = messages
        self._continuation = Continuation(items_of(messages) if asked.stored else [], asked.wanted)
        in_agent_mode = fields.agent_id is not None
        self._target = Target(
            model=None if in_agent_mode else asked.model,
            agent_id=fields.agent_id,
            agent_version=fields.agent_version,
            instructions=asked.instructions,
            tools=[] if in_agent_mode else [unsealed(tool) for tool in asked.tools],
            completion_args=asked.completion,
            handoff_execution=fields.handoff_execution,
            metadata=fields.metadata,
            options={name: value for name, value in asked.options.items() if name != "tool_confirmations"},
        )

    def make(self, client: MistralAgents) -> Steps[Request]:
        """The request, after what must be known of the service was read.

        Raises:
            ConfigurationError: There is nothing to send, or a message can't be sent.
            PendingCallsError: A tool call has no result.
            DivergenceError: The history is no continuation, and the policy is to raise.
        """
        return self._request((yield from plan_turn(client, self._continuation, self._target, self._say)))

    def preview(self) -> TurnRequest:
        """The turn as far as it is known without reading anything."""
        return self._continuation.request(self._target, self._say)

    def _say(self, position: Position) -> tuple[list[JsonDict], list[JsonDict]]:
        """The messages from a position on as inputs, and the decisions given with the call."""
        confirmations = list(self._asked.options.get("tool_confirmations") or ())
        return to_entries(self._messages[position.first :], systems=self._asked.wanted.systems), confirmations

    def _request(self, turn: TurnRequest) -> Request:
        fields, asked = self._fields, self._asked
        sent = Sent(
            stored=asked.stored,
            prefix=history_digest(self._messages, systems=asked.wanted.systems) if asked.stored else "",
            setup=asked.wanted.setup.key,
            model=asked.model if fields.agent_id is None else fields.agent_id,
            stop=asked.stop,
            headers=fields.headers,
            blocks=fields.blocks,
            continues=turn.conversation_id if turn.operation == "restart" else None,
            first_call_only=asked.first_call_only,
        )
        return Request(turn, sent)
