"""A function that pauses its graph: after the resume it runs once, and the paid turn is not asked again."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import reduce
from operator import add
from typing import Any

import pytest
from langchain_core.messages import message_chunk_to_message
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import Command, interrupt

from langchain_mistral_agents import MistralAgentRunnable
from langchain_mistral_agents._rounds import PAUSED
from mistral_agents import Conversation, MistralAgents, Safeguards, WebSearch
from mistral_agents.errors import PendingCallsError
from tests.contract.conftest import World
from tests.support.scripted import call, calls, say


def declare(name: str) -> dict[str, Any]:
    parameters = {"type": "object", "properties": {"amount": {"type": "integer"}}}
    return {"type": "function", "function": {"name": name, "description": name, "parameters": parameters}}


PAY, LOG = declare("pay"), declare("log")
TASKS_HAVE_CONTEXTS = sys.version_info >= (3, 11)
"""Python 3.10 hands no context to tasks: LangGraph can't interrupt an asynchronous node that is given no config there."""
each_call = pytest.mark.parametrize("way", ["invoke", "ainvoke", "stream", "astream"])


class Till:
    """Functions that ask a human, and what they did."""

    def __init__(self, questions: int = 1) -> None:
        self.questions = questions
        self.paid: list[int] = []
        self.logged: list[int] = []

    def pay(self, amount: int) -> str:
        """Pay an amount."""
        for number in range(self.questions):
            interrupt({"pay": amount, "number": number})
        self.paid.append(amount)
        return "paid"

    def log(self, amount: int) -> str:
        """Note an amount."""
        self.logged.append(amount)
        return "noted"


Go = Callable[[Any], Any]


def graph(way: str, ask: Callable[[Any, Any], Any]) -> Go:
    """A graph of one node that asks; it is run the way the node asks."""

    def node(state: MessagesState, config: RunnableConfig) -> Any:
        return {"messages": [ask(state["messages"], config)]}

    async def anode(state: MessagesState, config: RunnableConfig) -> Any:
        return {"messages": [await ask(state["messages"], config)]}

    made = StateGraph(MessagesState)
    made.add_node("ask", anode if way.startswith("a") else node)
    made.add_edge(START, "ask")
    made.add_edge("ask", END)
    compiled = made.compile(checkpointer=InMemorySaver())
    thread: Any = {"configurable": {"thread_id": f"thread {id(compiled)}"}}
    if way.startswith("a"):
        return lambda value: asyncio.run(compiled.ainvoke(value, thread))
    return lambda value: compiled.invoke(value, thread)


def ask_runnable(way: str, world: World, till: Till) -> Callable[[Any, Any], Any]:
    agent = world.client.agents.create(model="m", name="cashier", tools=[PAY, LOG])
    runnable = MistralAgentRunnable(agent_id=agent.id, client=world.client, tools=[tool(till.pay), tool(till.log)])

    def stream(messages: Any, config: Any) -> Any:
        return message_chunk_to_message(reduce(add, runnable.stream(messages, config)))

    async def astream(messages: Any, config: Any) -> Any:
        return message_chunk_to_message(reduce(add, [chunk async for chunk in runnable.astream(messages, config)]))

    return {"invoke": runnable.invoke, "ainvoke": runnable.ainvoke, "stream": stream, "astream": astream}[way]


@each_call
@pytest.mark.parametrize("questions", [1, 2])
def test_the_agent_runnable_goes_on_after_its_pauses(way: str, world: World, questions: int) -> None:
    till = Till(questions)
    go = graph(way, ask_runnable(way, world, till))
    world.mind.script(calls(call("log", {"amount": 5}), call("pay", {"amount": 5})), say("Paid."))
    output = go({"messages": "Pay 5."})
    for number in range(questions):
        assert [each.value["number"] for each in output["__interrupt__"]] == [number]
        output = go(Command(resume="yes"))
    assert output["messages"][-1].text.endswith("Paid.")
    assert (till.paid, till.logged) == ([5], [5])
    assert len(world.mind.requests) == 2


