"""What integrations get wrong: each pitfall that a turn of the service can run into, one test."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
from collections.abc import Callable
from functools import reduce
from operator import add
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler, UsageMetadataCallbackHandler
from langchain_core.exceptions import ModelRateLimitError, ModelTimeoutError
from langchain_core.load import dumps
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.runnables import ConfigurableField
from pydantic import BaseModel

from langchain_mistral_agents import ChatMistralAgent, _counting
from mistral_agents import MistralAgents, WebSearch
from mistral_agents.errors import ConfigurationError, MistralAgentsError, StreamInterruptedError, TurnFailedError
from mistral_agents.tools import Connector
from tests.support.running import Standin
from tests.wire.conftest import REPLY, Wire

from .conftest import sse
from .turns import CONVERSATION, ENTRIES, events, message
from .turns import REPLY as FULL

Make = Callable[..., ChatMistralAgent]


def merged(model: ChatMistralAgent) -> Any:
    return reduce(add, model.stream("Go"))


# merging of chunks


def test_ids_and_names_are_sent_once(prepared: Make, wire: Wire) -> None:
    wire.answer((200, sse(*events())))
    whole = merged(prepared())
    assert whole.response_metadata["conversation_id"] == CONVERSATION
    assert whole.response_metadata["model_name"] == "mistral-small-latest"
    assert [call["name"] for call in whole.tool_calls] == ["add", "now"]


def test_usage_is_on_the_last_chunk_only(prepared: Make, wire: Wire) -> None:
    wire.answer((200, sse(*events())))
    chunks = list(prepared().stream("Go"))
    assert [bool(chunk.usage_metadata) for chunk in chunks].count(True) == 1
    last = [chunk for chunk in chunks if chunk.chunk_position == "last"]
    assert len(last) == 1
    assert last[0].usage_metadata


def test_every_block_of_a_stream_has_an_integer_index(prepared: Make, wire: Wire) -> None:
    wire.answer((200, sse(*events())))
    blocks: list[Any] = [block for chunk in prepared().stream("Go") for block in chunk.content]
    assert blocks
    assert all(isinstance(block["index"], int) for block in blocks)


def test_annotations_carry_no_index(prepared: Make, wire: Wire) -> None:
    wire.answer((200, sse(*events())))
    notes = [note for block in merged(prepared()).content for note in block.get("annotations", ())]
    assert notes
    assert not any("index" in note for note in notes)


def test_thinking_pieces_that_differ_in_closed_merge(prepared: Make, wire: Wire) -> None:
    def piece(text: str, closed: bool) -> dict[str, Any]:
        content = {"type": "thinking", "thinking": [{"type": "text", "text": text}], "closed": closed}
        return {"type": "message.output.delta", "id": "m1", "content_index": 0, "content": content}

    start, *_, done = events()
    wire.answer((200, sse(start, piece("a", False), piece("b", True), done)))
    assert [block["reasoning"] for block in merged(prepared()).content] == ["ab"]


def test_arguments_that_are_no_object_are_invalid_calls(prepared: Make, wire: Wire) -> None:
    entry = {"type": "function.call", "id": "fc_1", "tool_call_id": "abcdefghi", "name": "f", "arguments": "[1]"}
    for answer in ((200, {"outputs": [entry]}), (200, sse(*events([entry])))):
        wire.answer(answer)
        whole = merged(prepared()) if isinstance(answer[1], bytes) else prepared().invoke("Go")
        assert whole.tool_calls == []
        assert [call["name"] for call in whole.invalid_tool_calls] == ["f"]


def test_several_tools_at_once_keep_their_own_arguments(prepared: Make, wire: Wire) -> None:
    def event(kind: str, key: str, **more: Any) -> dict[str, Any]:
        return {"type": f"tool.execution.{kind}", "id": key, "name": "web_search", **more}

    start, *_, done = events()
    wire.answer(
        (
            200,
            sse(
                start,
                event("started", "a", arguments=""),
                event("started", "b", arguments=""),
                event("delta", "a", arguments='{"query":'),
                event("delta", "b", arguments='{"query": "2"}'),
                event("delta", "a", arguments=' "1"}'),
                event("done", "b", info={"result": "two"}),
                event("done", "a", info={"result": "one"}),
                done,
            ),
        )
    )
    blocks = merged(prepared()).content_blocks
    calls = {block["id"]: block["args"] for block in blocks if block["type"] == "server_tool_call"}
    results = {b["tool_call_id"]: b["output"]["result"] for b in blocks if b["type"] == "server_tool_result"}
    assert calls == {"a": {"query": "1"}, "b": {"query": "2"}}
    assert results == {"a": "one", "b": "two"}


# what the service leaves out or does otherwise


def test_a_reference_without_title_and_tool_loses_nothing(prepared: Make, wire: Wire) -> None:
    content = [{"type": "text", "text": "x"}, {"type": "tool_reference", "url": "https://a.test"}]
    wire.answer((200, {"outputs": [message("m", content)]}))
    block: Any = prepared().invoke("Go").content[0]
    assert block["annotations"][0]["url"] == "https://a.test"


def test_references_before_the_text_are_kept(prepared: Make, wire: Wire) -> None:
    content = [{"type": "tool_reference", "url": "https://a.test", "title": "A"}, {"type": "text", "text": "x"}]
    for answer in ((200, {"outputs": [message("m", content)]}), (200, sse(*events([message("m", content)])))):
        wire.answer(answer)
        whole: Any = merged(prepared()) if isinstance(answer[1], bytes) else prepared().invoke("Go")
        assert [note["title"] for block in whole.content for note in block.get("annotations", ())] == ["A"]


def test_unknown_entries_events_and_chunks_are_kept(prepared: Make, wire: Wire) -> None:
    entry = {"type": "weather.report", "id": "w1", "value": 7}
    wire.answer((200, {"outputs": [entry]}))
    assert prepared().invoke("Go").content_blocks == [{"type": "non_standard", "value": entry, "index": 0}]
    start, *_, done = events()
    wire.answer((200, sse(start, {"type": "weather.changed", "value": 8}, done)))
    assert merged(prepared()).content_blocks[0]["value"]["value"] == 8


def test_a_stream_that_ends_early_is_an_error_with_all_that_came(prepared: Make, wire: Wire) -> None:
    wire.answer((200, sse(*events()[:-1])))
    with pytest.raises(StreamInterruptedError) as caught:
        list(prepared().stream("Go"))
    assert caught.value.conversation_id == CONVERSATION
    assert caught.value.turn is not None
    assert caught.value.turn.text == "One and two"


def test_an_error_in_the_stream_is_raised(prepared: Make, wire: Wire) -> None:
    start = events()[0]
    wire.answer((200, sse(start, {"type": "conversation.response.error", "code": 1, "message": "no"})))
    with pytest.raises(TurnFailedError, match="no") as caught:
        list(prepared().stream("Go"))
    assert caught.value.conversation_id == CONVERSATION


def test_a_failed_hosted_tool_is_shown_as_failed(prepared: Make, wire: Wire) -> None:
    wire.answer((200, FULL))
    status = [b["status"] for b in prepared().invoke("Go").content_blocks if b["type"] == "server_tool_result"]
    assert status == ["success", "success", "error"]


# errors


def test_errors_are_of_langchains_kinds_and_keep_the_facts(prepared: Make, wire: Wire) -> None:
    wire.answer((429, {"message": "slow down"}, {"mistral-correlation-id": "r1"}))
    with pytest.raises(ModelRateLimitError) as caught:
        prepared(client_settings={"max_retries": 0}).invoke("Go")
    error: Any = caught.value
    assert isinstance(error, MistralAgentsError)
    assert (error.status_code, error.request_id, error.response.status_code) == (429, "r1", 429)
    assert error.is_retryable


def test_a_timeout_of_a_stored_turn_is_not_retryable(prepared: Make, wire: Wire) -> None:
    from mistral_agents._http import sdk as _sdk

    wire.answer(_sdk.http().ReadTimeout("late"))
    for stored in (False, True):
        with pytest.raises((ModelTimeoutError, MistralAgentsError)) as caught:
            prepared(store=stored).invoke("Go")
        assert getattr(caught.value, "is_retryable", None) is not stored


# options


@pytest.mark.parametrize(
    ("options", "word"),
    [({"n": 2}, "n=2"), ({"logprobs": True}, "logprobs"), ({"temprature": 0}, "did you mean temperature")],
)
def test_what_the_service_lacks_is_refused(prepared: Make, wire: Wire, options: dict[str, Any], word: str) -> None:
    with pytest.raises(ConfigurationError, match=word):
        prepared().invoke("Go", **options)
    assert wire.requests == []


@pytest.mark.parametrize(
    "settings", [{"temperature": 0.1}, {"max_tokens": 5}, {"instructions": "x"}, {"connectors": [WebSearch()]}]
)
def test_completion_options_of_an_agent_are_refused_at_the_request(
    prepared: Make, wire: Wire, settings: dict[str, Any]
) -> None:
    model = prepared(agent_id="ag_1", **settings)
    with pytest.raises(ConfigurationError, match=next(iter(settings))):
        model.invoke("Go")
    assert wire.requests == []


def test_nothing_is_sent_that_was_not_set(prepared: Make, wire: Wire) -> None:
    prepared().invoke("Go")
    assert set(wire.bodies[0]) == {"inputs", "model", "store"}
    prepared(agent_id="ag_1").invoke("Go")
    assert set(wire.bodies[1]) == {"inputs", "agent_id", "store"}


def test_version_zero_of_an_agent_is_sent(prepared: Make, wire: Wire) -> None:
    prepared(agent_id="ag_1", agent_version=0).invoke("Go")
    assert wire.bodies[0]["agent_version"] == 0


def test_stop_is_enforced_for_agents(prepared: Make, wire: Wire) -> None:
    words = [
        message("m", [{"type": "text", "text": "one STOP two"}]),
        message("n", [{"type": "text", "text": "three"}]),
    ]
    wire.answer((200, {"outputs": words}))
    model = prepared(agent_id="ag_1", stop=["STOP"])
    assert model.invoke("Go").text == "one "
    wire.answer((200, sse(*events(words))))
    assert merged(model).text == "one "


def test_a_named_tool_choice_offers_only_that_tool(prepared: Make, wire: Wire) -> None:
    def one(a: int) -> int:
        """One."""
        return a

    def two(a: int) -> int:
        """Two."""
        return a

    prepared().bind_tools([one, two], tool_choice="two").invoke("Go")
    body = wire.bodies[0]
    assert [tool["function"]["name"] for tool in body["tools"]] == ["two"]
    assert body["completion_args"] == {"tool_choice": "required"}
    with pytest.raises(ConfigurationError, match="422"):
        prepared().bind_tools([one, WebSearch()], tool_choice="any").invoke("Go")


def test_tools_in_every_form(prepared: Make, wire: Wire) -> None:
    from mistralai.client.models import WebSearchTool

    class Multiply(BaseModel):
        """Multiply."""

        a: int

    schema = {"title": "divide", "description": "Divide.", "type": "object", "properties": {"a": {"type": "integer"}}}
    library = {"type": "document_library", "library_ids": ["0199f7d2-0000-7000-8000-000000000001"]}
    prepared().bind_tools([Multiply, schema, library, WebSearch(), WebSearchTool()][:4]).invoke("Go")
    tools = wire.bodies[0]["tools"]
    assert [t["function"]["name"] if t["type"] == "function" else t["type"] for t in tools] == [
        "Multiply",
        "divide",
        "document_library",
        "web_search",
    ]
    prepared().bind_tools([WebSearchTool()]).invoke("Go")
    assert wire.bodies[1]["tools"] == [{"type": "web_search"}]


def test_nothing_is_mutated(prepared: Make, wire: Wire) -> None:
    tools = [{"type": "function", "function": {"name": "f", "description": "F.", "parameters": {"type": "object"}}}]
    messages = [SystemMessage("s"), HumanMessage("h")]
    before = copy.deepcopy((tools, messages))
    model = prepared()
    fields = model.model_dump()
    model.bind_tools(tools).invoke(messages)
    assert (tools, messages) == before
    assert model.model_dump() == fields


# histories


def test_a_stateless_replay_sends_hosted_runs_as_calls_with_results(prepared: Make, wire: Wire) -> None:
    wire.answer((200, FULL))
    model = prepared()
    answer = model.invoke("Go")
    results = [ToolMessage("3", tool_call_id="abcdefghi"), ToolMessage("12:00", tool_call_id="jklmnopqr")]
    wire.answer((200, REPLY))
    model.invoke([HumanMessage("Go"), answer, *results])
    inputs = wire.bodies[-1]["inputs"]
    assert [entry["type"] for entry in inputs] == [
        "message.input",
        *["function.call", "function.result"] * 3,
        "message.output",
        "function.call",
        "function.call",
        "function.result",
        "function.result",
    ]
    assert not any("id" in entry for entry in inputs)
    ids = [entry["tool_call_id"] for entry in inputs if entry["type"] == "function.call"]
    assert all(len(call_id) == 9 and call_id.isalnum() for call_id in ids)
    assert inputs[2]["result"] == ENTRIES[0]["info"]["result"]


def test_foreign_ids_of_calls_are_mapped_alike(prepared: Make, wire: Wire) -> None:
    call = AIMessage("", tool_calls=[{"id": "call_with_a_long_id", "name": "f", "args": {}}])
    prepared().invoke([HumanMessage("a"), call, ToolMessage("r", tool_call_id="call_with_a_long_id")])
    asked, told = wire.bodies[0]["inputs"][1:]
    assert asked["tool_call_id"] == told["tool_call_id"] != "call_with_a_long_id"


def test_a_history_of_another_provider_is_accepted(prepared: Make, wire: Wire) -> None:
    foreign = AIMessage(
        [
            {"type": "thinking", "thinking": "hm", "signature": "s"},
            {"type": "text", "text": "Hello"},
            {"type": "server_tool_use", "id": "x", "name": "web_search", "input": {"query": "q"}},
        ],
        response_metadata={"model_provider": "anthropic"},
    )
    with pytest.warns(UserWarning, match="another provider"):
        prepared().invoke([HumanMessage("a"), foreign, HumanMessage("b")])
    kinds = [(entry["type"], entry["content"]) for entry in wire.bodies[0]["inputs"]]
    assert kinds == [("message.input", "a"), ("message.output", "Hello"), ("message.input", "b")]


def test_images_and_documents_of_a_question(prepared: Make, wire: Wire) -> None:
    parts: list[Any] = [
        {"type": "text", "text": "Look"},
        {"type": "image", "base64": "aGk=", "mime_type": "image/jpeg"},
        {"type": "image_url", "image_url": {"url": "https://a.test/x.png"}},
        {"type": "file", "base64": "aGk=", "mime_type": "application/pdf", "extras": {"name": "a.pdf"}},
    ]
    prepared().invoke([HumanMessage(parts)])
    assert wire.bodies[0]["inputs"][0]["content"] == [
        {"type": "text", "text": "Look"},
        {"type": "image_url", "image_url": "data:image/jpeg;base64,aGk="},
        {"type": "image_url", "image_url": "https://a.test/x.png"},
        {"type": "document_url", "document_url": "data:application/pdf;base64,aGk=", "document_name": "a.pdf"},
    ]
    with pytest.raises(ConfigurationError, match="audio"):
        prepared().invoke([HumanMessage([{"type": "audio", "base64": "aGk=", "mime_type": "audio/wav"}])])


# life cycle


def test_several_event_loops(standin: Standin) -> None:
    model = ChatMistralAgent(model="m", api_key="test-key", base_url=standin.base_url)

    async def ask() -> str:
        text = str((await model.ainvoke("Hello")).text)
        await model.mistral.aclose()
        return text

    assert asyncio.run(ask()) == asyncio.run(ask())


def test_pickle_and_deepcopy(standin: Standin) -> None:
    model = ChatMistralAgent(model="m", api_key="test-key", base_url=standin.base_url, connectors=[WebSearch()])
    model.invoke("Hello")
    for twin in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert twin.invoke("Hello").text


def test_configurable_fields(standin: Standin) -> None:
    model = ChatMistralAgent(model="m", api_key="test-key", base_url=standin.base_url).configurable_fields(
        model=ConfigurableField(id="model")
    )
    answer = model.invoke("Hello", {"configurable": {"model": "other"}})
    assert answer.response_metadata["model_name"].endswith("other")


def test_leaving_a_stream_early_frees_the_connection(standin: Standin) -> None:
    client = MistralAgents(api_key="test-key", base_url=standin.base_url)
    model = ChatMistralAgent(model="m", client=client)
    for _ in range(120):
        stream: Any = model.stream("Hello, tell me more about what you are")
        next(stream)
        stream.close()
    assert model.invoke("Hello").text


def test_the_cache_is_off_and_refused_where_it_would_hide_turns() -> None:
    from langchain_core.caches import InMemoryCache

    assert ChatMistralAgent(model="m", store=True).cache is False
    assert ChatMistralAgent(model="m", conversation_id="conv_1").cache is False
    for kept in ({"store": True}, {"conversation_id": "conv_1"}):
        with pytest.raises(ValueError, match="cache"):
            ChatMistralAgent(model="m", cache=InMemoryCache(), **kept)  # type: ignore[typeddict-item]


def test_identifying_params_differ_where_models_do() -> None:
    same = {"model": "m"}
    variants: list[dict[str, Any]] = [
        same,
        {"model": "n"},
        {**same, "conversation_id": "c"},
        {**same, "connectors": [WebSearch()]},
        {**same, "temperature": 0.5},
        {**same, "base_url": "https://b.test"},
        {**same, "instructions": "x"},
        {"agent_id": "a"},
        {"agent_id": "a", "agent_version": 0},
    ]
    keys = [json.dumps(ChatMistralAgent(**v)._identifying_params, sort_keys=True) for v in variants]
    assert len(set(keys)) == len(variants)


class Shown(BaseCallbackHandler):
    """Everything that a tracer is told of a model's run."""

    def __init__(self) -> None:
        self.text = ""

    def on_chat_model_start(self, serialized: dict[str, Any], messages: Any, **kwargs: Any) -> None:
        self.text += json.dumps([serialized, kwargs], default=str)


