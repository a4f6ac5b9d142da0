"""Text is well-formed Unicode in both directions, however a stream cuts it."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mistral_agents._api.recovery import find_turn
from mistral_agents._border.text import mend_json, mend_parts, mend_text, parse_json
from mistral_agents._http.calls import json_bytes
from mistral_agents._http.sse import EventDecoder
from mistral_agents.entries import ToolExecution, parse_entries, short_call_id

ANY_TEXT = st.text(alphabet=st.characters(codec=None), max_size=12)
LONE = "\ud83d"


def stream_of(*events: dict[str, Any]) -> bytes:
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


def message(content: Any, **more: Any) -> dict[str, Any]:
    return {"type": "message.output.delta", "id": "msg_1", "content_index": 0, "content": content, **more}


def decoded(*events: dict[str, Any], step: int = 7) -> list[dict[str, Any]]:
    decoder, data = EventDecoder(), stream_of(*events)
    found = [event for at in range(0, len(data), step) for event in decoder.feed(data[at : at + step])]
    return [*found, *decoder.flush()]


def halves(text: str) -> list[str]:
    """A text as UTF-16 code units, each a text of its own."""
    raw = text.encode("utf-16-le", "surrogatepass")
    return [raw[at : at + 2].decode("utf-16-le", "surrogatepass") for at in range(0, len(raw), 2)]


@given(ANY_TEXT)
def test_any_text_goes_out_well_formed(text: str) -> None:
    sent = json.loads(json_bytes({"inputs": text, "deep": [{text: (text,)}]}))
    assert sent["inputs"] == mend_text(text)
    assert mend_text(text).encode().decode() == mend_text(text)


@given(ANY_TEXT)
def test_any_text_comes_in_well_formed(text: str) -> None:
    json.dumps(parse_json(json.dumps({"a": [text]})), ensure_ascii=False).encode()
    assert mend_text(mend_text(text)) == mend_text(text)


@given(st.text(max_size=8), st.integers(1, 9))
def test_a_stream_cut_inside_characters_is_whole_again_and_every_piece_is_well_formed(text: str, step: int) -> None:
    done = {"type": "conversation.response.done"}
    events = decoded(*(message(half) for half in halves(text)), done, step=step)
    pieces = [event["content"] for event in events[:-1]]
    assert "".join(pieces) == text
    assert all(piece.encode() is not None for piece in pieces)
    assert events[-1]["type"] == done["type"]


def test_thoughts_chunks_and_arguments_are_joined_too() -> None:
    for wrap, unwrap in (
        (lambda text: message({"type": "text", "text": text}), lambda event: event["content"]["text"]),
        (
            lambda text: message({"type": "thinking", "thinking": [{"type": "text", "text": text}]}),
            lambda event: event["content"]["thinking"][0]["text"],
        ),
        (lambda text: {"type": "function.call.delta", "id": "c", "arguments": text}, lambda event: event["arguments"]),
    ):
        found = decoded(wrap("a\ud83d"), wrap("\ude00b"))
        assert [unwrap(event) for event in found] == ["a", "😀b"]


def test_texts_that_run_at_once_are_kept_apart() -> None:
    other = {"id": "msg_2"}
    found = decoded(message("\ud83d"), message("\ud83c", **other), message("\ude00"), message("\udf89", **other))
    assert "".join(event["content"] for event in found if event["id"] == "msg_1") == "😀"
    assert "".join(event["content"] for event in found if event["id"] == "msg_2") == "🎉"


def test_a_half_that_stays_alone_is_replaced_before_the_end() -> None:
    for end in ([{"type": "conversation.response.done"}], []):
        found = decoded(message("a" + LONE), *end)
        assert "".join(event.get("content", "") for event in found) == "a�"


def test_digests_take_any_text() -> None:
    assert short_call_id(LONE) == short_call_id(LONE)
    assert mend_json({LONE: [LONE, 1, None]}) == {"�": ["�", 1, None]}


def test_json_inside_of_what_the_service_says_is_well_formed_too() -> None:
    """What a hosted tool gave, and what it was called with, is JSON in a text of the reply."""
    info = {"result": '[{"text": "a\\ud83d"}]'}
    [run] = parse_entries(
        [{"type": "tool.execution", "name": "web_search", "arguments": '{"q": "\\ud83d"}', "info": info}]
    )
    assert isinstance(run, ToolExecution)
    assert run.result == [{"text": "a\ufffd"}]
    assert run.args == {"q": "\ufffd"}


def test_names_of_files_go_out_well_formed() -> None:
    parts = mend_parts({"file": (f"a{LONE}.txt", b"\xff\xd8", "text/plain"), "purpose": (None, f"b{LONE}")})
    assert parts == {"file": ("a\ufffd.txt", b"\xff\xd8", "text/plain"), "purpose": (None, "b\ufffd")}


def test_a_lost_answer_is_found_by_what_went_out() -> None:
    held = [{"type": "message.input", "id": "e1", "role": "user", "content": "a\ufffd"}]
    held.append({"type": "message.output", "id": "e2", "role": "assistant", "content": "ok"})
    found = find_turn("conv_1", parse_entries(held), None, f"a{LONE}")
    assert found is not None
    assert found.text == "ok"
