"""What steers a run: raised around a user's function to pause, move or end it, and never an answer for the model.

Cancellation, `KeyboardInterrupt` and exits are no `Exception`s in Python and pass `except Exception` anyway; frameworks
raise some that are. They are known by the names of their classes and modules, so that no framework is imported here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import CancelledError
from typing import Any

_STEERING = {
    "langgraph": frozenset({"GraphBubbleUp"}),
    "workflows": frozenset({"WaitingForEvent", "WorkflowCancelledByUser", "WorkflowDone"}),
}
"""Base classes of steering exceptions by the package that defines them (LangGraph; LlamaIndex's workflows)."""


def is_steering(error: BaseException) -> bool:
    """Whether an exception steers a run, so that it must pass every `except`."""
    if not isinstance(error, Exception) or isinstance(error, (asyncio.CancelledError, CancelledError)):
        return True
    return any(kind.__name__ in _STEERING.get(kind.__module__.partition(".")[0], ()) for kind in type(error).__mro__)


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
