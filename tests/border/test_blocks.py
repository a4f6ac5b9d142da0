"""Blocks: each one is sent, named in a warning, or refused; files never become text by their base64."""

from __future__ import annotations

import base64
import json
import warnings
from dataclasses import dataclass
from datetime import datetime, timezone
from enum import Enum
from typing import Any

import pytest
from pydantic import BaseModel

from mistral_agents._border.blocks import (
    Part,
    ResultContent,
    make_chunk,
    make_content,
    make_result,
    make_text_only,
    write_json,
)
from mistral_agents._border.calls import make_result_entry, place_files
from mistral_agents._border.dialects import read_parts, read_value, read_words
from mistral_agents._conversation.functions import run_functions
from mistral_agents.entries import FunctionCall, function_result
from mistral_agents.errors import ConfigurationError

PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)
ENCODED = base64.b64encode(PNG).decode()
PICTURE = base64.b64encode(PNG + bytes(300)).decode()
TEXT = "Grüße, 7 €"


@pytest.mark.parametrize(
    "data", [PNG, bytearray(PNG), ENCODED, ENCODED[:20] + "\n" + ENCODED[20:], f"data:image/png;base64,{ENCODED}"]
)
def test_a_picture_in_every_form_is_one_data_url(data: Any) -> None:
    chunk = make_chunk(Part("image", "image", data=data, mime="image/png"))
    assert chunk == {"type": "image_url", "image_url": f"data:image/png;base64,{ENCODED}"}


def test_url_safe_base64_is_put_right() -> None:
    data = base64.urlsafe_b64encode(b"\xfb\xff\xfe").decode().rstrip("=")
    assert make_chunk(Part("image", "image", data=data))["image_url"] == "data:image/png;base64,+//+"


@pytest.mark.parametrize("data", ["b'iVBOR'", "", "two words!", "abcde", 7, ["a"]])
def test_what_is_no_base64_is_refused(data: Any) -> None:
    with pytest.raises(ConfigurationError, match="'image' block"):
        make_chunk(Part("image", "image", data=data))


def test_addresses_ids_and_details() -> None:
    assert make_chunk(Part("image", "image", url="https://a.test/a.png"))["image_url"] == "https://a.test/a.png"
    detailed = make_chunk(Part("image", "image", url="https://a.test/a.png", detail="low"))
    assert detailed["image_url"] == {"url": "https://a.test/a.png", "detail": "low"}
    assert make_chunk(Part("image", "image", file_id="f"))["tool"] == "image_generation"
    assert make_chunk(Part("document", "file", file_id="f"))["tool"] == "code_interpreter"
    named = make_chunk(Part("document", "file", url="https://a.test/a.pdf", name="a.pdf"))
    assert named == {"type": "document_url", "document_url": "https://a.test/a.pdf", "document_name": "a.pdf"}


@pytest.mark.parametrize(
    "part",
    [
        Part("document", "file", data=TEXT.encode(), mime="text/plain"),
        Part("document", "file", data=TEXT.encode()),
        Part("document", "file", data=b"\xef\xbb\xbf" + TEXT.encode(), mime="text/csv"),
        Part("document", "file", data=TEXT.encode("utf-16"), mime="text/markdown"),
        Part("document", "file", data=base64.b64encode(TEXT.encode()).decode(), mime="text/plain"),
        Part("document", "file", data=f"data:text/plain;base64,{base64.b64encode(TEXT.encode()).decode()}"),
        Part("document", "file", url="data:text/plain,Gr%C3%BC%C3%9Fe, 7 %E2%82%AC"),
        Part("document", "file", text=TEXT),
    ],
)
def test_a_text_document_is_its_text(part: Part) -> None:
    assert make_chunk(part) == {"type": "text", "text": TEXT}


def test_a_text_document_keeps_its_name() -> None:
    assert make_chunk(Part("document", "file", data=b"a,b", name="t.csv"))["text"] == "t.csv:\na,b"


@pytest.mark.parametrize("data", [b"%PDF-1.7 abc", b"\0\1\2", b"\xff\xd8\xff"])
def test_other_documents_stay_files(data: bytes) -> None:
    assert make_chunk(Part("document", "file", data=data))["document_url"].startswith("data:application/pdf;base64,")


