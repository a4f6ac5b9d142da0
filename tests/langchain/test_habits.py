"""What users of LangChain's best packages expect: caches, profiles, counts, forms, tools, traces."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable
from functools import reduce
from importlib.util import find_spec
from operator import add
from typing import Any
from unittest.mock import Mock

import pytest
from langchain_core.caches import BaseCache, InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.globals import set_llm_cache
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.load import dumps, loads
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage, trim_messages
from langchain_core.messages.utils import count_tokens_approximately
from langchain_core.outputs import ChatResult, LLMResult
from langchain_core.tracers.context import collect_runs
from langchain_core.tracers.langchain import LangChainTracer
from langchain_core.utils.uuid import uuid7
from langsmith import tracing_context
from pydantic import BaseModel

from langchain_mistral_agents import (
    ChatMistralAgent,
    MistralAgentRunnable,
    MistralPortableMiddleware,
    _counting,
    to_portable_messages,
)
from langchain_mistral_agents._traces import foresee_run
from mistral_agents import CodeInterpreter, Connector, DocumentLibrary, MistralAgents, WebSearch
from mistral_agents._api.model_facts import FACTS, ModelFacts
from scripts.model_facts import PLACE, read_facts, renew, write_rows
from tests.support.running import Standin
from tests.support.scripted import ScriptedModel, say
from tests.wire.conftest import Wire

from .conftest import sse
from .turns import ENTRIES, REPLY, events, execution, message

Make = Callable[..., ChatMistralAgent]


class Person(BaseModel):
    """A person."""

    name: str


def text_reply(text: str, *before: Any) -> Any:
    return (200, {**REPLY, "outputs": [*before, message("msg_1", text)]})


# caches -------------------------------------------------------------------------------------------------------------


def sqlite_cache(folder: Any) -> BaseCache:
    module = pytest.importorskip("langchain_community.cache")
    cache: BaseCache = module.SQLiteCache(str(folder / "cache.db"))
    return cache


@pytest.mark.parametrize("make_cache", [lambda _: InMemoryCache(), sqlite_cache], ids=["memory", "sqlite"])
@pytest.mark.parametrize("entries", [[message("m", "Paris.")], ENTRIES], ids=["text", "everything"])
def test_a_cached_answer_is_the_same(
    prepared: Make, wire: Wire, tmp_path: Any, make_cache: Callable[[Any], BaseCache], entries: Any
) -> None:
    wire.answer((200, {**REPLY, "outputs": entries}))
    model = prepared(cache=make_cache(tmp_path))
    first, second = model.invoke("q"), model.invoke("q")
    assert len(wire.requests) == 1
    for field in ("content", "content_blocks", "text", "tool_calls", "invalid_tool_calls", "response_metadata", "id"):
        assert getattr(second, field) == getattr(first, field), field


async def test_the_global_cache_is_honoured(prepared: Make, wire: Wire) -> None:
    wire.answer(text_reply("one"), text_reply("two"))
    set_llm_cache(InMemoryCache())
    try:
        model = prepared()
        assert [(await model.ainvoke("q")).text for _ in range(2)] == ["one", "one"]
        assert prepared(cache=False).invoke("q").text == "two"
    finally:
        set_llm_cache(None)


@pytest.mark.parametrize("way", ["field", "copy", "set", "invoke", "ainvoke", "bind"])
async def test_a_kept_turn_is_never_taken_from_a_cache(prepared: Make, wire: Wire, way: str) -> None:
    wire.answer(*[text_reply(word) for word in ("one", "two")])
    set_llm_cache(InMemoryCache())
    try:
        model: Any = prepared(store=True) if way == "field" else prepared()
        model = model.bind(store=True) if way == "bind" else model
        model = model.model_copy(update={"store": True}) if way == "copy" else model
        if way == "set":
            model.store = True
        options: Any = {"store": True} if way in ("invoke", "ainvoke") else {}
        found = [
            await model.ainvoke("q", **options) if way == "ainvoke" else model.invoke("q", **options) for _ in "ab"
        ]
    finally:
        set_llm_cache(None)
    assert [answer.text for answer in found] == ["one", "two"]


@pytest.mark.parametrize(("name", "value"), [("instructions", "Be brief."), ("temperature", 0.5), ("model", "other")])
def test_a_changed_model_takes_no_answer_of_the_first(prepared: Make, wire: Wire, name: str, value: Any) -> None:
    wire.answer(*[text_reply(word) for word in ("one", "two")])
    set_llm_cache(InMemoryCache())
    try:
        model = prepared()
        first, copied = model.invoke("q").text, model.model_copy(update={name: value}).invoke("q").text
        again = model.invoke("q").text
        setattr(model, name, value)
        assert (first, copied, again, model.invoke("q").text) == ("one", "two", "one", "two")
    finally:
        set_llm_cache(None)


KEYS: dict[str, Any] = {
    "model": {"model": "n"},
    "agent": {"agent_id": "ag_1"},
    "version": {"agent_id": "ag_1", "agent_version": 2},
    "tools": {"model": "m", "connectors": [WebSearch()]},
    "address": {"model": "m", "base_url": "https://other.test"},
    "instructions": {"model": "m", "instructions": "Be brief."},
}


def test_the_key_of_a_cache_names_what_makes_answers_differ() -> None:
    strings = [ChatMistralAgent(**given)._get_llm_string() for given in [{"model": "m"}, *KEYS.values()]]
    assert len(set(strings)) == len(strings)


def test_the_address_counts_where_the_environment_gives_it(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for address in ("https://a.test", "https://b.test"):
        monkeypatch.setenv("MISTRAL_BASE_URL", address)
        found.append(ChatMistralAgent(model="m")._get_llm_string())
    found.append(ChatMistralAgent(model="m", client=MistralAgents(base_url="https://c.test"))._get_llm_string())
    assert len(set(found)) == 3


def test_a_generation_is_written_as_a_plain_one(prepared: Make, wire: Wire) -> None:
    wire.answer((200, REPLY))
    (generation,) = prepared().generate([[HumanMessage("q")]]).generations[0]
    again = loads(dumps(generation), allowed_objects="all")
    assert again.message == generation.message  # type: ignore[attr-defined]


# profiles -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FACTS)
def test_every_model_of_the_table_has_a_profile(name: str) -> None:
    profile = ChatMistralAgent(model=name).profile
    assert profile is not None
    assert profile["max_input_tokens"] == FACTS[name].context
    assert profile["structured_output"] is True
    assert profile["image_inputs"] is FACTS[name].images


def test_nothing_is_said_of_an_unknown_model_and_profile_overrides() -> None:
    assert ChatMistralAgent(model="my-own").profile is None
    assert ChatMistralAgent(agent_id="ag_1").profile is None
    given: Any = {"max_input_tokens": 5}
    assert ChatMistralAgent(model="mistral-medium-latest", profile=given).profile == given


def test_the_table_is_renewed_from_the_services_list() -> None:
    abilities = {"completion_chat": True, "function_calling": False, "vision": True, "reasoning": True}
    cards = [
        {"id": "new-1", "aliases": ["new-latest"], "max_context_length": 9, "capabilities": abilities},
        {"id": "embed", "max_context_length": 9, "capabilities": {"completion_chat": False}},
    ]
    facts = ModelFacts(9, images=True, reasoning=True, functions=False)
    assert read_facts(cards) == {"new-1": facts, "new-latest": facts}
    source = renew(PLACE.read_text(), cards)
    assert '    "new-latest": ModelFacts(9, images=True, reasoning=True, functions=False),' in source.splitlines()
    assert source.count("ModelFacts(") == PLACE.read_text().count("ModelFacts(") + 2
    assert renew(source, []) == PLACE.read_text()


def test_the_table_is_as_the_script_writes_it() -> None:
    assert PLACE.read_text().endswith(write_rows(FACTS))


# counting -----------------------------------------------------------------------------------------------------------

IMAGE = {"type": "image", "base64": "A" * 8000, "mime_type": "image/png"}
COUNTED: dict[str, list[Any]] = {
    "words": [HumanMessage("word " * 200)],
    "a call": [AIMessage("", tool_calls=[{"name": "f", "args": {"q": "x" * 4000}, "id": "c"}])],
    "a result": [ToolMessage("y" * 4000, tool_call_id="c")],
    "a picture": [HumanMessage([{"type": "text", "text": "x"}, IMAGE])],
}


@pytest.mark.parametrize("with_tokenizer", [False, True])
@pytest.mark.parametrize("messages", COUNTED.values(), ids=COUNTED.keys())
def test_counts_are_near_langchains(monkeypatch: pytest.MonkeyPatch, messages: list[Any], with_tokenizer: bool) -> None:
    if not with_tokenizer:
        monkeypatch.setattr(_counting, "_find_encoder", lambda: None)
    elif find_spec("mistral_common") is None:
        pytest.skip("mistral-common is not installed")
    about = count_tokens_approximately(messages)
    assert about / 2 <= ChatMistralAgent(model="m").get_num_tokens_from_messages(messages) <= about * 2


def test_tools_count() -> None:
    def search(query: str) -> str:
        """Search for something in a large place."""
        return query

    model = ChatMistralAgent(model="m")
    asked = [HumanMessage("q")]
    assert model.get_num_tokens_from_messages(asked, tools=[search]) > model.get_num_tokens_from_messages(asked) + 10


def test_an_installed_tokenizer_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_counting, "_find_encoder", lambda: lambda text: len(text.split()))
    model = ChatMistralAgent(model="m")
    assert model.get_num_tokens("one two three") == 3
    texts = [HumanMessage("a b c d e f g h")]
    assert model.get_num_tokens_from_messages(texts) == count_tokens_approximately(texts) - 4 + 8


@pytest.mark.parametrize("installed", [False, True])
def test_the_users_own_tokenizer_counts_first(monkeypatch: pytest.MonkeyPatch, installed: bool) -> None:
    monkeypatch.setattr(_counting, "_find_encoder", lambda: len if installed else None)
    model = ChatMistralAgent(model="m", custom_get_token_ids=lambda text: [len(word) for word in text.split()])
    assert model.get_num_tokens("one two three") == 3
    texts = [HumanMessage("a b c d e f g h")]
    assert model.get_num_tokens_from_messages(texts) == count_tokens_approximately(texts) - 4 + 8


class Totals(BaseCallbackHandler):
    """Adds up tokens as handlers do that were written for other chat models."""

    def __init__(self) -> None:
        self.tokens = 0

    def on_llm_end(self, response: LLMResult, **_: Any) -> None:
        self.tokens += (response.llm_output or {})["token_usage"]["total_tokens"]


@pytest.mark.parametrize("way", ["invoke", "ainvoke", "stream", "astream"])
async def test_tokens_are_told_under_the_names_of_other_models_too(prepared: Make, wire: Wire, way: str) -> None:
    wire.answer((200, sse(*events())) if "stream" in way else (200, REPLY))
    model = prepared()
    if way == "invoke":
        answer: Any = model.invoke("q")
    elif way == "ainvoke":
        answer = await model.ainvoke("q")
    elif way == "stream":
        answer = reduce(add, model.stream("q"))
    else:
        answer = reduce(add, [chunk async for chunk in model.astream("q")])
    read, written, total = (answer.usage_metadata[f"{name}_tokens"] for name in ("input", "output", "total"))
    told = answer.response_metadata["token_usage"]
    assert told == {"prompt_tokens": read, "completion_tokens": written, "total_tokens": total}
    assert total > 0
    await model.mistral.aclose()


def test_tokens_of_several_answers_are_added_up(prepared: Make, wire: Wire) -> None:
    wire.answer((200, REPLY), (200, REPLY))
    totals = Totals()
    result = prepared().generate([[HumanMessage("a")], [HumanMessage("b")]], callbacks=[totals])
    one = result.generations[0][0].message.usage_metadata["total_tokens"]  # type: ignore[union-attr]
    assert (result.llm_output or {})["token_usage"]["total_tokens"] == totals.tokens == 2 * one
    assert (result.llm_output or {})["model_name"] == "mistral-small-latest"


def test_messages_are_really_trimmed() -> None:
    messages = [SystemMessage("s"), *(HumanMessage("word " * 100) for _ in range(10)), HumanMessage("last")]
    kept = trim_messages(
        messages, max_tokens=300, token_counter=ChatMistralAgent(model="m"), include_system=True, start_on="human"
    )
    assert 2 < len(kept) < len(messages)
    assert kept[-1].content == "last"


# forms --------------------------------------------------------------------------------------------------------------

SEARCHED = execution("t", "web_search", "web_search", '{"query": "Ada"}', {"result": "{}"})
FORM = '{"name": "Ada"}'


@pytest.mark.parametrize("how", ["tools", "connectors", "bound"])
@pytest.mark.parametrize("way", ["invoke", "ainvoke", "stream", "v3"])
async def test_hosted_tools_and_a_form_are_two_turns(prepared: Make, wire: Wire, how: str, way: str) -> None:
    wire.answer(text_reply("It is Ada.", SEARCHED), text_reply(FORM))
    model = prepared(connectors=[WebSearch()]) if how == "connectors" else prepared()
    options: Any = {"response_format": {"type": "json_object"}}
    chain: Any = model.bind_tools([WebSearch()], **options) if how != "connectors" else model.bind(**options)
    if way == "ainvoke":
        answer = await chain.ainvoke("Who?")
    elif way == "stream":
        (answer,) = chain.stream("Who?")
    elif way == "v3":
        kwargs = chain.kwargs
        answer = chain.bound.stream_events("Who?", version="v3", **kwargs).output
    else:
        answer = chain.invoke("Who?")
    thought, written = wire.bodies
    assert [tool["type"] for tool in thought["tools"]] == ["web_search"]
    assert "response_format" not in thought.get("completion_args", {})
    assert "tools" not in written
    assert written["completion_args"]["response_format"] == options["response_format"]
    assert answer.text == FORM
    assert [block["type"] for block in answer.content_blocks] == ["server_tool_call", "server_tool_result", "text"]
    if way != "v3":
        assert answer.response_metadata["draft"] == "It is Ada."
    assert answer.usage_metadata["total_tokens"] == 2 * 22


def test_a_call_of_a_function_comes_before_the_form(prepared: Make, wire: Wire) -> None:
    wire.answer((200, {**REPLY, "outputs": [ENTRIES[-2]]}))
    tools = [WebSearch(), {"type": "function", "function": {"name": "add", "parameters": {}}}]
    answer = prepared().bind_tools(tools, response_format={"type": "json_object"}).invoke("q")
    assert [call["name"] for call in answer.tool_calls] == ["add"]
    assert len(wire.requests) == 1


def test_without_hosted_tools_a_form_is_one_turn(prepared: Make, wire: Wire) -> None:
    wire.answer(text_reply(FORM))
    answer = prepared().invoke("q", response_format={"type": "json_object"})
    assert answer.content == FORM
    assert len(wire.requests) == 1


@pytest.fixture
def service(scripted: ScriptedModel, standin_factory: Callable[..., Standin]) -> MistralAgents:
    standin = standin_factory(model_url=scripted.url)
    return MistralAgents(api_key="test-key", base_url=standin.base_url)


def test_a_kept_conversation_goes_on_after_a_form(service: MistralAgents, scripted: ScriptedModel) -> None:
    scripted.script(say("It is Ada."), say(FORM), say("Again."))
    model = ChatMistralAgent(model="mistral-medium-latest", client=service, store=True, connectors=[CodeInterpreter()])
    history: list[Any] = [HumanMessage("Who?")]
    history.append(model.invoke(history, response_format={"type": "json_object"}))
    history.append(HumanMessage("And now?"))
    last = model.invoke(history)
    assert last.response_metadata["conversation_id"] == history[1].response_metadata["conversation_id"]


@pytest.mark.parametrize("where", ["tools", "connectors"])
def test_an_agent_with_hosted_tools_writes_the_form(
    service: MistralAgents, scripted: ScriptedModel, where: str
) -> None:
    agents = pytest.importorskip("langchain.agents")
    scripted.script(say("It is Ada."), say(FORM))
    hosted = [WebSearch()]
    model = ChatMistralAgent(
        model="mistral-medium-latest", client=service, connectors=hosted if where == "connectors" else []
    )
    agent = agents.create_agent(model, hosted if where == "tools" else [], response_format=Person)
    assert agent.invoke({"messages": "Who?"})["structured_response"] == Person(name="Ada")


# tools and names ----------------------------------------------------------------------------------------------------


@pytest.fixture
def agent(service: MistralAgents) -> MistralAgentRunnable:
    return MistralAgentRunnable.create_agent(client=service, model="m", name="weather")


@pytest.mark.parametrize("form", [{}, {"arg_types": {"input": str}}])
async def test_an_agent_as_a_tool_gives_text(agent: MistralAgentRunnable, scripted: ScriptedModel, form: Any) -> None:
    scripted.always(say("Sunny."))
    tool = agent.as_tool(description="Knows the weather.", **form)
    assert tool.name == "weather"
    given: Any = {"input": "Bern?"}
    assert tool.invoke(given) == "Sunny."
    assert await tool.ainvoke(given) == "Sunny."
    result = tool.invoke({"type": "tool_call", "name": "weather", "args": given, "id": "c"})
    assert isinstance(result.artifact, AIMessage)
    assert (result.content, result.artifact.text) == ("Sunny.", "Sunny.")
    await agent.model.mistral.aclose()


def test_runs_are_named_after_the_agent(agent: MistralAgentRunnable, scripted: ScriptedModel) -> None:
    scripted.always(say("ok"))
    with collect_runs() as runs:
        agent.invoke("q")
        MistralAgentRunnable(agent_id=agent.agent_id, client=agent.client).invoke("q")
        agent.invoke("q", {"run_name": "mine"})
    assert [run.name for run in runs.traced_runs] == ["weather", agent.agent_id, "mine"]


def look_up(name: str) -> str:
    """Look a name up."""
    return name


def test_a_fallback_gets_portable_messages(prepared: Make, wire: Wire) -> None:
    middleware = pytest.importorskip("langchain.agents.middleware")
    agents = pytest.importorskip("langchain.agents")
    seen: list[Any] = []

    class Other(GenericFakeChatModel):
        def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
            return self.bind(tools=tools, **kwargs)

        def _generate(self, messages: list[Any], *args: Any, **kwargs: Any) -> ChatResult:
            seen.extend([messages, kwargs])
            return super()._generate(messages, *args, **kwargs)

    wire.answer((200, {**REPLY, "outputs": ENTRIES[:6]}))
    first = prepared().invoke("Go")
    wire.answer((400, {"message": "no"}))
    other = Other(messages=iter([AIMessage("from the other")]))
    fallback = middleware.ModelFallbackMiddleware(other)
    tools = [DocumentLibrary(["01a07bff-b1ed-70bd-b7d4-34b652c070bb"]), look_up]
    agent = agents.create_agent(prepared(), tools, middleware=[fallback, MistralPortableMiddleware()])
    asked = [HumanMessage("Go"), *to_portable_messages([]), first, HumanMessage("on")]
    with pytest.warns(UserWarning, match="Other answers without document_library"):
        done = agent.invoke({"messages": asked})
    assert done["messages"][-1].text == "from the other"
    assert [tool.name for tool in seen[1]["tools"]] == ["look_up"]
    assert isinstance(seen[0][1].content, str)
    assert isinstance(done["messages"][1].content, list)


# traces -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["invoke", "ainvoke"])
async def test_hosted_tools_are_child_runs_with_their_times(prepared: Make, wire: Wire, way: str) -> None:
    times = {"created_at": "2026-01-01T00:00:01Z", "completed_at": "2026-01-01T00:00:03Z"}
    failed = {**ENTRIES[2], **times}
    wire.answer((200, {**REPLY, "outputs": [{**SEARCHED, **times}, failed, message("m", "ok")]}))
    with collect_runs() as runs:
        _ = prepared().invoke("q") if way == "invoke" else await prepared().ainvoke("q")
    (run,) = runs.traced_runs
    assert [(child.name, child.run_type) for child in run.child_runs] == [
        ("web_search", "tool"),
        ("code_interpreter", "tool"),
    ]
    metadata = (run.child_runs[0].extra or {})["metadata"]
    assert (metadata["started_at"], metadata["completed_at"]) == (times["created_at"], times["completed_at"])
    assert "boom" in str(run.child_runs[1].error)


async def ask_in_events(model: ChatMistralAgent) -> None:
    _ = [event async for event in model.astream_events("q", version="v2")]


STREAMED: dict[str, Callable[[ChatMistralAgent], Any]] = {
    "stream": lambda model: list(model.stream("q")),
    "astream": lambda model: collect(model.astream("q")),
    "invoke that streams": lambda model: model.model_copy(update={"streaming": True}).invoke("q"),
    "ainvoke that streams": lambda model: model.model_copy(update={"streaming": True}).ainvoke("q"),
    "events": ask_in_events,
}


async def collect(chunks: Any) -> list[Any]:
    return [chunk async for chunk in chunks]


@pytest.mark.parametrize("ask", STREAMED.values(), ids=STREAMED.keys())
async def test_hosted_tools_of_streams_are_child_runs_too(
    prepared: Make, wire: Wire, ask: Callable[[ChatMistralAgent], Any]
) -> None:
    wire.answer((200, sse(*events())))
    model = prepared()
    with collect_runs() as runs:
        asked = ask(model)
        _ = await asked if inspect.isawaitable(asked) else asked
    (run,) = runs.traced_runs
    assert [child.name for child in run.child_runs] == ["web_search", "document_library", "code_interpreter"]
    assert run.child_runs[0].inputs == {"query": "x"}
    assert "boom" in str(run.child_runs[2].error)
    assert run.outputs is not None
    assert run.outputs["generations"][0][0]["generation_info"] == {"finish_reason": "tool_calls"}
    assert model._run is None


def test_a_stream_that_nobody_watches_is_not_prepared_for_traces(prepared: Make, wire: Wire) -> None:
    wire.answer((200, sse(*events())))
    assert foresee_run({"run_name": "x"}, prepared())[1] is None
    config: Any = {"run_id": uuid7(), "callbacks": [BaseCallbackHandler()]}
    known, shown = foresee_run(config, prepared())
    assert shown is not None
    assert known.get("run_id") == shown.run_id == config["run_id"]


WATCHED: dict[str, Callable[[ChatMistralAgent, Any], Any]] = {
    "stream": lambda model, config: list(model.stream("q", config)),
    "astream": lambda model, config: asyncio.run(drain(model.astream("q", config))),
}


async def drain(chunks: AsyncIterator[Any]) -> list[Any]:
    return [chunk async for chunk in chunks]


@pytest.mark.parametrize("ask", WATCHED.values(), ids=WATCHED.keys())
def test_a_tracer_that_langchain_adds_by_itself_knows_the_run_of_a_stream(
    prepared: Make, wire: Wire, monkeypatch: pytest.MonkeyPatch, ask: Callable[[ChatMistralAgent, Any], Any]
) -> None:
    """As with LANGSMITH_TRACING=true: every manager that finds no tracer gets one of its own."""
    kept: list[Any] = []

    class Tracer(LangChainTracer):
        def __init__(self, **given: Any) -> None:
            super().__init__(**{**given, "client": Mock()})

        def _persist_run_single(self, run: Any) -> None:
            kept.append((run.name, run.parent_run_id))

    monkeypatch.setattr("langchain_core.tracers.langchain.LangChainTracer", Tracer)
    wire.answer((200, sse(*events())))
    run_id = uuid7()
    with tracing_context(enabled=True):
        ask(prepared(), {"run_id": run_id})
    tools = ["web_search", "document_library", "code_interpreter"]
    assert kept == [("ChatMistralAgent", None), *((name, run_id) for name in tools)]


NAMES_OF_OTHERS: Any = {"model_name": "other", "max_completion_tokens": 5, "stop_sequences": ["x"], "seed": 1}
ASKED: dict[str, Callable[[ChatMistralAgent], Any]] = {
    "invoke": lambda model: model.invoke("q", **NAMES_OF_OTHERS, model_kwargs={"temperature": 0.4}),
    "stream": lambda model: list(model.stream("q", **NAMES_OF_OTHERS, model_kwargs={"temperature": 0.4})),
    "bind": lambda model: model.bind(**NAMES_OF_OTHERS, completion_args={"temperature": 0.4}).invoke("q"),
}


@pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED.keys())
def test_traces_tell_what_a_call_asked_under_any_name(
    prepared: Make, wire: Wire, ask: Callable[[ChatMistralAgent], Any]
) -> None:
    wire.answer((200, sse(*events())) if ask is ASKED["stream"] else (200, REPLY))
    with collect_runs() as runs:
        ask(prepared(temperature=0.9))
    extra = runs.traced_runs[0].extra or {}
    told = {name: value for name, value in extra["metadata"].items() if name in LANGSMITH}
    assert told == {"ls_model_name": "other", "ls_temperature": 0.4, "ls_max_tokens": 5, "ls_stop": ["x"]}
    params = extra["invocation_params"]
    assert {name: params[name] for name in ("model", "max_tokens", "stop", "random_seed")} == {
        "model": "other",
        "max_tokens": 5,
        "stop": ["x"],
        "random_seed": 1,
    }


LANGSMITH = ("ls_model_name", "ls_temperature", "ls_max_tokens", "ls_stop")


def test_traces_tell_the_model_where_a_call_leaves_it_open(prepared: Make, wire: Wire) -> None:
    wire.answer((200, REPLY))
    model = prepared(temperature=0.9)
    with collect_runs() as runs:
        model.invoke("q", model=None, temperature=None)
    metadata = (runs.traced_runs[0].extra or {})["metadata"]
    assert (metadata["ls_model_name"], metadata["ls_temperature"]) == (model.model, 0.9)


def test_options_and_tools_are_readable_in_traces(prepared: Make, wire: Wire) -> None:
    wire.answer(text_reply("ok"))
    secret = {"type": "api_key", "value": "very-secret"}
    model = prepared(temperature=0.3, connectors=[Connector("c", authorization=secret)])
    with collect_runs() as runs:
        model.bind_tools([WebSearch()]).invoke("q")
    params = (runs.traced_runs[0].extra or {})["invocation_params"]
    assert params["temperature"] == 0.3
    assert [tool["type"] for tool in params["tools"]] == ["connector", "web_search"]
    assert "very-secret" not in str(runs.traced_runs[0].extra)


def test_a_trace_names_the_agent_and_the_model_that_answered(prepared: Make, wire: Wire) -> None:
    wire.answer((200, REPLY))
    with collect_runs() as runs:
        answer = prepared(agent_id="ag_1").invoke("q")
    run = runs.traced_runs[0]
    assert (run.extra or {})["metadata"]["ls_model_name"] == "ag_1"
    assert answer.response_metadata["model_name"] == "mistral-small-latest"
    assert (run.outputs or {})["llm_output"]["model_name"] == "mistral-small-latest"


# conversations' metadata --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["invoke", "ainvoke", "stream", "bind"])
async def test_metadata_of_a_call_reaches_the_service(prepared: Make, wire: Wire, way: str) -> None:
    wire.answer((200, sse(*events())) if way == "stream" else (200, REPLY))
    model, given = prepared(store=True), {"user": "ada"}
    config: Any = {"metadata": {"trace": "only"}}
    if way == "stream":
        _ = list(model.stream("q", config, metadata=given))
    elif way == "ainvoke":
        await model.ainvoke("q", config, metadata=given)
    else:
        _ = (
            model.invoke("q", config, metadata=given)
            if way == "invoke"
            else model.bind(metadata=given).invoke("q", config)
        )
    assert wire.bodies[0]["metadata"] == given
