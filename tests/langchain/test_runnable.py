"""`MistralAgentRunnable` against a stand-in whose model follows a script."""

from __future__ import annotations

import asyncio
import copy
import operator
import pickle
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial, reduce
from typing import Annotated, Any, cast

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage, message_chunk_to_message
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import InjectedToolArg, InjectedToolCallId, tool
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import InjectedState, ToolRuntime
from langgraph.types import Command

from langchain_mistral_agents import ChatMistralAgent, MistralAgentRunnable
from mistral_agents import CodeInterpreter, Conversation, MistralAgents, WebSearch
from mistral_agents._conversation.lock import lock_of
from mistral_agents.errors import ConfigurationError, ToolBudgetExceededError
from tests.support.running import Standin
from tests.support.scripted import ScriptedModel, call, calls, say


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def fail(reason: str) -> str:
    """Fail."""
    raise RuntimeError(reason)


@pytest.fixture
def service(scripted: ScriptedModel, standin_factory: Callable[..., Standin]) -> MistralAgents:
    standin = standin_factory(model_url=scripted.url)
    return MistralAgents(api_key="test-key", base_url=standin.base_url)


@pytest.fixture
def agent(service: MistralAgents) -> MistralAgentRunnable:
    return MistralAgentRunnable.create_agent(client=service, model="m", name="helper", tools=[add, fail])


def thread(name: str) -> Any:
    return {"configurable": {"thread_id": name}}


@pytest.mark.parametrize(
    "given",
    [
        "Hello",
        {"input": "Hello"},
        {"messages": [HumanMessage("Hello")]},
        [("human", "Hello")],
        HumanMessage("Hello"),
        {"role": "user", "content": "Hello"},
        ChatPromptTemplate.from_messages([("human", "{word}")]).invoke({"word": "Hello"}),
    ],
)
def test_every_form_of_input(agent: MistralAgentRunnable, scripted: ScriptedModel, given: Any) -> None:
    scripted.script(say("Hi"))
    answer = agent.invoke(given)
    assert isinstance(answer, AIMessage)
    assert answer.text == "Hi"
    assert scripted.requests[0]["messages"][-1]["content"] == "Hello"


@pytest.mark.parametrize("kind", [MistralAgentRunnable, ChatMistralAgent])
def test_a_key_that_is_set_later_is_not_shown(kind: Any) -> None:
    made = kind(agent_id="ag_1", api_key="first-key")
    made.api_key = "second-key"
    for one in (made, made.model_copy(update={"api_key": "third-key"})):
        assert "-key" not in f"{one!r} {one}"


def test_a_copy_and_a_changed_setting_ask_whom_they_say(
    agent: MistralAgentRunnable, service: MistralAgents, scripted: ScriptedModel
) -> None:
    """A copy for another agent must not be answered by this one."""
    scripted.always(say("Hi"))
    made = MistralAgentRunnable.create_agent(client=service, model="other-model", name="other", tools=[add, fail])
    other = made.agent_id

    def asked(runnable: MistralAgentRunnable) -> str:
        runnable.invoke("Hello")
        return str(scripted.requests[-1]["model"])

    assert asked(agent.model_copy(update={"agent_id": other})) == "other-model"
    assert asked(agent) == "m"
    inner = agent.model
    assert agent.model_copy(update={"max_rounds": 3}).model is inner
    agent.agent_id = other
    assert asked(agent) == "other-model"


def test_a_dict_without_messages_is_refused(agent: MistralAgentRunnable) -> None:
    with pytest.raises(ConfigurationError, match="messages"):
        agent.invoke({"question": "Hello"})


@pytest.mark.parametrize("given", [None, 5, b"Hello", {"Hello"}], ids=["nothing", "number", "bytes", "set"])
def test_what_is_no_input_is_refused(agent: MistralAgentRunnable, given: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"messages or a prompt, not {type(given).__name__}"):
        agent.invoke(given)


