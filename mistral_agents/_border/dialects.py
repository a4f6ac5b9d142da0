"""Content blocks as dicts, in the dialects that frameworks and providers write them in → the border's parts.

LangChain's (v0, v1), OpenAI's, Anthropic's, Gemini's, Bedrock's files, the service's own, and those of MCP servers.
They stand in messages of LangChain, and in what functions give, whoever runs them.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Literal

from mistral_agents._border.blocks import UNTYPED, Part, dump_value, is_address, looks_like_text, write_json
from mistral_agents._json import load_json
from mistral_agents._turn.media import sniff
from mistral_agents.errors import ConfigurationError

_FILES = ("image", "document")
_LONGEST_NAME = 200
"""A shorter url without a scheme is a name in a row of the function's own; a longer one may be a file's base64."""
BYTES = (bytes, bytearray, memoryview)
_VALUES = (Mapping, list, tuple, bool, int, float, *BYTES)
"""What is written as JSON; of anything else the text is taken."""
_TEXT_FIELDS = frozenset(
    {"type", "text", "id", "index", "annotations", "citations", "extras", "metadata", "cache_control", "meta", "_meta"}
)
_MAY_HOLD_FILES = re.compile(
    r'\s*[\[{].*"(?:image|image_url|input_image|file|input_file|document|media|resource|inline_data|inlineData)"',
    re.DOTALL,
)


def read_parts(content: Iterable[object]) -> Iterator[Part]:
    """The parts of a message's content.

    Raises:
        ConfigurationError: A block is neither a text nor a dict, or is incomplete.
    """
    for block in content:
        if isinstance(block, str):
            yield Part("text", "text", text=block)
            continue
        if not isinstance(block, Mapping):
            raise ConfigurationError(f"A content block must be a text or a dict, not {type(block).__name__}.")
        reader = _find_reader(block)
        if reader is None:
            yield Part("chunk", str(block["type"]) if block.get("type") is not None else UNTYPED)
        else:
            yield from reader(block)


def read_result(content: Iterable[object]) -> Iterator[Part]:
    """The parts of a function's result that is a list of blocks; what is no block is a value, and goes in as JSON.

    An empty list is a value too: a search that found nothing.
    """
    blocks = list(map(dump_value, content))
    if not blocks:
        yield from _read_json(blocks)
    for block in blocks:
        if isinstance(block, str):
            yield from read_text_result(block)
        elif _is_block(block):
            yield from read_parts([block])
        else:
            yield from _read_json(block)


def read_value(value: object) -> Iterator[Part]:
    """The parts of whatever a function gives: a text, a block or a list with blocks, or any other value.

    Files inside a value are taken out of it, since nobody can read their base64 as words.
    """
    plain = dump_value(value)
    plain = [dump_value(one) for one in plain] if isinstance(plain, (list, tuple)) else plain
    if isinstance(plain, str):
        yield from read_text_result(plain)
    elif isinstance(plain, BYTES):
        yield _read_bytes(bytes(plain))
    elif isinstance(plain, list) and any(map(_is_content, plain)):
        yield from read_result(plain)
    elif _is_content(plain):
        yield from read_parts([plain])
    else:
        yield from _read_json(plain)


def read_text_result(text: str) -> Iterator[Part]:
    """The parts of a result that is a text; JSON text with files in it (frameworks write values so) is read as such."""
    found: list[Part] = []
    if _MAY_HOLD_FILES.match(text):
        with contextlib.suppress(ValueError):
            found = list(read_value(load_json(text)))
    yield from found if any(map(_is_inline, found)) else [Part("text", "text", text=text)]


def _read_bytes(data: bytes) -> Part:
    """What bytes are that a function gives: a picture, a PDF, words in UTF-8, or nothing that can be sent."""
    kind = sniff(data)[1]
    if kind.startswith("image/"):
        return Part("image", "picture", data=data, mime=kind)
    if kind == "application/pdf":
        return Part("document", "document", data=data, mime=kind)
    if not data or looks_like_text(data):
        return Part("text", "text", text=data.decode("utf-8", "replace"))
    return Part("chunk", f"file of {len(data)} bytes")


def _read_json(value: object) -> Iterator[Part]:
    files: list[Part] = []
    try:
        text = write_json(_take_files(value, files)) if isinstance(value, _VALUES) else str(value)
    except (TypeError, ValueError, RecursionError):  # odd keys, or a value that holds itself
        text = str(value)
    yield Part("text", "json", text="" if value is None else text)
    yield from files


def _take_files(value: object, found: list[Part]) -> object:
    """A value with a note in place of each file in it, which goes to `found`."""
    value = dump_value(value)
    if isinstance(value, Mapping):
        parts = list(read_parts([value])) if _is_block(value) else []
        if any(map(_is_inline, parts)):
            found += parts
            return f"[{parts[-1].label}]"
        return {key: _take_files(each, found) for key, each in value.items()}
    if isinstance(value, BYTES):
        part = _read_bytes(bytes(value))
        if part.kind == "text":
            return part.text
        found.append(part)
        return f"[{part.label}]"
    return [_take_files(each, found) for each in value] if isinstance(value, (list, tuple)) else value


def _is_inline(part: Part) -> bool:
    """Whether a part holds a file itself, and not just its address."""
    return part.kind in _FILES and (part.data is not None or (part.url or "").startswith("data:"))


def _is_block(value: object) -> bool:
    """Whether a value in a result is a content block: a dict of a kind that there is, with something in it.

    A text with fields that no dialect has is a row of the function's own, whose other fields are told too.
    """
    if not isinstance(value, Mapping):
        return False
    reader = _find_reader(value)
    if reader is _read_text and any(value[key] is not None for key in value.keys() - _TEXT_FIELDS):
        return False
    if reader is None:
        return str(value.get("type")) in _REFUSED and _holds_data(value)
    try:
        return any(map(_holds_something, reader(value)))
    except ConfigurationError:
        return False


def _is_content(value: object) -> bool:
    """Whether a value is a block that says something; of others, such as thoughts, the value itself is told."""
    return isinstance(value, Mapping) and _is_block(value) and _find_reader(value) is not _read_nothing


def _holds_something(part: Part) -> bool:
    if part.kind == "text":
        return isinstance(part.text, str)
    url = part.url if part.url is not None and (is_address(part.url) or len(part.url) > _LONGEST_NAME) else None
    held = (part.text, part.data, url, part.file_id)
    return part.kind in ("chunk", "nothing") or any(one is not None for one in held)


def _holds_data(block: Mapping[Any, Any]) -> bool:
    """Whether a sound or a film is there itself: what has an address only can be read as JSON."""
    nested = [one for one in block.values() if isinstance(one, Mapping)]
    found = [one.get(name) for one in (block, *nested) for name in ("data", "base64", "url", block.get("type"))]
    return any(isinstance(one, bytes) or (isinstance(one, str) and "://" not in one) for one in found)


def _find_reader(block: Mapping[Any, Any]) -> Callable[[Mapping[str, Any]], Iterator[Part]] | None:
    if "type" not in block:
        known = _UNTYPED_READERS if len(block) == 1 else _UNTYPED_READERS[: len(_GEMINI)]
        return next((reader for name, reader in known if isinstance(block.get(name), Mapping)), None)
    kind = block["type"]
    return _READERS.get(kind) if isinstance(kind, str) else None


def _read_text(block: Mapping[str, Any]) -> Iterator[Part]:
    yield Part("text", "text", text=block.get("text"))


def _read_refusal(block: Mapping[str, Any]) -> Iterator[Part]:
    """Words of an answer of OpenAI's."""
    yield Part("text", "refusal", text=block.get("refusal"))


