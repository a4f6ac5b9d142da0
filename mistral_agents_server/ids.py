"""Ids and times in the service's own shapes."""

from __future__ import annotations

import secrets
import string
import time
import uuid
from datetime import datetime, timezone

_ALPHANUMERIC = string.ascii_letters + string.digits


def _uuid7() -> uuid.UUID:
    """A UUID of version 7 (RFC 9562): 48 bits of milliseconds since 1970, the rest random."""
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds << 80) | (0x7 << 76) | (secrets.randbits(12) << 64) | (0b10 << 62) | secrets.randbits(62)
    return uuid.UUID(int=value)


def new_id(prefix: str) -> str:
    """An id: `prefix` (`conv`, `msg`, `ag`, `tool_exec`, `fc`, `handoff`), `_` and 32 hex digits of a UUIDv7."""
    return f"{prefix}_{_uuid7().hex}"


def uuid7_dashed() -> str:
    """A UUIDv7 with dashes, as libraries have and as ``mistral-correlation-id`` shows."""
    return str(_uuid7())


def uuid4_str() -> str:
    """A random UUID with dashes, as documents and files have."""
    return str(uuid.uuid4())


def tool_call_id() -> str:
    """Nine letters and digits, the form Mistral models give to a tool call."""
    return "".join(secrets.choice(_ALPHANUMERIC) for _ in range(9))


def now() -> str:
    """The present time in UTC as the service writes it: microseconds and a ``Z``."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
