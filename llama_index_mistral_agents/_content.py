"""Content of messages: LlamaIndex's blocks → the border's parts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from llama_index.core.base.llms.types import (
    CachePoint,
    ChatMessage,
    CitableBlock,
    CitationBlock,
    DocumentBlock,
    ImageBlock,
    TextBlock,
)
from llama_index.core.tools.types import ToolOutput

from mistral_agents._border.blocks import Part, ResultContent, make_chunk, make_content, make_result, make_text_only
from mistral_agents._border.dialects import BYTES, read_value
from mistral_agents._json import JsonDict
from mistral_agents.errors import ConfigurationError

_UNNAMED = "input_document"
"""What LlamaIndex calls a document that nobody named."""


def user_content(message: ChatMessage) -> str | list[JsonDict]:
    """What a user's message says, as the service takes it; an empty text where it says nothing.

    Raises:
        ConfigurationError: It holds something the service can't take, or that is damaged.

    Warns:
        UserWarning: A block says nothing that the service takes.
    """
    return make_content(_read_blocks(message.blocks))


def system_content(message: ChatMessage) -> str:
    """A system message's text.

    Raises:
        ConfigurationError: A block is more than text.
    """
    return make_text_only(list(_read_blocks(message.blocks)), "A system message")


def result_content(message: ChatMessage) -> ResultContent:
    """A tool message's content: its text, and the pictures and documents that follow it."""
    return make_result(_read_blocks(message.blocks))


def output_blocks(output: ToolOutput) -> list[Any]:
    """What a function gave, as blocks; LlamaIndex writes bytes, and a dict with a picture, as Python does."""
    blocks: list[Any] = list(output.blocks)
    given = output.raw_output
    listed = given if isinstance(given, (list, tuple)) else [given]
    if not listed and not blocks:  # LlamaIndex takes an empty list for one of blocks
        return [TextBlock(text="[]")]
    if not any(isinstance(one, (Mapping, *BYTES)) for one in listed):
        return blocks
    parts = list(read_value(given))
    is_told = not isinstance(given, BYTES) and all(part.kind == "text" for part in parts)
    return blocks if is_told else [_make_block(part) for part in parts]


def _make_block(part: Part) -> Any:
    """A part as one of LlamaIndex's blocks; what can't be sent is noted."""
    try:
        chunk = make_chunk(part)
    except ConfigurationError as error:
        return TextBlock(text=f"[{part.label}: left out, {error.message}]")
    if chunk["type"] == "image_url":
        url = chunk["image_url"]
        return ImageBlock(url=url["url"] if isinstance(url, dict) else url)
    if chunk["type"] == "document_url":
        return DocumentBlock(url=chunk["document_url"], title=part.name)
    return TextBlock(text=chunk.get("text", f"[{part.label}: left out]"))


def _read_blocks(blocks: Iterable[Any]) -> Iterator[Part]:
    for block in blocks:
        yield from _read_block(block)


def _read_block(block: Any) -> Iterator[Part]:
    label = type(block).__name__
    if isinstance(block, TextBlock):
        if block.text:
            yield Part("text", label, text=block.text)
    elif isinstance(block, ImageBlock):
        yield _read_image(block, label)
    elif isinstance(block, DocumentBlock):
        yield _read_document(block, label)
    elif isinstance(block, CitableBlock):
        yield Part("text", label, text=f"{block.title} ({block.source})")
        yield from _read_blocks(block.content)
    elif isinstance(block, CitationBlock):
        yield from _read_block(block.cited_content)
    else:
        yield Part("nothing" if isinstance(block, CachePoint) or label in _SAID_BY_MODELS else "chunk", label)


_SAID_BY_MODELS = frozenset({"ThinkingBlock", "ToolCallBlock"})


def _read_image(block: ImageBlock, label: str) -> Part:
    url = str(block.url) if block.url is not None else None
    data = None if url is not None else _read_bytes(label, block.resolve_image)
    return Part("image", label, url=url, data=data, mime=block.image_mimetype, detail=block.detail)


def _read_document(block: DocumentBlock, label: str) -> Part:
    url = str(block.url) if block.url is not None else None
    data = None if url is not None else _read_bytes(label, block.resolve_document)
    name = block.title if block.title != _UNNAMED else None
    return Part("document", label, url=url, data=data, mime=block.document_mimetype, name=name)


def _read_bytes(label: str, resolve: Any) -> bytes:
    try:
        return bytes(resolve().read())
    except (ValueError, OSError) as error:
        raise ConfigurationError(f"The content of a {label} can't be read: {error}.") from error
