"""What the user's messages hold beside text: which chunk of the service says it, and what becomes of the rest.

A wing reads its framework's blocks into a `Part`; here is decided how a part goes out. Each one is sent, named in a
warning, or refused: none is silently empty, and no file becomes text by its base64 or its `b'…'`.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import json
import mimetypes
import re
from collections import deque
from collections.abc import Callable, Generator, ItemsView, Iterable, KeysView, Sequence, ValuesView
from dataclasses import dataclass, fields, is_dataclass, replace
from enum import Enum
from typing import Any, Literal
from urllib.parse import unquote_to_bytes

from pydantic import BaseModel

from mistral_agents._json import JsonDict
from mistral_agents._warnings import warn_user
from mistral_agents.errors import ConfigurationError

Kind = Literal["text", "image", "document", "chunk", "nothing"]
_DETAILS = frozenset({"low", "auto", "high"})
_BASE64 = re.compile(r"[A-Za-z0-9+/=_-]*")
_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_SCHEME = re.compile(r"\s*[a-zA-Z][a-zA-Z0-9+.-]*:")
_SPACES = re.compile(r"\s+")
_TEXT_TYPES = frozenset({"application/json", "application/xml", "application/yaml", "application/x-yaml"})
_DOCUMENT = "application/pdf"
_BYTES = "application/octet-stream"
_UNTOLD = (None, _DOCUMENT)
_FOLLOWS = "see the message behind the results"
_TOOLS = {"image": "image_generation", "document": "code_interpreter"}


UNTYPED = "block without a type"
"""What a block is called that names no type."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a message, from whatever framework.

    Attributes:
        kind: What it is: words, a picture, a document, a chunk in the service's own form, or nothing that it takes.
        label: What its framework calls it, for warnings and errors.
        text: Words, or a text document's text.
        data: A file's bytes, or their base64, or a data URL.
        url: Where it lies.
        file_id: A file of the service.
        mime: Its media type, where known.
        name: Its file name, where known.
        detail: How closely a picture is looked at.
        chunk: The chunk itself, where it has the service's form already.
    """

    kind: Kind
    label: str
    text: Any = None
    data: Any = None
    url: str | None = None
    file_id: str | None = None
    mime: str | None = None
    name: str | None = None
    detail: str | None = None
    chunk: JsonDict | None = None


def make_chunk(part: Part) -> JsonDict:
    """The chunk that says a part.

    Raises:
        ConfigurationError: The service takes no such thing, or the part is incomplete or damaged; it names the block.
    """
    if part.kind == "text":
        return {"type": "text", "text": _read_block_text(part)}
    if part.kind in ("image", "document"):
        return _FILES[_find_family(part)](part)
    if part.chunk is not None:
        return part.chunk
    raise _refuse(part.label)


def _refuse(what: str) -> ConfigurationError:
    if what == UNTYPED:
        return ConfigurationError('A content block has no "type"; nothing tells what it is.')
    return ConfigurationError(f"The service takes no {what!r} content; it takes text, images and documents.")


def _find_family(part: Part) -> Literal["image", "document"]:
    """What a file is: its media type decides where it tells of pictures, sounds or films, else the block.

    Raises:
        ConfigurationError: It is a sound or a film, or its media type is none.
    """
    if part.mime is not None and not isinstance(part.mime, str):
        raise ConfigurationError(f"The media type of a {part.label!r} block must be a text, not {part.mime!r}.")
    told = next((head for value in (part.url, part.data) if (head := _read_head(value))), part.mime or "")
    family = told.partition("/")[0].strip().lower()
    if family in ("audio", "video"):
        raise _refuse(told)
    if family == "image":
        return "image"
    return "document" if part.kind == "document" or told.lower() == _DOCUMENT else "image"


def _read_head(value: object) -> str:
    """The media type that a data URL tells; an empty text where it tells none, or is no data URL."""
    head = value.partition(",")[0] if isinstance(value, str) and value.startswith("data:") else ""
    return head.removeprefix("data:").partition(";")[0]


def _read_block_text(part: Part) -> str:
    if not isinstance(part.text, str):
        raise ConfigurationError(f"The text of a {part.label!r} block must be a text, not {type(part.text).__name__}.")
    return part.text


def _make_image(part: Part) -> JsonDict:
    if part.file_id is not None:
        return _make_tool_file(part)
    address = _check_address(part) if part.url is not None else _make_data_url(part, part.mime or "image/png")
    return {
        "type": "image_url",
        "image_url": {"url": address, "detail": part.detail} if part.detail in _DETAILS else address,
    }


def _check_address(part: Part) -> str:
    """An address as it is given, where there is one; a data URL's base64 must be some."""
    url = part.url if part.url is not None else ""
    head, _, data = url.partition(",")
    if not url.strip():
        raise ConfigurationError(f"The url of a {part.label!r} block is empty; it needs url, base64 or file_id.")
    if not is_address(url):
        raise ConfigurationError(
            f"The url of a {part.label!r} block is no address: it begins with {url[:20]!r}.",
            hint="Give https://…, or a file's base64 as data:image/png;base64,… with its own media type.",
        )
    if head.startswith("data:") and head.endswith(";base64"):
        return f"{head},{_check_base64(data, part)}"
    return url


