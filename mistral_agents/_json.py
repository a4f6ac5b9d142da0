"""The one name for JSON objects, whose fields nobody here promises."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from typing import Any

JsonDict = dict[str, Any]
"""A JSON object as it came or as it is sent."""


DEEPEST = 128
"""Levels of objects and lists in one JSON text. pydantic gives up at about 250, Python at a depth that differs by
version: from 3.14 on it reads far more levels than anything can be done with."""

_TOO_DEEP = "it is nested too deeply to be read"
_DECODER = json.JSONDecoder()


def load_json(text: bytes | str) -> Any:
    """The value of a JSON text, surrogates as they came.

    Raises:
        ValueError: It is no JSON, or nested more deeply than `DEEPEST`.
    """
    try:
        value = _read_json(text)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    check_depth(text, value)
    return value


def _read_json(text: bytes | str) -> Any:
    if isinstance(text, str) and text.startswith("{"):  # an event: looking for spaces around it costs a third
        value, end = _DECODER.raw_decode(text)
        if end == len(text):
            return value
    return json.loads(text)


def check_depth(text: bytes | str, value: object) -> None:
    """Refuse what a JSON text holds where it is nested too deeply.

    Raises:
        ValueError: It is nested more deeply than `DEEPEST`.
    """
    if len(text) <= 2 * DEEPEST:  # most are short: each level is opened and closed
        return
    opened = text.count(b"{") + text.count(b"[") if isinstance(text, bytes) else text.count("{") + text.count("[")
    if opened <= DEEPEST:
        return
    depth, level = 0, _list_containers([value])
    while level:
        depth += 1
        if depth > DEEPEST:
            raise ValueError(_TOO_DEEP)
        level = [part for one in level for part in _list_containers(one.values() if isinstance(one, dict) else one)]


def _list_containers(values: Iterable[object]) -> list[JsonDict | list[object]]:
    return [value for value in values if isinstance(value, (dict, list))]


def digest(*parts: object) -> str:
    """A short digest of JSON-like values."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]


def text_or_none(value: object) -> str | None:
    """A value of the wire where it is text."""
    return value if isinstance(value, str) else None


def objects_of(value: object) -> list[JsonDict]:
    """The objects of a list of the wire; nothing where it is none."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


MOST = 2**53 - 1
"""The largest whole number that every reader of JSON keeps exact (RFC 8259, section 6)."""
_DIGITS = re.compile(r"[0-9]{1,16}")


def count_of(value: object) -> int:
    """A value of the wire where it is a count; else 0.

    A gateway may write it as a float or as a text. What is below zero or beyond `MOST` counts nothing: it would lift
    a limit, or be no number for those who go on with it.
    """
    if (isinstance(value, str) and _DIGITS.fullmatch(value)) or (isinstance(value, float) and value.is_integer()):
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST else 0