@pytest.mark.parametrize("way", ["invoke", "ainvoke"])
def test_the_turn_of_a_call_that_was_paused_is_whole(way: str, world: World) -> None:
    found: list[Any] = []
    ask = ask_runnable(way, world, Till())

    def note(messages: Any, config: Any) -> Any:
        found.append(ask(messages, config))
        return found[-1]

    async def anote(messages: Any, config: Any) -> Any:
        found.append(await ask(messages, config))
        return found[-1]

    go = graph(way, note if way == "invoke" else anote)
    world.mind.script(say("I ask first.", calls=[call("pay", {"amount": 5})]), say("Paid."))
    go({"messages": "Pay 5."})
    go(Command(resume="yes"))
    assert [message.text for message in found[0].turn.messages] == ["I ask first.", "Paid."]


@each_call
@pytest.mark.parametrize("before", [[], ["Hello."]], ids=["first turn", "later turn"])
def test_another_process_resumes(way: str, world: World, before: list[str]) -> None:
    till = Till()
    go = graph(way, ask_runnable(way, world, till))
    for text in before:
        world.mind.script(say("Hi."))
        go({"messages": text})
    world.mind.script(call("pay", {"amount": 5}), say("Paid."))
    go({"messages": "Pay 5."})
    world.forget()
    PAUSED.__init__()  # type: ignore[misc]
    output = go(Command(resume="yes"))
    assert output["messages"][-1].text.endswith("Paid.")
    assert till.paid == [5]
    assert len(world.mind.requests) == 2


def test_another_process_resumes_what_was_redacted(world: World) -> None:
    """A history holds other words than were said: the turn was paid again."""
    guard = Safeguards(redact=lambda text: text.replace("Ada", "[name]"))
    till = Till()
    with MistralAgents(api_key="k", base_url=world.served.base_url, max_retries=0, safeguards=guard) as careful:
        go = graph("invoke", ask_runnable("invoke", replace(world, client=careful), till))
        world.mind.script(call("pay", {"amount": 5}), say("Paid."))
        go({"messages": "Pay Ada 5."})
        world.forget()
        PAUSED.__init__()  # type: ignore[misc]
        assert go(Command(resume="yes"))["messages"][-1].text == "Paid."
    assert (till.paid, len(world.mind.requests)) == ([5], 2)


@each_call
def test_other_words_after_a_pause_close_the_call(way: str, world: World) -> None:
    till = Till()
    go = graph(way, ask_runnable(way, world, till))
    world.mind.script(call("pay", {"amount": 5}), say("Fine."))
    go({"messages": "Pay 5."})
    assert go({"messages": "Never mind."})["messages"][-1].text == "Fine."
    assert till.paid == []
    assert "interrupted" in json.dumps(world.mind.requests[-1])


def test_a_call_that_was_broken_off_does_not_block_its_thread(world: World) -> None:
    def broken(amount: int) -> str:
        """Pay."""
        raise KeyboardInterrupt

    agent = world.client.agents.create(model="m", name="cashier", tools=[declare("broken")])
    runnable = MistralAgentRunnable(agent_id=agent.id, client=world.client, tools=[tool(broken)])
    thread: Any = {"configurable": {"thread_id": "t"}}
    world.mind.script(call("broken", {"amount": 5}), say("Fine."))
    with pytest.raises(KeyboardInterrupt):
        runnable.invoke("Pay 5.", thread)
    assert runnable.invoke("Never mind.", thread).text == "Fine."


def ask_conversation(way: str, talk: Callable[[], Conversation]) -> Callable[[Any, Any], Any]:
    def invoke(*_: Any) -> Any:
        return ("ai", talk().append("Pay 5.").text)

    async def ainvoke(*_: Any) -> Any:
        return ("ai", (await talk().aappend("Pay 5.")).text)

    def stream(*_: Any) -> Any:
        found = talk()
        list(found.stream("Pay 5."))
        assert found.last_turn is not None
        return ("ai", found.last_turn.text)

    async def astream(*_: Any) -> Any:
        found = talk()
        assert [event async for event in found.astream("Pay 5.")]
        assert found.last_turn is not None
        return ("ai", found.last_turn.text)

    return {"invoke": invoke, "ainvoke": ainvoke, "stream": stream, "astream": astream}[way]


