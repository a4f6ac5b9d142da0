"""`MistralConversationMiddleware`: LangChain's `create_agent` on a conversation that the service keeps."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, RemoveMessage, ToolMessage
from typing_extensions import NotRequired

from langchain_mistral_agents._errors import DivergenceError, LateConfirmationError
from langchain_mistral_agents._items import items_of, list_pending
from langchain_mistral_agents._portable import to_portable_messages
from langchain_mistral_agents.chat_models import ChatMistralAgent
from mistral_agents._border.calls import INTERRUPTED
from mistral_agents._border.continuation import find_anchors
from mistral_agents._warnings import warn_user
from mistral_agents.errors import ConfigurationError
from mistral_agents.tools import HostedTool

try:
    from langchain.agents.middleware import (
        AgentMiddleware,
        AgentState,
        ExtendedModelResponse,
        ModelRequest,
        ModelResponse,
    )
    from langchain.agents.middleware.types import OmitFromInput, PrivateStateAttr, hook_config
    from langgraph.graph.message import REMOVE_ALL_MESSAGES
    from langgraph.runtime import Runtime
    from langgraph.types import Command, interrupt
except ImportError as error:
    raise ImportError(
        "MistralConversationMiddleware needs the packages langchain and langgraph: pip install langchain"
    ) from error

_WORDS = {"allow": "allow", "approve": "allow", "deny": "deny", "reject": "deny"}


class MistralAgentState(AgentState[Any]):
    """The graph's state: that of every agent, and where the conversation stands.

    Attributes:
        conversation_id: The conversation on the service. Give one with the input to go on with it.
        last_entry_id: Its last entry, after the newest answer.
        answered_in: The conversation of the newest answer; tells a conversation given with the input from our own.
        decisions: What was decided of calls that waited for confirmation: `allow` or `deny` by call id.
    """

    conversation_id: NotRequired[str | None]
    last_entry_id: NotRequired[Annotated[str | None, OmitFromInput]]
    answered_in: NotRequired[Annotated[str | None, PrivateStateAttr]]
    decisions: NotRequired[Annotated[dict[str, str], PrivateStateAttr]]


class MistralConversationMiddleware(AgentMiddleware[MistralAgentState, Any]):
    """Keeps an agent's conversation on the service, and where it stands in the graph's state.

    Each turn sends only what the service does not hold. The state is checkpointed with the messages, so another
    process goes on with the thread; a run from an older checkpoint, or from edited messages, follows the model's
    `on_divergence` (a branch on the service by default).

    A hosted tool with `requires_confirmation` stops the graph with an `interrupt` in LangChain's form for reviews
    (`action_requests`, `review_configs`). Resume with `Command(resume="allow")` or `"deny"` for all calls, with a word
    by call id, or with `{"decisions": [{"type": "approve"}, {"type": "reject"}]}`; anything else is asked about again,
    with the reason under `error`. A new message instead of a decision denies the calls. Interrupts need a checkpointer.

    A turn whose reply was lost is not sent again by a retry or a resumed run of the same process: its answer is looked
    for in the conversation first. A decision that was taken already (by a run from an older checkpoint, or by another
    process whose reply was lost) can't be taken again: the turn branches before the question, which leaves the messages
    and is asked anew.

    Calls of your functions that a broken run left without result are answered with an error by the next run.

    Raises:
        ConfigurationError: The agent's model is no `ChatMistralAgent`.
        DivergenceError: The messages no longer continue the conversation and the model's policy is to raise.

    Examples:
        >>> agent = create_agent(
        ...     ChatMistralAgent(model="mistral-medium-latest"),
        ...     tools=[CodeInterpreter(requires_confirmation=True)],
        ...     middleware=[MistralConversationMiddleware()],
        ...     checkpointer=InMemorySaver(),
        ... )
        >>> thread = {"configurable": {"thread_id": "ada"}}
        >>> agent.invoke({"messages": "What is the sum of 1 to 100?"}, thread)["__interrupt__"]
        >>> agent.invoke(Command(resume="allow"), thread)["messages"][-1].text
    """

    state_schema = MistralAgentState

    def before_agent(self, state: MistralAgentState, runtime: Runtime[Any]) -> dict[str, Any] | None:  # noqa: ARG002
        """Answer calls that a broken run left open with an error, since the service takes nothing else before."""
        messages = list(_close_calls(state["messages"]))
        if len(messages) == len(state["messages"]):
            return None
        return {"messages": [RemoveMessage(id=REMOVE_ALL_MESSAGES), *messages]}

    async def abefore_agent(self, state: MistralAgentState, runtime: Runtime[Any]) -> dict[str, Any] | None:
        """As `before_agent`, which needs no request."""
        return self.before_agent(state, runtime)

    def wrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], ModelResponse[Any]]
    ) -> ExtendedModelResponse[Any]:
        """Send the turn to the conversation, and note where it then stands."""
        given = request
        try:
            response = handler(_address_request(given))
        except LateConfirmationError:
            given = request.override(messages=_cut_before_question(request.messages))
            response = handler(_address_request(given))
        return ExtendedModelResponse(response, Command(update=_tell_place(response, request, given)))

    async def awrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]]
    ) -> ExtendedModelResponse[Any]:
        """As `wrap_model_call`, without blocking."""
        given = request
        try:
            response = await handler(_address_request(given))
        except LateConfirmationError:
            given = request.override(messages=_cut_before_question(request.messages))
            response = await handler(_address_request(given))
        return ExtendedModelResponse(response, Command(update=_tell_place(response, request, given)))

    @hook_config(can_jump_to=["model"])
    def after_model(self, state: MistralAgentState, runtime: Runtime[Any]) -> dict[str, Any] | None:  # noqa: ARG002
        """Ask about calls that wait for confirmation.

        This is a step of its own: the answer is checkpointed by now, so that resuming does not repeat its turn.
        """
        answer = _find_last_answer(state["messages"])
        pending = list_pending(answer)
        if answer is None or not pending:
            return None
        update: dict[str, Any] = {"decisions": _ask(pending)}
        return update if answer.tool_calls else {**update, "jump_to": "model"}

    @hook_config(can_jump_to=["model"])
    async def aafter_model(self, state: MistralAgentState, runtime: Runtime[Any]) -> dict[str, Any] | None:
        """As `after_model`, which needs no request."""
        return self.after_model(state, runtime)


def _close_calls(messages: Sequence[BaseMessage]) -> Iterator[BaseMessage]:
    """The messages, with an error result behind each answer whose calls have none."""
    answered = {message.tool_call_id for message in messages if isinstance(message, ToolMessage)}
    for message in messages:
        yield message
        for call in message.tool_calls if isinstance(message, AIMessage) else ():
            if call["id"] not in answered:
                yield ToolMessage(INTERRUPTED, tool_call_id=str(call["id"]), name=call["name"], status="error")


def _find_last_answer(messages: Sequence[BaseMessage]) -> AIMessage | None:
    return next((message for message in reversed(messages) if isinstance(message, AIMessage)), None)


class MistralPortableMiddleware(AgentMiddleware[AgentState[Any], Any]):
    """Gives models of other providers messages they understand; put it behind `ModelFallbackMiddleware`.

    Our answers hold blocks of hosted tools that nobody else knows; see `to_portable_messages`. Settings that only
    `ChatMistralAgent` takes are left out too, and with a warning hosted tools (`WebSearch()` and its like), which only
    the service runs. Calls of a `ChatMistralAgent` pass as they are.

    Examples:
        >>> create_agent(model, tools, middleware=[ModelFallbackMiddleware(other), MistralPortableMiddleware()])
    """

    def wrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], ModelResponse[Any]]
    ) -> ModelResponse[Any]:
        """Pass the request on, portable where its model is of another provider."""
        return handler(_as_portable(request))

    async def awrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]]
    ) -> ModelResponse[Any]:
        """As `wrap_model_call`, without blocking."""
        return await handler(_as_portable(request))


_OURS = frozenset({"store", "conversation_id", "conversation_metadata", "tool_confirmations", "handoff_execution"})


def _as_portable(request: ModelRequest[Any]) -> ModelRequest[Any]:
    if isinstance(request.model, ChatMistralAgent):
        return request
    settings = {name: value for name, value in request.model_settings.items() if name not in _OURS}
    messages: list[Any] = [*to_portable_messages(request.messages)]
    return request.override(messages=messages, tools=_drop_hosted_tools(request), model_settings=settings)


def _drop_hosted_tools(request: ModelRequest[Any]) -> list[Any]:
    hosted = [str(tool["type"]) for tool in request.tools if isinstance(tool, HostedTool)]
    if hosted:
        text = f"{type(request.model).__name__} answers without {', '.join(hosted)}, which only the service runs."
        warn_user(f"{text} Give it tools of its own where it needs them.")
    return [tool for tool in request.tools if not isinstance(tool, HostedTool)]


def _address_request(request: ModelRequest[Any]) -> ModelRequest[Any]:
    """The request with the conversation it goes to, and the decisions that its pending calls wait for."""
    model = request.model
    state: Mapping[str, Any] = request.state
    if not isinstance(model, ChatMistralAgent):
        raise ConfigurationError(f"MistralConversationMiddleware needs a ChatMistralAgent, not {type(model).__name__}.")
    settings: dict[str, Any] = {**request.model_settings, "store": True}
    given, own = state.get("conversation_id"), state.get("answered_in")
    if given is not None and given != own:
        settings["conversation_id"] = given
    elif own is not None and not find_anchors(items_of(request.messages), None) and model.on_divergence == "raise":
        raise DivergenceError(
            "The messages hold no answer of the stored conversation any more.",
            conversation_id=own,
            hint='Set on_divergence="new" on the model to begin a new conversation with what is left.',
        )
    decided = state.get("decisions") or {}
    pending = [call["tool_call_id"] for call in list_pending(_find_last_answer(request.messages))]
    if decided and pending:
        settings["tool_confirmations"] = [
            {"tool_call_id": call_id, "confirmation": decided[call_id]} for call_id in pending if call_id in decided
        ]
    return request.override(model_settings=settings)


def _cut_before_question(messages: Sequence[BaseMessage]) -> list[Any]:
    """The messages without an answer that waits for a decision, and what it did before it asked.

    The decision was taken already (on an older checkpoint, or its reply was lost), so the turn branches before it.
    """
    kept = list(messages)
    while list_pending(answer := _find_last_answer(kept)):
        place = next(i for i, message in enumerate(kept) if message is answer)
        first = max((i + 1 for i in range(place) if isinstance(kept[i], HumanMessage)), default=0)
        kept = [*kept[:first], *(each for each in kept[place + 1 :] if not isinstance(each, ToolMessage))]
    return kept


def _tell_place(response: ModelResponse[Any], request: ModelRequest[Any], given: ModelRequest[Any]) -> dict[str, Any]:
    """Where the conversation stands after an answer to what was given of a request; decisions count for one turn."""
    answer = _find_last_answer(response.result)
    facts = answer.response_metadata if answer is not None else {}
    conversation_id = facts.get("conversation_id")
    kept = {message.id for message in given.messages}
    return {
        "messages": [RemoveMessage(id=str(m.id)) for m in request.messages if m.id not in kept],
        "conversation_id": conversation_id,
        "answered_in": conversation_id,
        "last_entry_id": facts.get("last_entry_id"),
        "decisions": {},
    }


def _review(pending: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The interrupt's value, in the form of LangChain's reviews; each request also tells its call id."""
    names = dict.fromkeys(call["name"] for call in pending)
    requests = [
        {**call, "description": f"The service wants to run {call['name']} and waits for a confirmation."}
        for call in pending
    ]
    configs = [{"action_name": name, "allowed_decisions": ["approve", "reject"]} for name in names]
    return {"action_requests": requests, "review_configs": configs}


