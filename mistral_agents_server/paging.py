"""Pages of lists, and the filter by metadata."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from starlette.requests import Request

from mistral_agents_server.errors import invalid
from mistral_agents_server.strict_json import read_json

LARGEST = 2**53 - 1
"""The largest number taken where nothing else bounds it: what JSON's readers agree on, and SQLite can hold."""


def whole_number(text: str) -> int:
    """The whole number that a text from outside writes.

    Raises:
        ValueError: it writes none, or one of more digits than any number here has.
    """
    if re.fullmatch(r"[+-]?[0-9]{1,19}", text.strip()) is None:
        raise ValueError(f"{text[:40]!r} is no whole number")
    return int(text)


_UNSET = "~?~unset~?~sentinel~?~"
_UNSET_MESSAGE = (
    "Input should be a valid dictionary. This value is the Python SDK's own sign for a metadata that was not given, "
    "which its list methods send by mistake: pass metadata={}"
)


def number_of(request: Request, name: str, default: int, low: int, high: int = LARGEST) -> int:
    """A number of the query.

    Raises:
        ApiError: 422 when it is none or out of its range.
    """
    text = request.query_params.get(name)
    if text is None:
        return default
    try:
        value = whole_number(text)
    except ValueError as error:
        raise invalid(("query", name), "int_parsing", "Input should be a valid integer", text) from error
    if value < low:
        raise invalid(("query", name), "greater_than_equal", f"Input should be greater than or equal to {low}", text)
    if value > high:
        raise invalid(("query", name), "less_than_equal", f"Input should be less than or equal to {high}", text)
    return value


def page_of(request: Request, default_size: int, max_size: int) -> tuple[int, int]:
    """`page` (from 0) and `page_size`."""
    return number_of(request, "page", 0, 0), number_of(request, "page_size", default_size, 1, max_size)


def token_for(offset: int) -> str:
    """An opaque token for the place where the next page begins."""
    return base64.urlsafe_b64encode(f"o{offset}".encode()).decode().rstrip("=")


def offset_of(token: str | None, name: str = "page_token") -> int:
    """The place that a token stands for; 0 without one.

    Raises:
        ApiError: 422 when it is no token of ours.
    """
    if token is None:
        return 0
    try:
        text = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
        return whole_number(text.removeprefix("o"))
    except (ValueError, binascii.Error) as error:
        raise invalid(("query", name), "value_error", "Invalid page token", token) from error


def metadata_filter(request: Request) -> dict[str, Any]:
    """The `metadata` of the query: a JSON object; `null` and nothing filter nothing.

    Raises:
        ApiError: 422 when it is something else.
    """
    text = request.query_params.get("metadata")
    try:
        parsed = read_json(text) if text is not None else None
    except ValueError as error:
        raise invalid(("query", "metadata"), "json_invalid", "metadata must be JSON", text) from error
    if parsed is None:
        return {}
    if parsed == _UNSET:
        raise invalid(("query", "metadata"), "dict_type", _UNSET_MESSAGE, parsed)
    if not isinstance(parsed, dict):
        raise invalid(("query", "metadata"), "dict_type", "Input should be a valid dictionary", parsed)
    return parsed


def has_metadata(body: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """Whether something has all of the wanted metadata."""
    kept = body.get("metadata") or {}
    return all(key in kept and kept[key] == value for key, value in wanted.items())
