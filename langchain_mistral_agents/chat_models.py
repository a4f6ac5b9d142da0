"""`ChatMistralAgent`: Mistral's server-side agents and conversations as a LangChain chat model."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast, overload

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, BaseRunManager, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.config import ensure_config
from langchain_core.tools import BaseTool
from typing_extensions import Unpack, override

from langchain_mistral_agents._settings import AgentSettings, ChatOptions, Method
from mistral_agents._api.asks_in_batches import AsksInBatches
from mistral_agents._border.options import resolve_options
from mistral_agents._border.seals import seal_headers
from mistral_agents._border.tool_choices import function_name, read_tools
from mistral_agents._http.concealed import conceal_options, conceal_settings
from mistral_agents._json import JsonDict
from mistral_agents._lazy import load_modules
from mistral_agents.errors import ConfigurationError
from mistral_agents.options import BoundOptions, CallOptions, ToolChoice

if TYPE_CHECKING:
    from langchain_mistral_agents.batching import BoundModel, MistralBatchJob
    from mistral_agents._steps import Steps

Form = TypeVar("Form")


def _prepare_call(config: RunnableConfig | None, kwargs: Mapping[str, Any]) -> JsonDict:
    """The options of a call before anything is traced: under their own names, checked, headers sealed.

    `configurable.conversation_id` counts as the keyword of that name. `metadata` goes on under its other name, since
    LangChain uses this one for traces.
    """
    ready = resolve_options(kwargs, what="ChatMistralAgent", where="call", others=_TRACED)
    if "metadata" in ready:
        ready["conversation_metadata"] = ready.pop("metadata")
    if "headers" in ready:
        ready["headers"] = seal_headers(ready["headers"])
    found = ensure_config(config).get("configurable", {}).get("conversation_id")
    return ready if found is None or "conversation_id" in ready else {**ready, "conversation_id": found}


_TRACED = ("stream", "ls_structured_output_format", "structured_output_format", "version", "stop")
"""What LangChain itself takes out of a call's options, or passes on beside them."""


