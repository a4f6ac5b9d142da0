"""Filters on metadata: a small tree, checked when made and evaluated against a document's or chunk's metadata.

Rules, the same in every mode that can filter:

- A list is `in` others where one of its values is.
- A missing field matches only `!=`, `nin` and `is_empty`. None is what is missing: `== None` finds documents without
  the field, `!= None` those that have it.
- Values of unlike types are unequal, and neither is greater; but a bool equals the texts "true" or "false", since some
  frameworks' filters take no bool.
- `attr_<name>` finds the attribute `<name>` where no field of that very name is there (as 0.1.0 named it).
- A `not` group matches where none of its parts does; an empty group matches everything.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from numbers import Real
from typing import Any, Literal

from mistral_agents.errors import ConfigurationError
from mistral_agents.retrieval.documents import PREFIX
from mistral_agents.retrieval.errors import UnsupportedFilterError

Metadata = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Condition:
    """One field compared with a value.

    Attributes:
        field: A key of the metadata, for example `file_name`, or the name of an attribute of yours.
        operator: `==`, `!=`, `>`, `>=`, `<`, `<=`, `in`, `nin`, `any`, `all`, `contains`, `text_match`,
            `text_match_insensitive` or `is_empty`.
        value: A text or number; a list for `in`, `nin`, `any` and `all`; unused for `is_empty`.

    Raises:
        UnsupportedFilterError: The operator is unknown or can't take this value.
    """

    field: str
    operator: str
    value: Any = None

    def __post_init__(self) -> None:
        if self.operator not in _MATCHES and self.operator != "is_empty":
            raise refused(self, "local", f"knows no operator {self.operator!r}")
        if self.operator in _LISTS and not isinstance(self.value, (list, tuple)):
            raise refused(self, "local", "needs a list")
        if self.operator in _ORDERED and not _is_number(self.value) and not isinstance(self.value, str):
            raise refused(self, "local", "needs a number or a text")
        if self.operator in _EQUAL and not isinstance(self.value, (*_VALUES, type(None))):
            raise refused(self, "local", "needs a text, a number, a bool or a list")
        if self.operator in _TEXTUAL and not isinstance(self.value, str):
            raise refused(self, "local", "needs a text")


@dataclass(frozen=True, slots=True)
class Group:
    """Conditions and groups joined by `and`, `or` or `not`."""

    operator: Literal["and", "or", "not"]
    parts: tuple[Condition | Group, ...]


Filter = Condition | Group
AnyFilter = Filter | Mapping[str, Any]
"""A filter as a user gives it: a tree, or a dict as `as_filter` takes it."""


def refused(condition: Condition, mode: str, reason: str) -> UnsupportedFilterError:
    """The error for a condition that a mode can't apply."""
    message = f"Filter {condition.field!r} {condition.operator} {condition.value!r}: mode {mode!r} {reason}."
    return UnsupportedFilterError(message, field=condition.field, operator=condition.operator, mode=mode)


def conditions(filter_: Filter) -> Iterator[Condition]:
    """All conditions of a filter, from left to right."""
    if isinstance(filter_, Condition):
        yield filter_
        return
    for part in filter_.parts:
        yield from conditions(part)


def fields(filter_: Filter) -> set[str]:
    """The fields a filter looks at."""
    return {condition.field for condition in conditions(filter_)}


def matches(filter_: Filter, metadata: Metadata) -> bool:
    """Whether metadata passes a filter."""
    if isinstance(filter_, Condition):
        return _passes(filter_, metadata.get(known_field(filter_.field, metadata)))
    if not filter_.parts:
        return True
    results = (matches(part, metadata) for part in filter_.parts)
    if filter_.operator == "and":
        return all(results)
    return any(results) if filter_.operator == "or" else not any(results)


def as_filter(given: object) -> Filter | None:
    """A filter of a user's: a tree, or a dict as vector stores take it; None for none.

    A dict's values must all be equal, unless they are themselves dicts of operators, as MongoDB writes them:
    `{"year": {"$gte": 2024}, "$or": [{"team": "a"}, {"tags": {"$in": ["x"]}}]}`.

    Raises:
        ConfigurationError: It is neither, or has an operator that is unknown or can't take its value.
    """
    if given is None or isinstance(given, (Condition, Group)):
        return given
    if isinstance(given, Mapping):
        return Group("and", tuple(_read_item(str(key), value) for key, value in given.items()))
    raise ConfigurationError(f"filter must be a dict or a filter tree, not {type(given).__name__}.")