def test_what_stands_beside_an_input_is_named(agent: MistralAgentRunnable, scripted: ScriptedModel) -> None:
    scripted.always(say("Hello."))
    with pytest.warns(UserWarning, match="only input is read, not chat_history, context"):
        agent.invoke({"input": "Hello", "chat_history": [("human", "I am Ada.")], "context": "x"})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        agent.invoke({"messages": "Hello", "todos": []})


def test_functions_run_here_and_failures_go_back(agent: MistralAgentRunnable, scripted: ScriptedModel) -> None:
    scripted.script(calls(call("add", {"a": 2, "b": 3}), call("fail", {"reason": "no"})), say("Done"))
    answer = agent.invoke("Add and fail")
    assert answer.text == "Done"
    results = [m["content"] for m in scripted.requests[1]["messages"] if m["role"] == "tool"]
    assert sorted(results) == ["5", "Error: RuntimeError: no"]


async def test_the_same_without_blocking(agent: MistralAgentRunnable, scripted: ScriptedModel) -> None:
    scripted.script(call("add", {"a": 2, "b": 3}), say("It is 5"))
    answer = await agent.ainvoke("Add")
    assert answer.text == "It is 5"
    await agent.model.mistral.aclose()


def test_functions_of_one_turn_run_at_once(service: MistralAgents, scripted: ScriptedModel) -> None:
    together = threading.Barrier(2, timeout=30)

    def meet(name: str) -> str:
        """Wait for the other one."""
        together.wait()
        return name

    agent = MistralAgentRunnable.create_agent(client=service, model="m", name="pair", tools=[meet])
    scripted.script(calls(call("meet", {"name": "a"}), call("meet", {"name": "b"})), say("Both"))
    assert agent.invoke("Meet").text == "Both"


async def _answer(runnable: MistralAgentRunnable, way: str) -> Any:
    if way == "call":
        return runnable.invoke("Go.")
    if way == "async call":
        return await runnable.ainvoke("Go.")
    if way == "stream":
        return list(runnable.stream("Go."))
    return [chunk async for chunk in runnable.astream("Go.")]


each_way = pytest.mark.parametrize("way", ["call", "async call", "stream", "async stream"])


@each_way
@pytest.mark.parametrize("form", ["message", "list", "command", "command with one"])
async def test_a_tools_own_message_answers_its_call(
    service: MistralAgents, scripted: ScriptedModel, form: str, way: str
) -> None:
    @tool
    def go(tool_call_id: Annotated[str, InjectedToolCallId]) -> Any:
        """Go."""
        message = ToolMessage("gone", tool_call_id=tool_call_id)
        alone, listed = Command(update={"messages": message}), Command(update={"messages": [message]})
        return {"message": message, "list": [message], "command": listed, "command with one": alone}[form]

    scripted.script(call("go", {}), say("Done."))
    runnable = MistralAgentRunnable.create_agent(client=service, model="m", name="goer", tools=[go])
    await _answer(runnable, way)
    assert scripted.requests[-1]["messages"][-1]["content"] == "gone"


@each_way
@pytest.mark.parametrize(
    "wish",
    [{"goto": "bob"}, {"update": {"seen": 1}}, {"update": {"messages": []}}, {"update": {"messages": None}}],
    ids=str,
)
async def test_what_only_a_graph_can_do_is_refused_and_not_told(
    service: MistralAgents, scripted: ScriptedModel, wish: dict[str, Any], way: str
) -> None:
    @tool
    def go() -> Any:
        """Go."""
        return Command(**wish)

    scripted.script(call("go", {}), say("Done."))
    runnable = MistralAgentRunnable.create_agent(client=service, model="m", name="goer", tools=[go])
    with pytest.raises(ConfigurationError, match="go gave a Command"):
        await _answer(runnable, way)
    assert len(scripted.requests) == 1


def test_a_message_for_another_call_is_not_called_a_command(service: MistralAgents, scripted: ScriptedModel) -> None:
    @tool
    def go() -> Any:
        """Go."""
        return ToolMessage("gone", tool_call_id="another")

    scripted.script(call("go", {}))
    runnable = MistralAgentRunnable.create_agent(client=service, model="m", name="goer", tools=[go])
    with pytest.raises(ConfigurationError, match=r"go gave messages \(no message for its call\)"):
        runnable.invoke("Go.")


