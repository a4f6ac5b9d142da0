"""Whatever happens to a conversation, in any order: never a 400, never a lost or doubled entry, always an end."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mistral_agents import MistralAgents
from mistral_agents.conversation import Conversation
from mistral_agents.errors import MistralAgentsError
from tests.conftest import API_KEY
from tests.support.running import Standin
from tests.support.scripted import Reply, ScriptedModel, call, calls, say

MODEL = "mistral-small-latest"
NAMES = ("good", "boom", "stop", "wait")


class Statuses:
    """Wraps the stand-in and keeps the status of every reply."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.seen: list[int] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def noted(message: Any) -> None:
            if message["type"] == "http.response.start":
                self.seen.append(message["status"])
            await send(message)

        await self.app(scope, receive, noted)


class World:
    """A stand-in, its model, two agents that hand over to one another, and what happened to one conversation."""

    def __init__(self) -> None:
        self.model = ScriptedModel()
        self.served = Standin(model_url=self.model.url)
        self.statuses = self.served.faults.app = Statuses(self.served.faults.app)
        self.client = MistralAgents(api_key=API_KEY, base_url=self.served.base_url, max_retries=0)
        tools = [
            {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}}
            for name in NAMES
        ]
        agents = self.client.agents
        self.clerk = agents.create(model=MODEL, name="clerk", tools=tools)
        self.front = agents.create(model=MODEL, name="front", tools=tools, handoffs=[self.clerk.id])
        agents.update(self.clerk.id, handoffs=[self.front.id])
        self.numbers = count()

    def begin(self) -> None:
        self.statuses.seen.clear()
        self.sure: list[str] = []
        self.perhaps: list[str] = []
        self.conversation = Conversation(self.client, agent_id=self.front.id, functions=self.functions())

    def functions(self) -> dict[str, Callable[..., Any]]:
        def boom() -> None:
            raise ValueError("boom")

        def stop() -> None:
            raise KeyboardInterrupt

        async def wait() -> None:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await asyncio.sleep(0)

        return {"good": lambda: "ok", "boom": boom, "stop": stop, "wait": wait}

    def text(self) -> str:
        return f"input {next(self.numbers)}"

    def attempt(self, act: Callable[[str], Any]) -> None:
        text = self.text()
        try:
            act(text)
        except (MistralAgentsError, KeyboardInterrupt, asyncio.CancelledError):
            self.perhaps.append(text)
        else:
            self.sure.append(text)

    # what may happen ------------------------------------------------------------------------------------------------

    def say(self) -> None:
        self.model.script(say("fine"))
        self.attempt(self.conversation.append)

    def stream(self) -> None:
        self.model.script(call("good"), say("fine"))
        self.attempt(lambda text: list(self.conversation.stream(text)))

    def call(self, *names: str) -> None:
        self.model.script(calls(*(call(name) for name in names)), say("fine"))
        self.attempt(self.conversation.append)

    def interrupted(self) -> None:
        self.call("stop")

    def cancelled(self) -> None:
        self.model.script(calls(call("good"), call("wait")), say("fine"))
        self.attempt(lambda text: asyncio.run(self.conversation.aappend(text)))

    def handed_over(self, *first: str) -> None:
        def transfer(body: dict[str, Any]) -> Reply:
            known = [tool["function"]["name"] for tool in body.get("tools", [])]
            hop = next(name for name in known if name not in NAMES)
            return calls(*(call(name) for name in first), call(hop))

        self.model.script(transfer, call("good"), say("fine"))
        self.attempt(self.conversation.append)

    def fails_before(self) -> None:
        self.served.faults.answer(503, {"object": "Error", "message": "busy"}, method="POST", path="/v1/conversations")
        self.model.script(say("fine"))
        self.attempt(self.conversation.append)

    def lost_after(self) -> None:
        self.served.faults.drop_after(method="POST", path="/v1/conversations")
        self.model.script(say("fine"))
        self.attempt(self.conversation.append)

    def cut(self) -> None:
        self.served.faults.cut_stream(2, method="POST", path="/v1/conversations")
        self.model.script(say("fine"))
        self.attempt(lambda text: list(self.conversation.stream(text)))

    def abandoned(self) -> None:
        # no call: a server that still works on it would open that call after the history was read, and refuse once;
        # and not before the model spoke, or what it says next would go to the abandoned turn
        self.model.script(say("fine"))
        text = self.text()
        stream = self.conversation.stream(text)
        next(event for event in stream if event["type"] == "message.output.delta")
        stream.close()  # type: ignore[attr-defined]
        self.perhaps.append(text)

    def restarted(self) -> None:
        # of a first turn that broke off the service may have kept nothing; then only the object can begin anew
        if self.conversation.id is not None and self.sure:
            self.conversation = Conversation(self.client, self.conversation.id, functions=self.functions())

    # what must be true ----------------------------------------------------------------------------------------------

    def check(self) -> None:
        self.restarted()
        self.model.script(say("the end"))
        final = self.text()
        self.conversation.append(final)
        entries = self.conversation.history().entries
        ids = Counter(entry.id for entry in entries)
        assert max(ids.values()) == 1, "no entry is there twice"
        said = [entry.text for entry in entries if entry.type == "message.input"]
        assert len(set(said)) == len(said), "no input was applied twice"
        known = [text for text in said if text not in self.perhaps]
        assert known == [*self.sure[len(self.sure) - len(known) + 1 :], final], "what was answered is there, in order"
        assert set(said) <= {*self.sure, *self.perhaps, final}
        waiting: set[str] = set()
        for entry in entries:
            if entry.type == "agent.handoff":
                waiting.clear()
            elif entry.type == "function.call":
                waiting.add(entry.raw["tool_call_id"])
            elif entry.type == "function.result":
                waiting.remove(entry.raw["tool_call_id"])  # fails where a call is answered twice, or never was made
        assert not waiting
        assert self.conversation.history().open_calls == []
        assert self.conversation.open_calls == []
        assert not [status for status in self.statuses.seen if status in (400, 422)]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    made = World()
    yield made
    made.client.close()
    made.served.stop()
    made.model.stop()