def test_text_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="UTF-8"):
        make_chunk(Part("document", "file", data=b"\xff\xff", mime="text/plain"))
    with pytest.raises(ConfigurationError, match="must be a text, not bytes"):
        make_chunk(Part("text", "text", text=b"abc"))
    with pytest.raises(ConfigurationError, match="needs url, base64 or file_id"):
        make_chunk(Part("document", "file"))


def test_a_message_of_text_is_a_text() -> None:
    assert make_content([Part("text", "text", text="a"), Part("document", "file", text="b")]) == "a\nb"


def test_what_says_nothing_is_named() -> None:
    with pytest.warns(UserWarning, match="thinking block of the user's message is left out"):
        assert make_content([Part("text", "text", text="a"), Part("nothing", "thinking")]) == "a"
    with pytest.warns(UserWarning, match="CachePoint block of a result is left out"):
        assert make_result([Part("text", "text", text="a"), Part("nothing", "CachePoint")]) == ResultContent("a")
    with pytest.raises(ConfigurationError, match="no 'audio' content"):
        make_content([Part("chunk", "audio")])


def test_instructions_are_text_only() -> None:
    assert make_text_only([Part("text", "text", text="a"), Part("document", "file", text="b")], "It") == "a\nb"
    with pytest.raises(ConfigurationError, match="It is text only; it can't hold a 'image' block"):
        make_text_only([Part("image", "image", data=PNG)], "It")


def test_a_result_keeps_its_text_and_its_pictures_follow() -> None:
    content = make_result([Part("text", "text", text="taken"), Part("image", "image", data=PNG)])
    assert content.text == "taken\n[image: see the message behind the results]"
    assert [chunk["type"] for chunk in content.chunks] == ["image_url"]
    said = [make_result_entry("call1", ResultContent("plain")), make_result_entry("call2", content)]
    first, second, entry = place_files(said)
    assert (first["result"], second["result"]) == ("plain", content.text)
    assert entry["role"] == "user"
    assert entry["content"] == [{"type": "text", "text": "Files of the result of call2:"}, *content.chunks]
    assert place_files(said[:1]) == [first]


def test_a_result_that_cannot_be_sent_whole_says_so() -> None:
    with pytest.warns(UserWarning, match="audio"):
        content = make_result([Part("text", "text", text="heard"), Part("chunk", "audio")])
    assert content == ResultContent("heard\n[audio: left out, it can't be sent]")


def test_bytes_in_values_are_counted_not_spelt() -> None:
    assert write_json({"a": b"abc", "b": [1]}) == '{"a": "<3 bytes>", "b": [1]}'


@pytest.mark.parametrize("value", [b"\x89PNG", {"picture": b"\x89PNG"}, [bytearray(b"\x89PNG")]])
@pytest.mark.filterwarnings("ignore:A result's file of 4 bytes is left out")
def test_a_function_that_gives_bytes_says_how_many(value: Any) -> None:
    call = FunctionCall(type="function.call", name="shot", tool_call_id="call00001", arguments="{}")
    [entry] = run_functions([call], {"shot": lambda: value})
    assert "4 bytes" in entry["result"]
    assert "PNG" not in entry["result"]


@pytest.mark.parametrize("nested", [False, True], ids=["alone", "in a dict"])
@pytest.mark.parametrize(
    ("data", "kind"),
    [(b"\x89PNG\r\n\x1a\n" + bytes(60), "image/png"), (b"%PDF-1.7\n" + bytes(60), "application/pdf")],
)
def test_bytes_of_a_picture_or_pdf_that_a_function_gives_are_sent(data: bytes, kind: str, nested: bool) -> None:
    content = make_result(read_value({"made": data} if nested else data))
    [chunk] = content.chunks
    assert str(chunk[chunk["type"]]).startswith(f"data:{kind};base64,")
    assert "bytes" not in content.text


@pytest.mark.parametrize("data", ["größer\n".encode(), bytearray(b"groesser"), "grö".encode()[:-1], b""])
def test_words_in_bytes_are_words(data: Any) -> None:
    assert make_result(read_value(data)).text == bytes(data).decode("utf-8", "replace")
    assert make_result(read_value({"a": data})).text == json.dumps(
        {"a": bytes(data).decode("utf-8", "replace")}, ensure_ascii=False
    )


def test_bytes_that_nobody_can_read_are_named() -> None:
    with pytest.warns(UserWarning, match="file of 3 bytes"):
        assert "file of 3 bytes" in make_result(read_value([b"\x00\xff\x00"])).text


