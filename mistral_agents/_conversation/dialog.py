"""What happens in one exchange of a conversation, without any I/O: which requests, which calls answered, what is owed.

`Dialog.exchange` is a generator of actions; the conversation's sync and async drivers carry them out and send the
results back in. The state it keeps makes sure that a conversation can't get stuck: every open call is answered with
the next request, at the latest with "interrupted", and after a lost reply the history is read before anything is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from mistral_agents._conversation.functions import interrupted
from mistral_agents._json import JsonDict
from mistral_agents.confirmation import denied
from mistral_agents.entries import Entry, FunctionCall, Handoff, as_inputs, parse_entries, user_message
from mistral_agents.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectionFailedError,
    InvalidRequestError,
    MistralAgentsError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitedError,
    ToolBudgetExceededError,
)
from mistral_agents.history import History
from mistral_agents.turn import Turn, open_calls
from mistral_agents.usage import Usage

NOT_APPLIED = (
    AuthenticationError,
    ConfigurationError,
    ConnectionFailedError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitedError,
)
"""Failures after which the conversation is surely as it was."""


@dataclass(frozen=True, slots=True)
class Send:
    """Send a turn; the result is a `Turn`."""

    inputs: list[JsonDict]
    confirmations: list[JsonDict] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ReadHistory:
    """Read the history; the result is a `History`."""


@dataclass(frozen=True, slots=True)
class RunFunctions:
    """Run the client's functions; the result is a list of `function.result` dicts."""

    calls: list[FunctionCall]


@dataclass(frozen=True, slots=True)
class Decide:
    """Ask about hosted tools; the result is a list of confirmations, or None where nobody decides."""

    calls: list[FunctionCall]


Action = Send | ReadHistory | RunFunctions | Decide
Exchange = Generator[Action, Any, Turn]
R = TypeVar("R")


@dataclass(slots=True)
class Dialog:
    """The state of one conversation.

    Attributes:
        conversation_id: None until it is started.
        has_functions: Whether calls are answered here; else they are left to the caller.
        max_rounds: How often in one exchange functions may be answered before it is given up.
        on_handoff: For handoffs on the client's side: what to say to the next agent; None ends the exchange there.
        last_entry_id: The last entry known, from which a lost answer is found again.
        seed: Entries that go before the first input of a conversation that is not started yet.
        unsure: Whether the history must be read before anything is sent: after a lost reply, and when resumed.
    """

    conversation_id: str | None = None
    has_functions: bool = False
    max_rounds: int = 20
    on_handoff: Callable[[Handoff], str | None] | None = None
    last_entry_id: str | None = None
    seed: list[JsonDict] = field(default_factory=list)
    unsure: bool = False
    _open: list[FunctionCall] = field(default_factory=list)
    _answers: dict[str, JsonDict] = field(default_factory=dict)
    _broken_start: bool = False

    @property
    def open_calls(self) -> list[FunctionCall]:
        """Calls that the next request will answer."""
        return list(self._open)

    def exchange(self, inputs: Any) -> Exchange:
        """Say something and go on until there is an answer, or the caller must act."""
        turns: list[Turn] = []
        entries = _entries(inputs)
        if self.unsure:
            yield from self._made_sure()
        said = self._taken(entries)
        for _ in range(self.max_rounds + 1):
            turn = yield from self._request(said, turns)
            said, ready = yield from self._answered(turn)
            if not ready:
                return merged(turns)
        raise ToolBudgetExceededError(
            f"The model called functions {self.max_rounds} times in one exchange without an answer.",
            conversation_id=self.conversation_id,
            turn=merged(turns),
            hint="Raise max_rounds, or look at the functions' results in `.turn`.",
        )

    def _made_sure(self) -> Generator[Action, Any, None]:
        """Read the history; a start whose stream broke off may have left nothing behind, and is then begun anew."""
        try:
            self.reconcile((yield ReadHistory()))
        except NotFoundError:
            if not self._broken_start:
                raise
            self.conversation_id, self.unsure = None, False
        self._broken_start = False

    def _taken(self, entries: list[JsonDict]) -> list[JsonDict]:
        """The entries but for results of open calls, which are put where they belong."""
        known = {call.tool_call_id for call in self._open}
        for entry in entries:
            if entry.get("type") == "function.result" and entry.get("tool_call_id") in known:
                self._answers[entry["tool_call_id"]] = entry
        return [e for e in entries if e.get("type") != "function.result" or e.get("tool_call_id") not in known]

    def keep(self, answers: dict[str, JsonDict]) -> None:
        """Keep answers to open calls for the next request, by call id."""
        self._answers.update(answers)

    def leave_open(self, calls: list[FunctionCall]) -> None:
        """Begin with open calls, which the first request answers."""
        self._open = calls

    def _request(self, said: list[JsonDict], turns: list[Turn]) -> Generator[Action, Any, Turn]:
        """Send; where that is refused with 400 because of calls that are not known here, answer them and send again."""
        try:
            return (yield from self._sent(said, turns))
        except InvalidRequestError as error:
            if self.conversation_id is None or error.status_code != 400:
                raise
            known = {call.tool_call_id for call in self._open}
            self.reconcile((yield ReadHistory()))
            if known == {call.tool_call_id for call in self._open}:
                raise
        return (yield from self._sent(said, turns))

    def _sent(self, said: list[JsonDict], turns: list[Turn]) -> Generator[Action, Any, Turn]:
        results = [self._answers.get(c.tool_call_id) or interrupted([c])[0] for c in self._open if not _waits(c)]
        confirmations = [self._answers.get(c.tool_call_id) or denied([c])[0] for c in self._open if _waits(c)]
        try:
            turn: Turn = yield Send([*self.seed, *results, *said], confirmations)
        except NOT_APPLIED as error:
            self._note(error, turns)
            raise
        except BaseException as error:
            if isinstance(error, MistralAgentsError):
                self._note(error, turns)
            self.unsure = self.conversation_id is not None
            raise
        self._took(turn)
        if results:
            turns.append(Turn(turn.conversation_id, parse_entries(results)))
        turns.append(turn)
        return turn

    def _note(self, error: MistralAgentsError, turns: list[Turn]) -> None:
        """Keep what is known although the request failed: the new id, and the answers of earlier requests."""
        if self.conversation_id is None:
            self.conversation_id = error.conversation_id
            self._broken_start = error.conversation_id is not None
        if error.turn is None and turns:
            error.turn = merged(turns)

    def note_begun(self, conversation_id: str | None) -> None:
        """Keep the id that the first event of a stream tells, whatever becomes of the rest."""
        if self.conversation_id is None and conversation_id is not None:
            self.conversation_id = conversation_id
            self._broken_start = True

    def _took(self, turn: Turn) -> None:
        self.conversation_id = turn.conversation_id
        self._broken_start = False
        self.last_entry_id = turn.last_entry_id if turn.last_entry_id is not None else self.last_entry_id
        self.seed = []
        self._open = open_calls(turn.entries)
        self._answers = {}

    def _answered(self, turn: Turn) -> Generator[Action, Any, tuple[list[JsonDict], bool]]:
        """Answer what the turn asks for; what to say next, and whether to go on."""
        calls, pending = turn.function_calls, turn.pending_confirmations
        if not calls and not pending:
            return self._next_hop(turn)
        if calls and not self.has_functions:
            return [], False
        if pending:
            decisions = yield Decide(pending)
            if decisions is None:
                return [], False
            self._answers.update({decision["tool_call_id"]: decision for decision in decisions})
        if calls:
            results = yield RunFunctions(calls)
            self._answers.update({result["tool_call_id"]: result for result in results})
        return [], True

    def _next_hop(self, turn: Turn) -> tuple[list[JsonDict], bool]:
        last = turn.entries[-1] if turn.entries else None
        if self.on_handoff is None or not isinstance(last, Handoff):
            return [], False
        text = self.on_handoff(last)
        return ([], False) if text is None else ([user_message(text)], True)

    def reconcile(self, history: History) -> None:
        """Take the service's word for where the conversation stands."""
        self._open = history.open_calls
        known = {call.tool_call_id for call in self._open}
        self._answers = {key: answer for key, answer in self._answers.items() if key in known}
        self.last_entry_id = history.last_entry_id
        self.unsure = False


