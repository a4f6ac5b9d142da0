"""The service's conversations: start, append, restart (call and stream), read, list, delete."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict

from typing_extensions import Unpack

from mistral_agents._records import ConversationInfo, as_record, rows_of
from mistral_agents._sdk import Operation
from mistral_agents._stream import AsyncTurnStream, TurnStream
from mistral_agents._transport import Call, Reply, Transport, path_of
from mistral_agents.entries import Entry, as_inputs, parse_entries
from mistral_agents.errors import ConfigurationError, ResponseFormatError
from mistral_agents.turn import Turn

Wire = dict[str, Any]
HandoffExecution = Literal["server", "client"]
_TAG = "beta.conversations"
_BOTH = "Give agent_id or model, not both: an agent brings its own model (the service refuses a request with the two)."
_AGENT_ONLY = "With agent_id, {} cannot be given: the service refuses it with 422. Set it on the agent, or use model=."


@dataclass(slots=True)
class History:
    """The entries of a conversation, oldest first.

    Attributes:
        conversation_id: The conversation.
        entries: Every entry, typed; unknown kinds keep their dict in `.raw`.
        raw: The reply's JSON.
    """

    conversation_id: str
    entries: list[Entry]
    raw: Wire = field(default_factory=dict, repr=False)


class TurnOptions(TypedDict, total=False):
    """What every turn takes.

    Attributes:
        store: Whether the service keeps the conversation; one that is not kept can't be continued.
        handoff_execution: Who runs handoffs; only with an agent.
        completion_args: Sampling and format options by the service's names (`temperature`, `stop`, ...).
        timeout: Seconds to wait for the whole reply (a stream: for its next bytes); None takes the client's setting.
        headers: Further HTTP headers.
    """

    store: bool | None
    handoff_execution: HandoffExecution | None
    completion_args: Mapping[str, Any] | None
    timeout: float | None
    headers: Mapping[str, str] | None


class StartOptions(TurnOptions, total=False):
    """What `start` takes.

    Attributes:
        model: The model; give this or `agent_id`.
        agent_id: The agent; it brings its own model, instructions and tools.
        agent_version: A version number (they start at 0) or an alias.
        instructions: System prompt; only with `model`.
        tools: Tools as dicts (see `mistral_agents.connectors`); fixed for the life of the conversation.
        guardrails: As the service takes them.
        name: A name for the conversation.
        description: A description of it.
        metadata: Your own keys, kept with the conversation.
    """

    model: str | None
    agent_id: str | None
    agent_version: int | str | None
    instructions: str | None
    tools: Sequence[Mapping[str, Any]] | None
    guardrails: Sequence[Mapping[str, Any]] | None
    name: str | None
    description: str | None
    metadata: Mapping[str, Any] | None


class AppendOptions(TurnOptions, total=False):
    """What `append` takes.

    Attributes:
        tool_confirmations: Answers to pending hosted tools: `{"tool_call_id", "confirmation": "allow"|"deny"}` each.
    """

    tool_confirmations: Sequence[Mapping[str, Any]] | None


class RestartOptions(TurnOptions, total=False):
    """What `restart` takes.

    Attributes:
        agent_version: A version number or an alias.
        guardrails: As the service takes them.
        metadata: Your own keys, kept with the new conversation.
    """

    agent_version: int | str | None
    guardrails: Sequence[Mapping[str, Any]] | None
    metadata: Mapping[str, Any] | None


def _operation(name: str) -> Operation:
    return Operation(f"agents_api_v1_conversations_{name}", _TAG)


def _wire(options: Mapping[str, Any], known: type[Any], what: str) -> Wire:
    allowed = known.__annotations__
    unknown = sorted(set(options) - set(allowed))
    if unknown:
        names = ", ".join(sorted(allowed))
        raise ConfigurationError(f"{what} takes no {', '.join(unknown)}; it takes {names}.")
    return {name: value for name, value in options.items() if value is not None and name not in ("timeout", "headers")}


def _check_start(body: Wire) -> None:
    if ("agent_id" in body) == ("model" in body):
        raise ConfigurationError(_BOTH if "model" in body else "Give agent_id= or model=.")
    if "agent_id" in body:
        refused = [name for name in ("completion_args", "instructions") if name in body]
        if refused:
            raise ConfigurationError(_AGENT_ONLY.format(" and ".join(refused)))
    elif "handoff_execution" in body:
        raise ConfigurationError("handoff_execution needs agent_id: the service refuses it beside model (422).")


def _turn_call(
    what: str, path: str, operation: str, body: Wire, options: Mapping[str, Any], conversation_id: str | None = None
) -> Call:
    return Call(
        what,
        "POST",
        path,
        _operation(operation),
        body=body,
        once=True,
        conversation_id=conversation_id,
        timeout=options.get("timeout"),
        headers=options.get("headers"),
    )


def _start(inputs: Any, options: Mapping[str, Any]) -> Call:
    body = {"inputs": as_inputs(inputs), **_wire(options, StartOptions, "start")}
    _check_start(body)
    return _turn_call("Starting the conversation", "/v1/conversations", "start", body, options)


def _append(conversation_id: str, inputs: Any, options: Mapping[str, Any]) -> Call:
    body = _wire(options, AppendOptions, "append")
    if inputs is not None or not body.get("tool_confirmations"):
        body["inputs"] = as_inputs("" if inputs is None else inputs)
    path = path_of("/v1/conversations/{conversation_id}", conversation_id=conversation_id)
    return _turn_call("Appending to the conversation", path, "append", body, options, conversation_id)


def _restart(conversation_id: str, from_entry_id: Any, inputs: Any, options: Mapping[str, Any]) -> Call:
    if not isinstance(from_entry_id, str) or not from_entry_id:
        raise ConfigurationError(f"from_entry_id must be the id of an entry, not {from_entry_id!r}.")
    known = _wire(options, RestartOptions, "restart")
    body = {"inputs": as_inputs(inputs), "from_entry_id": from_entry_id, **known}
    path = path_of("/v1/conversations/{conversation_id}/restart", conversation_id=conversation_id)
    return _turn_call("Restarting the conversation", path, "restart", body, options, conversation_id)


def _plain(method: str, conversation_id: str, operation: str, what: str, suffix: str = "") -> Call:
    path = path_of("/v1/conversations/{conversation_id}", conversation_id=conversation_id) + suffix
    return Call(what, method, path, _operation(operation), conversation_id=conversation_id)


def _get(conversation_id: str) -> Call:
    return _plain("GET", conversation_id, "get", "Reading the conversation")


def _get_history(conversation_id: str) -> Call:
    return _plain("GET", conversation_id, "history", "Reading the conversation's history", "/history")


def _get_messages(conversation_id: str) -> Call:
    return _plain("GET", conversation_id, "messages", "Reading the conversation's messages", "/messages")


def _delete(conversation_id: str) -> Call:
    return _plain("DELETE", conversation_id, "delete", "Deleting the conversation")


def _page(page: int, page_size: int, metadata: Mapping[str, Any] | None) -> Call:
    # Where no metadata is given the SDK sends a sentinel, which the service refuses; an empty object is the cure.
    wanted = json.dumps(dict(metadata) if metadata is not None else {})
    params = {"page": page, "page_size": page_size, "metadata": wanted}
    return Call("Listing conversations", "GET", "/v1/conversations", _operation("list"), params=params)


def _turn(reply: Reply) -> Turn:
    data = reply.json()
    if not isinstance(data, dict):
        raise ResponseFormatError("The service sent no conversation response.", status_code=reply.status, body=data)
    return Turn.from_response(data, headers=reply.headers)


def _history(conversation_id: str, reply: Reply) -> History:
    data = reply.json()
    entries = parse_entries(rows_of(data, "entries", "messages"))
    return History(conversation_id, entries, data if isinstance(data, dict) else {"entries": data})


class Conversations:
    """Conversations of the service. Every method has an asynchronous twin with the prefix `a`.

    An argument of None is not sent. `start`, `append` and `restart` are not idempotent: they are sent again only after
    a 429 or when no connection could be made.

    Raises:
        ConfigurationError: An argument is wrong; nothing was sent.
        MistralAgentsError: The service or the connection failed; see `mistral_agents.errors`.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def start(self, inputs: Any, **options: Unpack[StartOptions]) -> Turn:
        """Start a conversation with a text or a list of entries; see `StartOptions`."""
        return _turn(self._transport.send(_start(inputs, options)))

    async def astart(self, inputs: Any, **options: Unpack[StartOptions]) -> Turn:
        """As `start`, without blocking."""
        return _turn(await self._transport.asend(_start(inputs, options)))

    def start_stream(self, inputs: Any, **options: Unpack[StartOptions]) -> TurnStream:
        """As `start`, event by event."""
        return TurnStream(self._transport, _start(inputs, options))

    def astart_stream(self, inputs: Any, **options: Unpack[StartOptions]) -> AsyncTurnStream:
        """As `start_stream`, without blocking; use it with `async with` or `async for`."""
        return AsyncTurnStream(self._transport, _start(inputs, options))

    def append(self, conversation_id: str, inputs: Any = None, **options: Unpack[AppendOptions]) -> Turn:
        """Go on with a stored conversation; see `AppendOptions`.

        The tools and instructions of a conversation are fixed at its start. Give `inputs`, `tool_confirmations` or
        both; results of open function calls go in as `function.result` entries, all together.
        """
        return _turn(self._transport.send(_append(conversation_id, inputs, options)))

    async def aappend(self, conversation_id: str, inputs: Any = None, **options: Unpack[AppendOptions]) -> Turn:
        """As `append`, without blocking."""
        return _turn(await self._transport.asend(_append(conversation_id, inputs, options)))

    def append_stream(self, conversation_id: str, inputs: Any = None, **options: Unpack[AppendOptions]) -> TurnStream:
        """As `append`, event by event."""
        return TurnStream(self._transport, _append(conversation_id, inputs, options))

    def aappend_stream(
        self, conversation_id: str, inputs: Any = None, **options: Unpack[AppendOptions]
    ) -> AsyncTurnStream:
        """As `append_stream`, without blocking; use it with `async with` or `async for`."""
        return AsyncTurnStream(self._transport, _append(conversation_id, inputs, options))

    def restart(self, conversation_id: str, from_entry_id: str, inputs: Any, **options: Unpack[RestartOptions]) -> Turn:
        """Branch: keep a stored conversation up to and including an entry, and go on in a new one.

        The returned turn carries the new conversation's id; see `RestartOptions`.
        """
        return _turn(self._transport.send(_restart(conversation_id, from_entry_id, inputs, options)))

    async def arestart(
        self, conversation_id: str, from_entry_id: str, inputs: Any, **options: Unpack[RestartOptions]
    ) -> Turn:
        """As `restart`, without blocking."""
        return _turn(await self._transport.asend(_restart(conversation_id, from_entry_id, inputs, options)))

    def restart_stream(
        self, conversation_id: str, from_entry_id: str, inputs: Any, **options: Unpack[RestartOptions]
    ) -> TurnStream:
        """As `restart`, event by event."""
        return TurnStream(self._transport, _restart(conversation_id, from_entry_id, inputs, options))

    def arestart_stream(
        self, conversation_id: str, from_entry_id: str, inputs: Any, **options: Unpack[RestartOptions]
    ) -> AsyncTurnStream:
        """As `restart_stream`, without blocking; use it with `async with` or `async for`."""
        return AsyncTurnStream(self._transport, _restart(conversation_id, from_entry_id, inputs, options))

    def get(self, conversation_id: str) -> ConversationInfo:
        """What the service tells of a conversation: times, model or agent, metadata."""
        return as_record(ConversationInfo, self._transport.send(_get(conversation_id)).json())

    async def aget(self, conversation_id: str) -> ConversationInfo:
        """As `get`, without blocking."""
        return as_record(ConversationInfo, (await self._transport.asend(_get(conversation_id))).json())

    def get_history(self, conversation_id: str) -> History:
        """Every entry of a conversation, in one request (the service does not page them)."""
        return _history(conversation_id, self._transport.send(_get_history(conversation_id)))

    async def aget_history(self, conversation_id: str) -> History:
        """As `get_history`, without blocking."""
        return _history(conversation_id, await self._transport.asend(_get_history(conversation_id)))

    def get_messages(self, conversation_id: str) -> History:
        """The messages of a conversation, without tool runs."""
        return _history(conversation_id, self._transport.send(_get_messages(conversation_id)))

    async def aget_messages(self, conversation_id: str) -> History:
        """As `get_messages`, without blocking."""
        return _history(conversation_id, await self._transport.asend(_get_messages(conversation_id)))

    def delete(self, conversation_id: str) -> None:
        """Delete a conversation."""
        self._transport.send(_delete(conversation_id))

    async def adelete(self, conversation_id: str) -> None:
        """As `delete`, without blocking."""
        await self._transport.asend(_delete(conversation_id))

    def list(self, *, page_size: int = 100, metadata: Mapping[str, Any] | None = None) -> Iterator[ConversationInfo]:
        """All conversations of this key, page after page.

        Args:
            page_size: Conversations per request.
            metadata: Passed to the service; that it filters reliably is unverified, so check the result.
        """
        page = 0
        while True:
            rows = rows_of(self._transport.send(_page(page, page_size, metadata)).json(), "data")
            yield from map(ConversationInfo, rows)
            if len(rows) < page_size:
                return
            page += 1

    async def alist(
        self, *, page_size: int = 100, metadata: Mapping[str, Any] | None = None
    ) -> AsyncIterator[ConversationInfo]:
        """As `list`, without blocking."""
        page = 0
        while True:
            rows = rows_of((await self._transport.asend(_page(page, page_size, metadata))).json(), "data")
            for row in rows:
                yield ConversationInfo(row)
            if len(rows) < page_size:
                return
            page += 1