@pytest.mark.parametrize("way", ["invoke", "stream", *(["ainvoke", "astream"] if TASKS_HAVE_CONTEXTS else [])])
@pytest.mark.parametrize("renewed", [False, True], ids=["the same object", "by its id"])
def test_a_conversation_goes_on_after_a_pause(way: str, world: World, renewed: bool) -> None:
    till, kept = Till(), []

    def talk() -> Conversation:
        if kept and renewed:
            kept.append(
                Conversation(world.client, conversation_id=kept[0].conversation_id, functions={"pay": till.pay})
            )
        elif not kept:
            kept.append(Conversation(world.client, model="m", tools=[PAY], functions={"pay": till.pay}))
        return kept[-1]

    go = graph(way, ask_conversation(way, talk))
    world.mind.script(call("pay", {"amount": 5}), say("Paid."))
    assert go({"messages": "Pay 5."})["__interrupt__"]
    assert go(Command(resume="yes"))["messages"][-1].text == "Paid."
    assert till.paid == [5]
    assert len(world.mind.requests) == 2


class Approvals:
    """A function that asks people about each payment, and what they said."""

    def __init__(self, questions: int) -> None:
        self.questions = questions
        self.said: dict[int, list[Any]] = {}
        self.noted: list[int] = []

    def pay(self, amount: int) -> str:
        """Pay an amount."""
        self.said[amount] = [interrupt(f"{amount}, {number}") for number in range(self.questions)]
        return "paid"

    def log(self, amount: int) -> str:
        """Note an amount."""
        self.noted.append(amount)
        return "noted"


TOGETHER = [calls(call("log", {"amount": 1}), call("pay", {"amount": 5}), call("pay", {"amount": 7})), say("Done.")]
ONE_BY_ONE = [call("pay", {"amount": 5}), call("log", {"amount": 1}), call("pay", {"amount": 7}), say("Done.")]


@each_call
@pytest.mark.parametrize("script", [TOGETHER, ONE_BY_ONE], ids=["in one turn", "in several turns"])
@pytest.mark.parametrize("questions", [1, 2])
@pytest.mark.parametrize("surface", ["runnable", "conversation"])
@pytest.mark.parametrize("node_asks", [False, True])
def test_each_question_gets_its_own_answer(
    way: str, script: Any, questions: int, surface: str, node_asks: bool, world: World
) -> None:
    """A yes to one payment is no yes to the next, whoever asked before, and no function runs twice."""
    if way.startswith("a") and not TASKS_HAVE_CONTEXTS:
        pytest.skip("Python 3.10 hands no context to tasks")
    till: Any = Approvals(questions)
    if surface == "runnable":
        ask = ask_runnable(way, world, till)
    else:
        functions = {"pay": till.pay, "log": till.log}
        talk = Conversation(world.client, model="m", tools=[PAY, LOG], functions=functions)
        ask = ask_conversation(way, lambda: talk)

    def asking(messages: Any, config: Any) -> Any:
        return (interrupt("node") if node_asks else None, ask(messages, config))[1]

    go = graph(way, asking)
    world.mind.script(*script)
    output, asked = go({"messages": "Pay 5."}), []
    while output.get("__interrupt__"):
        [question] = output["__interrupt__"]
        asked.append(question.value)
        output = go(Command(resume=f"to {question.value}"))
    wanted = {amount: [f"{amount}, {number}" for number in range(questions)] for amount in (5, 7)}
    assert asked == [*(["node"] if node_asks else []), *wanted[5], *wanted[7]]
    assert till.said == {amount: [f"to {each}" for each in about] for amount, about in wanted.items()}
    assert till.noted == [1]
    assert output["messages"][-1].text.endswith("Done.")
    assert len(world.mind.requests) == len(script)


