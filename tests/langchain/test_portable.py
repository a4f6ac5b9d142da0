"""Our history for other providers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.messages.tool import invalid_tool_call
from langchain_core.prompts import ChatPromptTemplate

from langchain_mistral_agents import ChatMistralAgent, to_portable_messages
from tests.wire.conftest import Wire

from .turns import REPLY


def test_nothing_but_text_and_calls_is_left(prepared: Callable[..., ChatMistralAgent], wire: Wire) -> None:
    wire.answer((200, REPLY))
    answer = prepared().invoke("Go")
    question, portable = to_portable_messages([HumanMessage("Go"), answer])
    assert question == HumanMessage("Go")
    assert isinstance(portable, AIMessage)
    assert isinstance(portable.content, str)
    assert [call["name"] for call in portable.tool_calls] == ["add", "now"]
    for word in ("One", " and two", "https://a.test", "paper.pdf", "plot.png", "web_search", "boom"):
        assert word in portable.content
    assert portable.response_metadata == {}


def test_messages_of_others_pass_unchanged() -> None:
    other = AIMessage("x", response_metadata={"model_provider": "openai"})
    assert to_portable_messages([other]) == [other]


@pytest.mark.parametrize("answered", [True, False])
def test_a_call_that_cannot_be_read_keeps_its_pair(answered: bool) -> None:
    cut = invalid_tool_call(name="f", args="{cut", id="abcdefghi", error="no JSON object")
    ours = AIMessage("", invalid_tool_calls=[cut], response_metadata={"model_provider": "mistral_agents"})
    results = [ToolMessage("not run", tool_call_id="abcdefghi")] if answered else []
    found = to_portable_messages([HumanMessage("q"), ours, *results, HumanMessage("again")])
    assert [message.type for message in found] == ["human", "ai", "tool", "human"]
    assert isinstance(found[1], AIMessage)
    assert found[1].invalid_tool_calls == [cut]


ASKED = [SystemMessage("Be brief."), HumanMessage("Hello")]


@pytest.mark.parametrize(
    ("given", "portable"),
    [
        (ChatPromptTemplate.from_messages([("system", "Be brief."), ("human", "{q}")]).invoke({"q": "Hello"}), ASKED),
        ([("system", "Be brief."), {"role": "user", "content": "Hello"}], ASKED),
        ("Hello", ASKED[1:]),
    ],
    ids=["prompt", "other forms", "text"],
)
def test_whatever_a_model_takes_is_made_portable(given: Any, portable: list[Any]) -> None:
    """A fallback behind a prompt gets the prompt's value, and one behind nothing the question itself."""
    assert to_portable_messages(given) == portable
