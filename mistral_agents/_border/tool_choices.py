"""Which tools a call offers, and which of them must be called."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from mistral_agents._json import JsonDict
from mistral_agents.errors import ConfigurationError

HOSTED = frozenset({"web_search", "web_search_premium", "code_interpreter", "image_generation", "document_library"})
"""Types of tools that the service runs itself (`connector` aside)."""


def make_tool_error(tool: object, place: str, wanted: str, hint: str | None = None) -> ConfigurationError:
    """The error for what is no tool; who wrote a hosted tool's name is told its dict."""
    told = f"{tool[:60]!r}" if isinstance(tool, str) else type(tool).__name__
    if isinstance(tool, str) and tool in HOSTED:
        hint = f'A hosted tool is a dict, {{"type": "{tool}"}}, or a builder of mistral_agents.tools.'
    return ConfigurationError(f"{place} takes {wanted}, not {told}.", hint=hint)


def check_tools(value: object) -> str | None:
    """What is wrong with a list of tools; None for a good one."""
    # A tool of LangChain is iterable too, over its fields.
    listed = isinstance(value, (Collection, Iterator)) and not isinstance(value, (str, bytes, Mapping))
    return None if listed else "a list of tools is wanted"


def read_tools(tools: object, what: str) -> list[Any]:
    """Tools that a method takes, as a list.

    Raises:
        ConfigurationError: It is one tool without a list around it, or none.
    """
    fault = check_tools(tools)
    if fault is not None:
        raise ConfigurationError(f"{what}: {fault}, not {type(tools).__name__}.", hint="Put a single tool into a list.")
    return [*tools]  # type: ignore[misc]


_WORDS = {"auto": "auto", "none": "none", "any": "required", "required": "required"}


def function_name(tool: Mapping[str, Any]) -> str | None:
    """The name of a function tool; None for hosted tools."""
    function = tool.get("function")
    return function.get("name") if tool.get("type") == "function" and isinstance(function, Mapping) else None


def choose_tools(
    tools: Sequence[JsonDict], choice: object, *, has_own: bool = False
) -> tuple[list[JsonDict], str | None]:
    """The tools to offer and the service's word for a tool choice; None where there is nothing to choose.

    The service knows no named tool: then only that one is offered, and must be called. `any` and `required` are the
    same to it; `required` is the word that its refusals use.

    Args:
        tools: All tools of the call.
        choice: The choice, in any spelling.
        has_own: Whether the conversation may have tools of its own, which nobody here knows.

    Raises:
        ConfigurationError: The choice can't be honoured, or forces a call where there is nothing to call.
    """
    offered = list(tools)
    if choice is None or choice is False:
        return offered, None
    name = _read_choice(choice)
    if name in _WORDS:
        word = _WORDS[name]
    else:
        offered, word = [tool for tool in offered if function_name(tool) == name], "required"
        if not offered:
            raise ConfigurationError(f"tool_choice names {name!r}, which is none of the function tools.")
    if word == "required" and not offered and not has_own:
        raise ConfigurationError(
            f"tool_choice={choice!r} can't be honoured: there is no tool to call.",
            hint="Give tools with it, or leave it out.",
        )
    hosted = [str(tool.get("type")) for tool in offered if function_name(tool) is None]
    if word == "required" and hosted:
        raise ConfigurationError(
            f"tool_choice={choice!r} can't be combined with hosted tools ({', '.join(hosted)}): the service refuses it "
            "(422).",
            hint="Use a model without them, name one function, or leave the choice to the model. A form needs no tool: "
            "ask for it with response_format.",
        )
    return offered, word


def _read_choice(choice: object) -> str:
    """The word or the function's name in any framework's spelling of a choice."""
    if choice is True:
        return "required"
    if isinstance(choice, str) and choice:
        return choice
    if isinstance(choice, Mapping):
        function = choice.get("function")
        name = function.get("name") if isinstance(function, Mapping) else choice.get("name")
        if name is None and choice.get("type") in _WORDS:
            name = choice["type"]
        if isinstance(name, str) and name:
            return name
        raise ConfigurationError(f"tool_choice={dict(choice)!r} names no function.")
    raise ConfigurationError(f"tool_choice must be auto, none, any, required or a function's name, not {choice!r}.")
