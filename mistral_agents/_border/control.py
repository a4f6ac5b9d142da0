"""What steers a run: raised around a user's function to pause, move or end it, and never an answer for the model.

Cancellation, `KeyboardInterrupt` and exits are no `Exception`s in Python and pass `except Exception` anyway; frameworks
raise some that are. They are known by the names of their classes and modules, so that no framework is imported here.
A function may also give such a wish instead of a result: a command to a graph, which only a graph can carry out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import CancelledError
from typing import Any, NoReturn

from mistral_agents.errors import ConfigurationError

_STEERING = {
    "langgraph": frozenset({"GraphBubbleUp"}),
    "workflows": frozenset({"WaitingForEvent", "WorkflowCancelledByUser", "WorkflowDone"}),
}
"""Base classes of steering exceptions by the package that defines them (LangGraph; LlamaIndex's workflows)."""
_COMMANDS = {"langgraph": frozenset({"Command"})}
_PASSING = (asyncio.CancelledError, CancelledError)


class CommandGivenError(ConfigurationError):
    """A function gave a command to a graph where no graph runs; it is raised, and never told to the model."""


def is_steering(error: BaseException) -> bool:
    """Whether an exception steers a run, so that it must pass every `except`."""
    if not isinstance(error, Exception) or isinstance(error, (*_PASSING, CommandGivenError)):
        return True
    return _is_one_of(error, _STEERING)


def is_command(value: object) -> bool:
    """Whether what a function gave is a command to a graph."""
    return _is_one_of(value, _COMMANDS)


def check_result(name: str, value: object) -> None:
    """Refuse a command as a function's result.

    Raises:
        CommandGivenError: It is one, or holds one.
    """
    given = value if isinstance(value, (list, tuple)) else [value]
    if any(map(is_command, given)):
        refuse_command(name, "a Command")


def refuse_command(name: str, what: str) -> NoReturn:
    """Refuse what only a graph can do.

    Raises:
        CommandGivenError: Always.
    """
    raise CommandGivenError(
        f"The function {name} gave {what}, which only a graph can carry out; no graph runs its functions here.",
        hint="Return a result, or run the function in a graph (LangChain's create_agent, LangGraph's ToolNode).",
    )


def _is_one_of(value: object, kinds: Mapping[str, Collection[str]]) -> bool:
    return any(kind.__name__ in kinds.get(kind.__module__.partition(".")[0], ()) for kind in type(value).__mro__)


async def call_in_thread(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """`asyncio.to_thread` for a user's function, which may raise anything.

    Raises:
        RuntimeError: It raised `StopIteration`: no future takes one, and who awaits it would wait for ever.
    """
    return await asyncio.to_thread(_keep_iteration_inside, function, *args, **kwargs)


def _keep_iteration_inside(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    try:
        return function(*args, **kwargs)
    except StopIteration as error:
        raise RuntimeError(f"the function raised StopIteration: {error}") from error
