"""Tools and options in: what is bound to the model → what a request carries."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import BaseModel, SecretStr

from mistral_agents._json import JsonDict
from mistral_agents.errors import ConfigurationError

_CHOICES = {"auto": "auto", "none": "none", "any": "any", "required": "required"}
SAMPLING = (
    "temperature",
    "top_p",
    "max_tokens",
    "random_seed",
    "presence_penalty",
    "frequency_penalty",
    "response_format",
    "prediction",
    "reasoning_effort",
)
"""Options of the service's `completion_args` that may be given per call."""


def as_tool(tool: Any, *, strict: bool | None = None) -> JsonDict:
    """A tool in any of LangChain's forms, our builders, the SDK's objects or a dict, as the service takes it.

    A connector's credential is sealed (`SecretStr`), so that traces and `dumps` don't show it; see `unsealed`.
    """
    if isinstance(tool, Mapping) and "type" in tool and not _is_json_schema(tool):
        return _sealed(_copied(tool))
    if isinstance(tool, BaseModel) and not isinstance(tool, BaseTool):
        told = tool.model_dump(mode="json", by_alias=True, exclude_unset=True)
        return _sealed(told | {"type": getattr(tool, "type", None)})
    return convert_to_openai_tool(tool, strict=strict)


def _sealed(tool: JsonDict) -> JsonDict:
    secret = tool.get("authorization")
    if not isinstance(secret, Mapping) or not isinstance(secret.get("value"), str):
        return tool
    made = copy.copy(tool)
    made["authorization"] = {**secret, "value": SecretStr(secret["value"])}
    return made


def unsealed(tool: JsonDict) -> JsonDict:
    """The tool as it is sent."""
    secret = tool.get("authorization")
    if not isinstance(secret, Mapping) or not isinstance(secret.get("value"), SecretStr):
        return tool
    made = copy.copy(tool)
    made["authorization"] = {**secret, "value": secret["value"].get_secret_value()}
    return made


def _is_json_schema(tool: Mapping[str, Any]) -> bool:
    return tool["type"] == "object" or ("title" in tool and "properties" in tool)


def _copied(tool: Mapping[str, Any]) -> JsonDict:
    """Our builders stay what they are, since their text forms hide secrets; a plain dict is copied."""
    return tool if isinstance(tool, dict) and type(tool) is not dict else dict(tool)


def function_name(tool: Mapping[str, Any]) -> str | None:
    """The name of a function tool; None for hosted tools."""
    function = tool.get("function")
    return function.get("name") if tool.get("type") == "function" and isinstance(function, Mapping) else None


def choose(tools: list[JsonDict], choice: Any) -> tuple[list[JsonDict], str | None]:
    """The tools to offer and the service's word for a tool choice.

    The service knows no named tool: then only that one is offered, and must be called.

    Raises:
        ConfigurationError: The choice can't be honoured.
    """
    if choice is None or choice is False:
        return tools, None
    name = _named(choice)
    if name is not None:
        tools = [tool for tool in tools if function_name(tool) == name]
        if not tools:
            raise ConfigurationError(f"tool_choice names {name!r}, which is none of the function tools.")
    word = "any" if choice is True or name is not None else _CHOICES[choice]
    if word in ("any", "required") and any(function_name(tool) is None for tool in tools):
        raise ConfigurationError(
            f"tool_choice={choice!r} can't be combined with hosted tools: the service refuses it (422)."
        )
    return tools, word


def _named(choice: Any) -> str | None:
    if isinstance(choice, Mapping):
        function = choice.get("function")
        name = function.get("name") if isinstance(function, Mapping) else choice.get("name")
        if not isinstance(name, str):
            raise ConfigurationError(f"tool_choice={dict(choice)!r} names no function.")
        return name
    if choice is True or choice in _CHOICES:
        return None
    if isinstance(choice, str):
        return choice
    raise ConfigurationError(f"tool_choice must be auto, none, any, required or a function's name, not {choice!r}.")


def completion_options(given: JsonDict) -> JsonDict:
    """Take the sampling options out of a call's keyword arguments.

    Raises:
        ConfigurationError: An option has no counterpart in the service.
    """
    taken = {name: given.pop(name) for name in SAMPLING if name in given}
    seed = given.pop("seed", None)
    if seed is not None:
        taken["random_seed"] = seed
    _refuse(given)
    return {name: value for name, value in taken.items() if value is not None}


def _refuse(given: JsonDict) -> None:
    n, parallel = given.pop("n", None), given.pop("parallel_tool_calls", None)
    if n not in (None, 1):
        raise ConfigurationError(f"n={n} is not possible: the service gives one answer per turn.")
    if parallel is False:
        raise ConfigurationError("parallel_tool_calls=False can't be asked of the conversations API.")
