"""Structured output in its four forms."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from llama_index.core.prompts import PromptTemplate
from llama_index.core.types import PydanticProgramMode
from pydantic import BaseModel

from llama_index_mistral_agents import MistralAgentLLM
from mistral_agents.errors import ConfigurationError, ResponseFormatError
from tests.support.scripted import call, say


class City(BaseModel):
    """A city."""

    name: str
    people: int


PROMPT = PromptTemplate("The biggest city of {country}?")
PARIS = say('{"name": "Paris", "people": 2100000}')


async def test_four_forms_give_the_same_object(llm: MistralAgentLLM, service: Any, scripted: Any) -> None:
    scripted.always(PARIS)
    streamed = list(llm.stream_structured_predict(City, PROMPT, country="France"))
    astreamed = [city async for city in await llm.astream_structured_predict(City, PROMPT, country="France")]
    found = [
        llm.structured_predict(City, PROMPT, country="France"),
        await llm.astructured_predict(City, PROMPT, country="France"),
        streamed[-1],
        astreamed[-1],
    ]
    assert found == [City(name="Paris", people=2100000)] * 4
    for _, body in service.turns:
        wanted = body["completion_args"]["response_format"]
        assert wanted["type"] == "json_schema"
        assert wanted["json_schema"]["name"] == "City"
        assert wanted["json_schema"]["schema"]["additionalProperties"] is False


def test_as_structured_llm(llm: MistralAgentLLM, scripted: Any) -> None:
    scripted.script(PARIS)
    assert llm.as_structured_llm(City).complete("Biggest city?").raw == City(name="Paris", people=2100000)


def test_an_agent_gets_the_schema_in_words(make_llm: Any, service: Any, scripted: Any) -> None:
    scripted.always(PARIS)
    agent = make_llm().client.agents.create(model="mistral-medium-latest", name="atlas")
    llm = make_llm(agent_id=agent.id, store=True)
    assert llm.structured_predict(City, PROMPT, country="France").name == "Paris"
    body = service.turns[-1][1]
    assert "completion_args" not in body
    assert '"people"' in body["inputs"][0]["content"]


def test_an_answer_that_is_no_such_object_keeps_its_text(llm: MistralAgentLLM, scripted: Any) -> None:
    scripted.script(say("Paris, I think."))
    with pytest.raises(ResponseFormatError) as caught:
        llm.structured_predict(City, PROMPT, country="France")
    assert caught.value.body == "Paris, I think."


def test_function_calling_on_request(make_llm: Any, scripted: Any) -> None:
    scripted.script(call("City", {"name": "Paris", "people": 2100000}))
    llm = make_llm(pydantic_program_mode=PydanticProgramMode.FUNCTION)
    assert llm.structured_predict(City, PROMPT, country="France").people == 2100000


@pytest.mark.parametrize("kind", [list[City], list, list[City] | None, Annotated[City | list[int], "some"]], ids=str)
async def test_a_list_is_refused_in_a_stream_before_it_is_asked_for(
    llm: MistralAgentLLM, service: Any, kind: Any
) -> None:
    """LlamaIndex streams objects only; it says so by an assertion after the turn is paid."""
    with pytest.raises(ConfigurationError, match="no lists"):
        list(llm.stream_structured_predict(kind, PROMPT, country="France"))
    with pytest.raises(ConfigurationError, match="no lists"):
        _ = [value async for value in await llm.astream_structured_predict(kind, PROMPT, country="France")]
    assert service.turns == []
