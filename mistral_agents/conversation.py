"""A conversation as one object: say something, and it is carried on to an answer; resume it anywhere by its id."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from typing_extensions import Self, Unpack

from mistral_agents._api.conversations import StartOptions
from mistral_agents._conversation import archive as archive
from mistral_agents._conversation.dialog import Dialog
from mistral_agents._conversation.exchange import Talk
from mistral_agents._conversation.lineage import At, branch_point, lineage
from mistral_agents._conversation.lock import TurnLock
from mistral_agents._json import JsonDict
from mistral_agents._turn.media import FileData
from mistral_agents.branches import Branch, family
from mistral_agents.entries import FunctionCall
from mistral_agents.history import EntryCache, History, Stats
from mistral_agents.turn import open_calls
from mistral_agents.usage import Usage

if TYPE_CHECKING:
    from mistral_agents.client import MistralAgents


class Conversation(Talk):
    """One conversation, new or resumed.

    The service keeps it: another process goes on with `Conversation(client, conversation_id)`. Methods that talk to the
    service have an asynchronous twin with the prefix `a`. Turns of one conversation wait for one another within this
    process, whichever object they go through; what another process does at the same time is not seen.

    It can't get stuck. Functions are run and answered, unknown and failing ones with an error; calls that were
    interrupted (Ctrl-C, cancellation, a killed process) are answered with "interrupted" in the next request; after a
    reply that was lost, and before the first turn of a conversation that is resumed, the history is read. No turn is
    made that was not asked for.

    Args:
        client: The client.
        conversation_id: A conversation to go on with; None starts one with the first `append`.
        functions: The client's functions by name; asynchronous ones run best with `aappend`. None leaves calls to you:
            answer them with `append([function_result(...)])`.
        confirm: Who decides about hosted tools that wait for confirmation: `allow`, `deny` or a function of the call,
            for all or per function name (`*` for the rest). None leaves them to you: see `confirm_calls`.
        meter: Counts tokens and money, and stops before a limit.
        on_handoff: With `handoff_execution="client"`: what to say to the next agent, None to stop there.
        max_rounds: How often in one exchange functions may be answered.
        options: What `start` takes (`model` or `agent_id`, `tools`, ...); `timeout`, `headers` and
            `handoff_execution` go with every turn.

    Attributes:
        usage: Tokens and connector calls of all turns made through this object.
        last_turn: The last exchange's turn.
        summary: For a compacted conversation: the summary it begins with.

    Raises:
        ConfigurationError: The arguments don't fit together.
        MistralAgentsError: See `mistral_agents.errors`; `.turn` holds what had been answered, `.conversation_id` where.

    Example:
        >>> conversation = Conversation(client, model="mistral-small-latest")
        >>> conversation.append("My name is Ada.").text
        >>> Conversation(client, conversation.id).append("Who am I?").text
    """

    def stats(self) -> Stats:
        """Counts of the history."""
        return self.history().stats()

    async def astats(self) -> Stats:
        """As `stats`, without blocking."""
        return (await self.ahistory()).stats()

    def repair(self) -> list[FunctionCall]:
        """Read the history and take note of calls that someone left open; the next `append` answers them."""
        with self._held():
            self._dialog.reconcile(self.history())
        return self.open_calls

    async def arepair(self) -> list[FunctionCall]:
        """As `repair`, without blocking."""
        with await self._aheld():
            self._dialog.reconcile(await self.ahistory())
        return self.open_calls

    def delete(self) -> None:
        """Delete the conversation; this object can't be used afterwards."""
        self._client.conversations.delete(self._require_id())

    async def adelete(self) -> None:
        """As `delete`, without blocking."""
        await self._client.conversations.adelete(self._require_id())

    # branches --------------------------------------------------------------------------------------------------

    def _child(self, options: JsonDict) -> Self:
        child = object.__new__(type(self))
        child.__dict__.update(self.__dict__)
        settings = self._settings
        child._dialog = Dialog(None, settings["functions"] is not None, settings["max_rounds"], settings["on_handoff"])
        child._options = options
        child._origin = None
        child._imported = None
        child._lock, child._cache = TurnLock(), EntryCache()
        child.usage, child.last_turn, child.summary = Usage(), None, None
        return child

    def branch(self, at: At = None) -> Self:
        """Another way to go on from an earlier entry, in a conversation of its own.

        The service makes a branch only together with something said, so it begins with the first `append` of what is
        returned. Its metadata names this conversation and the entry (see `tree`).

        Args:
            at: The last entry to keep: its place (negative ones count from the end), its id, or a test of entries, of
                which the last that passes is taken; None takes the assistant's last message. The seed guide's
                `entries[0]` is the user's first message: a branch there drops its answer.

        Raises:
            ConfigurationError: There is no such entry.
        """
        return self._branched(self.history(), at)

    async def abranch(self, at: At = None) -> Self:
        """As `branch`, without blocking."""
        return self._branched(await self.ahistory(), at)

    def _branched(self, history: History, at: At) -> Self:
        place = branch_point(history, at)
        child = self._child({"metadata": self._options["metadata"]} if "metadata" in self._options else {})
        child._origin = (self._require_id(), str(history.entries[place].id))
        child._dialog.leave_open(open_calls(history.entries[: place + 1]))
        return child

    def tree(self) -> Branch:
        """The conversations this one was branched from and those branched from it; it reads the list of all."""
        return family(self._require_id(), self._client.conversations.list())

    async def atree(self) -> Branch:
        """As `tree`, without blocking."""
        return family(self._require_id(), [info async for info in self._client.conversations.alist()])

    def summarise(self, *, model: str | None = None) -> str:
        """A summary of the conversation, written in one turn of its own, which is not stored.

        The service has no memory across conversations: keep the summary in your own store and give it to a new
        conversation where the user wants that.

        Args:
            model: Who writes it; None takes the conversation's own model.

        Raises:
            ConfigurationError: No model is known.
        """
        history, info = self.history(), self._client.conversations.get(self._require_id())
        return self._written(archive.request_summary(history, info, model))

    async def asummarise(self, *, model: str | None = None) -> str:
        """As `summarise`, without blocking."""
        history, info = await self.ahistory(), await self._client.conversations.aget(self._require_id())
        return await self._awritten(archive.request_summary(history, info, model))

    def _written(self, request: JsonDict) -> str:
        self._allow()
        return self._counted(self._client.conversations.start(**request)).text

    async def _awritten(self, request: JsonDict) -> str:
        self._allow()
        return self._counted(await self._client.conversations.astart(**request)).text

    def compact(self, *, keep: int = 4, model: str | None = None) -> Self:
        """Go on in a new conversation that begins with a summary, for when the context window nears its end.

        The summary costs one turn, which is not stored, and can be read in `.summary`; the new conversation begins
        with the first `append` of what is returned. This one stays as it is.

        Args:
            keep: How many of the last messages to keep word for word.
            model: Who writes the summary; None takes the conversation's own model.

        Raises:
            ConfigurationError: No model is known.
        """
        history, info = self.history(), self._client.conversations.get(self._require_id())
        return self._compacted(history, info, keep, self._written(archive.request_summary(history, info, model)))

    async def acompact(self, *, keep: int = 4, model: str | None = None) -> Self:
        """As `compact`, without blocking."""
        history, info = await self.ahistory(), await self._client.conversations.aget(self._require_id())
        return self._compacted(history, info, keep, await self._awritten(archive.request_summary(history, info, model)))

    def _compacted(self, history: History, info: Mapping[str, Any], keep: int, summary: str) -> Self:
        options = {**archive.start_options(info), **self._options}
        options["metadata"] = {**options.get("metadata", {}), **lineage(self._require_id(), history.last_entry_id)}
        child = self._child(options)
        child._dialog.seed = archive.seed_compacted(summary, history, keep)
        child.summary = summary
        return child

    # export and import -----------------------------------------------------------------------------------------

    def export(self, path: str | os.PathLike[str] | None = None, *, files: bool = False) -> JsonDict:
        """The conversation as a JSON document of a versioned format.

        Args:
            path: Where to write it as well; the file is replaced in one step.
            files: Whether to download the files made in it and put them in.
        """
        info, history = self._client.conversations.get(self._require_id()), self.history()
        found = [self._client.files.read(ref) for ref in archive.file_refs(history.entries)] if files else []
        return self._exported(path, info, history, found)

    async def aexport(self, path: str | os.PathLike[str] | None = None, *, files: bool = False) -> JsonDict:
        """As `export`, without blocking."""
        info, history = await self._client.conversations.aget(self._require_id()), await self.ahistory()
        refs = archive.file_refs(history.entries) if files else []
        found = list(await asyncio.gather(*(self._client.files.aread(ref) for ref in refs)))
        return await asyncio.to_thread(self._exported, path, info, history, found)

    def _exported(
        self,
        path: str | os.PathLike[str] | None,
        info: Mapping[str, Any],
        history: History,
        files: list[FileData],
    ) -> JsonDict:
        document = archive.document(info, history, files, self._imported)
        if path is not None:
            archive.write(path, document)
        return document

    @classmethod
    def import_(
        cls, client: MistralAgents, source: str | os.PathLike[str] | Mapping[str, Any], **options: Unpack[StartOptions]
    ) -> Conversation:
        """A new conversation that goes on where an exported one ended.

        Nothing is sent: the entries go out with the first `append`. Hosted runs are replayed as calls with results,
        and references to sources are left out, since the service refuses both as inputs; this object keeps them, so
        that its own `export` has them again.

        Args:
            client: The client.
            source: The file, or the document itself.
            options: What `start` takes, where the new one should differ (another model, say).

        Raises:
            ConfigurationError: It is no such document, or of a later version.
        """
        imported = archive.read(source)
        kept = archive.start_options(imported.info)
        if {"model", "agent_id"} & set(options):
            kept = {name: kept[name] for name in ("name", "description", "metadata") if name in kept}
        merged: Any = {**kept, **options}
        merged["metadata"] = {**(merged.get("metadata") or {}), **lineage(imported.conversation_id, None)}
        found = cls(client, **merged)
        found._dialog.seed = imported.seed
        found._imported = imported
        return found
