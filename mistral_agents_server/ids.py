"""Ids and times in the service's own shapes."""

from __future__ import annotations

import secrets
import string
import time
import uuid
from datetime import datetime, timedelta, timezone
from typing import Protocol

_ALPHANUMERIC = string.ascii_letters + string.digits
_1970 = datetime(1970, 1, 1, tzinfo=timezone.utc)


class Source(Protocol):
    """Where times and chance come from."""

    def time_ns(self) -> int:
        """Nanoseconds since 1970."""
        ...

    def bits(self, count: int) -> int:
        """So many bits by chance."""
        ...


class _System:
    """The machine's own clock and chance."""

    @staticmethod
    def time_ns() -> int:
        return time.time_ns()

    @staticmethod
    def bits(count: int) -> int:
        return secrets.randbits(count)


source: Source = _System()
"""Tests put a clock that stands still in its place (`mistral_agents_server.testing.FrozenClock`)."""


def _uuid7() -> uuid.UUID:
    """A UUID of version 7 (RFC 9562): 48 bits of milliseconds since 1970, the rest random."""
    milliseconds = source.time_ns() // 1_000_000
    value = (milliseconds << 80) | (0x7 << 76) | (source.bits(12) << 64) | (0b10 << 62) | source.bits(62)
    return uuid.UUID(int=value)


def new_id(prefix: str) -> str:
    """An id: `prefix` (`conv`, `msg`, `ag`, `tool_exec`, `fc`, `handoff`), `_` and 32 hex digits of a UUIDv7."""
    return f"{prefix}_{_uuid7().hex}"


def uuid7_dashed() -> str:
    """A UUIDv7 with dashes, as libraries have and as ``mistral-correlation-id`` shows."""
    return str(_uuid7())


def uuid4_str() -> str:
    """A random UUID with dashes, as documents and files have."""
    return str(uuid.UUID(int=source.bits(128), version=4))


def tool_call_id() -> str:
    """Nine letters and digits, the form Mistral models give to a tool call."""
    return "".join(_ALPHANUMERIC[source.bits(32) % len(_ALPHANUMERIC)] for _ in range(9))


def now() -> str:
    """The present time in UTC as the service writes it: microseconds and a ``Z``."""
    moment = _1970 + timedelta(microseconds=source.time_ns() // 1000)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
