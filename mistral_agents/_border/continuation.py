"""Where a turn goes: what a stored conversation holds of a history, what its next request is, and why.

State travels with the messages: an answer of a stored conversation carries a `Mark` (its conversation, its last entry,
a digest of the history up to it and one of what is fixed at the start). A wing says its messages as `Item`s and what
it wants as `Wanted`; `Continuation` says what must be read first (`needs_agent`, `needs_history`, `needs_info`), and
`request` then gives the `TurnRequest`. What a process remembers besides (`HEADS`) is only where conversations stood
last, to tell a rewind from a continuation, and which turns were sent whose outcome it does not know.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from mistral_agents._api.recovery import find_last_turn, find_turn, unknown_outcome, was_said
from mistral_agents._border.calls import close_calls, close_history, drop_silent, shorten_ids
from mistral_agents._border.control import check_pauses
from mistral_agents._border.fingerprints import (
    Item,
    Mark,
    Setup,
    answer_words,
    chain,
    group_entries,
    held_answers,
    says_the_same,
    tool_name,
)
from mistral_agents._border.options import fit_options
from mistral_agents._border.turns import HEADS, Attempt, Claim, Operation, TurnRequest, attempt_key
from mistral_agents._json import JsonDict, objects_of
from mistral_agents.entries import FunctionCall, Inputs, function_call, is_input, parse_entries, user_message
from mistral_agents.errors import ConfigurationError, DivergenceError, LateConfirmationError
from mistral_agents.options import OnDivergence
from mistral_agents.turn import Turn, open_calls

if TYPE_CHECKING:
    from mistral_agents.history import History

_KEPT = 10_000  # agents of which this process remembers the tools
_TOOLS_CHANGED = "the model, the tools or instructions changed, and those of a conversation are fixed"
_NOTHING_SHARED = "the history was edited or trimmed and shares no answer with the conversation"
_EDITED = "messages before the last answer were edited"
_GONE_ON = "the conversation has gone on since"
_NO_ANSWER = "none of its answers is among the messages"
_NOTHING_NEW = (
    "There is nothing new to send: no new message is among the messages. System messages alone are no question; add a "
    "message of the user."
)
_CONFIRM = (
    "Only calls at the end of a stored conversation (store=True) can be confirmed; go on from before the question."
)
_STILL_RUNS = "The same turn was sent before, was not answered in time and may still be at work."
_PERHAPS_SAID = "The conversation holds these words, and it is not known whether an earlier request of them said them."


class AgentTools:
    """The tools that agents were seen to have, so that each agent is read once; bounded."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, str], set[str]] = {}

    def covers(self, agent: tuple[str, str, str], declared: Sequence[Mapping[str, Any]]) -> bool:
        """Whether the agent is known to have all of these."""
        return {tool_name(tool) for tool in declared} <= self._known.get(agent, set())

    def learn(self, agent: tuple[str, str, str], record: Mapping[str, Any]) -> None:
        """Remember what the service told of an agent."""
        if len(self._known) >= _KEPT:
            self._known.clear()
        self._known[agent] = {tool_name(tool) for tool in objects_of(record.get("tools"))}


AGENT_TOOLS = AgentTools()


