"""JSON from outside, read by the letter: what RFC 8259 or UTF-8 can't say is refused before anything is done with it.

Python's reader takes more than JSON has (`NaN`, half of a surrogate pair) and fails in its own ways on the rest
(recursion, numbers of thousands of digits). Either would end as a 500, or in the database, where it can't be read.
"""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

MAX_DEPTH = 128
"""Nested arrays and objects. pydantic and `json` give up at about 250 and 1,000; no real request has a tenth of it."""


def read_json(raw: bytes | str) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: it is no JSON, is nested too deep, or holds numbers or characters that can't be sent on.
    """
    text = raw.decode("utf-8") if isinstance(raw, bytes) else raw
    try:
        value = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
    except RecursionError as error:
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels") from error
    _check_depth(value)
    if "\\u" in text:  # only an escape can bring half of a surrogate pair
        _check_characters(value)
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"the number {text[:40]} is out of range")
    return number


def _check_depth(value: Any) -> None:
    level, depth = [value], 0
    while level := [part for whole in level for part in _parts(whole) if isinstance(part, (dict, list))]:
        depth += 1
        if depth >= MAX_DEPTH:
            raise ValueError(f"nested deeper than {MAX_DEPTH} levels")


def _parts(whole: Any) -> Any:
    return whole.values() if isinstance(whole, dict) else whole if isinstance(whole, list) else ()


def _check_characters(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        code = ord(error.object[error.start])
        raise ValueError(f"half of a surrogate pair (\\u{code:04x}) is no character") from error


def mend_text(text: str) -> str:
    """The text as it can be sent and kept: surrogate pairs joined, lone halves replaced by U+FFFD."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
