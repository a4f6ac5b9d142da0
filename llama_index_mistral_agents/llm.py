"""Mistral's conversations as a LlamaIndex model."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, cast

from llama_index.core.base.llms.generic_utils import (
    astream_chat_response_to_completion_response,
    chat_response_to_completion_response,
    prompt_to_messages,
    stream_chat_response_to_completion_response,
)
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ChatResponseAsyncGen,
    ChatResponseGen,
    CompletionResponse,
    CompletionResponseAsyncGen,
    CompletionResponseGen,
    LLMMetadata,
)
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.prompts import PromptTemplate
from llama_index.core.settings import Settings
from llama_index.core.types import PydanticProgramMode
from pydantic import ConfigDict, Field, PrivateAttr, field_serializer
from typing_extensions import Self, Unpack, override

from llama_index_mistral_agents._agent_state import unmarked
from llama_index_mistral_agents._files import file_refs, with_files
from llama_index_mistral_agents._local_tools import (
    arun_selection,
    report_outputs,
    run_selection,
    select_call,
    select_growing_call,
)
from llama_index_mistral_agents._messages_in import answer_message
from llama_index_mistral_agents._messages_out import confirmations, tool_calls
from llama_index_mistral_agents._plan import Request, TurnPlan
from llama_index_mistral_agents._settings import LLMOptions
from llama_index_mistral_agents._structured import Structure, aparse_partials, parse_partials
from llama_index_mistral_agents._tools import check_hosted, describe_tool
from llama_index_mistral_agents._traces import (
    Form,
    announce_end,
    announce_start,
    seal_calls,
    trace_astream,
    trace_chat,
    trace_completion,
    trace_span,
    trace_stream,
)
from llama_index_mistral_agents._turns import Progress, agive_one, begin, finish, give_one
from llama_index_mistral_agents.batching import BatchInput, MistralBatchJob, start_job
from mistral_agents import MistralAgents
from mistral_agents._api.asks_in_batches import AsksInBatches
from mistral_agents._api.model_facts import FACTS
from mistral_agents._border.calls import find_call_fault
from mistral_agents._border.forms import (
    FORM_QUESTION,
    carrying,
    find_form,
    is_finished,
    join_form,
    list_tools,
    takes_two_turns,
    thinking_options,
    writing_options,
)
from mistral_agents._border.model_call import ModelSettings, describe_setup
from mistral_agents._border.options import CLIENT_OPTIONS, MODEL_OPTIONS, resolve_options
from mistral_agents._border.tool_choices import read_tools
from mistral_agents._border.turns import TurnRequest
from mistral_agents._http.concealed import conceal_settings, conceal_tool, masked
from mistral_agents._json import JsonDict
from mistral_agents._steps import Job, Steps, arun, run
from mistral_agents.client import choose_client
from mistral_agents.errors import ConfigurationError
from mistral_agents.options import CallOptions, OnDivergence
from mistral_agents.turn import Turn

if TYPE_CHECKING:
    from llama_index.core.chat_engine.types import AgentChatResponse
    from llama_index.core.tools.types import BaseTool

DEFAULT_CONTEXT_WINDOW = 128_000
_BOTH = "Give model or agent_id, and not both: an agent brings its own model."


@seal_calls
class MistralAgentLLM(FunctionCallingLLM, AsksInBatches[BatchInput, MistralBatchJob]):
    """A Mistral model, or an agent made on the service, with the service's hosted tools.

    Each call is a conversation of its own (`store=False`): the whole history is sent and nothing is kept. With
    `store=True` the service keeps the conversation and only what is new is sent; the state is in the messages
    (`additional_kwargs`), never on this object. `bind(conversation_id)` gives a model of one stored conversation.

    The answer's `additional_kwargs` have `citations`, `server_tools`, `usage`, `conversation_id`, and, where there are
    any, `tool_calls`, `files`, `handoffs`, `pending_confirmations`.

    Args:
        model: The model that answers.
        agent_id: The agent that answers, instead of a model; it brings its own options and instructions, so system
            messages reach it as a user's message.
        agent_version: A version number (they start at 0) or an alias.
        tools: Hosted tools, e.g. `[WebSearch(), CodeInterpreter()]`; function tools go to `chat_with_tools`.
        temperature: Sampling temperature; so for `top_p`, `max_tokens`, `random_seed` (or `seed`), `presence_penalty`,
            `frequency_penalty`, `reasoning_effort`, `stop`, `response_format`: None leaves them to the service.
        guardrails: Moderation rules, as the service takes them.
        completion_args: Further options by the service's names; `additional_kwargs` and `model_kwargs` are the same.
        store: Whether the service keeps new conversations.
        conversation_id: The stored conversation to go on with.
        handoff_execution: Who runs handoffs of an agent.
        on_divergence: What to do with a stored conversation when the messages are no continuation of it (edited,
            trimmed, another model, other tools): `restart` branches at the last shared answer (a new conversation
            where there is none), `new` begins anew, `raise` raises.
        context_window: Tokens of the model's context, for LlamaIndex's prompt helpers; where not given, what is
            known of the model (`client.models.get(...).facts` asks the service).
        client: Your own client; else one is made of the arguments below.
        conversation_metadata: Your own keys, kept with new stored conversations (or `metadata=`, as the service calls
            it).
        api_key: The key, else MISTRAL_API_KEY.
        base_url: Address of the service (or `api_base`, `endpoint`), else MISTRAL_BASE_URL, else the service's own.
        timeout: Seconds for a whole call, retries included; of a stream, until it begins (300).
        max_retries: How often a request is sent again when this is safe (2).
        retry_stateless: Whether a turn that is not kept, with tools without effects, counts as safe (yes).
        default_headers: Headers of every request.
        http_client: Your own HTTP client; `async_http_client` for asynchronous calls.

    All options, their other names and where they go stand in `docs/options.md`; unknown ones are refused by name.

    Raises:
        ConfigurationError: The settings contradict one another.

    Examples:
        >>> from mistral_agents import CodeInterpreter
        >>> llm = MistralAgentLLM(model="mistral-medium-latest", tools=[CodeInterpreter()])
        >>> print(llm.complete("What is the variance of 3, 4 and 9?"))
    """

    model_config = ConfigDict(hide_input_in_errors=True)

    model: str | None = Field(default=None, description="The model that answers.")
    agent_id: str | None = Field(default=None, description="The agent that answers, instead of a model.")
    agent_version: int | str | None = Field(default=None, description="The agent's version or alias.")
    tools: list[dict[str, Any]] = Field(default_factory=list, description="Hosted tools.", repr=False)
    temperature: float | None = Field(default=None, description="Sampling temperature.")
    top_p: float | None = Field(default=None, description="Share of the probable words that are sampled from.")
    max_tokens: int | None = Field(default=None, description="Most tokens of an answer.")
    random_seed: int | None = Field(default=None, description="For answers that can be repeated.")
    presence_penalty: float | None = Field(default=None, description="Against words that came already.")
    frequency_penalty: float | None = Field(default=None, description="Against words that came often.")
    reasoning_effort: str | None = Field(default=None, description="How long to think.")
    response_format: dict[str, Any] | None = Field(default=None, description="The form of answers.")
    prediction: dict[str, Any] | None = Field(default=None, description="What the answer will probably be.")
    tool_choice: Any = Field(default=None, description="Which tool must be called.")
    parallel_tool_calls: bool | None = Field(default=None, description="Whether a turn may have several calls.")
    stop: str | list[str] | None = Field(default=None, description="Texts that end the answer.")
    guardrails: list[dict[str, Any]] | None = Field(default=None, description="Moderation rules.")
    completion_args: dict[str, Any] = Field(default_factory=dict, description="Further completion options.")
    store: bool = Field(default=False, description="Whether the service keeps new conversations.")
    conversation_id: str | None = Field(default=None, description="The stored conversation to go on with.")
    conversation_metadata: dict[str, Any] | None = Field(default=None, description="Kept with new conversations.")
    handoff_execution: Literal["server", "client"] | None = Field(default=None, description="Who runs handoffs.")
    on_divergence: OnDivergence = Field(default="restart", description="What to do with edited histories.")
    context_window: int = Field(default=DEFAULT_CONTEXT_WINDOW, description="Tokens of the model's context.", gt=0)
    client: MistralAgents = Field(description="The client.", exclude=True, repr=False)
    _watch: Callable[[dict[str, Any]], None] | None = PrivateAttr(default=None)

    def __init__(self, model: str | None = None, **options: Unpack[LLMOptions]) -> None:
        options = conceal_settings(options)
        given: JsonDict = {**options, **({"model": model} if model is not None else {})}
        found = resolve_options(
            given,
            what="MistralAgentLLM",
            where="constructor",
            others=type(self).model_fields,
            without=("instructions",),
        )
        if ("model" in found) == ("agent_id" in found):
            raise ConfigurationError(_BOTH)
        own = {name: found.pop(name) for name in CLIENT_OPTIONS if name in found}
        found["client"] = choose_client(found.get("client"), **own)
        found["tools"] = [conceal_tool(check_hosted(tool)) for tool in found.get("tools", ())]
        if "metadata" in found:
            found["conversation_metadata"] = dict(found.pop("metadata"))
        facts = FACTS.get(found.get("model", ""))
        if facts is not None:
            found.setdefault("context_window", facts.context)
        found.setdefault("callback_manager", Settings.callback_manager)
        super().__init__(**found)

    @field_serializer("tools")
    def _hide_secrets(self, tools: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """What tracing sees of the tools: a connector's authorization is hidden."""
        return [dict(masked(tool)) for tool in tools]

    @classmethod
    def class_name(cls) -> str:
        """The name under which LlamaIndex knows this class."""
        return "MistralAgentLLM"

    @property
    def metadata(self) -> LLMMetadata:
        """What LlamaIndex asks of a model."""
        return LLMMetadata(
            context_window=self.context_window,
            num_output=self.max_tokens if self.max_tokens is not None else -1,
            is_chat_model=True,
            is_function_calling_model=True,
            model_name=self.model if self.model is not None else str(self.agent_id),
        )

    def bind(self, conversation_id: str | None) -> Self:
        """A model of one stored conversation, which sends only what is new; None gives one of no conversation.

        What is new is told by the messages themselves: all after the last one that the conversation holds. Edited
        messages before it follow `on_divergence`.
        """
        return self.model_copy(update={"conversation_id": conversation_id})

    def watched(self, watch: Callable[[dict[str, Any]], None]) -> Self:
        """A model that shows `watch` every event of its streams, as the service sent it."""
        copied = self.model_copy()
        copied._watch = watch
        return copied

    # requests --------------------------------------------------------------------------------------------------

    @property
    def _settings(self) -> ModelSettings:
        return ModelSettings(
            model=self.model,
            agent_id=self.agent_id,
            agent_version=self.agent_version,
            bound_to=self.conversation_id,
            tools=[dict(tool) for tool in self.tools],
            options={name: self.__dict__[name] for name in MODEL_OPTIONS},
            store=self.store,
            handoff_execution=self.handoff_execution,
            metadata=self.conversation_metadata if self.conversation_metadata is not None else {},
            on_divergence=self.on_divergence,
        )

    def _request(self, messages: Sequence[ChatMessage], kwargs: Mapping[str, Any]) -> Steps[Request]:
        return TurnPlan(messages, self._settings, kwargs).make(self.client)

    def setup_digest(self, tools: Sequence[JsonDict]) -> str:
        """What a conversation with these function tools is started with, as its answers carry it."""
        return describe_setup(self._settings, [*self.tools, *tools], None, self.guardrails, self.model).key

    def _chat(self, messages: Sequence[ChatMessage], kwargs: Mapping[str, Any]) -> ChatResponse:
        return run(self._answer(messages, kwargs))

    async def _achat(self, messages: Sequence[ChatMessage], kwargs: Mapping[str, Any]) -> ChatResponse:
        return await arun(self._answer(messages, kwargs))

    def _answer(self, messages: Sequence[ChatMessage], kwargs: Mapping[str, Any]) -> Steps[ChatResponse]:
        """Make the turn of a call, or the two turns of an answer in a given form with hosted tools."""
        form = self._find_form(kwargs)
        if form is None:
            request = yield from self._request(messages, kwargs)
            return finish(request, (yield from self._send(begin(request))))
        thinker = self._drop_form()
        request = yield from thinker._request(messages, thinking_options(kwargs))
        turn = yield from self._send(begin(request))
        if not is_finished(turn):
            return finish(request, turn)
        with carrying(turn):
            found = answer_message(turn, stored=False, stop=request.stop)
            said = [*unmarked(messages), found, ChatMessage(content=FORM_QUESTION)]
            writer = thinker.model_copy(update={"tools": [], "store": False, "conversation_id": None})
            writing = yield from writer._request(said, writing_options(kwargs, form))
            written = yield from self._send(writing.turn)
        return finish(replace(request, draft=turn.text), join_form(turn, written))

    def _send(self, request: TurnRequest) -> Steps[Turn]:
        conversations = self.client.conversations
        turn: Turn = yield Job(partial(conversations.send, request), partial(conversations.asend, request))
        return turn

    def _find_form(self, kwargs: Mapping[str, Any]) -> Any:
        """The form of the answer, where it takes a turn of its own; else None."""
        form = find_form(kwargs, {"response_format": self.response_format, "completion_args": self.completion_args})
        if form is None:
            return None
        tools = [*self.tools, *map(describe_tool, list_tools(kwargs))]
        return form if takes_two_turns(form, tools, is_agent=self.agent_id is not None) else None

    def _drop_form(self) -> Self:
        args = {name: value for name, value in self.completion_args.items() if name != "response_format"}
        return self.model_copy(update={"response_format": None, "completion_args": args})

    def _stream(self, messages: Sequence[ChatMessage], kwargs: Mapping[str, Any]) -> ChatResponseGen:
        if self._find_form(kwargs) is not None:
            return give_one(run(self._answer(messages, kwargs)))
        request = run(self._request(messages, kwargs))
        progress = Progress(request, self._watch)

        def responses() -> ChatResponseGen:
            with self.client.conversations.open(begin(request)) as events:
                for event in events:
                    response = progress.take(event, events.records)
                    if response is not None:
                        yield response
                    if progress.is_over:
                        break
                turn = events.turn
            yield from progress.end(turn)

        return responses()

    async def _astream(self, messages: Sequence[ChatMessage], kwargs: Mapping[str, Any]) -> ChatResponseAsyncGen:
        if self._find_form(kwargs) is not None:
            return agive_one(await arun(self._answer(messages, kwargs)))
        request = await arun(self._request(messages, kwargs))
        progress = Progress(request, self._watch)

        async def responses() -> ChatResponseAsyncGen:
            async with self.client.conversations.aopen(begin(request)) as events:
                async for event in events:
                    response = progress.take(event, events.records)
                    if response is not None:
                        yield response
                    if progress.is_over:
                        break
                turn = events.turn
            for response in progress.end(turn):
                yield response

        return responses()

    @override
    def _start_batch(
        self, inputs: Sequence[BatchInput], job_id: str | None, job: Mapping[str, Any], options: Mapping[str, Any]
    ) -> Steps[MistralBatchJob]:
        return start_job(self, inputs, job_id, job, options)

    # LlamaIndex's interface ------------------------------------------------------------------------------------

    @trace_chat
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Unpack[CallOptions]) -> ChatResponse:  # type: ignore[override]
        """Answer messages.

        Args:
            messages: The history; not changed.
            kwargs: Completion options by the service's names, for this call.

        Raises:
            ConfigurationError: Something can't be sent so; nothing was sent.
            MistralAgentsError: The service or the connection failed.
        """
        return self._chat(messages, kwargs)

    @trace_chat
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Unpack[CallOptions]) -> ChatResponse:  # type: ignore[override]
        """As `chat`, without blocking."""
        return await self._achat(messages, kwargs)

    @trace_stream
    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Unpack[CallOptions]) -> ChatResponseGen:  # type: ignore[override]
        """As `chat`, as it comes: each response has the message so far, the last one is what `chat` returns."""
        return self._stream(messages, kwargs)

    @trace_astream
    async def astream_chat(  # type: ignore[override]
        self, messages: Sequence[ChatMessage], **kwargs: Unpack[CallOptions]
    ) -> ChatResponseAsyncGen:
        """As `stream_chat`, without blocking."""
        return await self._astream(messages, kwargs)

    @trace_completion
    def complete(  # type: ignore[override]
        self,
        prompt: str,
        formatted: bool = False,  # noqa: ARG002
        **kwargs: Unpack[CallOptions],
    ) -> CompletionResponse:
        """Answer a text."""
        return chat_response_to_completion_response(self._chat(prompt_to_messages(prompt), kwargs))

    @trace_completion
    async def acomplete(  # type: ignore[override]
        self,
        prompt: str,
        formatted: bool = False,  # noqa: ARG002
        **kwargs: Unpack[CallOptions],
    ) -> CompletionResponse:
        """As `complete`, without blocking."""
        return chat_response_to_completion_response(await self._achat(prompt_to_messages(prompt), kwargs))

    @trace_completion
    def stream_complete(  # type: ignore[override]
        self,
        prompt: str,
        formatted: bool = False,  # noqa: ARG002
        **kwargs: Unpack[CallOptions],
    ) -> CompletionResponseGen:
        """As `complete`, as it comes."""
        return stream_chat_response_to_completion_response(self._stream(prompt_to_messages(prompt), kwargs))

    @trace_completion
    async def astream_complete(  # type: ignore[override]
        self,
        prompt: str,
        formatted: bool = False,  # noqa: ARG002
        **kwargs: Unpack[CallOptions],
    ) -> CompletionResponseAsyncGen:
        """As `stream_complete`, without blocking."""
        return astream_chat_response_to_completion_response(await self._astream(prompt_to_messages(prompt), kwargs))

    # files and confirmations -----------------------------------------------------------------------------------

    def fetch_files(self, message: ChatMessage) -> ChatMessage:
        """A copy of an answer with the files it names: images as `ImageBlock`, others as `DocumentBlock`.

        A link in place of a file's id expires within the hour.
        """
        return with_files(message, [self.client.files.read(ref) for ref in file_refs(message)])

    async def afetch_files(self, message: ChatMessage) -> ChatMessage:
        """As `fetch_files`, without blocking."""
        return with_files(message, [await self.client.files.aread(ref) for ref in file_refs(message)])

    @staticmethod
    def confirm(message: ChatMessage, *, allow: bool | Collection[str] = True) -> list[ChatMessage]:
        """The messages that allow or deny the hosted tools an answer of a stored conversation waits for.

        Put the answer and these behind it into the next call. A tool whose message is left out goes on waiting, unless
        the call says something else too: then it is denied.

        Args:
            message: The answer, with `additional_kwargs["pending_confirmations"]`.
            allow: Whether all are allowed, or the ids of those that are.

        Raises:
            ConfigurationError: An id is none of a call that waits.
        """
        return confirmations(message, allow=allow)

    # structured output -------------------------------------------------------------------------------------------
    # With a `pydantic_program_mode` other than `DEFAULT`, LlamaIndex's programs do it (function calling, text).

    def _make_structure(self, output_cls: type[Any], *, streams: bool = False) -> Structure | None:
        if self.pydantic_program_mode != PydanticProgramMode.DEFAULT:
            return None
        return Structure(output_cls, is_agent=self.agent_id is not None, streams=streams)

    def _make_structured_messages(
        self, structure: Structure, prompt: PromptTemplate, args: JsonDict
    ) -> list[ChatMessage]:
        return structure.messages(self._extend_messages(prompt.format_messages(llm=self, **args)))

    @trace_span
    def structured_predict(
        self, output_cls: type[Form], prompt: PromptTemplate, llm_kwargs: JsonDict | None = None, **prompt_args: object
    ) -> Form:
        """Answer a prompt with an object of a pydantic class.

        Args:
            output_cls: A pydantic class; a TypedDict, dataclass, Enum, union or `list[...]` works too.
            prompt: The prompt.
            llm_kwargs: Completion options of this call.
            prompt_args: Values of the prompt's variables.

        Raises:
            ResponseFormatError: The answer is no such object; `.body` keeps its text.
        """
        structure = self._make_structure(output_cls)
        if structure is None:
            return cast("Form", super().structured_predict(output_cls, prompt, llm_kwargs, **prompt_args))
        announce_start(output_cls, prompt, prompt_args)
        messages = self._make_structured_messages(structure, prompt, prompt_args)
        answer = self.chat(messages, **structure.kwargs(llm_kwargs))
        return announce_end(cast("Form", structure.read(answer)))

    @trace_span
    async def astructured_predict(
        self, output_cls: type[Form], prompt: PromptTemplate, llm_kwargs: JsonDict | None = None, **prompt_args: object
    ) -> Form:
        """As `structured_predict`, without blocking."""
        structure = self._make_structure(output_cls)
        if structure is None:
            return cast("Form", await super().astructured_predict(output_cls, prompt, llm_kwargs, **prompt_args))
        announce_start(output_cls, prompt, prompt_args)
        messages = self._make_structured_messages(structure, prompt, prompt_args)
        answer = await self.achat(messages, **structure.kwargs(llm_kwargs))
        return announce_end(cast("Form", structure.read(answer)))

    def _structured_stream_call(
        self, output_cls: type[Any], prompt: PromptTemplate, llm_kwargs: JsonDict | None = None, **prompt_args: object
    ) -> Any:
        structure = self._make_structure(output_cls, streams=True)
        if structure is None:
            return super()._structured_stream_call(output_cls, prompt, llm_kwargs, **prompt_args)
        messages = self._make_structured_messages(structure, prompt, prompt_args)
        return parse_partials(structure, self.stream_chat(messages, **structure.kwargs(llm_kwargs)))

    async def _structured_astream_call(
        self, output_cls: type[Any], prompt: PromptTemplate, llm_kwargs: JsonDict | None = None, **prompt_args: object
    ) -> Any:
        structure = self._make_structure(output_cls, streams=True)
        if structure is None:
            return await super()._structured_astream_call(output_cls, prompt, llm_kwargs, **prompt_args)
        messages = self._make_structured_messages(structure, prompt, prompt_args)
        return aparse_partials(structure, await self.astream_chat(messages, **structure.kwargs(llm_kwargs)))

    # functions -------------------------------------------------------------------------------------------------

    def _prepare_chat_with_tools(
        self,
        tools: Sequence[BaseTool],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        verbose: bool = False,  # noqa: ARG002
        allow_parallel_tool_calls: bool = False,
        tool_required: bool = False,
        **kwargs: object,
    ) -> dict[str, Any]:
        messages = list(chat_history) if chat_history is not None else []
        if user_msg is not None:
            messages.append(user_msg if isinstance(user_msg, ChatMessage) else ChatMessage(content=user_msg))
        options: JsonDict = kwargs
        choice, strict = options.pop("tool_choice", None), options.pop("strict", None)
        return {
            "messages": messages,
            "tools": [describe_tool(tool, strict=strict) for tool in read_tools(tools, "chat_with_tools")],
            "tool_choice": "required" if choice is None and tool_required else choice,
            "parallel_tool_calls": allow_parallel_tool_calls,
            **options,
        }

    def get_tool_calls_from_response(
        self,
        response: ChatResponse,
        error_on_no_tool_call: bool = True,
        **kwargs: object,  # noqa: ARG002
    ) -> list[ToolSelection]:
        """The function calls of an answer; of one that still grows, with the arguments so far.

        Raises:
            ValueError: There is none, and `error_on_no_tool_call`.
        """
        calls = tool_calls(response.message)
        grows = response.message.additional_kwargs.get("incomplete") is True
        found = [select_growing_call(*call) if grows else select_call(*call) for call in calls]
        faults = [fault for call in calls if not grows and (fault := find_call_fault(*call[1:])) is not None]
        if error_on_no_tool_call and len(faults) == len(found):
            told = f"its calls can't be read: {' '.join(faults)}" if faults else "it has none"
            raise ValueError(f"Expected at least one tool call in the answer; {told} {response.message.content!r}")
        return found

    def predict_and_call(
        self,
        tools: Sequence[BaseTool],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        verbose: bool = False,
        allow_parallel_tool_calls: bool = False,
        error_on_no_tool_call: bool = True,
        error_on_tool_error: bool = False,
        **kwargs: Any,
    ) -> AgentChatResponse:
        """Run the functions that an answer calls; a call that can't be read, or of no known function, fails.

        Raises:
            ValueError: Nothing is called that can be read, and `error_on_no_tool_call`; or a function failed, and
                `error_on_tool_error`.
        """
        kwargs["allow_parallel_tool_calls"] = allow_parallel_tool_calls
        response = self.chat_with_tools(tools, user_msg, chat_history, verbose, **kwargs)
        calls = self.get_tool_calls_from_response(response, error_on_no_tool_call=error_on_no_tool_call)
        outputs = [run_selection(call, tools, verbose=verbose) for call in calls]
        return report_outputs(response, outputs, raises=error_on_tool_error)

    async def apredict_and_call(
        self,
        tools: Sequence[BaseTool],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        verbose: bool = False,
        allow_parallel_tool_calls: bool = False,
        error_on_no_tool_call: bool = True,
        error_on_tool_error: bool = False,
        **kwargs: Any,
    ) -> AgentChatResponse:
        """As `predict_and_call`, without blocking."""
        kwargs["allow_parallel_tool_calls"] = allow_parallel_tool_calls
        response = await self.achat_with_tools(tools, user_msg, chat_history, verbose, **kwargs)
        calls = self.get_tool_calls_from_response(response, error_on_no_tool_call=error_on_no_tool_call)
        outputs = list(await asyncio.gather(*(arun_selection(call, tools, verbose=verbose) for call in calls)))
        return report_outputs(response, outputs, raises=error_on_tool_error)
