"""Where a model lives: events, pickles, loops, threads; and what must not leak."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from llama_index.core.callbacks import CallbackManager, CBEventType, LlamaDebugHandler
from llama_index.core.callbacks.base_handler import BaseCallbackHandler
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.span_handlers import SimpleSpanHandler
from llama_index.core.llms import ChatMessage
from llama_index.core.llms import callbacks as llm_callbacks
from pydantic import Field

from llama_index_mistral_agents import MistralAgentLLM, turn_events
from llama_index_mistral_agents.turn_events import ServerHandoffEvent, ServerToolExecutionEvent, TurnUsageEvent
from mistral_agents import MistralAgents
from mistral_agents.errors import ConfigurationError, MistralAgentsError, StreamInterruptedError
from mistral_agents.tools import Connector, ImageGeneration
from tests.support.scripted import call, say

QUESTION = [ChatMessage(role="user", content="Hi")]


class Heard(BaseEventHandler):
    """Keeps what it hears."""

    events: list[Any] = Field(default_factory=list)

    def handle(self, event: Any, **_: Any) -> None:
        self.events.append(event)


@pytest.fixture
def heard() -> Any:
    handler, root = Heard(), get_dispatcher()
    root.add_event_handler(handler)
    yield handler.events
    root.event_handlers.remove(handler)


def kept(events: list[Any], kind: type) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


@pytest.mark.parametrize("how", ["call", "stream"])
def test_usage_and_server_tools_are_events(make_llm: Any, scripted: Any, heard: list[Any], how: str) -> None:
    scripted.script(call("generate_image", {"prompt": "a tree"}), say("Here."))
    llm = make_llm(tools=[ImageGeneration()])
    message = (llm.chat(QUESTION) if how == "call" else list(llm.stream_chat(QUESTION))[-1]).message
    [run] = kept(heard, ServerToolExecutionEvent)
    assert run.tool["name"] == "image_generation"
    [usage] = kept(heard, TurnUsageEvent)
    assert usage.usage == message.additional_kwargs["usage"]
    assert usage.usage["total_tokens"] > 0
    assert usage.conversation_id == message.additional_kwargs["conversation_id"]


@pytest.fixture
def spans() -> Any:
    handler, root = SimpleSpanHandler(), get_dispatcher()
    root.add_span_handler(handler)
    yield handler
    root.span_handlers.remove(handler)


@pytest.mark.parametrize("how", ["chat", "stream_chat", "achat", "astream_chat"])
def test_the_events_of_a_turn_belong_to_the_span_that_asked(
    make_llm: Any, scripted: Any, heard: list[Any], spans: SimpleSpanHandler, how: str
) -> None:
    """A stream is read when its span is closed: its events belonged to none, or to that of who read it."""
    scripted.script(call("generate_image", {"prompt": "a tree"}), say("Here."))
    llm = make_llm(tools=[ImageGeneration()])

    async def read() -> None:
        async for _ in await llm.astream_chat(QUESTION):
            pass

    if how == "astream_chat":
        asyncio.run(read())
    elif how == "achat":
        asyncio.run(llm.achat(QUESTION))
    else:
        list(getattr(llm, how)(QUESTION))
    (span,) = spans.completed_spans
    told = [event.span_id for event in heard if isinstance(event, (ServerToolExecutionEvent, TurnUsageEvent))]
    assert told == [span.id_, span.id_]


@pytest.mark.parametrize("how", ["call", "stream"])
def test_no_event_is_made_where_nobody_listens(
    make_llm: Any, scripted: Any, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    class Refused(TurnUsageEvent):
        def __init__(self, **_: Any) -> None:
            raise AssertionError("an event was made for nobody")

    monkeypatch.setattr(turn_events, "TurnUsageEvent", Refused)
    scripted.script(say("Here."))
    llm = make_llm()
    response = llm.chat(QUESTION) if how == "call" else list(llm.stream_chat(QUESTION))[-1]
    assert response.message.content == "Here."


def test_a_handoff_on_the_service_is_an_event(make_llm: Any, scripted: Any, heard: list[Any]) -> None:
    agents = make_llm().client.agents
    second = agents.create(model="mistral-medium-latest", name="second", description="Knows the rest.")
    first = agents.create(model="mistral-medium-latest", name="first", handoffs=[second.id])

    def hand_over(body: Any) -> Any:
        name = next(tool["function"]["name"] for tool in body["tools"] if "second" in json.dumps(tool))
        return call(name, {})

    scripted.script(hand_over, say("I am the second."))
    message = make_llm(agent_id=first.id, store=True).chat(QUESTION).message
    [event] = kept(heard, ServerHandoffEvent)
    assert event.handoff["next_agent_id"] == second.id
    assert message.additional_kwargs["handoffs"] == [event.handoff]
    assert message.content == "I am the second."


def test_the_legacy_callback_manager_is_told(make_llm: Any, scripted: Any) -> None:
    scripted.always(say("Hello."))
    debug = LlamaDebugHandler(print_trace_on_end=False)
    llm = make_llm(callback_manager=CallbackManager([debug]))
    llm.chat(QUESTION)
    list(llm.stream_chat(QUESTION))
    assert len(debug.get_event_pairs(CBEventType.LLM)) == 2


@pytest.mark.parametrize("given", ["Hi", QUESTION[0], [{"role": "user", "content": "Hi"}], ["Hi"]])
@pytest.mark.parametrize("how", ["sync", "async"])
async def test_what_is_no_list_of_messages_is_refused_by_its_kind(
    make_llm: Any, service: Any, given: Any, how: str
) -> None:
    kind = type(given[0] if isinstance(given, list) else given).__name__
    with pytest.raises(ConfigurationError, match=f"list of ChatMessage; this is a {kind}"):
        await read_stream(make_llm(), how, asked=given)
    with pytest.raises(ConfigurationError, match=f"list of ChatMessage; this is a {kind}"):
        make_llm().chat(given) if how == "sync" else await make_llm().achat(messages=given)
    assert not service.turns


class Told(BaseCallbackHandler):
    """Keeps what a callback manager is told: which end of a call, and what stands in its payload."""

    def __init__(self) -> None:
        super().__init__([], [])
        self.events: list[tuple[str, list[str]]] = []

    def start_trace(self, trace_id: str | None = None) -> None:
        self.events.append(("trace", [str(trace_id)]))

    def end_trace(self, trace_id: str | None = None, trace_map: Any = None) -> None:
        pass

    def on_event_start(self, event_type: Any, payload: Any = None, event_id: str = "", **_: Any) -> str:
        self.events.append(("start", sorted(payload)))
        return event_id

    def on_event_end(self, event_type: Any, payload: Any = None, event_id: str = "", **_: Any) -> None:
        self.events.append(("end", sorted(payload)))


async def read_stream(llm: MistralAgentLLM, how: str, *, most: int | None = None, asked: Any = None) -> list[str]:
    """The texts of a stream, of which at most so many responses are read."""
    texts: list[str] = []
    asked = QUESTION if asked is None else asked
    if how == "sync":
        stream = llm.stream_chat(asked)
        for response in stream:
            texts.append(response.delta or "")
            if len(texts) == most:
                break
        stream.close()  # type: ignore[attr-defined]
        return texts
    responses = await llm.astream_chat(asked)
    async for response in responses:
        texts.append(response.delta or "")
        if len(texts) == most:
            break
    await responses.aclose()  # type: ignore[attr-defined]
    return texts


@pytest.mark.parametrize("how", ["sync", "async"])
@pytest.mark.parametrize("end", ["read", "left", "refused"])
async def test_the_callback_manager_hears_the_same_whether_somebody_listens_to_events_or_not(
    make_llm: Any, scripted: Any, service: Any, how: str, end: str
) -> None:
    scripted.always(say("Hello, and good day to you."))
    told, seen = [], []
    for listens in (False, True):
        handler, root = Told(), get_dispatcher()
        llm = make_llm(callback_manager=CallbackManager([handler]), max_retries=0)
        listener = Heard()
        if listens:
            root.add_event_handler(listener)
        try:
            if end == "refused":
                service.faults.answer(403, {"message": "no"})
                with pytest.raises(MistralAgentsError):
                    await read_stream(llm, how)
            else:
                seen.append(await read_stream(llm, how, most=1 if end == "left" else None))
        finally:
            if listens:
                root.event_handlers.remove(listener)
        told.append(handler.events)
    assert told[0] == told[1]
    assert [name for name, _ in told[0]] == ["trace", "start", "end"]
    assert seen[:1] == seen[1:]


@pytest.mark.parametrize("how", ["sync", "async"])
async def test_responses_become_events_only_where_somebody_listens(
    make_llm: Any, scripted: Any, monkeypatch: Any, how: str
) -> None:
    scripted.always(say("Hello, and good day to you."))
    made: list[Any] = []
    kind = llm_callbacks.LLMChatInProgressEvent
    monkeypatch.setattr(llm_callbacks, "LLMChatInProgressEvent", lambda **fields: made.append(1) or kind(**fields))
    texts = await read_stream(make_llm(), how)
    assert not made
    listener, root = Heard(), get_dispatcher()
    root.add_event_handler(listener)
    try:
        assert await read_stream(make_llm(), how) == texts
    finally:
        root.event_handlers.remove(listener)
    assert len(kept(listener.events, kind)) == len(made) == len(texts)


@pytest.mark.parametrize("how", ["sync", "async"])
async def test_a_stream_waits_for_its_rate_limiter(make_llm: Any, scripted: Any, monkeypatch: Any, how: str) -> None:
    limiters = pytest.importorskip("llama_index.core.rate_limiter", reason="LlamaIndex 0.14.0 has none")
    scripted.always(say("Hello."))
    waits: list[str] = []

    async def wait(_: Any) -> None:
        waits.append("async")

    monkeypatch.setattr(limiters.TokenBucketRateLimiter, "acquire", lambda _: waits.append("sync"))
    monkeypatch.setattr(limiters.TokenBucketRateLimiter, "async_acquire", wait)
    await read_stream(make_llm(rate_limiter=limiters.TokenBucketRateLimiter(requests_per_minute=60)), how)
    assert waits == [how]


def test_several_event_loops_one_after_another(llm: MistralAgentLLM, scripted: Any) -> None:
    scripted.always(say("Hello."))

    async def stream() -> Any:
        return [response async for response in await llm.astream_chat(QUESTION)][-1]

    for _ in range(3):
        assert asyncio.run(llm.achat(QUESTION)).message.content == "Hello."
        assert asyncio.run(stream()).message.content == "Hello."


async def test_synchronous_calls_work_inside_a_running_loop(llm: MistralAgentLLM, scripted: Any) -> None:
    scripted.always(say("Hello."))
    assert llm.complete("Hi").text == "Hello."
    assert [response.text for response in llm.stream_complete("Hi")][-1] == "Hello."


def test_threads_share_one_model(llm: MistralAgentLLM, scripted: Any) -> None:
    scripted.always(lambda body: say(body["messages"][-1]["content"].upper()))
    words = [f"word {number}" for number in range(12)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda word: llm.complete(word).text, words)) == [word.upper() for word in words]


def test_it_survives_pickle_and_deepcopy(make_llm: Any, scripted: Any) -> None:
    scripted.always(say("Hello."))
    llm = make_llm(temperature=0.2, tools=[ImageGeneration()], store=True)
    llm.complete("use it first, so that connections exist")
    for again in (pickle.loads(pickle.dumps(llm)), copy.deepcopy(llm)):
        assert again.complete("Hi").text == "Hello."
        assert (again.temperature, again.tools, again.store) == (0.2, [{"type": "image_generation"}], True)


def test_a_constructor_makes_no_request(service: Any) -> None:
    before = threading.active_count()
    MistralAgentLLM("some-model", base_url=service.base_url)
    assert service.faults.requests == []
    assert threading.active_count() == before


def test_secrets_are_neither_shown_nor_traced(service: Any) -> None:
    connector = Connector("crm", authorization={"type": "api-key", "value": "very-secret"})
    llm = MistralAgentLLM("some-model", api_key="key-secret", base_url=service.base_url, tools=[connector])
    shown = repr(llm) + str(llm) + json.dumps(llm.to_dict(), default=str)
    assert "secret" not in shown


def test_a_client_of_ones_own_is_used_alone(client: MistralAgents) -> None:
    assert MistralAgentLLM("m", client=client).client is client
    with pytest.raises(ConfigurationError, match="timeout"):
        MistralAgentLLM("m", client=client, timeout=3.0)


async def test_a_broken_stream_is_an_error_with_what_arrived(llm: MistralAgentLLM, service: Any, scripted: Any) -> None:
    scripted.always(say("A long answer that does not come to its end, though it has begun well enough."))
    service.faults.cut_stream(1500, clean=True)
    with pytest.raises(StreamInterruptedError) as caught:
        list(llm.stream_chat(QUESTION))
    assert caught.value.turn.text.startswith("A long")
    service.faults.cut_stream(1500, clean=True)
    with pytest.raises(StreamInterruptedError):
        [response async for response in await llm.astream_chat(QUESTION)]


def test_a_stream_that_is_left_early_frees_its_connection(llm: MistralAgentLLM, scripted: Any) -> None:
    scripted.always(say("One two three four five six seven."))
    for _ in range(30):
        stream = llm.stream_chat(QUESTION)
        next(stream)
        stream.close()
    assert llm.complete("Hi").text.startswith("One")


def test_an_error_of_the_service_is_raised(llm: MistralAgentLLM, service: Any) -> None:
    service.faults.answer(422, {"detail": "no"})
    with pytest.raises(MistralAgentsError) as caught:
        llm.chat(QUESTION)
    assert caught.value.status_code == 422


def test_a_refused_request_is_sent_again(llm: MistralAgentLLM, service: Any, scripted: Any) -> None:
    scripted.always(say("Hello."))
    service.faults.answer(429, headers={"retry-after": "0"})
    assert llm.complete("Hi").text == "Hello."
    assert len(service.faults.requests) == 2


def test_the_package_loads_neither_the_sdk_nor_langchain() -> None:
    import subprocess
    import sys

    script = (
        "import sys, llama_index_mistral_agents as w; assert 'llama_index' not in sys.modules;"
        "w.MistralAgentLLM; bad = {'mistralai', 'langchain', 'langchain_core', 'mistral_agents_server'} & set(sys.modules);"
        "assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
