"""`create_agent` and LangGraph without the middleware."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.structured_output import ProviderStrategy
from langchain_core.messages import AIMessage, AIMessageChunk, ToolMessage
from pydantic import BaseModel

from langchain_mistral_agents import ChatMistralAgent
from mistral_agents import CodeInterpreter
from tests.support.running import Standin
from tests.support.scripted import ScriptedModel, call, calls, say


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@pytest.fixture
def model(scripted: ScriptedModel, standin_factory: Callable[..., Standin]) -> ChatMistralAgent:
    standin = standin_factory(model_url=scripted.url, allow_code=True)
    return ChatMistralAgent(model="m", api_key="test-key", base_url=standin.base_url)


HOSTED = {"code": "print(6 * 7)"}


@pytest.mark.parametrize("store", [False, True])
def test_hosted_tools_run_there_and_functions_here(
    model: ChatMistralAgent, scripted: ScriptedModel, store: bool
) -> None:
    agent: Any = create_agent(model.model_copy(update={"store": store}), tools=[add, CodeInterpreter()])
    scripted.script(call("code_interpreter", HOSTED), calls(call("add", {"a": 1, "b": 2})), say("42 and 3"))
    messages = agent.invoke({"messages": "Compute"})["messages"]
    assert messages[-1].text == "42 and 3"
    assert [type(m) for m in messages[1:]] == [AIMessage, ToolMessage, AIMessage]
    kinds = [block["type"] for block in messages[1].content_blocks]
    assert kinds == ["server_tool_call", "server_tool_result", "tool_call"]


@pytest.mark.parametrize("version", [None, "v1"])
def test_streamed_messages_come_once(model: ChatMistralAgent, scripted: ScriptedModel, version: Any) -> None:
    agent: Any = create_agent(model.model_copy(update={"output_version": version}), tools=[CodeInterpreter()])
    scripted.script(call("code_interpreter", HOSTED), say("It is forty-two."))
    chunks = [chunk for chunk, _ in agent.stream({"messages": "Compute"}, stream_mode="messages")]
    assert all(isinstance(chunk, AIMessageChunk) for chunk in chunks)
    assert "".join(str(chunk.text) for chunk in chunks) == "It is forty-two."
    blocks = [block for chunk in chunks for block in chunk.content]
    assert [b["name"] for b in blocks if b.get("name")] == ["code_interpreter"]
    assert [b["status"] for b in blocks if b["type"] == "server_tool_result"] == ["success"]
    assert len({chunk.id for chunk in chunks}) == 1


async def test_streamed_messages_without_blocking(model: ChatMistralAgent, scripted: ScriptedModel) -> None:
    agent: Any = create_agent(model, tools=[add])
    scripted.script(call("add", {"a": 1, "b": 2}), say("three"))
    said = [c async for c, _ in agent.astream({"messages": "Add"}, stream_mode="messages") if c.type != "tool"]
    assert "".join(str(chunk.text) for chunk in said) == "three"
    await model.mistral.aclose()


class Total(BaseModel):
    """A sum."""

    value: int


def test_a_response_format_of_the_provider(model: ChatMistralAgent, scripted: ScriptedModel) -> None:
    agent: Any = create_agent(model, tools=[add], response_format=ProviderStrategy(Total))
    scripted.script(call("add", {"a": 1, "b": 2}), say('{"value": 3}'))
    assert agent.invoke({"messages": "Add"})["structured_response"] == Total(value=3)
    assert scripted.requests[0]["response_format"]["type"] == "json_schema"
