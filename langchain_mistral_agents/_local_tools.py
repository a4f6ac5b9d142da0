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
from langchain_core.tools import BaseTool, InjectedToolCallId, StructuredTool
from pydantic.fields import FieldInfo

from langchain_mistral_agents._tools import as_tool
from mistral_agents._border.calls import UNREADABLE_RESULT, find_call_fault
from mistral_agents._border.control import Questions, is_command, is_steering, refuse_command, wait_for
from mistral_agents.errors import ConfigurationError


def as_runnable_tools(tools: Sequence[Any]) -> dict[str, BaseTool]:
    """Tools by name; plain functions become tools.

    Raises:
        ConfigurationError: One is none, has no name, or the name of another.
    """
    made: dict[str, BaseTool] = {}
    for tool in tools:
        ready = tool if isinstance(tool, BaseTool) else _make_tool(tool)
        if ready.name in made:
            raise ConfigurationError(f"Two tools are called {ready.name}.", hint="Rename one of them.")
        made[ready.name] = ready
    return made


def check_local_tools(tools: Sequence[Any]) -> None:
    """Look whether all tools can be run, before the first call of one fails.

    Raises:
        ConfigurationError: As `as_runnable_tools` and `as_tool`; one wants what only a graph injects.
    """
    for tool in as_runnable_tools(tools).values():
        as_tool(tool)
        wanted = _find_injected(tool)
        if wanted:
            raise ConfigurationError(
                f"The tool {tool.name} wants {', '.join(wanted)}, which only a graph injects; no graph runs it here.",
                hint="Give it a default, or run the tool in a graph (LangChain's create_agent, LangGraph's ToolNode).",
            )


def _find_injected(tool: BaseTool) -> list[str]:
    """The arguments without which a tool can't run, and which no call of the model gives."""
    given: Any = tool.get_input_schema()
    told: Any = tool.tool_call_schema
    fields, known = getattr(given, "model_fields", {}), getattr(told, "model_fields", None)
    if known is None:  # a JSON schema, or a class of pydantic's first version
        return []
    return [name for name, field in fields.items() if name not in known and field.is_required() and not _is_id(field)]


def _is_id(field: FieldInfo) -> bool:
    """Whether a call's id is what is injected, which every call has."""
    return any(mark is InjectedToolCallId or isinstance(mark, InjectedToolCallId) for mark in field.metadata)


def _make_tool(function: Any) -> BaseTool:
    if not callable(function):
        raise ConfigurationError(
            f"A tool that runs here is a function or a tool of LangChain, not {type(function).__name__}.",
            hint="Hosted tools, and what the model is told of functions, belong to the agent itself.",
        )
    name = getattr(function, "__name__", None)
    if name is None:  # functools.partial, or an object that can be called
        raise ConfigurationError(
            f"A tool without a name can't be run: {function!r:.100}.",
            hint="Give it one: StructuredTool.from_function(..., name=...).",
        )
    about = None if function.__doc__ else name  # the agent has its own description
    if inspect.iscoroutinefunction(function):
        return StructuredTool.from_function(coroutine=function, description=about)
    return StructuredTool.from_function(function, description=about)


def runnable_here(message: AIMessage, tools: dict[str, BaseTool]) -> bool:
    """Whether there are calls, and every readable one of them names one of these tools.

    Where a hosted call beside them waits for a decision, all is left to the caller: results alone would deny it.
    """
    calls = message.tool_calls
    if message.response_metadata.get("pending_confirmations"):
        return False
    return bool(calls or message.invalid_tool_calls) and all(call["name"] in tools for call in calls)


def _invoke(tool: BaseTool, call: ToolCall, config: RunnableConfig) -> Any:
    """What a tool gives to a caller that blocks, though it may be only asynchronous, as those of MCP servers are."""
    if getattr(tool, "coroutine", None) is not None and getattr(tool, "func", None) is None:
        return wait_for(tool.ainvoke(call, config))
    return tool.invoke(call, config)


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
            return _wrap_result(call, _invoke(tools[call["name"]], {**call, "type": "tool_call"}, config))
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
