"""LlamaIndex metadata filters as the engine's filters."""

from __future__ import annotations

from collections.abc import Container
from typing import Literal

from llama_index.core.vector_stores.types import FilterCondition, MetadataFilter, MetadataFilters

from mistral_agents.errors import ConfigurationError
from mistral_agents.retrieval.filters import Condition, Filter, Group, known_field

_GROUPS: dict[FilterCondition, Literal["and", "or", "not"]] = {
    FilterCondition.AND: "and",
    FilterCondition.OR: "or",
    FilterCondition.NOT: "not",
}


def filter_of(filters: MetadataFilters | None) -> Filter | None:
    """Convert filters, nested ones included; None and an empty group mean no filter.

    Raises:
        UnsupportedFilterError: An operator can't take its value.
        ConfigurationError: A part is no filter.
    """
    if filters is None:
        return None
    given: object = filters
    if not isinstance(given, MetadataFilters):
        raise ConfigurationError(
            f"filters must be MetadataFilters, not {type(given).__name__}.",
            hint='E.g. MetadataFilters(filters=[MetadataFilter(key="year", value=2025)]).',
        )
    return _convert_group(given) if given.filters else None


def with_known_fields(filters: MetadataFilters, known: Container[str]) -> MetadataFilters:
    """The filters with fields as they are called in the documents: an attribute may have its prefix of 0.1.0."""
    parts = [
        with_known_fields(part, known)
        if isinstance(part, MetadataFilters)
        else part.model_copy(update={"key": known_field(part.key, known)})
        for part in filters.filters
    ]
    return MetadataFilters(filters=parts, condition=filters.condition)


def _convert_group(filters: MetadataFilters) -> Group:
    condition = filters.condition if filters.condition is not None else FilterCondition.AND
    return Group(_GROUPS[condition], tuple(_convert_part(part) for part in filters.filters))


def _convert_part(part: object) -> Filter:
    if isinstance(part, MetadataFilters):
        return _convert_group(part)
    if isinstance(part, MetadataFilter):
        return Condition(part.key, part.operator.value, part.value)
    raise ConfigurationError(f"filters must hold MetadataFilter or MetadataFilters, not {type(part).__name__}.")
