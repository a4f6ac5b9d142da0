"""Tells which of the messages given to a history the service holds by now, so that none is lost and none sent twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from langchain_core.messages import BaseMessage

from langchain_mistral_agents._items import history_digest


def _print(message: BaseMessage) -> str:
    return history_digest([message], systems=True)


class Ledger:
    """What was given and is not held, and what is held and was not given.

    Args:
        empty: Whether the conversation is known to hold nothing yet; else its first reading is the base line.

    Attributes:
        unsaved: Messages that the service did not hold when it was last looked at.
    """

    def __init__(self, *, empty: bool) -> None:
        self.unsaved: list[BaseMessage] = []
        self._seen: Counter[str] | None = Counter() if empty else None
        self._fresh: Counter[str] = Counter()
        self._settled: str | None = None
        self._waited = 0

    def looked(self, held: Sequence[BaseMessage]) -> None:
        """Take note of what the service holds."""
        prints = [_print(message) for message in held]
        counted = Counter(prints)
        if self._seen is not None:
            self._fresh += counted - self._seen
        self._seen = counted
        before = self._unclaimed(self.unsaved[: self._waited])
        place = next((i for i, m in enumerate(held) if self._settled is not None and m.id == self._settled), None)
        if place is not None:
            self._fresh &= Counter(prints[place + 1 :])
            self._settled = None
        self.unsaved = [*before, *self._unclaimed(self.unsaved[self._waited :])]
        self._waited = 0

    def add(self, messages: Sequence[BaseMessage]) -> None:
        """Keep messages, but for those that the service turned out to hold since it was looked at before."""
        self.unsaved.extend(self._unclaimed(messages))

    def settle(self, answer: BaseMessage) -> None:
        """The service holds an answer and everything before it; none of that will be given again."""
        self._fresh.clear()
        self._settled = answer.id
        self._waited = len(self.unsaved)

    def _unclaimed(self, messages: Sequence[BaseMessage]) -> list[BaseMessage]:
        left = []
        for message in messages:
            key = _print(message)
            if self._fresh[key] > 0:
                self._fresh[key] -= 1
            else:
                left.append(message)
        return left
