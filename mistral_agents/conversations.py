"""The service's conversations: start, append, restart (call and stream), read, list, delete."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from typing_extensions import Unpack

from mistral_agents._api import conversations as calls
from mistral_agents._api.agents import get_agent_call as get_agent_call
from mistral_agents._api.paging import awalk, by_number, walk
from mistral_agents._api.planner import Planned, Planner
from mistral_agents._api.records import ConversationInfo, Listing, as_record, rows_of
from mistral_agents._api.recovery import LOST, explain_loss, find_turn, recovered_turn, unknown_outcome
from mistral_agents._api.turn_options import AppendOptions, RestartOptions, StartOptions
from mistral_agents._border.continuation import answer_waiting
from mistral_agents._border.events import EventReader, Record
from mistral_agents._border.turns import HEADS, TurnRequest
from mistral_agents._conversation.archive import document, read_files, write_into
from mistral_agents._http.calls import check_ids
from mistral_agents._http.concealed import conceal_options
from mistral_agents._http.reading import Watch
from mistral_agents._http.replies import Reply
from mistral_agents._http.stream import AsyncTurnStream, TurnStream
from mistral_agents._http.transport import Transport
from mistral_agents._json import JsonDict
from mistral_agents._printable import show_text
from mistral_agents._steps import Job, Steps, Work, arun, run
from mistral_agents._tools.policy import Policy, PolicyBook
from mistral_agents._turn.replay import turn_events
from mistral_agents.connector_api import Connectors
from mistral_agents.entries import Inputs
from mistral_agents.errors import (
    ConfigurationError,
    InvalidRequestError,
    MistralAgentsError,
    TurnFailedError,
    UnknownOutcomeError,
)
from mistral_agents.files import Files
from mistral_agents.history import EntryCache, History
from mistral_agents.security import Safeguards
from mistral_agents.turn import Turn

__all__ = ["Conversations", "History"]
_log = logging.getLogger("mistral_agents")


_FIRST_LOST = (
    "The turn may have been applied, and no history can tell: nobody was told the id of a lost first turn. Sending it "
    "once more may make a second conversation; let frameworks retry on RateLimitedError and ConnectionFailedError only."
)


def _read_turn(reply: Reply) -> Turn:
    return Turn.from_response(reply.answer(), headers=reply.headers)


def _read_history(conversation_id: str, reply: Reply, cache: EntryCache | None = None) -> History:
    data = reply.json()
    entries = (cache if cache is not None else EntryCache()).entries(rows_of(data, "entries", "messages"))
    return History(conversation_id, entries, data if isinstance(data, dict) else {"entries": data})


def _explain_first(request: TurnRequest, error: MistralAgentsError) -> None:
    """Say of a lost turn that has no known conversation what that means."""
    if request.operation != "append" and error.conversation_id is None and request.options.get("store") is not False:
        error.hint = _FIRST_LOST


def _look_up(
    transport: Transport, request: TurnRequest, sent: Inputs | None, lost: MistralAgentsError
) -> Generator[Job, Any, Turn]:
    """Look for a lost answer in the history; where that fails too, the first failure is the one to report."""
    conversation_id = str(request.conversation_id)
    call = calls.get_history_call(conversation_id)
    call.timeout = request.options.get("timeout")
    try:
        reply: Reply = yield Job(partial(transport.send, call), partial(transport.asend, call))
        history = _read_history(conversation_id, reply)
        confirms = bool(request.options.get("tool_confirmations"))
        found = find_turn(conversation_id, history.entries, str(request.entry_id), sent, confirms=confirms)
        if found is None:
            raise unknown_outcome(conversation_id, "The history does not hold the turn (yet).")
    except UnknownOutcomeError as error:
        if isinstance(lost, TurnFailedError):  # the service says why
            raise lost from lost.__cause__
        raise explain_loss(error, lost) from lost
    except MistralAgentsError:
        raise lost from lost.__cause__
    named = show_text(conversation_id, one_line=True)
    _log.info("A turn was lost (%s) and found again in the history of %s.", type(lost).__name__, named)
    return found


def _is_wanted(row: Mapping[str, Any], metadata: Mapping[str, Any] | None, agent_id: str | None) -> bool:
    if agent_id is not None and row.get("agent_id") != agent_id:
        return False
    kept = row.get("metadata")
    return metadata is None or (isinstance(kept, Mapping) and all(kept.get(k) == v for k, v in metadata.items()))


def _append_request(conversation_id: str, inputs: Inputs | None, options: Mapping[str, Any]) -> TurnRequest:
    return TurnRequest("append", inputs, options, conversation_id, options.get("after_entry_id"))


class FoundTurn:
    """A turn that was made before, read like a stream of one that is being made; it holds no connection."""

    def __init__(self, turn: Turn) -> None:
        self.turn = turn
        self.conversation_id = turn.conversation_id
        self.records: Sequence[Record] = ()
        self._reader = EventReader()

    def __iter__(self) -> Iterator[JsonDict]:
        for event in turn_events(self.turn):
            self.records = self._reader.read(event)
            yield event

    async def __aiter__(self) -> AsyncIterator[JsonDict]:
        for event in self:
            yield event

    def close(self) -> None:
        """Nothing is open."""

    async def aclose(self) -> None:
        """Nothing is open."""


class _OpenTurn(AbstractAsyncContextManager["AsyncTurnStream | FoundTurn"]):
    """The `async with` of `Conversations.aopen`.

    No generator on purpose: an event loop that ends closes all asynchronous generators at once, and a stream that is
    closed then would find its own context being closed already.
    """

    def __init__(self, enter: Callable[[AsyncExitStack], Awaitable[AsyncTurnStream | FoundTurn]]) -> None:
        self._enter = enter
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> AsyncTurnStream | FoundTurn:
        async with AsyncExitStack() as stack:
            stream = await self._enter(stack)
            self._stack = stack.pop_all()
        return stream

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._stack.__aexit__(kind, error, trace)


class Conversations:
    """Conversations of the service. Every method has an asynchronous twin with the prefix `a`.

    An argument of None is not sent. `start`, `append` and `restart` are not idempotent: they are sent again only after
    a 429 or when no connection could be made.

    Raises:
        ConfigurationError: An argument is wrong; nothing was sent.
        MistralAgentsError: The service or the connection failed; see `mistral_agents.errors`.
    """

    def __init__(self, transport: Transport, planner: Planner | None = None) -> None:
        self._transport = transport
        self._planner = planner if planner is not None else Planner(PolicyBook(), Safeguards())

    # any turn --------------------------------------------------------------------------------------------------

    @property
    def _base_url(self) -> str:
        return self._transport.clients.base_url

    def send(self, request: TurnRequest) -> Turn:
        """Make a turn.

        Args:
            request: The turn; of `append` with its `entry_id`, an answer lost on the way is looked up in the history.

        Raises:
            UnknownOutcomeError: It may have been applied, and its answer is not in the history (yet).
        """
        return run(self._make(request))

    async def asend(self, request: TurnRequest) -> Turn:
        """As `send`, without blocking."""
        return await arun(self._make(request))

    def _make(self, request: TurnRequest) -> Steps[Turn]:
        if request.found is not None:
            HEADS.settle(self._base_url, request.found)
            return request.found
        try:
            planned = self._planner.plan(request)
            sent = (planned.call.body or {}).get("inputs")
            with HEADS.under_way(self._base_url, request, sent, self._patience(request)):
                try:
                    turn: Turn = yield Job(
                        lambda: self._perform(request, planned), lambda: self._aperform(request, planned)
                    )
                except InvalidRequestError as error:
                    return (yield from self._make((yield from self._close_calls(request, error))))
                except LOST as error:
                    turn = yield from self._find_lost(request, sent, error)
            HEADS.settle(self._base_url, turn)
            return turn
        finally:
            HEADS.release(self._base_url, request)

    def _find_lost(self, request: TurnRequest, sent: Inputs | None, lost: MistralAgentsError) -> Steps[Turn]:
        """The turn of a lost answer, where it may be looked for.

        Raises:
            MistralAgentsError: It may not, or is not there.
        """
        if isinstance(lost.found, Turn):
            return lost.found
        if isinstance(lost, LOST):
            _explain_first(request, lost)
        if not isinstance(lost, LOST) or request.operation != "append" or request.entry_id is None:
            raise lost
        return (yield from _look_up(self._transport, request, sent, lost))

    def _close_calls(self, request: TurnRequest, error: InvalidRequestError) -> Steps[TurnRequest]:
        """The turn once more, where it was refused because of calls that the conversation waits for."""
        if not request.closes_calls or error.status_code != 400:
            raise error
        key = str(request.conversation_id)
        history: History = yield Job(lambda: self.get_history(key), lambda: self.aget_history(key))
        again = answer_waiting(request, history, self.redact_inputs(request.inputs))
        if again is None:
            raise error
        return again

    def redact_inputs(self, inputs: Inputs | None) -> Any:
        """Inputs as they go out, with the client's `redact` hook applied: so a history tells them."""
        return self._planner.redact(inputs)

    def start_body(self, request: TurnRequest) -> JsonDict:
        """What a first turn would send, checked as before a turn: a line of a batch job.

        Raises:
            ConfigurationError: It is no first turn, or a limit on its tools could not be enforced in a job.
        """
        return run(self._start_body(request))

    async def astart_body(self, request: TurnRequest) -> JsonDict:
        """As `start_body`, without blocking."""
        return await arun(self._start_body(request))

    def _start_body(self, request: TurnRequest) -> Steps[JsonDict]:
        if request.operation != "start":
            raise ConfigurationError(
                "A batch job only begins conversations; leave out conversation_id and kept answers."
            )
        apart = [name for name in ("timeout", "headers") if request.options.get(name) is not None]
        if apart:
            raise ConfigurationError(
                f"A batch job takes no {' and '.join(apart)} of a call: its requests go out together, as a file.",
                hint="Leave them out, or set them on the client.",
            )
        planned = self._planner.plan(request)
        self._planner.check_job(planned.policy)
        yield from self._check_planned(planned)
        return dict(planned.call.body or {})

    def _patience(self, request: TurnRequest) -> float:
        given = request.options.get("timeout")
        return float(given if given is not None else self._transport.clients.timeout)

    def _perform(self, request: TurnRequest, planned: Planned) -> Turn:
        self._check(planned)
        if planned.policy.watches_stream:
            return self._stream(request, planned).read()
        return self._keep_policy(_read_turn(self._transport.send(planned.call)), planned.policy)

    async def _aperform(self, request: TurnRequest, planned: Planned) -> Turn:
        await self._acheck(planned)
        if planned.policy.watches_stream:
            return await self._astream(request, planned).aread()
        return self._keep_policy(_read_turn(await self._transport.asend(planned.call)), planned.policy)

    @contextmanager
    def open(self, request: TurnRequest) -> Iterator[TurnStream | FoundTurn]:
        """Make a turn event by event: `with conversations.open(request) as stream`, then read `stream.turn`."""
        if request.found is not None:
            HEADS.settle(self._base_url, request.found)
            yield FoundTurn(request.found)
            return
        with ExitStack() as stack:
            stack.callback(HEADS.release, self._base_url, request)
            planned = self._planner.plan(request)
            stack.enter_context(self._make_watch(request, planned))
            try:
                stream = stack.enter_context(self._stream(request, planned))
            except InvalidRequestError as error:
                again = run(self._close_calls(request, error))
            else:
                stack.callback(lambda: HEADS.settle_stream(self._base_url, request, stream.turn))
                yield stream
                return
        with self.open(again) as turn:
            yield turn

    def aopen(self, request: TurnRequest) -> AbstractAsyncContextManager[AsyncTurnStream | FoundTurn]:
        """As `open`, without blocking."""
        return _OpenTurn(partial(self._aenter_turn, request))

    async def _aenter_turn(self, request: TurnRequest, stack: AsyncExitStack) -> AsyncTurnStream | FoundTurn:
        if request.found is not None:
            HEADS.settle(self._base_url, request.found)
            return FoundTurn(request.found)
        async with AsyncExitStack() as own:
            own.callback(HEADS.release, self._base_url, request)
            planned = self._planner.plan(request)
            own.enter_context(self._make_watch(request, planned))
            try:
                stream = await own.enter_async_context(self._astream(request, planned))
            except InvalidRequestError as error:
                again = await arun(self._close_calls(request, error))
            else:
                own.callback(lambda: HEADS.settle_stream(self._base_url, request, stream.turn))
                await stack.enter_async_context(own.pop_all())
                return stream
        return await self._aenter_turn(again, stack)

    @contextmanager
    def _make_watch(self, request: TurnRequest, planned: Planned) -> Iterator[None]:
        sent = (planned.call.body or {}).get("inputs")
        with HEADS.under_way(self._base_url, request, sent, self._patience(request)):
            yield

    def _keep_policy(self, turn: Turn, policy: Policy) -> Turn:
        self._planner.book.set_conversation(turn.conversation_id, policy)
        turn.policy = policy if policy else None
        return turn

    def _read_known(self, data: object) -> ConversationInfo:
        info = as_record(ConversationInfo, data)
        self._planner.book.set_conversation(info.get("id"), Policy.from_metadata(info.get("metadata")))
        return info

    def _stream(self, request: TurnRequest, planned: Planned | None = None) -> TurnStream:
        plan = planned if planned is not None else self._planner.plan(request)
        find = partial(self._find_lost, request, (plan.call.body or {}).get("inputs"))
        return TurnStream(
            self._transport, plan.call, self._watch(plan), partial(self._check, plan), lambda lost: run(find(lost))
        )

    def _astream(self, request: TurnRequest, planned: Planned | None = None) -> AsyncTurnStream:
        plan = planned if planned is not None else self._planner.plan(request)
        find = partial(self._find_lost, request, (plan.call.body or {}).get("inputs"))
        return AsyncTurnStream(
            self._transport, plan.call, self._watch(plan), partial(self._acheck, plan), lambda lost: arun(find(lost))
        )

    def _watch(self, planned: Planned) -> Watch:
        return Watch(planned.policy, self._planner.book.set_conversation)

    def _check(self, planned: Planned) -> None:
        run(self._check_planned(planned))

    async def _acheck(self, planned: Planned) -> None:
        await arun(self._check_planned(planned))

    def _check_planned(self, planned: Planned) -> Steps[None]:
        yield from self._check_connectors(planned)
        if planned.agent_id is not None:
            yield from self._planner.check_agent(self._transport, planned.agent_id)

    def _check_connectors(self, planned: Planned) -> Steps[None]:
        """Compare the names that configure connectors with the connectors' tools."""
        body = planned.call.body
        if body is None or "tools" not in body:
            return
        tools = yield from self._planner.guards.check_tools(Connectors(self._transport), body["tools"])
        planned.call.body = {**body, "tools": tools}

    def start(self, inputs: Inputs, **options: Unpack[StartOptions]) -> Turn:
        """Start a conversation with a text or a list of entries; see `StartOptions`."""
        options = conceal_options(options)
        return self.send(TurnRequest("start", inputs, options))

    async def astart(self, inputs: Inputs, **options: Unpack[StartOptions]) -> Turn:
        """As `start`, without blocking."""
        options = conceal_options(options)
        return await self.asend(TurnRequest("start", inputs, options))

    def start_stream(self, inputs: Inputs, **options: Unpack[StartOptions]) -> TurnStream:
        """As `start`, event by event."""
        options = conceal_options(options)
        return self._stream(TurnRequest("start", inputs, options))

    def astart_stream(self, inputs: Inputs, **options: Unpack[StartOptions]) -> AsyncTurnStream:
        """As `start_stream`, without blocking; use it with `async with` or `async for`."""
        options = conceal_options(options)
        return self._astream(TurnRequest("start", inputs, options))

    def append(self, conversation_id: str, inputs: Inputs | None = None, **options: Unpack[AppendOptions]) -> Turn:
        """Go on with a stored conversation; see `AppendOptions`.

        The tools and instructions of a conversation are fixed at its start. Give `inputs`, `tool_confirmations` or
        both; results of open function calls go in as `function.result` entries, all together.
        """
        options = conceal_options(options)
        return self.send(_append_request(conversation_id, inputs, options))

    async def aappend(
        self, conversation_id: str, inputs: Inputs | None = None, **options: Unpack[AppendOptions]
    ) -> Turn:
        """As `append`, without blocking."""
        options = conceal_options(options)
        return await self.asend(_append_request(conversation_id, inputs, options))

    def recover(self, conversation_id: str, after_entry_id: str, inputs: Inputs | None = None) -> Turn:
        """Find a lost answer: what the history holds after the last entry you know of.

        The turn found has no usage and no headers, which the history does not keep.

        Args:
            conversation_id: The conversation.
            after_entry_id: The last entry known before the turn was sent.
            inputs: What was sent. Give it where others write to the conversation too: an answer to something else is
                not yours. None takes the turn that stands there, where it is the only one.

        Raises:
            UnknownOutcomeError: There is no finished answer after that entry (yet), or not to these inputs.
        """
        check_ids({"after_entry_id": after_entry_id})
        history, sent = self.get_history(conversation_id), self.redact_inputs(inputs)
        return recovered_turn(conversation_id, history.entries, after_entry_id, sent)

    async def arecover(self, conversation_id: str, after_entry_id: str, inputs: Inputs | None = None) -> Turn:
        """As `recover`, without blocking."""
        check_ids({"after_entry_id": after_entry_id})
        history, sent = await self.aget_history(conversation_id), self.redact_inputs(inputs)
        return recovered_turn(conversation_id, history.entries, after_entry_id, sent)

    def append_stream(
        self, conversation_id: str, inputs: Inputs | None = None, **options: Unpack[AppendOptions]
    ) -> TurnStream:
        """As `append`, event by event."""
        options = conceal_options(options)
        return self._stream(_append_request(conversation_id, inputs, options))

    def aappend_stream(
        self, conversation_id: str, inputs: Inputs | None = None, **options: Unpack[AppendOptions]
    ) -> AsyncTurnStream:
        """As `append_stream`, without blocking; use it with `async with` or `async for`."""
        options = conceal_options(options)
        return self._astream(_append_request(conversation_id, inputs, options))

    def restart(
        self,
        conversation_id: str,
        from_entry_id: str,
        inputs: Inputs | None = None,
        **options: Unpack[RestartOptions],
    ) -> Turn:
        """Branch: keep a stored conversation up to and including an entry, and go on in a new one.

        The returned turn carries the new conversation's id; see `RestartOptions`. Without `inputs` the model
        answers the entry itself anew; that the service takes this is unverified (probe `restart-without-inputs`).
        """
        options = conceal_options(options)
        return self.send(TurnRequest("restart", inputs, options, conversation_id, from_entry_id))

    async def arestart(
        self,
        conversation_id: str,
        from_entry_id: str,
        inputs: Inputs | None = None,
        **options: Unpack[RestartOptions],
    ) -> Turn:
        """As `restart`, without blocking."""
        options = conceal_options(options)
        return await self.asend(TurnRequest("restart", inputs, options, conversation_id, from_entry_id))

    def restart_stream(
        self,
        conversation_id: str,
        from_entry_id: str,
        inputs: Inputs | None = None,
        **options: Unpack[RestartOptions],
    ) -> TurnStream:
        """As `restart`, event by event."""
        options = conceal_options(options)
        return self._stream(TurnRequest("restart", inputs, options, conversation_id, from_entry_id))

    def arestart_stream(
        self,
        conversation_id: str,
        from_entry_id: str,
        inputs: Inputs | None = None,
        **options: Unpack[RestartOptions],
    ) -> AsyncTurnStream:
        """As `restart_stream`, without blocking; use it with `async with` or `async for`."""
        options = conceal_options(options)
        return self._astream(TurnRequest("restart", inputs, options, conversation_id, from_entry_id))

    def get(self, conversation_id: str) -> ConversationInfo:
        """What the service tells of a conversation: times, model or agent, metadata."""
        return self._read_known(self._transport.send(calls.get_conversation_call(conversation_id)).json())

    async def aget(self, conversation_id: str) -> ConversationInfo:
        """As `get`, without blocking."""
        return self._read_known((await self._transport.asend(calls.get_conversation_call(conversation_id))).json())

    def get_history(self, conversation_id: str, *, cache: EntryCache | None = None) -> History:
        """Every entry of a conversation, in one request (the service does not page them).

        Args:
            conversation_id: The conversation.
            cache: Keeps entries from one reading to the next, so that only new ones are turned into objects.
        """
        return _read_history(conversation_id, self._transport.send(calls.get_history_call(conversation_id)), cache)

    async def aget_history(self, conversation_id: str, *, cache: EntryCache | None = None) -> History:
        """As `get_history`, without blocking."""
        return _read_history(
            conversation_id, await self._transport.asend(calls.get_history_call(conversation_id)), cache
        )

    def get_messages(self, conversation_id: str) -> History:
        """The messages of a conversation, without tool runs."""
        return _read_history(conversation_id, self._transport.send(calls.get_messages_call(conversation_id)))

    async def aget_messages(self, conversation_id: str) -> History:
        """As `get_messages`, without blocking."""
        return _read_history(conversation_id, await self._transport.asend(calls.get_messages_call(conversation_id)))

    def delete(self, conversation_id: str) -> None:
        """Delete a conversation."""
        self._transport.send(calls.delete_conversation_call(conversation_id))

    async def adelete(self, conversation_id: str) -> None:
        """As `delete`, without blocking."""
        await self._transport.asend(calls.delete_conversation_call(conversation_id))

    def archive(self, conversation_id: str, archive_to: str | os.PathLike[str], *, files: bool = False) -> Path:
        """Export a conversation into a folder, read the export back, and only then delete the conversation.

        Args:
            conversation_id: The conversation.
            archive_to: The folder; the file is called after the conversation.
            files: Whether to put the files made in it in as well.

        Returns:
            The file; `Conversation.import_` goes on from it.
        """
        return run(self._archive(conversation_id, archive_to, files=files))

    async def aarchive(self, conversation_id: str, archive_to: str | os.PathLike[str], *, files: bool = False) -> Path:
        """As `archive`, without blocking."""
        return await arun(self._archive(conversation_id, archive_to, files=files))

    def _archive(self, conversation_id: str, archive_to: str | os.PathLike[str], *, files: bool) -> Steps[Path]:
        key = conversation_id
        info = yield Job(lambda: self.get(key), lambda: self.aget(key))
        history = yield Job(lambda: self.get_history(key), lambda: self.aget_history(key))
        found = (yield from read_files(Files(self._transport), history)) if files else []
        path: Path = yield Work(lambda: write_into(archive_to, document(info, history, found)))
        yield Job(lambda: self.delete(key), lambda: self.adelete(key))
        return path

    def list(
        self, *, page_size: int = 100, metadata: Mapping[str, Any] | None = None, agent_id: str | None = None
    ) -> Listing[ConversationInfo]:
        """All conversations of this key, page after page.

        Args:
            page_size: Conversations per request.
            metadata: Passed to the service, and checked here too: that the service filters reliably is unverified
                (probe `list-by-metadata`).
            agent_id: Only those started with this agent; the service has no such filter, so all are read.
        """
        check_ids({"agent_id": agent_id})
        rows = walk(self._transport.send, calls.page_call(0, page_size, metadata), by_number, "data")
        return Listing(ConversationInfo(row) for row in rows if _is_wanted(row, metadata, agent_id))

    async def alist(
        self, *, page_size: int = 100, metadata: Mapping[str, Any] | None = None, agent_id: str | None = None
    ) -> AsyncIterator[ConversationInfo]:
        """As `list`, without blocking."""
        check_ids({"agent_id": agent_id})
        call = calls.page_call(0, page_size, metadata)
        async for row in awalk(self._transport.asend, call, by_number, "data"):
            if _is_wanted(row, metadata, agent_id):
                yield ConversationInfo(row)
