"""Content of human messages: LangChain's block dialects → the service's chunks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mistral_agents._json import JsonDict
from mistral_agents.errors import ConfigurationError


def human_content(content: str | list[Any]) -> str | list[JsonDict]:
    """A human message's content as the service takes it.

    Raises:
        ConfigurationError: A block is of a kind the service does not take (audio, video).
    """
    if isinstance(content, str):
        return content
    chunks = [chunk for block in content if (chunk := _chunk(block)) is not None]
    only_text = all(chunk["type"] == "text" for chunk in chunks)
    return "\n".join(chunk["text"] for chunk in chunks) if only_text else chunks


def _chunk(block: Any) -> JsonDict | None:
    if isinstance(block, str):
        return {"type": "text", "text": block}
    kind = block.get("type")
    reader = _READERS.get(kind)
    if reader is None:
        raise ConfigurationError(f"The service takes no {kind!r} content; it takes text, images and documents.")
    found: JsonDict | None = reader(block)
    return found


def _text(block: Mapping[str, Any]) -> JsonDict:
    return {"type": "text", "text": str(block.get("text", ""))}


def _image_url(block: Mapping[str, Any]) -> JsonDict:
    value = block.get("image_url")
    url = value.get("url") if isinstance(value, Mapping) else value
    return {"type": "image_url", "image_url": url}


def _data_uri(block: Mapping[str, Any], default: str) -> str:
    """The address of inline or linked data, in any of LangChain's dialects (v1, v0, Anthropic's)."""
    source = block.get("source")
    if isinstance(source, Mapping):
        return _data_uri({**source, "mime_type": source.get("media_type"), "source": None}, default)
    if block.get("url") is not None:
        return str(block["url"])
    data = block.get("base64", block.get("data"))
    if data is None:
        raise ConfigurationError(f"A {block.get('type')} block needs url, base64 or file_id.")
    return f"data:{block.get('mime_type') or default};base64,{data}"


def _file_id(block: Mapping[str, Any]) -> str | None:
    found = block.get("file_id", block.get("id") if block.get("source_type") == "id" else None)
    return found if isinstance(found, str) else None


def _image(block: Mapping[str, Any]) -> JsonDict:
    file_id = _file_id(block)
    if file_id is not None:
        return {"type": "tool_file", "tool": "image_generation", "file_id": file_id}
    return {"type": "image_url", "image_url": _data_uri(block, "image/png")}


def _document(block: Mapping[str, Any]) -> JsonDict:
    nested = block.get("file")
    if isinstance(nested, Mapping):  # OpenAI's dialect
        name = nested.get("filename")
        address = nested.get("file_data")
        if address is None:
            raise ConfigurationError("A file block needs file_data; ids of another provider's files are unknown here.")
        return {"type": "document_url", "document_url": address, **({"document_name": name} if name else {})}
    file_id = _file_id(block)
    if file_id is not None:
        return {"type": "tool_file", "tool": "code_interpreter", "file_id": file_id}
    extras = block.get("extras")
    name = block.get("filename") or (extras.get("name") if isinstance(extras, Mapping) else None)
    named = {"document_name": name} if name else {}
    return {"type": "document_url", "document_url": _data_uri(block, "application/pdf"), **named}


def _nothing(_: Mapping[str, Any]) -> None:
    """Blocks of other providers that say nothing to the model (cache points, thoughts, calls told elsewhere)."""


_READERS: dict[Any, Any] = {
    "text": _text,
    "text-plain": _text,
    "image_url": _image_url,
    "image": _image,
    "file": _document,
    "document": _document,
    "document_url": dict,
    "tool_file": dict,
    "thinking": _nothing,
    "reasoning": _nothing,
    "tool_use": _nothing,
    "non_standard": _nothing,
}


def result_text(content: str | list[Any]) -> str:
    """The content of a tool message as text: text blocks as they are, others as JSON (the service takes text only)."""
    if isinstance(content, str):
        return content
    return "\n".join(_result_part(block) for block in content)


def _result_part(block: Any) -> str:
    if isinstance(block, str):
        return block
    if block.get("type") in ("text", "text-plain"):
        return str(block.get("text", ""))
    return json.dumps(block, ensure_ascii=False, default=str)
