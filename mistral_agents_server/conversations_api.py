"""The routes of /v1/conversations."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import weakref
from collections.abc import AsyncIterator, Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from mistral_agents_server import ids
from mistral_agents_server.agents import full_args
from mistral_agents_server.checks import check_choice, check_restart, check_start, check_tools, require_inputs
from mistral_agents_server.draft import event
from mistral_agents_server.errors import (
    NOT_FOUND,
    ApiError,
    bad_request,
    model_not_in_use,
    not_found,
)
from mistral_agents_server.guardrails import texts_of
from mistral_agents_server.messages import check_results, open_calls, stored_entry, user_entry
from mistral_agents_server.offers import check_configurations
from mistral_agents_server.paging import metadata_filter, page_of
from mistral_agents_server.store import Conversation, ConversationStore
from mistral_agents_server.turn_queue import TurnQueue
from mistral_agents_server.turns import Actor, Plan, Services, Turn
from mistral_agents_server.wire import AppendRequest, RestartRequest, StartRequest, read_body, wire
from mistral_agents_server.wire_entries import InputEntry

Wire = dict[str, Any]

_logger = logging.getLogger(__name__)


def owner_of(request: Request) -> str:
    """A fingerprint of the key; conversations are seen by the key that made them only."""
    return hashlib.sha256(request.headers["authorization"].encode()).hexdigest()[:16]


def input_entries(inputs: str | list[InputEntry] | None) -> list[Wire]:
    """The request's inputs as entries that can be kept."""
    if inputs is None:
        return []
    if isinstance(inputs, str):
        return [user_entry(inputs)]
    return [stored_entry({"type": entry.type, **wire(entry)}) for entry in inputs]


class _Locks:
    """One lock per conversation, so that turns of one conversation follow each other."""

    def __init__(self) -> None:
        self._locks: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()

    def of(self, conversation_id: str) -> asyncio.Lock:
        """The lock of one conversation."""
        lock = self._locks.get(conversation_id)
        if lock is None:
            self._locks[conversation_id] = lock = asyncio.Lock()
        return lock


class TurnResponse(Response):
    """Runs a turn and sends it, as one JSON body or as events, while no other turn of the conversation runs.

    Args:
        lock: held from reading the history until the reply is sent.
        queue: where the turn finds its place and its thread.
        services: the server's rooms.
        prepare: reads and checks what the turn starts from; its errors become the reply.
        stream: whether to send events.
    """

    def __init__(
        self,
        lock: asyncio.Lock,
        queue: TurnQueue,
        services: Services,
        prepare: Callable[[], tuple[Plan, Callable[[Turn], None]]],
        stream: bool,
    ) -> None:
        super().__init__()
        self._lock, self._queue, self._services = lock, queue, services
        self._prepare, self._stream = prepare, stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the turn and send it."""
        async with self._queue.place(), self._lock:
            plan, commit = await self._queue.run(self._prepare)
            turn = Turn(self._services, plan, commit)
            if self._stream:
                response = _streamed(turn, self._queue)
            else:
                response = await self._queue.run(_called, turn, self._services)
            await response(scope, receive, send)


def _called(turn: Turn, services: Services) -> Response:
    for _ in turn.events():
        pass
    return JSONResponse(turn.response(), headers=services.quota.headers(["tokens", *turn.usage.connectors]))


def _streamed(turn: Turn, queue: TurnQueue) -> Response:
    return StreamingResponse(_sse(turn, queue), media_type="text/event-stream; charset=utf-8")


def encode_event(data: Wire) -> bytes:
    """One event of the stream, written as the service writes it."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return f"event: {data['type']}\ndata: {text}\n\n".encode()


async def _sse(turn: Turn, queue: TurnQueue) -> AsyncIterator[bytes]:
    """The events of a turn. A failure after the start is an event too, as the status has been sent."""
    events = turn.events()
    try:
        async for item in queue.iterate(events):
            yield encode_event(item)
    except ApiError as error:
        code = error.body.get("code")
        message = str(error.body.get("message", error.body))
        yield encode_event(_failure(message, code if isinstance(code, int) else error.status))
    except Exception:  # the stream has begun: the client must learn of it inside the stream
        _logger.exception("a streamed turn failed")
        yield encode_event(_failure("Internal Server Error", NOT_FOUND))
    finally:
        events.close()


def _failure(message: str, code: int) -> Wire:
    return event("conversation.response.error", message=message, code=code)


