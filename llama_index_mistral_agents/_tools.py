"""LlamaIndex's tools as the service takes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from llama_index.core.tools.types import BaseTool

from mistral_agents._border.schemas import check_tool, is_function_dict, make_tool
from mistral_agents._border.tool_choices import make_tool_error, read_tools
from mistral_agents._border.typing_schemas import python_schema
from mistral_agents._json import JsonDict
from mistral_agents.errors import ConfigurationError


def describe_tool(tool: object, strict: bool | None = None) -> JsonDict:
    """A tool of LlamaIndex, or one as a dict, as the service takes it.

    Raises:
        ConfigurationError: The service would refuse its name, or its schema can't be sent.
    """
    if isinstance(tool, BaseTool):
        about = tool.metadata
        given = python_schema(about.fn_schema)[0] if about.fn_schema is not None else about.get_parameters_dict()
        return make_tool(about.name, about.description, given, strict=strict)
    if not isinstance(tool, Mapping):
        raise make_tool_error(tool, "tools", "tools of LlamaIndex and dicts")
    return check_tool(tool, strict=strict) if is_function_dict(tool) else dict(tool)


def check_hosted(tool: object) -> JsonDict:
    """A hosted tool of a model's own.

    Raises:
        ConfigurationError: It is none.
    """
    if not isinstance(tool, Mapping):
        raise make_tool_error(tool, "tools", "hosted tools", hint="Function tools go to chat_with_tools.")
    return dict(tool)


def read_local(tools: Iterable[Any]) -> list[Any]:
    """Tools that an agent runs here, as a list: they may come from an iterator, which gives them once.

    Raises:
        ConfigurationError: One is a hosted tool, or it is no list of tools.
    """
    given = read_tools(tools, "tools")
    for tool in given:
        if isinstance(tool, Mapping):
            raise ConfigurationError(
                f"tools takes functions and LlamaIndex's tools, not the dict of {tool.get('type')!r}.",
                hint="Hosted tools go to MistralAgentLLM(tools=[...]), or to hosted_tools of from_new.",
            )
    return given
