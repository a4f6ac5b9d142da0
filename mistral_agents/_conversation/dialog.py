"""What happens in one exchange of a conversation, without any I/O: which requests, which calls answered, what is owed.

`Dialog.exchange` is a generator of actions; the conversation's sync and async drivers carry them out and send the
results back in. The state it keeps makes sure that a conversation can't get stuck: every open call is answered with
the next request, at the latest with "interrupted", and after a lost reply the history is read before anything is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mistral_agents._api.recovery import find_turn, was_said
from mistral_agents._border.calls import (
    answer_unrun,
    close_history,
    drop_silent,
    find_undecided,
    is_said,
    place_files,
    split_files,
)
from mistral_agents._border.continuation import find_paused_turn
from mistral_agents._border.control import Questions, check_pauses, is_steering
from mistral_agents._conversation.functions import Results
from mistral_agents._json import JsonDict
from mistral_agents.confirmation import denied
from mistral_agents.entries import Entry, FunctionCall, Handoff, Inputs, as_inputs, parse_entries, user_message
from mistral_agents.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectionFailedError,
    InvalidRequestError,
    MistralAgentsError,
    NotFoundError,
    PendingCallsError,
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
    """Send a turn; the result is a `Turn`. One that was found in the history is only shown."""

    inputs: list[JsonDict]
    confirmations: list[JsonDict] = field(default_factory=list)
    found: Turn | None = None


@dataclass(frozen=True, slots=True)
class ReadHistory:
    """Read the history; the result is a `History`."""


@dataclass(frozen=True, slots=True)
class RunFunctions:
    """Run the client's functions; the result is a list of `function.result` dicts.

    Attributes:
        calls: The calls.
        results: Known results by call id; new ones are put in as they come.
        questions: What functions of the exchange asked people.
    """

    calls: list[FunctionCall]
    results: Results = field(default_factory=dict)
    questions: Questions = field(default_factory=Questions)


@dataclass(frozen=True, slots=True)
class Decide:
    """Ask about hosted tools; the result is a list of confirmations, or None where nobody decides.

    Attributes:
        calls: The calls that wait.
        questions: What the exchange asked people.
    """

    calls: list[FunctionCall]
    questions: Questions = field(default_factory=Questions)


@dataclass(frozen=True, slots=True)
class FollowHandoff:
    """Ask what to say to the next agent; the result is a text, or None to stop there.

    Attributes:
        handoff: Which agent hands over to which.
    """

    handoff: Handoff


Action = Send | ReadHistory | RunFunctions | Decide | FollowHandoff
Exchange = Generator[Action, Any, Turn]


@dataclass(frozen=True, slots=True)
class _Lost:
    """A request whose outcome is not known.

    Attributes:
        asked: What the caller wanted to say in that exchange.
        sent: What went out.
        after_entry_id: The last entry known before; None for a conversation's first request.
        confirms: Whether confirmations went out.
        said: Whether an earlier request of the exchange had said what was asked.
    """

    asked: list[JsonDict]
    sent: list[JsonDict]
    after_entry_id: str | None
    confirms: bool
    said: bool


@dataclass(slots=True)
class Dialog:
    """The state of one conversation.

    Attributes:
        conversation_id: None until it is started.
        has_functions: Whether calls are answered here; else they are left to the caller.
        has_rules: Whether hosted calls that wait are decided about here.
        max_rounds: How often in one exchange functions may be answered before it is given up.
        follows_handoffs: Whether, for handoffs on the client's side, the client says what the next agent is told.
        last_entry_id: The last entry known, from which a lost answer is found again.
        seed: Entries that go before the first input of a conversation that is not started yet.
        unsure: Whether the history must be read before anything is sent: after a lost reply, and when resumed.
        as_sent: What of inputs goes out, as a history then tells it.
    """

    conversation_id: str | None = None
    has_functions: bool = False
    has_rules: bool = False
    max_rounds: int = 20
    follows_handoffs: bool = False
    last_entry_id: str | None = None
    seed: list[JsonDict] = field(default_factory=list)
    unsure: bool = False
    as_sent: Callable[[list[JsonDict]], Any] = list
    _open: list[FunctionCall] = field(default_factory=list)
    _answers: Results = field(default_factory=dict)
    _broken_start: bool = False
    _under_way: object = None
    _lost: _Lost | None = None
    _paused: list[JsonDict] | None = None
    _shown: Turn | None = None
    _questions: Questions = field(default_factory=Questions)

    @property
    def open_calls(self) -> list[FunctionCall]:
        """Calls that the next request will answer."""
        return list(self._open)

    def exchange(self, inputs: Inputs | None) -> Exchange:
        """Say something and go on until there is an answer, or the caller must act.

        The same words said again after a request of unknown outcome are a repetition: where the history shows that
        request, its answer is taken from there and nothing is said twice.
        """
        turns: list[Turn] = []
        asked = _read_entries(inputs)
        entries, found = asked, None
        if self.unsure:
            entries, found = yield from self._make_sure(asked)
        said = yield from self._pair_inputs(entries)
        if self._is_resumed(asked):
            ready = yield from self._answer_calls(*self._sort_open(), asked)
            if not ready and self._shown is not None:
                return self._shown
            said = []
        elif found is None:
            here = [call for call in self._open if (self.has_rules if _waits(call) else self.has_functions)]
            check_pauses([c.tool_call_id for c in here if c.tool_call_id not in self._answers], self.conversation_id)
            if self.has_rules and not said:  # a rule decides where nothing else is said, which would deny
                yield from self._answer_calls([], self._sort_open()[1], asked)
        for _ in range(self.max_rounds + 1):
            turn = yield from (self._request(asked, said, turns) if found is None else self._show(found, turns))
            found = None
            self._shown = merge_turns(turns)
            try:
                said, ready = yield from self._answer_turn(turn, asked)
            except MistralAgentsError as error:
                self._note(error, turns)
                raise
            if not ready:
                return self._shown
        raise ToolBudgetExceededError(
            f"The model called functions {self.max_rounds} times in one exchange without an answer.",
            conversation_id=self.conversation_id,
            turn=merge_turns(turns),
            hint="Raise max_rounds, or look at the functions' results in `.turn`.",
        )

    def _make_sure(self, asked: list[JsonDict]) -> Generator[Action, Any, tuple[list[JsonDict], Turn | None]]:
        """Read the history; what is still to be said, and the answer that is there already.

        A start whose stream broke off may have left nothing behind, and is then begun anew.
        """
        lost = self._lost if self._lost is not None and self._lost.asked == asked else None
        try:
            history: History = yield ReadHistory()
        except NotFoundError:
            if not self._broken_start:
                raise
            self._forget_start()
            return asked, None
        if self.last_entry_id is None:  # resumed, and decided about before anything was known
            decisions, self._answers = self._answers, {}
            _check_decided(decisions, history.open_calls)
            self._answers = decisions
        if lost is not None:
            found = self._find_lost(history, lost)
        else:  # the same words once more, whose functions were paused: by another process, say
            told = self.as_sent(asked)
            found = find_paused_turn(history, told, functions=self.has_functions, rules=self.has_rules)
        self.reconcile(history)
        self._lost = None
        return ([] if lost is not None and lost.said else asked), found

    def _forget_start(self) -> None:
        """Of a first turn that broke off the service kept nothing: the conversation is not begun."""
        self.conversation_id, self.last_entry_id = None, None
        self.unsure, self._broken_start, self._lost = False, False, None

    def _find_lost(self, history: History, lost: _Lost) -> Turn | None:
        sent = self.as_sent(lost.sent)
        if not (lost.confirms or was_said(history.entries, lost.after_entry_id, sent)):
            return None
        conversation_id = str(self.conversation_id)
        return find_turn(conversation_id, history.entries, lost.after_entry_id, sent, confirms=lost.confirms)

    def _show(self, found: Turn, turns: list[Turn]) -> Generator[Action, Any, Turn]:
        turn: Turn = yield Send([], found=found)
        self.take(turn)
        turns.append(turn)
        return turn

    def _pair_inputs(self, entries: list[JsonDict]) -> Generator[Action, Any, list[JsonDict]]:
        """The entries but for results of open calls; a result whose call isn't known here is looked up first.

        Raises:
            PendingCallsError: A result belongs to no open call, or a readable call has no result.
        """
        said = self._take_results(entries)
        try:
            return close_history(said)
        except PendingCallsError:
            if self.conversation_id is None:
                raise
        self.reconcile((yield ReadHistory()))
        return close_history(self._take_results(said))

    def _sort_open(self) -> tuple[list[FunctionCall], list[FunctionCall]]:
        """The open calls of functions that are run here, and those that wait for a decision."""
        functions = [call for call in self._open if self.has_functions and not _waits(call)]
        return functions, [call for call in self._open if _waits(call)]

    def _take_results(self, entries: list[JsonDict]) -> list[JsonDict]:
        """The entries but for results of open calls, which are put where they belong.

        Raises:
            PendingCallsError: A result is that of a call that waits for a decision.
        """
        _refuse_results(entries, [call.tool_call_id for call in self._open if _waits(call)])
        known = {call.tool_call_id for call in self._open}
        for entry in entries:
            if entry.get("type") == "function.result" and entry.get("tool_call_id") in known:
                self._answers[entry["tool_call_id"]] = entry
        return [e for e in entries if e.get("type") != "function.result" or e.get("tool_call_id") not in known]

    def keep(self, decisions: dict[str, JsonDict]) -> None:
        """Keep decisions about open calls for the next request, by call id.

        Raises:
            ConfigurationError: One is about no call that waits; of a conversation that is resumed, that is known later.
        """
        if not self.unsure:
            _check_decided(decisions, self._open)
        self._answers.update(decisions)

    def leave_open(self, calls: list[FunctionCall]) -> None:
        """Begin with open calls, which the first request answers."""
        self._open = calls

    def _request(self, asked: list[JsonDict], said: list[JsonDict], turns: list[Turn]) -> Generator[Action, Any, Turn]:
        """Send; where that is refused with 400 because of calls that are not known here, answer them and send again."""
        try:
            return (yield from self._send(asked, said, turns))
        except NotFoundError:
            if not self._broken_start:
                raise
            self._forget_start()
        except InvalidRequestError as error:
            if self.conversation_id is None or error.status_code != 400:
                raise
            known = {call.tool_call_id for call in self._open}
            self.reconcile((yield ReadHistory()))
            if known == {call.tool_call_id for call in self._open}:
                raise
        return (yield from self._send(asked, said, turns))

    def _send(self, asked: list[JsonDict], said: list[JsonDict], turns: list[Turn]) -> Generator[Action, Any, Turn]:
        answers = [self._answers.get(c.tool_call_id) or answer_unrun([c])[0] for c in self._open if not _waits(c)]
        results = place_files(answers)
        waiting = [call for call in self._open if _waits(call)]
        left = find_undecided(waiting, self._answers, speaks=any(map(is_said, [*results, *said])))
        decided = [call for call in self._open if _waits(call) and call not in left]
        confirmations = [split_files(self._answers.get(c.tool_call_id) or denied([c])[0])[0] for c in decided]
        sent = [*self.seed, *results, *said]
        lost = _Lost(asked, sent, self.last_entry_id, bool(confirmations), bool(turns))
        mine = self._under_way = object()
        try:
            turn: Turn = yield Send(sent, confirmations)
        except NOT_APPLIED as error:
            self._note(error, turns)
            raise
        except BaseException as error:
            if isinstance(error, MistralAgentsError):
                self._note(error, turns)
            if self._under_way is mine:
                self.note_left()
                self._lost = lost if self.unsure and not isinstance(error, GeneratorExit) else None
            raise
        finally:
            if self._under_way is mine:
                self._under_way = None
        self.take(turn)
        self._open = [*left, *self._open]
        turns[:] = [_note_decisions(earlier, confirmations) for earlier in turns]
        if results:
            turns.append(Turn(turn.conversation_id, parse_entries(results)))
        turns.append(turn)
        return turn

    def note_left(self) -> None:
        """Nobody waits any more for the request that is under way, if there is one: what became of it is not known."""
        if self._under_way is not None:
            self.unsure, self._under_way = self.conversation_id is not None, None

    def note_begun(self, conversation_id: str | None) -> None:
        """Keep the id of a new conversation as soon as its stream tells it, whatever becomes of the stream."""
        if self.conversation_id is None and conversation_id is not None:
            self.conversation_id = conversation_id
            self._broken_start = True

    def _note(self, error: MistralAgentsError, turns: list[Turn]) -> None:
        """Keep what is known although the request failed: the new id, and the answers of earlier requests."""
        self.note_begun(error.conversation_id)
        if error.turn is None and turns:
            error.turn = merge_turns(turns)

    def take(self, turn: Turn) -> None:
        """A request is answered; for a stream that is when its end was seen, whatever its reader does then."""
        self.conversation_id = turn.conversation_id if turn.conversation_id is not None else self.conversation_id
        self._under_way, self._broken_start, self.unsure, self._lost = None, False, False, None
        self.last_entry_id = turn.last_entry_id if turn.last_entry_id is not None else self.last_entry_id
        if self.conversation_id is not None:
            self.seed = []
        self._open = open_calls(turn.entries)
        self._answers = {}

    def _is_resumed(self, asked: list[JsonDict]) -> bool:
        """Whether the same words are said again after a function paused the run, so that it goes on from there."""
        paused, self._paused = self._paused, None
        if paused is None or paused != asked or not self._open:
            self._questions = Questions()
            return False
        self._questions.resume()
        return True

    def _answer_calls(
        self, calls: list[FunctionCall], pending: list[FunctionCall], asked: list[JsonDict]
    ) -> Generator[Action, Any, bool]:
        """Decide about calls that wait and run the functions of others; False where nobody decides.

        What the functions give is kept then, and goes out with the decision.
        """
        undecided = [call for call in pending if call.tool_call_id not in self._answers]
        known = {k: answer for k, answer in self._answers.items() if "result" in split_files(answer)[0]}
        action = RunFunctions(calls, known, self._questions)
        try:
            decisions = (yield Decide(undecided, self._questions)) if undecided else []
            self._answers.update({decision["tool_call_id"]: decision for decision in decisions or []})
            results = (yield action) if calls else []
        except Exception as error:
            if is_steering(error):  # whoever paused the run may say the same again, to go on
                self._paused = asked
                self._answers.update(action.results)
            raise
        self._answers.update({split_files(result)[0]["tool_call_id"]: result for result in results})
        return decisions is not None

    def _answer_turn(self, turn: Turn, asked: list[JsonDict]) -> Generator[Action, Any, tuple[list[JsonDict], bool]]:
        """Answer what the turn asks for; what to say next, and whether to go on."""
        calls, pending = turn.function_calls, turn.pending_confirmations
        if not calls and not pending:
            return (yield from self._follow_handoff(turn))
        if calls and not self.has_functions:
            return [], False
        return [], (yield from self._answer_calls(calls, pending, asked))

    def _follow_handoff(self, turn: Turn) -> Generator[Action, Any, tuple[list[JsonDict], bool]]:
        last = turn.entries[-1] if turn.entries else None
        if not self.follows_handoffs or not isinstance(last, Handoff):
            return [], False
        text = yield FollowHandoff(last)
        return ([], False) if text is None else ([user_message(text)], True)

    def reconcile(self, history: History) -> None:
        """Take the service's word for where the conversation stands."""
        self._open = history.open_calls
        known = {call.tool_call_id for call in self._open}
        self._answers = {key: answer for key, answer in self._answers.items() if key in known}
        self.last_entry_id = history.last_entry_id
        self.unsure = False


