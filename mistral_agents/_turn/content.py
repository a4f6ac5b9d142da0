"""Contents of messages, arguments and results: the forms they come in, made alike."""

from __future__ import annotations

import json
import re
from datetime import datetime

from mistral_agents._border.text import parse_json
from mistral_agents._json import JsonDict

_FRACTION = re.compile(r"\.(\d+)")


def content_chunks(content: object) -> list[JsonDict]:
    """A message's content as chunk dicts: a string becomes one text chunk, an unknown item is kept as `unknown`."""
    if content is None or content == "":
        return []
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if isinstance(content, dict):
        return [content]
    if isinstance(content, list):
        return [item if isinstance(item, dict) else _wrap_loose(item) for item in content]
    return [{"type": "unknown", "value": content}]


def _wrap_loose(item: object) -> JsonDict:
    return {"type": "text", "text": item} if isinstance(item, str) else {"type": "unknown", "value": item}


def chunk_text(chunk: JsonDict) -> str:
    """The text of a text chunk; empty for every other kind."""
    text = chunk.get("text")
    return text if chunk.get("type", "text") == "text" and isinstance(text, str) else ""


def thinking_text(chunk: JsonDict) -> str:
    """The text of a `thinking` chunk, joined; empty for every other kind."""
    if chunk.get("type") != "thinking":
        return ""
    parts = chunk.get("thinking")
    return parts if isinstance(parts, str) else "".join(chunk_text(part) for part in content_chunks(parts))


def parse_arguments(text: str) -> JsonDict:
    """Arguments as a dict: a JSON object as such, nothing as `{}`, any other text as `{"input": text}`."""
    if not text:
        return {}
    try:
        value = parse_json(text)
    except ValueError:
        return {"input": text}
    return value if isinstance(value, dict) else {"input": value}


def as_json_text(value: object) -> str:
    """Text as it is, anything else as JSON text; nothing as an empty text."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def joined_text(result: object) -> str | None:
    """A tool's result as text, whether it came as a text or as text items; None where there is none."""
    if isinstance(result, str):
        return result
    if isinstance(result, list):
        parts = [chunk_text(item) for item in result if isinstance(item, dict)]
        return "".join(parts) if parts else None
    return None


def parse_time(value: str | None) -> datetime | None:
    """An aware time from the service's ISO 8601 text; None where it can't be read."""
    if value is None:
        return None
    exact = _FRACTION.sub(lambda found: f".{found[1][:6]:<06}", value.replace("Z", "+00:00"))
    try:
        return datetime.fromisoformat(exact)
    except ValueError:
        return None
