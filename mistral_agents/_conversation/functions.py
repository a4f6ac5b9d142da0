"""Runs the client's functions that a turn calls for: concurrently, and always with an answer."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from mistral_agents._json import JsonDict
from mistral_agents.entries import FunctionCall, function_result

Functions = Mapping[str, Callable[..., Any]]
INTERRUPTED = "interrupted: the call was stopped before it gave a result"
_WORKERS = 8


def interrupted(calls: Sequence[FunctionCall]) -> list[JsonDict]:
    """Answers to calls that will get no other."""
    return [function_result(call.tool_call_id, {"error": INTERRUPTED}) for call in calls]


def _answer(call: FunctionCall, value: Any) -> JsonDict:
    try:
        return function_result(call.tool_call_id, value)
    except (TypeError, ValueError):
        return function_result(call.tool_call_id, str(value))


def _failure(call: FunctionCall, error: Exception) -> JsonDict:
    return function_result(call.tool_call_id, {"error": f"{type(error).__name__}: {error}"})


def _unknown(call: FunctionCall, functions: Functions) -> JsonDict:
    known = ", ".join(sorted(functions)) or "none"
    return function_result(call.tool_call_id, {"error": f"there is no function {call.name}; known are: {known}"})


def _arguments(call: FunctionCall) -> JsonDict:
    """The arguments; what is no JSON object is told to the model rather than passed on."""
    value = json.loads(call.arguments) if call.arguments.strip() else {}
    if not isinstance(value, dict):
        raise ValueError(f"the arguments must be a JSON object, not {call.arguments[:100]}")  # noqa: TRY004 - of the model
    return value


def _run(call: FunctionCall, functions: Functions) -> JsonDict:
    function = functions.get(call.name)
    if function is None:
        return _unknown(call, functions)
    try:
        value = function(**_arguments(call))
        return _answer(call, asyncio.run(_awaited(value)) if inspect.isawaitable(value) else value)
    except Exception as error:  # noqa: BLE001 - whatever a function raises is the model's to hear, or nothing goes on
        return _failure(call, error)


async def _awaited(value: Any) -> Any:
    return await value


def run_functions(calls: Sequence[FunctionCall], functions: Functions) -> list[JsonDict]:
    """The results of all calls, in their order; several run at once, in threads.

    An unknown function and one that raises give an error result. A KeyboardInterrupt goes through.
    """
    if len(calls) < 2:
        return [_run(call, functions) for call in calls]
    pool = ThreadPoolExecutor(min(len(calls), _WORKERS), thread_name_prefix="mistral-agents-function")
    try:
        return list(pool.map(lambda call: _run(call, functions), calls))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


async def _arun(call: FunctionCall, functions: Functions) -> JsonDict:
    function = functions.get(call.name)
    if function is None:
        return _unknown(call, functions)
    try:
        arguments = _arguments(call)
        if inspect.iscoroutinefunction(function):
            return _answer(call, await function(**arguments))
        value = await asyncio.to_thread(function, **arguments)
        return _answer(call, await value if inspect.isawaitable(value) else value)
    except Exception as error:  # noqa: BLE001 - as in `_run`
        return _failure(call, error)


async def arun_functions(calls: Sequence[FunctionCall], functions: Functions) -> list[JsonDict]:
    """As `run_functions`, on the event loop; functions that block run in threads."""
    return list(await asyncio.gather(*(_arun(call, functions) for call in calls)))
