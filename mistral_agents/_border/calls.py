"""What a function call is: a name and a JSON object, both read strictly once the turn is complete.

A model's call may break off or be no JSON. What is left of it is not what the model wished, so it is never repaired and
never run: the reason is told to whoever asked, and to the model. Its id is answered all the same, since the service
takes no further input before every call has its result.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

from mistral_agents._border.text import mend_json
from mistral_agents._json import JsonDict
from mistral_agents.entries import FunctionCall, function_result, short_call_id
from mistral_agents.errors import PendingCallsError

INTERRUPTED = "interrupted: the call was stopped before it gave a result"
UNNAMED = "unnamed"
"""What stands for the name of a call that has none, where it must be sent again."""
UNREADABLE = "unreadable: the call was not run"
UNREADABLE_RESULT = UNREADABLE + ", since {}"
_CALL_ID = re.compile("[a-zA-Z0-9]{9}")


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
        raise UnreadableCallError(f"the arguments are no JSON object but {_name_kind(value)}.")
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


def _name_kind(value: Any) -> str:
    kinds = {list: "a list", str: "a text", bool: "a truth value", int: "a number", float: "a number"}
    return kinds.get(type(value), "null")


def answer_unrun(calls: Sequence[FunctionCall]) -> list[JsonDict]:
    """Answers to calls that will get no other: that they could not be read, or were stopped."""
    return [function_result(call.tool_call_id, {"error": _explain_unrun(call)}) for call in calls]


def _explain_unrun(call: FunctionCall) -> str:
    fault = find_call_fault(call.name, call.arguments)
    return INTERRUPTED if fault is None else UNREADABLE_RESULT.format(fault)


# Calls and results in what is sent ------------------------------------------------------------------------------------


def is_unrun_answer(entry: Any) -> bool:
    """Whether an input is one of ours to a call that got no other answer."""
    said = str(entry.get("result", "")) if isinstance(entry, Mapping) else ""
    return INTERRUPTED in said or UNREADABLE in said


def close_history(entries: Sequence[JsonDict], *, whole: bool) -> list[JsonDict]:
    """The entries of a history so that the service takes them: every call has its result, every result its call.

    Args:
        entries: What is to be sent. An unreadable call that nothing answers is answered here.
        whole: Whether they are the whole history; else results may belong to calls that the service holds. In a whole
            history ids of a form that Mistral's models don't make are replaced by stable ones that they do.

    Raises:
        PendingCallsError: A readable call has no result, or a result no call; it names the ids.
    """
    results = {entry.get("tool_call_id") for entry in entries if entry.get("type") == "function.result"}
    closed: list[JsonDict] = []
    for entry in entries:
        closed.append(entry)
        if entry.get("type") == "function.call" and entry.get("tool_call_id") not in results:
            fault = find_call_fault(entry.get("name"), entry.get("arguments"))
            if fault is not None:
                closed.append(
                    function_result(str(entry.get("tool_call_id")), {"error": UNREADABLE_RESULT.format(fault)})
                )
    _check_pairs(closed, whole)
    return [_shorten_id(entry) for entry in closed] if whole else closed


def _check_pairs(entries: Iterable[JsonDict], whole: bool) -> None:
    waiting: dict[str, None] = {}
    orphans: list[str] = []
    for entry in entries:
        call_id, kind = str(entry.get("tool_call_id")), entry.get("type")
        if kind == "function.call" and call_id in waiting:
            raise PendingCallsError(
                f"Two tool calls without a result between them have one id: {call_id}.",
                call_ids=[call_id],
                hint="Give each call an id of its own, and its result the same.",
            )
        if kind == "function.call":
            waiting[call_id] = None
        elif kind == "function.result" and call_id in waiting:
            del waiting[call_id]
        elif kind == "function.result":
            orphans.append(call_id)
    if waiting:
        raise PendingCallsError(
            f"These tool calls have no result: {', '.join(waiting)}.",
            call_ids=list(waiting),
            hint="Add the result of each of them before the next message.",
        )
    if orphans and whole:
        raise PendingCallsError(
            f"These tool results belong to no call in the history: {', '.join(orphans)}.",
            call_ids=orphans,
            hint="Keep a call and its result together when a history is shortened, or leave both out.",
        )


def _shorten_id(entry: JsonDict) -> JsonDict:
    call_id = entry.get("tool_call_id")
    if call_id is None or _CALL_ID.fullmatch(call_id):
        return entry
    return {**entry, "tool_call_id": short_call_id(call_id)}
