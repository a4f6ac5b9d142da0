"""What a call may ask for: completion options, tools, and how they are checked before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mistral_agents._json import JsonDict
from mistral_agents.errors import ConfigurationError

COMPLETION = frozenset(
    {
        "stop",
        "presence_penalty",
        "frequency_penalty",
        "temperature",
        "top_p",
        "max_tokens",
        "random_seed",
        "prediction",
        "response_format",
        "tool_choice",
        "reasoning_effort",
    }
)
"""The options that the conversations API takes (its `completion_args`)."""
_AGENT = "An agent brings its own completion options: the service refuses {} beside agent_id. Set them on the agent."
_OWN_TOOLS = "An agent brings its own tools: the service refuses tools beside agent_id ({}). Put them on the agent."
_REQUIRED = (
    "tool_choice 'required' can't be used with hosted tools ({}): the service refuses it. Use a model without tools=, "
    "or leave the choice to the model."
)
_NAMED = (
    "The service takes tool_choice 'auto', 'none' or 'required', not {!r}. To force one tool, pass only that tool with "
    "tool_required=True."
)


@dataclass(frozen=True, slots=True)
class CallOptions:
    """The options of one call.

    Attributes:
        completion_args: By the service's names.
        tools: Hosted tools and function tools as the service takes them.
        first_call_only: Whether one function call at a time is wanted.
    """

    completion_args: JsonDict
    tools: list[JsonDict]
    first_call_only: bool = False


def tool_name(tool: Mapping[str, Any]) -> str:
    """A tool's type; for functions and connectors with their name."""
    kind = str(tool.get("type"))
    if kind == "function":
        return f"function {tool['function']['name']}"
    detail = tool.get("connector_id")
    return f"{kind} {detail}" if detail is not None else kind


def call_options(
    fixed: Mapping[str, Any], hosted: Sequence[Mapping[str, Any]], kwargs: Mapping[str, Any], *, is_agent: bool
) -> CallOptions:
    """The options of a call: the model's own, overridden by the call's.

    Raises:
        ConfigurationError: An option is unknown, or the service is known to refuse it.
    """
    given = dict(kwargs)
    functions = [dict(tool) for tool in given.pop("tools", None) or ()]
    first_call_only = given.pop("parallel_tool_calls", None) is False
    unknown = sorted(set(given) - COMPLETION)
    if unknown:
        names = ", ".join(sorted(COMPLETION))
        raise ConfigurationError(f"The service takes no {', '.join(unknown)}; it takes {names}.")
    args = {name: value for name, value in {**fixed, **given}.items() if value is not None}
    if "tool_choice" in args:
        args["tool_choice"] = _tool_choice(args["tool_choice"], hosted)
    if is_agent and args:
        raise ConfigurationError(_AGENT.format(", ".join(sorted(args))))
    if is_agent and hosted:
        raise ConfigurationError(_OWN_TOOLS.format(", ".join(tool_name(tool) for tool in hosted)))
    return CallOptions(args, [*(dict(tool) for tool in hosted), *functions], first_call_only)


def _tool_choice(choice: Any, hosted: Sequence[Mapping[str, Any]]) -> str:
    if choice in ("auto", "none"):
        return str(choice)
    if choice not in ("any", "required"):
        raise ConfigurationError(_NAMED.format(choice))
    if hosted:
        raise ConfigurationError(_REQUIRED.format(", ".join(tool_name(tool) for tool in hosted)))
    return "required"
