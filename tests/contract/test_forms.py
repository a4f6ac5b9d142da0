"""An answer of a given form with hosted tools: one turn uses them, one writes the form, in each way."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import BaseModel

from mistral_agents import CodeInterpreter, MistralAgents
from mistral_agents._border.forms import FORM_QUESTION, carrying, is_finished, join_form, takes_two_turns
from mistral_agents._border.schemas import describe_form
from mistral_agents.errors import ConfigurationError, ResponseFormatError, ServerFailureError
from mistral_agents.security import Safeguards
from mistral_agents.turn import Turn
from tests.border.service import Service
from tests.contract.conftest import World
from tests.contract.test_calls import NOTE
from tests.contract.ways import Way, each_way
from tests.support.scripted import call, say

JSON = {"type": "json_object"}
FORM = '{"name": "Ada"}'


class Person(BaseModel):
    """A person."""

    name: str


def facts(way: Way, answer: Any) -> dict[str, Any]:
    return dict(answer.response_metadata if way.wing == "langchain" else answer.additional_kwargs)


@each_way
def test_hosted_tools_and_a_form_are_two_turns(way: Way, world: World) -> None:
    world.mind.script(call("code_interpreter", {"code": "print('Ada')"}), say("It is Ada."), say(FORM), say("Again."))
    model, messages = way.model(world.client, [CodeInterpreter()]), [way.user("Who?")]
    answer = way.ask(model, messages, response_format=JSON)
    (_, thought), (_, written) = world.turns
    assert "response_format" not in thought.get("completion_args", {})
    assert (written["completion_args"]["response_format"], "tools" in written, written["store"]) == (JSON, False, False)
    assert (way.text(answer), facts(way, answer)["draft"]) == (FORM, "It is Ada.")
    last = way.ask(model, [*messages, answer, way.user("And now?")])
    assert way.text(last) == "Again."
    if way.stored:
        assert way.conversation(last) == way.conversation(answer), "the turn that used the tools is the one kept"


@each_way
def test_a_form_that_fails_leaves_the_answer_before_it(way: Way) -> None:
    """The turn that used the tools is paid, and without `store` nobody else keeps it."""
    with Service() as service:
        service.say("It is Ada.")
        service.fail_next(500, {"message": "boom"})
        client = MistralAgents(api_key="k", base_url=service.url, max_retries=0)
        with pytest.raises(ServerFailureError) as caught:
            way.ask(way.model(client, [CodeInterpreter()]), [way.user("Who?")], response_format=JSON)
    assert caught.value.turn is not None
    assert caught.value.turn.text == "It is Ada."
    assert caught.value.conversation_id == service.conversation
    assert "is whole, in .turn" in str(caught.value)


@each_way
def test_whatever_stops_the_form_carries_the_answer_before_it(way: Way, world: World) -> None:
    """What a hook of the user raises goes through as it is, and loses nothing."""

    class Stopped(Exception):
        pass

    def stop(text: str) -> str:
        if text == FORM_QUESTION:
            raise Stopped
        return text

    world.mind.script(say("It is Ada."), say(FORM))
    client = MistralAgents(api_key="k", base_url=world.client.base_url, safeguards=Safeguards(redact=stop))
    with pytest.raises(Stopped) as caught:
        way.ask(way.model(client, [CodeInterpreter()]), [way.user("Who?")], response_format=JSON)
    assert vars(caught.value)["turn"].text == "It is Ada."
    assert len(world.turns) == 1


@pytest.mark.parametrize("kind", [asyncio.CancelledError, KeyboardInterrupt])
def test_a_run_that_is_stopped_while_the_form_is_written_loses_nothing(kind: type[BaseException]) -> None:
    found = Turn.from_response({"conversation_id": "conv_1", "outputs": []})
    with pytest.raises(kind) as caught, carrying(found):
        raise kind
    assert vars(caught.value)["turn"] is found


@each_way
@pytest.mark.parametrize("args", ["completion_args", "model_kwargs"])
def test_a_form_among_the_completion_args_is_one(way: Way, world: World, args: str) -> None:
    world.mind.script(say("It is Ada."), say(FORM))
    given = {args: {"response_format": JSON, "temperature": 0.5}, "response_format": None}
    answer = way.ask(way.model(world.client, [CodeInterpreter()]), [way.user("Who?")], **given)
    (_, thought), (_, written) = world.turns
    assert thought["completion_args"] == {"temperature": 0.5}
    assert written["completion_args"] == {"temperature": 0.5, "response_format": JSON}
    assert way.text(answer) == FORM


@each_way
def test_tools_that_can_be_read_only_once_are_in_the_turn_before_the_form(way: Way) -> None:
    with Service() as service:
        model = way.model(MistralAgents(api_key="k", base_url=service.url, max_retries=0))
        tools = (tool for tool in [CodeInterpreter()])
        way.ask(model, [way.user("a")], tools=tools, response_format={"type": "json_object"})
        assert [[tool["type"] for tool in body.get("tools", ())] for body in service.bodies] == [
            ["code_interpreter"],
            [],
        ]


@pytest.mark.parametrize("wing", ["langchain", "llama_index"])
async def test_a_batch_job_takes_no_form_with_hosted_tools(wing: str, world: World) -> None:
    way = Way("langchain" if wing == "langchain" else "llama_index", False, False, False)
    model = way.model(world.client, [CodeInterpreter()], response_format=JSON)
    with pytest.raises(ConfigurationError, match=r"response_format.* takes two turns"):
        model.batch_job(["Who?"])
    with pytest.raises(ConfigurationError, match="batch job"):
        await model.abatch_job(["Who?"])
    assert world.served.faults.requests == []


@each_way
def test_a_call_comes_before_the_form(way: Way, world: World) -> None:
    world.mind.script(call("note", {"text": "a"}))
    model = way.model(world.client, [CodeInterpreter()])
    way.ask(model, [way.user("q")], tools=[NOTE], response_format=JSON)
    assert len(world.turns) == 1


@each_way
def test_without_hosted_tools_a_form_is_one_turn(way: Way, world: World) -> None:
    world.mind.script(say(FORM))
    assert way.text(way.ask(way.model(world.client), [way.user("q")], response_format=JSON)) == FORM
    assert len(world.turns) == 1


@pytest.mark.parametrize("wing", ["langchain", "langchain function_calling", "llama_index"])
def test_an_object_is_made_with_hosted_tools(wing: str, world: World) -> None:
    world.mind.script(say("It is Ada."), say(FORM))
    if wing == "llama_index":
        from llama_index.core.prompts import PromptTemplate

        from llama_index_mistral_agents import MistralAgentLLM

        llm = MistralAgentLLM("mistral-medium-latest", tools=[CodeInterpreter()], client=world.client)
        assert llm.structured_predict(Person, PromptTemplate("Who?")) == Person(name="Ada")
    else:
        from langchain_mistral_agents import ChatMistralAgent

        model = ChatMistralAgent(model="mistral-medium-latest", connectors=[CodeInterpreter()], client=world.client)
        method = "function_calling" if wing.endswith("calling") else "json_schema"
        assert model.with_structured_output(Person, method=method).invoke("Who?") == Person(name="Ada")
    assert len(world.turns) == 2


def test_a_form_of_plain_text_is_none() -> None:
    hosted = [{"type": "web_search"}]
    assert takes_two_turns(JSON, hosted, is_agent=False)
    assert not takes_two_turns({"type": "text"}, hosted, is_agent=False)
    assert not takes_two_turns(JSON, hosted, is_agent=True)
    assert not takes_two_turns(JSON, [NOTE], is_agent=False)


def test_the_joined_turn_has_the_form_and_what_the_tools_did() -> None:
    run = {"type": "tool.execution", "id": "t1", "name": "web_search", "arguments": "{}", "info": {}}
    reference = {"type": "tool_reference", "tool": "web_search", "title": "t", "url": "https://e.org"}
    message = {"type": "message.output", "id": "m1", "content": [{"type": "text", "text": "Ada."}, reference]}
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    found = Turn.from_response({"conversation_id": "c", "outputs": [run, message], "usage": usage})
    written = Turn.from_response({"outputs": [{"type": "message.output", "content": FORM}], "usage": usage})
    joined = join_form(found, written)
    assert is_finished(found)
    assert (joined.text, joined.conversation_id, joined.last_entry_id) == (FORM, "c", "m1")
    assert (len(joined.tool_executions), len(joined.citations), joined.usage.total_tokens) == (1, 1, 6)


def test_an_answer_that_does_not_fit_keeps_its_text() -> None:
    form = describe_form(Person)
    assert form.parse(f"Here: {FORM}") == Person(name="Ada")
    assert form.read_partly({}) is None
    for text in ('{"name": 3}', "no JSON"):
        with pytest.raises(ResponseFormatError) as caught:
            form.parse(text)
        assert caught.value.body == text