def check_declared(agent: Mapping[str, Any], declared: Sequence[Mapping[str, Any]]) -> None:
    """Compare tools that run here with those of the agent, which alone decide what it can call.

    Raises:
        ConfigurationError: The agent lacks one; it would never be called.
    """
    own = {tool_name(tool) for tool in objects_of(agent.get("tools"))}
    missing = [name for tool in declared if (name := tool_name(tool)) not in own]
    if missing:
        raise ConfigurationError(
            f"The agent {agent.get('id')} does not declare {', '.join(missing)}: an agent's tools are set on the "
            "agent, the service takes none beside agent_id.",
            hint="Declare them with client.agents.update(...); they then run here.",
        )


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a turn is asked to be.

    Attributes:
        base_url: The service.
        stored: Whether the conversation is kept.
        given: The conversation that the caller named for this turn.
        fallback: The conversation to go on with where the messages name none.
        setup: What the conversation must have been started with.
        systems: Whether system messages are part of the history.
        declared: Tools that run here and must be declared on the agent.
        notes: Whether instructions may reach a conversation that was started with others, as words; then those of a
            conversation named by its id alone must be read.
        policy: What to do where the history is no continuation.
        confirms: Whether confirmations are sent.
        resumes: Whether the same words said again go on with the functions they led to; see `TurnRequest`.
    """

    base_url: str
    stored: bool
    setup: Setup
    given: str | None = None
    fallback: str | None = None
    systems: bool = False
    declared: Sequence[Mapping[str, Any]] = ()
    notes: bool = False
    policy: OnDivergence = "restart"
    confirms: bool = False
    resumes: bool = False


@dataclass(frozen=True, slots=True)
class Position:
    """Where a turn goes.

    Attributes:
        operation: What is asked of the service.
        conversation_id: The conversation to go on with, or to branch from.
        entry_id: The entry to branch from (`restart`), or the last one known (`append`).
        first: The index of the first item that the conversation does not hold.
        reason: Why it is no plain continuation; None where it is.
        info: What the service told of the conversation, where it was read.
    """

    operation: Operation
    conversation_id: str | None = None
    entry_id: str | None = None
    first: int = 0
    reason: str | None = None
    info: Mapping[str, Any] | None = None


class Continuation:
    """The plan of a turn, before what it may need to know of the service.

    Args:
        items: The history that was given.
        wanted: What the turn is asked to be.

    Attributes:
        conversation_id: The conversation to go on with; None starts one.
        needs_agent: Whether the agent must be read, since it is not known to have the tools that run here.
        needs_history: Whether the conversation's history must be read.
        needs_info: Whether the conversation's tools and instructions must be read.
        was_never_kept: Whether the service perhaps kept nothing of the conversation: its first turn was left.
    """

    def __init__(self, items: Sequence[Item], wanted: Wanted) -> None:
        self.items = items
        self.wanted = wanted
        self.anchors = find_anchors(items, wanted.given) if wanted.stored else []
        self.conversation_id = self._find_named()
        known = self.conversation_id is not None
        self._head = HEADS.peek(wanted.base_url, self.conversation_id) if known else None
        fresh = known and HEADS.get(wanted.base_url, str(self.conversation_id)) is None
        attempted = known and HEADS.attempt(wanted.base_url, str(self.conversation_id)) is not None
        self.was_never_kept = known and HEADS.is_unfinished(wanted.base_url, str(self.conversation_id))
        by_words = known and not self.anchors and any(item.kind == "answer" for item in items)
        self.needs_agent = not AGENT_TOOLS.covers(self._agent_key, wanted.declared) and bool(wanted.declared)
        self.needs_history = attempted or self.was_never_kept or by_words or (fresh and bool(self.anchors))
        asks = bool(wanted.setup.tools) or wanted.setup.instructions is not None or wanted.notes
        untold = not self.anchors or self._mark(self.anchors[-1]).setup is None
        self.needs_info = known and untold and asks and wanted.setup.agent_id is None

    def _find_named(self) -> str | None:
        if not self.wanted.stored:
            return None
        if self.anchors:
            return self._mark(self.anchors[-1]).conversation_id
        return self.wanted.given if self.wanted.given is not None else self.wanted.fallback

    @property
    def _agent_key(self) -> tuple[str, str, str]:
        setup = self.wanted.setup
        return (self.wanted.base_url, str(setup.agent_id), str(setup.agent_version))

    def _mark(self, place: int) -> Mark:
        mark = self.items[place].mark
        if mark is None:
            raise LookupError(f"the item at {place} has no mark")
        return mark

    def learn_agent(self, agent: Mapping[str, Any]) -> None:
        """Take what was read because of `needs_agent`.

        Raises:
            ConfigurationError: The agent lacks a tool.
        """
        check_declared(agent, self.wanted.declared)
        AGENT_TOOLS.learn(self._agent_key, agent)

    def begin_anew(self) -> Continuation:
        """The plan where the service has kept nothing of the conversation."""
        wanted = replace(self.wanted, given=None, fallback=None)
        return Continuation([replace(item, mark=None) for item in self.items], wanted)

    def place(self, history: History | None = None, info: Mapping[str, Any] | None = None) -> Position:
        """Where the turn goes.

        Args:
            history: What was read because of `needs_history`.
            info: What was read because of `needs_info`.

        Raises:
            DivergenceError: The items are no continuation, and the policy is to raise; or a conversation that was
                named has nothing in common with them.
        """
        return self._apply_policy(self._locate(history, info))

    def _locate(self, history: History | None, info: Mapping[str, Any] | None) -> Position:
        """Where the turn goes, whatever the policy."""
        if self.conversation_id is None:
            return Position("start")
        if info is not None:
            self._check_setup(info)
        if not self.anchors:
            return replace(self._place_by_words(history), info=info)
        ends_here = history is not None and self._is_end_of(history)
        return replace(self._place_by_marks(self._find_head(history), ends_here=ends_here), info=info)

    def _find_head(self, history: History | None) -> str | None:
        if history is not None:
            return history.last_entry_id
        return HEADS.get(self.wanted.base_url, str(self.conversation_id))

    def _is_end_of(self, history: History) -> bool:
        """Whether a history ends with the last answer that tells of it, by its words."""
        held = [[], *group_entries(history.entries)][-1]
        said = [] if held and is_input(held[0]) else held_answers(held)
        return says_the_same(self.items[self.anchors[-1]].words, said[0].words if said else answer_words(""))

    def _check_setup(self, info: Mapping[str, Any]) -> None:
        changed = self.wanted.setup.differences(info)
        if changed:
            raise DivergenceError(
                f"The conversation was begun with other {' and '.join(changed)}, which can't be changed afterwards.",
                conversation_id=self.conversation_id,
                hint="Leave them out, give the same ones, or begin a new conversation.",
            )

    def _place_by_words(self, history: History | None) -> Position:
        """A conversation named by its id: everything behind the last answer that it holds is new.

        Answers that lost their marks (rebuilt from text) are told by their words. What users said is not compared:
        frameworks show them other words than they sent (templates).
        """
        conversation_id = self.conversation_id
        known = HEADS.get(self.wanted.base_url, str(conversation_id))
        if history is None:
            return Position("append", conversation_id, known)
        head = history.last_entry_id
        if not any(item.kind == "answer" for item in self.items):
            return Position("append", conversation_id, head)
        answers = held_answers(history.entries)
        for place in range(len(self.items) - 1, -1, -1):
            if self.items[place].kind != "answer":
                continue
            held = next((a for a in reversed(answers) if says_the_same(self.items[place].words, a.words)), None)
            if held is None:
                continue
            if held is answers[-1]:
                return Position("append", conversation_id, head, place + 1)
            return Position("restart", conversation_id, held.entry_id, place + 1, _GONE_ON)
        raise DivergenceError(
            f"These messages do not continue conversation {conversation_id}: {_NO_ANSWER}. Nothing was sent.",
            conversation_id=conversation_id,
            hint="Pass only the new messages, or leave the conversation's id out.",
        )

    def _place_by_marks(self, head: str | None, *, ends_here: bool) -> Position:
        """Where a conversation goes on that answers tell of.

        An answer without entries has no place of its own: the conversation goes on behind it where its history ends
        with it.
        """
        last = self._mark(self.anchors[-1])
        if last.setup is not None and not self.wanted.setup.fits(last.setup):
            return Position("start", reason=_TOOLS_CHANGED)
        digests = chain(self.items, systems=self.wanted.systems)
        shared = [i for i in self.anchors if self._mark(i).covers or self._mark(i).history == digests[i]]
        if not shared:
            return Position("start", reason=_NOTHING_SHARED)
        place = shared[-1]
        mark = self._mark(place)
        stands = head in (None, mark.entry_id) or (mark.entry_id is None and ends_here)
        if place == self.anchors[-1] and stands and not mark.branch:
            entry_id = mark.entry_id if mark.entry_id is not None else head
            return Position("append", mark.conversation_id, entry_id, place + 1)
        reason = _EDITED if place != self.anchors[-1] else _GONE_ON
        if mark.entry_id is None:  # nothing to branch from
            return Position("start", reason=reason)
        return Position("restart", mark.conversation_id, mark.entry_id, place + 1, reason)

    def _apply_policy(self, position: Position) -> Position:
        if position.reason is None:
            return position
        if self.wanted.policy == "raise":
            raise DivergenceError(
                f"The messages do not continue the stored conversation: {position.reason}.",
                conversation_id=self.conversation_id,
                hint='Set on_divergence="restart" to branch or "new" to begin a new conversation.',
            )
        return Position("start", reason=position.reason) if self.wanted.policy == "new" else position

    def request(
        self,
        target: Target,
        say: Say,
        history: History | None = None,
        info: Mapping[str, Any] | None = None,
        *,
        claims: bool = False,
    ) -> TurnRequest:
        """The request.

        Args:
            target: Who answers, and with which options.
            say: Gives inputs and confirmations for a position.
            history: What was read because of `needs_history`.
            info: What was read because of `needs_info`.
            claims: Whether it will be sent, so that no other turn may go on from the same place.

        Raises:
            ConfigurationError: The items can't be sent so, or there is nothing new in them; nothing was sent.
            UnknownOutcomeError: The same turn was sent before and may have been applied; nothing was sent.
        """
        located = self._locate(history, info)
        if history is not None and located.operation != "start":
            said = drop_silent(*say(replace(located, operation="append", reason=None)))
            found = self._find_lost(history, *said) or self._find_paused(history, said[0])
            if found is not None:
                return TurnRequest("append", None, {}, located.conversation_id, found=found)
        made = self._make_request(located, target, say, history)
        if not claims or made.operation != "append" or not self.anchors or self.wanted.confirms:
            return made
        if self._mark(self.anchors[-1]).held:
            return made
        claim = self._claim(made)
        if claim is not None:
            return replace(made, claim=claim)
        return self._make_request(replace(located, operation="restart", reason=_GONE_ON), target, say, history)

    def _claim(self, made: TurnRequest) -> Claim | None:
        """The right to go on from an answer; None where another turn does, or did since this one was planned.

        Several turns from one answer at a time (a batch, parallel steps) would hear one another else, so all but the
        first are branches. Not so decisions about calls that wait: these may be taken one by one.
        """
        base_url, key = self.wanted.base_url, made.conversation_id
        claim = HEADS.claim(base_url, key)
        return claim if HEADS.peek(base_url, key) in (self._head, made.entry_id) else None

    def _make_request(self, located: Position, target: Target, say: Say, history: History | None) -> TurnRequest:
        position = self._apply_policy(located)
        if self.wanted.confirms and position.operation != "append":
            raise LateConfirmationError(
                f"The confirmation comes too late: {position.reason or 'it names no stored conversation'}.",
                conversation_id=self.conversation_id,
                hint=_CONFIRM,
            )
        inputs, confirmations = drop_silent(*say(position))
        undecided: list[FunctionCall] = []
        if not inputs and not confirmations:
            raise ConfigurationError(_NOTHING_NEW, conversation_id=position.conversation_id)
        if position.operation == "start":
            kept = {call_id for item in self.items if item.kept for call_id, _, _ in item.calls}
            inputs = shorten_ids(close_history(inputs, left_open=kept))
        else:
            inputs, confirmations, undecided = self._close(position, history, inputs, confirmations)
        options = {**target.options_at(position, self.wanted), "tool_confirmations": confirmations or None}
        known = {name: value for name, value in options.items() if value is not None}
        return TurnRequest(
            position.operation,
            inputs or None,
            known,
            position.conversation_id,
            position.entry_id,
            position.reason,
            closes_calls=position.operation == "append" and self._is_blind(position, history),
            undecided=tuple(call.tool_call_id for call in undecided),
            resumes=self.wanted.resumes,
        )

    def _is_blind(self, position: Position, history: History | None) -> bool:
        """Whether nothing tells which calls the conversation waits for."""
        return history is None and position.first == 0

    def _close(
        self, position: Position, history: History | None, inputs: list[JsonDict], confirmations: list[JsonDict]
    ) -> tuple[list[JsonDict], list[JsonDict], list[FunctionCall]]:
        """Answer the calls that a conversation waits for and that nothing given answers: it takes nothing before."""
        anchor = self.items[position.first - 1] if position.first > 0 else None
        calls = _find_waiting(position, history, anchor)
        skipped = anchor.mark.skipped if anchor is not None and anchor.mark is not None else ()
        if self.wanted.resumes:
            check_pauses(_list_unanswered(calls, inputs), self.conversation_id)
        inputs, confirmations, undecided = close_calls(calls, inputs, confirmations, skipped)
        held = None if self._is_blind(position, history) else {call.tool_call_id for call in calls}
        return close_history(inputs, held=held), confirmations, undecided

    def _find_lost(self, history: History, inputs: list[JsonDict], confirmations: list[JsonDict]) -> Turn | None:
        """The answer to an earlier request of the same words, which was paid for and did not arrive.

        Raises:
            UnknownOutcomeError: That request may have been applied.
        """
        conversation_id = str(self.conversation_id)
        attempt = HEADS.attempt(self.wanted.base_url, conversation_id)
        if attempt is None or attempt.key != attempt_key(inputs, confirmations) or not self._is_same_place(attempt):
            return None
        said = was_said(history.entries, attempt.after_entry_id, attempt.sent)
        if said and attempt.after_entry_id is None:
            raise unknown_outcome(conversation_id, _PERHAPS_SAID)
        if said or self.wanted.confirms:
            return find_turn(
                conversation_id,
                history.entries,
                str(attempt.after_entry_id),
                attempt.sent,
                confirms=self.wanted.confirms,
            )
        if time.monotonic() < attempt.runs_until:
            raise unknown_outcome(conversation_id, _STILL_RUNS)
        return None

    def _find_paused(self, history: History, inputs: list[JsonDict]) -> Turn | None:
        """The answer to the same words, where its functions still wait for whoever runs them here."""
        return find_paused_turn(history, inputs) if self.wanted.resumes else None

    def _is_same_place(self, attempt: Attempt) -> bool:
        """Whether the turn stands where the attempt stood: behind the same answer."""
        return not self.anchors or self._mark(self.anchors[-1]).entry_id in (None, attempt.after_entry_id)


def answer_waiting(request: TurnRequest, history: History, sent: Inputs | None) -> TurnRequest | None:
    """A turn that a conversation refused since it waits for calls, with these answered; None where it waits for none.

    A turn that `resumes` is not made again where the calls are the answer to the same words.

    Args:
        request: The turn.
        history: The conversation's history.
        sent: The turn's inputs as they went out.
    """
    found = find_paused_turn(history, sent) if request.resumes else None
    if found is not None:
        return replace(request, found=found)
    said = [user_message(request.inputs)] if isinstance(request.inputs, str) else request.inputs or []
    decisions = request.options.get("tool_confirmations") or []
    if request.resumes:
        check_pauses(_list_unanswered(history.open_calls, said), history.conversation_id)
    inputs, confirmations, undecided = close_calls(history.open_calls, said, decisions)
    if len(inputs) + len(confirmations) == len(said) + len(decisions):
        return None
    options = {**request.options, "tool_confirmations": confirmations or None}
    left = tuple(call.tool_call_id for call in undecided)
    again = replace(request, inputs=inputs, options=options, entry_id=history.last_entry_id, closes_calls=False)
    return replace(again, undecided=left)


def _list_unanswered(calls: Sequence[FunctionCall], inputs: Sequence[JsonDict]) -> list[str]:
    """The ids of functions' calls that inputs do not answer."""
    given = {entry.get("tool_call_id") for entry in inputs}
    return [call.tool_call_id for call in calls if not call.needs_confirmation and call.tool_call_id not in given]