def _read_entries(inputs: Inputs | None) -> list[JsonDict]:
    if inputs is None:
        return []
    given = as_inputs(inputs)
    return [user_message(given)] if isinstance(given, str) else drop_silent(given, [])[0]


def _waits(call: FunctionCall) -> bool:
    return call.needs_confirmation


def _check_decided(decisions: Collection[str], calls: Sequence[FunctionCall]) -> None:
    """Refuse decisions about no call that waits: a misspelt id would deny the call that was meant, in silence."""
    waiting = [call.tool_call_id for call in calls if _waits(call)]
    foreign = [key for key in decisions if key not in waiting]
    if foreign:
        told = ", ".join(waiting) or "none"
        raise ConfigurationError(
            f"No call {', '.join(map(repr, foreign))} waits for a decision; those that wait: {told}."
        )


def _refuse_results(entries: Sequence[JsonDict], waiting: Collection[str]) -> None:
    """Refuse results of hosted calls, which the service runs once they are allowed."""
    given = [str(e.get("tool_call_id")) for e in entries if e.get("type") == "function.result"]
    foreign = [call_id for call_id in given if call_id in waiting]
    if foreign:
        raise PendingCallsError(
            f"These calls wait for a decision, and take no result: {', '.join(foreign)}.",
            call_ids=foreign,
            hint="Allow or deny each of them: confirm_calls({call_id: True}).",
        )


