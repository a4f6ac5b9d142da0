"""A `Context` that is used again goes on where it stood: in the next run, after a pause, in another process."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from llama_index.core.agent.workflow import AgentWorkflow, FunctionAgent
from llama_index.core.llms import ChatMessage
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.workflow import Context, HumanResponseEvent, InputRequiredEvent
from workflows.errors import WorkflowCancelledByUser

from llama_index_mistral_agents import MistralAgentLLM, MistralConversationMemory, MistralWorkflowAgent
from llama_index_mistral_agents.agent_events import ConfirmationRequest, ConversationReset
from mistral_agents.tools import ImageGeneration
from tests.support.scripted import call, say


def multiply(a: int, b: int) -> int:
    """Multiply two numbers."""
    return a * b


MEMORIES: dict[str, Callable[[Any], Any]] = {
    "none": lambda llm: None,
    "buffer": lambda llm: ChatMemoryBuffer.from_defaults(),
    "conversation": lambda llm: MistralConversationMemory(client=llm.client),
}


def sent(service: Any) -> list[list[str]]:
    """The texts of each turn's inputs."""
    return [
        [str(e.get("content", e.get("result", e["type"]))) for e in body.get("inputs", [])] for _, body in service.turns
    ]


def paths(service: Any) -> list[str]:
    return [path for path, _ in service.turns]


async def run(agent: Any, text: str, *, allow: bool | None = None, **given: Any) -> tuple[str, list[Any]]:
    handler = agent.run(user_msg=text, **given)
    events = []
    async for event in handler.stream_events():
        events.append(event)
        if isinstance(event, ConfirmationRequest) and allow is not None:
            handler.ctx.send_event(HumanResponseEvent(allow=allow))
    assert not [event for event in events if isinstance(event, ConversationReset)]
    return str(await handler), events


# the memory ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("second", ["the same", "none", "another of the conversation", "restored", "restored, given"])
@pytest.mark.parametrize("in_workflow", [False, True], ids=["alone", "workflow"])
@pytest.mark.parametrize("kind", [FunctionAgent, MistralWorkflowAgent])
async def test_a_conversation_memory_stays_in_a_reused_context(
    llm: Any, service: Any, scripted: Any, kind: Any, in_workflow: bool, second: str
) -> None:
    scripted.script(call("multiply", {"a": 6, "b": 7}), say("42."), say("6 times 7."))
    made = kind(name="sums", description="Counts.", llm=llm, tools=[multiply])
    agent = AgentWorkflow(agents=[made], root_agent="sums") if in_workflow else made
    memory, ctx = MistralConversationMemory(client=llm.client), Context(agent)
    await run(agent, "6*7?", ctx=ctx, memory=memory)
    given: dict[str, Any] = {}
    if second.startswith("restored"):
        ctx = Context.from_dict(agent, json.loads(json.dumps(ctx.to_dict())))
    if second in ("the same", "restored, given"):
        given["memory"] = memory
    if second == "another of the conversation":
        given["memory"] = MistralConversationMemory(memory.conversation_id, client=llm.client)
    answer, _ = await run(agent, "What did I ask?", ctx=ctx, **given)
    assert answer == "6 times 7."
    assert sent(service) == [["6*7?"], ["42"], ["What did I ask?"]]
    assert paths(service)[1:] == [f"/v1/conversations/{memory.conversation_id}"] * 2
    roles = ["user", "assistant", "tool", "assistant", "user", "assistant"]
    assert [message.role.value for message in memory.get_all()] == roles
    assert memory.unsaved == []


async def test_nobody_else_need_hold_the_memory(llm: Any, service: Any, scripted: Any) -> None:
    scripted.always(say("Fine."))
    agent = FunctionAgent(llm=llm, tools=[])
    ctx = Context(agent)
    await run(agent, "one", ctx=ctx, memory=MistralConversationMemory(client=llm.client))
    gc.collect()
    await run(agent, "two", ctx=ctx)
    assert sent(service) == [["one"], ["two"]]


def test_a_saved_memory_holds_no_key_and_a_copy_is_no_double(make_llm: Any) -> None:
    memory = MistralConversationMemory(client=make_llm().client)
    memory.put(ChatMessage(role="user", content="wait"))
    saved = memory.to_dict()
    assert "test-key" not in json.dumps(saved)
    assert MistralConversationMemory.from_dict(saved) is memory
    copied = memory.model_copy(deep=True)
    assert copied.to_dict()["live"] != saved["live"]
    assert MistralConversationMemory.from_dict(copied.to_dict()) is copied


