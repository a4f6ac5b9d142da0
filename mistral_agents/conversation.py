"""A conversation as one object: say something, and it is carried on to an answer; resume it anywhere by its id."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from typing_extensions import Self, Unpack

from mistral_agents._border.options import resolve_options, take_completion
from mistral_agents._border.turns import TurnRequest
from mistral_agents._conversation import archive as archive
from mistral_agents._conversation.exchange import Exchanges, ExchangeSettings, split_options
from mistral_agents._conversation.functions import AskNext, Functions
from mistral_agents._conversation.lineage import At, branch_point, is_user_message, with_lineage
from mistral_agents._display.shown import Shown
from mistral_agents._http.calls import check_id, check_ids, check_whole_number
from mistral_agents._http.concealed import conceal_options
from mistral_agents._json import JsonDict
from mistral_agents._steps import Job, Steps, Work, arun, run
from mistral_agents._tools.policy import POLICY_KEY
from mistral_agents.branches import Branch, family
from mistral_agents.confirmation import Decision, Rules, confirm
from mistral_agents.entries import FunctionCall, Inputs
from mistral_agents.errors import ConfigurationError
from mistral_agents.history import History, Stats
from mistral_agents.options import ConversationOptions
from mistral_agents.turn import Turn, open_calls
from mistral_agents.usage import Usage

if TYPE_CHECKING:
    from mistral_agents.client import MistralAgents
    from mistral_agents.costs import Meter

_OF_BRANCHES = ("agent_version", "metadata", "guardrails")
"""What a branch is given anew: without it the service takes the agent's current version, say."""
_HELD_WITH = ("functions", "confirm", "meter", "on_handoff", "max_rounds")
_FIXED = "The tools, instructions and model of a conversation are fixed at its start; with conversation_id give no {}."


