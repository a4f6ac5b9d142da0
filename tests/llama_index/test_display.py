"""Responses and nodes of LlamaIndex to look at."""

from __future__ import annotations

import pytest
from llama_index.core.agent.workflow import AgentOutput
from llama_index.core.base.llms.types import ChatMessage, ImageBlock, TextBlock
from llama_index.core.base.response.schema import PydanticResponse, Response, StreamingResponse
from llama_index.core.schema import NodeWithScore, TextNode
from pydantic import BaseModel

from llama_index_mistral_agents import MistralAgentLLM, show
from llama_index_mistral_agents._messages_in import THINKING, TOOL_CALL
from mistral_agents import CodeInterpreter
from mistral_agents.errors import ConfigurationError
from tests.display.inert import look_at
from tests.display.objects import HOSTILE, PNG


def node(word: str) -> NodeWithScore:
    return NodeWithScore(node=TextNode(text=word, metadata={"file_name": word, "page_label": "2"}), score=0.5)


def test_an_answer_shows_text_and_tokens(client):
    llm = MistralAgentLLM(model="mistral-small-latest", client=client)
    response = llm.chat([ChatMessage("What is 17 * 23?")])
    looker = look_at(show(response)._repr_html_())
    assert looker.bad == []
    assert "391" in looker.text
    assert "tokens" in looker.text


def test_an_answer_shows_code_calls_and_thoughts(client):
    llm = MistralAgentLLM(model="mistral-small-latest", client=client)
    text = look_at(
        show(llm.chat([ChatMessage("Calculate the mean of 3, 4, 8 and 9.")], tools=[CodeInterpreter()]))._repr_html_()
    ).text
    assert "statistics.fmean(values)" in text
    assert "prompt_tokens" not in text


@pytest.mark.skipif(THINKING is None or TOOL_CALL is None, reason="older versions keep both in additional_kwargs")
def test_thoughts_and_calls_of_a_message_are_shown():
    blocks = [THINKING(content="Which city?"), TOOL_CALL(tool_name="look", tool_kwargs={"city": "Oslo"})]
    text = look_at(show(ChatMessage(role="assistant", blocks=blocks))._repr_html_()).text
    for word in ("Which city?", "called look", "Oslo"):
        assert word in text


class Lighthouse(BaseModel):
    name: str


@pytest.mark.parametrize(
    "response",
    [
        StreamingResponse(iter(["In ", "1887."]), [NodeWithScore(node=TextNode(text="Kermor"))]),
        PydanticResponse(Lighthouse(name="In 1887."), [NodeWithScore(node=TextNode(text="Kermor"))]),
        AgentOutput(response=ChatMessage("In 1887. Kermor"), current_agent_name="a"),
    ],
    ids=["stream", "model", "agent"],
)
def test_responses_of_all_kinds_are_shown(response):
    text = look_at(show(response)._repr_html_()).text
    assert "In 1887." in text
    assert "Kermor" in text


@pytest.mark.parametrize("word", HOSTILE)
def test_what_others_wrote_stays_inert(word):
    extra = {"server_tools": [{"name": word}], "citations": [{"url": "javascript:1", "title": word, "snippet": word}]}
    message = ChatMessage(
        role="assistant", blocks=[TextBlock(text=word), ImageBlock(image=PNG)], additional_kwargs=extra
    )
    for value in (
        message,
        [ChatMessage(word), message],
        Response(word, source_nodes=[node(word)]),
        node(word),
        [node(word)],
    ):
        assert look_at(show(value)._repr_html_()).bad == []


def test_a_response_shows_its_passages():
    shown = show(Response("In 1887.", source_nodes=[node("kermor.txt")]))
    looker = look_at(shown._repr_html_())
    assert "1. kermor.txt, p. 2 · score 0.500" in looker.text
    assert str(shown) == "In 1887."
    assert (
        look_at(show(ChatMessage(role="assistant", blocks=[ImageBlock(image=PNG)]))._repr_html_()).tags.count("img")
        == 1
    )


def test_what_is_no_response_is_refused():
    with pytest.raises(ConfigurationError):
        show(7)


def test_a_source_that_is_cited_twice_is_listed_once():
    notes = [{"url": "https://a.test/", "title": "Moss"}, {"document_id": "d1", "title": "Moss"}]
    answer = ChatMessage(role="assistant", content="Green.", additional_kwargs={"citations": [*notes, notes[0]]})
    assert look_at(show(answer)._repr_html_()).text.count("Moss") == 2
