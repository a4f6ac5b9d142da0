"""What a function call is: read strictly, never repaired, always paired."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mistral_agents._border.calls import (
    UNNAMED,
    UnreadableCallError,
    close_history,
    find_call_fault,
    is_unrun_answer,
    parse_call_arguments,
    replay_run,
    shorten_ids,
)
from mistral_agents._border.fingerprints import answer_words
from mistral_agents._conversation.functions import arun_functions, run_functions
from mistral_agents._json import DEEPEST, load_json
from mistral_agents._turn.content import parse_arguments
from mistral_agents.entries import FunctionCall, function_call, function_result, parse_entry, user_message
from mistral_agents.errors import PendingCallsError

WHOLE = {"path": "/srv/old", "dry_run": False, "names": ["a", "b"], "depth": 3.5, "deep": {"x": None}}
DAMAGED = {
    "cut": '{"path": "/srv/ol',
    "cut before its brace": '{"path": "/srv/old"',
    "two objects": '{"a": 1}{"b": 2}',
    "trailing words": '{"a": 1} and more',
    "single quotes": "{'a': 1}",
    "no quotes": "{a: 1}",
    "a list": "[1]",
    "a text": '"a"',
    "a number": "7",
    "null": "null",
    "not a number": '{"a": NaN}',
    "infinite": '{"a": -Infinity}',
    "too large": '{"a": 1e999}',
    "too long": '{"a": ' + "9" * 5_000 + "}",
    "a mark before it": '\ufeff{"a": 1}',
    "a line in a text": '{"a": "b\n"}',
    "a name twice": '{"path": "/a", "path": "/b"}',
    "a name twice below": '{"a": {"b": 1, "b": 2}}',
    "too deep": '{"a":' * 100_000,
    "a comment": '{"a": 1 /* one */}',
    "a trailing comma": '{"a": 1,}',
}


def a_call(arguments: Any, name: Any = "wipe", call_id: str = "abcdefghi") -> FunctionCall:
    entry = parse_entry({"type": "function.call", "tool_call_id": call_id, "name": name, "arguments": arguments})
    assert isinstance(entry, FunctionCall)
    return entry


@pytest.mark.parametrize("arguments", DAMAGED.values(), ids=DAMAGED.keys())
async def test_damaged_arguments_run_nothing_and_are_told(arguments: str) -> None:
    ran: list[Any] = []
    with pytest.raises(UnreadableCallError, match="no JSON object"):
        parse_call_arguments(arguments)
    functions = {"wipe": lambda **given: ran.append(given)}
    for results in (
        run_functions([a_call(arguments)], functions),
        await arun_functions([a_call(arguments)], functions),
    ):
        [result] = results
        assert result["tool_call_id"] == "abcdefghi"
        assert is_unrun_answer(result)
    assert ran == []


@given(st.integers(1, len(json.dumps(WHOLE)) - 1))
def test_no_beginning_of_a_call_is_a_call(length: int) -> None:
    assert find_call_fault("wipe", json.dumps(WHOLE)[:length]) is not None


@pytest.mark.parametrize(
    ("arguments", "info", "sent"),
    [
        ('{"query": "moss"}', {"result": "Moss is green."}, ('{"query": "moss"}', "Moss is green.")),
        ({"query": "moss"}, {"code_output": "7"}, ('{"query": "moss"}', '{"code_output": "7"}')),
        (None, "as it came", ("{}", "as it came")),
        ("", {}, ("{}", "{}")),
    ],
    ids=["a result", "other facts", "no arguments", "nothing"],
)
def test_a_run_of_a_hosted_tool_is_sent_again_as_call_and_result(arguments: Any, info: Any, sent: tuple[str, str]):
    call, result = replay_run("tool_exec_1", "web_search", arguments, info)
    assert (call["name"], call["tool_call_id"]) == ("web_search", result["tool_call_id"])
    assert (call["arguments"], result["result"]) == sent
    assert replay_run(None, "web_search", arguments, info)[0]["tool_call_id"] != call["tool_call_id"]


@pytest.mark.parametrize("arguments", ["", "  ", None])
def test_no_arguments_are_none(arguments: Any) -> None:
    assert parse_call_arguments(arguments) == {}


@pytest.mark.parametrize("name", [None, "", " "])
def test_a_call_without_a_name_is_not_run_and_not_called_none(name: Any) -> None:
    ran: list[Any] = []
    [result] = run_functions([a_call("{}", name)], {"None": lambda: ran.append(1), "": lambda: ran.append(1)})
    assert ran == []
    assert "names no function" in result["result"]


def test_halves_of_characters_in_arguments_are_replaced() -> None:
    assert parse_call_arguments('{"text": "a\\ud83d"}') == {"text": "a�"}


_IDS = st.sampled_from(["aaaaaaaaa", "bbbbbbbbb", "call_c", "d"])
_ENTRIES = st.one_of(
    st.text(max_size=3).map(user_message),
    st.builds(function_call, _IDS, st.just("note"), st.sampled_from(["{}", '{"a": 1}', "{cut", "[1]"])),
    st.builds(function_result, _IDS, st.text(max_size=3)),
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no fault
@given(st.lists(_ENTRIES, max_size=8), st.one_of(st.none(), st.sets(_IDS)), st.sets(_IDS))
def test_any_history_is_paired_or_refused_by_name(
    entries: list[Any], held: set[str] | None, left_open: set[str]
) -> None:
    try:
        sent = close_history(entries, held=held, left_open=left_open)
    except PendingCallsError as error:
        refused = error
    else:
        refused = None
    if refused is not None:
        assert refused.call_ids
        assert all(call_id in str(refused) for call_id in refused.call_ids)
        return
    assert sorted(map(repr, (e for e in sent if not is_unrun_answer(e)))) == sorted(map(repr, entries))
    ordered = [[e for e in side if e["type"] != "function.result"] for side in (sent, entries)]
    assert ordered[0] == ordered[1], "as it came, in its order, but for results"
    waiting = Counter(held or ())
    for entry in sent:
        if entry["type"] == "message.input":
            assert all(count <= (call_id in (held or ())) for call_id, count in waiting.items()), "a call still waits"
        if entry["type"] == "function.call":
            waiting[entry["tool_call_id"]] += 1
        elif entry["type"] == "function.result":
            waiting[entry["tool_call_id"]] -= 1
            assert held is None or waiting[entry["tool_call_id"]] >= 0, "a result without a call"
    assert all(count <= (call_id in (held or ())) for call_id, count in waiting.items()), "a call without a result"


def test_an_unreadable_call_goes_out_as_it_came_with_its_result() -> None:
    call, result = close_history([function_call("aaaaaaaaa", "note", "{oops")])
    assert call["arguments"] == "{oops"
    assert result["tool_call_id"] == "aaaaaaaaa"
    assert "not run" in result["result"]


def test_ids_of_others_become_ids_the_models_know_in_calls_and_results_alike() -> None:
    call, result = shorten_ids([function_call("call_abc", "note", "{}"), function_result("call_abc", "1")])
    assert call["tool_call_id"] == result["tool_call_id"]
    assert len(call["tool_call_id"]) == 9


def test_an_id_that_is_used_twice_needs_two_results() -> None:
    call, result = function_call("call_0", "note", "{}"), function_result("call_0", "1")
    assert close_history([call, result, call, result]) == [call, result, call, result]
    with pytest.raises(PendingCallsError, match="call_0"):
        close_history([call, result, call])
    cut = function_call("call_0", "note", "{cut")
    assert [entry["type"] for entry in close_history([cut, result, cut])] == ["function.call", "function.result"] * 2


def test_a_result_before_its_call_is_none() -> None:
    with pytest.raises(PendingCallsError, match="call_0"):
        close_history([function_result("call_0", "1"), function_call("call_0", "note", "{}")])


def test_a_result_of_a_call_that_the_conversation_waits_for_is_taken_once() -> None:
    result = function_result("call_0", "1")
    assert close_history([result], held={"call_0"}) == [result]
    with pytest.raises(PendingCallsError, match="call_0"):
        close_history([result, result], held={"call_0"})


def test_a_call_that_a_conversation_left_open_is_answered() -> None:
    _, result = close_history([function_call("call_0", "note", "{}")], left_open={"call_0"})
    assert "interrupted" in result["result"]


@pytest.mark.parametrize("name", [None, "", " "])
def test_a_call_without_a_name_is_answered_where_it_is_sent_again(name: Any) -> None:
    for stand_in in (name or "", UNNAMED):
        _, result = close_history([function_call("call_0", stand_in, "{}")])
        assert "names no function" in result["result"]


def test_an_id_that_is_used_again_becomes_another() -> None:
    call, result = function_call("call_0", "note", "{}"), function_result("call_0", "1")
    cut = function_call("call_0", "note", "{cut")
    sent = shorten_ids(close_history([call, result, call, cut, result]))
    ids = [[e["tool_call_id"] for e in sent if e["type"] == f"function.{kind}"] for kind in ("call", "result")]
    assert len(set(ids[0])) == 3
    assert sorted(ids[0]) == sorted(ids[1])
    (unrun,) = [entry for entry in sent if is_unrun_answer(entry)]
    assert unrun["tool_call_id"] == next(e["tool_call_id"] for e in sent if e.get("arguments") == "{cut")


def test_two_calls_with_one_id_are_refused_by_it() -> None:
    twice = [function_call("aaaaaaaaa", "note", "{}"), function_call("aaaaaaaaa", "wipe", "{}")]
    with pytest.raises(PendingCallsError, match="aaaaaaaaa"):
        close_history([*twice, function_result("aaaaaaaaa", "1")])


DEEP = ['{"path": ' + "[" * 100_000, *('{"path": ' + "[" * n + "]" * n + "}" for n in (DEEPEST, 100_000))]


@pytest.mark.parametrize("deep", DEEP, ids=["cut", "one level too deep", "far too deep"])
def test_arguments_nested_too_deeply_are_unreadable_wherever_they_are_looked_at(deep: str) -> None:
    with pytest.raises(ValueError, match=r"nested too deeply|Expecting"):
        load_json(deep)
    assert find_call_fault("wipe", deep) is not None
    assert parse_arguments(deep) == {"input": deep}
    assert answer_words("", [("aaaaaaaaa", "wipe", deep)]) == answer_words("", [("aaaaaaaaa", "wipe", deep)])


def test_arguments_as_deep_as_may_be_are_read() -> None:
    deep = '{"path": ' + "[" * (DEEPEST - 1) + "]" * (DEEPEST - 1) + "}"
    assert find_call_fault("wipe", deep) is None
    assert parse_arguments(deep) == load_json(deep) == load_json(deep.encode())


def test_brackets_in_a_text_nest_nothing() -> None:
    assert load_json('"' + "[" * 2 * DEEPEST + '"') == "[" * 2 * DEEPEST
