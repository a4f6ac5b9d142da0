"""Tools and options in: what is bound to the model → what a request carries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from langchain_core.runnables import RunnableBinding
from langchain_core.runnables.utils import Input, Output
from langchain_core.tools import BaseTool, Tool
from langchain_core.tools.base import create_schema_from_function
from pydantic import BaseModel, ConfigDict
from typing_extensions import Self, override

from mistral_agents._border.schemas import check_tool, describe_form, is_function_dict, make_tool
from mistral_agents._border.seals import seal_options, seal_tool
from mistral_agents._border.tool_choices import make_tool_error
from mistral_agents._border.typing_schemas import python_schema
from mistral_agents._json import JsonDict
from mistral_agents.errors import ConfigurationError


def as_tool(tool: Any, strict: bool | None = None) -> JsonDict:
    """A tool in any of LangChain's forms, our builders, the SDK's objects or a dict, as the service takes it.

    A connector's credential is sealed (`SecretStr`), so that traces and `dumps` don't show it; see `unseal_tool`.

    Raises:
        ConfigurationError: The service would refuse its name, or its schema can't be sent.
    """
    if isinstance(tool, Mapping):
        hosted: JsonDict = check_tool(tool, strict=strict) if is_function_dict(tool) else seal_tool(_copy(tool))
        return hosted
    if isinstance(tool, BaseTool):
        return _describe_tool(tool, strict)
    if isinstance(tool, BaseModel):
        told = tool.model_dump(mode="json", by_alias=True, exclude_unset=True)
        sealed: JsonDict = seal_tool(told | {"type": getattr(tool, "type", None)})
        return sealed
    if tool is None or isinstance(tool, (str, bytes, int, float, list, tuple, set)):
        raise make_tool_error(tool, "tools", "functions, types, tools of LangChain and dicts")
    if isinstance(tool, type) or not callable(tool):
        form = describe_form(tool, strict=strict if strict is not None else False)
        return make_tool(form.name, form.description, form.schema, strict=strict)
    name = getattr(tool, "__name__", None)
    if name is None:  # functools.partial, or an object that can be called
        raise ConfigurationError(
            f"A tool without a name can't be offered: {tool!r:.100}.",
            hint="Give it one: StructuredTool.from_function(..., name=...).",
        )
    arguments = create_schema_from_function(name, tool, filter_args=(), parse_docstring=True, include_injected=False)
    return make_tool(name, arguments.__doc__ or "", python_schema(arguments)[0], strict=strict)


class SealedBinding(RunnableBinding[Input, Output]):
    """What is bound to a runnable; headers and credentials are shown by no text, however often something is bound."""

    model_config = ConfigDict(defer_build=True)

    @classmethod
    @override
    def lc_id(cls) -> list[str]:
        return RunnableBinding.lc_id()

    @override
    def bind(self, **kwargs: Any) -> Self:
        return cast("Self", super().bind(**seal_bound(kwargs)))


def seal_bound(options: Mapping[str, Any]) -> JsonDict:
    """Options whose headers, and whose tools' credentials, `repr` and `dumps` don't show; see `as_tool`."""
    given = {**options}
    if isinstance(given.get("tools"), (list, tuple, Iterator)):
        given["tools"] = [
            tool if not isinstance(tool, Mapping) or is_function_dict(tool) else _copy(tool) for tool in given["tools"]
        ]
    return seal_options(given)


def _describe_tool(tool: BaseTool, strict: bool | None) -> JsonDict:
    """A tool of LangChain; arguments that LangChain injects are left out, one without a schema takes one text."""
    if (tool.metadata or {}).get("type") == "custom_tool":
        raise ConfigurationError(
            f"The tool {tool.name} takes free text (custom_tool); the service knows functions only."
        )
    arguments = tool.tool_call_schema
    if isinstance(tool, Tool) and not tool.args_schema:
        schema: Any = {"type": "object", "properties": {"__arg1": {"type": "string"}}, "required": ["__arg1"]}
    else:
        schema = arguments if isinstance(arguments, dict) else python_schema(arguments)[0]
    return make_tool(tool.name, tool.description, schema, strict=strict)


def _copy(tool: Mapping[str, Any]) -> JsonDict:
    """Our builders stay what they are, since their text forms hide secrets; a plain dict is copied."""
    return tool if isinstance(tool, dict) and type(tool) is not dict else dict(tool)
