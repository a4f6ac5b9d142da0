"""An answer of text alone is a string, in a call and as the sum of a stream; what is more has blocks; all forms agree."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from functools import reduce
from operator import add
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.load import dumps, loads
from langchain_core.messages import AIMessage, AIMessageChunk, message_chunk_to_message
from langchain_core.output_parsers import (
    CommaSeparatedListOutputParser,
    MarkdownListOutputParser,
    NumberedListOutputParser,
    XMLOutputParser,
)
from langchain_core.outputs import ChatGenerationChunk

from langchain_mistral_agents import ChatMistralAgent
from langchain_mistral_agents._answer_chunk import AnswerChunk, add_chunks, merge_chunks
from langchain_mistral_agents._chunks import AnswerChunks
from langchain_mistral_agents._messages_in import Sent, make_answer
from mistral_agents._http.fold import EventFold
from mistral_agents.turn import Turn
from tests.wire.conftest import Wire

from .conftest import sse
from .turns import CONVERSATION, USAGE, events, execution, message, reference

Make = Callable[..., ChatMistralAgent]
WORDS = {"type": "text", "text": "Hello there. "}
SEARCH = execution("t", "web_search", "web_search", '{"query": "x"}', {"result": "{}"})
CALL = {"object": "entry", "type": "function.call", "id": "f", "tool_call_id": "abcdefghi", "name": "f"}
THOUGHT = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
FILE = {"type": "tool_file", "tool": "code_interpreter", "file_id": "f1", "file_name": "a.csv", "file_type": "csv"}

TEXT_ALONE = {
    "one message": [message("m", "Hello there. ")],
    "in chunks": [message("m", [WORDS, WORDS])],
    "two messages": [message("m", "Hello "), message("n", [WORDS])],
    "no words": [message("m", "")],
    "nothing": [],
}
MORE = {
    "a citation": [message("m", [WORDS, reference("a"), WORDS])],
    "a tool": [message("m", [WORDS]), SEARCH, message("n", [WORDS])],
    "a tool first": [SEARCH, message("m", [WORDS])],
    "a call": [message("m", [WORDS]), {**CALL, "arguments": '{"a": 1}'}],
    "a broken call": [message("m", [WORDS]), {**CALL, "arguments": '{"a": '}],
    "thoughts": [message("m", [THOUGHT, WORDS])],
    "thoughts between": [message("m", [WORDS, THOUGHT, WORDS])],
    "a file": [message("m", [WORDS, FILE])],
    "something unknown": [message("m", [WORDS, {"type": "surprise"}])],
}


def reply(entries: list[Any]) -> dict[str, Any]:
    return {"object": "conversation.response", "conversation_id": CONVERSATION, "outputs": entries, "usage": USAGE}


def streamed(entries: list[Any]) -> list[Any]:
    """The events of a turn; a message without words has one too."""
    whole = []
    for entry in entries:
        content = entry.get("content")
        if content in ("", []):
            delta = {"type": "message.output.delta", "id": entry["id"], "model": entry["model"], "content": ""}
            whole.append(delta)
        else:
            listed = {"content": [{"type": "text", "text": content}]} if isinstance(content, str) else {}
            whole += events([{**entry, **listed}])[1:-1]
    frame = events([])
    return [frame[0], *whole, frame[-1]]


def forms(entries: list[Any], **sent: Any) -> tuple[AIMessage, AIMessage]:
    """The message of a call, and of a stream."""
    fold = EventFold()
    given_sent = Sent(stored=False, prefix="", setup="", model="m", **sent)
    chunks = AnswerChunks(given_sent)
    found = [chunks.feed(fold.apply(event)) for event in streamed(entries)]
    turn = Turn.from_response(fold.response())
    whole = [chunk for chunk in [*found, *chunks.end(turn)] if chunk is not None]
    one_by_one, at_once = message_chunk_to_message(reduce(add, whole)), merge_chunks(whole)
    generations = [ChatGenerationChunk(message=chunk) for chunk in whole]
    listed = message_chunk_to_message((generations[0] + generations[1:]).message)
    assert one_by_one == at_once == listed
    assert isinstance(at_once, AIMessage)
    return make_answer(Turn.from_response(reply(entries)), given_sent), at_once


def same(one: AIMessage, other: AIMessage, *, metadata: bool = True) -> None:
    assert one.content_blocks == other.content_blocks
    assert one.text == other.text
    assert one.tool_calls == other.tool_calls
    assert one.invalid_tool_calls == other.invalid_tool_calls
    if metadata:
        assert one == other


@pytest.mark.parametrize("entries", TEXT_ALONE.values(), ids=TEXT_ALONE.keys())
def test_text_alone_is_a_string(entries: list[Any]) -> None:
    call, stream = forms(entries)
    assert isinstance(call.content, str)
    assert call.content == call.text == Turn.from_response(reply(entries)).text
    same(call, stream)


@pytest.mark.parametrize("entries", MORE.values(), ids=MORE.keys())
def test_what_is_more_has_blocks(entries: list[Any]) -> None:
    call, stream = forms(entries)
    assert isinstance(call.content, list)
    assert all(isinstance(block, dict) for block in call.content)
    same(call, stream)
    assert call.response_metadata["output_version"] == "v1"


@pytest.mark.parametrize("entries", [*TEXT_ALONE.values(), *MORE.values()], ids=[*TEXT_ALONE, *MORE])
def test_v1_is_blocks_always_and_says_the_same(entries: list[Any]) -> None:
    call, stream = forms(entries, blocks=True)
    assert isinstance(call.content, list)
    same(call, stream)
    same(call, forms(entries)[0], metadata=False)


@pytest.mark.parametrize("stop", [("there",), ("Hello",), (". ",), ("nowhere",)])
@pytest.mark.parametrize("entries", [*TEXT_ALONE.values(), *MORE.values()], ids=[*TEXT_ALONE, *MORE])
def test_a_stop_sequence_cuts_all_forms_alike(entries: list[Any], stop: tuple[str, ...]) -> None:
    call, stream = forms(entries, stop=stop)
    same(call, stream, metadata=False)
    assert stop[0] not in call.text


def test_a_citation_keeps_its_place_where_text_came_as_a_string_first() -> None:
    for found in forms(MORE["a citation"]):
        first, second = found.content_blocks
        assert first["text"] == WORDS["text"]  # type: ignore[typeddict-item]
        assert first["annotations"][0]["extras"]["offset"] == len(WORDS["text"])  # type: ignore[typeddict-item]
        assert "annotations" not in second


ITEM = st.sampled_from([WORDS, reference("a"), FILE, THOUGHT, {"type": "surprise"}])
PART = st.one_of(st.lists(ITEM, max_size=4), st.sampled_from([SEARCH, CALL]))


@given(st.lists(PART, max_size=5), st.booleans())
def test_any_turn_is_the_same_in_a_call_and_a_stream(parts: list[Any], blocks: bool) -> None:
    entries = [
        message(f"m{i}", part) if isinstance(part, list) else {**part, "id": f"e{i}", "arguments": "{}"}
        for i, part in enumerate(parts)
    ]
    call, stream = forms(entries, blocks=blocks)
    same(call, stream)
    assert isinstance(call.content, str) is (
        not blocks
        and all(block["type"] == "text" for block in call.content_blocks)
        and not any("annotations" in block for block in call.content_blocks)
    )


# chunks -------------------------------------------------------------------------------------------------------------


def broken() -> AIMessageChunk:
    pieces = [("f", '{"a": '), (None, "")]
    chunks = [
        AnswerChunk(
            content=[{"type": "tool_call_chunk", "name": name, "args": args, "id": name and "abcdefghi", "index": 0}],
            tool_call_chunks=[
                {"type": "tool_call_chunk", "name": name, "args": args, "id": name and "abcdefghi", "index": 0}
            ],
            response_metadata={"output_version": "v1"},
        )
        for name, args in pieces
    ]
    return add_chunks([*chunks, AnswerChunk(content=[], chunk_position="last")])


COPIES: dict[str, Callable[[Any], Any]] = {
    "as it is": lambda chunk: chunk,
    "a message": message_chunk_to_message,
    "loads": lambda chunk: loads(dumps(chunk), allowed_objects="messages"),
    "loads of the message": lambda chunk: loads(dumps(message_chunk_to_message(chunk)), allowed_objects="messages"),
    "pickle": lambda chunk: pickle.loads(pickle.dumps(chunk)),
    "model_copy": lambda chunk: chunk.model_copy(deep=True),
}


@pytest.mark.parametrize("copy", COPIES.values(), ids=COPIES.keys())
def test_half_a_call_stays_invalid_whatever_copies_the_sum(copy: Callable[[Any], Any]) -> None:
    whole = copy(broken())
    assert whole.tool_calls == []
    (call,) = whole.invalid_tool_calls
    assert (call["name"], call["args"], call["id"]) == ("f", '{"a": ', "abcdefghi")
    assert "JSON" in call["error"]
    assert [block["type"] for block in whole.content_blocks] == ["invalid_tool_call"]


@pytest.mark.parametrize("kind", [lambda chunk: chunk, message_chunk_to_message], ids=["chunk", "message"])
def test_a_checkpoint_keeps_half_a_call_invalid(kind: Callable[[Any], Any]) -> None:
    serde = pytest.importorskip("langgraph.checkpoint.serde.jsonplus").JsonPlusSerializer()
    kept = serde.loads_typed(serde.dumps_typed(kind(broken())))
    assert (kept.tool_calls, len(kept.invalid_tool_calls)) == ([], 1)


@pytest.mark.parametrize("args", ['{"a": ', '{"a": "b', '{"a": NaN}', "[1]", ""])
def test_a_stream_that_was_left_names_only_calls_that_are_whole(args: str) -> None:
    def piece(text: str) -> AnswerChunk:
        chunk: Any = {"type": "tool_call_chunk", "name": "f", "args": text, "id": "abcdefghi", "index": 0}
        return AnswerChunk(content=[chunk], tool_call_chunks=[chunk], response_metadata={"output_version": "v1"})

    for left in (piece(args), piece(args) + AnswerChunk(content=[]), AIMessageChunk(content=[]) + piece(args)):
        for copy in (left, message_chunk_to_message(left)):
            assert [call["args"] for call in copy.tool_calls] == ([{}] if not args else [])
            assert copy.invalid_tool_calls == []
    assert [call["args"] for call in piece('{"a": 1}').tool_calls] == [{"a": 1}]


def test_sums_are_plain_chunks() -> None:
    piece = AnswerChunk(content="a", id="m")
    for whole in (piece + piece, add(piece, [piece, piece]), AIMessageChunk(content="x") + piece):
        assert type(whole) is AIMessageChunk
        assert type(message_chunk_to_message(whole)) is AIMessage
    assert type(loads(dumps(piece), allowed_objects="messages")) is AIMessageChunk
    assert pickle.loads(pickle.dumps(piece)) == piece


# parsers ------------------------------------------------------------------------------------------------------------

PARSERS: dict[str, tuple[Any, str, list[Any]]] = {
    "commas": (CommaSeparatedListOutputParser(), "a, b, c", [["a"], ["b"], ["c"]]),
    "numbers": (NumberedListOutputParser(), "1. a\n2. b\n", [["a"], ["b"]]),
    "markdown": (MarkdownListOutputParser(), "- a\n- b\n", [["a"], ["b"]]),
    "xml": (XMLOutputParser(parser="xml"), "<r><a>x</a></r>", [{"r": [{"a": "x"}]}]),
}


@pytest.mark.parametrize(("parser", "text", "parts"), PARSERS.values(), ids=PARSERS.keys())
def test_parsers_stream(prepared: Make, wire: Wire, parser: Any, text: str, parts: list[Any]) -> None:
    wire.answer((200, sse(*events([message("m", [{"type": "text", "text": text}])]))))
    assert list((prepared() | parser).stream("Go")) == parts


async def test_parsers_stream_without_blocking(prepared: Make, wire: Wire) -> None:
    parser, text, parts = PARSERS["commas"]
    wire.answer((200, sse(*events([message("m", [{"type": "text", "text": text}])]))))
    assert [part async for part in (prepared() | parser).astream("Go")] == parts


@pytest.mark.parametrize("store", [False, True])
def test_chunks_of_a_stream_are_strings(prepared: Make, wire: Wire, store: bool) -> None:
    wire.answer((200, sse(*streamed(TEXT_ALONE["two messages"]))))
    chunks = list(prepared(store=store).stream("Go"))
    assert all(isinstance(chunk.content, str) for chunk in chunks)
    assert reduce(add, chunks).content == "Hello Hello there. "


def test_the_environment_may_ask_for_blocks(prepared: Make, wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_OUTPUT_VERSION", "v1")
    wire.answer((200, reply(TEXT_ALONE["one message"])))
    assert prepared().invoke("Go").content == [{"type": "text", "text": "Hello there. ", "index": 0}]
