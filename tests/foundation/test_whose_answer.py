"""Whose answer is it: ids come from replies, lost answers are told by what was sent, and nothing is said twice."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from mistral_agents import Conversation, MistralAgents
from mistral_agents._api.recovery import find_turn, recovered_turn
from mistral_agents.entries import function_result, parse_entries
from mistral_agents.errors import ConfigurationError, MistralAgentsError, StreamInterruptedError, UnknownOutcomeError
from tests.support.running import Standin
from tests.support.scripted import ScriptedModel, call, say

MODEL = "mistral-small-latest"
KNOWN = {"type": "message.output", "id": "out_0", "content": "hello"}


def asked(text: Any, key: str) -> dict[str, Any]:
    return {"type": "message.input", "id": key, "role": "user", "content": text}


def said(text: str, key: str) -> dict[str, Any]:
    return {"type": "message.output", "id": key, "role": "assistant", "content": text}


def found(*rows: dict[str, Any], inputs: Any = "mine") -> str | None:
    turn = find_turn("conv_1", parse_entries([KNOWN, *rows]), "out_0", inputs)
    return turn.text if turn is not None else None


@pytest.fixture
def world(standin_factory: Callable[..., Standin], scripted: ScriptedModel) -> tuple[Standin, MistralAgents]:
    served = standin_factory(model_url=scripted.url)
    return served, MistralAgents(api_key="k", base_url=served.base_url, max_retries=0)


def inputs_of(client: MistralAgents, conversation_id: str | None) -> list[str]:
    entries = client.conversations.get_history(str(conversation_id)).entries
    return [entry.text for entry in entries if entry.type == "message.input"]


# what stands in a history -------------------------------------------------------------------------------------------


def test_only_what_was_sent_counts() -> None:
    assert found() is None
    assert found(asked("mine", "in_1"), said("yes", "out_1")) == "yes"
    assert found(asked([{"type": "text", "text": "mine"}], "in_1"), said("yes", "out_1")) == "yes"
    mixed = (asked("mine", "in_1"), said("yes", "out_1"), asked("theirs", "in_2"), said("no", "out_2"))
    assert found(*mixed) == "yes", "what others said afterwards is not ours"


@pytest.mark.parametrize(
    "rows",
    [
        [asked("theirs", "in_1"), said("no", "out_1")],
        [asked("theirs", "in_1"), said("no", "out_1"), asked("mine", "in_2"), said("yes", "out_2")],
        [asked("mine", "in_1")],
        [said("no", "out_1")],
        [{"type": "function.result", "id": "in_1", "tool_call_id": "a", "result": "mine"}, said("no", "out_1")],
    ],
)
def test_anything_else_is_an_unknown_outcome(rows: list[dict[str, Any]]) -> None:
    with pytest.raises(UnknownOutcomeError) as caught:
        found(*rows)
    assert caught.value.conversation_id == "conv_1"


def test_results_are_told_by_their_call() -> None:
    row = {"type": "function.result", "id": "in_1", "tool_call_id": "a", "result": "7"}
    assert found(row, said("yes", "out_1"), inputs=[function_result("a", "7")]) == "yes"
    with pytest.raises(UnknownOutcomeError):
        found(row, said("yes", "out_1"), inputs=[function_result("b", "7")])


def test_without_inputs_one_turn_is_taken_and_several_are_refused() -> None:
    one = [KNOWN, asked("a", "in_1"), said("yes", "out_1")]
    assert recovered_turn("conv_1", parse_entries(one), "out_0").text == "yes"
    two = [*one, asked("b", "in_2"), said("no", "out_2")]
    with pytest.raises(UnknownOutcomeError, match="several turns"):
        recovered_turn("conv_1", parse_entries(two), "out_0")
    assert recovered_turn("conv_1", parse_entries(two), "out_0", "a").text == "yes"


# the same words again -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("streamed", [False, True])
def test_the_same_words_after_a_lost_answer_are_not_said_twice(
    world: tuple[Standin, MistralAgents], scripted: ScriptedModel, streamed: bool
) -> None:
    served, client = world
    scripted.always(say("bought"))
    conversation = Conversation(client, model=MODEL)
    conversation.append("hello")
    served.faults.cut_stream(2, method="POST", path="/v1/conversations")
    served.faults.answer(500, method="GET", path="/history")
    with pytest.raises(MistralAgentsError):
        list(conversation.stream("BUY"))
    if streamed:
        events = list(conversation.stream("BUY"))
        assert [event["type"] for event in events][-1] == "conversation.response.done"
    else:
        conversation.append("BUY")
    assert conversation.last_turn is not None
    assert conversation.last_turn.text == "bought"
    assert inputs_of(client, conversation.id) == ["hello", "BUY"]
    conversation.append("BUY")
    assert inputs_of(client, conversation.id) == ["hello", "BUY", "BUY"], "said again on purpose"


def test_a_repetition_after_functions_goes_on_where_it_broke_off(
    world: tuple[Standin, MistralAgents], scripted: ScriptedModel
) -> None:
    served, client = world
    tool = {"type": "function", "function": {"name": "price", "parameters": {"type": "object", "properties": {}}}}

    def price() -> int:
        served.faults.drop_after(method="POST", path="/v1/conversations")
        served.faults.answer(500, method="GET", path="/history")
        return 7

    scripted.script(call("price"), say("It is 7."))
    conversation = Conversation(client, model=MODEL, tools=[tool], functions={"price": price})
    with pytest.raises(MistralAgentsError):
        conversation.append("What does it cost?")
    assert conversation.append("What does it cost?").text == "It is 7."
    assert inputs_of(client, conversation.id) == ["What does it cost?"]


def test_a_branch_whose_first_turn_is_lost_is_told_what_that_means(
    world: tuple[Standin, MistralAgents], scripted: ScriptedModel
) -> None:
    served, client = world
    scripted.always(say("ok"))
    parent = Conversation(client, model=MODEL)
    parent.append("one")
    branch = parent.branch()
    served.faults.drop_after(method="POST", path="/restart")
    with pytest.raises(MistralAgentsError, match="RateLimitedError and ConnectionFailedError only") as caught:
        branch.append("two")
    assert (branch.id, caught.value.conversation_id) == (None, None)
    branch.append("two")
    assert branch.id not in (None, parent.id)
    assert inputs_of(client, parent.id) == ["one"]


# streams that are left ----------------------------------------------------------------------------------------------


def leave(events: Any, kind: str) -> None:
    for event in events:
        if event["type"] == kind:
            return


def test_a_left_stream_in_a_variable_is_closed_and_says_so(
    world: tuple[Standin, MistralAgents], scripted: ScriptedModel
) -> None:
    _, client = world
    scripted.always(say("a longer answer"))
    conversation = Conversation(client, model=MODEL)
    events = conversation.stream("one")
    leave(events, "message.output.delta")
    conversation.append("two")
    with pytest.raises(StreamInterruptedError, match="was left"):
        next(events)


async def test_an_asynchronous_stream_in_a_variable_is_closed(
    world: tuple[Standin, MistralAgents], scripted: ScriptedModel
) -> None:
    _, client = world
    scripted.always(say("a longer answer"))
    conversation = Conversation(client, model=MODEL)
    events = conversation.astream("one")
    async for event in events:
        if event["type"] == "message.output.delta":
            break
    await conversation.aappend("two")
    with pytest.raises(StreamInterruptedError, match="was left"):
        await anext(aiter(events))
    await client.aclose()


def test_a_stream_left_in_a_closed_loop_holds_nobody_up(
    world: tuple[Standin, MistralAgents], scripted: ScriptedModel
) -> None:
    _, client = world
    scripted.always(say("a longer answer"))
    conversation = Conversation(client, model=MODEL)
    kept: list[Any] = []

    async def begin() -> None:
        kept.append(conversation.astream("one"))
        async for event in kept[0]:
            if event["type"] == "message.output.delta":
                break

    asyncio.run(begin())
    conversation.append("two")
    assert conversation.id is not None


def test_a_stream_whose_loop_stands_still_leaves_a_conversation_that_is_read_first(
    world: tuple[Standin, MistralAgents], scripted: ScriptedModel
) -> None:
    """A blocking call in the loop's own thread: the loop closes the stream later, but its turn counts now."""
    served, client = world
    scripted.always(say("a longer answer"))
    other = MistralAgents(api_key="k", base_url=served.base_url)
    conversation = Conversation(client, model=MODEL)
    conversation.append("zero")
    kept: list[Any] = []

    async def leave_and_go_on() -> str:
        kept.append(conversation.astream("one"))
        async for event in kept[0]:
            if event["type"] == "message.output.delta":
                break
        while inputs_of(other, conversation.id) != ["zero", "one"]:
            pass
        served.faults.drop_after(method="POST")
        return conversation.append("two").text

    assert asyncio.run(leave_and_go_on()) == "a longer answer"
    assert inputs_of(other, conversation.id) == ["zero", "one", "two"]
    assert conversation.append("three").text == "a longer answer"


def test_a_stream_that_another_thread_left_is_waited_for_and_then_closed(
    world: tuple[Standin, MistralAgents], scripted: ScriptedModel
) -> None:
    _, client = world
    scripted.always(say("a longer answer"))
    conversation = Conversation(client, model=MODEL, timeout=0.5)
    kept: list[Any] = []

    def begin() -> None:
        kept.append(conversation.stream("one"))
        leave(kept[0], "message.output.delta")

    thread = threading.Thread(target=begin)
    thread.start()
    thread.join()
    assert conversation.append("two").text == "a longer answer"


def test_a_turn_within_a_turn_is_refused_at_once(world: tuple[Standin, MistralAgents], scripted: ScriptedModel) -> None:
    _, client = world
    tool = {"type": "function", "function": {"name": "again", "parameters": {"type": "object", "properties": {}}}}
    scripted.script(call("again"), say("ok"))
    caught: list[Exception] = []

    def again() -> str:
        try:
            conversation.append("inside")
        except ConfigurationError as error:
            caught.append(error)
        return "done"

    conversation = Conversation(client, model=MODEL, tools=[tool], functions={"again": again})
    conversation.append("outside")
    assert "was not sent" in str(caught[0])
