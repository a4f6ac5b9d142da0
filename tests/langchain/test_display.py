"""Messages and documents of LangChain to look at."""

from __future__ import annotations

import io

import pytest
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from rich.console import Console

from langchain_mistral_agents import ChatMistralAgent, show
from mistral_agents import CodeInterpreter
from mistral_agents.errors import ConfigurationError
from tests.display.inert import look_at
from tests.display.objects import HOSTILE


def test_an_answer_shows_text_tools_and_tokens(client):
    model = ChatMistralAgent(model="mistral-small-latest", client=client).bind_tools([CodeInterpreter()])
    shown = show(model.invoke("Calculate the mean of 3, 4, 8 and 9."))
    looker = look_at(shown._repr_html_())
    assert looker.bad == []
    for word in ("code_interpreter", "statistics.fmean(values)", "mean = 6", "tokens"):
        assert word in looker.text
    assert looker.tags.count("details") == 1, "the call and its result are one run"
    assert "tool_exec_" not in looker.text
    assert str(shown).strip()


def test_a_run_of_another_provider_shows_its_result_or_that_it_failed():
    call = {"type": "server_tool_call", "id": "1", "name": "search", "args": {"query": "tides"}}
    for output, status in (("At 14:10.", "success"), ([{"type": "text", "text": "At 14:10."}], "error")):
        result = {"type": "server_tool_result", "tool_call_id": "1", "status": status, "output": output}
        looker = look_at(show(AIMessage([call, result]))._repr_html_())
        assert "search: tides" in looker.text
        assert "At 14:10." in looker.text
        alone = look_at(show(AIMessage([result]))._repr_html_())
        assert "result of 1" in alone.text


@pytest.mark.parametrize("word", HOSTILE)
def test_what_others_wrote_stays_inert(word):
    note = {"type": "citation", "url": "javascript:alert(1)", "title": word, "cited_text": word}
    answer = AIMessage([{"type": "text", "text": word, "annotations": [note]}])
    call = AIMessage("", tool_calls=[{"name": word, "args": {"x": word}, "id": "1"}])
    rows = [HumanMessage(word), call, ToolMessage(word, tool_call_id="1", name=word), answer]
    for value in (rows, {"messages": rows}, answer, [Document(word, metadata={"file_name": word})]):
        assert look_at(show(value)._repr_html_()).bad == []


def test_states_and_documents_are_printed():
    console = Console(file=io.StringIO(), width=80)
    console.print(show({"messages": [HumanMessage("Who?"), AIMessage("Ada.")]}))
    console.print(show([Document("A passage.", metadata={"file_name": "a.pdf", "page_label": "3", "score": 0.5})]))
    text = console.file.getvalue()
    assert "you" in text
    assert "a.pdf, p. 3 · score 0.500" in text


def test_what_is_no_message_is_refused():
    with pytest.raises(ConfigurationError):
        show(7)


def test_a_handoff_is_shown_by_its_agents_and_other_blocks_by_their_type():
    handoff = {"type": "agent_handoff", "previous_agent_name": "desk", "next_agent_id": "ag_2"}
    rows = [{"type": "non_standard", "value": value} for value in (handoff, {"type": "tides"}, {})]
    text = look_at(show(AIMessage(rows))._repr_html_()).text
    for word in ("desk → ag_2", "tides", "a block of another kind"):
        assert word in text


def test_a_source_that_is_cited_twice_is_listed_once():
    note = {"type": "citation", "url": "https://a.test/", "title": "Moss"}
    answer = AIMessage([{"type": "text", "text": text, "annotations": [note]} for text in ("Green.", "Wet.")])
    assert look_at(show(answer)._repr_html_()).text.count("Moss") == 1
