"""One call of the chat model → the request that it sends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import BaseMessage

from langchain_mistral_agents._errors import LateConfirmationError
from langchain_mistral_agents._messages import Sent
from langchain_mistral_agents._requests import check_answered, instructions_of, to_entries
from langchain_mistral_agents._state import OnDivergence, Position, Wanted, chain, digest, locate, tool_keys
from langchain_mistral_agents._tools import as_tool, unsealed, unsealed_headers
from mistral_agents._border.options import (
    SKIPPED,
    check_agent_options,
    choose_tools,
    fit_options,
    resolve_options,
    take_completion,
)
from mistral_agents._json import JsonDict
from mistral_agents.entries import function_result
from mistral_agents.errors import ConfigurationError
from mistral_agents.tools import translate_tools


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
    guardrails: Sequence[Any] | None = None
    parallel_tool_calls: bool = True


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
        position: Where it goes.
        inputs: What is sent; None where only confirmations are.
        options: Keyword arguments of the foundation's `start`, `append` or `restart`.
        sent: What the answer's metadata needs.
    """

    position: Position
    inputs: list[JsonDict] | None
    options: JsonDict
    sent: Sent

    @property
    def payload(self) -> JsonDict:
        """Operation, ids and body together, to look at."""
        position = self.position
        ids = {"conversation_id": position.conversation_id}
        if position.operation == "restart":
            ids["from_entry_id"] = position.entry_id
        known = {name: value for name, value in ids.items() if value is not None}
        inputs = {} if self.inputs is None else {"inputs": self.inputs}
        return {"operation": position.operation, **known, **inputs, **self.options}


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
    setup = _setup(fields, instructions, [] if in_agent_mode else tools, given.get("guardrails"))
    return Asked(
        tools=tools,
        instructions=instructions,
        completion=completion,
        stop=tuple([stops] if isinstance(stops, str) else stops or ()) if in_agent_mode else (),
        options=given,
        stored=kept,
        wanted=Wanted(explicit, fields.conversation_id, setup, in_agent_mode, fields.on_divergence, fields.base_url),
        model=model if model is not None else fields.model,
        first_call_only=not parallel,
    )


def _setup(fields: Fields, instructions: str | None, tools: list[JsonDict], guardrails: Sequence[Any] | None) -> str:
    """Digest of what is fixed at a conversation's start, as the service is told it."""
    told = translate_tools(tools).added_to(instructions) if any("config" in tool for tool in tools) else instructions
    rules = [list(guardrails)] if guardrails is not None else []
    return digest(fields.agent_id, str(fields.agent_version), told, tool_keys(tools), *rules)


def plan(fields: Fields, asked: Asked, messages: Sequence[BaseMessage]) -> Request:
    """The request of a call.

    Raises:
        ConfigurationError: There is nothing to send, or a message can't be sent.
        PendingCallsError: A tool call has no result.
        DivergenceError: The history is no continuation, and the policy is to raise.
    """
    position = locate(messages, asked.wanted) if asked.stored else Position("start")
    confirms = bool(asked.options.get("tool_confirmations"))
    tail = list(messages[position.first :])
    starts = position.operation == "start"
    _check_calls(messages, position, confirms=confirms)
    inputs = to_entries(tail, keep_ids=not starts, systems=asked.wanted.systems)
    if not starts and position.first > 0:
        skipped = messages[position.first - 1].response_metadata.get("skipped_calls") or ()
        inputs = [function_result(call_id, SKIPPED) for call_id in skipped] + inputs
    if not inputs and not confirms:
        raise ConfigurationError("There is no new message to send.", conversation_id=position.conversation_id)
    sent = Sent(
        stored=asked.stored,
        prefix=(chain(messages, systems=asked.wanted.systems) or [""])[-1] if asked.stored else "",
        setup=asked.wanted.setup,
        model=asked.model if fields.agent_id is None else fields.agent_id,
        stop=asked.stop,
        headers=fields.headers,
        first_call_only=asked.first_call_only,
    )
    options = {
        **_call_options(asked, position),
        **(_start(fields, asked) if starts else _goes_on(fields, asked, position)),
    }
    return Request(position, inputs or None, options, sent)


def _check_calls(messages: Sequence[BaseMessage], position: Position, *, confirms: bool) -> None:
    """Calls of the answer that is gone on from must be answered too; it stands just before the tail."""
    if not confirms:
        check_answered(messages[max(position.first - 1, 0) :])
    elif position.operation != "append":
        raise LateConfirmationError(
            f"The confirmation comes too late: {position.reason or 'it names no stored conversation'}.",
            conversation_id=position.conversation_id,
            hint="Only calls at the end of a conversation can be confirmed; go on from before the question was asked.",
        )


def _call_options(asked: Asked, position: Position) -> JsonDict:
    """Options of this call that go out as they are."""
    options = fit_options(asked.options, position.operation)
    return {**options, "headers": unsealed_headers(options["headers"])} if "headers" in options else options


def _start(fields: Fields, asked: Asked) -> JsonDict:
    options: JsonDict = {"store": asked.stored}
    if fields.agent_id is not None:
        options |= {"agent_id": fields.agent_id, "agent_version": fields.agent_version}
    else:
        options |= {"model": asked.model, "instructions": asked.instructions}
        options |= {
            "tools": [unsealed(tool) for tool in asked.tools] or None,
            "completion_args": asked.completion or None,
        }
    options["handoff_execution"] = asked.options.get("handoff_execution", fields.handoff_execution)
    kept = fields.metadata if asked.stored else {}
    options["metadata"] = {**kept, **asked.options.get("metadata", {})} or None
    return {name: value for name, value in options.items() if value is not None}


def _goes_on(fields: Fields, asked: Asked, position: Position) -> JsonDict:
    options: JsonDict = {"completion_args": asked.completion or None} if fields.agent_id is None else {}
    options["handoff_execution"] = asked.options.get("handoff_execution", fields.handoff_execution)
    if position.operation == "restart":
        options["agent_version"] = fields.agent_version
    return {name: value for name, value in options.items() if value is not None}
