"""One call of a model, whatever the framework: its options sorted, and what it asks of the service.

A wing says what its model is set to (`ModelSettings`) and what a call gives; `sort_call` decides which option counts,
where it goes and what can't be had. `ModelCall` then says who answers (`Target`) and what is wanted of a kept
conversation (`Wanted`), of which `mistral_agents._border.continuation` makes the request; `plan_turn` reads what must
be known for that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mistral_agents._border.continuation import Continuation, Say, Target, Wanted
from mistral_agents._border.fingerprints import Setup
from mistral_agents._border.forms import refuse_two_turns
from mistral_agents._border.options import check_agent_options, resolve_options, take_completion
from mistral_agents._border.schemas import check_response_format
from mistral_agents._border.tool_choices import choose_tools
from mistral_agents._border.turns import TurnRequest
from mistral_agents._json import JsonDict
from mistral_agents._steps import Job, Steps
from mistral_agents.errors import NotFoundError
from mistral_agents.options import OnDivergence

if TYPE_CHECKING:
    from mistral_agents.client import MistralAgents


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """What a model is set to.

    Attributes:
        model: The model; None with an agent.
        agent_id: The agent; None with a model.
        agent_version: Its version or alias.
        bound_to: The conversation that every call goes on with, whatever the messages say.
        conversation_id: The conversation to go on with where neither call nor messages name one.
        instructions: Its own system prompt.
        tools: Its hosted tools.
        options: Its other options by their own names; None counts as not given.
        store: Whether a new conversation is kept.
        handoff_execution: Who runs handoffs of an agent.
        metadata: Kept with a new conversation.
        on_divergence: What to do where the messages are no continuation.
    """

    model: str | None = None
    agent_id: str | None = None
    agent_version: int | str | None = None
    bound_to: str | None = None
    conversation_id: str | None = None
    instructions: str | None = None
    tools: Sequence[JsonDict] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    store: bool = False
    handoff_execution: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    on_divergence: OnDivergence = "restart"


@dataclass(frozen=True, slots=True)
class ModelCall:
    """A call with its options sorted.

    Attributes:
        settings: The model's.
        model: The model, after an override; None with an agent.
        tools: Tools to offer; beside an agent those that run here and must be declared on it.
        completion: The service's `completion_args`.
        stop: Stop sequences that are enforced here, since an agent can't be asked for them.
        options: Other options of the request.
        confirmations: Decisions on hosted tools that wait.
        stored: Whether the conversation is kept.
        conversation_id: The conversation that this call, or the model, is bound to.
        first_call_only: Whether one function call at a time is wanted.
    """

    settings: ModelSettings
    model: str | None
    tools: list[JsonDict]
    completion: JsonDict
    stop: tuple[str, ...]
    options: JsonDict
    confirmations: list[JsonDict]
    stored: bool
    conversation_id: str | None
    first_call_only: bool

    @property
    def is_agent(self) -> bool:
        """Whether an agent answers."""
        return self.settings.agent_id is not None

    def describe_setup(self, instructions: str | None) -> Setup:
        """What a conversation of this call is started with."""
        return describe_setup(self.settings, self.tools, instructions, self.options.get("guardrails"), self.model)

    def make_wanted(self, base_url: str, instructions: str | None, **more: Any) -> Wanted:
        """What is asked of a kept conversation.

        Args:
            base_url: The service.
            instructions: The system prompt that is fixed at a conversation's start.
            more: Further fields of `Wanted` (`systems`, `notes`, `resumes`, ...).
        """
        more["confirms"] = bool(self.confirmations) or more.get("confirms", False)
        return Wanted(
            base_url=base_url,
            stored=self.stored,
            setup=self.describe_setup(instructions),
            given=self.conversation_id,
            fallback=self.settings.conversation_id,
            declared=self.tools if self.is_agent else (),
            policy=self.settings.on_divergence,
            **more,
        )

    def make_target(self, instructions: str | None, tools: Sequence[JsonDict] | None = None) -> Target:
        """Who answers, and with which options.

        Args:
            instructions: The system prompt of a new conversation; an agent has its own.
            tools: The tools as they go out, where they differ from those of the call.
        """
        settings = self.settings
        return Target(
            model=self.model,
            agent_id=settings.agent_id,
            agent_version=settings.agent_version,
            instructions=None if self.is_agent else instructions,
            tools=() if self.is_agent else tools if tools is not None else self.tools,
            completion_args=self.completion,
            handoff_execution=settings.handoff_execution,
            metadata=settings.metadata,
            options=self.options,
        )


def describe_setup(
    settings: ModelSettings,
    tools: Sequence[JsonDict],
    instructions: str | None,
    guardrails: Any = None,
    model: str | None = None,
) -> Setup:
    """What a conversation of a model with these tools is started with; an agent brings all but guardrails."""
    if settings.agent_id is not None:
        return Setup(settings.agent_id, settings.agent_version, guardrails=guardrails)
    return Setup.of(instructions, tools, guardrails, model)


def sort_call(
    settings: ModelSettings,
    given: Mapping[str, Any],
    *,
    what: str,
    describe: Callable[[Any, bool | None], JsonDict],
    passed: Iterable[str] = (),
) -> ModelCall:
    """Sort the options of a call: its own win over the model's.

    Args:
        settings: The model's.
        given: The call's, under any of their names.
        what: Who takes them, for errors.
        describe: Makes a tool of the framework (and whether it is `strict`) one of the service.
        passed: Names that the framework adds, which mean nothing here.

    Raises:
        ConfigurationError: An option is unknown or can't be honoured; it is named.
    """
    options = resolve_options(given, what=what, where="call", others=passed)
    for name in passed:
        options.pop(name, None)
    own = {name: value for name, value in settings.options.items() if value is not None}
    completion = {**take_completion(own), **take_completion(options)}
    options = {**own, **options}
    choice, stop = completion.pop("tool_choice", None), completion.pop("stop", None)
    parallel, strict = options.pop("parallel_tool_calls", True), options.pop("strict", None)
    model = options.pop("model", None)
    stored = options.pop("store", settings.store)
    named = options.pop("conversation_id", settings.bound_to)
    tools = [*settings.tools, *(describe(tool, strict) for tool in options.pop("tools", ()))]
    is_agent = settings.agent_id is not None
    if is_agent:
        brought = {"model": model, "instructions": settings.instructions, "connectors": list(settings.tools)}
        check_agent_options({**brought, **completion, "tool_choice": choice})
    else:
        goes_on = (named, settings.conversation_id) != (None, None)
        tools, word = choose_tools(tools, choice, has_own=goes_on)
        completion |= {"tool_choice": word} if word is not None else {}
        completion |= {"stop": stop} if stop else {}
        form = completion.get("response_format")
        completion |= {"response_format": check_response_format(form)} if form is not None else {}
        refuse_two_turns(form, tools, is_agent=False)
    return ModelCall(
        settings=settings,
        model=None if is_agent else model if model is not None else settings.model,
        tools=tools,
        completion=completion,
        stop=tuple([stop] if isinstance(stop, str) else stop or ()) if is_agent else (),
        options=options,
        confirmations=list(options.pop("tool_confirmations", ())),
        stored=stored or named is not None or settings.conversation_id is not None,
        conversation_id=named,
        first_call_only=not parallel,
    )


def plan_turn(client: MistralAgents, continuation: Continuation, target: Target, say: Say) -> Steps[TurnRequest]:
    """Read what must be known first, then plan; run it with `mistral_agents._steps`."""
    conversations, key = client.conversations, str(continuation.conversation_id)
    history = info = None
    if continuation.needs_agent:
        agent_id, version = str(target.agent_id), target.agent_version
        agent = yield Job(
            lambda: client.agents.get(agent_id, agent_version=version),
            lambda: client.agents.aget(agent_id, agent_version=version),
        )
        continuation.learn_agent(agent)
    if continuation.needs_history:
        try:
            history = yield Job(lambda: conversations.get_history(key), lambda: conversations.aget_history(key))
        except NotFoundError:
            if not continuation.was_never_kept:
                raise
            continuation = continuation.begin_anew()
    if continuation.needs_info:
        info = yield Job(lambda: conversations.get(key), lambda: conversations.aget(key))
    return continuation.request(target, say, history, info, claims=True)