def read_words(block: object) -> str | None:
    """The words of a block that is text alone, in whatever dialect; None where it is more, or something else."""
    kind = block.get("type") if isinstance(block, Mapping) else None
    if not isinstance(block, Mapping) or kind not in ("text", "text-plain", "output_text", "refusal"):
        return None
    text = block.get("refusal" if kind == "refusal" else "text")
    return text if isinstance(text, str) else None


def _read_plain(block: Mapping[str, Any]) -> Iterator[Part]:
    """A text document; one that is neither text nor file is refused as incomplete."""
    yield _read_file("document", block, "text/plain", text=block.get("text"))


def _read_image_url(block: Mapping[str, Any]) -> Iterator[Part]:
    value = block.get("image_url")
    url, detail = (
        (value.get("url"), value.get("detail")) if isinstance(value, Mapping) else (value, block.get("detail"))
    )
    yield Part("image", "image_url", url=url if isinstance(url, str) else None, detail=detail, data=_bytes_only(url))


def _bytes_only(value: object) -> object:
    return value if isinstance(value, (bytes, bytearray)) else None


def _read_image(block: Mapping[str, Any]) -> Iterator[Part]:
    yield _read_file("image", block, None)


def _read_media(block: Mapping[str, Any]) -> Iterator[Part]:
    """Gemini's dialect: a file of any kind."""
    mime = str(block.get("mime_type") or block.get("mimeType") or "")
    family = mime.partition("/")[0]
    if family in _REFUSED:
        yield Part("chunk", family)
    else:
        address = block.get("file_uri") or block.get("fileUri")
        read = _read_file("image" if family == "image" else "document", block, None)
        yield replace(read, url=address) if isinstance(address, str) else read


