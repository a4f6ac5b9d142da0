"""What a function call is: a name and a JSON object, both read strictly once the turn is complete.

A model's call may break off or be no JSON. What is left of it is not what the model wished, so it is never repaired and
never run: the reason is told to whoever asked, and to the model. Its id is answered all the same, since the service
takes no further input before every call has its result.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from mistral_agents._border.blocks import ResultContent, write_json
from mistral_agents._border.text import may_hold_surrogates, mend_json
from mistral_agents._json import JsonDict, check_depth
from mistral_agents._turn.content import chunk_text, content_chunks
from mistral_agents.confirmation import denied
from mistral_agents.entries import FunctionCall, function_call, function_result, short_call_id, user_message
from mistral_agents.errors import ConfigurationError, PendingCallsError

INTERRUPTED = "interrupted: the call was stopped before it gave a result"
SKIPPED = (
    "Skipped: one call at a time was asked for, or an end of the answer before it. Call it again if it is still needed."
)
"""What a call is answered with that `parallel_tool_calls=False` left out, or that stood behind a stop sequence."""
UNNAMED = "call_without_a_name"
"""What stands for the name of a call that has none, where it must be sent again; no function is called so."""
UNREADABLE = "unreadable: the call was not run"
UNREADABLE_RESULT = UNREADABLE + ", since {}"
_CALL_ID = re.compile("[a-zA-Z0-9]{9}")


ToldCall = tuple[str, str, Any]
"""A function call as a history tells it: id, name, and arguments as text or as an object."""


class UnreadableCallError(ValueError):
    """A call that can't be run; the message is the reason, for people and models."""


def parse_call_arguments(arguments: object) -> JsonDict:
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
        value = json.loads(
            arguments, object_pairs_hook=_read_object, parse_constant=_refuse_constant, parse_float=_read_float
        )
        check_depth(arguments, value)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise UnreadableCallError(f"the arguments are no JSON object: {reason}.") from None
    if not isinstance(value, dict):
        raise UnreadableCallError(f"the arguments are no JSON object but {_name_kind(value)}.")
    return dict(mend_json(value))


def check_call_name(name: object) -> str:
    """The name of a call's function.

    Raises:
        UnreadableCallError: There is none.
    """
    if not isinstance(name, str) or not name.strip() or name == UNNAMED:
        raise UnreadableCallError("the call names no function.")
    return name


def find_call_fault(name: object, arguments: object) -> str | None:
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


def _read_float(text: str) -> float:
    value = float(text)
    if math.isinf(value):  # can't be written as JSON again: a history with it could never be sent
        raise ValueError(f"{text} is too large a number")
    return value


def _name_kind(value: object) -> str:
    kinds = {list: "a list", str: "a text", bool: "a truth value", int: "a number", float: "a number"}
    return kinds.get(type(value), "null")


def answer_unrun(calls: Sequence[FunctionCall], skipped: Collection[str] = ()) -> list[JsonDict]:
    """Answers to calls that will get no other: they could not be read, were skipped (by id), or were stopped."""
    return [
        function_result(call.tool_call_id, SKIPPED)
        if call.tool_call_id in skipped
        else _answer_unrun(call.tool_call_id, find_call_fault(call.name, call.arguments))
        for call in calls
    ]


def find_undecided(waiting: Sequence[FunctionCall], decided: Collection[Any], *, speaks: bool) -> list[FunctionCall]:
    """Calls whose decision may come later: the service takes decisions one by one, as long as nothing is said.

    Where none is decided yet, nothing could be sent for them, so none is left. That the service takes them so is
    unverified (probe `one-of-two` of `python -m mistral_agents.verify`); where it refuses, nothing was decided.

    Args:
        waiting: The calls that wait for a decision.
        decided: The ids of those that are decided now.
        speaks: Whether the turn says something, which the service takes only when no call waits.
    """
    left = [call for call in waiting if call.tool_call_id not in decided]
    return left if not speaks and len(left) < len(waiting) else []


def is_said(entry: JsonDict) -> bool:
    """Whether an input says something, and is no answer to a call."""
    return entry.get("type") != "function.result"


def close_calls(
    calls: Sequence[FunctionCall],
    inputs: Sequence[JsonDict],
    confirmations: Sequence[JsonDict],
    skipped: Collection[str] = (),
) -> tuple[list[JsonDict], list[JsonDict], list[FunctionCall]]:
    """Inputs and confirmations that answer the calls a conversation waits for, and the calls that go on waiting."""
    given = {entry.get("tool_call_id") for entry in (*inputs, *confirmations)}
    left = [call for call in calls if call.tool_call_id not in given]
    results = answer_unrun([call for call in left if not call.needs_confirmation], skipped)
    waiting = [call for call in calls if call.needs_confirmation]
    undecided = find_undecided(waiting, given, speaks=any(map(is_said, inputs)))
    refused = [call for call in left if call.needs_confirmation and call not in undecided]
    return [*results, *inputs], [*confirmations, *denied(refused)], undecided


