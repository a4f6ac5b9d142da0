"""A turn is the same through invoke, stream, events v2 and v3, sync and async, whatever the output version."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from operator import add
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage, message_chunk_to_message

from langchain_mistral_agents import ChatMistralAgent
from tests.wire.conftest import Wire

from .conftest import sse
from .turns import REPLY, events

Make = Callable[..., ChatMistralAgent]
VERSIONS = pytest.mark.parametrize("version", [None, "v1"])


def told(message: Any) -> dict[str, Any]:
    """What must be equal; headers and the order of metadata aside."""
    assert isinstance(message, AIMessage)
    metadata = {k: v for k, v in message.response_metadata.items() if k not in ("request_id", "quotas")}
    return {
        "blocks": message.content_blocks,
        "text": str(message.text),
        "calls": message.tool_calls,
        "invalid": message.invalid_tool_calls,
        "usage": message.usage_metadata,
        "metadata": metadata,
        "id": message.id,
    }


@pytest.fixture
def expected(prepared: Make, wire: Wire) -> dict[str, Any]:
    wire.answer((200, REPLY))
    return told(prepared().invoke("Go"))


@VERSIONS
def test_invoke(prepared: Make, wire: Wire, expected: dict[str, Any], version: Any) -> None:
    wire.answer((200, REPLY))
    assert told(prepared(output_version=version).invoke("Go")) == expected


@VERSIONS
async def test_ainvoke(prepared: Make, wire: Wire, expected: dict[str, Any], version: Any) -> None:
    wire.answer((200, REPLY))
    assert told(await prepared(output_version=version).ainvoke("Go")) == expected


@VERSIONS
def test_stream(prepared: Make, wire: Wire, expected: dict[str, Any], version: Any) -> None:
    wire.answer((200, sse(*events())))
    merged = reduce(add, prepared(output_version=version).stream("Go"))
    assert told(message_chunk_to_message(merged)) == expected


@VERSIONS
async def test_astream(prepared: Make, wire: Wire, expected: dict[str, Any], version: Any) -> None:
    wire.answer((200, sse(*events())))
    chunks = [chunk async for chunk in prepared(output_version=version).astream("Go")]
    assert told(message_chunk_to_message(reduce(add, chunks))) == expected


def test_streaming_invoke(prepared: Make, wire: Wire, expected: dict[str, Any]) -> None:
    wire.answer((200, sse(*events())))
    assert told(prepared(streaming=True).invoke("Go")) == expected


async def test_events_v2(prepared: Make, wire: Wire, expected: dict[str, Any]) -> None:
    wire.answer((200, sse(*events())))
    ended = [e async for e in prepared().astream_events("Go", version="v2") if e["event"] == "on_chat_model_end"]
    assert told(message_chunk_to_message(ended[0]["data"]["output"])) == expected


@VERSIONS
def test_events_v3(prepared: Make, wire: Wire, expected: dict[str, Any], version: Any) -> None:
    wire.answer((200, sse(*events())))
    stream = prepared(output_version=version).stream_events("Go", version="v3")
    assert told(stream.output) == expected


async def test_async_events_v3(prepared: Make, wire: Wire, expected: dict[str, Any]) -> None:
    wire.answer((200, sse(*events())))
    stream = await prepared().astream_events("Go", version="v3")
    assert told(await stream) == expected


def test_every_block_ends_before_the_next_text_begins_under_v3(prepared: Make, wire: Wire) -> None:
    wire.answer((200, sse(*events())))
    seen = [
        e for e in prepared().stream_events("Go", version="v3") if str(e.get("event", "")).startswith("content-block")
    ]
    kinds = [(e["event"], e["content"]["type"]) for e in seen if "content" in e]
    ended = kinds.index(("content-block-finish", "server_tool_result"))
    assert ended < kinds.index(("content-block-start", "text"))


class Tokens(BaseCallbackHandler):
    def __init__(self) -> None:
        self.tokens: list[Any] = []

    def on_llm_new_token(self, token: str, **kwargs: Any) -> None:
        self.tokens.append(token)


def test_token_handlers_get_text_under_v3(prepared: Make, wire: Wire) -> None:
    """(In `stream` LangChain itself calls them, with the content as it is.)"""
    wire.answer((200, sse(*events())))
    handler = Tokens()
    _ = prepared().stream_events("Go", {"callbacks": [handler]}, version="v3").output
    assert all(isinstance(token, str) for token in handler.tokens)
    assert "".join(handler.tokens) == "One and two"


def test_what_it_says(expected: dict[str, Any]) -> None:
    """The blocks themselves, so that equality is not equality of nothing."""
    kinds = [block["type"] for block in expected["blocks"]]
    assert kinds == [
        "server_tool_call",
        "server_tool_result",
        "server_tool_call",
        "server_tool_result",
        "server_tool_call",
        "server_tool_result",
        "non_standard",
        "reasoning",
        "text",
        "text",
        "image",
        "file",
        "non_standard",
        "tool_call",
        "tool_call",
    ]
    names = [b["name"] for b in expected["blocks"] if b["type"] == "server_tool_call"]
    assert names == ["web_search", "file_search", "code_interpreter"]
    status = [b["status"] for b in expected["blocks"] if b["type"] == "server_tool_result"]
    assert status == ["success", "success", "error"]
    first, second = (b for b in expected["blocks"] if b["type"] == "text")
    assert sorted(c.get("title") for c in first["annotations"]) == ["a", "b", "paper.pdf"]
    assert [c["title"] for c in second["annotations"]] == ["c"]
    assert expected["blocks"][4]["args"] == {"input": "print(1)"}
    assert [call["args"] for call in expected["calls"]] == [{"a": 1, "b": 2}, {}]
    assert expected["usage"] == {
        "input_tokens": 17,
        "output_tokens": 5,
        "total_tokens": 22,
        "input_token_details": {"connector": 7},
    }
    assert expected["metadata"]["finish_reason"] == "tool_calls"
    assert expected["metadata"]["model_name"] == "mistral-small-latest"
