"""One turn: think, run hosted tools, think again, until there is an answer or the client must act.

The turn is one generator of events. A streamed reply sends them; a call runs it to the end and sends the entries, so
both always say the same.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from mistral_agents_server import ids
from mistral_agents_server.agents import AgentStore
from mistral_agents_server.citations import CitationSplitter, marks_of
from mistral_agents_server.draft import Author, CallDraft, HandoffDraft, MessageDraft, RunDraft, event
from mistral_agents_server.errors import ApiError
from mistral_agents_server.guardrails import Moderator, texts_of
from mistral_agents_server.messages import chat_messages, open_calls
from mistral_agents_server.models_api import Models
from mistral_agents_server.offers import HostedTools, MadeFile, Offer, Outcome, failed, offers_of, run_hosted
from mistral_agents_server.quota import QuotaBook
from mistral_agents_server.thinking import Brain, CallPart, ChatRequest, Text, Thought, Tokens, count_tokens

Wire = dict[str, Any]

MAX_ROUNDS = 12
"""How often hosted tools may run before the brain must answer without them."""

MAX_REFERENCES = 3
"""How many sources are added to an answer that marks none itself."""


class FileKeeper(Protocol):
    """Where the files that tools make are kept."""

    def keep(self, file: MadeFile) -> str:
        """Keep a file and give its id."""
        ...


@dataclass(slots=True)
class Services:
    """What turns need of the server."""

    brain: Brain
    sources: Sequence[HostedTools]
    agents: AgentStore
    files: FileKeeper
    quota: QuotaBook
    models: Models
    moderator: Moderator


@dataclass(slots=True)
class Actor:
    """Who answers: a model with its settings, or an agent.

    Attributes:
        model: the model asked for.
        instructions: the system prompt.
        tools: the declared tools.
        args: completion arguments.
        agent: the agent's wire form; None in model mode.
    """

    model: str
    instructions: str | None
    tools: list[Wire]
    args: Wire
    agent: Wire | None = None

    @classmethod
    def of_agent(cls, agent: Wire) -> Actor:
        """An agent as an actor."""
        return cls(agent["model"], agent["instructions"], agent["tools"], agent["completion_args"], agent)


@dataclass(slots=True)
class Plan:
    """What a turn starts from.

    Attributes:
        conversation_id: where it happens.
        actor: who answers first.
        history: the entries before the inputs.
        inputs: the new entries.
        args: completion arguments of this request.
        handoff_execution: `server` or `client`.
        confirmations: `allow` or `deny` by call id.
        guardrails: what inputs and answer are checked by.
    """

    conversation_id: str
    actor: Actor
    history: list[Wire]
    inputs: list[Wire]
    args: Wire = field(default_factory=dict)
    handoff_execution: str = "server"
    confirmations: dict[str, str] = field(default_factory=dict)
    guardrails: list[Wire] = field(default_factory=list)


@dataclass(slots=True)
class Usage:
    """What a turn cost."""

    prompt: int = 0
    completion: int = 0
    connector: int = 0
    connectors: dict[str, int] = field(default_factory=dict)

    def ran(self, connector: str, tokens: int) -> None:
        """Count one hosted run."""
        self.connector += tokens
        self.connectors[connector] = self.connectors.get(connector, 0) + 1

    def wire(self) -> Wire:
        """The wire form; the connector fields are there only when hosted tools ran."""
        total = self.prompt + self.completion + self.connector
        base: Wire = {"prompt_tokens": self.prompt, "completion_tokens": self.completion, "total_tokens": total}
        if self.connectors:
            base |= {"connector_tokens": self.connector, "connectors": self.connectors}
        return base


@dataclass(slots=True)
class _Step:
    """One round of thinking: the drafts it opened."""

    offers: dict[str, Offer]
    splitter: CitationSplitter
    message: MessageDraft | None = None
    cited: bool = False
    calls: dict[int, CallDraft | RunDraft | Offer] = field(default_factory=dict)

    @property
    def client_calls(self) -> list[CallDraft]:
        """What the client must answer."""
        return [call for call in self.calls.values() if isinstance(call, CallDraft)]

    @property
    def runs(self) -> list[RunDraft]:
        """What this server runs."""
        return [call for call in self.calls.values() if isinstance(call, RunDraft)]

    @property
    def takers(self) -> list[Wire]:
        """The agents that were called to take over."""
        return [c.target for c in self.calls.values() if isinstance(c, Offer) and c.target is not None]


class Turn:
    """Runs one turn.

    Args:
        services: the server's rooms.
        plan: what the turn starts from.
        commit: called with the turn before its last event, to record it.
    """

    def __init__(self, services: Services, plan: Plan, commit: Callable[[Turn], None]) -> None:
        self._services = services
        self._commit = commit
        self.plan = plan
        self.actor = plan.actor
        self.usage = Usage()
        self._outputs: dict[int, Wire] = {}
        self._drafts = 0
        self._files: list[Wire] = []
        self._references: list[Wire] = []
        self._marks: dict[str, Wire] = {}
        self._called = False
        self._verdicts: list[Wire] | None = None

    @property
    def outputs(self) -> list[Wire]:
        """The finished entries, in the order in which they began."""
        return [self._outputs[index] for index in sorted(self._outputs)]

    def response(self) -> Wire:
        """The reply to a call."""
        return {
            "object": "conversation.response",
            "conversation_id": self.plan.conversation_id,
            "outputs": self.outputs,
            "usage": self.usage.wire(),
            "guardrails": self._verdicts,
        }

    def events(self) -> Generator[Wire, None, None]:
        """The turn as events. The turn is recorded just before the last one.

        Raises:
            ApiError: the brain failed, or a guardrail blocks the answer; nothing is recorded then.
        """
        yield event("conversation.response.started", conversation_id=self.plan.conversation_id)
        offers = self._offers()
        yield from self._confirmed(offers)
        for round_ in range(0 if self._still_waits() else MAX_ROUNDS + 1):
            step = _Step(offers, CitationSplitter(self._marks))
            yield from self._think(step, may_call=round_ < MAX_ROUNDS)
            yield from self._run(step)
            handed_over = yield from self._hand_over(step)
            if handed_over and self.plan.handoff_execution == "server":
                offers = self._offers()
                continue
            if handed_over or step.client_calls or not step.runs:
                break
        self._services.quota.count("tokens", self.usage.prompt + self.usage.completion + self.usage.connector)
        said = texts_of([*self.plan.inputs, *self.outputs])
        self._verdicts = self._services.moderator.check(self.plan.guardrails, said)
        self._commit(self)
        yield event("conversation.response.done", usage=self.usage.wire())

    def _offers(self) -> dict[str, Offer]:
        agent = self.actor.agent
        handoffs = agent["handoffs"] or [] if agent is not None else []
        following = [found for agent_id in handoffs if (found := self._known_agent(agent_id)) is not None]
        return offers_of(self.actor.tools, self._services.sources, following)

    def _known_agent(self, agent_id: str) -> Wire | None:
        try:
            return self._services.agents.get(agent_id)
        except ApiError:  # an agent that was deleted can't take over; the others still can
            return None

    def _author(self) -> Author:
        agent_id = self.actor.agent["id"] if self.actor.agent is not None else None
        return Author(self._services.brain.label(self.actor.model), agent_id)

    def _next_index(self) -> int:
        self._drafts += 1
        return self._drafts - 1

    def _finish(self, draft: MessageDraft | CallDraft | RunDraft | HandoffDraft) -> None:
        self._outputs[draft.index] = draft.entry()

    def _confirmed(self, offers: dict[str, Offer]) -> Iterator[Wire]:
        """Run what the user allowed; note what was denied."""
        for entry in self.plan.history:
            decision = self.plan.confirmations.get(entry.get("tool_call_id", ""))
            if decision is None or entry.get("confirmation_status") != "pending":
                continue
            entry["confirmation_status"] = "allowed" if decision == "allow" else "denied"
            if decision == "allow":
                name = entry["name"]
                offer = offers.get(name, Offer({"function": {"name": name}}, "hosted", name))
                draft = self._run_draft(offer)
                yield from draft.started()
                yield from draft.part(entry["arguments"])
                yield from self._execute(offer, draft)

    def _still_waits(self) -> bool:
        """Whether only some of the pending calls were confirmed: the model goes on once all are."""
        return not self.plan.inputs and bool(open_calls(self.plan.history))

    def _run_draft(self, offer: Offer) -> RunDraft:
        return RunDraft(
            self._author(), self._next_index(), ids.new_id("tool_exec"), name=offer.wire_name, function=offer.name
        )

    def _request(self, step: _Step, may_call: bool) -> ChatRequest:
        args = {**self.actor.args, **self.plan.args}
        choice = {"any": "required"}.get(args.get("tool_choice") or "auto", args.get("tool_choice") or "auto")
        if not may_call:
            choice = "none"
        elif choice == "required" and self._called:
            choice = "auto"
        entries = [*self.plan.history, *self.plan.inputs, *self.outputs]
        messages = chat_messages(self.actor.instructions, entries)
        return ChatRequest(self.actor.model, messages, [o.schema for o in step.offers.values()], choice, args)

    def _think(self, step: _Step, may_call: bool) -> Iterator[Wire]:
        """Let the brain answer once, and pass its parts on as they come."""
        request = self._request(step, may_call)
        tokens: Tokens | None = None
        said = ""
        for part in self._services.brain.think(request):
            if isinstance(part, Tokens):
                tokens = part
            elif isinstance(part, CallPart):
                said += part.arguments
                yield from self._call_part(step, part)
            elif isinstance(part, Thought):
                yield from self._message(step).thought(part.text)
            else:
                said += part.text
                yield from self._write(step, part)
        yield from self._close(step)
        self._charge(request, tokens, said)

    def _charge(self, request: ChatRequest, tokens: Tokens | None, said: str) -> None:
        if tokens is None:
            asked = sum(count_tokens(str(m.get("content", ""))) for m in request.messages)
            offered = sum(count_tokens(str(schema)) for schema in request.tools)
            tokens = Tokens(asked + offered, count_tokens(said))
        self.usage.prompt += tokens.prompt
        self.usage.completion += tokens.completion

    def _message(self, step: _Step) -> MessageDraft:
        if step.message is None:
            step.message = MessageDraft(self._author(), self._next_index(), ids.new_id("msg"))
        return step.message

    def _write(self, step: _Step, part: Text) -> Iterator[Wire]:
        yield from self._pieces(step, step.splitter.feed(part.text))

    def _pieces(self, step: _Step, pieces: Iterator[str | Wire]) -> Iterator[Wire]:
        for piece in pieces:
            if isinstance(piece, str):
                yield from self._message(step).text(piece)
            else:
                step.cited = True
                yield from self._message(step).chunk(piece)

    def _close(self, step: _Step) -> Iterator[Wire]:
        """End the round's message: with the files and sources that tools brought, when it is the answer."""
        yield from self._pieces(step, step.splitter.flush())
        if not step.calls:
            message = self._message(step)
            cited = step.cited or self._services.brain.cites
            chunks = [*self._files, *([] if cited else self._references[:MAX_REFERENCES])]
            self._files, self._references = [], []
            for chunk in chunks:
                yield from message.chunk(chunk)
            yield from message.end()
        if step.message is not None:
            self._finish(step.message)

    def _call_part(self, step: _Step, part: CallPart) -> Iterator[Wire]:
        if part.index not in step.calls:
            step.calls[part.index] = opened = self._open_call(step, part)
            if isinstance(opened, RunDraft):
                yield from opened.started()
        call = step.calls[part.index]
        if part.arguments and not isinstance(call, Offer):
            yield from call.part(part.arguments)

    def _open_call(self, step: _Step, part: CallPart) -> CallDraft | RunDraft | Offer:
        self._called = True
        name = part.name if part.name is not None else ""
        offer = step.offers.get(name)
        if offer is not None and offer.kind == "handoff":
            return offer
        if offer is not None and offer.kind == "hosted" and not offer.confirm:
            return self._run_draft(offer)
        draft = CallDraft(self._author(), self._next_index(), ids.new_id("fc"), name=name)
        if part.id is not None:
            draft.tool_call_id = part.id
        if offer is not None and offer.confirm:
            draft.status = "pending"
        return draft

    def _run(self, step: _Step) -> Iterator[Wire]:
        """Finish the round's calls: run the hosted ones, leave the others to the client."""
        for call in step.calls.values():
            if not isinstance(call, Offer) and not call.arguments:
                yield from call.part("{}")
        for waiting in step.client_calls:
            self._finish(waiting)
        for run in step.runs:
            yield from self._execute(step.offers[run.function], run)

    def _execute(self, offer: Offer, draft: RunDraft) -> Iterator[Wire]:
        if self._services.quota.is_empty(offer.wire_name):
            outcome = failed(offer, "Rate limit exceeded")
        else:
            outcome = run_hosted(offer, draft.arguments)
            for name in {outcome.connector, offer.wire_name}:
                self._services.quota.count(name)
        self.usage.ran(outcome.connector, outcome.tokens)
        self._collect(offer, outcome)
        yield from draft.done(outcome.info)
        self._finish(draft)

    def _collect(self, offer: Offer, outcome: Outcome) -> None:
        for file in outcome.files:
            file_id = self._services.files.keep(file)
            self._files.append(
                {
                    "type": "tool_file",
                    "tool": offer.wire_name,
                    "file_id": file_id,
                    "file_name": file.name,
                    "file_type": file.type,
                }
            )
        self._references.extend(outcome.references)
        self._marks |= marks_of(outcome.info, outcome.references)

    def _hand_over(self, step: _Step) -> Generator[Wire, None, bool]:
        """Hand over to the first agent that was called; returns whether it happened."""
        if not step.takers or self.actor.agent is None:
            return False
        following = step.takers[0]
        index, name = self._next_index(), ids.new_id("handoff")
        draft = HandoffDraft(self._author(), index, name, previous=self.actor.agent, following=following)
        yield from draft.events()
        self._finish(draft)
        self.actor = Actor.of_agent(following)
        return True
