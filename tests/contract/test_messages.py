"""What users say reaches the service alike, whichever wing, call or stream, kept or not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from mistral_agents import MistralAgents
from mistral_agents.errors import ConfigurationError
from tests.border.service import Service
from tests.contract.ways import WAYS, Way, each_way


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as found:
        yield found


def make_client(service: Service) -> MistralAgents:
    return MistralAgents(api_key="k", base_url=service.url, max_retries=0)


def texts_of(service: Service) -> list[Any]:
    inputs = service.bodies[-1]["inputs"]
    return [entry.get("content", entry.get("result")) for entry in inputs]


def system(way: Way, text: str) -> Any:
    if way.wing == "langchain":
        from langchain_core.messages import SystemMessage

        return SystemMessage(text)
    from llama_index.core.llms import ChatMessage

    return ChatMessage(role="system", content=text)


def calling_twice(way: Way, call_id: str) -> Any:
    """An answer of another model that gives two calls one id, as the framework keeps it."""
    if way.wing == "langchain":
        from langchain_core.messages import AIMessage

        return AIMessage("", tool_calls=[{"id": call_id, "name": "f", "args": {"n": n}} for n in (1, 2)])
    from llama_index.core.llms import ChatMessage

    function = {"name": "f", "arguments": '{"n": 1}'}
    kept = [{"id": call_id, "function": function}, {"id": call_id, "function": {**function, "arguments": '{"n": 2}'}}]
    return ChatMessage(role="assistant", content="", additional_kwargs={"tool_calls": kept})


@each_way
@pytest.mark.parametrize("blank", ["", " \n"])
def test_a_message_without_words_is_left_out(way: Way, service: Service, blank: str) -> None:
    model = way.model(make_client(service))
    way.ask(model, [way.user(blank), way.user("a"), way.user(blank), way.user("b")])
    assert texts_of(service) == ["a", "b"]


@each_way
@pytest.mark.parametrize("before", [[], ["a"]])
def test_a_last_message_without_words_is_refused(way: Way, service: Service, before: list[str]) -> None:
    model = way.model(make_client(service))
    with pytest.raises(ConfigurationError, match="says nothing"):
        way.ask(model, [*map(way.user, before), way.user("")])
    assert service.bodies == []


@each_way
def test_a_kept_conversation_takes_no_empty_message(way: Way, service: Service) -> None:
    model = way.model(make_client(service))
    answer = way.ask(model, [way.user("a")])
    with pytest.raises(ConfigurationError, match="says nothing"):
        way.ask(model, [way.user("a"), answer, way.user("")])
    way.ask(model, [way.user("a"), answer, way.user(""), way.user("b")])
    assert texts_of(service) == (["b"] if way.stored else ["a", "ok", "b"])


@each_way
def test_calls_that_share_an_id_keep_their_results(way: Way, service: Service) -> None:
    history = [way.user("a"), calling_twice(way, "f"), way.result("f", "one"), way.result("f", "two"), way.user("b")]
    way.ask(way.model(make_client(service)), history)
    entries = service.bodies[-1]["inputs"]
    calls = [entry for entry in entries if entry["type"] == "function.call"]
    results = {entry["tool_call_id"]: entry["result"] for entry in entries if entry["type"] == "function.result"}
    assert [results[call["tool_call_id"]] for call in calls] == ["one", "two"]
    assert len(results) == 2


@each_way
def test_a_system_message_reaches_an_agent_under_a_heading(way: Way, service: Service) -> None:
    model = way.model(make_client(service), model=None, agent_id="ag_1")
    way.ask(model, [system(way, "Rhyme."), way.user("a")])
    assert texts_of(service) == ["Instructions for what follows:\n\nRhyme.", "a"]


@each_way
@pytest.mark.parametrize("call_id", ["", None])
def test_a_call_without_an_id_keeps_its_result(way: Way, service: Service, call_id: str | None) -> None:
    """Other engines give none; the frameworks keep that as it is, or as an empty text."""
    if way.wing == "langchain":
        from langchain_core.messages import AIMessage

        answer: Any = AIMessage("", tool_calls=[{"id": call_id, "name": "f", "args": {}}])
        result = way.result("", "one")
    else:
        from llama_index.core.llms import ChatMessage

        kept = [{"id": call_id, "function": {"name": "f", "arguments": "{}"}}]
        answer = ChatMessage(role="assistant", content="", additional_kwargs={"tool_calls": kept})
        result = ChatMessage(role="tool", content="one", additional_kwargs={"tool_call_id": call_id})
    way.ask(way.model(make_client(service)), [way.user("a"), answer, result, way.user("b")])
    _, call, given, _ = service.bodies[-1]["inputs"]
    assert call["tool_call_id"] == given["tool_call_id"] != ""


@pytest.mark.parametrize("way", [way for way in WAYS if way.wing == "llama_index"], ids=str)
@pytest.mark.parametrize("told_twice", [False, True])
def test_a_call_without_an_id_in_a_block_keeps_its_result(way: Way, service: Service, told_twice: bool) -> None:
    from llama_index.core.llms import ChatMessage

    from llama_index_mistral_agents._messages_in import TOOL_CALL

    if TOOL_CALL is None:
        pytest.skip("this version of LlamaIndex has no such blocks")
    kept = {"tool_calls": [{"id": None, "function": {"name": "f", "arguments": "{}"}}]} if told_twice else {}
    answer = ChatMessage(role="assistant", blocks=[TOOL_CALL(tool_name="f", tool_kwargs={})], additional_kwargs=kept)
    result = ChatMessage(role="tool", content="one", additional_kwargs={"tool_call_id": None})
    way.ask(way.model(make_client(service)), [way.user("a"), answer, result])
    _, call, given = service.bodies[-1]["inputs"]
    assert call["tool_call_id"] == given["tool_call_id"] != ""


@each_way
def test_half_a_character_in_arguments_goes_out_replaced(way: Way, service: Service) -> None:
    history = [way.user("a"), way.calling("aaaaaaaa1", "f", '{"q": "x\\ud83d"}'), way.result("aaaaaaaa1", "one")]
    way.ask(way.model(make_client(service)), history)
    assert json.loads(service.bodies[-1]["inputs"][1]["arguments"]) == {"q": "x\ufffd"}
