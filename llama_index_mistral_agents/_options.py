"""What a model or a call may ask for: the border's options, and LlamaIndex's tools as the service takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from llama_index.core.tools.types import BaseTool

from mistral_agents._border.fingerprints import tool_name
from mistral_agents._border.options import (
    check_agent_options,
    choose_tools,
    resolve_options,
    take_completion,
)
from mistral_agents._border.schemas import check_tool, make_tool
from mistral_agents._border.typing_schemas import python_schema
from mistral_agents._json import JsonDict
from mistral_agents.errors import ConfigurationError

_OWN_TOOLS = "An agent brings its own tools: the service refuses tools beside agent_id ({}). Put them on the agent."


@dataclass(frozen=True, slots=True)
class CallOptions:
    """The options of one call.

    Attributes:
        completion_args: By the service's names.
        tools: Hosted tools and function tools as the service takes them.
        first_call_only: Whether one function call at a time is wanted.
        request: Other options of the request.
        metadata: The model's own, which go with stored conversations only.
        target: What this call sets instead of the model: `model`, `store`, `conversation_id`, `handoff_execution`.
    """

    completion_args: JsonDict
    tools: list[JsonDict]
    first_call_only: bool = False
    request: JsonDict = field(default_factory=dict)
    metadata: JsonDict = field(default_factory=dict)
    target: JsonDict = field(default_factory=dict)


def describe_tool(tool: object, *, strict: bool | None = None) -> JsonDict:
    """A tool of LlamaIndex, or one as a dict, as the service takes it.

    Raises:
        ConfigurationError: The service would refuse its name, or its schema can't be sent.
    """
    if isinstance(tool, BaseTool):
        about = tool.metadata
        given = python_schema(about.fn_schema)[0] if about.fn_schema is not None else about.get_parameters_dict()
        return make_tool(about.name, about.description, given, strict=strict)
    if not isinstance(tool, Mapping):
        raise ConfigurationError(f"A tool must be a tool of LlamaIndex or a dict, not {type(tool).__name__}.")
    return check_tool(tool, strict=strict) if tool.get("type") in (None, "function") else dict(tool)


def call_options(
    fixed: Mapping[str, Any], hosted: Sequence[Mapping[str, Any]], kwargs: Mapping[str, Any], *, is_agent: bool
) -> CallOptions:
    """The options of a call: the model's own, overridden by the call's.

    Args:
        fixed: The model's own, by their own names; None counts as not given.
        hosted: The model's tools.
        kwargs: Those of the call.
        is_agent: Whether an agent answers.

    Raises:
        ConfigurationError: An option is unknown, or the service is known to refuse it.
    """
    own = {name: value for name, value in fixed.items() if value is not None}
    given = resolve_options(kwargs, what="MistralAgentLLM", where="call")
    completion = {**take_completion(own), **take_completion(given)}
    metadata = own.pop("metadata", {})
    given = {**own, **given}
    choice, strict = completion.pop("tool_choice", None), given.pop("strict", None)
    functions = [describe_tool(tool, strict=strict) for tool in given.pop("tools", ())]
    first_call_only = given.pop("parallel_tool_calls", True) is False
    target = {name: given.pop(name) for name in _TARGET if name in given}
    tools = [*(dict(tool) for tool in hosted), *functions]
    if is_agent:
        check_agent_options({**completion, "model": target.get("model"), "tool_choice": choice})
        if hosted:
            raise ConfigurationError(_OWN_TOOLS.format(", ".join(tool_name(tool) for tool in hosted)))
    else:
        tools, word = choose_tools(tools, choice)
        completion |= {"tool_choice": word} if word is not None else {}
    return CallOptions(completion, tools, first_call_only, given, metadata, target)


_TARGET = ("model", "store", "conversation_id", "handoff_execution")
