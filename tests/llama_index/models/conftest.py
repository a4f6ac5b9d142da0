"""A stand-in whose model follows a script, and models on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from llama_index_mistral_agents import MistralAgentLLM

MODEL = "mistral-medium-latest"


class Service:
    """What a test sees of a stand-in."""

    def __init__(self, server: Any) -> None:
        self.base_url: str = server.base_url
        self.faults = server.faults

    @property
    def turns(self) -> list[tuple[str, Any]]:
        """Path and body of every turn that was sent."""
        posts = [seen for seen in self.faults.requests if seen.method == "POST" and seen.body]
        return [(seen.path, seen.json) for seen in posts if seen.path.startswith("/v1/conversations")]

    @property
    def reads(self) -> list[str]:
        """Paths that were read."""
        return [seen.path for seen in self.faults.requests if seen.method == "GET"]


@pytest.fixture
def service(standin_factory: Any, scripted: Any) -> Service:
    return Service(standin_factory(model_url=scripted.url))


@pytest.fixture
def make_llm(service: Service) -> Callable[..., MistralAgentLLM]:
    def make(**settings: Any) -> MistralAgentLLM:
        if "agent_id" not in settings:
            settings.setdefault("model", MODEL)
        return MistralAgentLLM(api_key="test-key", base_url=service.base_url, **settings)

    return make


@pytest.fixture
def llm(make_llm: Any) -> MistralAgentLLM:
    return make_llm()


@pytest.fixture
def stored(make_llm: Any) -> MistralAgentLLM:
    return make_llm(store=True)
