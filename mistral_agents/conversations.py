"""The service's conversations: start, append, restart (call and stream), read, list, delete."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Generator, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from typing_extensions import Unpack

from mistral_agents._api import conversations as calls
from mistral_agents._api.agents import get_call as get_agent_call
from mistral_agents._api.paging import awalk, by_number, walk
from mistral_agents._api.planner import Planned, Planner
from mistral_agents._api.records import ConversationInfo, as_record, rows_of
from mistral_agents._api.recovery import LOST, recovered_turn
from mistral_agents._conversation.archive import document, file_refs, written
from mistral_agents._http.stream import AsyncTurnStream, TurnStream, Watch
from mistral_agents._http.transport import Reply, Transport
from mistral_agents._tools.policy import Policy, PolicyBook
from mistral_agents.errors import (
    MistralAgentsError,
    StreamInterruptedError,
    UnknownOutcomeError,
)
from mistral_agents.files import Files
from mistral_agents.history import EntryCache, History
from mistral_agents.security import Safeguards
from mistral_agents.turn import Turn

__all__ = ["Conversations", "History"]


def _turn(reply: Reply) -> Turn:
    return Turn.from_response(reply.answer(), headers=reply.headers)


def _history(conversation_id: str, reply: Reply, cache: EntryCache | None = None) -> History:
    data = reply.json()
    entries = (cache if cache is not None else EntryCache()).entries(rows_of(data, "entries", "messages"))
    return History(conversation_id, entries, data if isinstance(data, dict) else {"entries": data})


@contextmanager
def _instead_of(lost: MistralAgentsError) -> Iterator[None]:
    """Looking a lost answer up may fail too; then the first failure is the one to report."""
    try:
        yield
    except UnknownOutcomeError as error:
        raise error from lost
    except MistralAgentsError:
        raise lost from lost.__cause__


def _wanted(row: Mapping[str, Any], metadata: Mapping[str, Any] | None, agent_id: str | None) -> bool:
    if agent_id is not None and row.get("agent_id") != agent_id:
        return False
    kept = row.get("metadata")
    return metadata is None or (isinstance(kept, Mapping) and all(kept.get(k) == v for k, v in metadata.items()))


def _next(asking: Generator[str, Any, None], agent: Any) -> str | None:
    try:
        return asking.send(agent)
    except StopIteration:
        return None


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

    def _send(self, planned: Planned) -> Turn:
        self._check(planned)
        if planned.policy.watches_stream:
            return self._stream(planned).read()
        return self._met(_turn(self._transport.send(planned.call)), planned.policy)

    async def _asend(self, planned: Planned) -> Turn:
        await self._acheck(planned)
        if planned.policy.watches_stream:
            return await self._astream(planned).aread()
        return self._met(_turn(await self._transport.asend(planned.call)), planned.policy)

    def _met(self, turn: Turn, policy: Policy) -> Turn:
        self._planner.book.set_conversation(turn.conversation_id, policy)
        turn.policy = policy if policy else None
        return turn

    def _known(self, data: Any) -> ConversationInfo:
        info = as_record(ConversationInfo, data)
        self._planner.book.set_conversation(info.get("id"), Policy.from_metadata(info.get("metadata")))
        return info

    def _stream(self, planned: Planned) -> TurnStream:
        watch = Watch(planned.policy, self._planner.book.set_conversation)
        return TurnStream(self._transport, planned.call, watch, partial(self._check, planned))

    def _astream(self, planned: Planned) -> AsyncTurnStream:
        watch = Watch(planned.policy, self._planner.book.set_conversation)
        return AsyncTurnStream(self._transport, planned.call, watch, partial(self._acheck, planned))

    def _check(self, planned: Planned) -> None:
        """Read the agents a turn may reach and compare their libraries with the allow-list."""
        if planned.agent_id is None:
            return
        asking = self._planner.safeguards.agents_to_check(planned.agent_id)
        wanted: str | None = next(asking)
        while wanted is not None:
            wanted = _next(asking, self._transport.send(get_agent_call(wanted)).json())

    async def _acheck(self, planned: Planned) -> None:
        if planned.agent_id is None:
            return
        asking = self._planner.safeguards.agents_to_check(planned.agent_id)
        wanted: str | None = next(asking)
        while wanted is not None:
            wanted = _next(asking, (await self._transport.asend(get_agent_call(wanted))).json())

    def start(self, inputs: Any, **options: Unpack[calls.StartOptions]) -> Turn:
        """Start a conversation with a text or a list of entries; see `calls.StartOptions`."""
        return self._send(self._planner.start(inputs, options))

    async def astart(self, inputs: Any, **options: Unpack[calls.StartOptions]) -> Turn:
        """As `start`, without blocking."""
        return await self._asend(self._planner.start(inputs, options))

    def start_stream(self, inputs: Any, **options: Unpack[calls.StartOptions]) -> TurnStream:
        """As `start`, event by event."""
        return self._stream(self._planner.start(inputs, options))

    def astart_stream(self, inputs: Any, **options: Unpack[calls.StartOptions]) -> AsyncTurnStream:
        """As `start_stream`, without blocking; use it with `async with` or `async for`."""
        return self._astream(self._planner.start(inputs, options))

    def append(self, conversation_id: str, inputs: Any = None, **options: Unpack[calls.CallOptions]) -> Turn:
        """Go on with a stored conversation; see `calls.CallOptions`.

        The tools and instructions of a conversation are fixed at its start. Give `inputs`, `tool_confirmations` or
        both; results of open function calls go in as `function.result` entries, all together.
        """
        try:
            return self._send(self._planner.append(conversation_id, inputs, options))
        except (*LOST, StreamInterruptedError) as error:
            known = options.get("after_entry_id")
            if known is None:
                raise
            with _instead_of(error):
                return self.recover(conversation_id, known)

    async def aappend(self, conversation_id: str, inputs: Any = None, **options: Unpack[calls.CallOptions]) -> Turn:
        """As `append`, without blocking."""
        try:
            return await self._asend(self._planner.append(conversation_id, inputs, options))
        except (*LOST, StreamInterruptedError) as error:
            known = options.get("after_entry_id")
            if known is None:
                raise
            with _instead_of(error):
                return await self.arecover(conversation_id, known)

    def recover(self, conversation_id: str, after_entry_id: str) -> Turn:
        """Find a lost answer: what the history holds after the last entry you know of.

        The turn found has no usage and no headers, which the history does not keep.

        Raises:
            UnknownOutcomeError: There is no finished answer after that entry (yet).
        """
        return recovered_turn(conversation_id, self.get_history(conversation_id).entries, after_entry_id)

    async def arecover(self, conversation_id: str, after_entry_id: str) -> Turn:
        """As `recover`, without blocking."""
        history = await self.aget_history(conversation_id)
        return recovered_turn(conversation_id, history.entries, after_entry_id)

    def append_stream(
        self, conversation_id: str, inputs: Any = None, **options: Unpack[calls.AppendOptions]
    ) -> TurnStream:
        """As `append`, event by event."""
        return self._stream(self._planner.append(conversation_id, inputs, options))

    def aappend_stream(
        self, conversation_id: str, inputs: Any = None, **options: Unpack[calls.AppendOptions]
    ) -> AsyncTurnStream:
        """As `append_stream`, without blocking; use it with `async with` or `async for`."""
        return self._astream(self._planner.append(conversation_id, inputs, options))

    def restart(
        self, conversation_id: str, from_entry_id: str, inputs: Any, **options: Unpack[calls.RestartOptions]
    ) -> Turn:
        """Branch: keep a stored conversation up to and including an entry, and go on in a new one.

        The returned turn carries the new conversation's id; see `calls.RestartOptions`.
        """
        return self._send(self._planner.restart(conversation_id, from_entry_id, inputs, options))

    async def arestart(
        self, conversation_id: str, from_entry_id: str, inputs: Any, **options: Unpack[calls.RestartOptions]
    ) -> Turn:
        """As `restart`, without blocking."""
        return await self._asend(self._planner.restart(conversation_id, from_entry_id, inputs, options))

    def restart_stream(
        self, conversation_id: str, from_entry_id: str, inputs: Any, **options: Unpack[calls.RestartOptions]
    ) -> TurnStream:
        """As `restart`, event by event."""
        return self._stream(self._planner.restart(conversation_id, from_entry_id, inputs, options))

    def arestart_stream(
        self, conversation_id: str, from_entry_id: str, inputs: Any, **options: Unpack[calls.RestartOptions]
    ) -> AsyncTurnStream:
        """As `restart_stream`, without blocking; use it with `async with` or `async for`."""
        return self._astream(self._planner.restart(conversation_id, from_entry_id, inputs, options))

    def get(self, conversation_id: str) -> ConversationInfo:
        """What the service tells of a conversation: times, model or agent, metadata."""
        return self._known(self._transport.send(calls.get_call(conversation_id)).json())

    async def aget(self, conversation_id: str) -> ConversationInfo:
        """As `get`, without blocking."""
        return self._known((await self._transport.asend(calls.get_call(conversation_id))).json())

    def get_history(self, conversation_id: str, *, cache: EntryCache | None = None) -> History:
        """Every entry of a conversation, in one request (the service does not page them).

        Args:
            conversation_id: The conversation.
            cache: Keeps entries from one reading to the next, so that only new ones are turned into objects.
        """
        return _history(conversation_id, self._transport.send(calls.get_history_call(conversation_id)), cache)

    async def aget_history(self, conversation_id: str, *, cache: EntryCache | None = None) -> History:
        """As `get_history`, without blocking."""
        return _history(conversation_id, await self._transport.asend(calls.get_history_call(conversation_id)), cache)

    def get_messages(self, conversation_id: str) -> History:
        """The messages of a conversation, without tool runs."""
        return _history(conversation_id, self._transport.send(calls.get_messages_call(conversation_id)))

    async def aget_messages(self, conversation_id: str) -> History:
        """As `get_messages`, without blocking."""
        return _history(conversation_id, await self._transport.asend(calls.get_messages_call(conversation_id)))

    def delete(self, conversation_id: str) -> None:
        """Delete a conversation."""
        self._transport.send(calls.delete_call(conversation_id))

    async def adelete(self, conversation_id: str) -> None:
        """As `delete`, without blocking."""
        await self._transport.asend(calls.delete_call(conversation_id))

    def archive(self, conversation_id: str, archive_to: str | os.PathLike[str], *, files: bool = False) -> Path:
        """Export a conversation into a folder, read the export back, and only then delete the conversation.

        Args:
            conversation_id: The conversation.
            archive_to: The folder; the file is called after the conversation.
            files: Whether to put the files made in it in as well.

        Returns:
            The file; `Conversation.import_` goes on from it.
        """
        info, history = self.get(conversation_id), self.get_history(conversation_id)
        reader = Files(self._transport)
        found = [reader.read(ref) for ref in file_refs(history.entries)] if files else []
        path = written(archive_to, document(info, history, found))
        self.delete(conversation_id)
        return path

    async def aarchive(self, conversation_id: str, archive_to: str | os.PathLike[str], *, files: bool = False) -> Path:
        """As `archive`, without blocking."""
        info, history = await self.aget(conversation_id), await self.aget_history(conversation_id)
        reader = Files(self._transport)
        found = [await reader.aread(ref) for ref in file_refs(history.entries)] if files else []
        path = await asyncio.to_thread(written, archive_to, document(info, history, found))
        await self.adelete(conversation_id)
        return path

    def list(
        self, *, page_size: int = 100, metadata: Mapping[str, Any] | None = None, agent_id: str | None = None
    ) -> Iterator[ConversationInfo]:
        """All conversations of this key, page after page.

        Args:
            page_size: Conversations per request.
            metadata: Passed to the service, and checked here too: that the service filters reliably is unverified.
            agent_id: Only those started with this agent; the service has no such filter, so all are read.
        """
        rows = walk(self._transport.send, calls.page_call(0, page_size, metadata), by_number, "data")
        return (ConversationInfo(row) for row in rows if _wanted(row, metadata, agent_id))

    async def alist(
        self, *, page_size: int = 100, metadata: Mapping[str, Any] | None = None, agent_id: str | None = None
    ) -> AsyncIterator[ConversationInfo]:
        """As `list`, without blocking."""
        call = calls.page_call(0, page_size, metadata)
        async for row in awalk(self._transport.asend, call, by_number, "data"):
            if _wanted(row, metadata, agent_id):
                yield ConversationInfo(row)
