"""The exchanges of a conversation: carries out what `Dialog` asks for, as a call or a stream, blocking or not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from typing_extensions import Self, Unpack

from mistral_agents._api.conversations import StartOptions
from mistral_agents._conversation.archive import Imported
from mistral_agents._conversation.dialog import Action, Dialog, ReadHistory, RunFunctions, Send, Steps
from mistral_agents._conversation.functions import Functions, arun_functions, run_functions
from mistral_agents._conversation.lineage import lineage
from mistral_agents._conversation.lock import TurnLock, lock_of
from mistral_agents._conversation.streams import AsyncExchangeEvents, ExchangeEvents, WeakHold
from mistral_agents._json import JsonDict
from mistral_agents.confirmation import Rules, adecide, decide
from mistral_agents.entries import FunctionCall, Handoff, user_message
from mistral_agents.errors import ConfigurationError
from mistral_agents.history import EntryCache, History
from mistral_agents.turn import Turn
from mistral_agents.usage import Usage

if TYPE_CHECKING:
    from mistral_agents.client import MistralAgents
    from mistral_agents.costs import Meter

_PER_TURN = ("timeout", "headers", "handoff_execution")
_FIXED = "The tools, instructions and model of a conversation are fixed at its start; with conversation_id give no {}."


class Talk:
    """What `Conversation` says and hears; its arguments are described there."""

    def __init__(
        self,
        client: MistralAgents,
        conversation_id: str | None = None,
        *,
        functions: Functions | None = None,
        confirm: Rules | None = None,
        meter: Meter | None = None,
        on_handoff: Callable[[Handoff], str | None] | None = None,
        max_rounds: int = 20,
        **options: Unpack[StartOptions],
    ) -> None:
        given: JsonDict = {name: value for name, value in options.items() if value is not None}
        self._per_turn = {name: given.pop(name) for name in _PER_TURN if name in given}
        if conversation_id is not None and given:
            raise ConfigurationError(_FIXED.format(", ".join(sorted(given))))
        if conversation_id is None and not {"model", "agent_id"} & set(given):
            raise ConfigurationError("Give conversation_id= to go on with one, or model= or agent_id= to start one.")
        self._client = client
        self._settings: JsonDict = {
            "functions": functions,
            "confirm": confirm,
            "meter": meter,
            "on_handoff": on_handoff,
            "max_rounds": max_rounds,
        }
        self._options = given
        self._dialog = Dialog(conversation_id, functions is not None, max_rounds, on_handoff)
        self._dialog.unsure = conversation_id is not None
        self._origin: tuple[str, str] | None = None
        self._lock = TurnLock()
        self._cache = EntryCache()
        self._imported: Imported | None = None
        self.usage = Usage()
        self.last_turn: Turn | None = None
        self.summary: str | None = None

    @property
    def id(self) -> str | None:
        """The conversation's id; None before the first turn."""
        return self._dialog.conversation_id

    @property
    def conversation_id(self) -> str | None:
        """As `id`, by the service's name."""
        return self._dialog.conversation_id

    def _require_id(self) -> str:
        if self._dialog.conversation_id is None:
            raise ConfigurationError("The conversation has not begun: call append first.")
        return self._dialog.conversation_id

    @property
    def open_calls(self) -> list[FunctionCall]:
        """Calls that wait for an answer; the next request answers what you leave open."""
        return self._dialog.open_calls

    @property
    def context_tokens(self) -> int | None:
        """Tokens of the conversation so far, by its last turn's usage; None before one. See `compact`."""
        last = self.last_turn
        return last.usage.prompt_tokens + last.usage.completion_tokens if last is not None else None

    @property
    def converted(self) -> int:
        """Entries of histories turned into objects so far; reading again converts only those not seen before."""
        return self._cache.converted

    # one exchange ----------------------------------------------------------------------------------------------

    def append(self, inputs: Any = None) -> Turn:
        """Say something and wait for the answer.

        Args:
            inputs: A text or entries; None only answers open calls.

        Returns:
            All that was added, over all requests of the exchange: functions' results included, usage added up.
        """
        with self._held():
            steps = Steps(self._dialog.exchange(inputs))
            action = steps.first()
            while action is not None:
                try:
                    result = self._carry_out(action)
                except BaseException as error:  # noqa: BLE001 - the exchange notes it and raises it again
                    action = steps.throw(error)
                else:
                    action = steps.send(result)
            return self._finished(steps)

    async def aappend(self, inputs: Any = None) -> Turn:
        """As `append`, without blocking."""
        with await self._aheld():
            steps = Steps(self._dialog.exchange(inputs))
            action = steps.first()
            while action is not None:
                try:
                    result = await self._acarry_out(action)
                except BaseException as error:  # noqa: BLE001 - as above
                    action = steps.throw(error)
                else:
                    action = steps.send(result)
            return self._finished(steps)

    def stream(self, inputs: Any = None) -> Iterator[JsonDict]:
        """As `append`, event by event, over all requests of the exchange; afterwards read `last_turn`.

        The conversation's id is known from the first event on. Leaving the loop ends the exchange; the conversation
        goes on with the next `append`.
        """
        hold = WeakHold()
        events = ExchangeEvents(self._run_stream(inputs, hold))
        hold.set(events)
        return events

    def _run_stream(self, inputs: Any, hold: WeakHold) -> Generator[JsonDict, None, None]:
        with self._held(hold):
            steps, stream = Steps(self._dialog.exchange(inputs)), None
            action = steps.first()
            while action is not None:
                stream = None
                try:
                    if isinstance(action, Send):
                        with self._send(action, stream=True) as stream:
                            for event in stream:
                                self._dialog.note_begun(stream.reply_conversation_id)
                                yield event
                        result = self._counted(stream.turn)
                    else:
                        result = self._carry_out(action)
                except GeneratorExit:
                    self._leave(steps, stream)
                    raise
                except BaseException as error:  # noqa: BLE001 - as above
                    action = steps.throw(error)
                else:
                    action = steps.send(result)
            self._finished(steps)

    def _leave(self, steps: Steps, stream: Any) -> None:
        """The caller left the stream. A turn that was seen to its end is counted and kept like any other."""
        turn = stream.turn if stream is not None else None
        if turn is not None and turn.complete:
            self.last_turn = turn
            steps.send(self._counted(turn))
        steps.close()

    def astream(self, inputs: Any = None) -> AsyncIterator[JsonDict]:
        """As `stream`, without blocking."""
        hold = WeakHold()
        events = AsyncExchangeEvents(self._arun_stream(inputs, hold))
        hold.set(events)
        return events

    async def _arun_stream(self, inputs: Any, hold: WeakHold) -> AsyncGenerator[JsonDict, None]:
        with await self._aheld(hold):
            steps, stream = Steps(self._dialog.exchange(inputs)), None
            action = steps.first()
            while action is not None:
                stream = None
                try:
                    if isinstance(action, Send):
                        async with self._send(action, stream=True, prefix="a") as stream:
                            async for event in stream:
                                self._dialog.note_begun(stream.reply_conversation_id)
                                yield event
                        result = self._counted(stream.turn)
                    else:
                        result = await self._acarry_out(action)
                except (GeneratorExit, asyncio.CancelledError):
                    self._leave(steps, stream)
                    raise
                except BaseException as error:  # noqa: BLE001 - as above
                    action = steps.throw(error)
                else:
                    action = steps.send(result)
            self._finished(steps)

    def confirm_calls(self, decisions: Mapping[str, bool]) -> Self:
        """Allow or deny hosted tools by their `tool_call_id`; the next `append` (with or without inputs) sends it."""
        kinds = {True: "allow", False: "deny"}
        self._dialog.keep(
            {key: {"tool_call_id": key, "confirmation": kinds[allowed]} for key, allowed in decisions.items()}
        )
        return self

    def _finished(self, steps: Steps) -> Turn:
        self.last_turn = steps.done
        return steps.done

    @property
    def _patience(self) -> float:
        """Seconds for which a stream of this conversation may lie unread while another turn waits."""
        given = self._per_turn.get("timeout")
        return float(given) if isinstance(given, (int, float)) and given > 0 else self._client.timeout

    def _held(self, hold: WeakHold | None = None) -> ExitStack:
        """Hold the conversation until the `with` block of what is returned ends."""
        with ExitStack() as stack:
            stack.enter_context(self._lock.held(hold, self._patience))
            if self.id is not None:
                stack.enter_context(lock_of(self._client.base_url, self.id).held(hold, self._patience))
            return stack.pop_all()

    async def _aheld(self, hold: WeakHold | None = None) -> ExitStack:
        """As `_held`, without blocking; to let go needs no waiting, so that a stream can be closed anywhere."""
        with ExitStack() as stack:
            await self._lock.aacquire(hold, self._patience)
            stack.callback(self._lock.release)
            if self.id is not None:
                shared = lock_of(self._client.base_url, self.id)
                await shared.aacquire(hold, self._patience)
                stack.callback(shared.release)
            return stack.pop_all()

    def _send(self, action: Send, *, stream: bool = False, prefix: str = "") -> Any:
        """Call `start`, `append` or `restart` of the client, in the form asked for."""
        self._allow()
        suffix, conversations = "_stream" if stream else "", self._client.conversations
        inputs: Any = action.inputs
        if len(inputs) == 1 and inputs[0] == user_message(inputs[0].get("content", "")):
            inputs = inputs[0]["content"] if isinstance(inputs[0]["content"], str) else inputs
        if self.id is not None:
            options = {**self._per_turn, "tool_confirmations": action.confirmations or None}
            if not stream:
                options["after_entry_id"] = self._dialog.last_entry_id
            return getattr(conversations, f"{prefix}append{suffix}")(self.id, inputs or None, **options)
        if self._origin is not None:
            options = {**self._per_turn, "metadata": {**self._options.get("metadata", {}), **lineage(*self._origin)}}
            return getattr(conversations, f"{prefix}restart{suffix}")(*self._origin, inputs, **options)
        return getattr(conversations, f"{prefix}start{suffix}")(inputs, **self._options, **self._per_turn)

    def _allow(self) -> None:
        """Every turn asks the meter first, and is counted afterwards."""
        meter = self._settings["meter"]
        if meter is not None:
            meter.check()

    def _counted(self, turn: Turn) -> Turn:
        self.usage = self.usage + turn.usage
        meter = self._settings["meter"]
        if meter is not None:
            meter.add(turn)
        return turn

    def _carry_out(self, action: Action) -> Any:
        if isinstance(action, Send):
            return self._counted(self._send(action))
        if isinstance(action, ReadHistory):
            return self.history()
        if isinstance(action, RunFunctions):
            return run_functions(action.calls, self._settings["functions"])
        return decide(self._settings["confirm"], action.calls)

    async def _acarry_out(self, action: Action) -> Any:
        if isinstance(action, Send):
            return self._counted(await self._send(action, prefix="a"))
        if isinstance(action, ReadHistory):
            return await self.ahistory()
        if isinstance(action, RunFunctions):
            return await arun_functions(action.calls, self._settings["functions"])
        return await adecide(self._settings["confirm"], action.calls)

    def history(self) -> History:
        """Every entry so far. The service sends all at once; only entries not seen before are turned into objects."""
        return self._client.conversations.get_history(self._require_id(), cache=self._cache)

    async def ahistory(self) -> History:
        """As `history`, without blocking."""
        return await self._client.conversations.aget_history(self._require_id(), cache=self._cache)