def saved_elsewhere(memory: Any) -> dict[str, Any]:
    """As it comes to a process in which the memory does not live."""
    return {**memory.to_dict(), "live": "memory-of-another-process"}


async def test_elsewhere_it_is_made_of_the_environment(
    llm: Any, service: Any, scripted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted.always(say("Fine."))
    memory = MistralConversationMemory(client=llm.client)
    agent = FunctionAgent(llm=llm, tools=[])
    await run(agent, "one", memory=memory)
    memory.put(ChatMessage(role="user", content="and"))
    monkeypatch.setenv("MISTRAL_API_KEY", "test-key")
    monkeypatch.setenv("MISTRAL_BASE_URL", service.base_url)
    restored = MistralConversationMemory.from_dict(saved_elsewhere(memory))
    assert restored is not memory
    await run(agent, "two", memory=restored)
    assert sent(service)[-1] == ["and", "two"]
    assert restored.conversation_id == memory.conversation_id


@pytest.mark.parametrize(
    ("environment", "why"),
    [
        ({"MISTRAL_BASE_URL": "http://127.0.0.1:9", "MISTRAL_API_KEY": "k"}, "leads to http://127.0.0.1:9"),
        ({"MISTRAL_API_KEY": ""}, "MISTRAL_API_KEY is not set"),
    ],
)
async def test_where_the_environment_leads_elsewhere_the_given_one_is_taken(
    llm: Any, service: Any, scripted: Any, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], why: str
) -> None:
    scripted.always(say("Fine."))
    memory = MistralConversationMemory(client=llm.client)
    agent = FunctionAgent(llm=llm, tools=[])
    ctx = Context(agent)
    await run(agent, "one", memory=memory, ctx=ctx)
    saved = json.loads(json.dumps(ctx.to_dict()).replace(memory.to_dict()["live"], "memory-of-another-process"))
    for name, value in {"MISTRAL_BASE_URL": service.base_url, **environment}.items():
        monkeypatch.setenv(name, value)
    given = MistralConversationMemory(memory.conversation_id, client=llm.client)
    with pytest.warns(UserWarning, match=f"{why}.*memory=MistralConversationMemory"):
        await run(agent, "two", memory=given, ctx=Context.from_dict(agent, saved))
    assert sent(service) == [["one"], ["two"]]
    assert [message.content for message in given.get_all()] == ["one", "Fine.", "two", "Fine."]


def test_an_export_keeps_the_branch_and_the_lost_answer(llm: Any, service: Any, scripted: Any) -> None:
    scripted.always(say("Fine."))
    memory = MistralConversationMemory(client=llm.client)
    for word in ("one", "two"):
        memory.put(ChatMessage(role="user", content=word))
        memory.put(llm.chat(memory.get()).message)
    first = memory.conversation_id
    memory.set(memory.get()[:2])
    branching = MistralConversationMemory.from_export(memory.export(), client=llm.client)
    assert [message.content for message in branching.get()] == ["one", "Fine."]
    branching.put(ChatMessage(role="user", content="other"))
    llm.chat(branching.get())
    assert branching.conversation_id != first
    assert paths(service)[-1] == f"/v1/conversations/{first}/restart"

    again = MistralConversationMemory(first, client=llm.client)
    again.get()
    again.put(ChatMessage(role="user", content="two"))
    again.turn_begins()  # the turn arrives, its answer is lost, and the process ends
    MistralAgentLLM("mistral-medium-latest", client=llm.client, conversation_id=first).chat(
        [ChatMessage(role="user", content="two")]
    )
    later = MistralConversationMemory.from_export(again.export(), client=llm.client)
    assert [message.content for message in later.get()] == ["one", "Fine.", "two", "Fine.", "two", "Fine."]
    assert later.unsaved == []


