"""JSON schemas in a request: what stands where the standard wants an object, a list or a text is one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import AfterValidator

_BY_NAME = ("properties", "patternProperties", "$defs", "definitions")
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_ONE = ("items", "additionalProperties", "not")
_TEXTS = ("format", "pattern", "$ref")


def _check_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema, where its form is one.

    Raises:
        ValueError: It is not; the message says where.
    """
    waiting: list[tuple[str, Any]] = [("the schema", schema)]
    while waiting:
        place, part = waiting.pop()
        if isinstance(part, bool):
            continue
        _expect(part, dict, f"{place} must be a schema")
        for key in _TEXTS:
            _expect(part.get(key, ""), str, f"{key} in {place} must be a text")
        waiting.extend(_list_parts(part, place))
    return schema


def _list_parts(part: dict[str, Any], place: str) -> Iterator[tuple[str, Any]]:
    for key in _BY_NAME:
        named = part.get(key, {})
        _expect(named, dict, f"{key} in {place} must be an object")
        yield from ((f"{key}.{name}", one) for name, one in named.items())
    for key in _LISTS:
        listed = part.get(key, [])
        _expect(listed, list, f"{key} in {place} must be a list")
        yield from ((f"{key}.{index}", one) for index, one in enumerate(listed))
    for key in _ONE:
        one = part.get(key, True)
        several = one if isinstance(one, list) else [one]
        yield from ((f"{key}.{index}", each) for index, each in enumerate(several))


def _expect(value: object, kind: type, message: str) -> None:
    if not isinstance(value, kind):
        raise ValueError(f"{message}, not {type(value).__name__}")  # noqa: TRY004 - pydantic reports only these


SchemaBody = Annotated[dict[str, Any], AfterValidator(_check_schema)]
"""A JSON schema as a part of a request."""