class ConversationsApi:
    """The routes of /v1/conversations.

    Args:
        store: where conversations are kept.
        services: what turns need.
        queue: where turns find their place.
    """

    def __init__(self, store: ConversationStore, services: Services, queue: TurnQueue) -> None:
        self._store = store
        self._queue = queue
        self._services = services
        self._locks = _Locks()

    def routes(self) -> list[Route]:
        """The routes."""
        one = "/v1/conversations/{conversation_id}"
        return [
            Route("/v1/conversations", self.start, methods=["POST"]),
            Route("/v1/conversations", self.list_page, methods=["GET"]),
            Route(one, self.append, methods=["POST"]),
            Route(one, self.get, methods=["GET"]),
            Route(one, self.delete, methods=["DELETE"]),
            Route(f"{one}/history", self.history, methods=["GET"]),
            Route(f"{one}/messages", self.messages, methods=["GET"]),
            Route(f"{one}/restart", self.restart, methods=["POST"]),
        ]

    # --- turns ---

    async def start(self, request: Request) -> Response:
        """A new conversation with its first turn."""
        body = await read_body(request, StartRequest)
        check_start(body)
        owner = owner_of(request)
        return self._turn(asyncio.Lock(), lambda: self._start(body, owner), bool(body.stream))

    def _turn(
        self, lock: asyncio.Lock, prepare: Callable[[], tuple[Plan, Callable[[Turn], None]]], stream: bool
    ) -> Response:
        return TurnResponse(lock, self._queue, self._services, prepare, stream)

    def _start(self, body: StartRequest, owner: str) -> tuple[Plan, Callable[[Turn], None]]:
        given = wire(body)
        conversation = Conversation(ids.new_id("conv"), {}, owner)
        conversation.body = _conversation_body(conversation.id, given)
        actor = self._actor(conversation, [])
        if not self._services.models.knows(actor.model):
            raise model_not_in_use(actor.model)
        check_tools(actor.tools, actor.args)
        check_configurations(actor.tools, self._services.sources)
        self._require_quota(actor)
        inputs = input_entries(body.inputs)
        check_results([], inputs)
        plan = Plan(conversation.id, actor, [], inputs, handoff_execution=body.handoff_execution or "server")
        self._guard(plan, conversation)

        def commit(turn: Turn) -> None:
            if body.store is not False:
                self._store.save(conversation, [*inputs, *turn.outputs])

        return plan, commit

    async def append(self, request: Request) -> Response:
        """One more turn."""
        conversation_id, owner = request.path_params["conversation_id"], owner_of(request)
        body = await read_body(request, AppendRequest)
        if not body.tool_confirmations:
            require_inputs(body)
        lock = self._locks.of(conversation_id)
        return self._turn(lock, lambda: self._append(conversation_id, body, owner), body.stream)

    def _append(self, conversation_id: str, body: AppendRequest, owner: str) -> tuple[Plan, Callable[[Turn], None]]:
        conversation = self._store.get(conversation_id, owner)
        history = self._store.entries(conversation_id)
        confirmations = {c.tool_call_id: c.confirmation for c in body.tool_confirmations or []}
        changed = check_confirmations(history, dict(confirmations))
        inputs = input_entries(body.inputs)
        if inputs or not confirmations:
            check_results([e for e in history if e.get("tool_call_id") not in confirmations], inputs)
        plan = self._plan(conversation, history, inputs, body)
        plan.confirmations = dict(confirmations)

        def commit(turn: Turn) -> None:
            if body.store:
                self._store.replace_tail(conversation_id, changed, [*history[changed:], *inputs, *turn.outputs])

        return plan, commit

    async def restart(self, request: Request) -> Response:
        """A new conversation that begins with a part of an old one."""
        conversation_id, owner = request.path_params["conversation_id"], owner_of(request)
        body = await read_body(request, RestartRequest)
        return self._turn(asyncio.Lock(), lambda: self._restart(conversation_id, body, owner), body.stream)

    def _restart(self, conversation_id: str, body: RestartRequest, owner: str) -> tuple[Plan, Callable[[Turn], None]]:
        source = self._store.get(conversation_id, owner)
        check_restart(body, source.agent_id)
        history = kept_until(self._store.entries(conversation_id), body.from_entry_id)
        now = ids.now()
        new = Conversation(ids.new_id("conv"), dict(source.body), owner)
        new.body |= {"id": new.id, "created_at": now, "updated_at": now}
        new.body |= {
            name: value
            for name, value in wire(body).items()
            if name in ("metadata", "guardrails") and value is not None
        }
        if source.agent_id is not None:
            new.body["agent_version"] = body.agent_version  # by the description, else the agent's current one
        inputs = input_entries(body.inputs)
        check_results(history, inputs)
        plan = self._plan(new, history, inputs, body)

        def commit(turn: Turn) -> None:
            if body.store:
                self._store.save(new, [*history, *inputs, *turn.outputs])

        return plan, commit

    def _plan(
        self, conversation: Conversation, history: list[Wire], inputs: list[Wire], body: AppendRequest | RestartRequest
    ) -> Plan:
        actor = self._actor(conversation, history)
        args = wire(body.completion_args) if body.completion_args is not None else {}
        check_choice(actor.tools, args)
        self._require_quota(actor)
        plan = Plan(conversation.id, actor, history, inputs, args, body.handoff_execution)
        self._guard(plan, conversation)
        return plan

    def _guard(self, plan: Plan, conversation: Conversation) -> None:
        """Give a plan the guardrails of its conversation, else of its agent, and let them see the inputs.

        Raises:
            ApiError: 403 when one blocks; no turn is run then.
        """
        agent = plan.actor.agent
        own = conversation.body.get("guardrails")
        plan.guardrails = own if own is not None else (agent["guardrails"] or []) if agent is not None else []
        self._services.moderator.check(plan.guardrails, texts_of(plan.inputs))

    def _actor(self, conversation: Conversation, history: list[Wire]) -> Actor:
        """Who answers now: after a handover the agent that took over, else who began."""
        body = conversation.body
        if conversation.agent_id is None:
            return Actor(body["model"], body["instructions"], body["tools"], body["completion_args"])
        followers = [entry["next_agent_id"] for entry in history if entry["type"] == "agent.handoff"]
        if followers:
            return Actor.of_agent(self._services.agents.get(followers[-1]))
        return Actor.of_agent(self._services.agents.get(conversation.agent_id, body.get("agent_version")))

    def _require_quota(self, actor: Actor) -> None:
        self._services.quota.require(["tokens", *(tool["type"] for tool in actor.tools)])

    # --- the rest ---

    async def get(self, request: Request) -> Response:
        """One conversation, without its entries."""
        return JSONResponse((await self._found(request)).shown)

    async def _found(self, request: Request) -> Conversation:
        return await run_in_threadpool(self._store.get, request.path_params["conversation_id"], owner_of(request))

    async def list_page(self, request: Request) -> Response:
        """One page of conversations, newest first."""
        page, size = page_of(request, default_size=100, max_size=1000)
        metadata = metadata_filter(request)
        return JSONResponse(await run_in_threadpool(self._store.list, owner_of(request), page, size, metadata))

    async def delete(self, request: Request) -> Response:
        """Forget a conversation."""
        await run_in_threadpool(self._store.delete, request.path_params["conversation_id"], owner_of(request))
        return Response(status_code=204)

    async def history(self, request: Request) -> Response:
        """All entries."""
        return await self._entries(request, "conversation.history", "entries", ("",))

    async def messages(self, request: Request) -> Response:
        """The messages only."""
        return await self._entries(request, "conversation.messages", "messages", ("message.",))

    async def _entries(self, request: Request, kind: str, name: str, prefixes: tuple[str, ...]) -> Response:
        conversation = await self._found(request)
        entries = await run_in_threadpool(self._store.entries, conversation.id)
        shown = [{**entry, "completed_at": None} for entry in entries if entry["type"].startswith(prefixes)]
        return JSONResponse({"object": kind, "conversation_id": conversation.id, name: shown})