def _read_inline(block: Mapping[str, Any]) -> Iterator[Part]:
    """Gemini's own form of a file, in the spelling of Python or of JSON."""
    held: Mapping[str, Any] = next((block[name] for name in _GEMINI if isinstance(block.get(name), Mapping)), {})
    yield from _read_media({"type": "inline_data", **held})


def _read_bedrock(block: Mapping[str, Any]) -> Iterator[Part]:
    """A picture or document in the form of Bedrock's Converse API, whose format is that of the file."""
    kind: Literal["image", "document"] = "image" if "image" in block else "document"
    held = block[kind]
    source, told, name = held.get("source"), held.get("format"), held.get("name")
    data = source.get("bytes") if isinstance(source, Mapping) else None
    file_name = f"{name or kind}.{told}"
    mime = f"image/{told}" if kind == "image" else None
    yield Part(kind, kind, data=data, mime=mime, name=file_name if kind == "document" else None)


def _read_document(block: Mapping[str, Any]) -> Iterator[Part]:
    nested, source = block.get("file"), block.get("source")
    if isinstance(nested, Mapping):  # OpenAI's dialect
        if nested.get("file_data") is None:
            raise ConfigurationError("A file block needs file_data; ids of another provider's files are unknown here.")
        yield Part("document", "file", data=nested["file_data"], name=nested.get("filename"))
    elif isinstance(source, Mapping) and source.get("type") in ("text", "content"):
        yield from _read_text_source(block, source)
    else:
        text = block.get("text") if block.get("source_type") == "text" else None
        yield from _read_context(block)
        yield _read_file("document", block, None, text=text)


def _read_resource(block: Mapping[str, Any]) -> Iterator[Part]:
    """A resource of an MCP server: its text or its bytes."""
    held = block.get("resource")
    given: Mapping[str, Any] = held if isinstance(held, Mapping) else {}
    mime, name = given.get("mimeType"), given.get("uri")
    kind: Literal["image", "document"] = "image" if str(mime).startswith("image/") else "document"
    name = str(name) if name is not None else None
    yield Part(kind, "resource", text=given.get("text"), data=given.get("blob"), mime=mime, name=name)


def _read_input_file(block: Mapping[str, Any]) -> Iterator[Part]:
    """OpenAI's newer dialect."""
    name, url = block.get("filename"), block.get("file_url")
    if block.get("file_data") is None and url is None:
        raise ConfigurationError("An input_file block needs file_data or file_url; ids of OpenAI's are unknown here.")
    yield Part("document", "input_file", data=block.get("file_data"), url=url, name=name)


