"""Tokens, connector calls, money and quotas over a run; a guard that stops before a limit."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any

from mistral_agents._display.shown import Shown
from mistral_agents._printable import show_text
from mistral_agents.errors import ConfigurationError, ToolBudgetExceededError
from mistral_agents.turn import Turn
from mistral_agents.usage import WINDOW_SECONDS, Prices, Quota, Usage, is_amount

__all__ = ["BudgetExceededError", "Meter", "Prices"]

_HINT = "Raise the limit, or start with a new Meter."


def _check_limit(name: str, limit: object) -> None:
    if limit is not None and limit != math.inf and not is_amount(limit):
        raise ConfigurationError(f"{name}={limit!r} can't be honoured: a number from 0 is wanted.")


def _check_limits(name: str, limits: object) -> None:
    if limits is not None and not (isinstance(limits, Mapping) and all(map(is_amount, limits.values()))):
        raise ConfigurationError(f"{name}={limits!r} can't be honoured: a dict of numbers from 0 is wanted.")


class BudgetExceededError(ToolBudgetExceededError):
    """A limit of a `Meter` is reached; the turn was not sent."""


class Meter(Shown):
    """Adds up what turns cost, and refuses the next one where a limit is reached. Safe to share between threads.

    Args:
        prices: Your price table; without one `cost` stays 0.
        max_tokens: Tokens of all kinds over the whole run.
        max_cost: Money, in the price table's currency; it needs one.
        max_calls: Calls per connector, by the keys of `usage.connectors`.
        keep_free: Per quota (its name in the headers, such as `web-search`): how many of it to leave unused. Quotas
            are known from the last call that reported them; streams report none.

    Raises:
        ConfigurationError: A limit is no number from 0, the prices are none, or money is limited without prices.
    """

    def __init__(
        self,
        prices: Prices | None = None,
        *,
        max_tokens: int | None = None,
        max_cost: float | None = None,
        max_calls: Mapping[str, int] | None = None,
        keep_free: Mapping[str, int] | None = None,
    ) -> None:
        _check_limit("max_tokens", max_tokens)
        _check_limit("max_cost", max_cost)
        _check_limits("max_calls", max_calls)
        _check_limits("keep_free", keep_free)
        if prices is not None and not isinstance(prices, Prices):
            raise ConfigurationError(f"prices must be Prices(...), not {type(prices).__name__}.")
        self.prices = prices if prices is not None else Prices()
        if max_cost is not None and self.prices.is_empty:
            raise ConfigurationError(
                f"max_cost={max_cost!r} can't be honoured: without prices= every turn costs nothing."
            )
        self._max_tokens = max_tokens
        self._max_cost = max_cost
        self._max_calls = dict(max_calls) if max_calls is not None else {}
        self._keep_free = dict(keep_free) if keep_free is not None else {}
        self._lock = threading.RLock()
        self._quotas: dict[tuple[str, str], tuple[Quota, float]] = {}
        self.usage = Usage()
        self.turns = 0
        self.cost = 0.0
        self.unpriced = 0

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.RLock()

    def add(self, turn: Turn) -> None:
        """Count a turn."""
        self.count(turn.usage, turn.model, turn.quotas)

    def count(self, usage: Usage, model: str | None, quotas: Iterable[Quota] = ()) -> None:
        """Count what a turn used, where only its figures are at hand (in a framework's callback, say)."""
        price = self.prices.of(usage, model)
        with self._lock:
            self.turns += 1
            self.usage = self.usage + usage
            self.cost += price if price is not None else 0.0
            self.unpriced += price is None
            for quota in quotas:
                self._quotas[(quota.name, quota.window)] = (quota, time.monotonic())

    @property
    def quotas(self) -> list[Quota]:
        """The quotas last reported, whose window has not passed since."""
        now = time.monotonic()
        return [quota for quota, seen in self._quotas.values() if now - seen < WINDOW_SECONDS[quota.window]]

    def check(self) -> None:
        """Look whether another turn may be sent.

        Raises:
            BudgetExceededError: A limit is reached; the message names it.
        """
        for name, used, most in self._list_limits():
            if used >= most:
                raise BudgetExceededError(f"The limit of {most} {name} is reached: {used} used.", hint=_HINT)
        for quota in self.quotas:
            free = self._keep_free.get(quota.name)
            if free is not None and quota.remaining is not None and quota.remaining <= free:
                raise BudgetExceededError(
                    f"{quota.remaining} of the quota {quota.name} ({quota.window}) remain; {free} are to be kept free.",
                    hint=f"Wait until the {quota.window} is over.",
                )

    def _list_limits(self) -> list[tuple[str, float, float]]:
        found: list[tuple[str, float, float]] = []
        if self._max_tokens is not None:
            found.append(("tokens", self.usage.total_tokens, self._max_tokens))
        if self._max_cost is not None:
            found.append((self.prices.currency, self.cost, self._max_cost))
        found.extend(
            (f"calls of {name}", self.usage.connectors.get(name, 0), most) for name, most in self._max_calls.items()
        )
        return found

    def __str__(self) -> str:
        calls = ", ".join(f"{name} {count}" for name, count in self.usage.connectors.items()) or "none"
        money = f", {self.cost:.4f} {self.prices.currency}" if not self.prices.is_empty else ""
        return show_text(f"{self.turns} turns, {self.usage.total_tokens} tokens, connectors: {calls}{money}")
