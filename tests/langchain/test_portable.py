"""Our history for other providers."""

from __future__ import annotations

from collections.abc import Callable

from langchain_core.messages import AIMessage, HumanMessage

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