def _conversation_body(conversation_id: str, given: Wire) -> Wire:
    """A conversation's settings in the form in which it is shown."""
    now = ids.now()
    common = {
        "object": "conversation",
        "id": conversation_id,
        "created_at": now,
        "updated_at": now,
        "name": given.get("name"),
        "description": given.get("description"),
        "metadata": given.get("metadata"),
    }
    if given.get("agent_id") is not None:
        agent = {"agent_id": given["agent_id"], "agent_version": given.get("agent_version")}
        return common | agent | ({"guardrails": given["guardrails"]} if given.get("guardrails") is not None else {})
    return common | {
        "model": given["model"],
        "instructions": given.get("instructions"),
        "tools": given.get("tools") or [],
        "completion_args": full_args(given.get("completion_args")),
        "guardrails": given.get("guardrails"),
    }


def kept_until(entries: list[Wire], entry_id: str) -> list[Wire]:
    """The entries up to and including one.

    Raises:
        ApiError: 404 when there is no such entry.
    """
    for place, entry in enumerate(entries):
        if entry["id"] == entry_id:
            return entries[: place + 1]
    raise not_found(f"Entry {entry_id} not found")


def check_confirmations(history: list[Wire], confirmations: dict[str, str]) -> int:
    """Check that pending calls are confirmed, all or some; give the position from which the history changes.

    Raises:
        ApiError: 400 for a call that isn't pending.
    """
    pending = {
        call_id for call_id, entry in open_calls(history).items() if entry.get("confirmation_status") == "pending"
    }
    unknown = confirmations.keys() - pending
    if unknown:
        raise bad_request(f"Unexpected tool call id {sorted(unknown)[0]} in tool confirmations")
    places = [place for place, entry in enumerate(history) if entry.get("tool_call_id") in confirmations]
    return places[0] if places else len(history)