@pytest.mark.parametrize("as_dict", [False, True])
def test_credentials_stay_out_of_texts_and_traces(prepared: Make, wire: Wire, as_dict: bool) -> None:
    tool: Any = Connector("crm", authorization={"type": "api-key", "value": "hunter2"})
    tool = dict(tool) if as_dict else tool
    handler = Shown()
    model = prepared(connectors=[tool])
    bound = prepared().bind_tools([tool])
    for each in (model, bound):
        each.invoke("Go", {"callbacks": [handler]})
        assert wire.bodies[-1]["tools"][0]["authorization"]["value"] == "hunter2"
    told = f"{model!r} {model} {bound!r} {dumps(model)} {dumps(bound)} {model._identifying_params} {handler.text}"
    assert "connector" in told
    assert "hunter2" not in told
    assert tool["authorization"]["value"] == "hunter2"


def test_the_key_stays_out_of_texts() -> None:
    model = ChatMistralAgent(model="m", api_key="top-secret")
    assert "top-secret" not in f"{model!r} {model} {dumps(model)} {model._identifying_params}"


def test_usage_reaches_the_counter_of_langchain(prepared: Make, wire: Wire) -> None:
    wire.answer((200, FULL))
    counter = UsageMetadataCallbackHandler()
    prepared().invoke("Go", {"callbacks": [counter]})
    assert counter.usage_metadata["mistral-small-latest"]["total_tokens"] == 22


