"""Function tools run here: all calls of a turn at once, failures sent back as results."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial, wraps
from typing import Any, cast

from langchain_core.messages import AIMessage, ToolCall, ToolMessage
from langchain_core.messages.tool import ToolOutputMixin
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import get_executor_for_config
from langchain_core.tools import BaseTool, StructuredTool

from mistral_agents._border.calls import UNREADABLE_RESULT, find_call_fault
from mistral_agents._border.control import Questions, is_command, is_steering, refuse_command


def as_runnable_tools(tools: Sequence[Any]) -> dict[str, BaseTool]:
    """Tools by name; plain functions become tools."""
    made = [tool if isinstance(tool, BaseTool) else _make_tool(tool) for tool in tools]
    return {tool.name: tool for tool in made}


def _make_tool(function: Callable[..., Any]) -> BaseTool:
    if inspect.iscoroutinefunction(function):
        return StructuredTool.from_function(coroutine=function)
    return StructuredTool.from_function(function)


def runnable_here(message: AIMessage, tools: dict[str, BaseTool]) -> bool:
    """Whether there are calls, and every readable one of them names one of these tools."""
    calls = message.tool_calls
    return bool(calls or message.invalid_tool_calls) and all(call["name"] in tools for call in calls)


def _wrap_failure(call: ToolCall, error: Exception) -> ToolMessage:
    text = f"{type(error).__name__}: {error}"
    return ToolMessage(text, tool_call_id=call["id"] or "", name=call["name"], status="error")


def _wrap_result(call: ToolCall, given: object) -> ToolMessage:
    outputs = given if isinstance(given, (list, tuple)) else [given]
    if any(isinstance(output, ToolOutputMixin) for output in outputs):
        return _pick_answer(call, outputs)
    return ToolMessage(str(given), tool_call_id=call["id"] or "", name=call["name"])


def _pick_answer(call: ToolCall, outputs: Sequence[Any]) -> ToolMessage:
    """The message that answers a call, among what a tool may give to a graph.

    Raises:
        CommandGivenError: There is none, or more than that is wanted.
    """
    wishes: list[str] = []
    messages: list[Any] = []
    for output in outputs:
        if not is_command(output):
            messages.append(output)
            continue
        update = output.update if isinstance(output.update, Mapping) else {}
        told = update.get("messages") or []
        messages += told if isinstance(told, (list, tuple)) else [told]  # one message may stand alone, as in a graph
        wishes += [f"update of {name}" for name in update if name != "messages"]
        wishes += [name for name in ("goto", "resume", "graph") if getattr(output, name)]
    found = [one for one in messages if isinstance(one, ToolMessage) and one.tool_call_id == (call["id"] or "")]
    wishes += ["no message for its call"] if not found else []
    wishes += ["further messages"] if len(messages) > 1 else []
    if wishes:
        given = "a Command" if any(map(is_command, outputs)) else "messages"
        refuse_command(call["name"], f"{given} ({', '.join(wishes)})")
    return found[0]


def answer_unreadable(message: AIMessage) -> list[ToolMessage]:
    """What the model is told of its calls that can't be read, which are not run."""
    return [
        ToolMessage(
            UNREADABLE_RESULT.format(find_call_fault(call["name"], call["args"]) or call["error"]),
            tool_call_id=call["id"] or "",
            name=call["name"],
            status="error",
        )
        for call in message.invalid_tool_calls
    ]


def run_tools(
    message: AIMessage,
    tools: dict[str, BaseTool],
    config: RunnableConfig,
    done: Mapping[str, ToolMessage],
    questions: Questions,
) -> list[ToolMessage]:
    """Run the calls of a message in threads; one that raises gives an error message, an unreadable one is not run.

    Where they go on with answers of people, they run one by one.

    Raises:
        PausedError: A tool steers the run (an interrupt of a graph, say); it has what the others gave.
    """

    def run(call: ToolCall, config: RunnableConfig) -> ToolMessage | Exception:
        known = done.get(call["id"] or "")
        if known is not None:
            return known
        try:
            return _wrap_result(call, tools[call["name"]].invoke({**call, "type": "tool_call"}, config))
        except Exception as error:  # noqa: BLE001 - whatever a tool raises is for the agent to read, or steers the run
            return error if is_steering(error) else _wrap_failure(call, error)

    inquiry = questions.begin(config)
    if inquiry is None:
        with get_executor_for_config(config) as executor:
            found = list(executor.map(partial(run, config=config), message.tool_calls))
    else:
        found = []
        for call in message.tool_calls:
            found.append(run(call, cast("RunnableConfig", inquiry.config)))
            if isinstance(found[-1], Exception):
                break
            inquiry.settle()
    return [*_collect_answers(found), *answer_unreadable(message)]


async def arun_tools(
    message: AIMessage,
    tools: dict[str, BaseTool],
    config: RunnableConfig,
    done: Mapping[str, ToolMessage],
    questions: Questions,
) -> list[ToolMessage]:
    """As `run_tools`, without blocking."""

    async def run(call: ToolCall, config: RunnableConfig) -> ToolMessage | Exception:
        known = done.get(call["id"] or "")
        if known is not None:
            return known
        try:
            return _wrap_result(call, await tools[call["name"]].ainvoke({**call, "type": "tool_call"}, config))
        except Exception as error:  # noqa: BLE001 - as above
            return error if is_steering(error) else _wrap_failure(call, error)

    inquiry = questions.begin(config)
    if inquiry is None:
        found = list(await asyncio.gather(*(run(call, config) for call in message.tool_calls)))
    else:
        found = []
        for call in message.tool_calls:
            found.append(await run(call, cast("RunnableConfig", inquiry.config)))
            if isinstance(found[-1], Exception):
                break
            inquiry.settle()
    return [*_collect_answers(found), *answer_unreadable(message)]


class PausedError(Exception):
    """Carries what steers a run to where it is raised, with the results of the calls that came to their end."""

    def __init__(self, cause: Exception, results: Sequence[ToolMessage]) -> None:
        super().__init__(str(cause))
        self.cause = cause
        self.results = {result.tool_call_id: result for result in results}


def _collect_answers(found: Sequence[ToolMessage | Exception]) -> list[ToolMessage]:
    results = [each for each in found if isinstance(each, ToolMessage)]
    for each in found:
        if isinstance(each, Exception):
            raise PausedError(each, results)
    return results


def answer_with_text(tool: BaseTool) -> BaseTool:
    """A tool made of an agent that gives the text of its answer; the message is the artifact."""
    fields: dict[str, Any] = {"response_format": "content_and_artifact"}
    for name in ("func", "coroutine"):
        function = tool.__dict__.get(name)
        if function is not None:
            fields[name] = _split_answer(function) if name == "func" else _asplit_answer(function)
    made: BaseTool = tool.model_copy(update=fields)
    return made


def _split_answer(function: Callable[..., AIMessage]) -> Callable[..., tuple[str, AIMessage]]:
    @wraps(function)
    def answer(*args: object, **kwargs: object) -> tuple[str, AIMessage]:
        message = function(*args, **kwargs)
        return str(message.text), message

    return answer


def _asplit_answer(function: Callable[..., Awaitable[AIMessage]]) -> Callable[..., Awaitable[tuple[str, AIMessage]]]:
    @wraps(function)
    async def answer(*args: object, **kwargs: object) -> tuple[str, AIMessage]:
        message = await function(*args, **kwargs)
        return str(message.text), message

    return answer