def test_rounds_are_bounded(agent: MistralAgentRunnable, scripted: ScriptedModel) -> None:
    scripted.always(call("add", {"a": 1, "b": 1}))
    agent.max_rounds = 2
    with pytest.raises(ToolBudgetExceededError) as caught:
        agent.invoke("For ever")
    assert caught.value.conversation_id is not None
    assert len(scripted.requests) == 3


def test_calls_that_nobody_runs_here_are_returned(service: MistralAgents, scripted: ScriptedModel) -> None:
    made = MistralAgentRunnable.create_agent(client=service, model="m", name="helper", tools=[add])
    bare = MistralAgentRunnable(agent_id=made.agent_id, client=service)
    scripted.script(call("add", {"a": 1, "b": 1}))
    assert [c["name"] for c in bare.invoke("Add").tool_calls] == ["add"]


def test_a_thread_keeps_its_conversation(agent: MistralAgentRunnable, scripted: ScriptedModel) -> None:
    scripted.script(say("one"), say("two"), say("three"))
    first = agent.invoke("1", thread("ada"))
    second = agent.invoke("2", thread("ada"))
    other = agent.invoke("3")
    ids = [m.response_metadata["conversation_id"] for m in (first, second, other)]
    assert ids[0] == ids[1] != ids[2]
    said = [m["content"] for m in scripted.requests[1]["messages"] if m["role"] != "system"]
    assert said == ["1", "one", "2"]


def test_a_conversation_goes_on_by_its_id(agent: MistralAgentRunnable, scripted: ScriptedModel) -> None:
    scripted.script(say("one"), say("two"))
    first = agent.invoke("1").response_metadata["conversation_id"]
    second = agent.invoke("2", {"configurable": {"conversation_id": first}}).response_metadata["conversation_id"]
    assert first == second


def test_two_agents_do_not_share_a_thread(
    service: MistralAgents, agent: MistralAgentRunnable, scripted: ScriptedModel
) -> None:
    scripted.script(say("one"))
    agent.invoke("1", thread("ada"))
    other = MistralAgentRunnable.create_agent(client=service, model="m", name="other")
    other.conversations = agent.conversations
    with pytest.raises(ConfigurationError, match="ada"):
        other.invoke("2", thread("ada"))


class Noting(MistralAgentRunnable):
    """One of a user, with a field of its own."""

    note: str = "none"

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)


def test_a_subclass_may_have_fields_of_its_own(agent: MistralAgentRunnable, scripted: ScriptedModel) -> None:
    scripted.script(say("Hi"), say("Hi"))
    noting = Noting(agent_id=agent.agent_id, client=agent.client, note="mine")
    assert noting.invoke("Hello").text == "Hi"
    noting.note = "other"
    assert noting.model_copy(update={"note": "third"}).invoke("Hello").text == "Hi"


def test_the_turn_is_at_hand(agent: MistralAgentRunnable, scripted: ScriptedModel) -> None:
    scripted.script(say("Hi"))
    answer: Any = agent.invoke("Hello")
    assert answer.turn.text == "Hi"
    assert answer.turn.conversation_id == answer.response_metadata["conversation_id"]


@pytest.mark.parametrize("way", ["call", "async call"])
async def test_the_turn_is_that_of_the_whole_call(service: MistralAgents, scripted: ScriptedModel, way: str) -> None:
    """With what came before the functions, and without what models said that these asked themselves."""
    other = ChatMistralAgent(model="m", client=service)

    def consult(question: str) -> str:
        """Ask another model."""
        return str(other.invoke(question).text)

    runnable = MistralAgentRunnable.create_agent(client=service, model="m", name="asker", tools=[consult])
    asked = say("Let me ask.", calls=[call("consult", {"question": "1 + 2?"})])
    scripted.script(asked, say("Between us: 3."), say("It is 3."))
    answer: Any = runnable.invoke("1 + 2?") if way == "call" else await runnable.ainvoke("1 + 2?")
    assert answer.text == "It is 3."
    assert [message.text for message in answer.turn.messages] == ["Let me ask.", "It is 3."]
    assert answer.turn.usage.completion_tokens == 2 * answer.usage_metadata["output_tokens"]


