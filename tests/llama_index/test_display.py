"""Responses and nodes of LlamaIndex to look at."""

from __future__ import annotations

import pytest
from llama_index.core.base.llms.types import ChatMessage, ImageBlock, TextBlock
from llama_index.core.base.response.schema import Response
from llama_index.core.schema import NodeWithScore, TextNode

from llama_index_mistral_agents import MistralAgentLLM, show
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
