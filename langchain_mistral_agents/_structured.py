"""Structured output: three methods, with or without the raw message."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import is_dataclass
from functools import partial
from typing import Any, cast, get_args

from langchain_core.exceptions import OutputParserException
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.output_parsers import BaseOutputParser, JsonOutputParser
from langchain_core.output_parsers.openai_tools import JsonOutputKeyToolsParser
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, Generation, GenerationChunk
from langchain_core.runnables import Runnable, RunnableLambda, RunnablePassthrough, RunnablePick
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_json_schema
from langchain_core.utils.json import parse_partial_json
from pydantic import BaseModel

from langchain_mistral_agents._chunks import as_chunk
from langchain_mistral_agents._settings import Method
from langchain_mistral_agents._tools import as_tool
from mistral_agents._border.control import is_steering
from mistral_agents._border.schemas import Form, describe_form, read_json
from mistral_agents._border.text import mend_growing_json
from mistral_agents.errors import ConfigurationError, ResponseFormatError

METHODS: tuple[str, ...] = get_args(Method)


def form_of(schema: object, *, strict: bool | None = None) -> Form:
    """The form of a schema in any of LangChain's kinds; of a tool or a function that of its arguments."""
    is_function = callable(schema) and not isinstance(schema, type) and not hasattr(schema, "__origin__")
    if isinstance(schema, BaseTool) or (is_function and hasattr(schema, "__code__")):
        return describe_form(as_tool(schema), strict=strict)
    return describe_form(schema, strict=strict)


class GrowingValue:
    """What an answer says while it is written; at its end it is read as strictly as one that came at once.

    LangChain's own parsers leave the last guess as it stands: what broke off is taken for a whole answer.
    """

    def __init__(self, parser: BaseOutputParser[Any]) -> None:
        self._parser = parser
        self._whole: Any = None
        self._last: object = None

    def take(self, piece: str | BaseMessage) -> Iterator[object]:
        """The value after a further piece, where it has changed."""
        made = _make_generation(piece)
        self._whole = made if self._whole is None else self._whole + made
        yield from self._tell(self._parser.parse_result([self._whole], partial=True))

    def end(self) -> Iterator[object]:
        """The value of the whole answer, where it is not the last one.

        Raises:
            OutputParserException: It is none.
        """
        if self._whole is not None:
            yield from self._tell(self._parser.parse_result([self._whole]))

    def _tell(self, value: object) -> Iterator[object]:
        if value is not None and value != self._last:
            self._last = value
            yield value


def _make_generation(piece: str | BaseMessage) -> GenerationChunk | ChatGenerationChunk:
    if isinstance(piece, str):
        return GenerationChunk(text=piece)
    chunk = as_chunk(piece) if type(piece) is AIMessage else cast("AIMessageChunk", piece)
    return ChatGenerationChunk(message=chunk)


class _ReadsToTheEnd:
    """How our parsers read a stream, and what they give."""

    form: Any

    @property
    def OutputType(self) -> Any:  # noqa: N802 - LangChain's name
        """The class of an answer, where that is one of pydantic; it is what schemas of chains tell."""
        given = getattr(getattr(self.form, "load", None), "given", None)
        return given if isinstance(given, type) and issubclass(given, BaseModel) else Any

    def _transform(self, pieces: Iterator[str | BaseMessage]) -> Iterator[Any]:
        growing = GrowingValue(cast("BaseOutputParser[Any]", self))
        for piece in pieces:
            yield from growing.take(piece)
        yield from growing.end()

    async def _atransform(self, pieces: AsyncIterator[str | BaseMessage]) -> AsyncIterator[Any]:
        growing = GrowingValue(cast("BaseOutputParser[Any]", self))
        async for piece in pieces:
            for value in growing.take(piece):
                yield value
        for value in growing.end():
            yield value


class FormParser(_ReadsToTheEnd, JsonOutputParser):
    """Reads an answer's text: an object of the schema's type, as far as there is one."""

    form: Any = None

    def parse_result(self, result: list[Generation], *, partial: bool = False) -> object:
        """The value; of a stream's beginning what is there already, None where that does not fit yet."""
        if partial:
            value = super().parse_result(result, partial=True)
            return self.form.read_partly(value) if self.form is not None else mend_growing_json(value)
        text = result[0].text
        with _parsing():
            return self.form.parse(text) if self.form is not None else read_json(text)


