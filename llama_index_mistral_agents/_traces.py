"""LlamaIndex's tracing of models: its decorators with their types, and its events of structured predictions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from llama_index.core.instrumentation.events.llm import LLMStructuredPredictEndEvent, LLMStructuredPredictStartEvent
from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback
from llama_index.core.prompts import PromptTemplate
from llama_index_instrumentation import get_dispatcher

from mistral_agents._json import JsonDict

Form = TypeVar("Form")
Method = TypeVar("Method", bound=Callable[..., Any])

dispatcher = get_dispatcher(__name__)


def trace_chat(method: Method) -> Method:
    """LlamaIndex's decorator, whose types forget what the method takes and gives; so for the others."""
    return cast("Method", llm_chat_callback()(method))


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
