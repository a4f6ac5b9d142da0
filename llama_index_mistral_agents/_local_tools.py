"""Functions that run here, where LlamaIndex runs them outside an agent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from llama_index.core.llms.llm import ToolSelection
from llama_index.core.llms.utils import parse_partial_json
from llama_index.core.tools.calling import acall_tool_with_selection, call_tool_with_selection
from llama_index.core.tools.types import BaseTool, ToolOutput

from mistral_agents._border.calls import UNNAMED, find_call_fault, parse_call_arguments

if TYPE_CHECKING:
    from llama_index.core.base.llms.types import ChatResponse
    from llama_index.core.chat_engine.types import AgentChatResponse


def select_call(call_id: str, name: str, arguments: str) -> ToolSelection:
    """A call of a complete answer; one that can't be read is named so that no tool runs and the model is told why."""
    fault = find_call_fault(name, arguments)
    if fault is not None:
        return ToolSelection(tool_id=call_id, tool_name=f"{name or UNNAMED} (not run: {fault})", tool_kwargs={})
    return ToolSelection(tool_id=call_id, tool_name=name, tool_kwargs=parse_call_arguments(arguments))


def select_growing_call(call_id: str, name: str, arguments: str) -> ToolSelection:
    """A call that is still being written, with the arguments so far; it is only shown."""
    try:
        value: Any = parse_partial_json(arguments)
    except (ValueError, RecursionError):
        value = None
    return ToolSelection(tool_id=call_id, tool_name=name, tool_kwargs=value if isinstance(value, dict) else {})


def run_selection(call: ToolSelection, tools: Sequence[BaseTool], *, verbose: bool) -> ToolOutput:
    """What a called function gives; one that is not there is an error for the model, as in LlamaIndex's agents."""
    return call_tool_with_selection(call, tools, verbose=verbose) if _is_known(call, tools) else _refuse_call(call)


async def arun_selection(call: ToolSelection, tools: Sequence[BaseTool], *, verbose: bool) -> ToolOutput:
    """As `run_selection`, without blocking."""
    return (
        await acall_tool_with_selection(call, tools, verbose=verbose) if _is_known(call, tools) else _refuse_call(call)
    )


def report_outputs(response: ChatResponse, outputs: list[ToolOutput], *, raises: bool) -> AgentChatResponse:
    """The outputs of functions as an answer; without any, the model's words.

    Raises:
        ValueError: A function failed, and `raises`.
    """
    from llama_index.core.chat_engine.types import AgentChatResponse

    text = "\n\n".join(output.content for output in outputs)
    if raises and any(output.is_error for output in outputs):
        raise ValueError(text)
    return AgentChatResponse(response=text if outputs else response.message.content or "", sources=outputs)


def _is_known(call: ToolSelection, tools: Sequence[BaseTool]) -> bool:
    return any(tool.metadata.name == call.tool_name for tool in tools)


def _refuse_call(call: ToolSelection) -> ToolOutput:
    text = f"There is no tool {call.tool_name}."
    given = call.tool_kwargs
    return ToolOutput(content=text, tool_name=call.tool_name, raw_input=given, raw_output=text, is_error=True)
