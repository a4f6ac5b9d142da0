"""A service of prepared replies for the wing: no sockets."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from langchain_mistral_agents import ChatMistralAgent
from tests.wire.conftest import Wire, make_client, waits, wire

__all__ = ["make_client", "waits", "wire"]


def sse(*events: dict[str, Any]) -> bytes:
    """Events as the service sends them."""
    return b"".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events)


@pytest.fixture
def prepared(wire: Wire, make_client: Callable[..., Any]) -> Callable[..., ChatMistralAgent]:
    """Make a model whose requests `wire` answers."""

    def make(**settings: Any) -> ChatMistralAgent:
        settings.setdefault("model", None if "agent_id" in settings else "mistral-small-latest")
        return ChatMistralAgent(client=make_client(**settings.pop("client_settings", {})), **settings)

    return make