class Conversation(Shown):
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
        on_handoff: With `handoff_execution="client"`: what to say to the next agent, None to stop there; it may be
            asynchronous.
        max_rounds: How often in one exchange functions may be answered.
        options: What `start` takes (`model` or `agent_id`, `tools`, ...), and completion options by their own names
            (`temperature`, `seed`, ...); `timeout`, `headers` and `handoff_execution` go with every turn.

    Attributes:
        summary: For a compacted conversation: the summary it begins with.

    Raises:
        ConfigurationError: The arguments don't fit together.
        MistralAgentsError: See `mistral_agents.errors`; `.turn` holds what had been answered, `.conversation_id` where.

    Examples:
        >>> conversation = Conversation(client, model="mistral-small-latest")
        >>> conversation.append("My name is Ada.").text
        >>> Conversation(client, conversation.id).append("Who am I?").text
    """

    def __init__(
        self,
        client: MistralAgents,
        conversation_id: str | None = None,
        *,
        functions: Functions | None = None,
        confirm: Rules | None = None,
        meter: Meter | None = None,
        on_handoff: AskNext | None = None,
        max_rounds: int = 20,
        **options: Unpack[ConversationOptions],
    ) -> None:
        options = conceal_options(options)
        given, per_turn = split_options(options)
        settings = ExchangeSettings(functions, confirm, meter, on_handoff, max_rounds, per_turn)
        check_ids({"conversation_id": conversation_id, **given})
        if conversation_id is not None and given:
            raise ConfigurationError(_FIXED.format(", ".join(sorted(given))))
        if conversation_id is None and not {"model", "agent_id"} & set(given):
            raise ConfigurationError("Give conversation_id= to go on with one, or model= or agent_id= to start one.")
        if not hasattr(client, "conversations"):
            raise ConfigurationError(f"client must be a MistralAgents(...), not {type(client).__name__}.")
        dialog = settings.new_dialog(conversation_id)
        dialog.unsure = conversation_id is not None
        self._client = client
        self._exchanges = Exchanges(client, settings, dialog, given)
        self._imported: archive.Imported | None = None
        self.summary: str | None = None

    @property
    def id(self) -> str | None:
        """The conversation's id; None before the first turn."""
        return self._exchanges.conversation_id

    @property
    def conversation_id(self) -> str | None:
        """As `id`, by the service's name."""
        return self._exchanges.conversation_id

    @property
    def usage(self) -> Usage:
        """Tokens and connector calls of all turns made through this object."""
        return self._exchanges.usage

    @property
    def meter(self) -> Meter | None:
        """What counts its turns; None where none was given."""
        return self._exchanges.settings.meter

    @property
    def last_turn(self) -> Turn | None:
        """The last exchange's turn; None before one."""
        return self._exchanges.last_turn

    @property
    def open_calls(self) -> list[FunctionCall]:
        """Calls that wait for an answer; the next request answers what you leave open."""
        return self._exchanges.dialog.open_calls

    @property
    def context_tokens(self) -> int | None:
        """Tokens of the conversation so far, by its last turn's usage; None before one. See `compact`."""
        last = self.last_turn
        return last.usage.prompt_tokens + last.usage.completion_tokens if last is not None else None

    # one exchange ----------------------------------------------------------------------------------------------

    def append(self, inputs: Inputs | None = None) -> Turn:
        """Say something and wait for the answer.

        The same words said again after an `UnknownOutcomeError` or its like are looked for in the history first: an
        answer that was lost is taken from there, and nothing is said twice.

        Args:
            inputs: A text or entries; None only answers open calls.

        Returns:
            All that was added, over all requests of the exchange: functions' results included, usage added up.
        """
        return self._exchanges.append(inputs)

    async def aappend(self, inputs: Inputs | None = None) -> Turn:
        """As `append`, without blocking."""
        return await self._exchanges.aappend(inputs)

    def stream(self, inputs: Inputs | None = None) -> Iterator[JsonDict]:
        """As `append`, event by event, over all requests of the exchange; afterwards read `last_turn`.

        The stream may be left: the conversation is known from its first event on, and counted once its end was seen.
        Another turn closes a stream that its reader has left.
        """
        return self._exchanges.stream(inputs)

    def astream(self, inputs: Inputs | None = None) -> AsyncIterator[JsonDict]:
        """As `stream`, without blocking."""
        return self._exchanges.astream(inputs)

    def confirm_calls(self, decisions: Mapping[str, bool | Decision]) -> Self:
        """Allow or deny hosted tools by their `tool_call_id`; the next `append` (with or without inputs) sends it.

        Where only some of the calls are decided, `append()` sends these and the others go on waiting (`open_calls`);
        `append` with inputs denies them.

        Raises:
            ConfigurationError: A decision is neither True or False nor `allow` or `deny`, or about no call that waits
                (of a conversation that is resumed, the next `append` says so).
        """
        if not isinstance(decisions, Mapping):
            raise ConfigurationError(f"decisions must be a mapping of call ids to decisions, not {decisions!r}.")
        told = {key: confirm(key, answer, f"The decision about {key}") for key, answer in decisions.items()}
        self._exchanges.dialog.keep(told)
        return self

    def history(self) -> History:
        """Every entry so far. The service sends all at once; only entries not seen before are turned into objects."""
        return self._exchanges.history()

    async def ahistory(self) -> History:
        """As `history`, without blocking."""
        return await self._exchanges.ahistory()

    def _make_history_job(self) -> Job:
        return Job(self.history, self.ahistory)

    def _make_info_job(self) -> Job:
        key, conversations = self._exchanges.require_id(), self._client.conversations
        return Job(lambda: conversations.get(key), lambda: conversations.aget(key))

    def stats(self) -> Stats:
        """Counts of the history."""
        return self.history().stats()

    async def astats(self) -> Stats:
        """As `stats`, without blocking."""
        return (await self.ahistory()).stats()

    def repair(self) -> list[FunctionCall]:
        """Read the history and take note of calls that someone left open; the next `append` answers them."""
        with self._exchanges.held():
            self._exchanges.dialog.reconcile(self.history())
        return self.open_calls

    async def arepair(self) -> list[FunctionCall]:
        """As `repair`, without blocking."""
        with await self._exchanges.aheld():
            self._exchanges.dialog.reconcile(await self.ahistory())
        return self.open_calls

    def delete(self) -> None:
        """Delete the conversation; this object can't be used afterwards."""
        self._client.conversations.delete(self._exchanges.require_id())

    async def adelete(self) -> None:
        """As `delete`, without blocking."""
        await self._client.conversations.adelete(self._exchanges.require_id())

    # branches --------------------------------------------------------------------------------------------------

    def _make_child(self, options: JsonDict, origin: tuple[str, str] | None = None) -> Self:
        child = object.__new__(type(self))
        child.__dict__.update(self.__dict__)
        settings = self._exchanges.settings
        child._exchanges = Exchanges(self._client, settings, settings.new_dialog(), options, origin)
        child._imported, child.summary = None, None
        return child

    def branch(self, at: At = None) -> Self:
        """Another way to go on from an earlier entry, in a conversation of its own.

        The service makes a branch only together with something said, so it begins with the first `append` of what is
        returned. Its metadata names this conversation and the entry (see `tree`).

        Args:
            at: The last entry to keep: its place (negative ones count from the end), its id, itself, or a test of
                entries, of which the last that passes is taken; None takes the assistant's last message. The seed
                guide's `entries[0]` is the user's first message: a branch there drops its answer.

        Raises:
            ConfigurationError: There is no such entry.
        """
        return run(self._branch(at))

    async def abranch(self, at: At = None) -> Self:
        """As `branch`, without blocking."""
        return await arun(self._branch(at))

    def _branch(self, at: At) -> Steps[Self]:
        history = yield self._make_history_job()
        place = branch_point(history, at)
        own = self._exchanges.start_options
        if not own:  # of a conversation that is resumed only the service knows
            own = archive.start_options((yield self._make_info_job()))
        origin = (self._exchanges.require_id(), str(history.entries[place].id))
        child = self._make_child({name: own[name] for name in _OF_BRANCHES if name in own}, origin)
        child._exchanges.dialog.leave_open(open_calls(history.entries[: place + 1]))
        return child

    def regenerate(self) -> Self:
        """Another answer to the last message of the user, in a branch; this conversation stays as it is.

        The branch is made without anything said, and its functions run as in any turn. That the service makes one so
        is unverified (probe `restart-without-inputs` of `python -m mistral_agents.verify`).

        Returns:
            The branch; its `last_turn` is the new answer.

        Raises:
            ConfigurationError: No message of the user is there.
        """
        child = self.branch(is_user_message)
        child.append()
        return child

    async def aregenerate(self) -> Self:
        """As `regenerate`, without blocking."""
        child = await self.abranch(is_user_message)
        await child.aappend()
        return child

    def tree(self) -> Branch:
        """The conversations this one was branched from and those branched from it; it reads the list of all."""
        return family(self._exchanges.require_id(), self._client.conversations.list())

    async def atree(self) -> Branch:
        """As `tree`, without blocking."""
        return family(self._exchanges.require_id(), [info async for info in self._client.conversations.alist()])

    def summarise(self, *, model: str | None = None) -> str:
        """A summary of the conversation, written in one turn of its own, which is not stored.

        The service has no memory across conversations: keep the summary in your own store and give it to a new
        conversation where the user wants that.

        Args:
            model: Who writes it; None takes the conversation's own model.

        Raises:
            ConfigurationError: No model is known, or the one given can't be one.
        """
        return run(self._summarise(model))[0]

    async def asummarise(self, *, model: str | None = None) -> str:
        """As `summarise`, without blocking."""
        return (await arun(self._summarise(model)))[0]

    def _summarise(self, model: str | None) -> Steps[tuple[str, History, JsonDict]]:
        if model is not None:
            check_id("model", model)
        history = yield self._make_history_job()
        info = yield self._make_info_job()
        options = archive.request_summary(history, info, model)
        request = TurnRequest("start", options.pop("inputs"), options)
        self._exchanges.check_meter()
        turn = yield Job(lambda: self._exchanges.send(request), lambda: self._exchanges.asend(request))
        return turn.text, history, info

    def compact(self, *, keep: int = 4, model: str | None = None) -> Self:
        """Go on in a new conversation that begins with a summary, for when the context window nears its end.

        The summary costs one turn, which is not stored, and can be read in `.summary`; the new conversation begins
        with the first `append` of what is returned. This one stays as it is.

        Args:
            keep: How many of the last messages to keep word for word.
            model: Who writes the summary; None takes the conversation's own model.

        Raises:
            ConfigurationError: No model is known, or an argument can't be used; nothing was paid for.
        """
        return run(self._compact(keep, model))

    async def acompact(self, *, keep: int = 4, model: str | None = None) -> Self:
        """As `compact`, without blocking."""
        return await arun(self._compact(keep, model))

    def _compact(self, keep: int, model: str | None) -> Steps[Self]:
        check_whole_number("keep", keep)
        summary, history, info = yield from self._summarise(model)
        options = {**archive.start_options(info), **self._exchanges.start_options}
        options["metadata"] = with_lineage(options.get("metadata"), self._exchanges.require_id(), history.last_entry_id)
        child = self._make_child(options)
        child._exchanges.dialog.seed = archive.seed_compacted(summary, history, keep)
        child.summary = summary
        return child

    # export and import -----------------------------------------------------------------------------------------

    def export(self, path: str | os.PathLike[str] | None = None, *, files: bool = False) -> JsonDict:
        """The conversation as a JSON document of a versioned format.

        Args:
            path: Where to write it as well; the file is replaced in one step.
            files: Whether to download the files made in it and put them in.
        """
        return run(self._export(path, files=files))

    async def aexport(self, path: str | os.PathLike[str] | None = None, *, files: bool = False) -> JsonDict:
        """As `export`, without blocking."""
        return await arun(self._export(path, files=files))

    def _export(self, path: str | os.PathLike[str] | None, *, files: bool) -> Steps[JsonDict]:
        info = yield self._make_info_job()
        history = yield self._make_history_job()
        found = (yield from archive.read_files(self._client.files, history)) if files else []
        document = archive.document(info, history, found, self._imported)
        if path is not None:
            yield Work(lambda: archive.write(path, document))
        return document

    def to_html(self, path: str | os.PathLike[str] | None = None, *, files: bool = True) -> str:
        """The conversation as one page that needs nothing else: no script, nothing that a browser would load.

        Args:
            path: Where to write it; None only returns it.
            files: Whether to read the pictures made in it and put them in.

        Raises:
            ConfigurationError: Jinja2 is not installed (extras `notebook` and `cli`).
            MistralAgentsError: The history or a file can't be read.
        """
        return run(self._to_html(path, files=files))

    async def ato_html(self, path: str | os.PathLike[str] | None = None, *, files: bool = True) -> str:
        """As `to_html`, without blocking."""
        return await arun(self._to_html(path, files=files))

    def _to_html(self, path: str | os.PathLike[str] | None, *, files: bool) -> Steps[str]:
        from mistral_agents._display.page import conversation_page, write_page

        info = yield self._make_info_job()
        history = yield self._make_history_job()
        found = (yield from archive.read_files(self._client.files, history)) if files else []
        page = conversation_page(info, history, found)
        if path is not None:
            yield Work(lambda: write_page(path, page))
        return page

    @classmethod
    def import_(
        cls,
        client: MistralAgents,
        source: str | os.PathLike[str] | Mapping[str, Any],
        **options: Unpack[ConversationOptions],
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
        given = resolve_options(conceal_options(options), what="Conversation", where="conversation", others=_HELD_WITH)
        kept = archive.start_options(imported.info)
        if {"model", "agent_id"} & set(given):
            kept = {name: kept[name] for name in ("name", "description", "metadata") if name in kept}
        if {"model", "agent_id", "tools"} & set(given):  # limits belong to the tools that it had
            kept["metadata"] = {key: value for key, value in kept.get("metadata", {}).items() if key != POLICY_KEY}
        completion = {**kept.pop("completion_args", {}), **take_completion(given)}
        merged: Any = {**kept, **given, **({"completion_args": completion} if completion else {})}
        merged["metadata"] = with_lineage(merged.get("metadata"), imported.conversation_id, None)
        found = cls(client, **merged)
        found._exchanges.dialog.seed = imported.seed
        found._imported = imported
        return found
