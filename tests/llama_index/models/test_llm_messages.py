"""Replies as messages and messages as inputs: nothing lost, nothing sent that is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llama_index.core.base.llms.types import (
    AudioBlock,
    CitationBlock,
    DocumentBlock,
    ImageBlock,
    TextBlock,
)
from llama_index.core.llms import ChatMessage

from llama_index_mistral_agents._messages_in import answer_message, history_messages
from llama_index_mistral_agents._messages_out import to_inputs
from llama_index_mistral_agents._plan import Request
from llama_index_mistral_agents._turns import Progress, finish
from mistral_agents._border.turns import TurnRequest
from mistral_agents._http.fold import EventFold
from mistral_agents._http.sse import EventDecoder
from mistral_agents.entries import parse_entries
from mistral_agents.errors import ConfigurationError
from mistral_agents.turn import Turn

SHARED = Path(__file__).parents[4] / "shared" / "payloads"
recorded = pytest.mark.skipif(not SHARED.is_dir(), reason="the recordings are not part of a user's clone")
FORBIDDEN = {"id", "object", "created_at", "completed_at", "model", "agent_id"}


def reply(name: str) -> Turn:
    return Turn.from_response(json.loads((SHARED / f"{name}.json").read_text()))


def message_output(content: Any) -> dict[str, Any]:
    return {"type": "message.output", "id": "msg_1", "role": "assistant", "content": content}


def turn_of(*outputs: dict[str, Any]) -> Turn:
    return Turn.from_response({"conversation_id": "conv_1", "outputs": list(outputs)})


TEXT = {"type": "text", "text": "It rains."}
REFERENCE = {"type": "tool_reference", "tool": "web_search", "title": "Weather", "url": "https://w.test", "extra": 1}


def test_blocks_are_in_order_and_the_text_is_one_block() -> None:
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}
    call = {"type": "function.call", "tool_call_id": "abc", "name": "look", "arguments": '{"where": "out"}'}
    turn = turn_of(message_output([thinking, TEXT, REFERENCE, {"type": "text", "text": " Still."}]), call)
    message = answer_message(turn, stored=False)
    kinds = [block.block_type for block in message.blocks]
    assert kinds in (["thinking", "text", "citation", "tool_call"], ["text", "citation"])
    assert message.content == "It rains. Still." == turn.text
    [citation] = message.additional_kwargs["citations"]
    assert citation == {"origin": "web", "title": "Weather", "url": "https://w.test", "offset": len("It rains.")}
    [block] = [block for block in message.blocks if isinstance(block, CitationBlock)]
    assert (block.source, block.title) == ("https://w.test", "Weather")


CHUNK = st.one_of(
    st.builds(lambda text: {"type": "text", "text": text}, st.text(max_size=9)),
    st.just(REFERENCE),
    st.builds(lambda text: {"type": "thinking", "thinking": [{"type": "text", "text": text}]}, st.text(max_size=9)),
    st.just({"type": "tool_file", "tool": "code_interpreter", "file_id": "f", "file_name": "a.csv"}),
    st.just({"type": "never seen", "x": 1}),
)


@given(st.lists(st.one_of(st.lists(CHUNK, max_size=5), st.text(max_size=9)), max_size=4))
def test_content_is_the_joined_text_and_survives_json(contents: list[Any]) -> None:
    turn = turn_of(*map(message_output, contents))
    message = answer_message(turn, stored=True)
    assert (message.content or "") == turn.text
    assert ChatMessage.model_validate_json(message.model_dump_json()) == message
    for entry in to_inputs([message]):
        assert not FORBIDDEN & set(entry)
        assert entry["type"] in ("message.output", "function.call", "function.result")


@given(st.lists(st.text(min_size=1, max_size=9), max_size=6), st.booleans())
def test_a_stream_ends_as_the_call_would(pieces: list[str], store: bool) -> None:
    request = Request(TurnRequest("start", []), stored=store)
    progress, fold, deltas = Progress(request), EventFold(), ""
    events = [{"type": "conversation.response.started", "conversation_id": "conv_1"}]
    common = {"id": "msg_1", "content_index": 0, "output_index": 0, "role": "assistant"}
    events += [{"type": "message.output.delta", "content": piece, **common} for piece in pieces]
    for event in events:
        response = progress.take(event, fold.apply(event))
        if response is not None:
            deltas += response.delta or ""
            assert response.message.content == deltas
    last = finish(request, Turn.from_response(fold.response()), notify=False)
    called = finish(request, turn_of(message_output("".join(pieces))) if pieces else turn_of(), notify=False)
    assert last.message.blocks == called.message.blocks
    assert deltas == "".join(pieces) == (last.message.content or "")


@recorded
@pytest.mark.parametrize(
    "name",
    [
        "code_interpreter_2026_response",
        "document_library_2026_response",
        "image_generation_2026_response",
        "web_search_2026_response",
    ],
)
def test_recorded_replies_keep_text_citations_tools_and_files(name: str) -> None:
    turn = reply(name)
    message = answer_message(turn, stored=True)
    kwargs = message.additional_kwargs
    assert message.content == turn.text != ""
    assert len(kwargs["server_tools"]) == len(turn.tool_executions) > 0
    assert len(kwargs["citations"]) == len(turn.citations)
    assert len(kwargs.get("files", [])) == len(turn.files)
    assert kwargs["usage"]["prompt_tokens"] == turn.usage.prompt_tokens
    assert kwargs["usage"]["connectors"] == dict(turn.usage.connectors)
    assert ChatMessage.model_validate_json(message.model_dump_json()).additional_kwargs == kwargs
    assert not any(FORBIDDEN & set(entry) for entry in to_inputs([message]))


@recorded
@pytest.mark.parametrize("name", ["code_interpreter_stream", "plain_text_stream"])
def test_recorded_streams_end_with_the_whole_text(name: str) -> None:
    decoder, fold, progress = EventDecoder(), EventFold(), Progress(Request(TurnRequest("start", [])))
    deltas = ""
    for event in [*decoder.feed((SHARED / f"{name}.sse").read_bytes()), *decoder.flush()]:
        response = progress.take(event, fold.apply(event))
        deltas += (response.delta or "") if response is not None else ""
    turn = Turn.from_response(fold.response())
    assert answer_message(turn, stored=False).content == deltas == turn.text != ""


def test_a_history_becomes_messages_with_their_marks() -> None:
    entries = parse_entries(
        [
            {"type": "message.input", "id": "in_1", "role": "user", "content": "6 times 7?"},
            {"type": "function.call", "id": "fc_1", "tool_call_id": "abc", "name": "times", "arguments": "{}"},
            {"type": "function.result", "id": "fr_1", "tool_call_id": "abc", "result": "42"},
            {"type": "tool.execution", "id": "te_1", "name": "web_search", "arguments": "{}"},
            message_output("It is 42."),
            {"type": "never seen", "id": "x"},
        ]
    )
    messages = history_messages(entries, "conv_1")
    assert [message.role.value for message in messages] == ["user", "assistant", "tool", "assistant"]
    assert messages[1].additional_kwargs["tool_calls"][0]["id"] == "abc"
    assert messages[3].content == "It is 42."
    assert messages[3].additional_kwargs["server_tools"][0]["name"] == "web_search"
    assert {message.additional_kwargs["conversation_id"] for message in messages} == {"conv_1"}


def test_what_a_user_says_is_sent_in_chunks() -> None:
    blocks = [
        TextBlock(text="Look:"),
        ImageBlock(image=b"\x89PNG\r\n\x1a\n", image_mimetype="image/png"),
        ImageBlock(url="https://pictures.test/a.png"),
        DocumentBlock(url="https://papers.test/a.pdf", title="a.pdf"),
    ]
    [entry] = to_inputs([ChatMessage(role="user", blocks=blocks)])
    text, data, link, document = entry["content"]
    assert text == {"type": "text", "text": "Look:"}
    assert data["image_url"].startswith("data:image/png;base64,")
    assert link["image_url"] == "https://pictures.test/a.png"
    assert document["document_url"] == "https://papers.test/a.pdf"


def test_what_a_user_said_comes_back_from_a_history_in_its_order() -> None:
    said = [
        {"type": "text", "text": "Before:"},
        {"type": "image_url", "image_url": {"url": "https://pictures.test/a.png", "detail": "low"}},
        {"type": "text", "text": "after:"},
        {"type": "image_url", "image_url": "https://pictures.test/b.png"},
        {"type": "document_url", "document_url": "https://papers.test/a.pdf", "document_name": "a.pdf"},
        {"type": "document_url", "document_url": "data:application/pdf;base64,JVBERg=="},
    ]
    entry = {"type": "message.input", "id": "in_1", "role": "user", "content": said}
    messages = history_messages(parse_entries([entry]), "conv_1")
    assert [one["content"] for one in to_inputs(messages)] == [said]


def test_a_history_with_chunks_of_an_unknown_form_is_read() -> None:
    said = [{"text": "a"}, "b", {"type": "image_url"}, {"type": "image_url", "image_url": {"url": "u:x", "detail": 1}}]
    entry = {"type": "message.input", "id": "in_1", "role": "user", "content": [*said, {"type": "sound", "url": "s"}]}
    [message] = history_messages(parse_entries([entry]), "conv_1")
    assert [block.block_type for block in message.blocks] == ["text", "image"]
    assert message.content == "ab"
    assert message.additional_kwargs["other_chunks"] == [{"type": "image_url"}, {"type": "sound", "url": "s"}]


def test_what_the_service_cannot_take_is_named() -> None:
    with pytest.raises(ConfigurationError, match="AudioBlock"):
        to_inputs([ChatMessage(role="user", blocks=[AudioBlock(audio=b"x")])])
    with pytest.raises(ConfigurationError, match="tool_call_id"):
        to_inputs([ChatMessage(role="tool", content="42")])


def test_calls_of_another_providers_message_are_read() -> None:
    calls = [{"id": "x1", "type": "function", "function": {"name": "look", "arguments": '{"a": 1}'}}]
    message = ChatMessage(role="assistant", content=None, additional_kwargs={"tool_calls": calls})
    result = ChatMessage(role="tool", content="seen", additional_kwargs={"tool_call_id": "x1"})
    assert [entry["type"] for entry in to_inputs([message, result])] == ["function.call", "function.result"]