def _entries(inputs: Any) -> list[JsonDict]:
    if inputs is None:
        return []
    given = as_inputs(inputs)
    return [user_message(given)] if isinstance(given, str) else given


def _waits(call: FunctionCall) -> bool:
    return call.needs_confirmation


def merged(turns: Sequence[Turn]) -> Turn:
    """Several turns of one exchange as one: all entries (results of functions included), usage added up."""
    if len(turns) == 1:
        return turns[0]
    entries: list[Entry] = [entry for turn in turns for entry in turn.entries]
    usage = Usage()
    for turn in turns:
        usage = usage + turn.usage
    last = turns[-1]
    raw = {**last.raw, "outputs": [entry.raw for entry in entries], "usage": _usage_wire(usage)}
    return Turn(
        last.conversation_id,
        entries,
        usage,
        last.guardrails,
        raw,
        [event for turn in turns for event in turn.unknown_events],
        last.headers,
        last.complete,
        last.policy,
    )


def _usage_wire(usage: Usage) -> JsonDict:
    base: JsonDict = {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
    }
    if usage.connectors:
        base.update(connector_tokens=usage.connector_tokens, connectors=usage.connectors)
    return base


class Steps:
    """Walks an exchange: each step takes a result or an error and gives the next action, None at the end."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self.turn: Turn | None = None

    def _step(self, move: Callable[..., Action], *value: Any) -> Action | None:
        try:
            return move(*value)
        except StopIteration as end:
            self.turn = end.value
            return None

    def first(self) -> Action | None:
        """The first action."""
        return self._step(next, self._exchange)

    def send(self, result: Any) -> Action | None:
        """What comes after an action that gave `result`."""
        return self._step(self._exchange.send, result)

    def throw(self, error: BaseException) -> Action | None:
        """What comes after an action that failed."""
        return self._step(self._exchange.throw, error)

    def close(self) -> None:
        """Leave the exchange; what it knows stays in the dialog."""
        self._exchange.close()

    @property
    def done(self) -> Turn:
        """The exchange's turn, at its end."""
        if self.turn is None:
            raise RuntimeError("the exchange is not at its end")
        return self.turn