def is_address(url: str) -> bool:
    """Whether a text is an address: it names its scheme (https, data, ...)."""
    return _SCHEME.match(url) is not None


def _make_tool_file(part: Part) -> JsonDict:
    return {"type": "tool_file", "tool": _TOOLS[part.kind], "file_id": part.file_id}


def _make_document(part: Part) -> JsonDict:
    if part.file_id is not None:
        return _make_tool_file(part)
    if part.text is not None:
        return {"type": "text", "text": _label_text(_read_block_text(part), part.name)}
    named = {"document_name": part.name} if part.name else {}
    if part.url is not None and not part.url.startswith("data:"):
        return {"type": "document_url", "document_url": _check_address(part), **named}
    url = _check_address(part) if part.url is not None else _make_data_url(part, _guess_type(part))
    if _is_text_type(url.partition(";")[0].removeprefix("data:")):
        return {"type": "text", "text": _label_text(_decode_text(url, part), part.name)}
    return {"type": "document_url", "document_url": url, **named}


def _guess_type(part: Part) -> str:
    """The media type of a document: what is told, but for a PDF that is none (langchain-core calls all files so).

    Where nothing is told it is known by the name, else by how the data begin.
    """
    named = mimetypes.guess_type(part.name)[0] if part.name else None
    told = part.mime if part.mime not in (None, _BYTES) else named
    if told not in _UNTOLD or part.data is None or named == _DOCUMENT:
        return told or _DOCUMENT
    begin = _begin_of(part.data) if isinstance(part.data, str) else bytes(part.data)
    return "text/plain" if looks_like_text(begin) else _DOCUMENT


def _begin_of(encoded: str) -> bytes:
    try:
        return base64.b64decode(encoded[:1024])
    except binascii.Error:
        return b"\0"


def looks_like_text(data: bytes) -> bool:
    """Whether bytes (or the first of a file) are words in UTF-8."""
    if not data or _CONTROLS.search(data) or data.startswith(b"%PDF"):
        return False
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data)
    except UnicodeDecodeError:
        return False
    return True


def _label_text(text: str, name: str | None) -> str:
    return f"{name}:\n{text}" if name else text


def _is_text_type(mime: str) -> bool:
    mime = mime.lower()
    return mime.startswith("text/") or mime in _TEXT_TYPES or mime.endswith(("+json", "+yaml"))


def _decode_text(url: str, part: Part) -> str:
    """The words of a text document: the service reads documents as pages, so it gets the text itself."""
    head, _, data = url.partition(",")
    held = base64.b64decode(_check_base64(data, part)) if head.endswith(";base64") else unquote_to_bytes(data)
    encoding = "utf-16" if held[:2] in (b"\xff\xfe", b"\xfe\xff") else _read_charset(head)
    try:
        return held.decode(encoding)
    except (UnicodeDecodeError, LookupError) as error:
        raise ConfigurationError(
            f"The text in a {part.label!r} block is no {encoding.upper().removesuffix('-SIG')}: {error}.",
            hint="Encode it so, or send its text.",
        ) from error


def _read_charset(head: str) -> str:
    """The encoding that a data URL tells, else UTF-8 with or without a mark."""
    told = (one.partition("=") for one in head.split(";")[1:])
    charset = next((value.strip(' "') for name, _, value in told if name.strip().lower() == "charset"), "utf-8")
    return "utf-8-sig" if charset.lower() in ("utf-8", "utf8", "us-ascii") else charset


_FILES: dict[str, Callable[[Part], JsonDict]] = {"image": _make_image, "document": _make_document}


def _make_data_url(part: Part, mime: str) -> str:
    data = part.data
    if data is None:
        raise ConfigurationError(f"A {part.label!r} block needs url, base64 or file_id.")
    if isinstance(data, (bytes, bytearray, memoryview)):
        return f"data:{mime};base64,{base64.b64encode(bytes(data)).decode()}"
    if not isinstance(data, str):
        raise ConfigurationError(
            f"The data of a {part.label!r} block must be base64 or bytes, not {type(data).__name__}."
        )
    if data.startswith("data:"):
        return _check_address(replace(part, url=data))
    return f"data:{mime};base64,{_check_base64(data, part)}"


