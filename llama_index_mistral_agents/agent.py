"""A LlamaIndex workflow agent whose turns are turns of a conversation on the service."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from llama_index.core.agent.workflow import BaseWorkflowAgent
from llama_index.core.agent.workflow.workflow_events import AgentInput, AgentOutput, AgentStream, ToolCallResult
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, MessageRole
from llama_index.core.memory import BaseMemory
from llama_index.core.tools import AsyncBaseTool, FunctionTool
from llama_index.core.tools.types import BaseTool
from llama_index.core.workflow import Context, HumanResponseEvent, Workflow
from pydantic import BaseModel, Field, PrivateAttr
from typing_extensions import Self, Unpack, override

from llama_index_mistral_agents._agent_state import (
    AgentState,
    asked_by,
    dumped,
    meet_memory,
    undumped,
    unmarked,
)
from llama_index_mistral_agents._content import output_blocks
from llama_index_mistral_agents._items import with_marks
from llama_index_mistral_agents._messages_in import history_messages
from llama_index_mistral_agents._messages_out import SYSTEM, confirmations
from llama_index_mistral_agents._sessions import memory_of, session_of
from llama_index_mistral_agents._tools import describe_tool, read_local
from llama_index_mistral_agents._waiting_memory import keep_memory
from llama_index_mistral_agents.agent_events import (
    ConfirmationRequest,
    ConversationReset,
    ServerHandoff,
    ServerToolCall,
    ServerToolResult,
)
from llama_index_mistral_agents.llm import MistralAgentLLM
from mistral_agents import MistralAgents
from mistral_agents._border.options import refuse_unknown
from mistral_agents._json import JsonDict
from mistral_agents.errors import ConfigurationError, LateConfirmationError

if TYPE_CHECKING:
    from llama_index.core.agent.workflow.agent_context import AgentContext
    from llama_index.core.objects import ObjectRetriever
    from llama_index.core.prompts import BasePromptTemplate

_LLM = "MistralWorkflowAgent needs a MistralAgentLLM, not {}; for other models use LlamaIndex's FunctionAgent."
_NOTHING = ChatMessage(role=MessageRole.ASSISTANT)
_YES = frozenset({"y", "yes", "allow", "approve", "true", "ok"})


class _WorkflowOptions(TypedDict, total=False):
    description: str
    system_prompt: str | None
    tool_retriever: ObjectRetriever[Any] | None
    can_handoff_to: list[str] | None
    initial_state: dict[str, Any] | None
    state_prompt: str | BasePromptTemplate | None
    output_cls: type[BaseModel] | None
    structured_output_fn: Callable[[list[ChatMessage]], BaseModel] | None
    streaming: bool
    early_stopping_method: Literal["force", "generate"]
    timeout: float | None
    verbose: bool


class WorkflowOptions(_WorkflowOptions, total=False):
    """What `MistralWorkflowAgent` takes beside its model: LlamaIndex's own options of an agent."""

    name: str
    tools: list[BaseTool | Callable[..., Any]] | None


class NewAgentOptions(_WorkflowOptions, total=False):
    """What `MistralWorkflowAgent.from_new` takes for the agent here."""

    allow_parallel_tool_calls: bool


class ExistingAgentOptions(WorkflowOptions, total=False):
    """What `MistralWorkflowAgent.from_existing` takes for the agent here."""

    allow_parallel_tool_calls: bool


