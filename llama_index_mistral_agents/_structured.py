"""Structured output: the schema as `response_format` of a model, or in the messages where an agent answers."""

from __future__ import annotations

import json
from abc import ABC
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar, cast

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, MessageRole
from llama_index.core.instrumentation.events.llm import LLMStructuredPredictEndEvent, LLMStructuredPredictStartEvent
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.program.utils import process_streaming_objects
from llama_index.core.prompts import PromptTemplate
from llama_index.core.types import PydanticProgramMode
from llama_index_instrumentation import get_dispatcher
from pydantic import BaseModel

from mistral_agents._border.schemas import describe_form, read_json
from mistral_agents._json import JsonDict
from mistral_agents.errors import ResponseFormatError

Form = TypeVar("Form")
Method = TypeVar("Method", bound=Callable[..., Any])

dispatcher = get_dispatcher(__name__)
_PROGRAM_ONLY = frozenset({"tool_required", "tool_choice", "allow_parallel_tool_calls"})


_ASKED = "Answer with one JSON value that follows this JSON schema, and with nothing else:\n{}"


def _trace_span(method: Method) -> Method:
    """LlamaIndex's decorator, whose types forget what the method takes and gives."""
    return cast("Method", dispatcher.span(method))


class Structure:
    """How an object of a type is asked for and read."""

    def __init__(self, output_cls: object, *, is_agent: bool) -> None:
        self._cls = output_cls
        self._form = describe_form(output_cls)
        self._is_agent = is_agent
        self._last: Any = None

    def messages(self, messages: Sequence[ChatMessage]) -> list[ChatMessage]:
        """The messages to send; for an agent with the schema in a system message."""
        if not self._is_agent:
            return list(messages)
        schema = json.dumps(self._form.schema, ensure_ascii=False)
        return [*messages, ChatMessage(role=MessageRole.SYSTEM, content=_ASKED.format(schema))]

    def kwargs(self, llm_kwargs: JsonDict | None) -> JsonDict:
        """The call's options: the caller's, and the schema for a model."""
        given = {k: v for k, v in llm_kwargs.items() if k not in _PROGRAM_ONLY} if llm_kwargs is not None else {}
        return given if self._is_agent else {**given, "response_format": self._form.response_format}

    def read(self, response: ChatResponse) -> object:
        """The object of a finished answer.

        Raises:
            ResponseFormatError: The answer is no such object; `.body` keeps its text.
        """
        text = response.message.content or ""
        value = read_json(text)
        try:
            return self._form.read(value)
        except ValueError as error:
            raise ResponseFormatError(f"The answer can't be read as {self._form.name}: {error}", body=text) from error

    def partial(self, response: ChatResponse) -> object:
        """The object as far as it has come; None where there is none yet, or a type has no half objects."""
        if not (isinstance(self._cls, type) and issubclass(self._cls, BaseModel)):
            return None
        before = [self._last] if self._last is not None else None
        self._last = process_streaming_objects(response, self._cls, cur_objects=before)
        return self._last


class StructuredPrediction(FunctionCallingLLM, ABC):
    """The four forms of `structured_predict` on the service's own JSON schema mode.

    With a `pydantic_program_mode` other than `DEFAULT`, LlamaIndex's programs do it (function calling, text).
    """

    agent_id: str | None = None

    def _structure(self, output_cls: type[Any]) -> Structure | None:
        if self.pydantic_program_mode != PydanticProgramMode.DEFAULT:
            return None
        return Structure(output_cls, is_agent=self.agent_id is not None)

    def _structured_messages(self, structure: Structure, prompt: PromptTemplate, args: JsonDict) -> list[ChatMessage]:
        return structure.messages(self._extend_messages(prompt.format_messages(llm=self, **args)))

    @_trace_span
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
        structure = self._structure(output_cls)
        if structure is None:
            return cast("Form", super().structured_predict(output_cls, prompt, llm_kwargs, **prompt_args))
        _starts(output_cls, prompt, prompt_args)
        messages = self._structured_messages(structure, prompt, prompt_args)
        answer = self.chat(messages, **structure.kwargs(llm_kwargs))
        return _ends(cast("Form", structure.read(answer)))

    @_trace_span
    async def astructured_predict(
        self, output_cls: type[Form], prompt: PromptTemplate, llm_kwargs: JsonDict | None = None, **prompt_args: object
    ) -> Form:
        """As `structured_predict`, without blocking."""
        structure = self._structure(output_cls)
        if structure is None:
            return cast("Form", await super().astructured_predict(output_cls, prompt, llm_kwargs, **prompt_args))
        _starts(output_cls, prompt, prompt_args)
        messages = self._structured_messages(structure, prompt, prompt_args)
        answer = await self.achat(messages, **structure.kwargs(llm_kwargs))
        return _ends(cast("Form", structure.read(answer)))

    def _structured_stream_call(
        self, output_cls: type[Any], prompt: PromptTemplate, llm_kwargs: JsonDict | None = None, **prompt_args: object
    ) -> Any:
        structure = self._structure(output_cls)
        if structure is None:
            return super()._structured_stream_call(output_cls, prompt, llm_kwargs, **prompt_args)
        messages = self._structured_messages(structure, prompt, prompt_args)
        return _parse_partials(structure, self.stream_chat(messages, **structure.kwargs(llm_kwargs)))

    async def _structured_astream_call(
        self, output_cls: type[Any], prompt: PromptTemplate, llm_kwargs: JsonDict | None = None, **prompt_args: object
    ) -> Any:
        structure = self._structure(output_cls)
        if structure is None:
            return await super()._structured_astream_call(output_cls, prompt, llm_kwargs, **prompt_args)
        messages = self._structured_messages(structure, prompt, prompt_args)
        return _aparse_partials(structure, await self.astream_chat(messages, **structure.kwargs(llm_kwargs)))


def _starts(output_cls: type[Any], prompt: PromptTemplate, prompt_args: JsonDict) -> None:
    dispatcher.event(LLMStructuredPredictStartEvent(output_cls=output_cls, template=prompt, template_args=prompt_args))


def _ends(output: Form) -> Form:
    dispatcher.event(LLMStructuredPredictEndEvent(output=output))
    return output


def _parse_partials(structure: Structure, responses: Iterable[ChatResponse]) -> Iterator[Any]:
    response = None
    for response in responses:
        found = structure.partial(response)
        if found is not None:
            yield found
    if response is not None:
        yield structure.read(response)


async def _aparse_partials(structure: Structure, responses: AsyncIterable[ChatResponse]) -> AsyncIterator[Any]:
    response = None
    async for response in responses:
        yield structure.partial(response)
    if response is not None:
        yield structure.read(response)
