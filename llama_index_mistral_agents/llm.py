"""Mistral's conversations as a LlamaIndex model."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

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
from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.llms.utils import parse_partial_json
from llama_index.core.settings import Settings
from pydantic import Field, PrivateAttr, field_serializer
from typing_extensions import Self, Unpack

from llama_index_mistral_agents import _options
from llama_index_mistral_agents._files import file_refs, with_files
from llama_index_mistral_agents._local_tools import arun_selection, report_outputs, run_selection
from llama_index_mistral_agents._messages import confirmations, tool_calls
from llama_index_mistral_agents._options import call_options, describe_tool
from llama_index_mistral_agents._plan import Plan, Request, Target, setup_of
from llama_index_mistral_agents._structured import StructuredPrediction
from llama_index_mistral_agents._turns import Progress, begin, finish
from llama_index_mistral_agents.batching import BatchInput, MistralBatchJob, start_job
from mistral_agents import MistralAgents
from mistral_agents._api.model_facts import FACTS
from mistral_agents._api.records import masked
from mistral_agents._border.calls import UNNAMED, find_call_fault, parse_call_arguments
from mistral_agents._border.continuation import OnDivergence
from mistral_agents._border.options import resolve_options
from mistral_agents._json import JsonDict
from mistral_agents._steps import Steps, arun, run
from mistral_agents.client import choose_client
from mistral_agents.errors import ConfigurationError
from mistral_agents.options import CallOptions, ModelOptions

if TYPE_CHECKING:
    from llama_index.core.callbacks import CallbackManager
    from llama_index.core.chat_engine.types import AgentChatResponse
    from llama_index.core.llms.llm import CompletionToPromptType, MessagesToPromptType
    from llama_index.core.prompts import BasePromptTemplate
    from llama_index.core.tools.types import BaseTool
    from llama_index.core.types import BaseOutputParser, PydanticProgramMode

Method = TypeVar("Method", bound=Callable[..., Any])

DEFAULT_CONTEXT_WINDOW = 128_000
_CLIENT_OPTIONS = (
    "api_key",
    "base_url",
    "timeout",
    "max_retries",
    "retry_stateless",
    "headers",
    "http_client",
    "async_http_client",
)
_FIXED = (
    "temperature",
    "top_p",
    "max_tokens",
    "random_seed",
    "presence_penalty",
    "frequency_penalty",
    "reasoning_effort",
    "response_format",
    "prediction",
    "tool_choice",
    "parallel_tool_calls",
    "stop",
    "guardrails",
    "completion_args",
)
_BOTH = "Give model or agent_id, and not both: an agent brings its own model."


def _trace_chat(method: Method) -> Method:
    """LlamaIndex's decorator, whose types forget what the method takes."""
    return cast("Method", llm_chat_callback()(method))


def _trace_completion(method: Method) -> Method:
    return cast("Method", llm_completion_callback()(method))


class LLMOptions(ModelOptions, total=False):
    """What `MistralAgentLLM` takes, beside `model`."""

    tools: Sequence[Mapping[str, Any]] | None
    connectors: Sequence[Mapping[str, Any]] | None
    context_window: int
    client: MistralAgents | None
    callback_manager: CallbackManager | None
    rate_limiter: Any
    system_prompt: str | None
    messages_to_prompt: MessagesToPromptType | None
    completion_to_prompt: CompletionToPromptType | None
    output_parser: BaseOutputParser | None
    pydantic_program_mode: PydanticProgramMode
    query_wrapper_prompt: BasePromptTemplate | None