class MistralWorkflowAgent(BaseWorkflowAgent):
    """An agent of LlamaIndex's workflows on a conversation that the service keeps.

    Hosted tools run on the service; `tools` run here. Each step sends only what the conversation does not hold yet.
    The state is plain JSON in the run's context (`ctx.store["mistral_conversation"]`), nothing is on this object: pass
    `ctx=` to go on with a conversation, none to start another; that of a cancelled run goes on without what was at work
    (inside LlamaIndex's `AgentWorkflow` it does not, make a new one there). If the memory was edited, or other tools
    are offered than at the start, a new conversation begins with the whole history and a `ConversationReset` says so.

    The run's stream has LlamaIndex's events and those of `llama_index_mistral_agents.agent_events`. Hosted tools that
    need a confirmation end in a `ConfirmationRequest` there.

    Args:
        llm: The model or agent that answers. Its `conversation_id`, if any, is where the first run goes on.
        allow_parallel_tool_calls: Whether several functions may be called in one turn.
        kwargs: As LlamaIndex's `BaseWorkflowAgent` takes them (`name`, `tools`, `system_prompt`, ...). With a server
            agent, function tools must be declared on the agent too (`from_new` does it).

    Raises:
        ConfigurationError: `llm` is of another provider.

    Examples:
        >>> agent = MistralWorkflowAgent(llm=MistralAgentLLM("mistral-medium-latest"), tools=[weather])
        >>> print(await agent.run("What is the weather in Paris?"))
    """

    allow_parallel_tool_calls: bool = Field(default=True, description="Whether several functions may be called")
    _turns: MistralAgentLLM = PrivateAttr()

    def __init__(
        self, *, llm: MistralAgentLLM, allow_parallel_tool_calls: bool = True, **kwargs: Unpack[WorkflowOptions]
    ) -> None:
        _check_names(kwargs)
        tools = kwargs.get("tools")
        if tools:
            kwargs["tools"] = read_local(tools)
        super().__init__(llm=_make_aside(llm), allow_parallel_tool_calls=allow_parallel_tool_calls, **kwargs)
        self._turns = llm.model_copy(update={"store": True})

    @override
    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, _make_aside(value) if name == "llm" else value)
        if name == "llm":
            self._turns = value.model_copy(update={"store": True})

    @classmethod
    def from_existing(
        cls,
        agent_id: str,
        *,
        agent_version: int | str | None = None,
        llm_settings: JsonDict | None = None,
        **kwargs: Unpack[ExistingAgentOptions],
    ) -> Self:
        """An agent that lives on the service; it is never changed, and not read before the first run.

        Args:
            agent_id: The agent.
            agent_version: A version number or an alias; None takes the newest.
            llm_settings: Further arguments of `MistralAgentLLM` (`client`, `api_key`, `base_url`, `timeout`, ...).
            kwargs: As the constructor takes them.
        """
        settings = llm_settings if llm_settings is not None else {}
        return cls(llm=MistralAgentLLM(agent_id=agent_id, agent_version=agent_version, **settings), **kwargs)

    @classmethod
    def from_new(
        cls,
        *,
        model: str,
        name: str,
        client: MistralAgents,
        instructions: str | None = None,
        hosted_tools: Sequence[JsonDict] = (),
        tools: Sequence[BaseTool | Callable[..., Any]] = (),
        agent_options: JsonDict | None = None,
        **kwargs: Unpack[NewAgentOptions],
    ) -> Self:
        """Create an agent on the service, with its hosted tools and the declarations of your functions.

        One request. The agent stays until you delete it: `client.agents.delete(agent.agent_id)`.

        Args:
            model: The model.
            name: The agent's name, there and here.
            client: The client.
            instructions: Its instructions.
            hosted_tools: E.g. `[WebSearch()]`.
            tools: Functions that run here.
            agent_options: Further arguments of `client.agents.create`.
            kwargs: As the constructor takes them.
        """
        local = read_local(tools)
        functions = [tool if isinstance(tool, BaseTool) else FunctionTool.from_defaults(tool) for tool in local]
        declared = [*hosted_tools, *(describe_tool(tool) for tool in functions)]
        options = dict(agent_options) if agent_options is not None else {}
        made = client.agents.create(
            model=model, name=name, instructions=instructions, tools=declared or None, **options
        )
        llm = MistralAgentLLM(agent_id=made["id"], client=client)
        return cls(llm=llm, name=name, tools=[*functions], **kwargs)

    @property
    def agent_id(self) -> str | None:
        """The server agent; None with a model."""
        return self._turns.agent_id

    async def conversation_id(self, ctx: Context) -> str | None:
        """The conversation that a run's context is on; None before its first turn."""
        return (await AgentState.load(ctx, self.name)).conversation_id

    if not TYPE_CHECKING:  # LlamaIndex's own signatures are what an editor shows

        def run(self, *args: Any, **kwargs: Any) -> Any:
            """As LlamaIndex's; the Context of a run that was cancelled goes on, without what that run left undone."""
            for given in (*args, kwargs.get("ctx")):
                if isinstance(given, Context):
                    _drop_unfinished(self, given)
            return super().run(*args, **kwargs)

    # steps -----------------------------------------------------------------------------------------------------

    async def take_step(
        self,
        ctx: AgentContext,
        llm_input: list[ChatMessage],
        tools: Sequence[AsyncBaseTool],
        memory: BaseMemory,
    ) -> AgentOutput:
        """One turn of the conversation, and one more for each confirmation the user is asked for."""
        state = await AgentState.load(ctx, self.name)
        held = await memory.aget_all()
        meet_memory(memory, held)
        asked = asked_by(held)
        response = None
        if not (state.pending and asked == state.asked):
            said = state.reconcile(await self._find_past(state)) if state.under_way else None
            if said is not None and state.repeats(said, held, memory):
                response = ChatResponse(message=undumped([state.answer])[0] if state.answer is not None else _NOTHING)
            else:
                messages = await self._find_unsent(ctx, state, llm_input, held, memory, tools)
                ctx.write_event_to_stream(AgentInput(input=messages, current_agent_name=self.name))
                state.under_way = True
                await state.save(ctx, self.name)
                response = await self._ask(ctx, messages, tools)
            state.covers(held)
            state.asked = asked
            state.meets(memory)
            await self._note(ctx, state, response)
        while state.pending and not self._find_open(state) and hasattr(ctx, "wait_for_event"):
            last = undumped([state.answer])[0] if state.answer is not None else ChatMessage()
            async with keep_memory(ctx, memory):
                allow = await _read_decision(ctx, last)
            anchor = with_marks(last, covers=True, memory=memory_of(held))
            told = [anchor, *undumped(state.unsent), *confirmations(last, allow=allow)]
            response = await self._decide(ctx, state, told, tools)
            await self._note(ctx, state, response)
        return self._make_output(state, response)

    def _find_open(self, state: AgentState) -> set[str]:
        """The functions' calls of the last answer without a result: they are run before a decision is sent.

        The service takes results and decisions together, and what is left open then counts as interrupted.
        """
        last = ChatResponse(message=state.last if state.last is not None else _NOTHING)
        calls = self._turns.get_tool_calls_from_response(last, error_on_no_tool_call=False)
        return {call.tool_id for call in calls} - {str(e["additional_kwargs"]["tool_call_id"]) for e in state.unsent}

    async def _decide(
        self, ctx: AgentContext, state: AgentState, messages: list[ChatMessage], tools: Sequence[AsyncBaseTool]
    ) -> ChatResponse:
        """The answer to confirmations; it is there already where a run that was cut off sent them."""
        try:
            return await self._ask(ctx, messages, tools)
        except LateConfirmationError:
            last, conversation_id = messages[0].additional_kwargs["entry_id"], str(state.conversation_id)
            history = await self._turns.client.conversations.aget_history(conversation_id)
            if not state.take_answer_after(last, history.entries):
                raise
            return ChatResponse(message=undumped([state.answer or {}])[0])

    def _make_output(self, state: AgentState, response: ChatResponse | None) -> AgentOutput:
        message = response.message if response is not None else state.last
        answer = ChatResponse(message=message if message is not None else ChatMessage(role=MessageRole.ASSISTANT))
        return AgentOutput(
            response=answer.message,
            tool_calls=self._turns.get_tool_calls_from_response(answer, error_on_no_tool_call=False),
            raw=response.raw if response is not None else None,
            current_agent_name=self.name,
        )

    async def _find_unsent(
        self,
        ctx: AgentContext,
        state: AgentState,
        llm_input: list[ChatMessage],
        held: list[ChatMessage],
        memory: BaseMemory,
        tools: Sequence[AsyncBaseTool],
    ) -> list[ChatMessage]:
        """The messages of the next turn: what anchors it, and what is new."""
        if asked_by(held) != state.asked:
            state.pad = []
        pad = undumped(state.pad)
        if session_of(llm_input) is not None or (state.last is None and self._turns.conversation_id is not None):
            return [*llm_input, *pad]
        if state.last is None:
            return unmarked([*llm_input, *pad])
        count = state.new_in(held, memory)
        if count is None or not self._has_same_tools(state.last, tools):
            reason = "memory" if count is None else "tools"
            ctx.write_event_to_stream(ConversationReset(conversation_id=state.conversation_id, reason=reason))
            past = await self._find_past(state) if state.lost_in(held, memory) else []
            return unmarked([*past, *llm_input, *pad])
        system = [message for message in llm_input if message.role in SYSTEM]
        said = [message for message in llm_input if message.role not in SYSTEM]
        new = unmarked(said[len(said) - count :])  # another agent's answers are of another conversation
        return [*system, with_marks(state.last, covers=True), *undumped(state.unsent), *new]

    async def _find_past(self, state: AgentState) -> list[ChatMessage]:
        """What the conversation holds; nothing before there is one."""
        if state.conversation_id is None:
            return []
        history = await self._turns.client.conversations.aget_history(state.conversation_id)
        return history_messages(history.entries, state.conversation_id)

    def _has_same_tools(self, answer: ChatMessage, tools: Sequence[AsyncBaseTool]) -> bool:
        offered = self._turns.setup_digest([describe_tool(tool) for tool in tools])
        return answer.additional_kwargs.get("setup_digest") in (None, offered)

    async def _note(self, ctx: AgentContext, state: AgentState, response: ChatResponse) -> None:
        """Keep an answer before anything else can fail."""
        state.answer = dumped(response.message)
        state.conversation_id = response.message.additional_kwargs["conversation_id"]
        state.pad.append(state.answer)
        state.unsent, state.under_way = [], False
        await state.save(ctx, self.name)

    # turns -----------------------------------------------------------------------------------------------------

    async def _ask(
        self, ctx: AgentContext, messages: list[ChatMessage], tools: Sequence[AsyncBaseTool]
    ) -> ChatResponse:
        response = await (self._stream_turn if self.streaming else self._call_model)(ctx, messages, tools)
        kwargs = response.message.additional_kwargs
        for run in kwargs["server_tools"]:
            ctx.write_event_to_stream(ServerToolResult(tool_name=run["name"], tool=run))
        for handoff in kwargs.get("handoffs", ()):
            ctx.write_event_to_stream(ServerHandoff(handoff=handoff))
        return response

    def _collect_arguments(self, messages: list[ChatMessage], tools: Sequence[AsyncBaseTool]) -> JsonDict:
        parallel = self.allow_parallel_tool_calls
        return {"tools": tools, "chat_history": messages, "allow_parallel_tool_calls": parallel}

    async def _call_model(
        self, _ctx: AgentContext, messages: list[ChatMessage], tools: Sequence[AsyncBaseTool]
    ) -> ChatResponse:
        return await self._turns.achat_with_tools(**self._collect_arguments(messages, tools))

    async def _stream_turn(
        self, ctx: AgentContext, messages: list[ChatMessage], tools: Sequence[AsyncBaseTool]
    ) -> ChatResponse:
        def watch(event: JsonDict) -> None:
            if event.get("type") == "tool.execution.started":
                name, started = str(event.get("name", "")), event.get("id")
                call = ServerToolCall(tool_name=name, tool_id=started, function=event.get("function"))
                ctx.write_event_to_stream(call)

        response = ChatResponse(message=ChatMessage(role=MessageRole.ASSISTANT))
        watched = self._turns.watched(watch)
        async for response in await watched.astream_chat_with_tools(**self._collect_arguments(messages, tools)):
            ctx.write_event_to_stream(self._report_progress(response))
        return response

    def _report_progress(self, response: ChatResponse) -> AgentStream:
        # Older releases of llama-index-core take no None there.
        thinking = {k: v for k, v in response.additional_kwargs.items() if k == "thinking_delta"}
        return AgentStream(
            delta=response.delta or "",
            response=response.message.content or "",
            tool_calls=self._turns.get_tool_calls_from_response(response, error_on_no_tool_call=False),
            raw=response.raw,
            current_agent_name=self.name,
            **thinking,
        )

    # what LlamaIndex calls after a step ------------------------------------------------------------------------

    async def handle_tool_call_results(self, ctx: Context, results: list[ToolCallResult], memory: BaseMemory) -> None:  # noqa: ARG002
        """Keep the results of functions for the next turn, which sends them all together."""
        state = await AgentState.load(ctx, self.name)
        for result in results:
            mark = {"tool_call_id": result.tool_id, "name": result.tool_name}
            blocks = output_blocks(result.tool_output)
            message = ChatMessage(role=MessageRole.TOOL, blocks=blocks, additional_kwargs=mark)
            state.pad.append(dumped(message))
            state.unsent.append(dumped(message))
        direct = next((r for r in results if r.return_direct and not r.tool_output.is_error), None)
        if direct is not None and direct.tool_name != "handoff":
            state.pad.append(dumped(ChatMessage(role=MessageRole.ASSISTANT, content=direct.tool_output.content)))
        await state.save(ctx, self.name)

    async def finalize(self, ctx: Context, output: AgentOutput, memory: BaseMemory) -> AgentOutput:
        """Write the run's answers and results into the memory."""
        state = await AgentState.load(ctx, self.name)
        await memory.aput_messages(undumped(state.pad))
        state.pad = []
        state.covers(await memory.aget_all())
        await state.save(ctx, self.name)
        return output


