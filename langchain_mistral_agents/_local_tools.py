"""Function tools run here: all calls of a turn at once, failures sent back as results."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import get_executor_for_config
from langchain_core.tools import BaseTool, StructuredTool


def as_runnable_tools(tools: Sequence[Any]) -> dict[str, BaseTool]:
    """Tools by name; plain functions become tools."""
    made = [tool if isinstance(tool, BaseTool) else _from_function(tool) for tool in tools]
    return {tool.name: tool for tool in made}


def _from_function(function: Any) -> BaseTool:
    if asyncio.iscoroutinefunction(function):
        return StructuredTool.from_function(coroutine=function)
    return StructuredTool.from_function(function)


def runnable_here(message: AIMessage, tools: dict[str, BaseTool]) -> bool:
    """Whether there are calls, and every one of them names one of these tools."""
    calls = message.tool_calls
    return bool(calls) and not message.invalid_tool_calls and all(call["name"] in tools for call in calls)


def _failed(call: Any, error: Exception) -> ToolMessage:
    return ToolMessage(f"{type(error).__name__}: {error}", tool_call_id=call["id"], name=call["name"], status="error")


def _result(call: Any, given: Any) -> ToolMessage:
    if isinstance(given, ToolMessage):
        return given
    return ToolMessage(str(given), tool_call_id=call["id"], name=call["name"])


def run_tools(message: AIMessage, tools: dict[str, BaseTool], config: RunnableConfig) -> list[ToolMessage]:
    """Run the calls of a message in threads; one that raises gives an error message."""

    def run(call: Any) -> ToolMessage:
        try:
            return _result(call, tools[call["name"]].invoke({**call, "type": "tool_call"}, config))
        except Exception as error:  # noqa: BLE001 - whatever a tool raises is for the agent to read
            return _failed(call, error)

    with get_executor_for_config(config) as executor:
        return list(executor.map(run, message.tool_calls))


async def arun_tools(message: AIMessage, tools: dict[str, BaseTool], config: RunnableConfig) -> list[ToolMessage]:
    """As `run_tools`, without blocking."""

    async def run(call: Any) -> ToolMessage:
        try:
            return _result(call, await tools[call["name"]].ainvoke({**call, "type": "tool_call"}, config))
        except Exception as error:  # noqa: BLE001 - whatever a tool raises is for the agent to read
            return _failed(call, error)

    return list(await asyncio.gather(*(run(call) for call in message.tool_calls)))