ACTS: dict[str, Callable[[World], None]] = {
    "say": World.say,
    "stream": World.stream,
    "one call": lambda world: world.call("good"),
    "calls": lambda world: world.call("good", "boom", "good"),
    "unknown": lambda world: world.call("boom"),
    "interrupted": World.interrupted,
    "cancelled": World.cancelled,
    "handed over": World.handed_over,
    "call and handover": lambda world: world.handed_over("good"),
    "fails before": World.fails_before,
    "lost after": World.lost_after,
    "cut": World.cut,
    "abandoned": World.abandoned,
    "restarted": World.restarted,
}


@settings(max_examples=30, deadline=None)
@given(acts=st.lists(st.sampled_from(sorted(ACTS)), max_size=8))
def test_whatever_happens_a_conversation_goes_on(world: World, acts: list[str]) -> None:
    world.begin()
    for act in acts:
        ACTS[act](world)
    world.check()


@pytest.mark.parametrize("act", sorted(ACTS))
def test_each_of_it_first_of_all(world: World, act: str) -> None:
    world.begin()
    ACTS[act](world)
    world.check()


@pytest.mark.parametrize("act", sorted(ACTS))
def test_each_of_it_between_two_ordinary_turns(world: World, act: str) -> None:
    world.begin()
    world.say()
    ACTS[act](world)
    world.say()
    world.check()


def test_a_thousand_turns_send_no_more_at_the_end_than_at_the_start(standin_factory: Callable[..., Standin]) -> None:
    served = standin_factory()
    with MistralAgents(api_key=API_KEY, base_url=served.base_url) as client:
        conversation = Conversation(client, model=MODEL)
        for number in range(1000):
            conversation.append(f"turn {number:4}")
        sizes = [len(seen.body) for seen in served.faults.requests if seen.method == "POST"][1:]
        assert len(sizes) == 999
        assert max(sizes) == min(sizes)
        history = conversation.history()
        stateless = len(json.dumps(history.to_messages()))
        assert stateless > 500 * max(sizes), "what a model without a memory on the server would be sent with each turn"
        assert history.stats().messages == 2000
        conversation.append("one more")
        again = conversation.history().entries
        assert len(again) == len(history.entries) + 2
        assert all(entry is kept for entry, kept in zip(history.entries, again, strict=False))
