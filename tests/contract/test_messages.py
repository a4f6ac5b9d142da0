"""What users say reaches the service alike, whichever wing, call or stream, kept or not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from enum import Enum
from types import SimpleNamespace
from typing import Any

import pytest

from mistral_agents import MistralAgents
from mistral_agents.errors import ConfigurationError, PendingCallsError
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


DIALECTS = {
    "OpenAI's": {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}},
    "OpenAI's newer": {"type": "function_call", "call_id": "c1", "id": "fc_1", "name": "f", "arguments": '{"a": 1}'},
    "Anthropic's": {"type": "tool_use", "id": "c1", "name": "f", "input": {"a": 1}},
    "Bedrock's": {"toolUseId": "c1", "name": "f", "input": {"a": 1}},
    "Bedrock's own": {"toolUse": {"toolUseId": "c1", "name": "f", "input": {"a": 1}}},
    "Gemini's": {"id": "c1", "name": "f", "args": {"a": 1}},
    "an object": SimpleNamespace(id="c1", function=SimpleNamespace(name="f", arguments={"a": 1})),
    "a selection": SimpleNamespace(tool_id="c1", tool_name="f", tool_kwargs={"a": 1}),
}
LLAMA_INDEX = pytest.mark.parametrize("way", [way for way in WAYS if way.wing == "llama_index"], ids=str)


def pairs_of(service: Service) -> list[tuple[str, Any, Any]]:
    entries = service.bodies[-1]["inputs"]
    results = {entry["tool_call_id"]: entry["result"] for entry in entries if entry["type"] == "function.result"}
    calls = [entry for entry in entries if entry["type"] == "function.call"]
    return [(call["name"], json.loads(call["arguments"]), results[call["tool_call_id"]]) for call in calls]


@LLAMA_INDEX
@pytest.mark.parametrize("kept", DIALECTS.values(), ids=DIALECTS.keys())
def test_a_call_of_another_provider_is_read_in_its_form(way: Way, service: Service, kept: Any) -> None:
    from llama_index.core.llms import ChatMessage

    answer = ChatMessage(role="assistant", content="", additional_kwargs={"tool_calls": [kept]})
    way.ask(way.model(make_client(service)), [way.user("a"), answer, way.result("c1", "one"), way.user("b")])
    assert pairs_of(service) == [("f", {"a": 1}, "one")]


@LLAMA_INDEX
def test_results_under_the_name_of_a_call_without_an_id_belong_to_it(way: Way, service: Service) -> None:
    """LlamaIndex's Ollama and Gemini models do so."""
    from llama_index.core.llms import ChatMessage

    def calling(number: int) -> Any:
        kept = {"tool_calls": [{"function": {"name": "f", "arguments": {"a": number}}}]}
        return ChatMessage(role="assistant", content="", additional_kwargs=kept)

    history = [way.user("a"), calling(1), way.result("f", "one"), calling(2), way.result("f", "two"), way.user("b")]
    way.ask(way.model(make_client(service)), history)
    assert pairs_of(service) == [("f", {"a": 1}, "one"), ("f", {"a": 2}, "two")]


@LLAMA_INDEX
@pytest.mark.parametrize("kept", ["f", {}, {"function": {}}, None, 3])
def test_what_is_no_call_is_refused_by_name(way: Way, service: Service, kept: Any) -> None:
    from llama_index.core.llms import ChatMessage

    answer = ChatMessage(role="assistant", content="", additional_kwargs={"tool_calls": [kept]})
    with pytest.raises(ConfigurationError, match="no function call"):
        way.ask(way.model(make_client(service)), [way.user("a"), answer, way.user("b")])
    assert service.bodies == []


@each_way
def test_a_call_without_id_and_result_is_refused_by_its_name(way: Way, service: Service) -> None:
    with pytest.raises(PendingCallsError, match="without an id"):
        way.ask(way.model(make_client(service)), [way.user("a"), way.calling("", "f", "{}"), way.user("b")])


def thinking(way: Way, thought: str, text: str) -> Any:
    if way.wing == "langchain":
        from langchain_core.messages import AIMessage

        return AIMessage([{"type": "thinking", "thinking": thought}, {"type": "text", "text": text}])
    from llama_index.core.llms import ChatMessage
    from llama_index.core.llms import TextBlock as Text

    from llama_index_mistral_agents._messages_in import THINKING

    if THINKING is None:
        pytest.skip("this version of LlamaIndex has no such blocks")
    return ChatMessage(role="assistant", blocks=[THINKING(content=thought), Text(text=text)])


@each_way
def test_thoughts_of_another_model_are_named_and_left_out(way: Way, service: Service) -> None:
    model = way.model(make_client(service))
    with pytest.warns(UserWarning, match="hinking.* of another provider's answer is left out"):
        way.ask(model, [way.user("a"), thinking(way, "hm", "So."), way.user("b")])
    assert texts_of(service) == ["a", "So.", "b"]


