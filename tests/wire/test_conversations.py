"""Bodies, exactly; and what is refused before anything is sent."""

from __future__ import annotations

import asyncio

import pytest

from mistral_agents.entries import function_result
from mistral_agents.errors import ConfigurationError


def test_start_sends_what_was_given_and_nothing_else(make_client, wire):
    client = make_client()
    client.conversations.start("hello", model="m")
    client.conversations.start(inputs="hello", agent_id="ag_1", agent_version=0, store=False, metadata={})
    assert wire.bodies == [
        {"inputs": "hello", "model": "m"},
        {"inputs": "hello", "agent_id": "ag_1", "agent_version": 0, "store": False, "metadata": {}},
    ]


def test_sync_async_call_and_stream_send_the_same_body(make_client, wire):
    client = make_client()
    options = {"store": True, "completion_args": {"temperature": 0}, "handoff_execution": "client"}
    done = b'event: conversation.response.done\ndata: {"type": "conversation.response.done"}\n\n'
    client.conversations.append("conv_1", "hello", **options)
    asyncio.run(client.conversations.aappend("conv_1", "hello", **options))
    wire.answer((200, done))
    client.conversations.append_stream("conv_1", "hello", **options).read()
    asyncio.run(client.conversations.aappend_stream("conv_1", "hello", **options).aread())
    call, acall, stream, astream = wire.bodies
    assert call == acall == {"inputs": "hello", **options}
    assert stream == astream == {**call, "stream": True}
    assert {str(request.url) for request in wire.requests} == {"https://service.test/v1/conversations/conv_1"}


def test_restart_names_its_entry(make_client, wire):
    make_client().conversations.restart(conversation_id="conv_1", from_entry_id="msg_1", inputs="else")
    assert wire.bodies == [{"inputs": "else", "from_entry_id": "msg_1"}]
    assert wire.requests[0].url.path == "/v1/conversations/conv_1/restart"


def test_confirmations_need_no_inputs(make_client, wire):
    answer = [{"tool_call_id": "abc", "confirmation": "allow"}]
    make_client().conversations.append("conv_1", tool_confirmations=answer)
    make_client().conversations.append("conv_1", [function_result("abc", {"a": 1})])
    assert wire.bodies == [
        {"tool_confirmations": answer},
        {"inputs": [{"type": "function.result", "tool_call_id": "abc", "result": '{"a": 1}'}]},
    ]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "agent_id= or model="),
        ({"model": "m", "agent_id": "ag_1"}, "not both"),
        ({"agent_id": "ag_1", "completion_args": {"temperature": 0}}, "completion_args"),
        ({"agent_id": "ag_1", "instructions": "be kind"}, "instructions"),
        ({"model": "m", "handoff_execution": "server"}, "handoff_execution"),
        ({"model": "m", "n": 2}, "takes no n"),
    ],
)
def test_a_start_that_the_service_would_refuse_is_refused_here(make_client, wire, options, says):
    with pytest.raises(ConfigurationError, match=says):
        make_client().conversations.start("hello", **options)
    assert wire.requests == []


@pytest.mark.parametrize("inputs", ["", "  ", [], None, 7, [None], b"bytes"])
def test_inputs_must_say_something(make_client, wire, inputs):
    with pytest.raises(ConfigurationError, match="inputs"):
        make_client().conversations.start(inputs, model="m")
    with pytest.raises(ConfigurationError, match="inputs"):
        make_client().conversations.append("conv_1", inputs)
    assert wire.requests == []


def test_append_refuses_tools_by_name(make_client, wire):
    with pytest.raises(ConfigurationError, match="tools"):
        make_client().conversations.append("conv_1", "hello", tools=[{"type": "web_search"}])
    assert wire.requests == []


def test_lists_page_to_the_end_and_send_no_sentinel(make_client, wire):
    pages = [[{"id": f"conv_{page}_{row}"} for row in range(2)] for page in range(2)]
    client = make_client()
    for listing in (lambda: list(client.conversations.list(page_size=2)), lambda: asyncio.run(_collect(client))):
        wire.requests.clear()
        wire.answer((200, pages[0]), (200, pages[1]), (200, []))
        assert [found.conversation_id for found in listing()] == ["conv_0_0", "conv_0_1", "conv_1_0", "conv_1_1"]
        assert [dict(request.url.params) for request in wire.requests] == [
            {"page": str(page), "page_size": "2", "metadata": "{}"} for page in range(3)
        ]


async def _collect(client):
    return [found async for found in client.conversations.alist(page_size=2)]


def test_history_keeps_unknown_entries(make_client, wire):
    rows = [{"type": "message.input", "id": "a", "role": "user", "content": "q"}, {"type": "memory.recall", "id": "b"}]
    wire.answer((200, {"object": "conversation.history", "conversation_id": "conv_1", "entries": rows}))
    history = make_client().conversations.get_history(conversation_id="conv_1")
    assert [(entry.id, entry.type) for entry in history.entries] == [("a", "message.input"), ("b", "memory.recall")]
    assert history.entries[1].raw == rows[1]


def test_delete(make_client, wire):
    wire.answer((204, b""))
    make_client().conversations.delete("conv_1")
    assert (wire.requests[0].method, wire.requests[0].url.path) == ("DELETE", "/v1/conversations/conv_1")


def test_records_give_keys_as_attributes(make_client, wire):
    wire.answer((200, {"id": "conv_1", "created_at": "2026-07-21T00:18:55.603118Z", "brand_new": 1}))
    found = make_client().conversations.get("conv_1")
    assert (found.id, found.brand_new, found["created_at"]) == ("conv_1", 1, "2026-07-21T00:18:55.603118Z")
    assert found.created_at.utcoffset().total_seconds() == 0
    with pytest.raises(AttributeError, match=r"no field 'archive'.*created_at"):
        _ = found.archive
