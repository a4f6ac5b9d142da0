"""One stand-in for all rows, whose model says what a row scripts; each row has a client that knows nothing yet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from mistral_agents import MistralAgents
from mistral_agents._border.turns import HEADS
from tests.support.running import Standin
from tests.support.scripted import ScriptedModel


@dataclass
class World:
    """What a row sees of the service.

    Attributes:
        served: The stand-in; `.faults` makes it fail.
        mind: Its model.
        client: A client.
    """

    served: Standin
    mind: ScriptedModel
    client: MistralAgents

    @property
    def turns(self) -> list[tuple[str, Any]]:
        """Path (without the conversation's id) and body of every turn that was sent."""
        posts = [seen for seen in self.served.faults.requests if seen.method == "POST" and seen.body]
        found = [(seen.path.removeprefix("/v1/conversations"), seen.json) for seen in posts]
        return [("/" + path.rpartition("/")[2] if "restart" in path else path[:1], body) for path, body in found]

    def inputs_of(self, conversation_id: Any) -> list[str]:
        """What was said in a stored conversation."""
        entries = self.client.conversations.get_history(str(conversation_id)).entries
        return [entry.text for entry in entries if entry.type == "message.input"]

    def forget(self) -> None:
        """As in another process."""
        HEADS.__init__()  # type: ignore[misc]


@pytest.fixture(scope="module")
def stage() -> Iterator[tuple[Standin, ScriptedModel]]:
    mind = ScriptedModel()
    served = Standin(model_url=mind.url)
    yield served, mind
    served.stop()
    mind.stop()


@pytest.fixture
def world(stage: tuple[Standin, ScriptedModel]) -> Iterator[World]:
    served, mind = stage
    served.faults.requests.clear()
    served.faults._planned.clear()
    mind.script()
    with MistralAgents(api_key="k", base_url=served.base_url, max_retries=0) as client:
        made = World(served, mind, client)
        made.forget()
        yield made