class CallParser(_ReadsToTheEnd, JsonOutputKeyToolsParser):
    """Reads the arguments of the call that the answer is; None where there is no call."""

    form: Any = None

    def parse_result(self, result: list[Generation], *, partial: bool = False) -> object:
        """As `FormParser.parse_result`."""
        if partial:
            return self.form.read_partly(_read_begun(result[0], self.key_name))
        value = super().parse_result(result)
        if value is None:
            _check_no_fault(result[0])
            return None
        with _parsing():
            return self.form.check(value, json.dumps(value))


def _read_begun(generation: Generation, name: str) -> object:
    """The arguments of a call as far as they are written; they are shown, and nothing is run with them."""
    message = generation.message if isinstance(generation, ChatGeneration) else None
    for call in message.tool_call_chunks if isinstance(message, AIMessageChunk) else ():
        if call["name"] == name and call["args"]:
            with suppress(ValueError):
                return parse_partial_json(call["args"])
    return None


def _check_no_fault(generation: Generation) -> None:
    """Tell a call that can't be read from none at all."""
    message = generation.message if isinstance(generation, ChatGeneration) else None
    for call in message.invalid_tool_calls if isinstance(message, AIMessage) else ():
        raise OutputParserException(f"The call {call['name']} can't be read: {call['error']}", llm_output=call["args"])


@contextmanager
def _parsing() -> Iterator[None]:
    """Raise what can't be read as LangChain's kind."""
    try:
        yield
    except ResponseFormatError as error:
        text = error.body if isinstance(error.body, str) else None
        raise OutputParserException(error.message, llm_output=text) from error


def parser_for(form: Form | None, method: str) -> BaseOutputParser[Any]:
    """Reads the answer: an object of the type that was given, a plain value for a JSON schema."""
    if method == "function_calling" and form is not None:
        return CallParser(key_name=form.name, first_tool_only=True, form=form)
    return FormParser(form=form)


def _trace_schema(given: object, form: Form) -> dict[str, Any]:
    """The schema as LangChain's tracers know it of other models; ours where LangChain can't say it."""
    if is_dataclass(given):  # LangChain takes it for a function
        return {"title": form.name, **form.schema}
    try:
        return convert_to_json_schema(cast("type[BaseModel]", given))  # of other kinds it says what it does not take
    except (ValueError, TypeError, KeyError, AttributeError, RuntimeError):
        return {"title": form.name, **form.schema}


def bound_options(given: object, form: Form | None, method: str) -> dict[str, Any]:
    """What is bound to the model, and what LangChain's tracing wants to know of it."""
    schema = _trace_schema(given, form) if form is not None else None
    traced = {"ls_structured_output_format": {"kwargs": {"method": method}, "schema": schema}}
    if method == "json_mode" or form is None:
        return {"response_format": {"type": "json_object"}, **traced}
    if method == "function_calling":
        return {"tools": [form.tool], "tool_choice": "any", **traced}
    return {"response_format": form.response_format, **traced}


def check_method(schema: object, method: str) -> None:
    """Refuse an unknown method, and one that needs a schema and has none.

    Raises:
        ConfigurationError: It names the method.
    """
    if method not in METHODS:
        raise ConfigurationError(f"method must be one of {', '.join(METHODS)}, not {method!r}.")
    if schema is None and method != "json_mode":
        raise ConfigurationError(f"method={method!r} needs a schema.")


def parsed(model: Runnable[Any, AIMessage], parser: BaseOutputParser[Any], *, include_raw: bool) -> Runnable[Any, Any]:
    """The model with its parser; with `include_raw` an answer that can't be parsed is reported, not raised."""
    if not include_raw:
        return model | parser
    tried = RunnablePassthrough.assign(tried=RunnableLambda(partial(_try_to_parse, parser), name=type(parser).__name__))
    told = RunnablePassthrough.assign(
        parsed=lambda found: found["tried"]["parsed"], parsing_error=lambda found: found["tried"]["parsing_error"]
    )
    return {"raw": model} | tried | told | RunnablePick(["raw", "parsed", "parsing_error"])


def _try_to_parse(parser: BaseOutputParser[Any], answer: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return {"parsed": parser.invoke(answer["raw"]), "parsing_error": None}
    except Exception as error:
        if is_steering(error):
            raise
        return {"parsed": None, "parsing_error": error}
