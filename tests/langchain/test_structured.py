"""Structured output, alone and with hosted tools."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from typing import Any

import pytest
from langchain_core.exceptions import OutputParserException
from langchain_core.messages import AIMessage
from langgraph.errors import GraphInterrupt
from langgraph.types import Interrupt
from pydantic import BaseModel, field_validator
from typing_extensions import TypedDict

from langchain_mistral_agents import ChatMistralAgent
from langchain_mistral_agents._structured import GrowingValue
from mistral_agents import CodeInterpreter
from mistral_agents.errors import ConfigurationError
from tests.support.running import Standin
from tests.support.scripted import ScriptedModel, call, say
from tests.wire.conftest import Wire

from .conftest import sse
from .turns import REPLY, events, message

Make = Callable[..., ChatMistralAgent]
PERSON_SCHEMA = {
    "title": "Person",
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
}


class Total(BaseModel):
    """A sum."""

    value: int


@pytest.fixture
def model(scripted: ScriptedModel, standin_factory: Callable[..., Standin]) -> ChatMistralAgent:
    standin = standin_factory(model_url=scripted.url, allow_code=True)
    return ChatMistralAgent(model="m", api_key="test-key", base_url=standin.base_url)


def test_json_schema_is_asked_of_the_service(model: ChatMistralAgent, scripted: ScriptedModel) -> None:
    scripted.script(say('{"value": 3}'))
    assert model.with_structured_output(Total).invoke("1 + 2") == Total(value=3)
    wanted = scripted.requests[0]["response_format"]
    assert wanted["type"] == "json_schema"
    assert wanted["json_schema"]["schema"]["required"] == ["value"]


def test_function_calling(model: ChatMistralAgent, scripted: ScriptedModel) -> None:
    scripted.script(call("Total", {"value": 3}))
    assert model.with_structured_output(Total, method="function_calling").invoke("1 + 2") == Total(value=3)


@pytest.mark.parametrize("method", ["json_schema", "function_calling", "json_mode"])
def test_a_chain_tells_what_it_gives(model: ChatMistralAgent, method: Any) -> None:
    chain = model.with_structured_output(Total, method=method)
    assert chain.get_output_schema() is Total
    plain = model.with_structured_output({"title": "t", "type": "object", "properties": {}}, method=method)
    assert "properties" not in plain.get_output_jsonschema()


def test_json_mode_without_a_schema(model: ChatMistralAgent, scripted: ScriptedModel) -> None:
    scripted.script(say('{"a": 1}'))
    assert model.with_structured_output(method="json_mode").invoke("json") == {"a": 1}
    assert scripted.requests[0]["response_format"] == {"type": "json_object"}


@pytest.mark.parametrize("schema", [None, {"title": "Note", "type": "object", "properties": {"a": {"type": "string"}}}])
@pytest.mark.parametrize(("text", "last"), [(r'{"a": "\ud83d\ude00"}', "\U0001f600"), (r'{"a": "b\ud83d"}', "b\ufffd")])
def test_no_value_of_a_stream_holds_half_a_character(
    model: ChatMistralAgent, scripted: ScriptedModel, schema: Any, text: str, last: str
) -> None:
    scripted.script(say(text))
    method: Any = "json_mode" if schema is None else "json_schema"
    values: Any = list(model.with_structured_output(schema, method=method).stream("json"))
    assert values[-1] == {"a": last}
    parser: Any = model.with_structured_output(schema, method=method)
    grown = [value for end in range(1, len(text)) for value in GrowingValue(parser.steps[-1]).take(text[:end])]
    assert {value["a"] for value in grown if value} <= {last, "b", ""}


CUT = {"a cut text": say('{"value": 3'), "another text": say('{"worth": 3}'), "words": say("three")}
CUT |= {"a cut call": call("Total", '{"value": 3'), "another call": call("Total", '{"worth": 3}')}


async def _list_values(runnable: Any, way: str) -> list[Any]:
    return list(runnable.stream("1 + 2")) if way == "sync" else [value async for value in runnable.astream("1 + 2")]


@pytest.mark.parametrize("answer", CUT.values(), ids=CUT.keys())
@pytest.mark.parametrize("way", ["sync", "async"])
async def test_a_stream_is_read_as_strictly_as_a_call(
    model: ChatMistralAgent, scripted: ScriptedModel, answer: Any, way: str
) -> None:
    """What broke off is no value, though its last guess may look like one."""
    method: Any = "function_calling" if answer.calls else "json_schema"
    scripted.script(answer, answer, answer)
    asked = model.with_structured_output(Total, method=method)
    with pytest.raises(OutputParserException):
        asked.invoke("1 + 2")
    with pytest.raises(OutputParserException):
        await _list_values(asked, way)
    reported: Any = model.with_structured_output(Total, method=method, include_raw=True)
    found = reduce(add, await _list_values(reported, way))
    assert found["parsed"] is None
    assert isinstance(found["parsing_error"], OutputParserException)
    assert isinstance(found["raw"], AIMessage)


class Asking(BaseModel):
    """A sum that a person must confirm."""

    value: int

    @field_validator("value")
    @classmethod
    def ask(cls, value: int) -> int:
        raise GraphInterrupt((Interrupt(value),))


def test_an_interrupt_in_a_class_is_not_reported_but_raised(model: ChatMistralAgent, scripted: ScriptedModel) -> None:
    scripted.script(say('{"value": 3}'))
    with pytest.raises(GraphInterrupt):
        model.with_structured_output(Asking, include_raw=True).invoke("1 + 2")


@pytest.mark.parametrize("way", ["sync", "async"])
async def test_the_last_value_of_a_stream_is_the_whole_one(
    model: ChatMistralAgent, scripted: ScriptedModel, way: str
) -> None:
    scripted.script(say('```json\n{"value": 3}\n```'), say('{"value": 3}'))
    assert (await _list_values(model.with_structured_output(Total), way))[-1] == Total(value=3)
    found = reduce(add, await _list_values(model.with_structured_output(Total, include_raw=True), way))
    assert found["parsed"] == Total(value=3)
    assert found["parsing_error"] is None


READ: list[int] = []


class Counting(BaseModel):
    """A sum that counts how often it is read."""

    value: int

    @field_validator("value")
    @classmethod
    def count(cls, value: int) -> int:
        READ.append(value)
        return value


def test_include_raw_reads_an_answer_once(model: ChatMistralAgent, scripted: ScriptedModel) -> None:
    READ.clear()
    scripted.script(say('{"value": 3}'))
    found: Any = model.with_structured_output(Counting, include_raw=True).invoke("1 + 2")
    assert found.keys() == {"raw", "parsed", "parsing_error"}
    assert found["parsed"] == Counting.model_construct(value=3)
    assert READ == [3]


def test_include_raw_reports_what_cannot_be_parsed(model: ChatMistralAgent, scripted: ScriptedModel) -> None:
    scripted.script(say("not json"))
    found: Any = model.with_structured_output(Total, include_raw=True).invoke("1 + 2")
    assert found["raw"].text == "not json"
    assert found["parsed"] is None
    assert isinstance(found["parsing_error"], Exception)


@pytest.mark.parametrize("store", [False, True])
def test_hosted_tools_first_then_the_form(model: ChatMistralAgent, scripted: ScriptedModel, store: bool) -> None:
    scripted.script(call("code_interpreter", {"code": "print(1 + 2)"}), say("It is 3."), say('{"value": 3}'))
    asked = model.model_copy(update={"connectors": [CodeInterpreter()], "store": store})
    found: Any = asked.with_structured_output(Total, include_raw=True).invoke("1 + 2")
    assert found["parsed"] == Total(value=3)
    used, answered, formed = scripted.requests
    assert "response_format" not in used
    assert "response_format" not in answered
    assert formed["response_format"]["type"] == "json_schema"
    assert not formed.get("tools")


async def test_the_same_without_blocking(model: ChatMistralAgent, scripted: ScriptedModel) -> None:
    scripted.script(say("It is 3."), say('{"value": 3}'))
    runnable = model.with_structured_output(Total, tools=[CodeInterpreter()])
    assert await runnable.ainvoke("1 + 2") == Total(value=3)
    await model.mistral.aclose()


def test_wrong_calls_are_refused(model: ChatMistralAgent) -> None:
    with pytest.raises(ConfigurationError, match="schema"):
        model.with_structured_output()
    with pytest.raises(ConfigurationError, match="json_schema"):
        model.with_structured_output(Total, method="magic")
    with pytest.raises(ConfigurationError, match="hosted"):
        model.with_structured_output(Total, tools=[Total])


def test_files_of_an_answer_are_fetched(model: ChatMistralAgent, scripted: ScriptedModel) -> None:
    code = "open('table.csv', 'w').write('a,b')"
    scripted.script(call("code_interpreter", {"code": code}), say("Here it is."))
    answer = model.bind_tools([CodeInterpreter()]).invoke("Make a table")
    blocks: list[Any] = [block for block in answer.content_blocks if block["type"] == "file"]
    assert [block["extras"]["name"] for block in blocks] == ["table.csv"]
    assert model.fetch_file(blocks[0]) == b"a,b"
    with pytest.raises(ConfigurationError, match="file_id"):
        model.fetch_file({"type": "image", "url": "https://a.test"})
    whole: Any = answer
    with pytest.raises(ConfigurationError, match=r"one of message.content_blocks, not AIMessage"):
        model.fetch_file(whole)


@pytest.mark.parametrize("arguments", ['{"value": 3', '["value"]', "{value: 3}"])
def test_a_call_that_cannot_be_read_is_no_missing_answer(
    model: ChatMistralAgent, scripted: ScriptedModel, arguments: str
) -> None:
    scripted.script(call("Total", arguments), call("Total", arguments))
    with pytest.raises(OutputParserException, match="Total can't be read"):
        model.with_structured_output(Total, method="function_calling").invoke("1 + 2")
    found: Any = model.with_structured_output(Total, method="function_calling", include_raw=True).invoke("1 + 2")
    assert found["parsed"] is None
    assert isinstance(found["parsing_error"], OutputParserException)


class Sums(TypedDict):
    """Sums with a class of pydantic in them."""

    first: Total


def test_a_typed_dict_may_hold_classes_of_pydantic(model: ChatMistralAgent, scripted: ScriptedModel) -> None:
    scripted.script(say('{"first": {"value": 3}}'))
    assert model.with_structured_output(Sums).invoke("1 + 2") == {"first": {"value": 3}}


@dataclass
class Basket:
    """What was bought."""

    owner: str
    items: list[str] = field(default_factory=list)


def test_a_dataclass_with_a_made_default_is_a_form(model: ChatMistralAgent, scripted: ScriptedModel) -> None:
    """LangChain's own reading of it, for traces, warned of the default."""
    scripted.script(say('{"owner": "Ada", "items": ["tea"]}'))
    assert model.with_structured_output(Basket).invoke("Who?") == Basket("Ada", ["tea"])


