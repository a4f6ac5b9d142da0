"""The exchanges of a conversation: carries out what `Dialog` asks for, as a call or a stream, blocking or not."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from mistral_agents._border.control import Questions
from mistral_agents._border.events import DONE
from mistral_agents._border.options import check_agent_options, resolve_options, take_completion
from mistral_agents._border.tool_choices import choose_tools
from mistral_agents._border.turns import TurnRequest
from mistral_agents._conversation.dialog import Action, Dialog, Exchange, FollowHandoff, ReadHistory, RunFunctions, Send
from mistral_agents._conversation.functions import (
    AskNext,
    Functions,
    aask_next,
    arun_functions,
    ask_next,
    check_functions,
    run_functions,
)
from mistral_agents._conversation.lineage import with_lineage
from mistral_agents._conversation.lock import Hold, TurnLock, lock_of
from mistral_agents._conversation.owners import Owners
from mistral_agents._conversation.streams import AsyncLeavableStream, LeavableStream
from mistral_agents._http.calls import check_whole_number
from mistral_agents._json import JsonDict
from mistral_agents._steps import Job, Steps, Walk, arun, run
from mistral_agents.confirmation import Rules, adecide, check_rules, decide, hangs_on_owner
from mistral_agents.entries import FunctionCall, Inputs, user_message
from mistral_agents.errors import ConfigurationError
from mistral_agents.history import EntryCache, History
from mistral_agents.turn import Turn
from mistral_agents.usage import Usage

if TYPE_CHECKING:
    from mistral_agents.client import MistralAgents
    from mistral_agents.costs import Meter

_PER_TURN = ("timeout", "headers", "handoff_execution")


@dataclass(frozen=True, slots=True)
class ExchangeSettings:
    """How the exchanges of a conversation are held.

    Attributes:
        functions: The client's functions by name; None leaves calls to the caller.
        confirm: Who decides about hosted tools.
        meter: Counts turns, and stops before a limit.
        on_handoff: What to say to the next agent.
        max_rounds: How often in one exchange functions may be answered.
        per_turn: Options of every turn.

    Raises:
        ConfigurationError: One of them can't be used; known before a turn is paid for.
    """

    functions: Functions | None = None
    confirm: Rules | None = None
    meter: Meter | None = None
    on_handoff: AskNext | None = None
    max_rounds: int = 20
    per_turn: JsonDict = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_functions(self.functions)
        check_rules(self.confirm)
        check_whole_number("max_rounds", self.max_rounds)
        if self.on_handoff is not None and not callable(self.on_handoff):
            raise ConfigurationError(f"on_handoff must be a function of the handoff, or None, not {self.on_handoff!r}.")
        if self.meter is not None and not (hasattr(self.meter, "check") and hasattr(self.meter, "add")):
            raise ConfigurationError(f"meter must be a Meter, or None, not {self.meter!r}.")

    def new_dialog(self, conversation_id: str | None = None) -> Dialog:
        """The state of a conversation held so."""
        has_functions, has_rules = self.functions is not None, self.confirm is not None
        follows = self.on_handoff is not None
        return Dialog(conversation_id, has_functions, has_rules, self.max_rounds, follows)


def split_options(options: Mapping[str, Any]) -> tuple[JsonDict, JsonDict]:
    """Options of the start, and those of every turn.

    Raises:
        ConfigurationError: A name is unknown, or an option can't be honoured.
    """
    given = resolve_options(options, what="Conversation", where="conversation")
    if given.get("store") is False:
        raise ConfigurationError(
            "Conversation: store=False can't be honoured: a conversation goes on with what the service keeps of it.",
            hint="client.conversations.start(..., store=False) makes one turn of which nothing is kept.",
        )
    per_turn = {name: given.pop(name) for name in _PER_TURN if name in given}
    completion = take_completion(given)
    choice = completion.pop("tool_choice", None)
    if "agent_id" in given:
        check_agent_options({**completion, "tool_choice": choice, "instructions": given.get("instructions")})
        return given, per_turn
    tools, word = choose_tools(given.get("tools", ()), choice)
    if "tools" in given:
        given["tools"] = tools
    if word is not None:
        completion["tool_choice"] = word
    if completion:
        given["completion_args"] = completion
    return given, per_turn


class Exchanges:
    """Holds the exchanges of one conversation, one at a time.

    Args:
        client: The client.
        settings: How.
        dialog: The conversation's state.
        start_options: What it is started with.
        origin: The conversation and the entry it branches from.

    Attributes:
        usage: Tokens of all turns made here.
        last_turn: The last exchange's turn.
    """

    def __init__(
        self,
        client: MistralAgents,
        settings: ExchangeSettings,
        dialog: Dialog,
        start_options: JsonDict,
        origin: tuple[str, str] | None = None,
    ) -> None:
        self.client = client
        self.settings = settings
        self.dialog = dialog
        dialog.as_sent = client.conversations.redact_inputs
        self.start_options = start_options
        self.origin = origin
        self.cache = EntryCache()
        self.usage = Usage()
        self.last_turn: Turn | None = None
        self._owners = Owners(client, start_options)
        self._lock = TurnLock()

    @property
    def conversation_id(self) -> str | None:
        """The conversation's id; None before the first turn."""
        return self.dialog.conversation_id

    def require_id(self) -> str:
        """The conversation's id.

        Raises:
            ConfigurationError: It has not begun.
        """
        if self.dialog.conversation_id is None:
            raise ConfigurationError("The conversation has not begun: call append first.")
        return self.dialog.conversation_id

    # in four ways ------------------------------------------------------------------------------------------------

    def append(self, inputs: Inputs | None) -> Turn:
        """One exchange."""
        with self.held():
            self.last_turn = run(self._carry_out(inputs))
            return self.last_turn

    async def aappend(self, inputs: Inputs | None) -> Turn:
        """As `append`, without blocking."""
        with await self.aheld():
            self.last_turn = await arun(self._carry_out(inputs))
            return self.last_turn

    def stream(self, inputs: Inputs | None) -> LeavableStream[JsonDict]:
        """One exchange event by event."""
        return LeavableStream(partial(self._stream, inputs))

    def astream(self, inputs: Inputs | None) -> AsyncLeavableStream[JsonDict]:
        """As `stream`, without blocking."""
        return AsyncLeavableStream(partial(self._astream, inputs))

    def _carry_out(self, inputs: Inputs | None) -> Steps[Turn]:
        walk = Walk(self.dialog.exchange(inputs))
        action = walk.begin()
        while action is not None:
            try:
                result = yield self._make_job(action)
            except BaseException as error:  # noqa: BLE001 - the exchange notes it and raises it again
                action = walk.throw(error)
            else:
                action = walk.send(result)
        return walk.result

    def _stream(self, inputs: Inputs | None, hold: Hold) -> Generator[JsonDict, None, None]:
        with self.held(hold):
            exchange: Exchange = self.dialog.exchange(inputs)
            walk = Walk(exchange)
            action = walk.begin()
            while action is not None:
                try:
                    hold.check_stop()
                    if isinstance(action, Send):
                        result: Any = yield from self._stream_turn(action, hold)
                    else:
                        result = self._make_job(action).call()
                except BaseException as error:  # noqa: BLE001 - as above
                    action = walk.throw(error)
                else:
                    action = walk.send(result)
            self.last_turn = walk.result

    async def _astream(self, inputs: Inputs | None, hold: Hold) -> AsyncGenerator[JsonDict, None]:
        with await self.aheld(hold):
            hold.note_left = self.dialog.note_left
            walk = Walk(self.dialog.exchange(inputs))
            action = walk.begin()
            while action is not None:
                try:
                    hold.check_stop()
                    if isinstance(action, Send):
                        async with self.client.conversations.aopen(self._request(action)) as stream:
                            hold.begin_reading(stream)
                            async for event in stream:
                                self._watch(event, stream)
                                yield event
                        result: Any = stream.turn
                        if not result.complete:
                            hold.check_stop()
                    else:
                        result = await self._make_job(action).acall()
                except BaseException as error:  # noqa: BLE001 - as above
                    action = walk.throw(error)
                else:
                    action = walk.send(result)
            self.last_turn = walk.result

    def _stream_turn(self, action: Send, hold: Hold) -> Generator[JsonDict, None, Turn]:
        """One turn; where another thread closed its stream, it ends as it does where its reader leaves."""
        with self.client.conversations.open(self._request(action)) as stream:
            hold.begin_reading(stream)
            for event in stream:
                self._watch(event, stream)
                yield event
            turn = stream.turn
            if not turn.complete:
                hold.check_stop()
            return turn

    def _watch(self, event: JsonDict, stream: Any) -> None:
        """Keep what an event tells before its reader can leave: the new id, and at the end the turn with its usage."""
        self.dialog.note_begun(stream.conversation_id)
        if event.get("type") == DONE:
            turn: Turn = stream.turn
            self.last_turn = self._count(turn)
            if turn.complete:
                self.dialog.take(turn)

    # what an exchange asks for -------------------------------------------------------------------------------------

    def _make_job(self, action: Action) -> Job:
        if isinstance(action, Send):
            request = self._request(action)
            return Job(lambda: self.send(request), lambda: self.asend(request))
        if isinstance(action, ReadHistory):
            return Job(self.history, self.ahistory)
        settings = self.settings
        if isinstance(action, FollowHandoff):
            follow: Any = settings.on_handoff
            return Job(partial(ask_next, follow, action.handoff), partial(aask_next, follow, action.handoff))
        calls = action.calls
        if isinstance(action, RunFunctions):
            functions = settings.functions if settings.functions is not None else {}
            given = (calls, functions, action.results, action.questions)
            return Job(partial(run_functions, *given), partial(arun_functions, *given))
        return Job(
            lambda: run(self._decide(calls, action.questions)), lambda: arun(self._decide(calls, action.questions))
        )

    def _decide(self, calls: list[FunctionCall], questions: Questions) -> Steps[list[JsonDict] | None]:
        rules, owners = self.settings.confirm, self._owners.told()
        if any(hangs_on_owner(rules, call, owners) for call in calls):
            owners |= yield from self._owners.read(self.require_id(), calls)
        asked = (rules, calls, owners, questions)
        decisions: list[JsonDict] | None = yield Job(partial(decide, *asked), partial(adecide, *asked))
        return decisions

    def _request(self, action: Send) -> TurnRequest:
        """The turn to make: of the conversation, of a new branch, or the first of a new one."""
        if action.found is None:  # an answer that is there already was paid for
            self.check_meter()
        inputs: Any = action.inputs
        text = inputs[0].get("content") if len(inputs) == 1 else None
        if isinstance(text, str) and inputs[0] == user_message(text):
            inputs = text
        per_turn = self.settings.per_turn
        if self.conversation_id is not None:
            options = {**per_turn, "tool_confirmations": action.confirmations or None}
            known = self.dialog.last_entry_id
            return TurnRequest("append", inputs or None, options, self.conversation_id, known, found=action.found)
        if self.origin is not None:
            own = self.start_options
            options = {
                "agent_version": own.get("agent_version"),
                "guardrails": own.get("guardrails"),
                "metadata": with_lineage(own.get("metadata"), *self.origin),
            }
            return TurnRequest("restart", inputs or None, {**per_turn, **options}, *self.origin)
        return TurnRequest("start", inputs, {**self.start_options, **per_turn})

    def check_meter(self) -> None:
        """Ask the meter, before a turn."""
        if self.settings.meter is not None:
            self.settings.meter.check()

    def send(self, request: TurnRequest) -> Turn:
        """Make one turn, and count it."""
        return self._count(self.client.conversations.send(request))

    async def asend(self, request: TurnRequest) -> Turn:
        """As `send`, without blocking."""
        return self._count(await self.client.conversations.asend(request))

    def _count(self, turn: Turn) -> Turn:
        self.usage = self.usage + turn.usage
        if self.settings.meter is not None:
            self.settings.meter.add(turn)
        return turn

    def history(self) -> History:
        """Every entry so far."""
        return self.client.conversations.get_history(self.require_id(), cache=self.cache)

    async def ahistory(self) -> History:
        """As `history`, without blocking."""
        return await self.client.conversations.aget_history(self.require_id(), cache=self.cache)

    # one at a time -------------------------------------------------------------------------------------------------

    @property
    def _patience(self) -> float:
        given = self.settings.per_turn.get("timeout")
        return float(given if given is not None else self.client.timeout)

    @contextmanager
    def held(self, hold: Hold | None = None) -> Iterator[None]:
        """Hold the conversation, so that its turns follow one another."""
        mine = hold if hold is not None else Hold()
        with ExitStack() as stack:
            stack.enter_context(self._lock.held(mine, self._patience))
            if self.conversation_id is not None:
                shared = lock_of(self.client.base_url, self.conversation_id)
                stack.enter_context(shared.held(mine, self._patience))
            yield

    async def aheld(self, hold: Hold | None = None) -> ExitStack:
        """As `held`, without blocking: `with await exchanges.aheld():`; see `TurnLock.aheld`."""
        mine = hold if hold is not None else Hold()
        with ExitStack() as stack:
            stack.enter_context(await self._lock.aheld(mine, self._patience))
            if self.conversation_id is not None:
                shared = lock_of(self.client.base_url, self.conversation_id)
                stack.enter_context(await shared.aheld(mine, self._patience))
            return stack.pop_all()
