"""An outsider's tests: what somebody writes who installed the package and read "Test your chains"."""

import pytest

from langchain_mistral_agents import ChatMistralAgent
from mistral_agents.errors import StreamInterruptedError
from mistral_agents_server.testing import call, say


def weather(city: str) -> str:
    """The weather of a city."""
    return f"rain in {city}"


def test_a_function_call(mistral_standin, scripted_model, forbid_live_calls):
    scripted_model.script(call("weather", {"city": "Brest"}))
    answer = ChatMistralAgent(model="m").bind_tools([weather]).invoke("Do I need a coat?")
    assert [(one["name"], one["args"]) for one in answer.tool_calls] == [("weather", {"city": "Brest"})]


def test_a_429(mistral_standin, scripted_model):
    mistral_standin.faults.answer(429, headers={"retry-after": "0"})
    scripted_model.script(say("At last."))
    assert ChatMistralAgent(model="m").invoke("Are you there?").text == "At last."


def test_a_broken_stream(mistral_standin, scripted_model):
    scripted_model.script(say("An answer that nobody reads to its end."))
    mistral_standin.faults.cut_stream(after=400)
    with pytest.raises(StreamInterruptedError):
        list(ChatMistralAgent(model="m").stream("Tell me all."))
