"""Files that a turn made, as blocks of its message."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, DocumentBlock, ImageBlock

from mistral_agents.files import FileData
from mistral_agents.turn import FileRef


def file_refs(message: ChatMessage) -> list[FileRef]:
    """The files an answer names in `additional_kwargs["files"]`."""
    return [FileRef(**known) for known in message.additional_kwargs.get("files", ())]


def with_files(message: ChatMessage, files: Sequence[FileData]) -> ChatMessage:
    """A copy of a message with the files' bytes in blocks, in place of links to images."""
    blocks = [block for block in message.blocks if not (isinstance(block, ImageBlock) and block.url is not None)]
    return message.model_copy(update={"blocks": [*blocks, *map(_make_file_block, files)]})


def _make_file_block(file: FileData) -> Any:
    if file.media_type.startswith("image/"):
        return ImageBlock(image=file.data, image_mimetype=file.media_type)
    return DocumentBlock(data=file.data, title=file.name, document_mimetype=file.media_type)
