"""Stop sequences beside an agent, which takes none: both wings cut the answer themselves, in each way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from mistral_agents import MistralAgents, WebSearch
from mistral_agents._border.calls import SKIPPED
from mistral_agents._border.events import ContentItem, EventReader, Record, TextDelta
from mistral_agents._border.stops import AnswerCut, cut_turn
from mistral_agents.turn import Turn
from tests.border.service import Service
from tests.contract.conftest import World
from tests.contract.ways import WAYS, Way, each_stored_way, each_way
from tests.support.scripted import ask_confirmation, call, say

REFERENCE = {"type": "tool_reference", "tool": "web_search", "title": "t", "url": "https://e.org"}


@pytest.fixture
def agent_id(world: World) -> str:
    return str(world.client.agents.create(model="mistral-medium-latest", name="stops")["id"])


@each_way
def test_an_answer_of_an_agent_ends_before_the_stop(way: Way, world: World, agent_id: str) -> None:
    world.mind.script(say("One. STOP Two."))
    model = way.model(world.client, model=None, agent_id=agent_id, stop=["STOP"])
    answer = way.ask(model, [way.user("q")])
    assert way.text(answer) == "One. "
    assert "stop" not in str(world.turns[-1][1].get("completion_args"))


@each_way
def test_a_beginning_of_a_stop_is_no_stop(way: Way, world: World, agent_id: str) -> None:
    world.mind.script(say("One. STO"))
    model = way.model(world.client, model=None, agent_id=agent_id)
    assert way.text(way.ask(model, [way.user("q")], stop=["STOP"])) == "One. STO"


@each_way
def test_a_kept_conversation_goes_on_behind_a_cut_answer(way: Way, world: World, agent_id: str) -> None:
    world.mind.script(say("One. STOP Two."), say("Three."))
    model = way.model(world.client, model=None, agent_id=agent_id, stop="STOP")
    first = way.ask(model, [way.user("q")])
    second = way.ask(model, [way.user("q"), first, way.user("more")])
    assert way.text(second) == "Three."
    if way.stored:
        assert way.conversation(second) == way.conversation(first)


@each_stored_way
def test_a_call_behind_the_stop_is_answered_as_skipped(way: Way, world: World) -> None:
    parameters = {"type": "object", "properties": {}}
    tool = {"type": "function", "function": {"name": "f", "description": "f", "parameters": parameters}}
    agent = world.client.agents.create(model="mistral-medium-latest", name="stops", tools=[tool])
    world.mind.script(say("One. STOP Two.", calls=[call("f")]), say("Three."))
    model = way.model(world.client, model=None, agent_id=agent["id"], stop=["STOP"])
    first = way.ask(model, [way.user("q")])
    facts = first.response_metadata if way.wing == "langchain" else first.additional_kwargs
    assert (len(facts["skipped_calls"]), facts.get("finish_reason", "stop")) == (1, "stop")
    second = way.ask(model, [way.user("q"), first, way.user("more")])
    assert (way.text(second), way.conversation(second)) == ("Three.", way.conversation(first))
    assert [entry.get("result") for entry in world.turns[-1][1]["inputs"]] == [SKIPPED, None]


@each_stored_way
def test_a_hosted_call_behind_the_stop_waits_for_its_decision(way: Way, world: World) -> None:
    searches = WebSearch(requires_confirmation=["web_search"])
    agent = world.client.agents.create(model="mistral-medium-latest", name="stops", tools=[searches])
    world.mind.script(say("One. STOP Two.", calls=[ask_confirmation("web_search", {"query": "q"})]), say("Three."))
    model = way.model(world.client, model=None, agent_id=agent["id"], stop=["STOP"])
    first = way.ask(model, [way.user("q")])
    facts = first.response_metadata if way.wing == "langchain" else first.additional_kwargs
    assert len(facts["pending_confirmations"]) == 1
    assert way.text(way.ask(model, [way.user("q"), first, way.user("more")])) == "Three."


@pytest.mark.parametrize("way", [way for way in WAYS if not way.stored], ids=str)
@pytest.mark.parametrize(
    ("contents", "text"),
    [
        ([[{"type": "text", "text": "One ST"}, REFERENCE, {"type": "text", "text": "OP two"}]], "One "),
        (["One ST", "OP two"], "One STOP two"),
        ([[{"type": "text", "text": "One ST"}, REFERENCE, {"type": "text", "text": "AR"}]], "One STAR"),
    ],
    ids=["across a reference", "across messages", "no stop"],
)
def test_each_message_is_looked_through_as_one_text(way: Way, contents: list[Any], text: str) -> None:
    with Service() as service:
        service.answer(*contents)
        client = MistralAgents(api_key="k", base_url=service.url)
        model = way.model(client, model=None, agent_id="ag_1", stop=["STOP"])
        assert way.text(way.ask(model, [way.user("q")])) == text


@each_way
def test_a_model_is_asked_to_stop(way: Way, world: World) -> None:
    world.mind.script(say("One."))
    way.ask(way.model(world.client, stop=["STOP"]), [way.user("q")])
    assert world.turns[-1][1]["completion_args"]["stop"] == ["STOP"]


def records_of(*chunks: Any) -> list[Record]:
    """A message's chunks as a stream tells them: each text comes letter by letter."""
    reader, found = EventReader(), list[Record]()
    for place, chunk in enumerate(chunks):
        kind = {"type": "message.output.delta", "id": "m", "content_index": place}
        for piece in chunk if isinstance(chunk, str) else [chunk]:
            found += reader.read({**kind, "content": piece})
    return found