# the agent ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("saved", [False, True], ids=["live", "saved"])
@pytest.mark.parametrize("memory", list(MEMORIES))
@pytest.mark.parametrize("allow", [True, False])
async def test_the_next_run_goes_on_after_a_confirmation(
    make_llm: Any, service: Any, scripted: Any, memory: str, allow: bool, saved: bool
) -> None:
    scripted.script(call("generate_image", {"prompt": "a tree"}), say("Done."), say("A tree."))
    llm = make_llm(tools=[ImageGeneration(requires_confirmation=True)])
    agent, kept = MistralWorkflowAgent(llm=llm), MEMORIES[memory](llm)
    ctx = Context(agent)
    assert (await run(agent, "Draw a tree", allow=allow, ctx=ctx, memory=kept))[0] == "Done."
    if saved:
        ctx = Context.from_dict(agent, json.loads(json.dumps(ctx.to_dict())))
    assert (await run(agent, "What was it?", ctx=ctx, memory=kept))[0] == "A tree."
    assert sent(service) == [["Draw a tree"], [], ["What was it?"]]
    assert paths(service)[1:] == [f"/v1/conversations/{await agent.conversation_id(ctx)}"] * 2


@pytest.mark.parametrize("memory", list(MEMORIES))
async def test_a_run_that_waits_is_saved_and_decided_later(
    make_llm: Any, service: Any, scripted: Any, memory: str
) -> None:
    scripted.script(call("generate_image", {"prompt": "a tree"}), say("Done."), say("A tree."))
    llm = make_llm(tools=[ImageGeneration(requires_confirmation=True)])
    agent, kept = MistralWorkflowAgent(llm=llm), MEMORIES[memory](llm)
    ctx = Context(agent)
    handler = agent.run(user_msg="Draw a tree", ctx=ctx, memory=kept)
    async for event in handler.stream_events():
        if isinstance(event, ConfirmationRequest):
            saved = json.loads(json.dumps(handler.ctx.to_dict()))
            break
    await handler.cancel_run()
    restored = Context.from_dict(agent, saved)
    later = agent.run(ctx=restored)
    later.ctx.send_event(HumanResponseEvent(allow=True))
    assert str(await later) == "Done."
    assert [body.get("tool_confirmations", [{}])[0].get("confirmation") for _, body in service.turns] == [None, "allow"]
    assert (await run(agent, "What was it?", ctx=restored, memory=kept))[0] == "A tree."
    assert sent(service)[-1] == ["What was it?"]


@pytest.mark.parametrize("saved", [False, True], ids=["live", "saved"])
@pytest.mark.parametrize("memory", ["none", "buffer"])
async def test_the_next_run_goes_on_after_a_handoff(
    llm: Any, service: Any, scripted: Any, memory: str, saved: bool
) -> None:
    scripted.script(
        call("handoff", {"to_agent": "writer", "reason": "Words."}),
        say("A poem."),
        say("Another."),
        call("handoff", {"to_agent": "desk", "reason": "Done."}),
        say("Welcome back."),
        say("Bye."),
    )
    desk = MistralWorkflowAgent(llm=llm, name="desk", description="Answers.", can_handoff_to=["writer"])
    writer = MistralWorkflowAgent(llm=llm, name="writer", description="Writes.", can_handoff_to=["desk"])
    workflow, kept = AgentWorkflow(agents=[desk, writer], root_agent="desk"), MEMORIES[memory](llm)
    ctx, answers = Context(workflow), []
    for question in ("A poem, please", "One more", "Back to the desk", "Thanks"):
        answers.append((await run(workflow, question, ctx=ctx, memory=kept))[0])
        if saved:
            ctx = Context.from_dict(workflow, json.loads(json.dumps(ctx.to_dict())))
    assert answers == ["A poem.", "Another.", "Welcome back.", "Bye."]
    at_desk, at_writer = await desk.conversation_id(ctx), await writer.conversation_id(ctx)
    ways = [path.rsplit("/", 1)[-1] for path in paths(service)]
    assert ways == ["conversations", "conversations", at_writer, at_writer, at_desk, at_desk]
    assert sent(service)[2] == ["One more"]
    assert sent(service)[-1] == ["Thanks"]
    kinds = [entry["type"] for entry in service.turns[4][1]["inputs"]]
    assert kinds[0] == "function.result"  # of the call with which the desk handed over
    assert kinds[-3:] == ["message.input", "function.call", "function.result"]


