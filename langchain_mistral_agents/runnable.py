"""`MistralAgentRunnable`: one agent as a Runnable that keeps its conversation and runs its functions."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, aclosing, nullcontext
from functools import partial
from typing import Any, ClassVar, Literal, cast

from langchain_core.callbacks import AsyncCallbackManagerForChainRun, CallbackManagerForChainRun
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, convert_to_messages
from langchain_core.prompt_values import PromptValue
from langchain_core.runnables import Runnable, RunnableConfig, RunnableSerializable
from langchain_core.runnables.config import ensure_config, patch_config
from langchain_core.tools import BaseTool
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, SecretStr, model_validator
from typing_extensions import Required, Unpack, override

from langchain_mistral_agents._answer_chunk import merge_chunks
from langchain_mistral_agents._local_tools import (
    answer_with_text,
    arun_tools,
    as_runnable_tools,
    check_local_tools,
    run_tools,
    runnable_here,
)
from langchain_mistral_agents._remaking import Remaking
from langchain_mistral_agents._rounds import PAUSED, Rounds
from langchain_mistral_agents._serialization import Address, Headers
from langchain_mistral_agents._settings import check_client
from langchain_mistral_agents._tools import SealedBinding, as_tool, seal_bound
from langchain_mistral_agents._traces import with_turn
from langchain_mistral_agents.chat_models import ChatMistralAgent
from langchain_mistral_agents.threads import ConversationStore, InMemoryConversations
from mistral_agents import MistralAgents
from mistral_agents._api.agents import AgentSetup
from mistral_agents._api.turn_options import HandoffExecution
from mistral_agents._border.options import TABLE, resolve_options
from mistral_agents._border.seals import unseal_tool
from mistral_agents._conversation.lock import Hold, TurnLock, lock_of
from mistral_agents._conversation.streams import AsyncLeavableStream, LeavableStream
from mistral_agents._http.concealed import conceal_options, conceal_settings
from mistral_agents._json import JsonDict
from mistral_agents._steps import Job, Steps, arun, run
from mistral_agents._warnings import warn_user
from mistral_agents.errors import ConfigurationError, ToolBudgetExceededError
from mistral_agents.options import CallOptions, ClientOptions

Input = str | dict[str, Any] | PromptValue | Sequence[Any]


_FIELDS = {"headers": "default_headers"}


class RunnableOptions(ClientOptions, total=False):
    """What `MistralAgentRunnable` takes."""

    agent_id: Required[str]
    agent_version: int | str | None
    tools: Sequence[Any] | None
    max_rounds: int
    store: bool | None
    conversations: ConversationStore
    guardrails: Sequence[Mapping[str, Any]] | None
    handoff_execution: HandoffExecution | None
    client: MistralAgents | None
    name: str | None


class MistralAgentRunnable(Remaking, RunnableSerializable[Any, AIMessage]):
    """An agent on Mistral's servers: text, a dict, messages or a prompt in, an `AIMessage` out.

    The conversation is kept by the service. Which one a call goes on with is told by
    `config["configurable"]["conversation_id"]`, or by `"thread_id"` through `conversations`, or by an earlier answer
    among the messages; else the call begins a new one, whose id the answer carries in `response_metadata`. Calls of
    one thread, or of one conversation, follow one another within this process.

    The agent's function tools run here, all calls of a turn at once; what a tool raises goes back as its result.
    Calls of functions that are not in `tools` are returned for you to answer.

    Args:
        agent_id: The agent.
        agent_version: A version (they start at 0) or an alias.
        tools: What the agent's function tools do here: tools or plain functions.
        max_rounds: How often functions may be answered in one call before it fails.
        store: Whether the service keeps the conversation.
        conversations: Remembers which conversation a thread has; in memory by default. Two agents can't share a thread.
        api_key: The key, or a function that returns it; else MISTRAL_API_KEY.
        base_url: Address of the service, without `/v1`.
        timeout: Seconds for a whole call, retries included; of a stream, until it begins.
        max_retries: How often a request is sent again when this is safe.
        retry_stateless: As for `ChatMistralAgent`.
        default_headers: Headers of every request.
        http_client: Your own HTTP client; `async_http_client` for asynchronous calls.
        guardrails: Moderation rules, as the service takes them.
        handoff_execution: `server` or `client`: who runs handoffs.
        client: Your own `MistralAgents`, instead of key, address, timeout, ....

    Raises:
        ToolBudgetExceededError: The functions were answered `max_rounds` times and the agent asked again.
        MistralAgentsError: As `ChatMistralAgent`.

    Examples:
        >>> agent = MistralAgentRunnable(agent_id="ag_...", tools=[get_weather])
        >>> agent.invoke("Weather in Paris?", {"configurable": {"thread_id": "ada"}}).text
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, hide_input_in_errors=True)

    agent_id: str
    agent_version: int | str | None = None
    tools: list[Any] = Field(default_factory=list)
    max_rounds: int = 10
    store: bool = True
    conversations: Any = Field(default_factory=InMemoryConversations, exclude=True, repr=False)
    api_key: SecretStr | Callable[[], Any] | None = Field(default=None, repr=False)  # it may be set as a plain text
    base_url: Address = None
    timeout: float = 300.0
    max_retries: int = 2
    retry_stateless: bool = True
    default_headers: Headers = None
    http_client: Any = Field(default=None, exclude=True, repr=False)
    async_http_client: Any = Field(default=None, exclude=True, repr=False)
    guardrails: list[dict[str, Any]] | None = None
    handoff_execution: Literal["server", "client"] | None = None
    client: MistralAgents | None = Field(default=None, exclude=True, repr=False)
    _read_later: ClassVar[frozenset[str]] = frozenset({"max_rounds", "conversations", "name"})
    _model: ChatMistralAgent = PrivateAttr()

    def __init__(self, **options: Unpack[RunnableOptions]) -> None:
        options = conceal_settings(options)
        super().__init__(**self._resolve(options))
        check_local_tools(self.tools)

    @classmethod
    def _resolve(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """The fields that options say; what only a model takes is refused by name."""
        fields = cls.model_fields
        foreign = {option.name for option in TABLE if _FIELDS.get(option.name, option.name) not in fields}
        found = resolve_options(given, what=cls.__name__, where="constructor", others=fields, without=foreign)
        named = {_FIELDS.get(name, name): value for name, value in found.items()}
        check_client(cls, named)
        return named

    @model_validator(mode="before")
    @classmethod
    def _resolve_names(cls, values: object) -> object:
        return cls._resolve(values) if isinstance(values, dict) else values

    def model_post_init(self, _context: object, /) -> None:
        """Make the chat model that does the work; no request is sent."""
        names = MistralAgentRunnable.model_fields.keys() - self._read_later - {"tools"}  # a subclass may have its own
        given: Any = {name: value for name in names if (value := self.__dict__[name]) is not None}
        self._model = ChatMistralAgent(**given)
        self._model._resumes = bool(self.tools)

    @override
    def _remake(self) -> None:
        self.model_post_init(None)

    def get_name(self, suffix: str | None = None, *, name: str | None = None) -> str:
        """The name of its runs: the agent's, where it is known (`name=`, `create_agent`), else its id."""
        own = self.name if self.name is not None else self.agent_id
        return super().get_name(suffix, name=name if name is not None else own)

    def as_tool(
        self,
        args_schema: type[BaseModel] | None = None,
        *,
        name: str | None = None,
        description: str | None = None,
        arg_types: dict[str, type] | None = None,
    ) -> BaseTool:
        """The agent as a tool: its result is the text of the answer, its artifact the message.

        Args:
            args_schema: The schema of its arguments.
            name: Its name; the agent's by default.
            description: What it does, for the model that calls it.
            arg_types: The arguments and their types, where they are few; without a schema too it is one text, `input`.
        """
        if args_schema is None and arg_types is None:
            arg_types = {"input": str}
        tool = super().as_tool(args_schema, name=name, description=description, arg_types=arg_types)
        return answer_with_text(tool)

    @property
    def model(self) -> ChatMistralAgent:
        """The chat model that does the work."""
        return self._model

    @classmethod
    def create_agent(
        cls, *, client: MistralAgents, model: str, name: str, tools: Sequence[Any] = (), **options: Unpack[AgentSetup]
    ) -> MistralAgentRunnable:
        """Create an agent on the service, and its Runnable.

        Args:
            client: The client to create it with, and to use afterwards.
            model: The model.
            name: The agent's name.
            tools: Hosted tools, and functions that will run here.
            options: Further arguments of `client.agents.create` (`instructions`, `completion_args`, ...).
        """
        declared = [unseal_tool(as_tool(tool)) for tool in tools]
        agent = client.agents.create(model=model, name=name, tools=declared or None, **options)
        return cls(agent_id=agent["id"], name=name, tools=_keep_local(tools), client=client)

    @classmethod
    async def acreate_agent(
        cls, *, client: MistralAgents, model: str, name: str, tools: Sequence[Any] = (), **options: Unpack[AgentSetup]
    ) -> MistralAgentRunnable:
        """As `create_agent`, without blocking."""
        declared = [unseal_tool(as_tool(tool)) for tool in tools]
        agent = await client.agents.acreate(model=model, name=name, tools=declared or None, **options)
        return cls(agent_id=agent["id"], name=name, tools=_keep_local(tools), client=client)

    # running

    def bind(self, **kwargs: Any) -> Runnable[Input, AIMessage]:
        """As LangChain's own; headers and credentials that are bound are shown in no trace."""
        return SealedBinding(bound=self, kwargs=seal_bound(kwargs), config={})

    def with_config(self, config: RunnableConfig | None = None, **kwargs: Any) -> Runnable[Input, AIMessage]:
        """As LangChain's own; what is bound behind it is shown in no trace either."""
        return SealedBinding(bound=self, kwargs={}, config=cast("RunnableConfig", {**(config or {}), **kwargs}))

    def invoke(  # type: ignore[override]
        self, input: Input, config: RunnableConfig | None = None, **kwargs: Unpack[CallOptions]
    ) -> AIMessage:
        """Ask the agent; functions are answered until it is done."""
        kwargs = conceal_options(kwargs)
        return self._call_with_config(self._invoke, input, config, **cast("JsonDict", kwargs))

    async def ainvoke(  # type: ignore[override]
        self, input: Input, config: RunnableConfig | None = None, **kwargs: Unpack[CallOptions]
    ) -> AIMessage:
        """As `invoke`, without blocking."""
        kwargs = conceal_options(kwargs)
        return await self._acall_with_config(self._ainvoke, input, config, **cast("JsonDict", kwargs))

    def _invoke(
        self, given: Input, run_manager: CallbackManagerForChainRun, config: RunnableConfig, **kwargs: object
    ) -> AIMessage:
        with self._hold(config, kwargs):
            return run(self._answer(given, run_manager, config, kwargs))

    async def _ainvoke(
        self, given: Input, run_manager: AsyncCallbackManagerForChainRun, config: RunnableConfig, **kwargs: object
    ) -> AIMessage:
        with await self._ahold(config, kwargs):
            return await arun(self._answer(given, run_manager, config, kwargs))

    def _answer(
        self,
        given: Input,
        run_manager: CallbackManagerForChainRun | AsyncCallbackManagerForChainRun,
        config: RunnableConfig,
        kwargs: dict[str, Any],
    ) -> Steps[AIMessage]:
        messages, options, tools = yield from self._begin(given, config, kwargs)
        model, rounds = self._model, self._begin_rounds(messages, config)
        child = patch_config(config, callbacks=run_manager.get_child())
        watched = patch_config(config, callbacks=rounds.catcher.beside(run_manager.get_child()))
        for _ in range(self.max_rounds + 1):
            if rounds.answer is None:
                asked, turn = rounds.messages, rounds.options_of_turn(options)
                rounds.answer = yield Job(
                    partial(model.invoke, asked, watched, **turn), partial(model.ainvoke, asked, watched, **turn)
                )
                yield from self._remember(rounds.answer, config)
            if not runnable_here(rounds.answer, tools):
                return with_turn(rounds.show(rounds.answer), rounds.catcher.turn)
            with rounds.pausing() as answer:
                called = (answer, tools, child, rounds.done, rounds.questions)
                rounds.go_on((yield Job(partial(run_tools, *called), partial(arun_tools, *called))))
        raise self._make_exhausted_error(rounds)

    def stream(  # type: ignore[override]
        self, input: Input, config: RunnableConfig | None = None, **kwargs: Unpack[CallOptions]
    ) -> Iterator[AIMessageChunk]:
        """The agent's words as they come; all add up to the last answer, as `invoke` gives it.

        Each round of functions ends with a chunk whose position is `last`.
        """
        kwargs = conceal_options(kwargs)
        chunks = self._transform_stream_with_config(iter([input]), self._stream, config, **cast("JsonDict", kwargs))
        yield from cast("Iterator[AIMessageChunk]", chunks)

    async def astream(  # type: ignore[override]
        self, input: Input, config: RunnableConfig | None = None, **kwargs: Unpack[CallOptions]
    ) -> AsyncIterator[AIMessageChunk]:
        """As `stream`, without blocking."""
        kwargs = conceal_options(kwargs)

        async def one() -> AsyncIterator[Input]:
            yield input

        async for chunk in self._atransform_stream_with_config(
            one(), self._astream, config, **cast("JsonDict", kwargs)
        ):
            yield cast("AIMessageChunk", chunk)

    def _stream(
        self, given: Iterator[Input], run_manager: CallbackManagerForChainRun, config: RunnableConfig, **kwargs: object
    ) -> Iterator[AIMessageChunk]:
        question = next(iter(given))
        yield from LeavableStream(lambda hold: self._stream_chunks(question, run_manager, config, kwargs, hold))

    def _stream_chunks(
        self,
        given: Input,
        run_manager: CallbackManagerForChainRun,
        config: RunnableConfig,
        kwargs: dict[str, Any],
        hold: Hold,
    ) -> Generator[AIMessageChunk, None, None]:
        with self._hold(config, kwargs, hold):
            yield from self._run_stream(given, run_manager, config, kwargs)

    def _run_stream(
        self, given: Input, run_manager: CallbackManagerForChainRun, config: RunnableConfig, kwargs: dict[str, Any]
    ) -> Generator[AIMessageChunk, None, None]:
        messages, options, tools = run(self._begin(given, config, kwargs))
        child = patch_config(config, callbacks=run_manager.get_child())
        rounds = self._begin_rounds(messages, config)
        for _ in range(self.max_rounds + 1):
            if rounds.answer is None:
                chunks: list[AIMessageChunk] = []
                for chunk in self._model.stream(rounds.messages, child, **rounds.options_of_turn(options)):
                    chunks.append(chunk)
                    run(self._remember(chunk, config))  # at once: the reader may leave the stream at any chunk
                    yield rounds.show(chunk, chunks)
                rounds.answer = merge_chunks(chunks)
            if not runnable_here(rounds.answer, tools):
                return
            with rounds.pausing() as answer:
                rounds.go_on(run_tools(answer, tools, child, rounds.done, rounds.questions))
        raise self._make_exhausted_error(rounds)

    async def _astream(
        self,
        given: AsyncIterator[Input],
        run_manager: AsyncCallbackManagerForChainRun,
        config: RunnableConfig,
        **kwargs: object,
    ) -> AsyncIterator[AIMessageChunk]:
        question = await anext(aiter(given))
        stream = AsyncLeavableStream(lambda hold: self._astream_chunks(question, run_manager, config, kwargs, hold))
        async with aclosing(stream):
            async for chunk in stream:
                yield chunk

    async def _astream_chunks(
        self,
        given: Input,
        run_manager: AsyncCallbackManagerForChainRun,
        config: RunnableConfig,
        kwargs: dict[str, Any],
        hold: Hold,
    ) -> AsyncGenerator[AIMessageChunk, None]:
        with await self._ahold(config, kwargs, hold):
            async with aclosing(self._arun_stream(given, run_manager, config, kwargs)) as chunks:
                async for chunk in chunks:
                    yield chunk

    async def _arun_stream(
        self, given: Input, run_manager: AsyncCallbackManagerForChainRun, config: RunnableConfig, kwargs: dict[str, Any]
    ) -> AsyncGenerator[AIMessageChunk, None]:
        messages, options, tools = await arun(self._begin(given, config, kwargs))
        child = patch_config(config, callbacks=run_manager.get_child())
        rounds = self._begin_rounds(messages, config)
        for _ in range(self.max_rounds + 1):
            if rounds.answer is None:
                chunks: list[AIMessageChunk] = []
                async for chunk in self._model.astream(rounds.messages, child, **rounds.options_of_turn(options)):
                    chunks.append(chunk)
                    await arun(self._remember(chunk, config))
                    yield rounds.show(chunk, chunks)
                rounds.answer = merge_chunks(chunks)
            if not runnable_here(rounds.answer, tools):
                return
            with rounds.pausing() as answer:
                rounds.go_on(await arun_tools(answer, tools, child, rounds.done, rounds.questions))
        raise self._make_exhausted_error(rounds)

    def batch(  # type: ignore[override]
        self,
        inputs: list[Input],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Unpack[CallOptions],
    ) -> list[AIMessage]:
        """Several questions at once, each in a conversation of its own."""
        _check_batch(config, len(inputs))
        return super().batch(inputs, config, return_exceptions=return_exceptions, **cast("JsonDict", kwargs))

    async def abatch(  # type: ignore[override]
        self,
        inputs: list[Input],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Unpack[CallOptions],
    ) -> list[AIMessage]:
        """As `batch`, without blocking."""
        _check_batch(config, len(inputs))
        return await super().abatch(inputs, config, return_exceptions=return_exceptions, **cast("JsonDict", kwargs))

    # the conversation

    @property
    def _agent_key(self) -> str:
        return self.agent_id

    def _store(self) -> ConversationStore:
        store: ConversationStore = self.conversations
        return store

    def _find_thread(self, config: RunnableConfig) -> str | None:
        """The thread whose conversation the map tells; None where the call names a conversation, or no thread."""
        return _read_config(config, "thread_id") if _read_config(config, "conversation_id") is None else None

    def _find_lock(self, config: RunnableConfig, kwargs: Mapping[str, Any]) -> TurnLock | None:
        """What lets the calls of one conversation follow one another, also where many first ones are to make it."""
        base_url, thread_id = self._model.mistral.base_url, _read_config(config, "thread_id")
        named = kwargs.get("conversation_id", _read_config(config, "conversation_id"))
        if named is not None:
            return lock_of(base_url, str(named))
        return lock_of(base_url, self._agent_key, thread_id) if thread_id is not None else None

    def _hold(
        self, config: RunnableConfig, kwargs: Mapping[str, Any], hold: Hold | None = None
    ) -> AbstractContextManager[object]:
        lock = self._find_lock(config, kwargs)
        return lock.held(hold, self.timeout) if lock is not None else nullcontext()

    async def _ahold(self, config: RunnableConfig, kwargs: Mapping[str, Any], hold: Hold | None = None) -> ExitStack:
        """As `_hold`, without blocking: `with await self._ahold(config, kwargs):`."""
        lock = self._find_lock(config, kwargs)
        return await lock.aheld(hold, self.timeout) if lock is not None else ExitStack()

    def _begin(
        self, given: Input, config: RunnableConfig, kwargs: dict[str, Any]
    ) -> Steps[tuple[list[BaseMessage], dict[str, Any], dict[str, Any]]]:
        """What the model is asked, its options and the tools that run here."""
        options, found = dict(kwargs), _read_config(config, "conversation_id")
        thread_id, store, key = self._find_thread(config), self._store(), self._agent_key
        if thread_id is not None:
            found = yield Job(partial(store.get, thread_id, key), partial(store.aget, thread_id, key))
        if found is not None:
            options.setdefault("conversation_id", found)
        tools = as_runnable_tools(self.tools)
        if tools:
            options["tools"] = [as_tool(tool) for tool in tools.values()]
        return _read_messages(given), options, tools

    def _begin_rounds(self, messages: list[BaseMessage], config: RunnableConfig) -> Rounds:
        """The rounds of a call, or the rest of those that a tool of the same call paused before."""
        named = _read_config(config, "conversation_id")
        known = named if named is not None else _read_config(config, "thread_id")
        place = (self._model.mistral.base_url, self._agent_key, known) if known is not None else None
        return PAUSED.take(place, messages)

    def _remember(self, answer: AIMessage, config: RunnableConfig) -> Steps[None]:
        """Keep the conversation of a thread's answer."""
        conversation_id = answer.response_metadata.get("conversation_id")
        thread_id = _read_config(config, "thread_id") if conversation_id else None
        if thread_id is not None and conversation_id and self.store:
            store, place = self._store(), (thread_id, self._agent_key, conversation_id)
            yield Job(partial(store.set, *place), partial(store.aset, *place))

    def _make_exhausted_error(self, rounds: Rounds) -> ToolBudgetExceededError:
        return ToolBudgetExceededError(
            f"The agent asked for functions again after {self.max_rounds} rounds.",
            conversation_id=rounds.conversation_id,
            turn=rounds.catcher.turn,
            hint="Raise max_rounds, or go on yourself with the conversation's id: the last calls wait for results.",
        )


def _read_config(config: RunnableConfig, name: str) -> str | None:
    found = ensure_config(config).get("configurable", {}).get(name)
    return str(found) if found is not None else None


def _keep_local(tools: Sequence[Any]) -> list[Any]:
    """The tools that run here: not the hosted ones, which are dicts."""
    return [tool for tool in tools if callable(tool) or hasattr(tool, "invoke")]


def _read_messages(given: Input) -> list[BaseMessage]:
    """The messages that an input says.

    Raises:
        ConfigurationError: It is none.

    Warns:
        UserWarning: A dict holds more than its `input`.
    """
    if isinstance(given, str):
        return [HumanMessage(given)]
    if isinstance(given, PromptValue):
        return given.to_messages()
    if isinstance(given, dict) and "role" not in given:
        inner = next((given[name] for name in ("messages", "input") if name in given), None)
        if inner is None:
            raise ConfigurationError("A dict as input needs the key 'messages' or 'input'.")
        others = [str(name) for name in given if name != "input"]
        if others and "messages" not in given:
            text = f"Of a dict only input is read, not {', '.join(others)}: the conversation is kept by the service."
            warn_user(f"{text} Put what the agent is to read into the input, or give messages.")
        return _read_messages(inner)
    if isinstance(given, (BaseMessage, dict)):
        return convert_to_messages([given])
    untyped: Any = given
    if not isinstance(untyped, Sequence) or isinstance(untyped, bytes):
        raise ConfigurationError(f"An input is a text, a dict, messages or a prompt, not {type(untyped).__name__}.")
    return convert_to_messages(list(given))


def _check_batch(config: RunnableConfig | list[RunnableConfig] | None, count: int) -> None:
    """Turns of one conversation follow one another, so they can't run at once."""
    configs = config if isinstance(config, list) else [config] * count
    names = [
        found
        for each in configs
        if (found := _read_config(each or {}, "conversation_id") or _read_config(each or {}, "thread_id")) is not None
    ]
    if len(names) != len(set(names)):
        raise ConfigurationError("A batch can't go on twice with one conversation or thread; call one after the other.")