LANGCHAIN = pytest.mark.parametrize("way", [way for way in WAYS if way.wing == "langchain"], ids=str)


@LANGCHAIN
@pytest.mark.parametrize("told", [True, False])
@pytest.mark.filterwarnings("error")
def test_a_call_in_another_providers_block_goes_out_once(way: Way, service: Service, told: bool) -> None:
    from langchain_core.messages import AIMessage, HumanMessage

    calls: Any = [{"id": "c1", "name": "f", "args": {"a": 1}}] if told else []
    blocks: Any = [{"type": "text", "text": "So."}, {"type": "tool_use", "id": "c1", "name": "f", "input": {"a": 1}}]
    result: Any = {"type": "tool_result", "tool_use_id": "c1", "content": "one", "is_error": True}
    history = [way.user("a"), AIMessage(blocks, tool_calls=calls), HumanMessage([result]), way.user("b")]
    way.ask(way.model(make_client(service)), history)
    assert pairs_of(service) == [("f", {"a": 1}, "Error: one")]


@LANGCHAIN
def test_an_edited_call_goes_out_as_it_was_edited(way: Way, service: Service) -> None:
    """Whoever approves calls edits `tool_calls`; the block of the call still holds what the model wanted."""
    from langchain_core.messages import AIMessage

    block: Any = {"type": "tool_call", "id": "c1", "name": "f", "args": {"a": 1}}
    meta = {"model_provider": "mistral_agents", "output_version": "v1"}
    edited = AIMessage([block], tool_calls=[{"id": "c1", "name": "f", "args": {"a": 2}}], response_metadata=meta)
    way.ask(way.model(make_client(service)), [way.user("a"), edited, way.result("c1", "one"), way.user("b")])
    assert pairs_of(service) == [("f", {"a": 2}, "one")]


@LANGCHAIN
def test_calls_that_were_taken_out_of_an_answer_are_not_sent(way: Way, service: Service) -> None:
    from langchain_core.messages import AIMessage

    blocks: Any = [{"type": "text", "text": "So."}, {"type": "tool_call", "id": "c1", "name": "f", "args": {"a": 1}}]
    answer = AIMessage(blocks, response_metadata={"model_provider": "mistral_agents", "output_version": "v1"})
    way.ask(way.model(make_client(service)), [way.user("a"), answer, way.user("b")])
    assert texts_of(service) == ["a", "So.", "b"]


@LANGCHAIN
def test_a_readable_and_an_unreadable_call_that_share_an_id_are_two(way: Way, service: Service) -> None:
    from langchain_core.messages import AIMessage

    broken: Any = [{"id": "c1", "name": "f", "args": "{a", "error": "no JSON"}]
    answer = AIMessage("", tool_calls=[{"id": "c1", "name": "f", "args": {}}], invalid_tool_calls=broken)
    history = [way.user("a"), answer, way.result("c1", "one"), way.result("c1", "two"), way.user("b")]
    way.ask(way.model(make_client(service)), history)
    entries = service.bodies[-1]["inputs"]
    calls = {entry["tool_call_id"]: entry["arguments"] for entry in entries if entry["type"] == "function.call"}
    results = {entry["tool_call_id"]: entry["result"] for entry in entries if entry["type"] == "function.result"}
    assert [(calls[call_id], results[call_id]) for call_id in calls] == [("{}", "one"), ("{a", "two")]


@LANGCHAIN
@pytest.mark.parametrize("role", ["system", "developer"])
def test_a_message_of_another_role_is_refused_with_it(way: Way, service: Service, role: str) -> None:
    from langchain_core.messages import ChatMessage

    with pytest.raises(ConfigurationError, match=f"role '{role}'"):
        way.ask(way.model(make_client(service)), [ChatMessage(role=role, content="Rhyme."), way.user("a")])


class Colour(Enum):
    RED = "red"


@each_way
def test_arguments_of_a_call_made_by_hand_are_written_as_json(way: Way, service: Service) -> None:
    """Examples for a model are made of objects of the program: dates, numbers, members of enumerations."""
    given = {"day": date(2026, 1, 2), "cost": Decimal("1.50"), "tags": {"a"}, "colour": Colour.RED}
    if way.wing == "langchain":
        from langchain_core.messages import AIMessage

        answer: Any = AIMessage("", tool_calls=[{"id": "c1", "name": "f", "args": given}])
    else:
        from llama_index.core.llms import ChatMessage

        kept = {"tool_calls": [{"id": "c1", "function": {"name": "f", "arguments": given}}]}
        answer = ChatMessage(role="assistant", content="", additional_kwargs=kept)
    way.ask(way.model(make_client(service)), [way.user("a"), answer, way.result("c1", "one"), way.user("b")])
    said = {"day": "2026-01-02", "cost": "1.50", "tags": ["a"], "colour": "red"}
    assert pairs_of(service) == [("f", said, "one")]
