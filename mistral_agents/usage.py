"""Tokens, connector calls and quotas, as the service reports them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

from mistral_agents._display.shown import Shown
from mistral_agents._http.quotas import WINDOW_SECONDS, Quota, quotas_from_headers
from mistral_agents._json import count_of
from mistral_agents.errors import ConfigurationError

__all__ = ["WINDOW_SECONDS", "Prices", "Quota", "Usage", "quotas_from_headers"]


@dataclass(frozen=True, slots=True)
class Usage(Shown):
    """Tokens of one turn.

    In every reply recorded `total_tokens` is prompt + completion + connector tokens; the service may also send zeros.

    Attributes:
        prompt_tokens: Tokens of the input and history.
        completion_tokens: Tokens written by the model.
        connector_tokens: Tokens that hosted tools added (search results, code output).
        total_tokens: As reported; the sum of the others where the service left it out.
        connectors: Calls per connector; the keys are open-ended and differ from the entries' names.
        raw: The usage object as it came.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    connector_tokens: int = 0
    total_tokens: int = 0
    connectors: dict[str, int] = field(default_factory=dict)
    raw: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_wire(cls, data: object) -> Usage:
        """Read a usage object; anything missing or null counts as zero."""
        if not isinstance(data, dict):
            return cls()
        prompt, completion = count_of(data.get("prompt_tokens")), count_of(data.get("completion_tokens"))
        connector, calls = count_of(data.get("connector_tokens")), data.get("connectors")
        told = data.get("total_tokens")
        total = count_of(told) if told == 0 else count_of(told) or prompt + completion + connector
        return cls(
            prompt_tokens=prompt,
            completion_tokens=completion,
            connector_tokens=connector,
            total_tokens=total,
            connectors={str(k): count_of(v) for k, v in calls.items()} if isinstance(calls, dict) else {},
            raw=data,
        )

    def __add__(self, other: Usage) -> Usage:
        calls = dict(self.connectors)
        for name, count in other.connectors.items():
            calls[name] = calls.get(name, 0) + count
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.connector_tokens + other.connector_tokens,
            self.total_tokens + other.total_tokens,
            calls,
        )


def is_amount(value: object) -> bool:
    """Whether a value is a number that can be paid or counted."""
    # NumPy's numbers are real ones, too, and no int or float.
    return type(value) is not bool and isinstance(value, Real) and 0 <= float(value) < math.inf


def _are_amounts(table: object) -> bool:
    return isinstance(table, Mapping) and all(map(is_amount, table.values()))


def _are_pairs(table: object) -> bool:
    pairs = table.values() if isinstance(table, Mapping) else [None]
    return all(isinstance(pair, (tuple, list)) and len(pair) == 2 and all(map(is_amount, pair)) for pair in pairs)


@dataclass(frozen=True, slots=True)
class Prices:
    """A price table of your own: none is built in, since prices change and depend on the plan.

    Raises:
        ConfigurationError: A price is no number, or no pair of numbers.

    Attributes:
        tokens: Per model: price of a million tokens read, and of a million written. `*` stands for the rest.
        calls: Per connector, by the keys of `usage.connectors`: price of one call.
        currency: For display.
    """

    tokens: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    calls: Mapping[str, float] = field(default_factory=dict)
    currency: str = "USD"

    def __post_init__(self) -> None:
        if not (_are_amounts(self.calls) and _are_pairs(self.tokens)):
            wanted = 'a pair of numbers for each model, such as {"*": (0.4, 2.0)}, and a number for each connector'
            raise ConfigurationError(f"Prices are {wanted}.")

    @property
    def is_empty(self) -> bool:
        """Whether there is no price in it."""
        return not (self.tokens or self.calls)

    def of(self, usage: Usage, model: str | None) -> float | None:
        """The price of a turn; None where the table has no price for its model.

        Tokens that connectors added are counted as read, which they are by the model; how the service bills them is
        not documented. A connector that is not in the table costs nothing here, nor do tokens where it has calls only.
        """
        if self.is_empty:
            return None
        free = (0.0, 0.0) if not self.tokens else None  # a table of calls alone prices calls alone
        found = self.tokens.get(model if model is not None else "*", self.tokens.get("*", free))
        if found is None:
            return None
        read, written = found
        total = (usage.prompt_tokens + usage.connector_tokens) * read + usage.completion_tokens * written
        return total / 1e6 + sum(self.calls.get(name, 0.0) * count for name, count in usage.connectors.items())
