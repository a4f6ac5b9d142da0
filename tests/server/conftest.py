"""Plain HTTP to a stand-in."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from ..conftest import API_KEY

MODEL = "mistral-small-latest"


class Api:
    """Requests with a key, and replies as they come."""

    def __init__(self, base_url: str, key: str = API_KEY) -> None:
        self.http = httpx.Client(base_url=base_url, headers={"Authorization": f"Bearer {key}"}, timeout=60)

    def send(self, method: str, path: str, body: Any = None, **query: Any) -> httpx.Response:
        return self.http.request(method, f"/v1{path}", json=body, params=query or None)

    def ok(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        reply = self.send(method, path, body, **query)
        assert reply.status_code < 300, reply.text
        return reply.json() if reply.content else None

    def start(self, inputs: Any, **fields: Any) -> Any:
        fields.setdefault("model", MODEL) if "agent_id" not in fields else None
        return self.ok("POST", "/conversations", {"inputs": inputs, **fields})

    def append(self, conversation_id: str, inputs: Any = None, **fields: Any) -> Any:
        body = {**({} if inputs is None else {"inputs": inputs}), **fields}
        return self.ok("POST", f"/conversations/{conversation_id}", body)

    def events(self, path: str, body: Any) -> list[dict[str, Any]]:
        with self.http.stream("POST", f"/v1{path}", json={**body, "stream": True}) as reply:
            assert reply.status_code == 200, reply.read()
            return parse_events(reply.read().decode())

    def history(self, conversation_id: str) -> list[dict[str, Any]]:
        return self.ok("GET", f"/conversations/{conversation_id}/history")["entries"]


def parse_events(text: str) -> list[dict[str, Any]]:
    """The events of a stream; each has a name line and a data line that agree."""
    events = []
    for block in text.strip().split("\n\n"):
        name, data = block.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        events.append(event)
    return events


@pytest.fixture
def api_of() -> Iterator[Callable[..., Api]]:
    made: list[Api] = []

    def make(base_url: str, key: str = API_KEY) -> Api:
        made.append(Api(base_url, key))
        return made[-1]

    yield make
    for one in made:
        one.http.close()


@pytest.fixture
def api(standin, api_of) -> Api:
    return api_of(standin.base_url)


@pytest.fixture
def thinking(standin_factory, scripted, api_of) -> Callable[..., Api]:
    """A stand-in whose model follows `scripted`."""

    def make(**settings: Any) -> Api:
        return api_of(standin_factory(model_url=scripted.url, **settings).base_url)

    return make