def text_of(records: Sequence[Record]) -> str:
    return "".join(record.text for record in records if isinstance(record, TextDelta))


@pytest.mark.parametrize("pieces", [["a STOP b"], ["a ST", "OP b"], list("a STOP b"), ["a S", "", "TOP"]])
def test_a_text_is_cut_however_it_comes(pieces: list[str]) -> None:
    cut = AnswerCut(["STOP", "END"])
    reader = EventReader()
    shown = [
        record
        for piece in pieces
        for record in cut.take(reader.read({"type": "message.output.delta", "id": "m", "content": piece}))
    ]
    assert text_of([*shown, *cut.end()]) == "a "
    assert {record.piece.text_from(0) for record in shown if isinstance(record, TextDelta)} <= {"a "}
    assert cut.hit


@pytest.mark.parametrize("words", [["abc", "b"], ["b", "abc"], ["ab", "b"], ["bcd", "abcx", "c"]])
def test_stops_that_hold_each_other_cut_a_call_and_any_stream_alike(words: list[str]) -> None:
    message = {"type": "message.output", "id": "m", "content": "xabcd"}
    whole = cut_turn(Turn.from_response({"outputs": [message]}), words).text
    for pieces in (["xabcd"], list("xabcd"), ["xa", "bcd"], ["xab", "cd"]):
        cut, reader = AnswerCut(words), EventReader()
        events = ({**message, "type": "message.output.delta", "content": piece} for piece in pieces)
        shown = [record for event in events for record in cut.take(reader.read(event))]
        assert text_of([*shown, *cut.end()]) == whole, pieces


@pytest.mark.parametrize(
    ("chunks", "text", "references"),
    [
        (["One ST", REFERENCE, "OP two"], "One ", 0),
        (["One ", REFERENCE, "STOP two"], "One ", 1),
        (["One ST", REFERENCE, "AR", REFERENCE], "One STAR", 2),
        (["One ST", REFERENCE], "One ST", 1),
    ],
)
def test_a_stop_is_found_across_a_reference(chunks: list[Any], text: str, references: int) -> None:
    cut = AnswerCut(["STOP"])
    shown = [*cut.take(records_of(*chunks)), *cut.end()]
    assert (text_of(shown), len([one for one in shown if isinstance(one, ContentItem)])) == (text, references)


def test_llama_indexs_deltas_add_up_to_the_answer(world: World, agent_id: str) -> None:
    from llama_index.core.llms import ChatMessage

    from llama_index_mistral_agents import MistralAgentLLM

    world.mind.script(say("One. STO"), say("One. STOP Two."))
    llm = MistralAgentLLM(agent_id=agent_id, client=world.client, stop=["STOP"])
    for text in ("One. STO", "One. "):
        responses = list(llm.stream_chat([ChatMessage(content="q")]))
        assert "".join(response.delta or "" for response in responses) == text == responses[-1].message.content


def test_what_follows_the_stop_in_a_turn_is_left_out() -> None:
    def message(content: Any) -> dict[str, Any]:
        return {"type": "message.output", "id": f"m{content}"[:9], "content": content}

    call = {"type": "function.call", "id": "c", "tool_call_id": "c", "name": "f", "arguments": "{}"}
    content = [{"type": "text", "text": "One "}, REFERENCE, {"type": "text", "text": "two STOP three"}, REFERENCE]
    turn = Turn.from_response({"outputs": [message("Zero. "), message(content), call, message("four")]})
    cut = cut_turn(turn, ["STOP"])
    assert (cut.text, len(cut.citations), cut.function_calls) == ("Zero. One two ", 1, [])
    assert cut_turn(turn, ["nowhere"]) is turn