async def test_agents_that_hand_over_share_a_conversation_memory(llm: Any, service: Any, scripted: Any) -> None:
    scripted.script(
        call("handoff", {"to_agent": "writer", "reason": "Words."}),
        say("A poem."),
        say("Another."),
        call("handoff", {"to_agent": "desk", "reason": "Done."}),
        say("Welcome back."),
        say("Bye."),
    )
    desk = MistralWorkflowAgent(llm=llm, name="desk", description="Answers.", can_handoff_to=["writer"])
    writer = MistralWorkflowAgent(llm=llm, name="writer", description="Writes.", can_handoff_to=["desk"])
    workflow, memory = (
        AgentWorkflow(agents=[desk, writer], root_agent="desk"),
        MistralConversationMemory(client=llm.client),
    )
    ctx, questions = Context(workflow), ["A poem, please", "One more", "Back to the desk", "Thanks"]
    answers = [(await run(workflow, question, ctx=ctx, memory=memory))[0] for question in questions]
    assert answers == ["A poem.", "Another.", "Welcome back.", "Bye."]
    # The agents offer different handoffs, so the memory moves to a conversation with the whole history each time.
    assert [len(texts) for texts in sent(service)] == [1, 3, 1, 1, 9, 1]
    assert [message.content for message in memory.get_all() if message.role == "user"] == questions
    assert memory.unsaved == []


@pytest.mark.parametrize("memory", ["none", "buffer"])
async def test_an_agent_goes_on_when_a_function_agent_hands_back(
    llm: Any, service: Any, scripted: Any, memory: str
) -> None:
    scripted.script(
        call("handoff", {"to_agent": "clerk", "reason": "Work."}),
        say("Done."),
        call("handoff", {"to_agent": "desk", "reason": "Done."}),
        say("Welcome back."),
    )
    desk = MistralWorkflowAgent(llm=llm, name="desk", description="Answers.", can_handoff_to=["clerk"])
    clerk = FunctionAgent(llm=llm, name="clerk", description="Works.", can_handoff_to=["desk"])
    workflow, kept = AgentWorkflow(agents=[desk, clerk], root_agent="desk"), MEMORIES[memory](llm)
    ctx = Context(workflow)
    assert (await run(workflow, "Work, please", ctx=ctx, memory=kept))[0] == "Done."
    assert (await run(workflow, "Back to the desk", ctx=ctx, memory=kept))[0] == "Welcome back."
    assert paths(service)[-1] == f"/v1/conversations/{await desk.conversation_id(ctx)}"


@pytest.mark.parametrize("memory", list(MEMORIES))
async def test_a_decision_that_arrived_before_the_end_of_a_process_is_not_lost(
    make_llm: Any, service: Any, scripted: Any, memory: str
) -> None:
    scripted.script(call("generate_image", {"prompt": "a tree"}), say("Done."), say("A tree."))
    llm = make_llm(tools=[ImageGeneration(requires_confirmation=True)])
    agent, kept = MistralWorkflowAgent(llm=llm), MEMORIES[memory](llm)
    handler = agent.run(user_msg="Draw a tree", ctx=Context(agent), memory=kept)
    async for event in handler.stream_events():
        if isinstance(event, ConfirmationRequest):
            saved = json.dumps(handler.ctx.to_dict())
            break
    await handler.cancel_run()
    for _ in range(2):  # the first time the answer comes, and the process ends before it is saved again
        ctx = Context.from_dict(agent, json.loads(saved))
        later = agent.run(ctx=ctx)
        later.ctx.send_event(HumanResponseEvent(allow=True))
        assert str(await later) == "Done."
    assert (await run(agent, "What was it?", ctx=ctx, memory=kept))[0] == "A tree."
    assert sent(service)[-1] == ["What was it?"]
    assert len(scripted.requests) == 3


async def ask_user(ctx: Context) -> str:
    """Ask the user."""
    asked = InputRequiredEvent(prefix="Sure?")
    response = await ctx.wait_for_event(HumanResponseEvent, waiter_id="sure", waiter_event=asked)
    return str(response.response)


ask_user.__annotations__["ctx"] = Context  # LlamaIndex looks for the class, not for its name


@pytest.mark.parametrize("kind", [FunctionAgent, MistralWorkflowAgent])
async def test_a_function_that_waits_is_saved_with_the_memory(llm: Any, service: Any, scripted: Any, kind: Any) -> None:
    scripted.script(call("ask_user", {}), say("Fine."), say("You were."))
    agent, memory = kind(llm=llm, tools=[ask_user]), MistralConversationMemory(client=llm.client)
    handler = agent.run(user_msg="Do it", ctx=Context(agent), memory=memory)
    saved = None
    async for event in handler.stream_events():
        if isinstance(event, InputRequiredEvent):
            saved = json.loads(json.dumps(handler.ctx.to_dict()))
            break
    if saved is None:
        pytest.skip("this release of llama-index-core takes the wait of a function for a failure")
    await handler.cancel_run()
    ctx = Context.from_dict(agent, saved)
    later = agent.run(ctx=ctx)
    later.ctx.send_event(HumanResponseEvent(response="yes"))
    assert str(await later) == "Fine."
    assert (await run(agent, "Was I sure?", ctx=ctx))[0] == "You were."
    assert sent(service) == [["Do it"], ["yes"], ["Was I sure?"]]


