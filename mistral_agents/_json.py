"""The one name for JSON objects, whose fields nobody here promises."""

from __future__ import annotations

import hashlib
import json
from typing import Any

JsonDict = dict[str, Any]
"""A JSON object as it came or as it is sent."""


_DECODER = json.JSONDecoder()


def load_json(text: bytes | str) -> Any:
    """The value of a JSON text, surrogates as they came.

    Raises:
        ValueError: It is no JSON, or nested more deeply than can be read.
    """
    try:
        if isinstance(text, str) and text.startswith("{"):  # an event: what looks for spaces around it costs a third
            value, end = _DECODER.raw_decode(text)
            if end == len(text):
                return value
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply to be read") from None


def digest(*parts: object) -> str:
    """A short digest of JSON-like values."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]


def text_or_none(value: object) -> str | None:
    """A value of the wire where it is text."""
    return value if isinstance(value, str) else None


def count_of(value: object) -> int:
    """A value of the wire where it is a whole number; else 0."""
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
