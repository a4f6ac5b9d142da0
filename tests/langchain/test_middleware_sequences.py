"""Random lives of a thread: whatever happens, the conversation holds what the graph's messages say, once."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from langchain_mistral_agents import ChatMistralAgent, MistralConversationMiddleware
from mistral_agents import CodeInterpreter, MistralAgents
from mistral_agents._border.turns import HEADS
from mistral_agents.entries import FunctionResult, MessageInput
from mistral_agents.errors import MistralAgentsError
from tests.support.running import Standin

THREAD: Any = {"configurable": {"thread_id": "ada"}}
Shape = list[tuple[str, Any]]


def weather(city: str) -> str:
    """The weather in a city."""
    if city == "Atlantis":
        raise LookupError("no such city")
    return f"It is sunny in {city}."


class Life:
    """One thread, and what may happen to it."""

    def __init__(self, service: Standin, seed: int) -> None:
        self.service = service
        self.client = MistralAgents(api_key="test-key", base_url=service.base_url, max_retries=0)
        self.random = random.Random(seed)
        self.saver = InMemorySaver()
        self.said = 0
        self.planned: list[str] = []
        self.start_anew()

    def start_anew(self) -> None:
        """As in another process: only the checkpointer's data is left."""
        HEADS.__init__()  # type: ignore[misc]
        self.agent: Any = create_agent(
            ChatMistralAgent(model="mistral-small-latest", client=self.client),
            tools=[weather, CodeInterpreter(requires_confirmation=True)],
            middleware=[MistralConversationMiddleware()],
            checkpointer=self.saver,
        )

    def run(self, given: Any, config: Any = THREAD) -> None:
        """Run; a tool that raises breaks the run off and leaves its call open."""
        with suppress(LookupError):
            if self.random.random() < 0.3:
                for _ in self.agent.stream(given, config, stream_mode="messages"):
                    pass
            else:
                self.agent.invoke(given, config)

    def state(self) -> Any:
        return self.agent.get_state(THREAD)

    def words(self) -> dict[str, str]:
        self.said += 1
        city = self.random.choice(["Paris", "Rome", "Atlantis"])
        kinds = [f"Hello number {self.said}.", f"What is the weather in {city}?", f"Add {self.said} and 4."]
        return {"messages": self.random.choice(kinds)}

    # what may happen

    def speak(self) -> None:
        self.run(self.words())

    def decide(self) -> None:
        if self.state().interrupts:
            self.run(Command(resume=self.random.choice(["allow", "deny"])))

    def fail(self) -> None:
        """The service fails, or the reply is lost on the way; then the turn is tried again."""
        faults = self.service.faults
        plan = self.random.choice([lambda **f: faults.answer(500, **f), faults.drop_before, faults.drop_after])
        given: Any = Command(resume="allow") if self.state().interrupts else self.words()
        plan(method="POST", path="/conversations")
        try:
            self.run(given)
        except MistralAgentsError:
            assert not faults._planned
            self.run(None)
        faults._planned.clear()

    def travel(self) -> None:
        past = [each for each in self.agent.get_state_history(THREAD) if each.values.get("messages") and not each.next]
        if past:
            self.run(self.words(), self.random.choice(past).config)

    def decide_anew(self) -> None:
        """On an older checkpoint, whose question was decided already."""
        past = [each for each in self.agent.get_state_history(THREAD) if each.interrupts]
        if past:
            self.run(Command(resume=self.random.choice(["allow", "deny"])), self.random.choice(past).config)

    # what must hold

    def check(self) -> None:
        values = self.state().values
        messages = values.get("messages", [])
        if not any(isinstance(message, AIMessage) for message in messages):
            return
        entries = self.client.conversations.get_history(values["conversation_id"]).entries
        held: Shape = []
        for entry in entries:
            if isinstance(entry, MessageInput):
                held.append(("human", entry.content))
            elif isinstance(entry, FunctionResult):
                held.append(("tool", entry.tool_call_id))
            else:
                _answered(held, 1)
        assert held == _shape(messages)
        assert entries[-1].id == values["last_entry_id"]


def _answered(shape: Shape, entries: int) -> None:
    """Answers that follow one another count together: one after a confirmation continues the one before."""
    if shape and shape[-1][0] == "ai":
        entries += shape.pop()[1]
    shape.append(("ai", entries))


def _shape(messages: list[BaseMessage]) -> Shape:
    found: Shape = []
    for message in messages:
        if isinstance(message, AIMessage):
            _answered(found, len(message.response_metadata["entry_ids"]))
        elif isinstance(message, ToolMessage):
            found.append(("tool", message.tool_call_id))
        else:
            found.append(("human", message.text))
    return found


@pytest.mark.parametrize("seed", range(8))
def test_nothing_is_lost_or_doubled(standin_factory: Callable[..., Standin], seed: int) -> None:
    life = Life(standin_factory(allow_code=True), seed)
    events = [life.speak, life.speak, life.decide, life.decide, life.start_anew, life.fail]
    events += [life.travel, life.decide_anew]
    happened: list[str] = []
    for _ in range(20):
        event = life.random.choice(events)
        happened.append(event.__name__)
        try:
            event()
            life.check()
        except Exception as error:
            raise AssertionError(f"after {', '.join(happened)}") from error
    life.client.close()
