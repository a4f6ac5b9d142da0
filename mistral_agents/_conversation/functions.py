"""Runs the client's functions that a turn calls for: concurrently, and always with an answer."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections.abc import AsyncIterable, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

from mistral_agents._border.blocks import make_result
from mistral_agents._border.calls import (
    EntryWithFiles,
    answer_unrun,
    find_call_fault,
    make_result_entry,
    parse_call_arguments,
)
from mistral_agents._border.control import Questions, call_in_thread, check_result, is_steering, wait_for
from mistral_agents._border.dialects import read_value
from mistral_agents._json import JsonDict
from mistral_agents.entries import FunctionCall, Handoff, function_result
from mistral_agents.errors import ConfigurationError

Functions = Mapping[str, Callable[..., Any]]
AskNext = Callable[[Handoff], "str | None | Awaitable[str | None]"]
"""What to say to the agent that was handed over to; None to stop there."""
Results = dict[str, EntryWithFiles]
"""Results by call id, filled as they come: what one call has given is kept though another is stopped."""
_WORKERS = 8


def check_functions(functions: object) -> None:
    """Look whether functions can be called by their names.

    Raises:
        ConfigurationError: They are no dict of functions by name.
    """
    if functions is None:
        return
    named = isinstance(functions, Mapping) and all(isinstance(name, str) for name in functions)
    if isinstance(functions, Mapping) and named and all(map(callable, functions.values())):
        return
    told = type(functions).__name__ if not isinstance(functions, Mapping) else "a dict that holds something else"
    raise ConfigurationError(f'functions must be a dict of functions by name, such as {{"add": add}}, not {told}.')


def _pair_result(call: FunctionCall, value: object) -> EntryWithFiles:
    check_result(call.name, value)
    return make_result_entry(call.tool_call_id, make_result(read_value(value)))


def _pair_failure(call: FunctionCall, error: Exception) -> JsonDict:
    return function_result(call.tool_call_id, {"error": f"{type(error).__name__}: {error}"})


def _bind_arguments(function: Callable[..., Any], arguments: JsonDict) -> Callable[[], Any]:
    """The function with its arguments; those that it takes by place only (as many of C's do) are given so."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # one that does not tell
        return partial(function, **arguments)
    by_name, placed = dict(arguments), []
    for parameter in parameters:
        if parameter.kind is not parameter.POSITIONAL_ONLY or parameter.name not in by_name:
            break
        placed.append(by_name.pop(parameter.name))
    return partial(function, *placed, **by_name)


async def _gather(values: AsyncIterable[Any]) -> list[Any]:
    return [value async for value in values]


def _answer_without_running(call: FunctionCall, functions: Functions) -> JsonDict | None:
    """The answer to a call that can't be run; None where it can."""
    if find_call_fault(call.name, call.arguments) is not None:
        return answer_unrun([call])[0]
    if call.name not in functions:
        known = ", ".join(sorted(functions)) or "none"
        return function_result(call.tool_call_id, {"error": f"there is no function {call.name}; known are: {known}"})
    return None


def _run_function(call: FunctionCall, functions: Functions) -> EntryWithFiles:
    answer = _answer_without_running(call, functions)
    if answer is not None:
        return answer
    try:
        value = _bind_arguments(functions[call.name], parse_call_arguments(call.arguments))()
        value = _gather(value) if inspect.isasyncgen(value) else value
        return _pair_result(call, wait_for(value) if inspect.isawaitable(value) else value)
    except Exception as error:
        if is_steering(error):
            raise
        return _pair_failure(call, error)


def run_functions(
    calls: Sequence[FunctionCall],
    functions: Functions,
    results: Results | None = None,
    questions: Questions | None = None,
) -> list[EntryWithFiles]:
    """The results of all calls, in their order; several run at once, in threads that see the caller's context.

    Where they go on with answers of people, they run one by one.

    An unreadable call is not run; it, an unknown function and one that raises give an error result.

    Args:
        calls: The calls of a complete turn.
        functions: The functions by name.
        results: Known results, which are not made again; new ones are put in as they come.
        questions: What functions of the exchange asked people.

    Raises:
        BaseException: What steers a run (an interrupt of a graph, cancellation, `KeyboardInterrupt`).
    """
    done = results if results is not None else {}
    missing = [call for call in calls if call.tool_call_id not in done]
    asked = questions if questions is not None else Questions()
    if len(missing) < 2 or asked.begin() is not None:
        for call in missing:
            with asked.asking():
                done[call.tool_call_id] = _run_function(call, functions)
    else:
        _run_together(missing, functions, done)
    return [done[call.tool_call_id] for call in calls]


def _run_together(calls: Sequence[FunctionCall], functions: Functions, done: Results) -> None:
    pool = ThreadPoolExecutor(min(len(calls), _WORKERS), thread_name_prefix="mistral-agents-function")
    try:
        running: list[tuple[FunctionCall, Future[EntryWithFiles]]] = [
            (call, pool.submit(contextvars.copy_context().run, _run_function, call, functions)) for call in calls
        ]
        stopped: BaseException | None = None
        for call, future in running:
            try:
                done[call.tool_call_id] = future.result()
            except Exception as error:  # noqa: BLE001 - what steers the run is raised when the others have ended
                stopped = stopped if stopped is not None else error
        if stopped is not None:
            raise stopped
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


async def _arun_function(call: FunctionCall, functions: Functions) -> EntryWithFiles:
    answer = _answer_without_running(call, functions)
    if answer is not None:
        return answer
    try:
        function = _bind_arguments(functions[call.name], parse_call_arguments(call.arguments))
        if inspect.iscoroutinefunction(function):
            return _pair_result(call, await function())
        value = await call_in_thread(function)
        value = _gather(value) if inspect.isasyncgen(value) else value
        return _pair_result(call, await value if inspect.isawaitable(value) else value)
    except Exception as error:
        if is_steering(error):
            raise
        return _pair_failure(call, error)


async def arun_functions(
    calls: Sequence[FunctionCall],
    functions: Functions,
    results: Results | None = None,
    questions: Questions | None = None,
) -> list[EntryWithFiles]:
    """As `run_functions`, on the event loop; functions that block run in threads."""
    done = results if results is not None else {}
    missing = [call for call in calls if call.tool_call_id not in done]
    asked = questions if questions is not None else Questions()
    if asked.begin() is not None:
        for call in missing:
            with asked.asking():
                done[call.tool_call_id] = await _arun_function(call, functions)
        missing = []
    found = await asyncio.gather(
        *(_arun_function(call, functions) for call in missing), return_exceptions=len(missing) > 1
    )
    stopped: BaseException | None = None
    for call, result in zip(missing, found, strict=True):
        if isinstance(result, BaseException):
            stopped = stopped if stopped is not None else result
        else:
            done[call.tool_call_id] = result
    if stopped is not None:
        raise stopped
    return [done[call.tool_call_id] for call in calls]


def ask_next(follow: AskNext, handoff: Handoff) -> str | None:
    """What the user's function wants said to the next agent.

    Raises:
        ConfigurationError: It gave something else than a text or None.
    """
    said = follow(handoff)
    return _check_said(wait_for(said) if inspect.isawaitable(said) else said)


async def aask_next(follow: AskNext, handoff: Handoff) -> str | None:
    """As `ask_next`, on the event loop; a function that blocks runs in a thread."""
    said: Any = follow(handoff) if inspect.iscoroutinefunction(follow) else await call_in_thread(follow, handoff)
    return _check_said(await said if inspect.isawaitable(said) else said)


def _check_said(said: object) -> str | None:
    if said is None or (isinstance(said, str) and said.strip()):
        return said
    raise ConfigurationError(f"on_handoff must give a text for the next agent, or None to stop there, not {said!r}.")