def find_paused_turn(
    history: History, inputs: Inputs | None, *, functions: bool = True, rules: bool = False
) -> Turn | None:
    """The last turn of a history, where it is the answer to these inputs and waits only for what is answered here.

    Args:
        history: The history.
        inputs: What is said once more.
        functions: Whether calls of functions are answered here.
        rules: Whether hosted calls are decided about here.
    """
    found = find_last_turn(history.conversation_id, history.entries, inputs) if history.open_calls else None
    if found is None or (found.function_calls and not functions) or (found.pending_confirmations and not rules):
        return None
    return found


def _find_waiting(position: Position, history: History | None, anchor: Item | None) -> list[FunctionCall]:
    """The calls that a conversation waits for where a turn goes on, as its history tells, or the answer before."""
    if history is None:
        calls = [function_call(*call) for call in (anchor.calls if anchor is not None else ())]
        mark = anchor.mark if anchor is not None else None
        calls += [function_call(call_id, "", "") for call_id in (mark.skipped if mark is not None else ())]
        waiting = mark.waiting if mark is not None and position.operation == "append" else ()
        calls += [{**function_call(call_id, "", ""), "confirmation_status": "pending"} for call_id in waiting]
        return open_calls(parse_entries(calls))
    if position.operation == "append":
        return history.open_calls
    ids = [entry.id for entry in history.entries]
    before = history.entries[: ids.index(position.entry_id) + 1] if position.entry_id in ids else []
    return [call for call in open_calls(before) if not call.needs_confirmation]  # a branch takes no confirmations