def test_agent_id_and_model_exclude_each_other() -> None:
    with pytest.raises(ValueError, match="agent_id"):
        ChatMistralAgent(model="m", agent_id="a")
    with pytest.raises(ValueError, match="agent_id"):
        ChatMistralAgent()


def test_the_address_in_the_environment_may_change(monkeypatch: pytest.MonkeyPatch) -> None:
    model = ChatMistralAgent(model="m", api_key="k")
    for address in ("https://a.test", "https://b.test"):
        monkeypatch.setenv("MISTRAL_BASE_URL", address)
        assert model.mistral.base_url == address


def test_headers_on_request(prepared: Make, wire: Wire) -> None:
    wire.answer((200, REPLY, {"x-special": "1"}))
    assert "headers" not in prepared().invoke("Go").response_metadata
    assert prepared(include_response_headers=True).invoke("Go").response_metadata["headers"]["x-special"] == "1"


def test_tokens_are_estimated_without_a_tokenizer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_counting, "_find_encoder", lambda: None)
    model = ChatMistralAgent(model="m")
    assert model.get_num_tokens("12345678") == 2
    assert model.get_num_tokens_from_messages([HumanMessage("12345678")]) == 6


def test_the_version_is_in_the_metadata_of_runs() -> None:
    metadata = ChatMistralAgent(model="m").metadata
    assert metadata is not None
    assert "mistral-agents" in metadata["lc_versions"]


def test_a_new_conversation_takes_name_description_and_metadata(prepared: Make, wire: Wire) -> None:
    prepared(store=True, metadata={"user": "ada"}).invoke("Go", name="talk", description="A talk.")
    body = wire.bodies[0]
    assert (body["name"], body["description"], body["metadata"]) == ("talk", "A talk.", {"user": "ada"})


def test_several_loops_without_closing(standin: Standin) -> None:
    """The second `asyncio.run` meets connections of a loop that is gone."""
    model = ChatMistralAgent(model="m", api_key="test-key", base_url=standin.base_url)
    for _ in range(3):
        assert asyncio.run(model.ainvoke("Hello")).text
