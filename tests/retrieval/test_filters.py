"""The truth table of filters; `tests/llama_index` runs the same table against the search index's compiler."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import numpy
import pytest

from mistral_agents.errors import ConfigurationError
from mistral_agents.retrieval.errors import UnsupportedFilterError
from mistral_agents.retrieval.filters import Condition, Filter, Group, as_filter, fields, matches

METADATA = {"file_name": "guide.md", "attr_year": 2024, "attr_score": 0.5, "attr_tags": ["red", "blue"], "attr_x": ""}

TABLE: list[tuple[str, str, Any, bool]] = [
    ("file_name", "==", "guide.md", True),
    ("file_name", "==", "other.md", False),
    ("file_name", "!=", "other.md", True),
    ("file_name", "!=", "guide.md", False),
    ("attr_year", "==", 2024, True),
    ("attr_year", "==", "2024", False),
    ("attr_year", ">", 2023, True),
    ("attr_year", ">", 2024, False),
    ("attr_year", ">=", 2024, True),
    ("attr_year", "<", 2024, False),
    ("attr_year", "<=", 2024, True),
    ("attr_year", ">", "2023", False),
    ("file_name", ">", "a", True),
    ("attr_score", "<", 1, True),
    ("attr_year", "in", [2023, 2024], True),
    ("attr_year", "in", [], False),
    ("attr_year", "nin", [2023], True),
    ("attr_year", "nin", [2024], False),
    ("attr_tags", "in", ["green", "blue"], True),
    ("attr_tags", "in", ["green"], False),
    ("attr_tags", "nin", ["green", "blue"], False),
    ("attr_tags", "nin", ["green"], True),
    ("attr_tags", "contains", "red", True),
    ("attr_tags", "contains", "green", False),
    ("file_name", "contains", "guide", True),
    ("attr_year", "contains", "20", False),
    ("attr_tags", "any", ["green", "blue"], True),
    ("attr_tags", "any", ["green"], False),
    ("attr_tags", "all", ["red", "blue"], True),
    ("attr_tags", "all", ["red", "green"], False),
    ("file_name", "text_match", "uide", True),
    ("file_name", "text_match", "UIDE", False),
    ("file_name", "text_match_insensitive", "UIDE", True),
    ("attr_year", "text_match", "2024", False),
    ("attr_x", "is_empty", None, True),
    ("missing", "is_empty", None, True),
    ("file_name", "is_empty", None, False),
    ("missing", "==", "a", False),
    ("missing", "!=", "a", True),
    ("missing", ">", 1, False),
    ("missing", "in", ["a"], False),
    ("missing", "nin", ["a"], True),
    ("missing", "contains", "a", False),
    ("missing", "==", None, True),
    ("missing", "!=", None, False),
    ("attr_year", "==", None, False),
    ("attr_year", "!=", None, True),
    ("attr_tags", "==", ("red", "blue"), True),
    ("attr_year", ">=", numpy.int64(2024), True),
    ("attr_year", "==", numpy.int64(2024), True),
    ("attr_year", "==", Decimal(2024), True),
    ("attr_year", ">", Decimal("2023.5"), True),
    ("attr_year", "in", [numpy.int64(2024)], True),
]
YES, NO = Condition("file_name", "==", "guide.md"), Condition("file_name", "==", "x")
GROUPS: list[tuple[Filter, bool]] = [
    (Group("and", (YES, YES)), True),
    (Group("and", (YES, NO)), False),
    (Group("or", (NO, YES)), True),
    (Group("or", (NO, NO)), False),
    (Group("not", (NO, NO)), True),
    (Group("not", (YES, NO)), False),
    (Group("and", ()), True),
    (Group("or", ()), True),
    (Group("not", ()), True),
    (Group("and", (YES, Group("or", (NO, Group("not", (NO,)))))), True),
    (Group("not", (Group("and", (YES, YES)),)), False),
]


@pytest.mark.parametrize(("field", "operator", "value", "expected"), TABLE)
def test_conditions(field: str, operator: str, value: Any, expected: bool) -> None:
    assert matches(Condition(field, operator, value), METADATA) is expected


@pytest.mark.parametrize(("filter_", "expected"), GROUPS)
def test_groups(filter_: Filter, expected: bool) -> None:
    assert matches(filter_, METADATA) is expected


@pytest.mark.parametrize(
    ("operator", "value"),
    [
        *(("~", 1), ("in", "abc"), (">", [1]), (">", None), ("<", True), ("text_match", 3), ("any", 1)),
        *(("==", date(2024, 1, 1)), ("!=", {"$gt": 1}), (">", date(2024, 1, 1))),
    ],
)
def test_what_can_not_be_applied_is_refused_with_field_and_operator(operator: str, value: Any) -> None:
    with pytest.raises(UnsupportedFilterError, match="attr_year") as caught:
        Condition("attr_year", operator, value)
    assert (caught.value.field, caught.value.operator, caught.value.mode) == ("attr_year", operator, "local")


def test_fields_of_a_nested_filter() -> None:
    assert fields(Group("and", (YES, Group("not", (Condition("attr_year", ">", 1),))))) == {"file_name", "attr_year"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"attr_year": 2024}, True),
        ({"attr_year": {"$gte": 2024, "$lt": 2025}}, True),
        ({"attr_year": {"$gt": 2024}}, False),
        ({"attr_year": {"$ne": 2024}}, False),
        ({"attr_year": {"$in": [2023, 2024]}, "file_name": {"$eq": "guide.md"}}, True),
        ({"attr_year": {"$nin": [2024]}}, False),
        ({"attr_tags": ["red", "blue"]}, True),
        ({"attr_tags": {"$contains": "red"}}, True),
        ({"$or": [{"attr_year": 1}, {"file_name": "guide.md"}]}, True),
        ({"$and": [{"attr_year": 1}, {"file_name": "guide.md"}]}, False),
        ({"$not": {"attr_year": 1}}, True),
        ({"$nor": [{"attr_year": 1}, Condition("file_name", "==", "guide.md")]}, False),
        ({"attr_year": None}, False),
        ({"attr_year": {"$ne": None}, "missing": None}, True),
        ({}, True),
    ],
)
def test_a_dict_is_read_as_vector_stores_read_it(given: dict[str, Any], expected: bool) -> None:
    filter_ = as_filter(given)
    assert filter_ is not None
    assert matches(filter_, METADATA) is expected


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"attr_year": {"$near": 1}}, r"\$near"),
        ({"attr_year": {"gte": 1}}, "'gte'"),
        ({"attr_year": {}}, "attr_year"),
        ({"attr_year": {"$in": 2024}}, "attr_year"),
        ({"$xor": [{"attr_year": 1}]}, r"\$xor"),
        ({"$or": []}, r"\$or"),
        ({"$or": {"attr_year": 1}}, r"\$or"),
        ({"$and": ["attr_year"]}, r"\$and"),
    ],
)
def test_a_dict_with_what_is_no_operator_is_refused_by_name(given: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        as_filter(given)
