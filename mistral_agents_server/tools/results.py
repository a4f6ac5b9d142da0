"""What a hosted tool gives back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from mistral_agents_server.ids import uuid4_str
from mistral_agents_server.thinking import count_tokens

Wire = dict[str, Any]


class ToolError(Exception):
    """A tool that failed: the message goes into the result, as on the service."""


@dataclass(slots=True)
class MadeFile:
    """A file that a tool made.

    Attributes:
        name: as `tool_file` chunks show it.
        type: its extension, such as `png` or `csv`.
        data: its bytes.
        file_id: the id it is to be kept under.
    """

    name: str
    type: str
    data: bytes
    file_id: str = field(default_factory=uuid4_str)


@dataclass(slots=True)
class ToolResult:
    """A hosted run, done.

    Attributes:
        info: the entry's `info`.
        files: files made.
        references: `tool_reference` chunks.
        connector: the key in `usage.connectors`.
        tokens: what the result adds to `usage.connector_tokens`, roughly.
    """

    info: Wire
    files: list[MadeFile] = field(default_factory=list)
    references: list[Wire] = field(default_factory=list)
    connector: str = ""
    tokens: int = 0


def text_items(text: str) -> list[Wire]:
    """A result in the form of a list of text items."""
    return [{"type": "text", "text": text}]


def failure(function: str, reason: str) -> Wire:
    """The `info` of a failed run."""
    return {"result": f"Error executing tool {function}: {reason}"}


def tokens_of(info: Wire) -> int:
    """Rough tokens of what the model reads of a result."""
    result = info.get("result")
    if isinstance(result, list):
        return sum(count_tokens(item["text"]) for item in result)
    return count_tokens(str(result))