def _read_item(key: str, value: object) -> Filter:
    """What one key of a dict asks for: a group, operators, or equality."""
    if key in _GROUPS:
        return _read_group(key, value)
    if key.startswith("$"):
        raise ConfigurationError(f"filter has {key!r}, where {', '.join(_GROUPS)} or a field is allowed.")
    if not isinstance(value, Mapping):
        return Condition(key, "==", value)
    if unknown := [operator for operator in value if operator not in _OPERATORS]:
        allowed = ", ".join(_OPERATORS)
        raise ConfigurationError(f"filter for {key!r} has {unknown[0]!r}, which is no operator: allowed are {allowed}.")
    if not value:
        raise ConfigurationError(f"filter for {key!r} is an empty dict: give a value or an operator ($eq, $in, …).")
    return Group("and", tuple(Condition(key, _OPERATORS[operator], wanted) for operator, wanted in value.items()))


def _read_group(key: str, value: object) -> Group:
    given = value if isinstance(value, (list, tuple)) else [value] if key == "$not" else None
    if not given or any(not isinstance(part, (Mapping, Condition, Group)) for part in given):
        raise ConfigurationError(f"filter's {key} must be a list of filters, not {value!r}.")
    parts = tuple(part for part in map(as_filter, given) if part is not None)
    return Group(_GROUPS[key], parts)


def known_field(field: str, known: Container[str]) -> str:
    """A field as it is called where some are known: an attribute may be given with its prefix of 0.1.0."""
    bare = field.removeprefix(PREFIX)
    return bare if field not in known and bare in known else field


def unknown_fields(filter_: Filter, known: Container[str]) -> list[str]:
    """The fields of a filter that no document has."""
    return sorted(field for field in fields(filter_) if known_field(field, known) not in known)


def _passes(condition: Condition, found: object) -> bool:
    if condition.operator == "is_empty":
        return found is None or found in ("", [])
    if condition.value is None and condition.operator in _EQUAL:
        return (found is None) == (condition.operator == "==")
    if found is None:
        return condition.operator in ("!=", "nin")
    return _MATCHES[condition.operator](found, condition.value)


def _is_number(value: object) -> bool:
    return isinstance(value, _NUMBERS) and not isinstance(value, bool)


def _is_comparable(found: object, value: object) -> bool:
    return (_is_number(found) and _is_number(value)) or (isinstance(found, str) and isinstance(value, str))


def _is_equal(found: object, value: object) -> bool:
    if isinstance(found, bool) and isinstance(value, str):
        return str(found).lower() == value.lower()
    if isinstance(value, tuple):
        value = list(value)
    return isinstance(found, bool) == isinstance(value, bool) and bool(found == value)


def _is_among(found: object, values: Any) -> bool:
    own = found if isinstance(found, (list, tuple)) else [found]
    return any(_is_equal(one, value) for one in own for value in values)


def _contains(found: object, value: object) -> bool:
    if isinstance(found, str):
        return isinstance(value, str) and value in found
    return isinstance(found, (list, tuple)) and any(_is_equal(item, value) for item in found)


def _contains_text(found: object, value: str) -> bool:
    return isinstance(found, str) and value in found


def _contains_text_insensitive(found: object, value: str) -> bool:
    return isinstance(found, str) and value.casefold() in found.casefold()


_MATCHES: dict[str, Callable[[Any, Any], bool]] = {
    "==": _is_equal,
    "!=": lambda found, value: not _is_equal(found, value),
    ">": lambda found, value: _is_comparable(found, value) and bool(found > value),
    ">=": lambda found, value: _is_comparable(found, value) and bool(found >= value),
    "<": lambda found, value: _is_comparable(found, value) and bool(found < value),
    "<=": lambda found, value: _is_comparable(found, value) and bool(found <= value),
    "in": _is_among,
    "nin": lambda found, value: not _is_among(found, value),
    "any": lambda found, value: any(_contains(found, item) for item in value),
    "all": lambda found, value: all(_contains(found, item) for item in value),
    "contains": _contains,
    "text_match": _contains_text,
    "text_match_insensitive": _contains_text_insensitive,
}
_GROUPS: dict[str, Literal["and", "or", "not"]] = {"$and": "and", "$or": "or", "$nor": "not", "$not": "not"}
_OPERATORS = {
    "$eq": "==",
    "$ne": "!=",
    "$gt": ">",
    "$gte": ">=",
    "$lt": "<",
    "$lte": "<=",
    "$in": "in",
    "$nin": "nin",
    "$contains": "contains",
}
_EQUAL = frozenset({"==", "!="})
_NUMBERS = (Real, Decimal)
_VALUES = (str, bool, *_NUMBERS, list, tuple)
_LISTS = frozenset({"in", "nin", "any", "all"})
_ORDERED = frozenset({">", ">=", "<", "<="})
_TEXTUAL = frozenset({"text_match", "text_match_insensitive"})
