"""Calls and their results, in every way a user can ask: half a call is told, and every id that goes out has its pair."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mistral_agents.errors import PendingCallsError
from tests.contract.conftest import World
from tests.contract.ways import WAYS, Way, each_stored_way, each_way
from tests.support.scripted import call, calls, say

PARAMETERS = {"type": "object", "properties": {"text": {"type": "string"}}}
NOTE = {"type": "function", "function": {"name": "note", "description": "Note.", "parameters": PARAMETERS}}
CUT = '{"text": "a'
each_stateless_way = pytest.mark.parametrize("way", [way for way in WAYS if not way.stored], ids=str)


def sent_inputs(world: World) -> list[Any]:
    """The inputs of the last turn."""
    inputs = world.turns[-1][1]["inputs"]
    return [{"type": "message.input", "content": inputs}] if isinstance(inputs, str) else list(inputs)


def kinds(inputs: list[Any]) -> list[str]:
    return [entry["type"].partition(".")[2] for entry in inputs]


def ids(inputs: list[Any], kind: str) -> list[str]:
    return [entry["tool_call_id"] for entry in inputs if entry["type"] == kind]


@each_way
def test_a_conversation_goes_on_after_a_call_that_cannot_be_read(way: Way, world: World) -> None:
    world.mind.script(call("note", CUT), say("second"), say("third"))
    model, messages = way.model(world.client, [NOTE]), [way.user("one")]
    for text in ("two", "three"):
        messages += [way.ask(model, messages), way.user(text)]
    assert way.text(way.ask(model, messages)) == "third"
    told = json.dumps(world.mind.requests[-1])
    assert "no JSON object" in told
    if not way.stored:
        (entry,) = [entry for entry in sent_inputs(world) if entry["type"] == "function.call"]
        assert entry["arguments"] == CUT, "as it came"
        assert ids(sent_inputs(world), "function.result") == [entry["tool_call_id"]]


@each_way
def test_a_call_without_a_name_is_none_and_its_conversation_goes_on(way: Way, world: World) -> None:
    world.mind.always(say("ok"))
    answer = way.calling("call_1", "", "{}")
    assert way.text(way.ask(way.model(world.client), [way.user("one"), answer, way.user("two")])) == "ok"
    (entry,) = [entry for entry in sent_inputs(world) if entry["type"] == "function.call"]
    assert entry["name"] not in ("", "None")
    assert "names no function" in json.dumps(world.mind.requests[-1])


@each_stateless_way
def test_a_call_without_its_result_is_refused_by_name(way: Way, world: World) -> None:
    answer = way.calling("call_open", "note", "{}")
    with pytest.raises(PendingCallsError, match="call_open"):
        way.ask(way.model(world.client), [way.user("one"), answer, way.user("two")])
    assert world.turns == []


@each_stored_way
def test_a_call_that_a_stored_conversation_left_open_is_answered(way: Way, world: World) -> None:
    world.mind.script(call("note", {"text": "a"}), say("second"))
    model, messages = way.model(world.client, [NOTE]), [way.user("one")]
    messages += [way.ask(model, messages), way.user("two")]
    assert way.text(way.ask(model, messages)) == "second"
    assert kinds(sent_inputs(world)) == ["result", "input"]
    assert "interrupted" in sent_inputs(world)[0]["result"]


@each_stored_way
def test_a_call_that_a_stored_conversation_left_open_is_answered_in_a_new_one_too(way: Way, world: World) -> None:
    world.mind.script(call("note", {"text": "a"}), say("second"), say("third"))
    model, messages = way.model(world.client, [NOTE]), [way.user("one")]
    messages += [way.ask(model, messages), way.user("two")]
    messages += [way.ask(model, messages), way.user("three")]
    messages[0] = way.user("ONE")
    assert way.text(way.ask(model, messages)) == "third"
    assert world.turns[-1][0] == "", "an edited beginning is another conversation"
    assert kinds(sent_inputs(world)) == ["input", "call", "result", "input", "output", "input"]


@each_stored_way
def test_calls_that_nobody_here_knows_are_answered_when_they_are_in_the_way(way: Way, world: World) -> None:
    world.mind.script(calls(call("note", {"text": "a"}), call("note", CUT)), say("second"))
    first = world.client.conversations.start("one", model="m", tools=[NOTE])
    world.forget()
    model = way.model(world.client, conversation_id=first.conversation_id)
    assert way.text(way.ask(model, [way.user("two")])) == "second"
    assert world.inputs_of(first.conversation_id) == ["one", "two"]
    results = [m["content"] for m in world.mind.requests[-1]["messages"] if m["role"] == "tool"]
    assert "interrupted" in results[0]
    assert "no JSON object" in results[1]


@each_stored_way
def test_calls_at_the_entry_of_a_branch_are_answered(way: Way, world: World) -> None:
    world.mind.script(call("note", {"text": "a"}), say("second"), say("other second"))
    model, messages = way.model(world.client, [NOTE]), [way.user("one")]
    messages += [way.ask(model, messages), way.user("two")]
    way.ask(model, messages)
    world.forget()  # what stands after the first answer is read from the history
    assert way.text(way.ask(model, [*messages[:-1], way.user("instead")])) == "other second"
    assert world.turns[-1][0] == "/restart"
    assert kinds(sent_inputs(world)) == ["result", "input"]


@each_way
def test_a_result_without_its_call_is_refused_by_name(way: Way, world: World) -> None:
    world.mind.always(say("ok"))
    model, messages = way.model(world.client), [way.user("one")]
    messages.append(way.ask(model, messages))
    with pytest.raises(PendingCallsError, match="call_gone"):
        way.ask(model, [*messages, way.result("call_gone", "42"), way.user("two")])
    assert len(world.turns) == 1


@each_stateless_way
def test_ids_that_are_used_again_are_pairs_of_their_own(way: Way, world: World) -> None:
    world.mind.always(say("ok"))
    asked, told = way.calling("call_0", "note", "{}"), way.result("call_0", "same")
    way.ask(way.model(world.client), [way.user("one"), asked, told, asked, told, way.user("two")])
    assert kinds(sent_inputs(world)) == ["input", "call", "result", "call", "result", "input"]


@each_stateless_way
@pytest.mark.parametrize("arguments", ["{}", '{"a": 1}'])
def test_arguments_go_out_as_an_object(way: Way, world: World, arguments: str) -> None:
    world.mind.always(say("ok"))
    history = [way.user("one"), way.calling("call_0", "note", arguments), way.result("call_0", "1"), way.user("two")]
    way.ask(way.model(world.client), history)
    (entry,) = [entry for entry in sent_inputs(world) if entry["type"] == "function.call"]
    assert json.loads(entry["arguments"]) == json.loads(arguments)


_PIECES = st.one_of(
    st.tuples(st.just("user"), st.sampled_from(["a", "b"])),
    st.tuples(
        st.just("call"), st.sampled_from(["call_1", "call_2"]), st.sampled_from(["{}", CUT, "[1]", '{"a": NaN}'])
    ),
    st.tuples(st.just("result"), st.sampled_from(["call_1", "call_2"])),
)


def _build(way: Way, piece: tuple[str, ...]) -> Any:
    if piece[0] == "user":
        return way.user(piece[1])
    return way.calling(piece[1], "note", piece[2]) if piece[0] == "call" else way.result(piece[1], "1")


@pytest.mark.parametrize(
    "way", [Way("langchain", False, False, False), Way("llama_index", False, False, False)], ids=str
)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=st.lists(_PIECES, max_size=6))
def test_no_history_sends_an_orphan(way: Way, world: World, pieces: list[tuple[str, ...]]) -> None:
    world.mind.always(say("ok"))
    before = len(world.turns)
    refused: PendingCallsError | None = None
    try:
        way.ask(way.model(world.client), [*(_build(way, piece) for piece in pieces), way.user("last")])
    except PendingCallsError as error:
        refused = error
    if refused is not None:
        assert refused.call_ids, "by name, and not by the service"
        assert len(world.turns) == before
    else:
        inputs = sent_inputs(world)
        assert sorted(ids(inputs, "function.call")) == sorted(ids(inputs, "function.result"))