def _answer_unrun(call_id: str, fault: str | None) -> JsonDict:
    return function_result(call_id, {"error": INTERRUPTED if fault is None else UNREADABLE_RESULT.format(fault)})


def drop_silent(inputs: list[JsonDict], confirmations: list[JsonDict]) -> tuple[list[JsonDict], list[JsonDict]]:
    """Inputs without messages of the user that say nothing, and the confirmations beside them.

    Raises:
        ConfigurationError: It is the last message that says nothing, which leaves nothing to answer.
    """
    if inputs and is_silent(inputs[-1]) and not confirmations:
        raise ConfigurationError(
            "The last message says nothing; the service takes no empty inputs.", hint="Say something, or leave it out."
        )
    return [entry for entry in inputs if not is_silent(entry)], confirmations


def is_silent(entry: JsonDict) -> bool:
    """Whether an input is a message of the user without words, pictures or files."""
    if entry.get("type") != "message.input":
        return False
    return all(
        chunk.get("type") == "text" and not chunk_text(chunk).strip() for chunk in content_chunks(entry["content"])
    )


# Results with files --------------------------------------------------------------------------------------------------

EntryWithFiles = JsonDict | tuple[JsonDict, ResultContent]
"""An entry; a result's with what it holds."""


def make_result_entry(call_id: str, content: ResultContent, prefix: str = "") -> EntryWithFiles:
    """The result of a call."""
    entry = function_result(call_id, f"{prefix}{content.text}")
    return (entry, content) if content.chunks else entry


def split_files(said: EntryWithFiles) -> tuple[JsonDict, tuple[JsonDict, ...]]:
    """An entry, and the files that follow it."""
    return (said[0], said[1].chunks) if isinstance(said, tuple) else (said, ())


def place_files(said: Iterable[EntryWithFiles]) -> list[JsonDict]:
    """The entries, and behind the results of a turn one message of the user with their files, each under its call's id.

    The service takes nothing else before the results are complete.
    """
    entries: list[JsonDict] = []
    files: list[JsonDict] = []
    for one in said:
        entry, chunks = split_files(one)
        if is_said(entry) and files:
            entries.append(user_message(files))
            files = []
        entries.append(entry)
        if chunks:
            files += [{"type": "text", "text": f"Files of the result of {entry['tool_call_id']}:"}, *chunks]
    return [*entries, user_message(files)] if files else entries


# Calls and results in what is sent ------------------------------------------------------------------------------------


def is_unrun_answer(entry: object) -> bool:
    """Whether an input is one of ours to a call that got no other answer."""
    said = str(entry.get("result", "")) if isinstance(entry, Mapping) else ""
    return any(words in said for words in (INTERRUPTED, UNREADABLE, SKIPPED))


def add_untold(told: Sequence[ToldCall], again: Iterable[ToldCall]) -> list[ToldCall]:
    """The calls of an answer that a framework tells in two places, each once; several may share an id."""
    left = Counter(call_id for call_id, _, _ in told)
    found = list(told)
    for call in again:
        if left[call[0]]:
            left[call[0]] -= 1
        else:
            found.append(call)
    return found


CALL_KINDS = frozenset({"tool_use", "function_call"})
"""Which content blocks of other providers are calls (Anthropic's; OpenAI's)."""


def read_told_call(told: object) -> ToldCall:
    """A call as an answer of another provider keeps it: a dict or an object of OpenAI's, Anthropic's, Bedrock's, ...

    Raises:
        ConfigurationError: It is none.
    """
    nested = _find_field(told, "function", "toolUse")
    held = nested if nested is not None else told
    name = _find_field(held, "name", "tool_name")
    arguments = _find_field(held, "arguments", "input", "args", "tool_kwargs")
    if name is None and arguments is None:
        raise ConfigurationError(f"This is no function call: {told!r:.100}.", hint="Leave it out of the history.")
    call_id = next((found for one in (told, held) if (found := _find_field(one, *_ID_FIELDS)) is not None), None)
    return str(call_id) if call_id is not None else "", name if isinstance(name, str) else "", arguments


_ID_FIELDS = ("call_id", "id", "toolUseId", "tool_id")


def _find_field(holder: object, *names: str) -> Any:
    found = (holder.get(name) if isinstance(holder, Mapping) else getattr(holder, name, None) for name in names)
    return next((value for value in found if value is not None), None)


def replay_call(call_id: str | None, name: str | None, arguments: Any) -> JsonDict:
    """A call of a history, to be sent again: as it came, with a name that the service takes where it had none.

    Halves of characters that its text escapes are replaced where it can be read: whoever reads it would have them.
    """
    if isinstance(arguments, str) and may_hold_surrogates(arguments.encode("utf-8", "replace")):
        with contextlib.suppress(UnreadableCallError):
            arguments = parse_call_arguments(arguments)
    text = arguments if arguments is None or isinstance(arguments, str) else write_json(arguments)
    return function_call(call_id or "", name or UNNAMED, text or "")


