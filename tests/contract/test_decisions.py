"""Hosted calls that wait for a decision: what is decided is sent, the rest goes on waiting or is denied, in each way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from mistral_agents import Connector, MistralAgents
from mistral_agents.errors import InvalidRequestError
from tests.contract.conftest import World
from tests.contract.ways import Way, each_stored_way
from tests.support.connectors import METEO
from tests.support.running import Standin
from tests.support.scripted import ScriptedModel, call, calls, say

TWO = calls(call("meteo_weather", {"city": "Rome"}), call("meteo_weather", {"city": "Oslo"}))
GUARDED = [Connector("meteo", requires_confirmation=["weather"])]


@pytest.fixture(scope="module")
def guarded() -> Iterator[tuple[Standin, ScriptedModel]]:
    mind = ScriptedModel()
    served = Standin(model_url=mind.url, connectors=[METEO])
    yield served, mind
    served.stop()
    mind.stop()


@pytest.fixture
def world(guarded: tuple[Standin, ScriptedModel]) -> Iterator[World]:
    served, mind = guarded
    served.faults.requests.clear()
    served.faults._planned.clear()
    mind.script()
    with MistralAgents(api_key="k", base_url=served.base_url, max_retries=0) as client:
        made = World(served, mind, client)
        made.forget()
        yield made


def waiting(way: Way, answer: Any) -> list[str]:
    """The ids of the calls that an answer says wait."""
    if way.wing == "langchain":
        return [one["tool_call_id"] for one in answer.response_metadata.get("pending_confirmations") or ()]
    return [one["id"] for one in answer.additional_kwargs.get("pending_confirmations") or ()]


def decide(**decisions: str) -> Any:
    return [{"tool_call_id": key, "confirmation": word} for key, word in decisions.items()]


def sent_decisions(world: World) -> dict[str, str]:
    """What the last turn decided."""
    told = world.turns[-1][1].get("tool_confirmations") or []
    return {one["tool_call_id"]: one["confirmation"] for one in told}


@each_stored_way
def test_calls_are_decided_one_after_the_other(way: Way, world: World) -> None:
    world.mind.script(TWO, say("done"))
    model, messages = way.model(world.client, GUARDED), [way.user("q")]
    asked = way.ask(model, messages)
    first, second = waiting(way, asked)
    messages += [asked]
    half = way.ask(model, messages, tool_confirmations=decide(**{first: "allow"}))
    assert sent_decisions(world) == {first: "allow"}
    assert waiting(way, half) == [second], "the answer says what goes on waiting"
    messages += [half]
    last = way.ask(model, messages, tool_confirmations=decide(**{second: "deny"}))
    assert sent_decisions(world) == {second: "deny"}
    assert (way.text(last), waiting(way, last)) == ("done", [])
    assert way.conversation(last) == way.conversation(asked)


@each_stored_way
@pytest.mark.parametrize("decided", [0, 1])
def test_what_is_undecided_when_something_is_said_is_denied(way: Way, world: World, decided: int) -> None:
    world.mind.script(TWO, say("done"))
    model, messages = way.model(world.client, GUARDED), [way.user("q")]
    asked = way.ask(model, messages)
    first, second = waiting(way, asked)
    options = {"tool_confirmations": decide(**{first: "allow"})} if decided else {}
    last = way.ask(model, [*messages, asked, way.user("go on")], **options)
    assert sent_decisions(world) == {first: "allow" if decided else "deny", second: "deny"}
    assert (way.text(last), waiting(way, last)) == ("done", [])


@each_stored_way
def test_a_service_that_wants_all_decisions_at_once_is_asked_again_with_all(way: Way, world: World) -> None:
    """Whether the service takes some of the decisions is unverified; where it refuses, nothing was decided."""
    world.mind.script(TWO, say("done"))
    model, messages = way.model(world.client, GUARDED), [way.user("q")]
    asked = way.ask(model, messages)
    first, second = waiting(way, asked)
    world.served.faults.answer(400, {"message": "Decide about every call."}, method="POST")
    with pytest.raises(InvalidRequestError):
        way.ask(model, [*messages, asked], tool_confirmations=decide(**{first: "allow"}))
    last = way.ask(model, [*messages, asked], tool_confirmations=decide(**{first: "allow", second: "allow"}))
    assert sent_decisions(world) == {first: "allow", second: "allow"}
    assert way.text(last) == "done"


def test_llama_indexs_messages_of_decisions_may_be_given_one_by_one(world: World) -> None:
    from llama_index.core.llms import ChatMessage

    from llama_index_mistral_agents import MistralAgentLLM

    world.mind.script(TWO, say("done"))
    llm = MistralAgentLLM("mistral-medium-latest", tools=GUARDED, store=True, client=world.client)
    history = [ChatMessage(content="q")]
    history.append(llm.chat(history).message)
    yes, no = llm.confirm(history[-1], allow=[history[-1].additional_kwargs["pending_confirmations"][0]["id"]])
    half = llm.chat([*history, yes]).message
    assert len(half.additional_kwargs["pending_confirmations"]) == 1
    assert llm.chat([*history, yes, half, no]).message.content == "done"


# a function beside a hosted call that waits ---------------------------------------------------------------------------

MIXED = calls(call("add", {"a": 2}), call("meteo_weather", {"city": "Rome"}))
ADD = {
    "type": "function",
    "function": {"name": "add", "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}}},
}


def add(a: int) -> int:
    """Add one."""
    return a + 1


def results_of(world: World, conversation_id: Any) -> list[Any]:
    """What functions and hosted tools gave in a conversation."""
    entries = world.client.conversations.get_history(str(conversation_id)).entries
    found = [entry for entry in entries if entry.type in ("function.result", "tool.execution")]
    return [entry.raw["result"] if "result" in entry.raw else entry.raw["info"]["result"] for entry in found]


@pytest.mark.parametrize("way", ["invoke", "stream"])
def test_a_runnable_leaves_both_to_the_caller(world: World, way: str) -> None:
    """It answered the function and went on, which denied the hosted call without a word."""
    from langchain_core.messages import ToolMessage

    from langchain_mistral_agents import MistralAgentRunnable

    made = world.client.agents.create(model="mistral-medium-latest", name="clerk", tools=[*GUARDED, ADD])
    agent = MistralAgentRunnable(agent_id=made.id, client=world.client, tools=[add])
    world.mind.script(MIXED, say("done"))
    thread: Any = {"configurable": {"thread_id": f"mixed {way}"}}
    asked: Any = agent.invoke("q", thread) if way == "invoke" else None
    for chunk in agent.stream("q", thread) if way == "stream" else ():
        asked = chunk if asked is None else asked + chunk
    [waits] = asked.response_metadata["pending_confirmations"]
    [asks] = asked.tool_calls
    answer = agent.invoke(
        [ToolMessage("3", tool_call_id=asks["id"])],
        thread,
        tool_confirmations=decide(**{waits["tool_call_id"]: "allow"}),
    )
    assert answer.text == "done"
    assert len(results_of(world, answer.response_metadata["conversation_id"])) == 2


@pytest.mark.parametrize("allow", [True, False])
@pytest.mark.parametrize("streaming", [True, False])
async def test_a_workflow_agent_runs_the_function_and_then_asks(world: World, allow: bool, streaming: bool) -> None:
    """It asked at once, and the function was answered as interrupted."""
    from llama_index.core.workflow import HumanResponseEvent

    from llama_index_mistral_agents import MistralAgentLLM, MistralWorkflowAgent
    from llama_index_mistral_agents.agent_events import ConfirmationRequest

    world.mind.script(MIXED, say("done"))
    llm = MistralAgentLLM("mistral-medium-latest", client=world.client, tools=GUARDED)
    agent = MistralWorkflowAgent(llm=llm, tools=[add], streaming=streaming)
    handler = agent.run("q")
    async for event in handler.stream_events():
        if isinstance(event, ConfirmationRequest):
            handler.ctx.send_event(HumanResponseEvent(allow=allow))  # type: ignore[union-attr]
    assert str(await handler) == "done"
    found = results_of(world, await agent.conversation_id(handler.ctx))  # type: ignore[arg-type]
    assert (found[0], len(found)) == ("3", 2 if allow else 1)
