"""Structured output: the schema as `response_format` of a model, or in the messages where an agent answers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Sequence
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, MessageRole
from llama_index.core.program.utils import process_streaming_objects
from pydantic import BaseModel

from mistral_agents._border.schemas import describe_form
from mistral_agents._json import JsonDict
from mistral_agents.errors import ConfigurationError

_PROGRAM_ONLY = frozenset({"tool_required", "tool_choice", "allow_parallel_tool_calls"})


_ASKED = "Answer with one JSON value that follows this JSON schema, and with nothing else:\n{}"


class Structure:
    """How an object of a type is asked for and read.

    Raises:
        ConfigurationError: The type can't be asked for; a list can't be streamed.
    """

    def __init__(self, output_cls: object, *, is_agent: bool, streams: bool = False) -> None:
        if streams and _may_be_list(output_cls):
            raise ConfigurationError(
                f"LlamaIndex streams objects, and no lists: {output_cls}.",
                hint="Ask for a class with a field that holds the list, or with structured_predict.",
            )
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
        return self._form.parse(response.message.content or "")

    def partial(self, response: ChatResponse) -> object:
        """The object as far as it has come; None where there is none yet, or a type has no half objects."""
        if not (isinstance(self._cls, type) and issubclass(self._cls, BaseModel)):
            return None
        before = [self._last] if self._last is not None else None
        self._last = process_streaming_objects(response, self._cls, cur_objects=before)
        return self._last


def _may_be_list(kind: object) -> bool:
    return kind is list or get_origin(kind) is list or any(map(_may_be_list, _list_members(kind)))


def _list_members(kind: object) -> tuple[object, ...]:
    """The types of a union, or the one that notes stand beside."""
    args = get_args(kind)
    return args[:1] if get_origin(kind) is Annotated else args if get_origin(kind) in (Union, UnionType) else ()


def parse_partials(structure: Structure, responses: Iterable[ChatResponse]) -> Iterator[Any]:
    """The objects of a stream, each as far as it has come; the last is whole."""
    response = None
    for response in responses:
        found = structure.partial(response)
        if found is not None:
            yield found
    if response is not None:
        yield structure.read(response)


async def aparse_partials(structure: Structure, responses: AsyncIterable[ChatResponse]) -> AsyncIterator[Any]:
    """As `parse_partials`, without blocking."""
    response = None
    async for response in responses:
        found = structure.partial(response)
        if found is not None:
            yield found
    if response is not None:
        yield structure.read(response)