_DECIDED = {"allow": "allowed", "deny": "denied"}


def _note_decisions(turn: Turn, confirmations: Sequence[JsonDict]) -> Turn:
    """An earlier turn of an exchange, in which the calls that are decided now wait no longer; as histories tell it."""
    told = {str(one["tool_call_id"]): _DECIDED[one["confirmation"]] for one in confirmations}
    entries: list[Entry] = [
        replace(entry, confirmation_status=status, raw={**entry.raw, "confirmation_status": status})
        if isinstance(entry, FunctionCall) and entry.needs_confirmation and (status := told.get(entry.tool_call_id))
        else entry
        for entry in turn.entries
    ]
    return replace(turn, entries=entries)


def merge_turns(turns: Sequence[Turn]) -> Turn:
    """Several turns of one exchange as one: all entries (results of functions included), usage added up."""
    if len(turns) == 1:
        return turns[0]
    entries: list[Entry] = [entry for turn in turns for entry in turn.entries]
    usage = Usage()
    for turn in turns:
        usage = usage + turn.usage
    last = turns[-1]
    raw = {**last.raw, "outputs": [entry.raw for entry in entries], "usage": _write_usage(usage)}
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


def _write_usage(usage: Usage) -> JsonDict:
    base: JsonDict = {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
    }
    if usage.connectors:
        base.update(connector_tokens=usage.connector_tokens, connectors=usage.connectors)
    return base
