"""A service made of prepared replies, inside the HTTP library: no sockets."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from mistral_agents import MistralAgents
from mistral_agents._http import sdk as _sdk

REPLY = {
    "object": "conversation.response",
    "conversation_id": "conv_1",
    "outputs": [{"type": "message.output", "id": "msg_1", "role": "assistant", "content": "hi"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
}


class Wire:
    """Answers each request with the next prepared reply (the last one for ever) and keeps what was asked."""

    def __init__(self) -> None:
        self.replies: list[Any] = [(200, REPLY)]
        self.requests: list[Any] = []

    def answer(self, *replies: Any) -> None:
        self.replies = list(replies)

    @property
    def bodies(self) -> list[Any]:
        return [json.loads(request.content) for request in self.requests if request.content]

    def __call__(self, request: Any) -> Any:
        self.requests.append(request)
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if isinstance(reply, Exception):
            raise reply
        status, body, *headers = reply
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return _sdk.http().Response(status, content=content, headers=headers[0] if headers else {})


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def make_client(wire: Wire) -> Callable[..., MistralAgents]:
    def make(**settings: Any) -> MistralAgents:
        library = _sdk.http()
        transport = library.MockTransport(wire)

        async def answer(request: Any) -> Any:
            return wire(request)

        settings.setdefault("api_key", "secret-key")
        settings.setdefault("base_url", "https://service.test")
        return MistralAgents(
            http_client=library.Client(transport=transport),
            async_http_client=library.AsyncClient(transport=library.MockTransport(answer)),
            **settings,
        )

    return make


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were asked for, instead of waiting."""
    asked: list[float] = []

    async def asleep(seconds: float) -> None:
        asked.append(seconds)

    # The module's names are replaced, not the functions of `time`: servers in other threads of the tests sleep too.
    monkeypatch.setattr("mistral_agents._http.transport.time", SimpleNamespace(sleep=asked.append))
    monkeypatch.setattr("mistral_agents._http.transport.asyncio", SimpleNamespace(sleep=asleep))
    return asked
