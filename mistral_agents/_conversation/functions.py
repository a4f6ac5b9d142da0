"""Runs the client's functions that a turn calls for: concurrently, and always with an answer."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
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
from mistral_agents.entries import FunctionCall, function_result
from mistral_agents.errors import ConfigurationError

Functions = Mapping[str, Callable[..., Any]]
Results = dict[str, EntryWithFiles]
"""Results by call id, filled as they come: what one call has given is kept though another is stopped."""
_WORKERS = 8


def check_functions(functions: object) -> None:
    """Look whether functions can be called by their names.

    Raises:
        ConfigurationError: They are no dict of functions by name.
    """
    if functions is None or (isinstance(functions, Mapping) and all(map(callable, functions.values()))):
        return
    told = type(functions).__name__ if not isinstance(functions, Mapping) else "a dict that holds something else"
    raise ConfigurationError(f'functions must be a dict of functions by name, such as {{"add": add}}, not {told}.')


def _pair_result(call: FunctionCall, value: object) -> EntryWithFiles:
    check_result(call.name, value)
    return make_result_entry(call.tool_call_id, make_result(read_value(value)))


def _pair_failure(call: FunctionCall, error: Exception) -> JsonDict:
    return function_result(call.tool_call_id, {"error": f"{type(error).__name__}: {error}"})


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
        value = functions[call.name](**parse_call_arguments(call.arguments))
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
        function, arguments = functions[call.name], parse_call_arguments(call.arguments)
        if inspect.iscoroutinefunction(function):
            return _pair_result(call, await function(**arguments))
        value = await call_in_thread(function, **arguments)
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