class ChatMistralAgent(AgentSettings, AsksInBatches[LanguageModelInput, "MistralBatchJob"]):
    """A model or an agent on Mistral's servers, with their hosted tools, as a chat model.

    Give `model` (the request brings instructions and tools) or `agent_id` (the agent does). With `store=False` every
    call sends the whole history and the service keeps nothing; with `store=True` the service keeps the conversation
    and only what is new goes out: the conversation's id travels in the answers' `response_metadata`, never on the
    model.

    Args:
        model: Name of the model, e.g. `mistral-medium-latest`.
        agent_id: Id of an agent, instead of `model`.
        agent_version: A version (they start at 0) or an alias of the agent.
        conversation_id: A stored conversation to go on with. Per call it may be given as a keyword, as
            `config["configurable"]["conversation_id"]`, or by the messages; the first of these wins, the field is last.
        temperature: Sampling temperature; so for `top_p`, `max_tokens`, `random_seed` (or `seed`), `presence_penalty`,
            `frequency_penalty`, `reasoning_effort`, `response_format`: None leaves them to the service.
        guardrails: Moderation rules, as the service takes them.
        parallel_tool_calls: False keeps the first function call of a turn.
        stop: Texts that end the answer. With an agent this package enforces them.
        timeout: Seconds for a whole call, retries included; of a stream, until it begins.
        max_retries: How often a request is sent again when this is safe; a kept turn is never applied twice.
        retry_stateless: Whether a turn that the service does not keep, with tools without effects, counts as safe.
        api_key: The key, or a function that returns it; else MISTRAL_API_KEY.
        base_url: Address of the service, without `/v1`; else MISTRAL_BASE_URL.
        streaming: Whether `invoke` streams inside.
        connectors: Hosted tools that every request offers (`WebSearch()`, `CodeInterpreter()`, ...).
        instructions: System prompt; system messages are added to it.
        store: Whether the service keeps the conversation.
        completion_args: Further options by the service's names; `model_kwargs` is the same.
        handoff_execution: `server` or `client`: who runs an agent's handoffs.
        metadata: Keys for traces; with `store=True` they are kept with a new conversation too.
        on_divergence: What to do with `store=True` when the messages are no continuation: `restart` branches at the
            last shared answer (a new conversation where there is none), `new` begins anew, `raise` raises.
        include_response_headers: Whether `response_metadata["headers"]` holds the reply's headers.
        default_headers: Headers of every request.
        http_client: Your own HTTP client; `async_http_client` for asynchronous calls.
        client: Your own `MistralAgents`, which has its own key, address, timeout, ...; these are refused beside it.

    All options, their other names and where they go stand in `docs/options.md`; unknown ones are refused by name.

    Raises:
        ConfigurationError: A name is unknown, or an option can't be honoured; nothing was sent.
        MistralAgentsError: The service or the connection failed; also one of LangChain's `Model…Error` kinds.

    Examples:
        >>> model = ChatMistralAgent(model="mistral-medium-latest", connectors=[WebSearch()])
        >>> model.invoke("Who won the Tour de France this year?").content_blocks
    """

    # Here, not in the base: type checkers make a signature of the fields for a class without one of its own.
    def __init__(self, **options: Unpack[ChatOptions]) -> None:
        options = conceal_settings(options)
        super().__init__(**self._resolve(options))
        load_modules("langchain_mistral_agents._turns", "mistral_agents.conversations")

    # Of options, LangChain's own signatures say `**kwargs: object`; these name them, so that an editor completes them.

    @override
    def invoke(  # type: ignore[override]
        self, input: LanguageModelInput, config: RunnableConfig | None = None, **kwargs: Unpack[CallOptions]
    ) -> AIMessage:
        kwargs = conceal_options(kwargs)
        return super().invoke(input, config, **_prepare_call(config, kwargs))

    @override
    async def ainvoke(  # type: ignore[override]
        self, input: LanguageModelInput, config: RunnableConfig | None = None, **kwargs: Unpack[CallOptions]
    ) -> AIMessage:
        kwargs = conceal_options(kwargs)
        return await super().ainvoke(input, config, **_prepare_call(config, kwargs))

    @override
    def stream(  # type: ignore[override]
        self, input: LanguageModelInput, config: RunnableConfig | None = None, **kwargs: Unpack[CallOptions]
    ) -> Iterator[AIMessageChunk]:
        kwargs = conceal_options(kwargs)
        model, config = self._follow(config)
        return super(ChatMistralAgent, model).stream(input, config, **_prepare_call(config, kwargs))

    @override
    async def astream(  # type: ignore[override]
        self, input: LanguageModelInput, config: RunnableConfig | None = None, **kwargs: Unpack[CallOptions]
    ) -> AsyncIterator[AIMessageChunk]:
        kwargs = conceal_options(kwargs)
        model, config = self._follow(config)
        async for chunk in super(ChatMistralAgent, model).astream(input, config, **_prepare_call(config, kwargs)):
            yield chunk

    # Of the events, the first versions are those of `stream`; the third one asks by itself.

    @override
    def stream_events(
        self, input: LanguageModelInput, config: RunnableConfig | None = None, *, version: str = "v2", **kwargs: Any
    ) -> Any:
        kwargs = conceal_options(kwargs)
        ready = _prepare_call(config, kwargs) if version == "v3" else kwargs
        return super().stream_events(input, config, version=cast("Any", version), **ready)

    @override
    def astream_events(
        self, input: LanguageModelInput, config: RunnableConfig | None = None, *, version: str = "v2", **kwargs: Any
    ) -> Any:
        kwargs = conceal_options(kwargs)
        ready = _prepare_call(config, kwargs) if version == "v3" else kwargs
        return super().astream_events(input, config, version=cast("Any", version), **ready)

    @override
    def batch(  # type: ignore[override]
        self,
        inputs: list[LanguageModelInput],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Unpack[CallOptions],
    ) -> list[AIMessage]:
        kwargs = conceal_options(kwargs)
        return super().batch(inputs, config, return_exceptions=return_exceptions, **cast("JsonDict", kwargs))

    @override
    async def abatch(  # type: ignore[override]
        self,
        inputs: list[LanguageModelInput],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Unpack[CallOptions],
    ) -> list[AIMessage]:
        kwargs = conceal_options(kwargs)
        return await super().abatch(inputs, config, return_exceptions=return_exceptions, **cast("JsonDict", kwargs))

    @override
    def bind(  # type: ignore[override]
        self, **kwargs: Unpack[CallOptions]
    ) -> BoundModel:
        from langchain_mistral_agents._tools import seal_bound
        from langchain_mistral_agents.batching import BoundModel

        return BoundModel(bound=self, kwargs=seal_bound(kwargs), config={})

    @override
    def with_config(self, config: RunnableConfig | None = None, **kwargs: Any) -> BoundModel:
        from langchain_mistral_agents.batching import BoundModel

        return BoundModel(bound=self, kwargs={}, config=cast("RunnableConfig", {**(config or {}), **kwargs}))

    def _get_request_payload(
        self, messages: LanguageModelInput, *, stop: list[str] | None = None, **kwargs: object
    ) -> dict[str, Any]:
        """What a call would send, without sending it: the operation and its body."""
        from langchain_mistral_agents._plan import TurnPlan, read_fields

        given = self._convert_input(messages).to_messages()
        return TurnPlan(read_fields(self), given, stop, kwargs).preview().payload

    @override
    def _start_batch(
        self,
        inputs: Sequence[LanguageModelInput],
        job_id: str | None,
        job: Mapping[str, Any],
        options: Mapping[str, Any],
    ) -> Steps[MistralBatchJob]:
        from langchain_mistral_agents.batching import start_job

        return start_job(self, inputs, job_id, job, options)

    # the four ways to ask

    @override
    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: object,
    ) -> ChatResult:
        from langchain_mistral_agents._turns import generate

        return generate(self, messages, stop, run_manager, kwargs)

    @override
    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: object,
    ) -> ChatResult:
        from langchain_mistral_agents._turns import agenerate

        return await agenerate(self, messages, stop, run_manager, kwargs)

    @override
    def _generate_with_cache(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: object,
    ) -> ChatResult:
        """A kept turn is never taken from a cache: a cached answer would not reach the conversation."""
        model = self._place(kwargs, run_manager)
        return BaseChatModel._generate_with_cache(model, messages, stop, run_manager, **kwargs)

    @override
    async def _agenerate_with_cache(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: object,
    ) -> ChatResult:
        model = self._place(kwargs, run_manager)
        return await BaseChatModel._agenerate_with_cache(model, messages, stop, run_manager, **kwargs)

    def _follow(self, config: RunnableConfig | None) -> tuple[ChatMistralAgent, RunnableConfig]:
        """The model and the config of a streamed call, whose hosted tools are to be runs below its own."""
        from langchain_mistral_agents._traces import foresee_run

        known, shown = foresee_run(config, self)
        return self if shown is None else self._below(shown), known

    def _place(self, kwargs: Mapping[str, Any], run_manager: BaseRunManager | None) -> ChatMistralAgent:
        model = self._without(cache=False) if self._keeps(kwargs) else self
        return model if run_manager is None or not run_manager.handlers else model._below(run_manager)

    def _keeps(self, kwargs: Mapping[str, Any]) -> bool:
        """Whether the service keeps the turn of a call; the model's own settings may be those of a copy."""
        stored, named = kwargs.get("store"), kwargs.get("conversation_id")
        return bool(self.store if stored is None else stored) or (named or self.conversation_id) is not None

    def _below(self, run: BaseRunManager) -> ChatMistralAgent:
        """A model of one call, whose streams show their hosted tools below this run."""
        copied = self.model_copy()
        copied._run = run
        return copied

    def _without(self, **changes: object) -> ChatMistralAgent:
        args = {name: value for name, value in self.completion_args.items() if name not in changes}
        return self.model_copy(update={**changes, "completion_args": args})

    @override
    def _combine_llm_outputs(self, llm_outputs: list[dict[str, Any] | None]) -> dict[str, Any]:
        """The model that answered (in agent mode the model's own name is the agent's id) and all tokens."""
        known = [output for output in llm_outputs if output]
        counts: Counter[str] = Counter()
        for output in known:
            counts.update(output.get("token_usage", {}))
        return {**known[0], **({"token_usage": dict(counts)} if counts else {})} if known else {}

    @override
    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: object,
    ) -> Iterator[ChatGenerationChunk]:
        from langchain_mistral_agents._turns import stream_chunks

        return stream_chunks(self, messages, stop, run_manager, kwargs)

    @override
    def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: object,
    ) -> AsyncIterator[ChatGenerationChunk]:
        from langchain_mistral_agents._turns import astream_chunks

        return astream_chunks(self, messages, stop, run_manager, kwargs)

    # LangChain's event protocol (v3)

    def _stream_chat_model_events(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: object,
    ) -> Iterator[dict[str, Any]]:
        from langchain_mistral_agents._turns import stream_events

        return stream_events(self, messages, stop, run_manager, kwargs)

    def _astream_chat_model_events(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: object,
    ) -> AsyncIterator[dict[str, Any]]:
        from langchain_mistral_agents._turns import astream_events

        return astream_events(self, messages, stop, run_manager, kwargs)

    # tools and structured output

    @override
    def bind_tools(  # type: ignore[override]
        self,
        tools: Sequence[Mapping[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: ToolChoice | None = None,
        strict: bool | None = None,
        **kwargs: Unpack[BoundOptions],
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Bind functions (run by you) and hosted tools (run by the service).

        Args:
            tools: Functions, tools, pydantic classes, JSON schemas; `WebSearch()` and its like, or their dicts.
            tool_choice: `auto`, `none`, `any`, `required`, or a function's name (then only that one is offered).
            strict: Whether arguments must follow the schema exactly.
            kwargs: Further options of each call, e.g. `response_format`.
        """
        from langchain_mistral_agents._tools import as_tool

        given = read_tools(tools, "bind_tools")
        bound: JsonDict = {"tools": [as_tool(tool, strict=strict) for tool in given], **kwargs}
        if tool_choice is not None:
            bound["tool_choice"] = tool_choice
        return self.bind(**bound)

    @overload  # type: ignore[override]
    def with_structured_output(
        self,
        schema: type[Form],
        *,
        method: Method = "json_schema",
        include_raw: Literal[False] = False,
        strict: bool | None = None,
        tools: Sequence[Mapping[str, Any] | BaseTool] | None = None,
        **kwargs: Unpack[BoundOptions],
    ) -> Runnable[LanguageModelInput, Form]: ...

    @overload
    def with_structured_output(
        self,
        schema: object = None,
        *,
        method: Method = "json_schema",
        include_raw: Literal[True],
        strict: bool | None = None,
        tools: Sequence[Mapping[str, Any] | BaseTool] | None = None,
        **kwargs: Unpack[BoundOptions],
    ) -> Runnable[LanguageModelInput, JsonDict]: ...

    @overload
    def with_structured_output(
        self,
        schema: object = None,
        *,
        method: Method = "json_schema",
        include_raw: bool = False,
        strict: bool | None = None,
        tools: Sequence[Mapping[str, Any] | BaseTool] | None = None,
        **kwargs: Unpack[BoundOptions],
    ) -> Runnable[LanguageModelInput, Any]: ...

    @override
    def with_structured_output(
        self,
        schema: object = None,
        *,
        method: Method = "json_schema",
        include_raw: bool = False,
        strict: bool | None = None,
        tools: Sequence[Mapping[str, Any] | BaseTool] | None = None,
        **kwargs: Unpack[BoundOptions],
    ) -> Runnable[LanguageModelInput, Any]:
        """Answers of a given form.

        With hosted tools (of the model or of `tools`) a first turn uses them and a second one writes the answer.

        Args:
            schema: A pydantic class, a TypedDict, dataclass, Enum, union, `list[...]` or a JSON schema, with or without
                title, or as `{"name", "schema", "strict"}`; None only with `json_mode`. Pydantic classes, dataclasses,
                enumerations and their like come back as objects, the others as plain values.
            method: `json_schema` (the service holds to it), `function_calling`, or `json_mode`.
            include_raw: Give `{"raw", "parsed", "parsing_error"}` and raise nothing for an answer of another form.
            strict: Whether the service must follow the schema exactly; None does so where the schema can say it.
            tools: Tools that may be used on the way.
            kwargs: Further options of each call.
        """
        from langchain_mistral_agents._structured import bound_options, check_method, form_of, parsed, parser_for
        from langchain_mistral_agents._tools import as_tool

        check_method(schema, method)
        given = read_tools(tools, "with_structured_output") if tools is not None else []
        ready = [as_tool(tool) for tool in [*self.connectors, *given]]
        functions = [name for tool in ready if (name := function_name(tool)) is not None]
        if functions:
            raise ConfigurationError(f"Only hosted tools can be used on the way, not {', '.join(functions)}.")
        if ready and method == "function_calling":  # the turn that writes the form offers no tools
            method = "json_schema"
        wanted = strict if method == "json_schema" else bool(strict)
        form = form_of(schema, strict=wanted) if schema is not None else None
        options: JsonDict = {
            **bound_options(schema, form, method),
            **({"tools": given} if given else {}),
            **kwargs,
        }
        return parsed(self.bind(**options), parser_for(form, method), include_raw=include_raw)

    # files

    def fetch_file(self, block: Mapping[str, Any]) -> bytes:
        """The bytes of an image or file block of an answer.

        Raises:
            ConfigurationError: The block has no `file_id`; what has only a `url` is fetched from there.
        """
        return bytes(self.mistral.files.download(_read_file_id(block)))

    async def afetch_file(self, block: Mapping[str, Any]) -> bytes:
        """As `fetch_file`, without blocking."""
        return bytes(await self.mistral.files.adownload(_read_file_id(block)))


def _read_file_id(block: Mapping[str, Any]) -> str:
    if not isinstance(block, Mapping):
        raise ConfigurationError(f"block must be one of message.content_blocks, not {type(block).__name__}.")
    found = block.get("file_id")
    if not isinstance(found, str):
        raise ConfigurationError(f"This {block.get('type')} block has no file_id.")
    return found