PICTURES: dict[str, dict[str, Any]] = {
    "image_url": {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{ENCODED}"}},
    "image_url, flat": {"type": "image_url", "image_url": f"data:image/png;base64,{ENCODED}"},
    "base64": {"type": "image", "base64": ENCODED, "mime_type": "image/png"},
    "Anthropic": {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": ENCODED}},
    "MCP": {"type": "image", "data": ENCODED, "mimeType": "image/png"},
    "Gemini": {"inline_data": {"mime_type": "image/png", "data": ENCODED}},
    "Gemini, as JSON": {"inlineData": {"mimeType": "image/png", "data": ENCODED}},
    "Bedrock": {"image": {"format": "png", "source": {"bytes": ENCODED}}},
    "resource": {"type": "resource", "resource": {"uri": "a://b", "mimeType": "image/png", "blob": ENCODED}},
}


class Shot(BaseModel):
    type: str = "image"
    data: str = ENCODED
    mimeType: str = "image/png"


class Colour(Enum):
    RED = "red"


@dataclass
class Report:
    title: str
    chart: Any


@pytest.mark.parametrize("picture", PICTURES.values(), ids=PICTURES.keys())
@pytest.mark.parametrize("form", ["alone", "listed", "beside text", "nested", "as JSON text"])
def test_a_picture_in_whatever_a_function_gives_is_a_picture(picture: dict[str, Any], form: str) -> None:
    value: Any = {
        "alone": picture,
        "listed": [picture],
        "beside text": ["taken", picture],
        "nested": {"title": "sales", "charts": (picture,)},
        "as JSON text": json.dumps({"title": "sales", "chart": picture}),
    }[form]
    content = make_result(read_value(value))
    assert [chunk["image_url"] for chunk in content.chunks] == [f"data:image/png;base64,{ENCODED}"]
    assert ENCODED not in content.text
    assert "see the message behind the results" in content.text
    assert ("sales" in content.text) == (form in ("nested", "as JSON text"))


@pytest.mark.parametrize("value", [Shot(), [Shot()], Report("sales", Shot()), {"chart": Report("a", Shot())}])
def test_a_picture_in_an_object_is_a_picture(value: Any) -> None:
    content = make_result(read_value(value))
    assert len(content.chunks) == 1
    assert ENCODED not in content.text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        ("text", "text"),
        ('{"type": "image"', '{"type": "image"'),
        (7, "7"),
        ([1, "a"], '[1, "a"]'),
        ({"type": "file", "name": "a.txt"}, '{"type": "file", "name": "a.txt"}'),
        ([{"type": "image", "id": 1}], '[{"type": "image", "id": 1}]'),
        ({"type": {"odd": 1}}, '{"type": {"odd": 1}}'),
        ({"type": "video", "url": "https://a.test"}, '{"type": "video", "url": "https://a.test"}'),
        ({"type": "text", "text": 5}, '{"type": "text", "text": 5}'),
        (datetime(2024, 1, 2, tzinfo=timezone.utc), "2024-01-02 00:00:00+00:00"),
        (Report("a", 1), '{"title": "a", "chart": 1}'),
        (Colour.RED, "red"),
        (Report("a", [Colour.RED, {7}]), '{"title": "a", "chart": ["red", [7]]}'),
        ({(1, 2): 3}, "{(1, 2): 3}"),
        ({"type": "thinking", "thinking": "x"}, '{"type": "thinking", "thinking": "x"}'),
        ('{"picture": {"type": "image", "url": "https://a.test"}}',) * 2,
    ],
)
def test_what_is_no_picture_stays_as_it_was(value: Any, text: str) -> None:
    content = make_result(read_value(value))
    assert (content.text, content.chunks) == (text, ())


def test_a_value_that_holds_itself_is_text() -> None:
    ring: list[Any] = []
    ring.append(ring)
    assert "[...]" in make_result(read_value(ring)).text


def test_a_result_made_by_hand_tells_of_a_picture_it_cannot_hold() -> None:
    with pytest.warns(UserWarning, match="Send it in a user_message"):
        entry = function_result("call1", PICTURES["MCP"])
    assert entry["result"] == "[image: left out, it can't be sent]"
    assert function_result("call1", {"a": [1, None]})["result"] == '{"a": [1, null]}'


def test_nothing_is_said_of_what_is_sent() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make_content(
            [
                Part("text", "text", text="a"),
                Part("image", "image", data=PNG),
                Part("chunk", "tool_file", chunk={"type": "tool_file"}),
            ]
        )


