"""Structured output: three methods, with or without the raw message."""

from __future__ import annotations

from operator import itemgetter
from typing import Any

from langchain_core.messages import AIMessage
from langchain_core.output_parsers import BaseOutputParser, JsonOutputParser, PydanticOutputParser
from langchain_core.output_parsers.openai_tools import JsonOutputKeyToolsParser, PydanticToolsParser
from langchain_core.runnables import Runnable, RunnableLambda, RunnablePassthrough
from langchain_core.utils.function_calling import convert_to_json_schema, convert_to_openai_tool
from langchain_core.utils.pydantic import is_basemodel_subclass

from mistral_agents.errors import ConfigurationError

METHODS = ("json_schema", "function_calling", "json_mode")


def response_format(schema: Any, *, strict: bool | None) -> dict[str, Any]:
    """The service's `response_format` for a schema in any of LangChain's forms."""
    converted = convert_to_json_schema(schema)
    described = {"name": converted.get("title", "answer"), "schema": converted}
    if converted.get("description") is not None:
        described["description"] = converted["description"]
    return {"type": "json_schema", "json_schema": {**described, "strict": strict is not False}}


def parser_for(schema: Any, method: str) -> BaseOutputParser[Any]:
    """Reads the answer: a pydantic object for a pydantic class, else a dict."""
    is_class = isinstance(schema, type) and is_basemodel_subclass(schema)
    if method == "function_calling":
        name = convert_to_openai_tool(schema)["function"]["name"]
        if is_class:
            return PydanticToolsParser(tools=[schema], first_tool_only=True)
        return JsonOutputKeyToolsParser(key_name=name, first_tool_only=True)
    return PydanticOutputParser(pydantic_object=schema) if is_class else JsonOutputParser()


def bound_options(schema: Any, method: str, strict: bool | None) -> dict[str, Any]:
    """What is bound to the model, and what LangChain's tracing wants to know of it.

    Raises:
        ConfigurationError: The method is unknown, or needs a schema and has none.
    """
    if method not in METHODS:
        raise ConfigurationError(f"method must be one of {', '.join(METHODS)}, not {method!r}.")
    if schema is None and method != "json_mode":
        raise ConfigurationError(f"method={method!r} needs a schema.")
    told = convert_to_json_schema(schema) if schema is not None else None
    traced = {"ls_structured_output_format": {"kwargs": {"method": method}, "schema": told}}
    if method == "function_calling":
        tool = convert_to_openai_tool(schema, strict=strict)
        return {"tools": [tool], "tool_choice": "any", **traced}
    if method == "json_mode":
        return {"response_format": {"type": "json_object"}, **traced}
    return {"response_format": response_format(schema, strict=strict), **traced}


def parsed(model: Runnable[Any, AIMessage], parser: BaseOutputParser[Any], *, include_raw: bool) -> Runnable[Any, Any]:
    """The model with its parser; with `include_raw` an answer that can't be parsed is reported, not raised."""
    if not include_raw:
        return model | parser
    good = RunnablePassthrough.assign(parsed=itemgetter("raw") | parser, parsing_error=lambda _: None)
    bad = RunnablePassthrough.assign(parsed=lambda _: None)
    tried = good.with_fallbacks([bad], exception_key="parsing_error")
    return {"raw": model} | tried


def format_turn(thinker: Runnable[Any, AIMessage], writer: Runnable[Any, AIMessage]) -> Runnable[Any, AIMessage]:
    """A turn with hosted tools, then one that writes what was found in the wanted form."""
    from langchain_core.messages import HumanMessage
    from langchain_core.prompt_values import PromptValue

    ask = HumanMessage("Now give that answer in the required format, with nothing else.")

    def joined(both: dict[str, Any]) -> list[Any]:
        question = both["question"]
        if isinstance(question, str):
            question = [HumanMessage(question)]
        elif isinstance(question, PromptValue):
            question = question.to_messages()
        return [*question, both["found"], ask]

    first: Any = {"question": RunnablePassthrough(), "found": thinker}
    return first | RunnableLambda(joined) | writer  # type: ignore[no-any-return]
