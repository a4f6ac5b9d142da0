"""LlamaIndex's tracing of models: its decorators with their types, and its events of structured predictions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from inspect import getattr_static
from typing import Any, TypeAlias, TypeVar, cast

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, ChatResponseAsyncGen, ChatResponseGen
from llama_index.core.callbacks import CallbackManager, CBEventType, EventPayload
from llama_index.core.instrumentation.events.llm import LLMStructuredPredictEndEvent, LLMStructuredPredictStartEvent
from llama_index.core.llms.callbacks import dispatcher as llm_dispatcher
from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback
from llama_index.core.prompts import PromptTemplate
from llama_index_instrumentation import get_dispatcher
from llama_index_instrumentation.event_handlers import NullEventHandler

from llama_index_mistral_agents._messages_out import check_messages
from mistral_agents._border.seals import seal_options
from mistral_agents._json import JsonDict

Form = TypeVar("Form")
Method = TypeVar("Method", bound=Callable[..., Any])
Model = TypeVar("Model")
Arguments: TypeAlias = tuple[Any, ...]
Seal: TypeAlias = Callable[[Arguments, JsonDict], tuple[Arguments, JsonDict]]

dispatcher = get_dispatcher(__name__)


_CHATTING = ("chat", "stream_chat")
_COMPLETING = ("complete", "stream_complete")
_WITH_TOOLS = ("chat_with_tools", "stream_chat_with_tools", "predict_and_call")
_PREDICTING = ("structured_predict", "stream_structured_predict")


def seal_calls(llm: type[Model]) -> type[Model]:
    """A class of models whose spans, events and callbacks show no credential of a call.

    LlamaIndex makes spans of a class's methods when the class is made, so their options are sealed around these. So are
    messages looked at, since LlamaIndex's own error for what is none names a class of its events.
    """
    for name in (*_CHATTING, *_COMPLETING, *_WITH_TOOLS, *_PREDICTING):
        seal = _seal_predicting if name in _PREDICTING else _seal_chatting if name in _CHATTING else _seal_asking
        setattr(llm, name, _seal_call(getattr_static(llm, name), seal))
        setattr(llm, f"a{name}", _seal_awaited(getattr_static(llm, f"a{name}"), seal))
    return llm


def _seal_call(method: Any, seal: Seal) -> Any:
    @wraps(method)
    def ask(llm: object, *args: object, **options: object) -> Any:
        args, options = seal(args, options)
        return method.__get__(llm, type(llm))(*args, **options)

    return ask


def _seal_awaited(method: Any, seal: Seal) -> Any:
    @wraps(method)
    async def ask(llm: object, *args: object, **options: object) -> Any:
        args, options = seal(args, options)
        return await method.__get__(llm, type(llm))(*args, **options)

    return ask


def _seal_asking(args: Arguments, options: JsonDict) -> tuple[Arguments, JsonDict]:
    return args, seal_options(options)


def _seal_chatting(args: Arguments, options: JsonDict) -> tuple[Arguments, JsonDict]:
    check_messages(args[0] if args else options.get("messages", []))
    return _seal_asking(args, options)


def _seal_predicting(args: Arguments, options: JsonDict) -> tuple[Arguments, JsonDict]:
    """The options that a prediction hands on are its third argument; all further names are variables of its prompt."""
    if len(args) > 2:
        args, options = args[:2], {**options, "llm_kwargs": args[2]}
    inner = options.get("llm_kwargs")
    return args, {**options, "llm_kwargs": seal_options(inner)} if isinstance(inner, dict) else options


def trace_chat(method: Method) -> Method:
    """LlamaIndex's decorator, whose types forget what the method takes and gives; so for the others."""
    return cast("Method", llm_chat_callback()(method))