@pytest.mark.parametrize("mode", ["values", "messages"])
@pytest.mark.parametrize("way", ["call", "async call"])
async def test_the_turn_is_at_hand_where_a_graph_streams(
    agent: MistralAgentRunnable, scripted: ScriptedModel, mode: Any, way: str
) -> None:
    found: list[Any] = []

    def ask(state: MessagesState, config: RunnableConfig) -> Any:
        found.append(agent.invoke(state["messages"], config))

    async def aask(state: MessagesState, config: RunnableConfig) -> Any:
        found.append(await agent.ainvoke(state["messages"], config))

    graph = StateGraph(MessagesState)
    graph.add_node("ask", ask if way == "call" else aask)
    graph.add_edge(START, "ask")
    scripted.script(say("Let me add.", calls=[call("add", {"a": 1, "b": 2})]), say("It is 3."))
    async for _ in graph.compile().astream({"messages": "1 + 2?"}, stream_mode=mode):
        pass
    assert [message.text for message in found[0].turn.messages] == ["Let me add.", "It is 3."]


def test_the_turn_does_not_disturb_checkpoints_and_comparisons(
    agent: MistralAgentRunnable, scripted: ScriptedModel
) -> None:
    scripted.script(say("Hi"))
    answer = agent.invoke("Hello")
    plain = AIMessage(**answer.model_dump(exclude={"type"}))
    assert "turn" not in plain.model_dump()
    assert answer == plain
    assert type(answer) is AIMessage
    serde = JsonPlusSerializer()
    assert serde.loads_typed(serde.dumps_typed(answer)) == plain
    for twin in (pickle.loads(pickle.dumps(answer)), copy.deepcopy(answer)):
        assert twin == answer


def test_streams_show_every_round(agent: MistralAgentRunnable, scripted: ScriptedModel) -> None:
    scripted.script(call("add", {"a": 2, "b": 3}), say("It is 5"))
    chunks = list(agent.stream("Add"))
    assert "".join(str(chunk.text) for chunk in chunks) == "It is 5"
    assert [chunk.chunk_position for chunk in chunks].count("last") == 2


async def test_streams_without_blocking(agent: MistralAgentRunnable, scripted: ScriptedModel) -> None:
    scripted.script(call("add", {"a": 2, "b": 3}), say("It is 5"))
    assert "".join([str(chunk.text) async for chunk in agent.astream("Add")]) == "It is 5"
    await agent.model.mistral.aclose()


def test_batch(agent: MistralAgentRunnable, scripted: ScriptedModel) -> None:
    scripted.always(say("ok"))
    answers = agent.batch(["a", "b", "c"])
    assert len({m.response_metadata["conversation_id"] for m in answers}) == 3
    with pytest.raises(ConfigurationError, match="batch"):
        agent.batch(["a", "b"], thread("ada"))


def test_retry_fallbacks_and_as_tool(agent: MistralAgentRunnable, scripted: ScriptedModel) -> None:
    scripted.always(say("ok"))
    assert agent.with_retry().invoke("a").text == "ok"
    assert agent.with_fallbacks([agent]).invoke("a").text == "ok"
    made = agent.as_tool(name="helper", description="Helps.", arg_types={"input": str})
    assert made.invoke({"input": "a"}) == "ok"


class Runs(BaseCallbackHandler):
    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []

    def on_tool_start(self, serialized: dict[str, Any], input_str: str, **kwargs: Any) -> None:
        self.seen.append(("start", serialized["name"]))

    def on_tool_end(self, output: Any, **kwargs: Any) -> None:
        self.seen.append(("end", output["code_output"].strip()))