class MistralAgentLLM(StructuredPrediction):
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
            trimmed, other tools): `restart` branches at the last shared answer (a new conversation where there is
            none), `new` begins anew, `raise` raises.
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

    Example:
        >>> from mistral_agents import CodeInterpreter
        >>> llm = MistralAgentLLM(model="mistral-medium-latest", tools=[CodeInterpreter()])
        >>> print(llm.complete("What is the variance of 3, 4 and 9?"))
    """

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
        own = {name: found.pop(name) for name in _CLIENT_OPTIONS if name in found}
        found["client"] = choose_client(found.get("client"), **own)
        found["tools"] = [_check_hosted(tool) for tool in found.get("tools", ())]
        if "metadata" in found:
            found["conversation_metadata"] = dict(found.pop("metadata"))
        facts = FACTS.get(found.get("model", ""))
        if found.get("context_window") is None and facts is not None:
            found["context_window"] = facts.context
        if found.get("callback_manager") is None:
            found["callback_manager"] = Settings.callback_manager
        super().__init__(**found)

    @field_serializer("tools")
    def _tools_without_secrets(self, tools: list[dict[str, Any]]) -> list[dict[str, Any]]:
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

    def _target(self) -> Target:
        return Target(
            self.model,
            self.agent_id,
            self.agent_version,
            self.store,
            self.conversation_id,
            self.handoff_execution,
            self.on_divergence,
        )

    def _options(self, kwargs: Mapping[str, Any]) -> _options.CallOptions:
        fixed = {name: self.__dict__[name] for name in _FIXED}
        fixed["metadata"] = self.conversation_metadata
        return call_options(fixed, self.tools, kwargs, is_agent=self.agent_id is not None)

    def _request(self, messages: Sequence[ChatMessage], kwargs: Mapping[str, Any]) -> Steps[Request]:
        return Plan(messages, self._target(), self._options(kwargs)).make(self.client)

    def setup_digest(self, tools: Sequence[Mapping[str, Any]]) -> str:
        """What a conversation with these function tools is started with, as its answers carry it."""
        return replace(setup_of(self._target(), [*self.tools, *tools]), guardrails=self.guardrails).key

    def _chat(self, messages: Sequence[ChatMessage], kwargs: Mapping[str, Any]) -> ChatResponse:
        request = run(self._request(messages, kwargs))
        return finish(request, self.client.conversations.send(begin(request)))

    async def _achat(self, messages: Sequence[ChatMessage], kwargs: Mapping[str, Any]) -> ChatResponse:
        request = await arun(self._request(messages, kwargs))
        return finish(request, await self.client.conversations.asend(begin(request)))

    def _stream(self, messages: Sequence[ChatMessage], kwargs: Mapping[str, Any]) -> ChatResponseGen:
        request = run(self._request(messages, kwargs))

        def responses() -> ChatResponseGen:
            progress = Progress(request, self._watch)
            with self.client.conversations.open(begin(request)) as events:
                for event in events:
                    response = progress.take(event, events.records)
                    if response is not None:
                        yield response
                turn = events.turn
            yield finish(request, turn)

        return responses()

    async def _astream(self, messages: Sequence[ChatMessage], kwargs: Mapping[str, Any]) -> ChatResponseAsyncGen:
        request = await arun(self._request(messages, kwargs))

        async def responses() -> ChatResponseAsyncGen:
            progress = Progress(request, self._watch)
            async with self.client.conversations.aopen(begin(request)) as events:
                async for event in events:
                    response = progress.take(event, events.records)
                    if response is not None:
                        yield response
                turn = events.turn
            yield finish(request, turn)

        return responses()

    # many at once ----------------------------------------------------------------------------------------------

    def batch_job(
        self,
        inputs: Sequence[BatchInput],
        *,
        job_id: str | None = None,
        timeout_hours: int | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> MistralBatchJob:
        """Ask all inputs in one batch job of the service, each in a conversation of its own.

        That the service's jobs take conversations is unverified (probe `batch` of `python -m mistral_agents.verify`).

        Args:
            inputs: What `chat` takes, many times.
            job_id: A job that was started with the same inputs, perhaps by another process; None starts one.
            timeout_hours: When the service gives it up, 1 to 168.
            metadata: Your own keys of the job.

        Raises:
            ConfigurationError: An input can't be sent so, or goes on with a stored conversation.
        """
        return run(start_job(self, inputs, job_id, {"timeout_hours": timeout_hours, "metadata": metadata}))

    async def abatch_job(
        self,
        inputs: Sequence[BatchInput],
        *,
        job_id: str | None = None,
        timeout_hours: int | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> MistralBatchJob:
        """As `batch_job`, without blocking."""
        return await arun(start_job(self, inputs, job_id, {"timeout_hours": timeout_hours, "metadata": metadata}))

    # LlamaIndex's interface ------------------------------------------------------------------------------------

    @_trace_chat
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

    @_trace_chat
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Unpack[CallOptions]) -> ChatResponse:  # type: ignore[override]
        """As `chat`, without blocking."""
        return await self._achat(messages, kwargs)

    @_trace_chat
    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Unpack[CallOptions]) -> ChatResponseGen:  # type: ignore[override]
        """As `chat`, as it comes: each response has the message so far, the last one is what `chat` returns."""
        return self._stream(messages, kwargs)

    @_trace_chat
    async def astream_chat(  # type: ignore[override]
        self, messages: Sequence[ChatMessage], **kwargs: Unpack[CallOptions]
    ) -> ChatResponseAsyncGen:
        """As `stream_chat`, without blocking."""
        return await self._astream(messages, kwargs)

    @_trace_completion
    def complete(  # type: ignore[override]
        self,
        prompt: str,
        formatted: bool = False,  # noqa: ARG002
        **kwargs: Unpack[CallOptions],
    ) -> CompletionResponse:
        """Answer a text."""
        return chat_response_to_completion_response(self._chat(prompt_to_messages(prompt), kwargs))

    @_trace_completion
    async def acomplete(  # type: ignore[override]
        self,
        prompt: str,
        formatted: bool = False,  # noqa: ARG002
        **kwargs: Unpack[CallOptions],
    ) -> CompletionResponse:
        """As `complete`, without blocking."""
        return chat_response_to_completion_response(await self._achat(prompt_to_messages(prompt), kwargs))

    @_trace_completion
    def stream_complete(  # type: ignore[override]
        self,
        prompt: str,
        formatted: bool = False,  # noqa: ARG002
        **kwargs: Unpack[CallOptions],
    ) -> CompletionResponseGen:
        """As `complete`, as it comes."""
        return stream_chat_response_to_completion_response(self._stream(prompt_to_messages(prompt), kwargs))

    @_trace_completion
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

        Put the answer and these behind it into the next call. Tools left without a decision are denied there.

        Args:
            message: The answer, with `additional_kwargs["pending_confirmations"]`.
            allow: Whether all are allowed, or the ids of those that are.
        """
        return confirmations(message, allow=allow)

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
            "tools": [describe_tool(tool, strict=strict) for tool in tools],
            "tool_choice": "required" if choice is None and tool_required and tools else choice,
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
        found = [_select_growing(*call) if grows else _select(*call) for call in calls]
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


def _select(call_id: str, name: str, arguments: str) -> ToolSelection:
    """A call of a complete answer; one that can't be read is named so that no tool runs and the model is told why."""
    fault = find_call_fault(name, arguments)
    if fault is not None:
        return ToolSelection(tool_id=call_id, tool_name=f"{name or UNNAMED} (not run: {fault})", tool_kwargs={})
    return ToolSelection(tool_id=call_id, tool_name=name, tool_kwargs=parse_call_arguments(arguments))


def _select_growing(call_id: str, name: str, arguments: str) -> ToolSelection:
    """A call that is still being written, with the arguments so far; it is only shown."""
    try:
        value: Any = parse_partial_json(arguments)
    except (ValueError, RecursionError):
        value = None
    return ToolSelection(tool_id=call_id, tool_name=name, tool_kwargs=value if isinstance(value, dict) else {})


def _check_hosted(tool: object) -> JsonDict:
    if not isinstance(tool, Mapping):
        raise ConfigurationError(
            f"tools takes hosted tools, not {type(tool).__name__}.", hint="Function tools go to chat_with_tools."
        )
    return dict(tool)
