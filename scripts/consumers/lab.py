"""What every consumer gets: a stand-in, a scripted model behind another one, and what was sent."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from typing_extensions import Self

from mistral_agents import MistralAgents
from mistral_agents_server.testing.running import Standin
from mistral_agents_server.testing.scripted import ScriptedModel, Step

MODEL = "mistral-medium-latest"


@dataclass(frozen=True)
class Consumer:
    """A package of others, and the job that is done with it.

    Attributes:
        name: How it is called on the command line.
        package: The distribution whose version is told.
        wing: Which wing it uses.
        job: What is done, for the table.
        run: Does it, and asserts what came of it.
        not_ours: Why a failure is no fault of ours; empty where it would be.
    """

    name: str
    package: str
    wing: str
    job: str
    run: Callable[[Lab], None]
    not_ours: str = ""


class Lab:
    """A stand-in of a consumer's own."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="third-party-")
        self.folder = Path(self._folder.name)
        self._scripted = ScriptedModel()
        self._planned = Standin()
        self._told = Standin(model_url=self._scripted.url)
        self.client = MistralAgents(api_key="third-party", base_url=self._planned.base_url)
        self.told = MistralAgents(api_key="third-party", base_url=self._told.base_url)
        os.environ.update(MISTRAL_API_KEY="third-party", MISTRAL_BASE_URL=self._planned.base_url)

    def say(self, *steps: Step) -> None:
        """What the model behind `told` answers, one after the other."""
        self._scripted.script(*steps)

    def always(self, step: Step) -> None:
        """What it answers from now on."""
        self._scripted.always(step)

    @property
    def turns(self) -> list[dict[str, Any]]:
        """The bodies of the turns that `told` made."""
        posts = [seen for seen in self._told.faults.requests if seen.method == "POST" and seen.body]
        return [seen.json for seen in posts if seen.path.startswith("/v1/conversations")]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._told.stop()
        self._planned.stop()
        self._scripted.stop()
        self._folder.cleanup()


def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"It is sunny in {city}."


PASSAGE = "The lighthouse of Kermor was lit in 1887. Its lamp burns oil."
WEATHER_SERVER = '''
from mcp.server.fastmcp import FastMCP

server = FastMCP("weather")


@server.tool()
def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"It is sunny in {city}."


server.run(transport="stdio")
'''