def test_hosted_tools_are_runs_in_traces(scripted: ScriptedModel, standin_factory: Callable[..., Standin]) -> None:
    standin = standin_factory(model_url=scripted.url, allow_code=True)
    client = MistralAgents(api_key="test-key", base_url=standin.base_url)
    agent = MistralAgentRunnable.create_agent(
        client=client, model="m", name="coder", tools=[{"type": "code_interpreter"}]
    )
    scripted.script(call("code_interpreter", {"code": "print(6 * 7)"}), say("42"))
    runs = Runs()
    assert agent.invoke("Compute", {"callbacks": [runs]}).text == "42"
    assert runs.seen == [("start", "code_interpreter"), ("end", "42")]


@pytest.mark.parametrize("blocking", [True, False])
def test_many_first_calls_at_once_on_a_thread_make_one_conversation(
    standin_factory: Callable[..., Any], blocking: bool
) -> None:
    client = MistralAgents(api_key="k", base_url=standin_factory().base_url, max_retries=0)
    agent = MistralAgentRunnable(agent_id=client.agents.create(model="m", name="a").id, client=client)
    config: Any = {"configurable": {"thread_id": "ada"}}

    async def ask_all() -> list[AIMessage]:
        return list(await asyncio.gather(*(agent.ainvoke(f"number {n}", config) for n in range(16))))

    if blocking:
        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda n: agent.invoke(f"number {n}", config), range(16)))
    else:
        answers = asyncio.run(ask_all())
    [conversation_id] = {answer.response_metadata["conversation_id"] for answer in answers}
    entries = client.conversations.get_history(conversation_id).entries
    assert sorted(entry.text for entry in entries if entry.type == "message.input") == sorted(
        f"number {n}" for n in range(16)
    )
    client.close()


def test_a_loop_that_ends_while_a_stream_of_a_thread_is_held_tells_of_no_error(
    service: MistralAgents, scripted: ScriptedModel
) -> None:
    """A loop that ends closes all asynchronous generators at once, in any order: so it is tried some times."""
    scripted.always(say("a longer answer"))
    agent = MistralAgentRunnable.create_agent(client=service, model="m", name="helper")
    told: list[Any] = []

    async def leave(kept: list[Any]) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
        kept.append(agent.astream("one", thread(str(len(kept)))))
        async for _ in kept[-1]:
            break

    kept: list[Any] = []
    for _ in range(12):
        asyncio.run(leave(kept))
    assert told == []


async def test_the_thread_of_a_left_stream_is_remembered(service: MistralAgents, scripted: ScriptedModel) -> None:
    scripted.always(say("a longer answer"))
    agent = MistralAgentRunnable(agent_id=service.agents.create(model="m", name="a").id, client=service)
    stream = agent.stream("hello", {"configurable": {"thread_id": "sync"}})
    first = next(iter(stream))
    assert agent.conversations.get("sync", agent.agent_id) == first.response_metadata["conversation_id"]
    stream.close()  # the stand-in keeps nothing of a first turn that was left, so the thread begins anew
    assert agent.invoke("and now?", {"configurable": {"thread_id": "sync"}}).text == "a longer answer"
    async for chunk in agent.astream("hello", {"configurable": {"thread_id": "async"}}):
        assert agent.conversations.get("async", agent.agent_id) == chunk.response_metadata["conversation_id"]
        break
    await service.aclose()


async def fetch(page: int) -> str:
    """Fetch a page."""
    await asyncio.sleep(0)
    return f"page {page}"


@pytest.mark.parametrize("is_async", [False, True], ids=["in a script", "in a notebook"])
@pytest.mark.parametrize("pages", [[1], [1, 2]], ids=str)
@pytest.mark.parametrize("way", ["call", "stream", "conversation"])
def test_asynchronous_functions_run_in_blocking_calls(
    service: MistralAgents, scripted: ScriptedModel, way: str, pages: list[int], is_async: bool
) -> None:
    """As those of MCP servers are; the loop of a notebook runs while its cells call."""
    scripted.script(calls(*(call("fetch", {"page": page}) for page in pages)), say("Done."))
    runnable = MistralAgentRunnable.create_agent(client=service, model="m", name="fetcher", tools=[fetch])

    def ask() -> None:
        if way == "conversation":
            Conversation(service, agent_id=runnable.agent_id, functions={"fetch": fetch}).append("Go.")
        elif way == "call":
            runnable.invoke("Go.")
        else:
            list(runnable.stream("Go."))

    async def ask_in_a_loop() -> None:
        ask()

    if is_async:
        asyncio.run(ask_in_a_loop())
    else:
        ask()
    told = [message["content"] for message in scripted.requests[-1]["messages"] if message["role"] == "tool"]
    assert told == [f"page {page}" for page in pages]