@pytest.mark.parametrize("kind", ["image", "document"])
@pytest.mark.parametrize(
    ("mime", "sent"), [("image/png", "image_url"), ("application/pdf", "document_url"), ("audio/mpeg", None)]
)
def test_a_file_is_what_its_media_type_says(kind: Any, mime: str, sent: str | None) -> None:
    """LangChain's `file` and LlamaIndex's `DocumentBlock` hold any file, sounds and pictures too."""
    told = Part(kind, "file", data=PNG, mime=mime)
    in_its_address = Part(kind, "file", url=f"data:{mime};base64,{base64.b64encode(PNG).decode()}")
    for part in (told, in_its_address):
        if sent is None:
            with pytest.raises(ConfigurationError, match="audio/mpeg"):
                make_chunk(part)
        else:
            assert make_chunk(part)["type"] == sent


@pytest.mark.parametrize(
    "url", ["", " ", "data:image/png;base64,", "data:image/png;base64,!!!", "cat.png", "/srv/cat.png", PICTURE]
)
@pytest.mark.parametrize("kind", ["image", "document"])
def test_an_address_that_holds_nothing_is_refused(kind: Any, url: str) -> None:
    with pytest.raises(ConfigurationError, match="'file' block"):
        make_chunk(Part(kind, "file", url=url))


def test_a_picture_without_an_address_is_never_words() -> None:
    """A row of the function's own may name a picture; a picture's base64 in the wrong place is told, not spelt."""
    row = {"type": "image", "url": "cat.png", "views": 3}
    assert make_result(read_value(row)) == ResultContent(json.dumps(row))
    with pytest.warns(UserWarning, match="no address"):
        found = make_result(read_value([{"type": "image_url", "image_url": {"url": PICTURE}}]))
    assert found == ResultContent("[image_url: left out, it can't be sent]")


@pytest.mark.parametrize(
    ("block", "chunk"),
    [
        ({"type": "document_url", "document_url": {"url": "https://example.org/a.pdf"}}, "https://example.org/a.pdf"),
        ({"type": "document_url"}, None),
        ({"type": "document_url", "document_url": " "}, None),
        ({"type": "tool_file", "tool": "code_interpreter"}, None),
    ],
)
def test_a_chunk_in_the_services_own_form_is_whole(block: dict[str, Any], chunk: str | None) -> None:
    if chunk is not None:
        [part] = read_parts([block])
        assert make_chunk(part) == {"type": "document_url", "document_url": chunk}
        return
    with pytest.raises(ConfigurationError, match=f"'{block['type']}' block needs"):
        list(read_parts([block]))


@pytest.mark.parametrize("block", [{"type": "output_text", "text": "no"}, {"type": "refusal", "refusal": "no"}])
def test_words_of_an_answer_are_words(block: dict[str, Any]) -> None:
    assert make_content(read_parts([block])) == "no"
    assert read_words(block) == "no"
    assert read_words({**block, block["type"].removeprefix("output_"): None}) is None


@pytest.mark.parametrize("block", [{"text": "q"}, {"type": None}, {"picture": {"format": "png"}}])
def test_a_block_without_a_type_is_refused_as_such(block: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match='has no "type"'):
        make_content(read_parts([block]))


def test_a_media_type_that_is_no_text_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="media type of a 'file' block"):
        make_chunk(Part("document", "file", data=PNG, mime=5))  # type: ignore[arg-type]


@pytest.mark.parametrize("mime", ["Text/Plain", "application/ld+json", "text/plain; charset=utf-8"])
def test_a_text_is_known_by_any_spelling_of_its_type(mime: str) -> None:
    assert make_chunk(Part("document", "file", data=b"{}", mime=mime)) == {"type": "text", "text": "{}"}


def test_a_file_of_plain_bytes_is_known_by_its_name() -> None:
    part = Part("document", "file", data=b"words", mime="application/octet-stream", name="a.txt")
    assert make_chunk(part)["text"] == "a.txt:\nwords"


def test_a_text_is_read_in_the_encoding_that_its_address_tells() -> None:
    url = f"data:text/plain;charset=iso-8859-1;base64,{base64.b64encode('Straße'.encode('latin-1')).decode()}"
    assert make_chunk(Part("document", "file", url=url))["text"] == "Straße"