def _check_base64(data: str, part: Part) -> str:
    """Base64 in the usual alphabet, without line breaks."""
    text = _SPACES.sub("", data)
    if not text or not _BASE64.fullmatch(text):
        raise ConfigurationError(
            f"The data of a {part.label!r} block is no base64: it begins with {data[:20]!r}.",
            hint="Give base64 text, or the bytes themselves.",
        )
    text = text.translate(_URL_SAFE).rstrip("=")
    text += "=" * (-len(text) % 4)
    try:
        binascii.a2b_base64(text)
    except binascii.Error as error:
        raise ConfigurationError(f"The data of a {part.label!r} block is no base64: {error}.") from error
    return text


_URL_SAFE = str.maketrans("-_", "+/")


# Messages -----------------------------------------------------------------------------------------------------------


def make_content(parts: Iterable[Part]) -> str | list[JsonDict]:
    """The content of a user's message: a text where there is nothing but text, else chunks.

    Raises:
        ConfigurationError: See `make_chunk`.

    Warns:
        UserWarning: A part says nothing that the service takes from a user (another model's thoughts, cache points).
    """
    chunks = [chunk for part in parts if (chunk := _chunk_or_warning(part)) is not None]
    if all(chunk["type"] == "text" for chunk in chunks):
        return "\n".join(chunk["text"] for chunk in chunks)
    return [chunk for chunk in chunks if chunk["type"] != "text" or chunk["text"]]


def _chunk_or_warning(part: Part) -> JsonDict | None:
    if part.kind == "nothing":
        warn_left_out(part.label, "of the user's message")
        return None
    return make_chunk(part)


def warn_left_out(label: str, where: str) -> None:
    """Name a block that is not sent."""
    warn_user(f"A {label} block {where} is left out: the service takes none. Say it as text, or leave it out.")


def make_text_only(parts: Sequence[Part], what: str) -> str:
    """The text of what takes text alone (instructions).

    Raises:
        ConfigurationError: A part is more than text.
    """
    texts = []
    for part in parts:
        chunk = _chunk_or_warning(part)
        if chunk is not None and chunk["type"] != "text":
            raise ConfigurationError(
                f"{what} is text only; it can't hold a {part.label!r} block.", hint="Put it into a user's message."
            )
        texts.extend([chunk["text"]] if chunk is not None else [])
    return "\n".join(texts)


def make_thought(text: str) -> JsonDict:
    """A thought of an answer, to be sent again."""
    return {"type": "thinking", "thinking": [{"type": "text", "text": text}], "closed": True}


def note_instructions(text: str) -> str:
    """What says instructions to whoever has others: an agent, or a conversation that was begun with others."""
    return f"Instructions for what follows:\n\n{text}"


# Results of functions -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ResultContent:
    """A function's result: the service takes its text; pictures and documents follow in a message of the user.

    Attributes:
        text: The text, with a note for each part that is not in it.
        chunks: The parts that follow.
    """

    text: str
    chunks: tuple[JsonDict, ...] = ()


def make_result(parts: Iterable[Part]) -> ResultContent:
    """The content of a function's result. What can't be sent is noted in its text, so that the model knows of it.

    Warns:
        UserWarning: A part can't be sent.
    """
    texts: list[str] = []
    chunks: list[JsonDict] = []
    for part in parts:
        if part.kind == "nothing":
            warn_left_out(part.label, "of a result")
            continue
        try:
            chunk = make_chunk(part)
        except ConfigurationError as error:
            text = f"A result's {part.label} is left out, which the model is told: {error.message}"
            warn_user(f"{text} Return text, or a kind that can be sent.")
            texts.append(f"[{part.label}: left out, it can't be sent]")
            continue
        if chunk["type"] == "text":
            texts.append(chunk["text"])
        else:
            chunks.append(chunk)
            texts.append(f"[{part.label}: {_FOLLOWS}]")
    return ResultContent("\n".join(texts), tuple(chunks))


def make_text_result(parts: Iterable[Part]) -> str:
    """A function's result where nothing can follow it.

    Warns:
        UserWarning: A part is no text.
    """
    content = make_result(parts)
    if content.chunks:
        warn_user("A result's picture or document is left out: results are text. Send it in a user_message behind it.")
    return content.text.replace(_FOLLOWS, "left out, it can't be sent") if content.chunks else content.text


_LISTED = (set, frozenset, deque, range, Generator, map, filter, zip, KeysView, ValuesView, ItemsView)


def dump_value(value: object) -> object:
    """A value as plain data: fields as a dict, a set or what a generator yields as a list, an enumeration's value."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, _LISTED):
        return list(value)
    if isinstance(value, BaseModel):
        return value.model_dump(warnings=False)
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    return value


def write_json(value: object) -> str:
    """A value that is no content block, as JSON text; bytes are told by their number, never spelt out."""
    return json.dumps(value, ensure_ascii=False, default=_write_odd)


def _write_odd(value: object) -> object:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"<{len(bytes(value))} bytes>"
    dumped = dump_value(value)
    return dumped if dumped is not value else str(value)