@dataclass(frozen=True, slots=True)
class Target:
    """Who answers, and with which options.

    Attributes:
        model: The model; None with an agent.
        agent_id: The agent; None with a model.
        agent_version: Its version or alias.
        instructions: The system prompt of a new conversation.
        tools: The tools of a new conversation.
        completion_args: Options of this turn.
        handoff_execution: Who runs handoffs.
        metadata: Kept with a new conversation.
        options: Further options of this call (`timeout`, `headers`, ...).
    """

    model: str | None = None
    agent_id: str | None = None
    agent_version: int | str | None = None
    instructions: str | None = None
    tools: Sequence[JsonDict] = ()
    completion_args: Mapping[str, Any] = field(default_factory=dict)
    handoff_execution: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    def _collect_common(self, operation: Operation) -> JsonDict:
        handoffs = self.options.get("handoff_execution")
        completion = dict(self.completion_args) if self.agent_id is None else {}
        return {
            **fit_options(self.options, operation),
            "completion_args": completion or None,
            "handoff_execution": handoffs if handoffs is not None else self.handoff_execution,
        }

    def options_at(self, position: Position, wanted: Wanted) -> JsonDict:
        """What the turn is given beside its inputs."""
        return self._start_options(wanted) if position.operation == "start" else self._collect_further_options(position)

    def _start_options(self, wanted: Wanted) -> JsonDict:
        """What a conversation's first turn is given."""
        options = {**self._collect_common("start"), "store": wanted.stored}
        if self.agent_id is not None:
            options.update(agent_id=self.agent_id, agent_version=self.agent_version)
        else:
            options.update(model=self.model, instructions=self.instructions, tools=list(self.tools) or None)
        kept = self.metadata if wanted.stored else {}
        options["metadata"] = {**kept, **(self.options.get("metadata") or {})} or None
        return options

    def _collect_further_options(self, position: Position) -> JsonDict:
        """What a further turn, or a branch, is given."""
        options = self._collect_common(position.operation)
        if position.operation == "restart":
            options["agent_version"] = self.agent_version
        return options


Say = Callable[[Position], tuple[list[JsonDict], list[JsonDict]]]
"""Says the items from a position on as inputs, and the confirmations among them."""


def find_anchors(items: Sequence[Item], conversation_id: str | None) -> list[int]:
    """The answers that tell of a stored conversation (of this one and its branches, where one is given)."""
    known, found = {conversation_id}, []
    for place, item in enumerate(items):
        mark = item.mark
        if mark is not None and (conversation_id is None or mark.conversation_id in known or mark.continues in known):
            known.add(mark.conversation_id)
            found.append(place)
    return found