def replay_run(run_id: object, name: str, arguments: str | Mapping[str, Any] | None, info: object) -> list[JsonDict]:
    """A run of a hosted tool of a history, to be sent again: the service takes executions only as call and result."""
    call_id = short_call_id(str(run_id if run_id is not None else arguments))
    result = info.get("result", info) if isinstance(info, dict) else info
    return [function_call(call_id, name, arguments or {}), function_result(call_id, result)]


def close_history(
    entries: Sequence[JsonDict], *, held: Collection[str] | None = (), left_open: Collection[str] = ()
) -> list[JsonDict]:
    """Inputs so that the service takes them: every call has its result, every result its call.

    A result that stands behind a later message of the user goes before that, since the service takes nothing between.

    Args:
        entries: What is to be sent. An unreadable call that nothing answers is answered here.
        held: The ids of calls that the conversation waits for, which the results may answer; None where that is not
            known.
        left_open: The ids of calls that are answered here too, though they can be read.

    Raises:
        PendingCallsError: A readable call has no result, or a result no call; it names the ids.
    """
    pairs = _find_pairs(entries, held)
    closed: list[JsonDict] = []
    refused: list[str] = []
    for place in _order_results(entries, pairs):
        entry = entries[place]
        closed.append(entry)
        if entry.get("type") == "function.call" and place not in pairs.results:
            call_id, fault = str(entry["tool_call_id"]), find_call_fault(entry.get("name"), entry.get("arguments"))
            if fault is None and call_id not in left_open:
                refused.append(call_id or f"{entry.get('name')} (without an id)")
            else:
                closed.append(_answer_unrun(call_id, fault))
    _refuse_pending("tool calls have no result", refused, "Add the result of each of them before the next message.")
    hint = "Keep a call and its result together when a history is shortened, or leave both out."
    _refuse_pending("tool results belong to no open call", pairs.orphans, hint)
    return closed


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Each result belongs to the first call before it that has its id and no result yet.

    Attributes:
        results: Where the result of the call at a place stands.
        outer: Where results of calls stand that the conversation holds.
        orphans: The ids of results without a call.
    """

    results: dict[int, int]
    outer: list[int]
    orphans: list[str]


def _find_pairs(entries: Sequence[JsonDict], held: Collection[str] | None) -> _Pairs:
    waiting: dict[str, list[int]] = {}
    left = set(held or ())
    pairs = _Pairs({}, [], [])
    for place, entry in enumerate(entries):
        call_id = str(entry.get("tool_call_id"))
        if entry.get("type") == "function.call":
            waiting.setdefault(call_id, []).append(place)
        elif entry.get("type") == "function.result":
            if waiting.get(call_id):
                pairs.results[waiting[call_id].pop(0)] = place
            elif call_id in left or held is None:
                left.discard(call_id)
                pairs.outer.append(place)
            else:
                pairs.orphans.append(call_id)
    return pairs


def _order_results(entries: Sequence[JsonDict], pairs: _Pairs) -> Iterator[int]:
    """The places of entries in the order that the service takes."""
    due, told = list(pairs.outer), set[int]()
    for place, entry in enumerate(entries):
        if entry.get("type") == "message.input":
            yield from (later for later in due if later not in told)
            told.update(due)
        if place not in told:
            told.add(place)
            yield place
        if place in pairs.results:
            due.append(pairs.results[place])


def _refuse_pending(what: str, call_ids: list[str], hint: str) -> None:
    if call_ids:
        raise PendingCallsError(f"These {what}: {', '.join(call_ids)}.", call_ids=call_ids, hint=hint)


def shorten_ids(entries: Sequence[JsonDict]) -> list[JsonDict]:
    """A closed history whose calls have ids of their own, of the form that Mistral's models make.

    Other models use ids again (the function's name, or `call_0` in each answer); what replaces an id is stable.
    """
    uses: Counter[str] = Counter()
    waiting: dict[str, list[str]] = {}
    found: list[JsonDict] = []
    for entry in entries:
        call_id = entry.get("tool_call_id")
        if call_id is not None and entry.get("type") == "function.call":
            uses[call_id] += 1
            waiting.setdefault(call_id, []).append(_make_id(call_id, uses[call_id]))
            found.append({**entry, "tool_call_id": waiting[call_id][-1]})
        elif call_id is not None and waiting.get(call_id):
            found.append({**entry, "tool_call_id": waiting[call_id].pop(-1 if is_unrun_answer(entry) else 0)})
        else:
            found.append(entry)
    return found


def _make_id(call_id: str, use: int) -> str:
    if use > 1:
        return short_call_id(f"{call_id} {use}")
    return call_id if _CALL_ID.fullmatch(call_id) else short_call_id(call_id)