def _read_text_source(block: Mapping[str, Any], source: Mapping[str, Any]) -> Iterator[Part]:
    """A document of Anthropic's that is text itself, or a list of blocks."""
    label, name = str(block.get("type")), _name_of(block)
    yield from _read_context(block)
    if source["type"] == "text":
        yield Part("document", label, text=source.get("data"), name=name)
        return
    inner = source.get("content")
    if name:
        yield Part("text", label, text=f"{name}:")
    if not isinstance(inner, (str, list)):
        raise ConfigurationError(f"The content of a {label!r} block must be a text or a list, not {inner!r}.")
    yield from read_parts([inner] if isinstance(inner, str) else inner)


def _read_context(block: Mapping[str, Any]) -> Iterator[Part]:
    context = block.get("context")
    if isinstance(context, str) and context:
        yield Part("text", "context", text=context)


def _read_file(
    kind: Literal["image", "document"], block: Mapping[str, Any], mime: str | None, *, text: object = None
) -> Part:
    """A picture or document inline, by address or by id: v1, v0 and Anthropic's dialect."""
    source = block.get("source")
    held = source if isinstance(source, Mapping) else block
    if held.get("source_type") == "text" and text is None:
        text = held.get("text")
    file_id = held.get("file_id", held.get("id") if held.get("source_type") == "id" else None)
    url = held.get("url")
    return Part(
        kind,
        str(block.get("type")),
        text=text,
        data=held.get("base64", held.get("data")),
        url=url if isinstance(url, str) else None,
        file_id=file_id if isinstance(file_id, str) else None,
        mime=held.get("mime_type") or held.get("media_type") or held.get("mimeType") or mime,
        name=_name_of(block),
        detail=block.get("detail"),
    )


def _name_of(block: Mapping[str, Any]) -> str | None:
    held = [block, *(one for key in ("extras", "metadata") if isinstance(one := block.get(key), Mapping))]
    names = (one.get(key) for one in held for key in ("filename", "file_name", "title", "name"))
    return next((name for name in names if isinstance(name, str) and name), None)


def _read_own(block: Mapping[str, Any]) -> Iterator[Part]:
    """A chunk in the service's own form."""
    kind, chunk = str(block.get("type")), dict(block)
    needed = "file_id" if kind == "tool_file" else kind
    value = chunk.get(needed)
    chunk[needed] = value.get("url") if isinstance(value, Mapping) else value  # as in OpenAI's image_url
    if not isinstance(chunk[needed], str) or not chunk[needed].strip():
        raise ConfigurationError(f"A {kind!r} block needs {needed}, a text; this one has {value!r:.60}.")
    yield Part("chunk", kind, chunk=chunk)


def _read_nothing(block: Mapping[str, Any]) -> Iterator[Part]:
    """Blocks that say nothing to the model: thoughts and calls of other answers, cache points."""
    yield Part("nothing", str(block.get("type")))


_GEMINI = ("inline_data", "inlineData", "file_data", "fileData")
_UNTYPED_READERS = (*((name, _read_inline) for name in _GEMINI), ("image", _read_bedrock), ("document", _read_bedrock))
"""Of blocks without a type: the field that holds what they are; Bedrock's have no other one."""
_REFUSED = frozenset({"audio", "video", "input_audio", "input_video", "audio_url", "video_url"})
_READERS: dict[Any, Callable[[Mapping[str, Any]], Iterator[Part]]] = {
    "text": _read_text,
    "input_text": _read_text,
    "output_text": _read_text,
    "refusal": _read_refusal,
    "text-plain": _read_plain,
    "image_url": _read_image_url,
    "input_image": _read_image_url,
    "image": _read_image,
    "media": _read_media,
    "file": _read_document,
    "input_file": _read_input_file,
    "document": _read_document,
    "inline_data": _read_inline,
    "resource": _read_resource,
    "document_url": _read_own,
    "tool_file": _read_own,
    "thinking": _read_nothing,
    "redacted_thinking": _read_nothing,
    "reasoning": _read_nothing,
    "tool_use": _read_nothing,
    "non_standard": _read_nothing,
    "cachePoint": _read_nothing,
    "cache_point": _read_nothing,
}
