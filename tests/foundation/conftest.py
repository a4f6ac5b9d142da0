"""The prepared-replies service of `tests/wire`, for tests that look at single requests."""

from __future__ import annotations

from tests.wire.conftest import Wire, make_client, waits, wire

__all__ = ["Wire", "make_client", "waits", "wire"]
