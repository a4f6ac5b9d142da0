"""What a function call is: a name and a JSON object, both read strictly once the turn is complete.

A model's call may break off or be no JSON. What is left of it is not what the model wished, so it is never repaired and
never run: the reason is told to whoever asked, and to the model. Its id is answered all the same, since the service
takes no further input before every call has its result.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from mistral_agents._border.text import mend_json
from mistral_agents._json import JsonDict
from mistral_agents.entries import FunctionCall, function_result
from mistral_agents.errors import PendingCallsError

INTERRUPTED = "interrupted: the call was stopped before it gave a result"
UNREADABLE_RESULT = "unreadable: the call was not run, since {}"


class UnreadableCallError(ValueError):
    """A call that can't be run; the message is the reason, for people and models."""


def parse_call_arguments(arguments: Any) -> JsonDict:
    """The arguments of a complete call.

    Args:
        arguments: As the service sent them: JSON text, or an object. Nothing at all means no arguments.

    Raises:
        UnreadableCallError: They are no JSON object; nothing is repaired.
    """
    if arguments is None or (isinstance(arguments, str) and not arguments.strip()):
        return {}
    if isinstance(arguments, dict):
        return arguments
    if not isinstance(arguments, str):
        raise UnreadableCallError(f"the arguments are no JSON object but {type(arguments).__name__}.")
    try:
        value = json.loads(arguments, object_pairs_hook=_read_object, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise UnreadableCallError(f"the arguments are no JSON object: {reason}.") from None
    if not isinstance(value, dict):
        raise UnreadableCallError(f"the arguments are no JSON object but {_kind_of(value)}.")
    return dict(mend_json(value))


def check_call_name(name: Any) -> str:
    """The name of a call's function.

    Raises:
        UnreadableCallError: There is none.
    """
    if not isinstance(name, str) or not name.strip():
        raise UnreadableCallError("the call names no function.")
    return name


def find_call_fault(name: Any, arguments: Any) -> str | None:
    """Why a call can't be run; None where it can be read."""
    try:
        check_call_name(name)
        parse_call_arguments(arguments)
    except UnreadableCallError as error:
        return str(error)
    return None


def _read_object(pairs: list[tuple[str, Any]]) -> JsonDict:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice!r} is given twice")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _kind_of(value: Any) -> str:
    kinds = {list: "a list", str: "a text", bool: "a truth value", int: "a number", float: "a number"}
    return kinds.get(type(value), "null")


def answer_unrun(calls: Sequence[FunctionCall]) -> list[JsonDict]:
    """Answers to calls that will get no other: that they could not be read, or were stopped."""
    return [function_result(call.tool_call_id, {"error": _why_unrun(call)}) for call in calls]


def _why_unrun(call: FunctionCall) -> str:
    fault = find_call_fault(call.name, call.arguments)
    return INTERRUPTED if fault is None else UNREADABLE_RESULT.format(fault)


# Calls and results in what is sent ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Pairing:
    """How the calls and results of a history fit together.

    Attributes:
        open_ids: Calls without a result.
        orphan_ids: Results without a call before them.
    """

    open_ids: tuple[str, ...]
    orphan_ids: tuple[str, ...]


def pair_calls(entries: Iterable[JsonDict]) -> Pairing:
    """Match the calls and results of entries, in order."""
    waiting: dict[str, None] = {}
    orphans: list[str] = []
    for entry in entries:
        call_id = entry.get("tool_call_id")
        if entry.get("type") == "function.call" and isinstance(call_id, str):
            waiting[call_id] = None
        elif entry.get("type") == "function.result" and isinstance(call_id, str):
            if call_id in waiting:
                del waiting[call_id]
            else:
                orphans.append(call_id)
    return Pairing(tuple(waiting), tuple(orphans))


def check_pairs(open_ids: Sequence[str], orphan_ids: Sequence[str]) -> None:
    """Refuse a history of the user's whose calls and results don't fit, as the service would with an unclear 400.

    Raises:
        PendingCallsError: It names the ids.
    """
    if open_ids:
        raise PendingCallsError(
            f"These tool calls have no result: {', '.join(open_ids)}.",
            call_ids=list(open_ids),
            hint="Add the result of each of them before the next message.",
        )
    if orphan_ids:
        raise PendingCallsError(
            f"These tool results belong to no call in the history: {', '.join(orphan_ids)}.",
            call_ids=list(orphan_ids),
            hint="Keep a call and its result together when a history is shortened, or leave both out.",
        )