def trace_stream(method: Method) -> Method:
    """As `trace_chat` for a stream; where nobody listens, its responses are not made into events.

    LlamaIndex makes an event of each response and by default gives it to no one: over a third of what a stream costs.
    Its callback manager hears the same either way.
    """
    traced = llm_chat_callback()(method)

    @wraps(traced)
    def stream(llm: Any, messages: Sequence[ChatMessage], **options: object) -> ChatResponseGen:
        if has_listeners(llm_dispatcher):
            return cast("ChatResponseGen", traced(llm, messages, **options))
        call = _Call(llm, messages, options)
        with call.begun():
            if call.limiter is not None:
                call.limiter.acquire()
            responses = method(llm, messages, **options)

        def follow() -> ChatResponseGen:
            with call.followed():
                for call.last in responses:
                    yield call.last

        return follow()

    return cast("Method", stream)


def trace_astream(method: Method) -> Method:
    """As `trace_stream`, for asynchronous streams."""
    traced = llm_chat_callback()(method)

    @wraps(traced)
    async def stream(llm: Any, messages: Sequence[ChatMessage], **options: object) -> ChatResponseAsyncGen:
        if has_listeners(llm_dispatcher):
            return cast("ChatResponseAsyncGen", await traced(llm, messages, **options))
        call = _Call(llm, messages, options)
        with call.begun():
            if call.limiter is not None:
                await call.limiter.async_acquire()
            responses = await method(llm, messages, **options)

        async def follow() -> ChatResponseAsyncGen:
            with call.followed():
                async for call.last in responses:
                    yield call.last

        return follow()

    return cast("Method", stream)


def has_listeners(first: Any) -> bool:
    """Whether an event of a dispatcher reaches a handler that does something with it."""
    here = first
    while here:
        if any(not isinstance(handler, NullEventHandler) for handler in here.event_handlers):
            return True
        here = here.parent if here.propagate else None
    return False


class _Call:
    """What LlamaIndex's callback manager hears of a streamed call."""

    def __init__(self, llm: Any, messages: Sequence[ChatMessage], options: JsonDict) -> None:
        if not isinstance(llm.callback_manager, CallbackManager):
            llm.callback_manager = CallbackManager()
        self._manager: CallbackManager = llm.callback_manager
        # LlamaIndex 0.14.0 knows neither of the two.
        self.limiter: Any = getattr(llm, "rate_limiter", None)
        self._describe: Callable[[], JsonDict] = getattr(llm, "to_payload", llm.to_dict)
        self._messages = messages
        self._options = options
        self._event_id = ""
        self.last: ChatResponse | None = None

    @contextmanager
    def begun(self) -> Iterator[None]:
        """While the stream is made."""
        with self._manager.as_trace("chat"):
            started: JsonDict = {
                EventPayload.MESSAGES: self._messages,
                EventPayload.ADDITIONAL_KWARGS: self._options,
                EventPayload.SERIALIZED: self._describe(),
            }
            self._event_id = self._manager.on_event_start(CBEventType.LLM, payload=started)
            with self._failures_told():
                yield

    @contextmanager
    def followed(self) -> Iterator[None]:
        """While the stream is read."""
        with self._failures_told():
            yield
        self._end({EventPayload.MESSAGES: self._messages, EventPayload.RESPONSE: self.last})

    @contextmanager
    def _failures_told(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            self._end({EventPayload.EXCEPTION: error})
            raise

    def _end(self, payload: JsonDict) -> None:
        self._manager.on_event_end(CBEventType.LLM, payload=payload, event_id=self._event_id)


def trace_completion(method: Method) -> Method:
    """The decorator of completions."""
    return cast("Method", llm_completion_callback()(method))


def trace_span(method: Method) -> Method:
    """The decorator of spans."""
    return cast("Method", dispatcher.span(method))


def announce_start(output_cls: type[Any], prompt: PromptTemplate, prompt_args: JsonDict) -> None:
    """Send the event of LlamaIndex's own structured predictions."""
    dispatcher.event(LLMStructuredPredictStartEvent(output_cls=output_cls, template=prompt, template_args=prompt_args))


def announce_end(output: Form) -> Form:
    """Send the event, and pass the object on."""
    dispatcher.event(LLMStructuredPredictEndEvent(output=output))
    return output