@pytest.mark.parametrize("way", ["invoke", "stream", *(["ainvoke", "astream"] if TASKS_HAVE_CONTEXTS else [])])
@pytest.mark.parametrize("renewed", [False, True], ids=["the same object", "by its id"])
@pytest.mark.parametrize("word", ["yes", "no"])
def test_a_rule_may_ask_people_too(way: str, world: World, renewed: bool, word: str) -> None:
    """What a person says of a hosted tool reaches the service; the turn that asked for it is not paid again."""
    till: Any = Approvals(0 if renewed else 1)
    ruled: list[Any] = []
    kept: list[Conversation] = []

    def rule(waiting: Any) -> bool:
        ruled.append(interrupt(waiting.name))
        return bool(ruled[-1] == "yes")

    def talk() -> Conversation:
        options: Any = {"functions": {"pay": till.pay}, "confirm": rule}
        if kept and renewed:
            kept.append(Conversation(world.client, conversation_id=kept[0].conversation_id, **options))
        elif not kept:
            tools = [WebSearch(requires_confirmation=True), PAY]
            kept.append(Conversation(world.client, model="m", tools=tools, **options))
        return kept[-1]

    go = graph(way, ask_conversation(way, talk))
    world.mind.script(call("web_search", {"query": "x"}), call("pay", {"amount": 5}), say("Done."))
    [asked] = go({"messages": "Pay 5."})["__interrupt__"]
    output = go(Command(resume=word))
    assert asked.value == "web_search"
    assert ruled == [word]
    assert [
        body["tool_confirmations"][0]["confirmation"] for _, body in world.turns if "tool_confirmations" in body
    ] == ["allow" if word == "yes" else "deny"]
    if not renewed:
        output = go(Command(resume="fine"))
        assert till.said == {5: ["fine"]}
    assert output["messages"][-1].text == "Done."
    assert len(world.mind.requests) == 3


def test_a_call_that_names_its_conversation_goes_on_too(world: World) -> None:
    """The pause of a later turn of a call is remembered by the conversation, where no thread leads to it."""
    till = Approvals(1)
    agent = world.client.agents.create(model="m", name="cashier", tools=[PAY, LOG])
    runnable = MistralAgentRunnable(agent_id=agent.id, client=world.client, tools=[tool(till.pay), tool(till.log)])
    world.mind.script(say("Hello."))
    named = runnable.invoke("Hello.").response_metadata["conversation_id"]

    def ask(messages: Any, config: Any) -> Any:
        own = {**config["configurable"], "conversation_id": named}
        return runnable.invoke(messages, {**config, "configurable": own})

    go = graph("invoke", ask)
    world.mind.script(*ONE_BY_ONE)
    assert go({"messages": "Pay 5."})["__interrupt__"]
    assert go(Command(resume="yes"))["__interrupt__"]
    assert go(Command(resume="no"))["messages"][-1].text == "Done."
    assert till.said == {5: ["yes"], 7: ["no"]}
    assert len(world.mind.requests) == len(ONE_BY_ONE)


@each_call
@pytest.mark.parametrize("surface", ["runnable", "conversation"])
def test_an_answer_is_given_to_no_other_question_elsewhere(way: str, surface: str, world: World) -> None:
    """Another process does not know the pause of a later turn: it refuses, and new words close the call."""
    if way.startswith("a") and not TASKS_HAVE_CONTEXTS:
        pytest.skip("Python 3.10 hands no context to tasks")
    till: Any = Approvals(1)
    kept: list[str] = []

    def talk() -> Conversation:
        known: Any = {"conversation_id": kept[0]} if kept else {"model": "m", "tools": [PAY, LOG]}
        made = Conversation(world.client, functions={"pay": till.pay, "log": till.log}, **known)
        talks.append(made)
        return made

    talks: list[Conversation] = []
    ask = ask_runnable(way, world, till) if surface == "runnable" else ask_conversation(way, talk)
    go = graph(way, ask)
    world.mind.script(call("pay", {"amount": 5}), call("pay", {"amount": 7}), say("Never."))
    assert go({"messages": "Pay 5."})["__interrupt__"]
    kept += [str(each.conversation_id) for each in talks]
    assert go(Command(resume="yes"))["__interrupt__"]
    world.forget()
    PAUSED.__init__()  # type: ignore[misc]
    with pytest.raises(PendingCallsError, match="a person answered"):
        go(Command(resume="no"))
    assert till.said == {5: ["yes"]}
    assert len(world.mind.requests) == 2
    if surface == "runnable":
        assert go({"messages": "Never mind."})["messages"][-1].text == "Never."
