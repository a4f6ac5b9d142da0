"""Locks belong to a process: a forked child begins them anew, since threads of its parent held them."""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet


class Renewable(Protocol):
    """What has locks, or waits for work of other threads."""

    def renew(self) -> None:
        """Begin anew: nobody is at work."""


_known: WeakSet[Renewable] = WeakSet()


def renew_in_children(one: Renewable) -> None:
    """Have something renewed in each process that is forked from this one, for as long as it lives."""
    _known.add(one)


def _renew_all() -> None:
    for one in tuple(_known):
        one.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)