@tool
def of_state(a: int, state: Annotated[dict[str, Any], InjectedState]) -> str:
    """Read a graph's state."""
    return "read"


@tool
def of_runtime(a: int, runtime: ToolRuntime) -> str:
    """Read a graph's runtime."""
    return "read"


@tool
def of_user(a: int, user: Annotated[str, InjectedToolArg]) -> str:
    """Read what an application injects."""
    return "read"


@pytest.mark.parametrize(
    ("tools", "told"),
    [
        ([of_state], "of_state wants state"),
        ([of_runtime], "of_runtime wants runtime"),
        ([of_user], "of_user wants user"),
        ([add, tool(add)], "Two tools are called add"),
        ([WebSearch()], "not WebSearch"),
        (["add"], "not str"),
        ([partial(add, 1)], "without a name"),
        ([lambda: 1], "is called '<lambda>'"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_tools_that_cannot_run_here_are_refused_at_once(tools: list[Any], told: str) -> None:
    """And not told to the model, call by call, which can do nothing about it."""
    with pytest.raises(ConfigurationError, match=told):
        MistralAgentRunnable(agent_id="ag_1", api_key="k", tools=tools)


def test_what_is_injected_with_a_default_or_by_a_call_is_no_hindrance() -> None:
    @tool
    def note(a: int, call_id: Annotated[str, InjectedToolCallId], state: Annotated[Any, InjectedState] = None) -> str:
        """Note."""
        return "noted"

    def bare(a: int) -> int:
        return a

    assert MistralAgentRunnable(agent_id="ag_1", api_key="k", tools=[note, bare]).tools


@pytest.mark.parametrize("how", ["config", "keyword"])
@pytest.mark.parametrize("way", ["call", "stream"])
def test_calls_that_name_one_conversation_follow_one_another(
    service: MistralAgents, scripted: ScriptedModel, way: str, how: str
) -> None:
    """Else another would close the functions' calls of the first, whose answer would go into a branch."""
    held: list[bool] = []

    def look(a: int) -> str:
        """Look."""
        held.append(lock_of(service.base_url, named).holder is not None)
        return "seen"

    runnable = MistralAgentRunnable.create_agent(client=service, model="m", name="looker", tools=[look])
    scripted.script(say("Hello."), call("look", {"a": 1}), say("It is there."))
    named = runnable.invoke("Hello.").response_metadata["conversation_id"]
    config: Any = {"configurable": {"conversation_id": named}} if how == "config" else None
    options: Any = {"conversation_id": named} if how == "keyword" else {}
    answer: Any = (
        runnable.invoke("Look.", config, **options)
        if way == "call"
        else reduce(operator.add, runnable.stream("Look.", config, **options))
    )
    assert answer.response_metadata["conversation_id"] == named
    assert held == [True]
    assert lock_of(service.base_url, named).holder is None


@pytest.mark.parametrize("words", ["", "Let me see."])
@pytest.mark.parametrize("way", ["stream", "astream", "events"])
async def test_the_sum_of_a_stream_is_the_last_answer(
    agent: MistralAgentRunnable, scripted: ScriptedModel, way: str, words: str
) -> None:
    """As of a call: nothing of the rounds before is mixed into it, in what traces show neither."""
    asked = say(words, calls=[call("add", {"a": 1, "b": 2})])
    scripted.script(asked, say("It is 3."))
    if way == "stream":
        summed: Any = reduce(operator.add, agent.stream("1 + 2?"))
    elif way == "astream":
        summed = reduce(operator.add, [chunk async for chunk in agent.astream("1 + 2?")])
    else:
        events = [event async for event in agent.astream_events("1 + 2?", version="v2")]
        summed = events[-1]["data"]["output"]
    assert (summed.content, summed.tool_calls) == ("It is 3.", [])
    scripted.script(asked, say("It is 3."))
    called = agent.invoke("1 + 2?")
    for name in ("finish_reason", "agent_id", "model_name"):
        assert summed.response_metadata[name] == called.response_metadata[name]
    assert summed.usage_metadata == called.usage_metadata
    kept = agent.model.mistral.conversations.get_history(summed.response_metadata["conversation_id"])
    assert summed.response_metadata["last_entry_id"] == kept.last_entry_id


@pytest.mark.parametrize("way", ["call", "async call", "stream", "async stream"])
@pytest.mark.parametrize("config", [None, thread("ada")], ids=["by its answers", "by a thread"])
async def test_messages_go_on_with_the_conversation_after_functions(
    agent: MistralAgentRunnable, scripted: ScriptedModel, way: str, config: Any
) -> None:
    """Who keeps questions and answers, in a list or a graph, does not see the functions' rounds; the service does."""
    scripted.script(call("add", {"a": 1, "b": 2}), say("3"), call("add", {"a": 3, "b": 4}), say("7"), say("You too."))
    messages: list[Any] = []
    for text in ("1 + 2?", "3 + 4?", "Thanks."):
        messages.append(HumanMessage(text))
        if way == "call":
            messages.append(agent.invoke(messages, config))
        elif way == "async call":
            messages.append(await agent.ainvoke(messages, config))
        elif way == "stream":
            messages.append(message_chunk_to_message(reduce(operator.add, agent.stream(messages, config))))
        else:
            chunks = [chunk async for chunk in agent.astream(messages, config)]
            messages.append(message_chunk_to_message(reduce(operator.add, chunks)))
    assert len({each.response_metadata["conversation_id"] for each in messages[1::2]}) == 1
    heard = [(each["role"], each["content"]) for each in scripted.requests[-1]["messages"] if each["content"]]
    turns = [
        ("tool", "3"),
        ("assistant", "3"),
        ("user", "3 + 4?"),
        ("tool", "7"),
        ("assistant", "7"),
        ("user", "Thanks."),
    ]
    assert heard[-6:] == turns
    edited = agent.invoke([HumanMessage("2 + 2?"), *messages[1:-1]], config)
    assert edited.response_metadata["conversation_id"] != messages[1].response_metadata["conversation_id"]


@pytest.mark.parametrize("way", ["call", "async call", "stream", "async stream"])
@pytest.mark.filterwarnings("error")
async def test_decisions_and_beginnings_go_with_the_first_turn_of_a_call(
    service: MistralAgents, scripted: ScriptedModel, way: str
) -> None:
    """The agent calls functions behind a tool that was allowed: nothing is decided twice, and nothing begins twice."""
    hosted = CodeInterpreter(requires_confirmation=True)
    agent = MistralAgentRunnable.create_agent(client=service, model="m", name="helper", tools=[hosted, add])

    async def ask(given: Any, **options: Any) -> AIMessage:
        if way == "call":
            return agent.invoke(given, thread("ada"), **options)
        if way == "async call":
            return await agent.ainvoke(given, thread("ada"), **options)
        if way == "stream":
            chunks = list(agent.stream(given, thread("ada"), **options))
        else:
            chunks = [chunk async for chunk in agent.astream(given, thread("ada"), **options)]
        return cast("AIMessage", message_chunk_to_message(reduce(operator.add, chunks)))

    scripted.script(call("add", {"a": 1, "b": 2}), call("code_interpreter", {"code": "print(6 * 7)"}))
    waiting = await ask("Go.", name="Sums", metadata={"team": "a"})
    (pending,) = waiting.response_metadata["pending_confirmations"]
    scripted.script(call("add", {"a": 3, "b": 4}), say("Done."))
    decision = {"tool_call_id": pending["tool_call_id"], "confirmation": "allow"}
    answer = await ask([], tool_confirmations=[decision])
    assert answer.text == "Done."
    known = service.conversations.get(answer.response_metadata["conversation_id"])
    assert (known["name"], known["metadata"]) == ("Sums", {"team": "a"})
