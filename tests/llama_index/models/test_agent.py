"""The workflow agent: what it sends, what it streams, what it remembers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from llama_index.core.agent.workflow import AgentWorkflow, BaseWorkflowAgent
from llama_index.core.agent.workflow.workflow_events import AgentOutput, AgentStream, ToolCall, ToolCallResult
from llama_index.core.llms import ChatMessage, MockLLM
from llama_index.core.memory import ChatMemoryBuffer, Memory
from llama_index.core.tools import FunctionTool
from llama_index.core.workflow import Context, HumanResponseEvent
from pydantic import BaseModel

from llama_index_mistral_agents import MistralAgentLLM, MistralWorkflowAgent
from llama_index_mistral_agents.agent_events import (
    ConfirmationRequest,
    ConversationReset,
    ServerHandoff,
    ServerToolCall,
    ServerToolResult,
)
from mistral_agents import MistralAgents, WebSearch
from mistral_agents._border.turns import HEADS
from mistral_agents.errors import ConfigurationError, MistralAgentsError
from mistral_agents.tools import ImageGeneration
from tests.support.scripted import call, calls, say


def multiply(a: int, b: int) -> int:
    """Multiply two numbers."""
    return a * b


START = "I am Ada."
SIX_BY_SEVEN = call("multiply", {"a": 6, "b": 7})


@pytest.fixture
def make_agent(make_llm: Any) -> Callable[..., MistralWorkflowAgent]:
    def make(**settings: Any) -> MistralWorkflowAgent:
        model = settings.pop("llm", None)
        return MistralWorkflowAgent(llm=model if model is not None else make_llm(), **settings)

    return make


async def run(agent: Any, text: str, **given: Any) -> tuple[str, list[Any]]:
    """The answer and the events of a run."""
    handler = agent.run(user_msg=text, **given)
    events = [event async for event in handler.stream_events()]
    return str(await handler), events


def kept(events: list[Any], kind: type) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def sent(service: Any) -> list[list[str]]:
    """What each turn sent: contents and results."""
    return [
        [_said(entry) for entry in body.get("inputs", [])] for _, body in service.turns if body.get("inputs") != START
    ]


def _said(entry: Any) -> str:
    return str(entry.get("content", entry.get("result", entry.get("name"))))


def test_it_is_a_workflow_agent(make_agent: Any, service: Any) -> None:
    assert isinstance(make_agent(), BaseWorkflowAgent)
    with pytest.raises(ConfigurationError, match="FunctionAgent"):
        MistralWorkflowAgent(llm=MockLLM())
    assert service.faults.requests == []


async def test_a_model_that_is_set_later_answers(make_agent: Any, llm: Any, service: Any, scripted: Any) -> None:
    scripted.always(say("Fine."))
    agent = make_agent()
    agent.llm = llm.model_copy(update={"model": "another-model"})
    await run(agent, "one")
    assert scripted.requests[-1]["model"] == "another-model"
    assert service.turns[-1][1]["store"] is True
    assert agent.llm.store is False, "what is asked beside the conversation keeps nothing"
    with pytest.raises(ConfigurationError, match="FunctionAgent"):
        agent.llm = MockLLM()


def test_hosted_tools_among_the_functions_are_refused_with_their_place(make_agent: Any, service: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"MistralAgentLLM\(tools="):
        make_agent(tools=[WebSearch()])
    with pytest.raises(ConfigurationError, match="hosted_tools"):
        MistralWorkflowAgent.from_new(model="m", name="n", client=MistralAgents(api_key="k"), tools=[WebSearch()])
    assert service.faults.requests == []


@pytest.mark.parametrize("streaming", [True, False])
async def test_functions_run_here_and_results_go_there(
    make_agent: Any, service: Any, scripted: Any, streaming: bool
) -> None:
    scripted.script(calls(SIX_BY_SEVEN, call("multiply", {"a": 2, "b": 3})), say("42 and 6."))
    agent = make_agent(tools=[multiply], system_prompt="Be exact.", streaming=streaming)
    answer, events = await run(agent, "6*7 and 2*3?")
    assert answer == "42 and 6."
    assert [event.tool_kwargs for event in kept(events, ToolCall)] == [{"a": 6, "b": 7}, {"a": 2, "b": 3}]
    assert sorted(event.tool_output.content for event in kept(events, ToolCallResult)) == ["42", "6"]
    assert len(service.turns) == 2
    (_, first), (path, second) = service.turns
    assert (first["instructions"], first["store"]) == ("Be exact.", True)
    assert path.startswith("/v1/conversations/conv_")
    assert sorted(sent(service)[1]) == ["42", "6"]
    assert "tools" not in second
    deltas = "".join(event.delta for event in kept(events, AgentStream))
    assert deltas == (answer if streaming else "")


async def test_a_context_continues_and_a_new_one_starts_anew(make_agent: Any, service: Any, scripted: Any) -> None:
    scripted.always(say("Fine."))
    agent = make_agent()
    ctx = Context(agent)
    await run(agent, "one", ctx=ctx)
    await run(agent, "two", ctx=ctx)
    await run(agent, "other")
    assert sent(service) == [["one"], ["two"], ["other"]]
    paths = [path for path, _ in service.turns]
    assert paths == ["/v1/conversations", f"/v1/conversations/{await agent.conversation_id(ctx)}", "/v1/conversations"]


@pytest.mark.parametrize("memory", ["given", "lost"])
async def test_the_state_survives_save_and_restore(make_agent: Any, service: Any, scripted: Any, memory: str) -> None:
    scripted.script(SIX_BY_SEVEN, say("42."), say("You asked for 6 times 7."))
    agent = make_agent(tools=[multiply])
    kept_memory = ChatMemoryBuffer.from_defaults() if memory == "given" else None
    ctx = Context(agent)
    await run(agent, "6*7?", ctx=ctx, memory=kept_memory)
    saved = json.loads(json.dumps(ctx.to_dict()))
    restored = Context.from_dict(agent, saved)
    answer, events = await run(agent, "What did I ask?", ctx=restored, memory=kept_memory)
    assert answer == "You asked for 6 times 7."
    assert kept(events, ConversationReset) == []
    assert sent(service)[-1] == ["What did I ask?"]
    assert service.turns[-1][0].endswith(str(await agent.conversation_id(ctx)))


@pytest.mark.parametrize("kind", [ChatMemoryBuffer, Memory])
async def test_the_memory_gets_all_messages(make_agent: Any, scripted: Any, kind: Any) -> None:
    scripted.script(SIX_BY_SEVEN, say("42."), say("Yes."))
    agent, memory = make_agent(tools=[multiply]), kind.from_defaults()
    ctx = Context(agent)
    await run(agent, "6*7?", memory=memory, ctx=ctx)
    _, events = await run(agent, "Sure?", memory=memory, ctx=ctx)
    assert kept(events, ConversationReset) == []
    # Some releases of llama-index-core go on with the context's own copy of the memory.
    held = await ctx.store.get("memory", default=memory)
    roles = [message.role.value for message in await held.aget_all()]
    assert roles == ["user", "assistant", "tool", "assistant", "user", "assistant"]


async def test_an_edited_memory_starts_a_new_conversation(make_agent: Any, service: Any, scripted: Any) -> None:
    scripted.always(say("Fine."))
    agent, memory = make_agent(), ChatMemoryBuffer.from_defaults()
    ctx = Context(agent)
    await run(agent, "My name is Ada.", memory=memory, ctx=ctx)
    left = await agent.conversation_id(ctx)
    await memory.aset(
        [ChatMessage(role="user", content="My name is Bob."), ChatMessage(role="assistant", content="Hi.")]
    )
    _, events = await run(agent, "Who am I?", memory=memory, ctx=ctx)
    [reset] = kept(events, ConversationReset)
    assert (reset.conversation_id, reset.reason) == (left, "memory")
    assert service.turns[-1][0] == "/v1/conversations"
    assert sent(service)[-1] == ["My name is Bob.", "Hi.", "Who am I?"]
    assert await agent.conversation_id(ctx) != left


@pytest.mark.parametrize("memory", ["given", "lost"])
async def test_other_tools_start_a_new_conversation(make_agent: Any, service: Any, scripted: Any, memory: str) -> None:
    scripted.always(say("Fine."))
    agent = make_agent()
    ctx, kept_memory = Context(agent), ChatMemoryBuffer.from_defaults() if memory == "given" else None
    await run(agent, "one", ctx=ctx, memory=kept_memory)
    agent.tools = [FunctionTool.from_defaults(multiply)]
    _, events = await run(agent, "two", ctx=ctx, memory=kept_memory)
    assert [event.reason for event in kept(events, ConversationReset)] == ["tools"]
    assert service.turns[-1][1]["tools"][0]["function"]["name"] == "multiply"
    assert sent(service)[-1] == ["one", "Fine.", "two"]


@pytest.mark.parametrize("streaming", [True, False])
async def test_hosted_tools_are_events(make_agent: Any, make_llm: Any, scripted: Any, streaming: bool) -> None:
    scripted.script(call("generate_image", {"prompt": "a tree"}), say("Here."))
    agent = make_agent(llm=make_llm(tools=[ImageGeneration()]), streaming=streaming)
    answer, events = await run(agent, "Draw a tree")
    assert answer == "Here."
    [result] = kept(events, ServerToolResult)
    assert (result.tool_name, result.server_side) == ("image_generation", True)
    assert [event.tool_name for event in kept(events, ServerToolCall)] == ["image_generation"] * streaming


@pytest.mark.parametrize("allow", [True, False])
async def test_a_human_confirms(make_agent: Any, make_llm: Any, service: Any, scripted: Any, allow: bool) -> None:
    scripted.script(call("generate_image", {"prompt": "a tree"}), say("Done."))
    agent = make_agent(llm=make_llm(tools=[ImageGeneration(requires_confirmation=True)]))
    handler = agent.run(user_msg="Draw a tree")
    events = []
    async for event in handler.stream_events():
        events.append(event)
        if isinstance(event, ConfirmationRequest):
            assert event.calls[0]["function"]["name"] == "generate_image"
            handler.ctx.send_event(HumanResponseEvent(allow=allow))
    assert str(await handler) == "Done."
    assert len(kept(events, ConfirmationRequest)) == 1
    assert len(kept(events, ServerToolResult)) == int(allow)
    assert [body["tool_confirmations"][0]["confirmation"] for _, body in service.turns[1:]] == [
        "allow" if allow else "deny"
    ]


async def test_a_server_agent_from_new_runs_functions(make_llm: Any, service: Any, scripted: Any) -> None:
    scripted.script(SIX_BY_SEVEN, say("42."))
    agent = MistralWorkflowAgent.from_new(
        model="mistral-medium-latest", name="sums", client=make_llm().client, instructions="Be exact.", tools=[multiply]
    )
    assert (await run(agent, "6*7?"))[0] == "42."
    first = service.turns[0][1]
    assert first["agent_id"] == agent.agent_id
    assert "tools" not in first
    changes = [seen.path for seen in service.faults.requests if seen.method == "PATCH"]
    assert changes == []


async def test_an_existing_agent_must_declare_the_functions(make_llm: Any, service: Any, scripted: Any) -> None:
    scripted.always(say("Ahoy."))
    client = make_llm().client
    found = client.agents.create(model="mistral-medium-latest", name="pirate")
    settings = {"client": client}
    agent = MistralWorkflowAgent.from_existing(found.id, llm_settings=settings)
    assert (await run(agent, "Hi"))[0] == "Ahoy."
    with_tools = MistralWorkflowAgent.from_existing(found.id, llm_settings=settings, tools=[multiply])
    with pytest.raises(ConfigurationError, match="multiply"):
        await with_tools.run(user_msg="6*7?")


async def test_a_handoff_on_the_service_is_seen(make_agent: Any, make_llm: Any, scripted: Any) -> None:
    agents = make_llm().client.agents
    second = agents.create(model="mistral-medium-latest", name="second", description="Knows the rest.")
    first = agents.create(model="mistral-medium-latest", name="first", handoffs=[second.id])

    def hand_over(body: Any) -> Any:
        return call(next(t["function"]["name"] for t in body["tools"] if "second" in json.dumps(t)), {})

    scripted.script(hand_over, say("I am the second."))
    answer, events = await run(make_agent(llm=make_llm(agent_id=first.id)), "Hi")
    assert answer == "I am the second."
    assert [event.handoff["next_agent_id"] for event in kept(events, ServerHandoff)] == [second.id]


async def test_agents_hand_over_in_an_agent_workflow(make_agent: Any, service: Any, scripted: Any) -> None:
    scripted.script(
        call("handoff", {"to_agent": "writer", "reason": "It is about words."}),
        say("A poem."),
        say("Another poem."),
    )
    desk = make_agent(name="desk", description="Answers the phone.", can_handoff_to=["writer"])
    writer = make_agent(name="writer", description="Writes.", can_handoff_to=["desk"])
    workflow = AgentWorkflow(agents=[desk, writer], root_agent="desk")
    ctx = Context(workflow)
    assert (await run(workflow, "A poem, please", ctx=ctx))[0] == "A poem."
    assert (await run(workflow, "One more", ctx=ctx))[0] == "Another poem."
    first, second, third = (path for path, _ in service.turns)
    assert first == second == "/v1/conversations"
    assert third.startswith("/v1/conversations/conv_")
    assert sent(service)[2] == ["One more"]


async def test_a_direct_result_is_told_to_the_service_later(make_agent: Any, service: Any, scripted: Any) -> None:
    scripted.script(SIX_BY_SEVEN, say("You are welcome."))
    agent = make_agent(tools=[FunctionTool.from_defaults(multiply, return_direct=True)])
    ctx = Context(agent)
    assert (await run(agent, "6*7?", ctx=ctx))[0] == "42"
    assert (await run(agent, "Thanks", ctx=ctx))[0] == "You are welcome."
    assert sent(service)[-1] == ["42", "Thanks"]


async def test_a_function_that_fails_gives_no_direct_result(make_agent: Any, service: Any, scripted: Any) -> None:
    def sell(item: str) -> str:
        """Sell it."""
        if item == "none":
            raise RuntimeError("sold out")
        return f"{item} sold"

    scripted.script(
        call("sell", {"item": "none"}),
        calls(call("sell", {"item": "none"}), call("sell", {"item": "tea"})),
    )
    agent = make_agent(tools=[FunctionTool.from_defaults(sell, return_direct=True)])
    memory = ChatMemoryBuffer.from_defaults()
    assert (await run(agent, "Sell!", memory=memory))[0] == "tea sold"
    said = [message.content for message in memory.get_all() if message.role == "assistant" and message.content]
    assert said == ["tea sold"]


async def test_a_failing_function_is_answered(make_agent: Any, service: Any, scripted: Any) -> None:
    def fails() -> str:
        """Always fails."""
        raise RuntimeError("out of paper")

    scripted.script(calls(call("fails"), call("unknown")), say("Sorry."))
    assert (await run(make_agent(tools=[fails]), "Print"))[0] == "Sorry."
    results = sent(service)[1]
    assert any("out of paper" in result for result in results)
    assert any("not found" in result for result in results)


async def test_an_error_is_raised_and_the_conversation_goes_on(make_agent: Any, service: Any, scripted: Any) -> None:
    scripted.script(say("One."), say("Two."))
    agent = make_agent()
    ctx = Context(agent)
    await run(agent, "one", ctx=ctx)
    service.faults.answer(422, {"detail": "no"})
    with pytest.raises(MistralAgentsError):
        await agent.run(user_msg="lost", ctx=ctx)
    restored = Context.from_dict(agent, ctx.to_dict())
    assert (await run(agent, "again", ctx=restored))[0] == "Two."
    assert sent(service)[-1][-1] == "again"


async def test_a_turn_that_was_applied_but_not_seen_is_not_sent_again(
    make_agent: Any, service: Any, scripted: Any
) -> None:
    scripted.script(say("One."), say("Two."), say("Three."))
    agent, memory = make_agent(), ChatMemoryBuffer.from_defaults()
    ctx = Context(agent)
    await run(agent, "one", ctx=ctx, memory=memory)
    service.faults.drop_after(method="POST")
    service.faults.answer(500, method="GET", path="/history", times=3)
    with pytest.raises(MistralAgentsError):
        await agent.run(user_msg="two", ctx=ctx, memory=memory)
    restored = Context.from_dict(agent, ctx.to_dict())
    assert (await run(agent, "three", ctx=restored, memory=memory))[0] == "Three."
    assert sent(service) == [["one"], ["two"], ["three"]]
    assert len({path for path, _ in service.turns[1:]}) == 1


async def test_too_many_steps_end(make_agent: Any, scripted: Any) -> None:
    scripted.always(SIX_BY_SEVEN)
    agent = make_agent(tools=[multiply])
    with pytest.raises(Exception, match="Max iterations"):
        await agent.run(user_msg="6*7?", max_iterations=3)


async def test_a_state_in_the_prompt_is_no_edit(make_agent: Any, service: Any, scripted: Any) -> None:
    scripted.always(say("Fine."))
    agent, memory = make_agent(initial_state={"mood": "calm"}), Memory.from_defaults()
    ctx = Context(agent)
    for text in ("one", "two", "three"):
        _, events = await run(agent, text, ctx=ctx, memory=memory)
        assert kept(events, ConversationReset) == []
    assert [len(inputs) for inputs in sent(service)] == [1, 1, 1]
    assert "calm" in sent(service)[1][0]


class City(BaseModel):
    """A city."""

    name: str


async def test_structured_output_is_asked_beside_the_conversation(make_agent: Any, service: Any, scripted: Any) -> None:
    scripted.script(say("It is Paris."), say('{"name": "Paris"}'))
    agent = make_agent(output_cls=City)
    output: AgentOutput = await agent.run(user_msg="Biggest city of France?")
    assert output.structured_response == {"name": "Paris"}
    assert [body["store"] for _, body in service.turns] == [True, False]


async def test_a_first_run_goes_on_with_a_conversation(
    make_agent: Any, make_llm: Any, service: Any, scripted: Any
) -> None:
    scripted.script(say("Noted."), say("Ada."))
    llm: MistralAgentLLM = make_llm()
    started = llm.client.conversations.start(START, model="mistral-medium-latest", store=True)
    agent = make_agent(llm=llm.bind(started.conversation_id))
    assert (await run(agent, "Who am I?"))[0] == "Ada."
    assert service.turns[-1][0].endswith(str(started.conversation_id))
    assert sent(service)[-1] == ["Who am I?"]


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("kept", ["context", "context in another process"])
async def test_a_run_again_after_a_lost_reply_finds_the_paid_answer(
    make_agent: Any, make_llm: Any, service: Any, scripted: Any, streaming: bool, kept: str
) -> None:
    scripted.script(say("Hello."), say("Bought."), say("You are welcome."))
    agent = make_agent(streaming=streaming, llm=make_llm(max_retries=0))
    ctx = Context(agent)
    await run(agent, "Hi", ctx=ctx)
    service.faults.cut_stream(2, method="POST", path="/v1/conversations")
    service.faults.answer(500, method="GET", path="/history")
    with pytest.raises(MistralAgentsError):
        await run(agent, "BUY", ctx=ctx)
    if kept != "context":
        HEADS.__init__()  # type: ignore[misc]
        ctx = Context.from_dict(agent, ctx.to_dict())
    assert (await run(agent, "BUY", ctx=ctx))[0] == "Bought."
    assert (await run(agent, "Thanks", ctx=ctx))[0] == "You are welcome."
    entries = agent._turns.client.conversations.get_history(await agent.conversation_id(ctx)).entries
    assert [entry.text for entry in entries if entry.type == "message.input"] == ["Hi", "BUY", "Thanks"]