OTHER_PROCESS = """
import asyncio, json, sys
from llama_index.core.workflow import Context, HumanResponseEvent, InputRequiredEvent
from workflows.errors import WorkflowCancelledByUser
from llama_index_mistral_agents import MistralAgentLLM, MistralWorkflowAgent
from mistral_agents.tools import ImageGeneration

async def main():
    llm = MistralAgentLLM("mistral-medium-latest", tools=[ImageGeneration(requires_confirmation=True)])
    agent = MistralWorkflowAgent(llm=llm)
    ctx = Context.from_dict(agent, json.load(sys.stdin))
    handler = agent.run(ctx=ctx)
    handler.ctx.send_event(HumanResponseEvent(allow=True))
    first = str(await handler)
    print(json.dumps([first, str(await agent.run("What was it?", ctx=ctx)), await agent.conversation_id(ctx)]))

asyncio.run(main())
"""


@pytest.mark.parametrize("memory", ["none", "conversation"])
async def test_another_process_decides_and_goes_on(make_llm: Any, service: Any, scripted: Any, memory: str) -> None:
    scripted.script(call("generate_image", {"prompt": "a tree"}), say("Done."), say("A tree."))
    llm = make_llm(tools=[ImageGeneration(requires_confirmation=True)])
    agent = MistralWorkflowAgent(llm=llm)
    handler = agent.run(user_msg="Draw a tree", ctx=Context(agent), memory=MEMORIES[memory](llm))
    async for event in handler.stream_events():
        if isinstance(event, ConfirmationRequest):
            saved = json.dumps(handler.ctx.to_dict())
            break
    await handler.cancel_run()
    environment = {**os.environ, "MISTRAL_API_KEY": "test-key", "MISTRAL_BASE_URL": service.base_url}
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning:llama_index_mistral_agents", "-c", OTHER_PROCESS],
        input=saved,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    first, second, conversation_id = json.loads(done.stdout)
    assert (first, second) == ("Done.", "A tree.")
    assert paths(service)[1:] == [f"/v1/conversations/{conversation_id}"] * 2
    assert sent(service)[-1] == ["What was it?"]


# runs that were cancelled -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize("place", ["function", "turn", "beginning"])
@pytest.mark.parametrize("begun", [True, False])
async def test_the_next_run_goes_on_right_after_one_was_cancelled(
    llm: Any, service: Any, scripted: Any, memory: str, place: str, begun: bool
) -> None:
    reached, released = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    async def look(place: str) -> str:
        """Look somewhere."""
        reached.set()
        await asyncio.Event().wait()
        return place

    def linger(_: Any) -> Any:
        loop.call_soon_threadsafe(reached.set)
        released.wait(20)
        return say("Too late.")

    steps = {"function": [call("look", {"place": "here"})], "turn": [linger], "beginning": []}
    scripted.script(*([say("First.")] if begun else []), *steps[place], say("Third."), say("Fourth."))
    agent = MistralWorkflowAgent(llm=llm, tools=[look])
    ctx, kept = Context(agent), MEMORIES[memory](llm)
    given = {"ctx": ctx, **({"memory": kept} if kept is not None else {})}
    if begun:
        assert (await run(agent, "one", **given))[0] == "First."
    handler = agent.run(user_msg="two", **given)
    if place != "beginning":
        await reached.wait()
    await handler.cancel_run()
    with pytest.raises(WorkflowCancelledByUser):
        await handler
    released.set()
    assert (await run(agent, "three", **given))[0] == "Third."
    assert (await run(agent, "four", **given))[0] == "Fourth."
    assert sent(service)[-1] == ["four"]
    assert paths(service)[-1].endswith(str(await agent.conversation_id(ctx)))
    if begun:
        assert set(paths(service)[1:]) == {paths(service)[-1]}