NO_CONTEXT = (
    "The service waits for a confirmation, and LangGraph can't interrupt here: on Python 3.10 only synchronous graphs "
    "can be interrupted (invoke, stream); from 3.11 on asynchronous ones too."
)


def _ask(pending: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Interrupt until every call is decided. An error would not do: the graph keeps a resume value for good."""
    review = _review(pending)
    try:
        given = interrupt(review)
    except RuntimeError as error:  # Python 3.10 hands no context to the tasks of an asynchronous graph
        raise ConfigurationError(NO_CONTEXT) from error
    while (decided := _read_decisions(given, [call["tool_call_id"] for call in pending])) is None:
        given = interrupt({**review, "error": f"{given!r} does not decide about every call."})
    return decided


def _read_decisions(given: object, ids: Sequence[str]) -> dict[str, str] | None:
    """A resume value as `allow` or `deny` by call id; None where it is no decision about each of them."""
    words: Mapping[Any, Any] = {}
    if isinstance(given, str):
        words = dict.fromkeys(ids, given)
    elif isinstance(given, Mapping) and isinstance(given.get("decisions"), list):
        kinds = [each.get("type") if isinstance(each, Mapping) else each for each in given["decisions"]]
        words = dict(zip(ids, kinds, strict=True)) if len(kinds) == len(ids) else {}
    elif isinstance(given, Mapping):
        words = given
    decided = {call_id: word for call_id in ids if (word := _WORDS.get(str(words.get(call_id)))) is not None}
    return decided if set(ids) == set(decided) == set(words) else None