FORMS = {"class": Total, "typed dict": Sums, "list": list[Total], "dataclass": Basket, "schema": PERSON_SCHEMA}
SAID = {
    "class": ('{"value": 3}', Total(value=3)),
    "typed dict": ('{"first": {"value": 3}}', {"first": {"value": 3}}),
    "list": ('{"value": [{"value": 3}]}', [Total(value=3)]),
    "dataclass": ('{"owner": "Ada", "items": ["tea"]}', Basket("Ada", ["tea"])),
    "schema": ('{"name": "Ada"}', {"name": "Ada"}),
}


@pytest.mark.parametrize("again", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))], ids=["copy", "pickle"])
@pytest.mark.parametrize("kind", FORMS)
def test_a_model_with_a_form_goes_to_other_processes(
    model: ChatMistralAgent, scripted: ScriptedModel, kind: str, again: Any
) -> None:
    """Not with `include_raw`: the runnable that LangChain makes for that can't be pickled, of whatever model."""
    text, wanted = SAID[kind]
    scripted.script(say(text))
    asked: Any = again(model.with_structured_output(FORMS[kind]))
    assert asked.invoke("q") == wanted


@pytest.mark.parametrize("way", ["sync", "async"])
async def test_a_call_grows_as_a_text_does(prepared: Make, wire: Wire, way: str) -> None:
    """With every method a stream shows what is written of the value."""
    pieces = ['{"name": "A', "da\\ud83d", '\\ude00", "ag', 'e": 3}']
    delta = {"id": "fc_1", "output_index": 0, "name": "Person", "tool_call_id": "call00001"}
    calls = [{"type": "function.call.delta", **delta, "arguments": piece} for piece in pieces]
    wire.answer((200, sse(events()[0], *calls, events()[-1])))
    asked = prepared().with_structured_output(PERSON_SCHEMA, method="function_calling")
    assert await _list_values(asked, way) == [
        {"name": "A"},
        {"name": "Ada"},
        {"name": "Ada\U0001f600"},
        {"name": "Ada\U0001f600", "age": 3},
    ]


@pytest.mark.parametrize("method", ["json_schema", "function_calling", "json_mode"])
def test_models_with_fallbacks_answer_in_a_form(prepared: Make, wire: Wire, method: Any) -> None:
    """LangChain asks what `with_structured_output` returns, and gives the form to the model and its fallbacks."""
    busy = (500, {"message": "busy"})
    made = '{"value": 3}'
    call_of_total = {"type": "function.call", "id": "fc_1", "name": "Total", "tool_call_id": "c", "arguments": made}
    entry = call_of_total if method == "function_calling" else message("msg_1", made)
    wire.answer(busy, (200, {**REPLY, "outputs": [entry]}))
    first = prepared(client_settings={"max_retries": 0})
    asked: Any = first.with_fallbacks([first])
    assert asked.with_structured_output(Total, method=method).invoke("1 + 2") == Total(value=3)
    assert len(wire.bodies) == 2
