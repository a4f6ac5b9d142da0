"""Content of messages: LangChain's block dialects (v0, v1, OpenAI's, Anthropic's) → the border's parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Literal

from mistral_agents._border.blocks import Part, ResultContent, make_content, make_result, make_text_only, write_json
from mistral_agents._json import JsonDict
from mistral_agents.errors import ConfigurationError

_Content = str | list[Any]


def human_content(content: _Content) -> str | list[JsonDict]:
    """A human message's content as the service takes it.

    Raises:
        ConfigurationError: A block is of a kind the service does not take (audio, video), or damaged.

    Warns:
        UserWarning: A block says nothing that the service takes.
    """
    return content if isinstance(content, str) else make_content(_read_parts(content))


def system_content(content: _Content) -> str:
    """A system message's text.

    Raises:
        ConfigurationError: A block is more than text.
    """
    return content if isinstance(content, str) else make_text_only(list(_read_parts(content)), "A system message")


def result_content(content: _Content) -> ResultContent:
    """A tool message's content: its text, and the pictures and documents that follow it.

    What is no content block of any dialect is a value that the tool gave, and goes in as JSON.
    """
    if isinstance(content, str):
        return ResultContent(content)
    return make_result(_read_result(content))


def result_text(content: _Content) -> str:
    """The text of a tool message."""
    return result_content(content).text


def _read_parts(content: list[Any]) -> Iterator[Part]:
    for block in content:
        if isinstance(block, str):
            yield Part("text", "text", text=block)
            continue
        if not isinstance(block, Mapping):
            raise ConfigurationError(f"A content block must be a text or a dict, not {type(block).__name__}.")
        kind = block.get("type")
        reader = _READERS.get(kind) if isinstance(kind, str) else None
        if reader is None:
            yield Part("chunk", str(kind))
        else:
            yield from reader(block)


def _read_result(content: list[Any]) -> Iterator[Part]:
    for block in content:
        kind = block.get("type") if isinstance(block, Mapping) else None
        if isinstance(block, str) or (isinstance(kind, str) and (kind in _READERS or kind in _REFUSED)):
            yield from _read_parts([block])
        else:
            yield Part("text", "json", text=write_json(block))


def _read_text(block: Mapping[str, Any]) -> Iterator[Part]:
    yield Part("text", "text", text=block.get("text"))


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
    mime = str(block.get("mime_type") or "")
    family = mime.partition("/")[0]
    if family in _REFUSED:
        yield Part("chunk", family)
    else:
        address = block.get("file_uri")
        read = _read_file("image" if family == "image" else "document", block, None)
        yield replace(read, url=address) if isinstance(address, str) else read


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
    yield from _read_parts([inner] if isinstance(inner, str) else inner)


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
        mime=held.get("mime_type") or held.get("media_type") or mime,
        name=_name_of(block),
        detail=block.get("detail"),
    )


def _name_of(block: Mapping[str, Any]) -> str | None:
    held = [block, *(one for key in ("extras", "metadata") if isinstance(one := block.get(key), Mapping))]
    names = (one.get(key) for one in held for key in ("filename", "file_name", "title", "name"))
    return next((name for name in names if isinstance(name, str) and name), None)


def _read_own(block: Mapping[str, Any]) -> Iterator[Part]:
    """A chunk in the service's own form."""
    yield Part("chunk", str(block.get("type")), chunk=dict(block))


def _read_nothing(block: Mapping[str, Any]) -> Iterator[Part]:
    """Blocks that say nothing to the model: thoughts and calls of other answers, cache points."""
    yield Part("nothing", str(block.get("type")))


_REFUSED = frozenset({"audio", "video", "input_audio", "input_video", "audio_url", "video_url"})
_READERS: dict[Any, Callable[[Mapping[str, Any]], Iterator[Part]]] = {
    "text": _read_text,
    "input_text": _read_text,
    "text-plain": _read_plain,
    "image_url": _read_image_url,
    "input_image": _read_image_url,
    "image": _read_image,
    "media": _read_media,
    "file": _read_document,
    "input_file": _read_input_file,
    "document": _read_document,
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