def _make_aside(llm: object) -> MistralAgentLLM:
    """The model of early stopping and `output_cls`, which ask beside the conversation, so it keeps none.

    Raises:
        ConfigurationError: It is of another provider.
    """
    if not isinstance(llm, MistralAgentLLM):
        raise ConfigurationError(_LLM.format(type(llm).__name__))
    return llm.model_copy(update={"store": False, "conversation_id": None})


def _drop_unfinished(agent: Workflow, ctx: Context) -> None:
    """Leave of a context whose run was cancelled what it knows, not the steps that were at work.

    LlamaIndex would run these beside the new run's first step, before there is a memory for them.
    """
    left = ctx.to_dict() if not ctx.is_running else {}
    if left.get("is_running"):  # it ended, but never came to an end
        fresh: Context = Context.from_dict(agent, {**Context(agent).to_dict(), "state": left["state"]})
        ctx.__dict__.update(fresh.__dict__)


_FIELDS = (*inspect.signature(BaseWorkflowAgent.__init__).parameters, *inspect.signature(Workflow.__init__).parameters)
_KNOWN = frozenset({*BaseWorkflowAgent.model_fields, *_FIELDS}) - {"self", "kwargs"}


def _check_names(given: Iterable[str]) -> None:
    """LlamaIndex drops arguments that it does not know."""
    for name in given:
        if name not in _KNOWN:
            raise refuse_unknown(name, "MistralWorkflowAgent", _KNOWN)


async def _read_decision(ctx: Any, answer: ChatMessage) -> bool | list[str]:
    """Ask the user which hosted tools may run. The step is run again from its start when the response is there."""
    calls = answer.additional_kwargs["pending_confirmations"]
    response = await ctx.wait_for_event(
        HumanResponseEvent,
        waiter_event=ConfirmationRequest(calls=calls),
        waiter_id="mistral confirmation " + " ".join(call["id"] for call in calls),
        timeout=None,
    )
    allow = response.get("allow", None)
    if isinstance(allow, (bool, list)):
        return allow
    return str(response.get("response", "")).strip().lower() in _YES
